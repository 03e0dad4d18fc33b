//! What patd does when the system fails: the real binary, with a disk and a clock that fail on request.
//!
//! Each row of the table of failures in `docs/operations.md` is one test here. It compares with the row what a client sees,
//! what `/readyz` answers, what the log says, and whether a restart is needed. A test of the whole table compares the rows
//! with the tests.
#![expect(clippy::unwrap_used, reason = "a panic fails the test")]
#![expect(unreachable_pub, reason = "a test binary has no outside")]

mod clock;
mod descriptors;
mod disk;
mod files;
mod killed;
mod limits;
mod overwritten;
mod page;
mod read_only;
mod rig;
mod stalled;
#[path = "../support/mod.rs"]
mod support;
mod syncs;
mod table;
mod unread_log;
mod upgrade;
mod wrong_clock;

use support::harness;

/// The tests of the rows, each with the first cell of its row.
macro_rules! failures {
    ($($test:ident: $row:literal => $body:path;)*) => {
        $(
            #[test]
            fn $test() {
                $body(&table::Row::of($row));
            }
        )*

        #[test]
        fn each_row_of_the_table_of_failures_is_a_test_and_each_test_a_row() {
            table::expect_rows(&[$($row),*]);
        }
    };
}

failures! {
    a_full_disk: "The disk is full" => disk::full;
    a_disk_that_fails_to_write: "The disk fails to write" => disk::failing_writes;
    a_disk_that_fails_to_read: "The disk fails to read" => disk::failing_reads;
    a_file_system_that_becomes_read_only: "The file system becomes read-only" => disk::read_only;
    a_file_that_cannot_be_written_at_the_start: "A file cannot be written at the start" => read_only::at_the_start;
    a_failed_sync_of_the_log: "A sync of the log fails" => syncs::of_the_log;
    a_failed_sync_of_the_database: "A sync of the database fails" => syncs::of_the_database;
    a_failed_sync_at_the_start: "A sync fails at the start" => syncs::at_the_start;
    a_writer_that_is_stalled: "The disk stalls" => stalled::disk;
    a_write_lock_of_another_program: "Another program holds the write lock" => stalled::write_lock;
    a_damaged_page_at_the_start: "A page is damaged, at the start" => page::at_the_start;
    a_damaged_page_while_the_server_runs: "A page is damaged, while the server runs" => page::while_running;
    a_deleted_database: "The database is deleted or moved away" => files::deleted_database;
    a_deleted_log: "The log is deleted" => files::deleted_log;
    an_overwritten_file: "Another program overwrites the database" => overwritten::while_running;
    a_log_of_another_file: "The log belongs to another file" => killed::foreign_log;
    exhausted_memory: "Memory is exhausted" => limits::memory_exhausted;
    a_file_that_is_too_large: "A file reaches the limit of its size" => limits::file_size;
    a_file_that_is_too_large_at_the_start: "A file reaches the limit of its size, at the start" => limits::file_size_at_the_start;
    a_log_that_nobody_reads: "The reader of the log lines stalls" => unread_log::while_running;
    no_file_descriptors: "No file descriptor is left" => descriptors::while_running;
    no_file_descriptors_at_the_start: "No file descriptor is left, at the start" => descriptors::at_the_start;
    a_clock_that_is_set_back: "The clock is set back" => clock::set_back;
    a_clock_that_leaps_ahead: "The clock leaps ahead by over a year" => clock::ahead;
    a_kill_at_any_moment: "patd is killed" => killed::at_any_moment;
    a_kill_at_each_step_of_an_upgrade: "patd is killed during an upgrade" => upgrade::killed;
}
