//! Ends `patd dev` when nobody is left to use it: when its parent process ends, or when its standard input closes.
//!
//! A test harness that is killed cannot stop what it started. The kernel could send a signal at the parent's death
//! (`PR_SET_PDEATHSIG`), but it sends that when the parent's *thread* ends, which kills an instance that a worker thread
//! of a harness has started. So the parent's id is asked for: it changes when the process has ended.

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

use crate::cli::output;

/// How often the parent is asked for.
const INTERVAL: Duration = Duration::from_millis(100);

/// The parent of this process, as it was at the start; `None` if it had ended by then.
#[derive(Clone, Copy)]
pub(super) struct Parent(Option<u32>);

impl Parent {
    /// To be called as early as possible.
    pub(super) fn at_start() -> Self {
        let (parent, group) = (parent_id(), getpgrp().as_raw_pid());
        let is_leader = group.unsigned_abs() == std::process::id();
        Self((!is_orphan(parent, group, is_leader)).then_some(parent))
    }

    fn has_ended(self) -> bool {
        self.0 != Some(parent_id())
    }
}

/// Whether init is the parent of this process without having started it. What init starts leads a process group, or is in
/// init's own, as in a container whose first process is the test harness. (Where another process than init adopts
/// orphans, this cannot be told, and only a parent that ends later is noticed.)
const fn is_orphan(parent: u32, group: i32, is_leader: bool) -> bool {
    parent == 1 && group != 1 && !is_leader
}

/// Sends to `stop`, from threads of its own, as soon as the parent ends or the standard input closes.
pub(super) fn watch(parent: Parent, stop: &UnboundedSender<()>) -> io::Result<()> {
    let ended = stop.clone();
    thread::Builder::new().name("patd-parent".into()).spawn(move || {
        while !parent.has_ended() {
            thread::sleep(INTERVAL);
        }
        // Twice, which cuts off requests under way: their clients have most likely ended, too.
        let _ = ended.send(());
        let _ = ended.send(());
    })?;
    if is_lifeline(&io::stdin())? {
        let closed = stop.clone();
        thread::Builder::new().name("patd-stdin".into()).spawn(move || {
            wait_for_end(io::stdin());
            output::note("patd dev ends: its standard input was closed");
            let _ = closed.send(());
        })?;
    }
    Ok(())
}

/// Whether the end of this input means something. Of a pipe or a socket, whoever started this process holds the other end.
/// `/dev/null` and files are at their end from the beginning, and a terminal is for keys.
fn is_lifeline(stdin: &impl AsFd) -> io::Result<bool> {
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
            // Whoever has the other end made it not wait.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(INTERVAL),
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
