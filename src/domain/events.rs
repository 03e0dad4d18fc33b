//! The audit events of all changes: one constructor for each, so that each event has one wording.

mod ownership;
mod service_account;

use std::borrow::Cow;

pub use self::{ownership::*, service_account::*};

use super::{
    account::Role,
    audit::{Action, Entry, Outcome, Target},
    environment::MemberRole,
    id::{EnvironmentId, SessionId, TokenId, UserId},
    time::Timestamp,
    token::{RevocationReason, Token},
    use_location::UserAgent,
};

/// A token with its owner and its environment: what the events of a token name.
#[derive(Clone, Copy, Debug)]
pub struct TokenRef {
    /// The token.
    pub id: TokenId,
    /// Its owner.
    pub owner: UserId,
    /// The environment that it stands for.
    pub environment: Option<EnvironmentId>,
}

impl From<&Token> for TokenRef {
    fn from(token: &Token) -> Self {
        Self { id: token.id, owner: token.owner, environment: token.environment }
    }
}

impl TokenRef {
    /// A personal access token.
    pub const fn personal(owner: UserId, id: TokenId) -> Self {
        Self { id, owner, environment: None }
    }

    const fn event(self, action: Action) -> Entry {
        Entry::done(self.owner, action, Target::token(self.id, self.environment))
    }

    /// It was created.
    pub const fn created(self) -> Entry {
        self.event(Action::TokenCreated)
    }

    /// It was created to replace a personal token. (A token of an environment is replaced at once, and the one event of
    /// [`TokenRef::replaced`] says all of it.)
    pub fn created_by_rotation(self) -> Entry {
        self.created().with("rotation")
    }

    /// It was replaced by this successor, by rotation or by regeneration. A narrower successor has fewer abilities.
    pub fn replaced(self, successor: TokenId, is_narrower: bool) -> Entry {
        let abilities = if is_narrower { ", abilities narrowed" } else { "" };
        self.event(Action::TokenRotated).with(format!("to {successor}{abilities}"))
    }

    /// It got another name or other annotations: an event for each of the two. `annotations` are the names of those that
    /// were set.
    pub fn changed(self, is_renamed: bool, annotations: &[&str]) -> Vec<Entry> {
        let renamed = is_renamed.then(|| self.event(Action::TokenRenamed));
        let updated = self.event(Action::TokenUpdated).with(annotations.join(", "));
        renamed.into_iter().chain((!annotations.is_empty()).then_some(updated)).collect()
    }

    /// It was revoked.
    pub fn revoked(self, reason: RevocationReason) -> Entry {
        self.event(Action::TokenRevoked).with(reason.as_str())
    }

    /// It was revoked because a token before it in its lineage was.
    pub fn revoked_with(self, predecessor: TokenId, reason: RevocationReason) -> Entry {
        let detail = format!("{}, with predecessor {predecessor}", reason.as_str());
        self.event(Action::TokenRevoked).with(detail)
    }

    /// It was revoked because its environment was deleted.
    pub fn revoked_with_environment(self) -> Entry {
        self.event(Action::TokenRevoked).with("environment_deleted")
    }

    /// It was revoked because its owner was deleted.
    pub fn revoked_with_owner(self) -> Entry {
        self.event(Action::TokenRevoked).with("user_deleted")
    }

    /// It was disabled.
    pub const fn disabled(self) -> Entry {
        self.event(Action::TokenDisabled)
    }

    /// It was disabled because a token before it in its lineage was.
    pub fn disabled_with(self, predecessor: TokenId) -> Entry {
        self.disabled().with(format!("with predecessor {predecessor}"))
    }

    /// It was enabled.
    pub const fn enabled(self) -> Entry {
        self.event(Action::TokenEnabled)
    }

    /// Its secret was reported as found in public.
    pub const fn leaked(self) -> Entry {
        self.event(Action::TokenLeaked)
    }

    /// It is a canary token, and somebody used it.
    pub fn canary_used(self, user_agent: Option<&UserAgent>) -> Entry {
        let used = Entry { outcome: Outcome::Refused, ..self.event(Action::TokenCanaryUsed) };
        match user_agent {
            Some(agent) => used.with(agent.escaped()),
            None => used,
        }
    }

