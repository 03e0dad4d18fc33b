//! The methods of [`Erasure`] and of [`Export`].

use std::sync::Arc;

use crate::{
    domain::{audit::Attribution, deletion::EndsWithUser, id::UserId, time::Timestamp},
    store::{
        Erasure, Export, ExportBatch, ExportPosition, Reply, UserDeletion,
        sql::{deletion, engine::Engine, export, roles},
    },
};

impl<E: Engine> Erasure for E {
    fn delete_user(&self, id: UserId, how: UserDeletion, by: Attribution) -> Reply<'_, EndsWithUser> {
        let headroom = Arc::clone(self.headroom());
        self.change_reporting(by, move |connection, by, changes| {
            // Who gives their own password deletes themselves.
            if how.verified.is_none() {
                roles::expect_admin(connection, by)?;
            }
            deletion::delete(connection, id, &how, &headroom, by, changes)
        })
    }

    fn ends_with_user(&self, id: UserId, with_transfer: bool, now: Timestamp) -> Reply<'_, EndsWithUser> {
        self.read_long(move |connection| deletion::preview(connection, id, with_transfer, now))
    }

    fn scrub(&self) -> Reply<'_, bool> {
        Engine::scrub(self)
    }
}

impl<E: Engine> Export for E {
    fn export(&self, user: UserId, position: ExportPosition) -> Reply<'_, Option<ExportBatch>> {
        self.read_long(move |connection| export::read(connection, user, &position))
    }
}
