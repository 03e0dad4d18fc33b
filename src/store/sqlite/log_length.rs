//! How long the log was after the last commit of the writer's thread. A value of the thread, because SQLite's hook is a plain
//! function.

use std::cell::Cell;

use rusqlite::Connection;

thread_local! {
    static LENGTH: Cell<u32> = const { Cell::new(0) };
}

/// Makes the connection report to this thread, which must be the only one that uses it.
pub(super) fn watch(connection: &Connection) {
    LENGTH.set(0);
    connection.wal_hook(Some(|_, pages| {
        LENGTH.set(u32::try_from(pages).unwrap_or(0));
        Ok(())
    }));
}

/// How many frames the log had after the last commit of this thread.
pub(super) fn get() -> u32 {
    LENGTH.get()
}

/// The same in bytes.
pub(super) fn bytes() -> u64 {
    const FRAME: u64 = 4096 + 24;
    u64::from(get()) * FRAME
}

/// Notes that the next commit starts the log from its beginning.
pub(super) fn reset() {
    LENGTH.set(0);
}