    /// It was used after rotation had ended it.
    pub fn reuse_detected(self) -> Entry {
        Entry { outcome: Outcome::Refused, ..self.event(Action::TokenReuseDetected) }.with("rotated")
    }
}

/// A leak report in which no secret is valid. It is in no user's trail.
pub fn leak_of_nothing(presented: usize) -> Entry {
    Entry::refused(None, Action::TokenLeaked, "unknown").with(format!("unknown, {presented} presented"))
}

/// A user was added.
pub const fn user_created(user: UserId) -> Entry {
    of_user(user, Action::UserCreated)
}

/// A user got another name.
pub fn user_renamed(user: UserId) -> Entry {
    of_user(user, Action::UserUpdated).with("name")
}

/// A user selected another environment, or lost access to the selected one.
pub fn current_environment_changed(user: UserId) -> Entry {
    of_user(user, Action::UserUpdated).with("current_environment")
}

/// A user got another e-mail address. Neither address contains a space.
pub fn email_changed(user: UserId, before: &str, after: &str) -> Entry {
    of_user(user, Action::UserEmailChanged).with(format!("{before} -> {after}"))
}

/// A user got another password.
pub const fn password_changed(user: UserId) -> Entry {
    of_user(user, Action::UserPasswordChanged)
}

/// A user got another password with a link.
pub fn password_set_by_link(user: UserId) -> Entry {
    password_changed(user).with("link")
}

/// A password was changed after the backup from which the database was restored, so the old one must not work.
pub fn password_ended_by_restore(user: UserId) -> Entry {
    password_changed(user).with("ended by restore")
}

/// The database was restored from a backup that ends with the event `last`. `replayed` is the last event of the trail that was
/// repeated, `sessions` how many were ended, and `expiring` how many tokens got an earlier expiry, and which.
pub fn database_restored(
    last: i64,
    replayed: Option<i64>,
    sessions: Option<u64>,
    expiring: Option<(u64, Timestamp)>,
) -> Entry {
    let mut detail = format!("backup of event {last}");
    if let Some(end) = replayed {
        detail += &format!(", repeated up to event {end}");
    }
    if let Some(sessions) = sessions {
        detail += &format!(", {sessions} sessions ended");
    }
    if let Some((tokens, at)) = expiring {
        detail += &format!(", {tokens} tokens expire at {at}");
    }
    Entry {
        user: None,
        action: Action::DatabaseRestored,
        target: Target::Database,
        outcome: Outcome::Success,
        detail: None,
    }
    .with(detail)
}

/// A user got a link to set a password. With `reset`, the old password has ended.
pub fn password_link_created(user: UserId, reset: bool) -> Entry {
    of_user(user, Action::UserPasswordLinkCreated).with(if reset { "reset" } else { "invitation" })
}

/// What the throttle held was cleared. The event does not name an address, so that none has to be erased later.
pub fn throttle_cleared(user: Option<UserId>, what: &'static str) -> Entry {
    Entry { outcome: Outcome::Success, ..Entry::refused(user, Action::ThrottleCleared, what) }
}

/// A user was disabled.
pub const fn user_disabled(user: UserId) -> Entry {
    of_user(user, Action::UserDisabled)
}

/// A user got another role.
pub const fn role_changed(user: UserId, role: Role) -> Entry {
    let detail = Some(Cow::Borrowed(role.as_str()));
    Entry {
        user: Some(user),
        action: Action::UserRoleChanged,
        target: Target::User(user),
        outcome: Outcome::Success,
        detail,
    }
}

/// A user was enabled.
pub const fn user_enabled(user: UserId) -> Entry {
    of_user(user, Action::UserEnabled)
}

/// A user was deleted.
pub const fn user_deleted(user: UserId) -> Entry {
    of_user(user, Action::UserDeleted)
}

const fn of_user(user: UserId, action: Action) -> Entry {
    Entry::done(user, action, Target::User(user))
}

/// A user signed in.
pub const fn session_created(user: UserId, id: SessionId) -> Entry {
    Entry::done(user, Action::SessionCreated, Target::Session(id))
}

