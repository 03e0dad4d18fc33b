//! Slots for hashing passwords: a thread for each, and a fair queue in front of them.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{ops::error::Error, threads::Threads};

/// How many callers may wait for each slot. With 40 ms for a hash, about this many are served in the default wait of 3 s. So
/// a flood is refused at once and not after the wait.
const WAITING_PER_SLOT: usize = 64;

/// The slots. The caller that waits longest is next.
pub(super) struct Slots {
    count: usize,
    free: Arc<Semaphore>,
    waiting: Semaphore,
    max_wait: Duration,
    /// A server starts them at its start, a command at first use.
    threads: Mutex<Option<Arc<Threads>>>,
}

impl Slots {
    pub(super) fn new(count: usize, max_wait: Duration) -> Self {
        Self {
            count,
            free: Arc::new(Semaphore::new(count)),
            waiting: Semaphore::new(count.saturating_mul(WAITING_PER_SLOT).min(Semaphore::MAX_PERMITS)),
            max_wait,
            threads: Mutex::default(),
        }
    }

    /// How many slots are taken.
    pub(super) fn taken(&self) -> usize {
        self.count.saturating_sub(self.free.available_permits())
    }

    /// Starts the threads if they do not run yet.
    pub(super) fn start(&self) -> Result<Arc<Threads>, Error> {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = &*threads {
            return Ok(Arc::clone(running));
        }
        let started = Threads::start("patd-hash", self.count).map_err(|error| {
            log::error!(error:%; "the system gives no threads to hash passwords");
            Error::Exhausted("threads")
        })?;
        Ok(Arc::clone(threads.insert(Arc::new(started))))
    }

    /// Waits for a slot. Fails with [`Error::Busy`] if the queue is full or the wait takes too long.
    pub(super) async fn acquire(&self) -> Result<Slot, Error> {
        let threads = self.start()?;
        let free = Arc::clone(&self.free);
        if let Ok(permit) = Arc::clone(&free).try_acquire_owned() {
            return Ok(Slot { permit, threads });
        }
        let _waiting = self.waiting.try_acquire().map_err(|_| Error::Busy)?;
        match tokio::time::timeout(self.max_wait, free.acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Slot { permit, threads }),
            Ok(Err(_)) | Err(_) => Err(Error::Busy),
        }
    }
}

/// A slot to hash one password.
pub(in crate::ops) struct Slot {
    permit: OwnedSemaphorePermit,
    threads: Arc<Threads>,
}

impl Slot {
    /// Runs `work` on a thread. The slot stays taken until the work has ended, even if the caller stops waiting.
    pub(super) async fn run<T: Send + 'static>(
        self,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let Self { permit, threads } = self;
        let held = move || {
            let _permit = permit;
            work()
        };
        let done = threads.run(held).await;
        done.unwrap_or_else(|panicked| Err(Error::Internal(format!("passwords: {panicked}"))))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::*;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
    }

    #[test]
    fn callers_beyond_the_slots_wait_and_are_served_in_order() {
        let slots = Slots::new(1, Duration::from_secs(60));
        let order = Arc::new(Mutex::new(Vec::new()));
        block_on(join_all((0..20).map(|n| {
            let (slots, order) = (&slots, Arc::clone(&order));
            async move {
                let work = move || {
                    order.lock().unwrap().push(n);
                    Ok(())
                };
                slots.acquire().await.unwrap().run(work).await.unwrap();
            }
        })));
        assert_eq!(*order.lock().unwrap(), (0..20).collect::<Vec<_>>());
    }

    #[test]
    fn waits_are_limited_in_time_and_number() {
        let slots = Slots::new(1, Duration::from_millis(20));
        block_on(async {
            let held = slots.acquire().await.unwrap();
            let waiting = join_all((0..=WAITING_PER_SLOT).map(|_| slots.acquire())).await;
            assert!(waiting.iter().all(|taken| matches!(taken, Err(Error::Busy))));
            drop(held);
            slots.acquire().await.unwrap().run(|| Ok(())).await.unwrap();
        });
        let slots = Slots::new(1, Duration::from_secs(60));
        block_on(async {
            let held = slots.acquire().await.unwrap();
            let mut first: Vec<_> = (0..WAITING_PER_SLOT).map(|_| Box::pin(slots.acquire())).collect();
            for waiting in &mut first {
                assert!(futures_util::FutureExt::now_or_never(waiting).is_none());
            }
            assert!(matches!(slots.acquire().await, Err(Error::Busy)), "the queue is full");
            // A caller that leaves the queue makes room.
            first.pop();
            let mut last = Box::pin(slots.acquire());
            assert!(futures_util::FutureExt::now_or_never(&mut last).is_none());
            drop((held, first));
            last.await.unwrap();
        });
    }

    #[test]
    fn a_slot_is_free_again_after_a_panic_and_after_its_caller_has_left() {
        let slots = Slots::new(1, Duration::from_secs(60));
        block_on(async {
            let panicked = slots.acquire().await.unwrap().run(|| -> Result<(), Error> { panic!("on purpose") }).await;
            assert!(matches!(panicked, Err(Error::Internal(_))));
            let (release, gate) = crossbeam_channel::bounded::<()>(0);
            let mut left = Box::pin(slots.acquire().await.unwrap().run(move || {
                let _ = gate.recv();
                Ok(())
            }));
            assert!(futures_util::FutureExt::now_or_never(&mut left).is_none());
            drop(left);
            assert!(slots.free.available_permits() == 0, "the work continues and keeps its slot");
            drop(release);
            slots.acquire().await.unwrap().run(|| Ok(())).await.unwrap();
        });
    }
}
