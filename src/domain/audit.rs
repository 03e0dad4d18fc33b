//! The audit trail: who did what to whom, from where, and what was refused.
//!
//! Every word here is on somebody's disk and on the wire: words are added, never changed.

use std::{borrow::Cow, net::IpAddr};

use uuid::Uuid;

use super::{
    id::{EnvironmentId, SessionId, TokenId, UserId},
    secret::CredentialKind,
    time::Timestamp,
};

/// Who acts, by which credential, or without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A signed-in person.
    Session(SessionId),
    /// Software with a person's token.
    PersonalAccessToken(TokenId),
    /// Software with an environment's token.
    EnvironmentToken(TokenId),
    /// Whoever holds the machine.
    CommandLine,
    /// Somebody who presented no credential: who signs in or registers.
    Anonymous,
    /// This program by itself.
    System,
}

impl Actor {
    /// The word for its kind, on the wire and in the store.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Session(_) => CredentialKind::Session.as_str(),
            Self::PersonalAccessToken(_) => CredentialKind::PersonalAccessToken.as_str(),
            Self::EnvironmentToken(_) => CredentialKind::EnvironmentToken.as_str(),
            Self::CommandLine => "command_line",
            Self::Anonymous => "anonymous",
            Self::System => "system",
        }
    }

    /// The session or token, where it is one.
    pub const fn id(self) -> Option<Uuid> {
        match self {
            Self::Session(id) => Some(id.uuid()),
            Self::PersonalAccessToken(id) | Self::EnvironmentToken(id) => Some(id.uuid()),
            Self::CommandLine | Self::Anonymous | Self::System => None,
        }
    }

    /// Puts together what [`Actor::kind`] and [`Actor::id`] took apart.
    pub fn parse(kind: &str, id: Option<Uuid>) -> Result<Self, ParseWordError> {
        match (kind, id) {
            ("session", Some(id)) => Ok(Self::Session(SessionId::new(id))),
            ("personal_access_token", Some(id)) => Ok(Self::PersonalAccessToken(TokenId::new(id))),
            ("environment_token", Some(id)) => Ok(Self::EnvironmentToken(TokenId::new(id))),
            ("command_line", None) => Ok(Self::CommandLine),
            ("anonymous", None) => Ok(Self::Anonymous),
            ("system", None) => Ok(Self::System),
            _ => Err(ParseWordError),
        }
    }
}

/// Whence a change comes: who acts, and by which request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestSource {
    /// Who acts.
    pub actor: Actor,
    /// The address it was asked for from; `None` is this machine's own doing.
    pub address: Option<IpAddr>,
    /// The identifier of the request, as its answer and its log line carry it.
    pub request_id: Option<String>,
}

impl RequestSource {
    /// The administrator's hand.
    pub const COMMAND_LINE: Self = Self { actor: Actor::CommandLine, address: None, request_id: None };

    /// This program by itself.
    pub const SYSTEM: Self = Self { actor: Actor::System, address: None, request_id: None };
}

/// By whom and when something is done: what every change of the store is told.
///
/// Where a session acts, it must not have ended when the change is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribution {
    /// By whom.
    pub origin: RequestSource,
    /// When.
    pub at: Timestamp,
}

impl Attribution {
    /// The session that acts, where one does.
    pub const fn session(&self) -> Option<SessionId> {
        match self.origin.actor {
            Actor::Session(id) => Some(id),
            _ => None,
        }
    }
}

/// The text is none of the words that are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a word of the audit trail")]
pub struct ParseWordError;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $name {
            /// Every one of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The word for it, on the wire and in the store.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }

            /// Reads the word.
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
    /// What was done or attempted. Tokens of persons and of environments share their words, since the target says which
    /// it is: who looks for revocations asks for one word.
    Action {
        /// An account was made.
        UserCreated = "user.created",
        /// A name or the current environment was changed.
        UserUpdated = "user.updated",
        /// An e-mail address was changed, from and to what is in the detail; refused where the password was wrong or
        /// somebody else has the address.
        UserEmailChanged = "user.email_changed",
        /// A password was changed; refused where the current one was wrong.
        UserPasswordChanged = "user.password_changed",
        /// An account was disabled.
        UserDisabled = "user.disabled",
        /// An account was enabled.
        UserEnabled = "user.enabled",
        /// Somebody did not get in. Always refused.
        SignInRefused = "sign_in.refused",
        /// Somebody signed in.
        SessionCreated = "session.created",
        /// A session was ended before its time, by whatever.
        SessionEnded = "session.ended",
        /// A token was made.
        TokenCreated = "token.created",
        /// A token was given another name.
        TokenRenamed = "token.renamed",
        /// A token was revoked.
        TokenRevoked = "token.revoked",
        /// A token was replaced by a successor.
        TokenRotated = "token.rotated",
        /// A token was disabled.
        TokenDisabled = "token.disabled",
        /// A token was enabled.
        TokenEnabled = "token.enabled",
        /// A token was used after its successor had taken its place.
        TokenReuseDetected = "token.reuse_detected",
        /// A token was reported as found where it should not be.
        TokenLeaked = "token.leaked",
        /// An environment was made.
        EnvironmentCreated = "environment.created",
        /// An environment was given another name.
        EnvironmentRenamed = "environment.renamed",
        /// An environment was deleted, and its tokens with it.
        EnvironmentDeleted = "environment.deleted",
        /// An environment was shared with somebody.
        EnvironmentShared = "environment.shared",
        /// An environment is shared with somebody no more.
        EnvironmentUnshared = "environment.unshared",
    }
}

