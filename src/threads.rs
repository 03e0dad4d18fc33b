//! A fixed set of threads that run blocking work.
//!
//! Tokio starts the threads of its blocking pool on demand and panics if the system refuses one. These all start at once,
//! so that a server that has started needs no further thread.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    thread::{self, JoinHandle},
};

use crossbeam_channel::{Receiver, Sender};
use tokio::sync::oneshot;

use crate::priority::lower_priority;

type Job = Box<dyn FnOnce() + Send>;

/// The work panicked, so its outcome is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the work panicked")]
pub(crate) struct Panicked;

/// Threads that wait for work. Dropping this completes the queued work, then ends the threads.
pub(crate) struct Threads {
    queue: Option<Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

impl Threads {
    /// Starts `count` threads. If the system refuses one, ends the others and fails.
    pub(crate) fn start(name: &str, count: usize) -> io::Result<Self> {
        Self::start_with_lower_priority(name, count, 0)
    }

    /// Starts threads with a lower priority ([`lower_priority`]).
    pub(crate) fn start_with_lower_priority(name: &str, count: usize, steps: i32) -> io::Result<Self> {
        let (queue, jobs) = crossbeam_channel::unbounded();
        let mut started = Self { queue: Some(queue), threads: Vec::with_capacity(count) };
        for _ in 0..count {
            expect_room()?;
            let jobs = jobs.clone();
            started.threads.push(thread::Builder::new().name(name.to_owned()).spawn(move || {
                if steps > 0 {
                    lower_priority(steps);
                }
                run(&jobs);
            })?);
        }
        Ok(started)
    }

    /// Queues `work` and waits for its result. The work is done even if the caller stops waiting.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Panicked> {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(move || {
            // The caller may have stopped waiting.
            let _ = reply.send(work());
        });
        let queued = self.queue.as_ref().is_some_and(|queue| queue.send(job).is_ok());
        debug_assert!(queued, "the threads run as long as this exists");
        // The sender is dropped without a result only if the work panicked.
        answer.await.map_err(|_| Panicked)
    }
}

/// Room for the stack of a thread, and for what it and those that were just started map besides when they begin.
const ROOM: usize = 16 * 1024 * 1024;

/// Fails if the address space has no room for another thread. Where only its stack fits, the standard library aborts the
/// process when the thread begins.
fn expect_room() -> io::Result<()> {
    let mut room = Vec::<u8>::new();
    room.try_reserve_exact(ROOM).map_err(|_| io::ErrorKind::OutOfMemory)?;
    // The compiler may leave out an allocation that nothing looks at.
    std::hint::black_box(&room);
    Ok(())
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.queue = None;
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
    }
}

fn run(jobs: &Receiver<Job>) {
    for job in jobs {
        // The panic hook has logged a panic, and the caller gets an error. The thread continues.
        drop(catch_unwind(AssertUnwindSafe(job)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    #[test]
    fn a_thread_continues_after_work_that_panicked() {
        let threads = Threads::start("test", 1).unwrap();
        assert_eq!(block_on(threads.run(|| -> u8 { panic!("on purpose") })), Err(Panicked));
        assert_eq!(block_on(threads.run(|| 7)), Ok(7));
    }

    #[test]
    fn dropping_completes_the_queued_work_even_if_nobody_waits() {
        let threads = Threads::start("test", 1).unwrap();
        let (done, seen) = crossbeam_channel::unbounded();
        block_on(async {
            for n in 0..3 {
                let done = done.clone();
                let mut work = Box::pin(threads.run(move || done.send(n)));
                // The first poll queues the work; then the caller stops waiting.
                std::future::poll_fn(|context| {
                    let _ = work.as_mut().poll(context);
                    std::task::Poll::Ready(())
                })
                .await;
            }
        });
        drop(threads);
        drop(done);
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), [0, 1, 2]);
    }
}
