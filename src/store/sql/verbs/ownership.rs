//! The methods of [`Ownership`].

use std::sync::Arc;

use crate::{
    domain::{
        account_state::Account,
        audit::Attribution,
        environment::EnvironmentAccess,
        id::{EnvironmentId, UserId},
        owner::{HandedOver, Owned, Owner},
        time::Timestamp,
    },
    store::{
        HandOver, LastAdmin, Ownership, Reply, Transfer,
        sql::{accounts, engine::Engine, environment_access, hand_over, owners, users},
    },
};

impl<E: Engine> Ownership for E {
    fn owner(&self, id: UserId) -> Reply<'_, Owner> {
        self.read(move |connection| owners::by_id(connection, id))
    }

    fn manages(&self, user: UserId, owner: UserId) -> Reply<'_, bool> {
        self.read(move |connection| owners::manages(connection, user, owner))
    }

    fn environment_without_role(&self, user: UserId, id: EnvironmentId) -> Reply<'_, EnvironmentAccess> {
        self.read(move |connection| environment_access::seen_without_role(connection, user, id))
    }

    fn owned_by(&self, owner: UserId, now: Timestamp, limit: u32) -> Reply<'_, Owned> {
        self.read_long(move |connection| owners::owned_by(connection, owner, now, limit))
    }

    fn hand_over(&self, hand_over: HandOver, by: Attribution) -> Reply<'_, HandedOver> {
        let headroom = Arc::clone(self.headroom());
        self.change_as_admin_reporting(by, move |connection, by, changes| {
            hand_over::hand_over(connection, &hand_over, &headroom, by, changes)
        })
    }

    fn hand_over_and_disable(
        &self,
        user: UserId,
        transfer: Transfer,
        last: LastAdmin,
        by: Attribution,
    ) -> Reply<'_, (Account, HandedOver)> {
        let (headroom, everything) = (Arc::clone(self.headroom()), HandOver::everything(user, transfer));
        self.change_as_admin_reporting(by, move |connection, by, changes| {
            users::by_id(connection, user)?;
            let handed_over = hand_over::hand_over(connection, &everything, &headroom, by, changes)?;
            Ok((accounts::disable(connection, user, last, by)?, handed_over))
        })
    }
}
