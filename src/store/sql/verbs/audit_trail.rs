//! The methods of [`AuditTrail`].

use crate::{
    domain::{
        audit::{Attribution, Entry, Event},
        id::UserId,
        seal::Seal,
        time::Timestamp,
    },
    store::{
        AuditTrail, EventQuery, Reply, SealChecks, SealPlan, SealPosition, invalidation,
        sql::{
            audit::{self, list, pruning, seals},
            deletion,
            engine::Engine,
        },
    },
};

impl<E: Engine> AuditTrail for E {
    fn record_refusal(&self, refused: Entry, by: Attribution) -> Reply<'_, ()> {
        self.change(invalidation::NOTHING, by, move |connection, by| deletion::record_refusal(connection, &refused, by))
    }

    fn events_of(&self, user: UserId, before: Option<i64>, limit: u32) -> Reply<'_, Vec<Event>> {
        self.read_long(move |connection| audit::list(connection, user, before, limit))
    }

    fn events(&self, query: EventQuery) -> Reply<'_, Vec<Event>> {
        self.read_long(move |connection| list::list(connection, &query))
    }

    fn seal_events(&self, plan: SealPlan) -> Reply<'_, Option<Seal>> {
        Reply::Pending(Box::pin(async move {
            let Some(seal) = self.read_long(move |connection| seals::next(connection, plan)).await? else {
                return Ok(None);
            };
            let new = seal.clone();
            let added = self.write(invalidation::NOTHING, move |connection| seals::add(connection, &new)).await?;
            Ok(added.then_some(seal))
        }))
    }

    fn latest_seal(&self) -> Reply<'_, Option<Seal>> {
        self.read(seals::latest)
    }

    fn check_seals(&self, position: SealPosition, limit: u32) -> Reply<'_, SealChecks> {
        self.read_snapshot(move |connection| seals::check(connection, position, limit))
    }

    fn count_unsealed(&self) -> Reply<'_, u64> {
        self.read_long(seals::count_open)
    }

    fn prune_events(&self, before: Timestamp, now: Timestamp) -> Reply<'_, u64> {
        Reply::Pending(Box::pin(async move {
            match self.read_long(move |connection| pruning::is_due(connection, before)).await? {
                false => Ok(0),
                true => {
                    self.write(invalidation::NOTHING, move |connection| pruning::prune(connection, before, now)).await
                }
            }
        }))
    }
}
