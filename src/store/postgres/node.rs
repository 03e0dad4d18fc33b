//! This process as one of several nodes: whether it may answer checks. [`membership`](super::membership) renews its lease.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError, atomic::AtomicU64},
    thread,
    time::Duration,
};

use tokio::{
    runtime::{Builder, Runtime},
    sync::{Notify, watch},
    time::timeout,
};

use super::{
    connector::Connector,
    lease::Shared,
    membership::Member,
    observers::Observers,
    primary::{Primary, Renewed},
};
use crate::store::{StoreError, cluster::NodeId};

/// How long a check without a lease waits for one.
const LEASE_WAIT: Duration = Duration::from_secs(2);
/// How long after a panic the renewal begins again.
const AFTER_PANIC: Duration = Duration::from_millis(500);

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
            latest_lease_end: AtomicU64::new(0),
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
            run(&runtime, &in_thread, &connector, &name);
        })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Whether checks may be answered, from memory or from what is read in the database afterwards.
    pub(super) fn may_answer(&self) -> bool {
        self.shared.may_answer()
    }

    /// How long ago this process last knew every change of the others. `None` before its first lease.
    pub(super) fn lag(&self) -> Option<Duration> {
        self.shared.lag()
    }

    /// Waits for a lease, if there is none. A database that cannot be written to gives none: it may not be the primary any
    /// more, so what it answers may be old.
    pub(super) async fn lease(&self) -> Result<(), StoreError> {
        if self.may_answer() {
            return Ok(());
        }
        if *self.shared.stop.borrow() {
            return Err(StoreError::Unavailable("this node has stopped".to_owned()));
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

/// Ties what a process writes to the lease of its node. A server that was replaced would answer from its old data that nothing is
/// left to do.
pub(super) struct Anchor {
    runtime: Runtime,
    /// `None` in a command.
    node: Option<Arc<Node>>,
}

impl Anchor {
    pub(super) fn new(node: Option<Arc<Node>>) -> std::io::Result<Self> {
        Ok(Self { runtime: Builder::new_current_thread().enable_time().build()?, node })
    }

    /// The server on which the node has a lease now, for which this waits. It blocks.
    pub(super) fn place(&self) -> Result<Option<Renewed>, StoreError> {
        let Some(node) = &self.node else { return Ok(None) };
        loop {
            self.runtime.block_on(node.lease()).map_err(|error| StoreError::NotMade(error.to_string()))?;
            let place = node.shared.primary.renewed();
            // Looked at after the server, as by a read.
            if node.may_answer() {
                return Ok(place);
            }
        }
    }

    /// Fails unless the node has a lease there.
    pub(super) fn expect(&self, place: Option<Renewed>) -> Result<(), StoreError> {
        match &self.node {
            Some(node) if !node.may_answer() || node.shared.primary.renewed() != place => {
                Err(StoreError::NotMade("this node has lost its lease".to_owned()))
            }
            _ => Ok(()),
        }
    }
}

/// Renews the lease until the node is to stop. After a panic, which is a defect, the node has no lease, and begins again as a new
/// one: nothing of what it knew counts any more.
fn run(runtime: &Runtime, shared: &Arc<Shared>, connector: &Connector, name: &str) {
    loop {
        let member = Member::new(Arc::clone(shared), connector.clone(), name.to_owned());
        if catch_unwind(AssertUnwindSafe(|| runtime.block_on(member.run()))).is_ok() {
            return;
        }
        shared.set_lease(None);
        log::error!("store: the renewal of the lease panicked; this node registers again");
        shared.renewals.send_modify(|(count, error)| {
            *count += 1;
            *error = Some(StoreError::Unavailable("the renewal panicked".to_owned()));
        });
        let mut stop = shared.stop.subscribe();
        if runtime.block_on(async { timeout(AFTER_PANIC, stop.wait_for(|stop| *stop)).await }).is_ok() {
            shared.left.send_replace(true);
            return;
        }
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