words! {
    /// How it went.
    Outcome {
        /// It was done.
        Success = "success",
        /// It was refused, and nothing changed.
        Refused = "refused",
    }
}

/// What it was done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// An account.
    User(UserId),
    /// The account of an address that nobody has.
    UnknownUser,
    /// A session.
    Session(SessionId),
    /// A personal access token.
    PersonalAccessToken(TokenId),
    /// A token of an environment.
    EnvironmentToken(TokenId),
    /// An environment.
    Environment(EnvironmentId),
}

impl Target {
    /// A token, of an environment or of a person.
    pub const fn token(id: TokenId, environment: Option<EnvironmentId>) -> Self {
        match environment {
            Some(_) => Self::EnvironmentToken(id),
            None => Self::PersonalAccessToken(id),
        }
    }

    /// The word for its kind, on the wire and in the store.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::User(_) | Self::UnknownUser => "user",
            Self::Session(_) => CredentialKind::Session.as_str(),
            Self::PersonalAccessToken(_) => CredentialKind::PersonalAccessToken.as_str(),
            Self::EnvironmentToken(_) => CredentialKind::EnvironmentToken.as_str(),
            Self::Environment(_) => "environment",
        }
    }

    /// Its identifier.
    pub const fn id(self) -> Option<Uuid> {
        match self {
            Self::UnknownUser => None,
            Self::User(id) => Some(id.uuid()),
            Self::Session(id) => Some(id.uuid()),
            Self::PersonalAccessToken(id) | Self::EnvironmentToken(id) => Some(id.uuid()),
            Self::Environment(id) => Some(id.uuid()),
        }
    }

    /// Puts together what [`Target::kind`] and [`Target::id`] took apart.
    pub fn parse(kind: &str, id: Option<Uuid>) -> Result<Self, ParseWordError> {
        match (kind, id) {
            ("user", None) => Ok(Self::UnknownUser),
            ("user", Some(id)) => Ok(Self::User(UserId::new(id))),
            ("session", Some(id)) => Ok(Self::Session(SessionId::new(id))),
            ("personal_access_token", Some(id)) => Ok(Self::PersonalAccessToken(TokenId::new(id))),
            ("environment_token", Some(id)) => Ok(Self::EnvironmentToken(TokenId::new(id))),
            ("environment", Some(id)) => Ok(Self::Environment(EnvironmentId::new(id))),
            _ => Err(ParseWordError),
        }
    }
}

/// What happened, apart from by whom and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// In whose trail it is; `None` is nobody's.
    pub user: Option<UserId>,
    /// What was done or attempted.
    pub action: Action,
    /// To what.
    pub target: Target,
    /// How it went.
    pub outcome: Outcome,
    /// More, in a word or two of this program. Nothing that anybody typed, but for the addresses of an account.
    pub detail: Option<Cow<'static, str>>,
}

impl Entry {
    /// Something that was done.
    pub const fn done(user: UserId, action: Action, target: Target) -> Self {
        Self { user: Some(user), action, target, outcome: Outcome::Success, detail: None }
    }

    /// Something that was refused, and why.
    pub const fn refused(user: Option<UserId>, action: Action, why: &'static str) -> Self {
        let target = match user {
            Some(user) => Target::User(user),
            None => Target::UnknownUser,
        };
        Self { user, action, target, outcome: Outcome::Refused, detail: Some(Cow::Borrowed(why)) }
    }

    /// The same with a word more.
    pub fn with(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}

/// An entry of the trail, as it was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its place among all events of the store: later ones have larger numbers.
    pub seq: i64,
    /// By whom and when.
    pub by: Attribution,
    /// What happened.
    pub entry: Entry,
}

impl Event {
    /// A name for it that says no more than when it was: a UUIDv7 whose random part is made of its place.
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
    fn every_word_is_read_as_what_it_was_written_for() {
        for action in Action::ALL {
            assert_eq!(Action::parse(action.as_str()), Ok(*action));
        }
        for outcome in Outcome::ALL {
            assert_eq!(Outcome::parse(outcome.as_str()), Ok(*outcome));
        }
        assert_eq!(Action::parse("token.forgotten"), Err(ParseWordError));
    }

    #[test]
    fn actors_and_targets_come_back_from_their_kind_and_id() {
        let id = Uuid::from_u128(7);
        let (session, token) = (SessionId::new(id), TokenId::new(id));
        let actors = [Actor::Session(session), Actor::PersonalAccessToken(token), Actor::EnvironmentToken(token)];
        for actor in actors.into_iter().chain([Actor::CommandLine, Actor::Anonymous, Actor::System]) {
            assert_eq!(Actor::parse(actor.kind(), actor.id()), Ok(actor));
        }
        let of_tokens = [Target::PersonalAccessToken(token), Target::EnvironmentToken(token)];
        let others = [Target::User(UserId::new(id)), Target::Environment(EnvironmentId::new(id))];
        for target in of_tokens.into_iter().chain(others).chain([Target::UnknownUser, Target::Session(session)]) {
            assert_eq!(Target::parse(target.kind(), target.id()), Ok(target));
        }
        assert_eq!(Actor::parse("session", None), Err(ParseWordError));
        assert_eq!(Actor::parse("system", Some(id)), Err(ParseWordError));
        assert_eq!(Target::parse("session", None), Err(ParseWordError));
    }

    #[test]
    fn an_event_has_one_name_for_good() {
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
