//! What binds the write-ahead log to the file, so that a log is replayed only into the file that it was written for.
//!
//! SQLite finds the log by the file's name. It replays whatever lies there and checks only that each frame is whole. If an
//! older copy of the file, or another database, is put beside the log of a killed process, SQLite mixes the two without a
//! word. If a frame is damaged, SQLite takes it for the end of the log and forgets everything behind it: a revoked token
//! is valid again. The parts of this folder refuse such a start:
//!
//! - [`row`]: a row that file and log both carry;
//! - [`scan`]: reads a log as SQLite would, and finds damage that SQLite does not tell of;
//! - [`watermark`]: how much of the log was acknowledged, noted in a file of its own;
//! - [`binder`]: keeps row and watermark up to date, on the writer's thread;
//! - [`acceptance`]: decides at the start.
//!
//! # The row
//!
//! `log_binding` has one row with a random nonce and the nonce before it. Three rules hold:
//!
//! 1. **The first transaction of each log draws a new nonce.** A log begins anew only when all of it is in the file
//!    ([`binder`] says how that is known). So the nonce before is the one in the complete file that the log continues.
//! 2. **Before a process answers its first change, it draws a nonce and checkpoints the whole log.** So a copy that was made
//!    while nobody had the file open holds a nonce that no later log names as the one before.
//! 3. **A log is accepted if the file holds the nonce before the log's first, or one that the log itself holds.** The first
//!    is a file into which the page of the row was not yet copied, the second one into which it was. In both, every page
//!    is either as the log found it or as the log has it, so that replaying the log makes the file whole.
//!
//! A nonce is 128 random bits, so two states of a database, or two databases, never share one by chance. They share it
//! where a file was copied; rule 2 draws another one before the copies can differ.
//!
//! # What is not covered
//!
//! - A log without the row in its first transaction, which an older release or another program wrote: file and log are
//!   checked in full (`integrity_check`), which a log of the same shape could pass.
//! - Rule 2 while another program reads the database without a pause. The start goes on, with a warning.
//! - A copy of the file that was made while a process had it open, by SQLite's own backup: put back beside the log that
//!   was current then, it becomes the latest state, not the state at the time of the copy. Nothing is lost or mixed.
//! - Another program that opens the file before patd does: SQLite has then replayed the log already.
//! - After a power cut: the last transactions, if the log lost them in spite of having been told to keep them. The
//!   watermark is not synced, so it may be older than they are.

pub(super) mod acceptance;
pub(super) mod binder;
pub(super) mod fault;
pub(super) mod row;
pub(super) mod scan;
mod watermark;
