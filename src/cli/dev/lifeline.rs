//! Stops `patd dev` when its parent process ends or its standard input closes.
//!
//! A test program that is killed cannot stop the servers that it started. `PR_SET_PDEATHSIG` does not solve this: the
//! kernel sends that signal when the parent *thread* ends, so it would stop a server that a worker thread of the test
//! program started. Instead, this polls the id of the parent, which changes when the parent process ends.

use std::{
    io::{self, Read},
    os::{
        fd::AsFd,
        unix::{fs::FileTypeExt, process::parent_id},
    },
    thread,
    time::Duration,
};

use rustix::process::getpgrp;
use tokio::sync::mpsc::UnboundedSender;

use crate::cli::terminal::print_message;

/// How often the parent is polled.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// The id of the parent of this process at the start, or `None` if the parent had already ended.
#[derive(Clone, Copy)]
pub(super) struct Parent(Option<u32>);

impl Parent {
    /// Call this as early as possible.
    pub(super) fn at_start() -> Self {
        let (parent, group) = (parent_id(), getpgrp().as_raw_pid());
        let is_leader = group.unsigned_abs() == std::process::id();
        Self((!is_orphan(parent, group, is_leader)).then_some(parent))
    }

    fn has_ended(self) -> bool {
        self.0 != Some(parent_id())
    }
}

/// Whether the parent of this process had already ended, so that init adopted it. Processes that init itself starts lead a
/// process group or are in that of init, for example in a container whose first process is the test program. If another
/// process than init adopts orphans, this returns false, and only a parent that ends later is noticed.
const fn is_orphan(parent: u32, group: i32, is_leader: bool) -> bool {
    parent == 1 && group != 1 && !is_leader
}

/// Starts threads that send to `stop` when the parent ends or the standard input closes.
pub(super) fn watch(parent: Parent, stop: &UnboundedSender<()>) -> io::Result<()> {
    let ended = stop.clone();
    thread::Builder::new().name("patd-parent".into()).spawn(move || {
        while !parent.has_ended() {
            thread::sleep(POLL_INTERVAL);
        }
        // The second message cuts off requests in progress: their clients have most likely ended, too.
        let _ = ended.send(());
        let _ = ended.send(());
    })?;
    if is_pipe(&io::stdin())? {
        let closed = stop.clone();
        thread::Builder::new().name("patd-stdin".into()).spawn(move || {
            wait_for_end(io::stdin());
            print_message("patd dev stops: its standard input was closed");
            let _ = closed.send(());
        })?;
    }
    Ok(())
}

/// Whether the input is a pipe or a socket, whose other end the process that started this one holds. `/dev/null` and files
/// end at once, and a terminal is used for Ctrl-C.
fn is_pipe(stdin: &impl AsFd) -> io::Result<bool> {
    let copy = std::fs::File::from(stdin.as_fd().try_clone_to_owned()?);
    let kind = copy.metadata()?.file_type();
    Ok(kind.is_fifo() || kind.is_socket())
}

fn wait_for_end(mut input: impl Read) {
    let mut ignored = [0; 1024];
    loop {
        match input.read(&mut ignored) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // The other process set the pipe to non-blocking.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(POLL_INTERVAL),
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_of_init_is_an_orphan_unless_init_started_it() {
        assert!(is_orphan(1, 4711, false));
        assert!(!is_orphan(1, 4711, true), "a service");
        assert!(!is_orphan(1, 1, false), "a child of the first process of a container");
        assert!(!is_orphan(4712, 4711, false));
    }
}
