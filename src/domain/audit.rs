//! The audit trail: who changed what, from where, and which attempts were refused.
//!
//! The names here are in databases and in the API. New ones may be added, existing ones never change.

mod actor;
mod target;

use std::{borrow::Cow, net::IpAddr};

use uuid::Uuid;

pub use self::{
    actor::Actor,
    target::{ParseWordError, Target},
};
use super::{
    id::{SessionId, UserId},
    keyed_request::KeyedRequest,
    time::Timestamp,
};

/// The source of a change: who acts, and by which request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestSource {
    /// Who acts.
    pub actor: Actor,
    /// The client's address. `None` for the command line and the server itself.
    pub address: Option<IpAddr>,
    /// The id of the request, as in its answer and its log line.
    pub request_id: Option<String>,
    /// If the request has an `Idempotency-Key`: the change is made only if no request with this key was made before. It is no
    /// part of an event.
    pub keyed: Option<Box<KeyedRequest>>,
}

impl RequestSource {
    /// The command line.
    pub const COMMAND_LINE: Self = Self::without_request(Actor::CommandLine);

    /// The server itself.
    pub const SYSTEM: Self = Self::without_request(Actor::System);

    /// `actor`, by no request.
    pub const fn without_request(actor: Actor) -> Self {
        Self { actor, address: None, request_id: None, keyed: None }
    }
}

/// Who makes a change, and when. The store needs it for every change.
///
/// If a session acts, the store makes the change only if the session has not ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribution {
    /// The source of the change.
    pub origin: RequestSource,
    /// The time of the change.
    pub at: Timestamp,
}

impl Attribution {
    /// The session, if a session acts.
    pub const fn session(&self) -> Option<SessionId> {
        match self.origin.actor {
            Actor::Session { id, .. } => Some(id),
            _ => None,
        }
    }
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name in the API and in the store.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }

            /// Parses the name.
            pub fn parse(text: &str) -> Result<Self, ParseWordError> {
                match text {
                    $($word => Ok(Self::$variant),)*
                    _ => Err(ParseWordError),
                }
            }
        }
    };
}

words! {
    /// What was done or attempted. Personal and environment tokens share the same actions; the target tells them apart.
    Action {
        /// An account was created.
        UserCreated = "user.created",
        /// A name or the current environment was changed.
        UserUpdated = "user.updated",
        /// An e-mail address was changed. The detail has the old and the new one. Refused if the password was wrong or
        /// another account has the address.
        UserEmailChanged = "user.email_changed",
        /// A password was changed. Refused if the current one was wrong, or the link that should set it.
        UserPasswordChanged = "user.password_changed",
        /// A user got a link to set a password: with a new account, or because the password was reset.
        UserPasswordLinkCreated = "user.password_link_created",
        /// A user's role was changed. The detail has the new one.
        UserRoleChanged = "user.role_changed",
        /// An account was disabled.
        UserDisabled = "user.disabled",
        /// An account was enabled.
        UserEnabled = "user.enabled",
        /// An account was deleted, and the personal data in its trail was erased.
        UserDeleted = "user.deleted",
        /// A sign-in failed. Always refused.
        SignInRefused = "sign_in.refused",
        /// An administrator cleared what the throttle held against an account or an address.
        ThrottleCleared = "throttle.cleared",
        /// A user signed in.
        SessionCreated = "session.created",
        /// A session was ended before its expiry.
        SessionEnded = "session.ended",
        /// A token was created.
        TokenCreated = "token.created",
        /// A token was renamed.
        TokenRenamed = "token.renamed",
        /// A token got another description or other metadata. The detail says which of the two.
        TokenUpdated = "token.updated",
        /// A token was revoked.
        TokenRevoked = "token.revoked",
        /// A token was rotated or regenerated.
        TokenRotated = "token.rotated",
        /// A token was disabled.
        TokenDisabled = "token.disabled",
        /// A token was enabled.
        TokenEnabled = "token.enabled",
        /// A secret was used after rotation had ended it.
        TokenReuseDetected = "token.reuse_detected",
        /// A canary token was used. Always refused. The detail is the user agent.
        TokenCanaryUsed = "token.canary_used",
        /// A token was named in a leak report.
        TokenLeaked = "token.leaked",
        /// A personal token got another owner. The detail says which, in the trails of both.
        TokenHandedOver = "token.handed_over",
        /// An environment was created.
        EnvironmentCreated = "environment.created",
        /// An environment was renamed.
        EnvironmentRenamed = "environment.renamed",
        /// An environment was deleted with its tokens.
        EnvironmentDeleted = "environment.deleted",
        /// An environment was shared with a user, or a member's role was changed.
        EnvironmentShared = "environment.shared",
        /// A member was removed from an environment.
        EnvironmentUnshared = "environment.unshared",
        /// An environment got another owner. The detail says which, in the trails of both.
        EnvironmentTransferred = "environment.transferred",
        /// A service account was created.
        ServiceAccountCreated = "service_account.created",
        /// A service account got another name or description.
        ServiceAccountUpdated = "service_account.updated",
        /// A service account was disabled.
        ServiceAccountDisabled = "service_account.disabled",
        /// A service account was enabled.
        ServiceAccountEnabled = "service_account.enabled",
        /// A service account was deleted with its tokens.
        ServiceAccountDeleted = "service_account.deleted",
        /// A user became a manager of a service account.
        ServiceAccountManagerAdded = "service_account.manager_added",
        /// A user is no longer a manager of a service account.
        ServiceAccountManagerRemoved = "service_account.manager_removed",
        /// The database was restored from a backup. In the trail of no user. The detail says up to which event, and what was
        /// ended.
        DatabaseRestored = "database.restored",
    }
}

