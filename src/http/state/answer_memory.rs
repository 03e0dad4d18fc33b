//! The memory that all large answers together may take, and the threads that serialize them.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

use crate::{
    http::error::ApiError,
    threads::{Panicked, Threads},
};

/// What all answers together may take, in KiB.
const TOTAL: u32 = 8 * 1024;
/// How many answers one account may have in memory, so that a client that reads none of its answers does not block
/// others.
const PER_ACCOUNT: usize = 4;
/// The threads that serialize answers, and their `nice` value: checks have priority.
const THREADS: usize = 2;
const NICE: i32 = 15;
/// When there are this many accounts, those without an answer in memory are forgotten.
const FORGET_FROM: usize = 1024;

/// The memory and the threads for large answers.
pub(crate) struct AnswerMemory {
    threads: Threads,
    total: Arc<Semaphore>,
    accounts: Mutex<HashMap<Uuid, Arc<Semaphore>>>,
    timeout: Duration,
}

impl AnswerMemory {
    /// A request waits for memory no longer than `timeout`. Starts the threads.
    pub(super) fn new(timeout: Duration) -> io::Result<Self> {
        Ok(Self {
            threads: Threads::start_with_lower_priority("patd-answer", THREADS, NICE)?,
            total: Arc::new(Semaphore::new(TOTAL as usize)),
            accounts: Mutex::default(),
            timeout,
        })
    }

    /// Reserves `size` KiB. A request waits for its account first: while it does, it holds none of the common memory.
    pub(crate) async fn reserve(&self, account: Option<Uuid>, size: u32) -> Result<ReservedMemory, ApiError> {
        let waiting = async {
            let account = match account {
                Some(account) => Some(self.account(account).acquire_owned().await),
                None => None,
            };
            (account, Arc::clone(&self.total).acquire_many_owned(size.min(TOTAL)).await)
        };
        let (account, memory) =
            tokio::time::timeout(self.timeout, waiting).await.map_err(|_| ApiError::TooManyAnswers)?;
        Ok(ReservedMemory {
            _account: account.map(|account| account.expect("the semaphore is never closed")),
            memory: memory.expect("the semaphore is never closed"),
        })
    }

    /// Runs `task` on one of the threads.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        task: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Panicked> {
        self.threads.run(task).await
    }

    /// The permits of one account.
    fn account(&self, account: Uuid) -> Arc<Semaphore> {
        let mut accounts = self.accounts();
        if accounts.len() >= FORGET_FROM {
            accounts.retain(|_, permits| permits.available_permits() < PER_ACCOUNT || Arc::strong_count(permits) > 1);
        }
        Arc::clone(accounts.entry(account).or_insert_with(|| Arc::new(Semaphore::new(PER_ACCOUNT))))
    }

    fn accounts(&self) -> MutexGuard<'_, HashMap<Uuid, Arc<Semaphore>>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The memory that one answer takes, until this is dropped.
pub(crate) struct ReservedMemory {
    _account: Option<OwnedSemaphorePermit>,
    memory: OwnedSemaphorePermit,
}

impl ReservedMemory {
    /// Gives back what exceeds `bytes`.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        let surplus = self.memory.num_permits().saturating_sub(bytes.div_ceil(1024));
        drop(self.memory.split(surplus));
    }
}
