//! A fixed set of threads that run blocking work.
//!
//! Tokio makes the threads of its blocking pool when they are needed and panics when the system refuses one. These are
//! all made at once, so that a process which has started never needs another.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    thread::{self, JoinHandle},
};

use crossbeam_channel::{Receiver, Sender};
use tokio::sync::oneshot;

use crate::priority::lower_priority;

type Job = Box<dyn FnOnce() + Send>;

/// The work panicked, and nothing is known of its outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the work panicked")]
pub(crate) struct Panicked;

/// Threads that wait for work. Dropping this completes the work that was queued, then ends them.
pub(crate) struct Threads {
    queue: Option<Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

impl Threads {
    /// Starts `count` threads, or none if the system refuses one of them.
    pub(crate) fn start(name: &str, count: usize) -> io::Result<Self> {
        Self::start_behind(name, count, 0)
    }

    /// The same with threads that let others go before by so many steps ([`lower_priority`]).
    pub(crate) fn start_behind(name: &str, count: usize, steps: i32) -> io::Result<Self> {
        let (queue, jobs) = crossbeam_channel::unbounded();
        let mut started = Self { queue: Some(queue), threads: Vec::with_capacity(count) };
        for _ in 0..count {
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

    /// Queues `work` and waits for what it answers. The work is done even if the caller stops waiting.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Panicked> {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(move || {
            // The caller may have left.
            let _ = reply.send(work());
        });
        let queued = self.queue.as_ref().is_some_and(|queue| queue.send(job).is_ok());
        debug_assert!(queued, "the threads wait for as long as this lives");
        // The reply is dropped without an answer only where the work unwound.
        answer.await.map_err(|_| Panicked)
    }
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
        // A panic was told of by the panic hook, and the caller learns of it; the thread goes on.
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
    fn a_thread_goes_on_after_work_that_panicked() {
        let threads = Threads::start("test", 1).unwrap();
        assert_eq!(block_on(threads.run(|| -> u8 { panic!("on purpose") })), Err(Panicked));
        assert_eq!(block_on(threads.run(|| 7)), Ok(7));
    }

    #[test]
    fn dropping_completes_what_was_queued_though_nobody_waits() {
        let threads = Threads::start("test", 1).unwrap();
        let (done, seen) = crossbeam_channel::unbounded();
        block_on(async {
            for n in 0..3 {
                let done = done.clone();
                let mut work = Box::pin(threads.run(move || done.send(n)));
                // The first poll queues the work; then the caller leaves.
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
