//! Which threads step back where there are too few cores for all.

use rustix::{
    io,
    process::{getpriority_process, setpriority_process},
    thread::gettid,
};

/// Lets the threads that answer requests go before the calling one, by so many steps of niceness (Linux has one a
/// thread). It still gets a share of a busy core. Where the system refuses, all stay alike.
pub(super) fn step_back(steps: i32) {
    if let Err(error) = lower(steps) {
        log::debug!("store: a thread keeps its priority: {error}");
    }
}

fn lower(steps: i32) -> io::Result<()> {
    let thread = Some(gettid());
    setpriority_process(thread, getpriority_process(thread)? + steps)
}