words! {
    /// The outcome.
    Outcome {
        /// It was done.
        Success = "success",
        /// It was refused, and nothing was changed.
        Refused = "refused",
    }
}

/// What happened, apart from by whom and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The user in whose trail it is. `None` is in no user's trail.
    pub user: Option<UserId>,
    /// What was done or attempted.
    pub action: Action,
    /// To what.
    pub target: Target,
    /// The outcome.
    pub outcome: Outcome,
    /// More, in a word or two of this program. Nothing that anybody typed, except the addresses of an account and the user
    /// agent of who used a canary token.
    pub detail: Option<Cow<'static, str>>,
}

impl Entry {
    /// A change that was made.
    pub const fn done(user: UserId, action: Action, target: Target) -> Self {
        Self { user: Some(user), action, target, outcome: Outcome::Success, detail: None }
    }

    /// An attempt that was refused, and why.
    pub const fn refused(user: Option<UserId>, action: Action, why: &'static str) -> Self {
        let target = match user {
            Some(user) => Target::User(user),
            None => Target::UnknownUser,
        };
        Self { user, action, target, outcome: Outcome::Refused, detail: Some(Cow::Borrowed(why)) }
    }

    /// The same entry with a detail.
    pub fn with(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}

/// A stored event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The sequence number in the store. Later events have larger ones.
    pub seq: i64,
    /// Who made the change, and when.
    pub by: Attribution,
    /// What happened.
    pub entry: Entry,
}

impl Event {
    /// A public id that reveals only the time: a UUIDv7 whose random part is a hash of the sequence number.
    pub fn id(&self) -> Uuid {
        let mut hasher = blake3::Hasher::new_derive_key("patd audit event id v1");
        let hash = hasher.update(&self.seq.to_be_bytes()).finalize();
        let mut random = [0; 10];
        random.copy_from_slice(&hash.as_bytes()[..10]);
        let milliseconds = u64::try_from(self.by.at.unix()).unwrap_or(0) * 1000;
        uuid::Builder::from_unix_timestamp_millis(milliseconds, &random).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_parses_to_its_own_value() {
        for action in Action::ALL {
            assert_eq!(Action::parse(action.as_str()), Ok(*action));
        }
        for outcome in Outcome::ALL {
            assert_eq!(Outcome::parse(outcome.as_str()), Ok(*outcome));
        }
        assert_eq!(Action::parse("token.forgotten"), Err(ParseWordError));
    }

    #[test]
    fn an_event_always_has_the_same_id() {
        let event = |seq| Event {
            seq,
            by: Attribution { origin: RequestSource::SYSTEM, at: Timestamp::from_unix(1_700_000_000) },
            entry: Entry::refused(None, Action::SignInRefused, "unknown_user"),
        };
        assert_eq!(event(1).id(), event(1).id());
        assert_ne!(event(1).id(), event(2).id());
        assert_eq!(event(1).id().get_version_num(), 7);
    }
}