/// A session was ended.
pub const fn session_ended(user: UserId, id: SessionId) -> Entry {
    Entry::done(user, Action::SessionEnded, Target::Session(id))
}

/// A session's secret was reported as found in public.
pub const fn session_leaked(user: UserId, id: SessionId) -> Entry {
    Entry::done(user, Action::TokenLeaked, Target::Session(id))
}

/// A session was ended because its secret was found in public.
pub fn session_ended_by_leak(user: UserId, id: SessionId) -> Entry {
    session_ended(user, id).with(RevocationReason::LeakReport.as_str())
}

/// An environment was added. Like all events of environments, except those of members, it is in the owner's trail.
pub const fn environment_created(owner: UserId, id: EnvironmentId) -> Entry {
    of_environment(owner, Action::EnvironmentCreated, id)
}

/// An environment got another name.
pub const fn environment_renamed(owner: UserId, id: EnvironmentId) -> Entry {
    of_environment(owner, Action::EnvironmentRenamed, id)
}

/// An environment was deleted, with its tokens.
pub const fn environment_deleted(owner: UserId, id: EnvironmentId) -> Entry {
    of_environment(owner, Action::EnvironmentDeleted, id)
}

/// An environment was shared: the event in the owner's trail, and the one in the member's.
pub fn environment_shared(owner: UserId, id: EnvironmentId, member: UserId, role: MemberRole) -> (Entry, Entry) {
    let shared = |user| of_environment(user, Action::EnvironmentShared, id);
    (shared(owner).with(format!("{} to user {member}", role.as_str())), shared(member).with(role.as_str()))
}

/// An environment is no longer shared with a member: the event in the owner's trail, and the one in the member's.
pub fn environment_unshared(owner: UserId, id: EnvironmentId, member: UserId) -> (Entry, Entry) {
    let unshared = |user| of_environment(user, Action::EnvironmentUnshared, id);
    (unshared(owner).with(format!("from user {member}")), unshared(member))
}

const fn of_environment(user: UserId, action: Action, id: EnvironmentId) -> Entry {
    Entry::done(user, action, Target::Environment(id))
}

/// The events of what `actor` did in an environment of another user: the owner's says who, and the actor gets their own.
/// Only the first, if the actor is the owner.
pub fn in_environment(entry: Entry, actor: UserId) -> (Entry, Option<Entry>) {
    if entry.user == Some(actor) {
        return (entry, None);
    }
    let own = Entry { user: Some(actor), ..entry.clone() };
    let detail = entry.detail.as_ref().map_or_else(String::new, |detail| format!("{detail}, "));
    (entry.with(format!("{detail}by user {actor}")), Some(own))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn the_event_of_a_replacement_has_one_wording_for_all_tokens() {
        let (owner, id) = (UserId::new(Uuid::from_u128(1)), TokenId::new(Uuid::from_u128(2)));
        let environment = Some(EnvironmentId::new(Uuid::from_u128(3)));
        let (personal, shared) = (TokenRef::personal(owner, id), TokenRef { id, owner, environment });
        assert_eq!(personal.replaced(id, false).detail, shared.replaced(id, false).detail);
        assert_eq!(personal.replaced(id, false).detail.as_deref(), Some(&*format!("to {id}")));
        assert_eq!(personal.replaced(id, true).detail.as_deref(), Some(&*format!("to {id}, abilities narrowed")));
        assert_eq!(shared.revoked(RevocationReason::Rotated).target, Target::EnvironmentToken(id));
    }

    #[test]
    fn the_owner_learns_who_acted_in_the_environment_and_the_actor_gets_the_same_event() {
        let [owner, actor] = [0, 1].map(|n| UserId::new(Uuid::from_u128(n)));
        let entry = environment_renamed(owner, EnvironmentId::new(Uuid::nil()));
        assert_eq!(in_environment(entry.clone(), owner), (entry.clone(), None));
        let (for_owner, own) = in_environment(entry.clone(), actor);
        assert_eq!(for_owner.detail.as_deref(), Some(&*format!("by user {actor}")));
        assert_eq!(own, Some(Entry { user: Some(actor), ..entry }));
    }
}
