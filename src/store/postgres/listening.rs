//! Whether notifications arrive. They only make a renewal come sooner, so nothing depends on it, but an operator wants to know.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::sleep;

use super::{
    announce::CHANNEL,
    connector::{Connector, Link},
};

/// How long a notification may take.
const ARRIVAL: Duration = Duration::from_secs(2);
/// How often to look whether it has arrived.
const LOOK: Duration = Duration::from_millis(50);

/// Sends a notification to `link`, and logs a warning if it does not arrive, once. It goes over another connection: a pooler
/// in transaction mode passes on what comes while its client has a transaction, and nothing afterwards.
pub(super) fn test(link: &Link, connector: &Connector, has_warned: &Arc<AtomicBool>) {
    if has_warned.load(Ordering::Relaxed) {
        return;
    }
    let (connector, has_warned) = (connector.clone(), Arc::clone(has_warned));
    let (arrived, link_is_open) = (link.notifications(), link.is_open());
    tokio::spawn(async move {
        let before = arrived.load(Ordering::SeqCst);
        let Ok(other) = connector.connect().await else { return };
        if other.client.batch_execute(&format!("NOTIFY {CHANNEL}")).await.is_err() {
            return;
        }
        let mut waited = Duration::ZERO;
        while waited < ARRIVAL {
            if arrived.load(Ordering::SeqCst) > before {
                return;
            }
            sleep(LOOK).await;
            waited += LOOK;
        }
        // A connection that has ended says nothing.
        if link_is_open.upgrade().is_some() && !has_warned.swap(true, Ordering::Relaxed) {
            log::warn!(
                "store: notifications of PostgreSQL do not arrive, as behind a pooler in transaction mode. Revocations are exact \
                 all the same, but take up to 0.25 s longer. Let database.url lead to the server itself, or to a pooler in \
                 session mode"
            );
        }
    });
}
