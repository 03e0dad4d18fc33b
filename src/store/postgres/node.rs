//! This process as one of several nodes: whether it may answer checks. [`membership`](super::membership) renews its lease.

use std::{
    sync::{Arc, Mutex, PoisonError, atomic::AtomicU64},
    thread,
    time::Duration,
};

use tokio::{
    runtime::Builder,
    sync::{Notify, watch},
    time::timeout,
};

use super::{connector::Connector, lease::Shared, membership::Member, observers::Observers, readers::Primary};
use crate::store::{StoreError, cluster::NodeId};

/// How long a check without a lease waits for one.
const LEASE_WAIT: Duration = Duration::from_secs(2);

/// A process that answers checks from memory. Dropping it gives up the lease.
pub(super) struct Node {
    shared: Arc<Shared>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Node {
    /// Starts the thread that renews the lease. `name` is what others see; `observers` hear of the changes of others.
    pub(super) fn start(
        connector: Connector,
        name: String,
        observers: Arc<Observers>,
        primary: Arc<Primary>,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            lease_end: AtomicU64::new(0),
            id: Mutex::default(),
            observers,
            primary,
            wake: Notify::new(),
            renewals: watch::Sender::new((0, None)),
            stop: watch::Sender::new(false),
            left: watch::Sender::new(false),
        });
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let in_thread = Arc::clone(&shared);
        let thread = thread::Builder::new().name("patd-node".to_owned()).spawn(move || {
            let member = Member::new(in_thread, connector, name);
            runtime.block_on(member.run());
        })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Whether checks may be answered, from memory or from what is read in the database afterwards.
    pub(super) fn may_answer(&self) -> bool {
        self.shared.may_answer()
    }

    /// Waits for a lease, if there is none. A database that cannot be written to gives none: it may not be the primary any
    /// more, so what it answers may be old.
    pub(super) async fn lease(&self) -> Result<(), StoreError> {
        if self.may_answer() {
            return Ok(());
        }
        let mut renewals = self.shared.renewals.subscribe();
        self.shared.wake.notify_one();
        let renewed = async {
            // The first may have begun before this call, and that is fine: only the lease counts.
            while renewals.changed().await.is_ok() {
                if self.may_answer() {
                    return Ok(());
                }
                if let Some(error) = &renewals.borrow_and_update().1 {
                    return Err(StoreError::Unavailable(format!("this node has no lease: {error}")));
                }
            }
            Err(StoreError::Unavailable("this node has stopped".to_owned()))
        };
        let no_answer =
            |_| Err(StoreError::Unavailable("this node has no lease: PostgreSQL does not answer".to_owned()));
        timeout(LEASE_WAIT, renewed).await.unwrap_or_else(no_answer)
    }

    /// The present registration. A revocation of this process does not wait for it, since it notifies the observers itself.
    pub(super) fn id(&self) -> Option<NodeId> {
        *self.shared.id.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Node {
    /// Gives up the lease, and waits until the others need not wait for this node any more.
    pub(super) async fn leave(&self) {
        let mut left = self.shared.left.subscribe();
        self.shared.stop.send_replace(true);
        // The thread ends within a few limits of its steps.
        let _ = timeout(LEASE_WAIT, left.wait_for(|left| *left)).await;
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.shared.stop.send_replace(true);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::error!("store: the thread of the lease panicked");
        }
    }
}
