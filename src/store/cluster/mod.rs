//! Exact revocation over several nodes that share one database: acknowledged invalidation under leases.
//!
//! Here are only the decisions: no I/O, and no clock of its own. A caller passes the time of its machine's clock, and what it
//! has read from the database. The model in `tests` explores every order of the steps, with a pause between any two of them.
//!
//! # The protocol
//!
//! Each change that takes a right away is a [`Position`]: a sequence number, and a random mark. Its transaction takes the row
//! of the counter last and keeps it locked until the commit, so the numbers are in the order of the commits, without gaps.
//!
//! A **node** renews its lease again and again ([`Membership`]): it reads its clock, commits a write to its own row *if that row
//! is still active*, reads the changes that it does not know, applies them to its memory, then extends the lease to *the time of
//! the first step* plus the length minus a margin, and at last acknowledges the position. It answers only while its lease
//! lasts. A node whose row is not active any more empties its memory and registers under a new id.
//!
//! A **revocation** waits after its commit ([`PendingRevocation`]) until each node has acknowledged its position, or is gone, or a
//! whole lease has passed on the revoker's own clock. Then it is answered.
//!
//! **A dead node** must not delay later revocations, too ([`Neighbours`]). A process that has seen its row unchanged for a whole
//! lease on its own clock may set it from active to *gone*, in an update that changes nothing if the row was renewed since.
//! Nodes do so, and so does a revocation that has waited for a whole lease, before it is answered: the next one does not wait. A row
//! never goes back. Somebody may also set a row to *fencing* at any time, as an operator may by hand: it cannot be renewed from
//! then on, so the node loses its memory, but its last lease may still hold. Only *gone* needs no wait.
//!
//! # Why it is exact
//!
//! Let a revocation commit at C and be answered at A. A check that starts after A is answered by a node under a lease that
//! began with reading the clock at t0.
//!
//! 1. If the reading of changes in that renewal missed the revocation, it was made before C, so t0 < C, and the lease ends before
//!    C plus the length. If it did not miss it, the node's memory held nothing older before the lease was extended.
//! 2. So a node that was waited for, for its acknowledgement or for a whole length after C, answers nothing stale after A.
//! 3. A node that was *gone* needs no wait. The process that set it to *gone* had seen the same row a whole length before. The
//!    row has another mark after each renewal, so the last one committed before it was seen, and its lease was over. If the
//!    update did not compare the mark, it would not be: the node may have renewed just before it. For the same reason
//!    *fencing* alone does not suffice.
//! 4. A node that registered after the revoker read the rows committed its registration after C, so it reads a counter that
//!    includes the change, and everything that its memory holds afterwards was read later still.
//! 5. A record that was read before the change and arrives in memory after it was applied is voided by its epoch, as on a single
//!    node ([`super::cache`]).
//!
//! No step compares the clocks of two machines. Their *rates* must be equal to within the margin: with a length of 1 s and a
//! margin of 100 ms, a clock may be 10 % slower than another. The clock must go on while the machine is suspended
//! (`CLOCK_BOOTTIME`). It stands still in a virtual machine that its host suspends; that is a limit.
//!
//! # Another primary
//!
//! After a failover, or when a backup was restored, the history may be another one. Comparing numbers does not show it: the new
//! history may have grown to the same number. So a node compares the mark, too, and if its own position is not part of the
//! history that it reads, it empties its memory. Renewals have marks for the same reason: somebody who has seen a row *fencing* in the
//! old history must not take it for the same fence in the new one.
//!
//! A primary that was deposed may still answer reads to a node that cannot reach the new one. So an answer needs a lease also
//! when it comes from the database: a deposed primary cannot commit a renewal, since it waits for a synchronous standby that it has
//! lost. A node without a lease renews first, and answers 503 if that fails. Renewal and acknowledgement must therefore be
//! committed synchronously (`synchronous_commit = on`), and a lease begins before, not after, that commit.
//!
//! One thing must not be lost with the history: the registration of a node that has a lease. Nobody would wait for it. A
//! synchronous standby has it. Where a backup is restored, or an asynchronous standby takes over, at least one lease must pass
//! before the database answers again; which acknowledged changes are lost then is not in the hands of the nodes anyway.

mod history;
mod lease;
mod membership;
mod neighbours;
mod node;
mod revocation;
#[cfg(test)]
mod tests;

pub(crate) use self::{
    history::{Invalidation, Mark, Position, Reading},
    lease::{BootTime, LeaseTerms, holds},
    membership::{Membership, RenewalOutcome},
    neighbours::{Departure, Neighbours},
    node::{NodeId, NodeRow, ServerId},
    revocation::{PendingRevocation, Verdict},
};
