//! The identifiers of users, sessions, tokens and environments: UUIDv7 (RFC 9562), a type each so that none stands for another.

use std::fmt;

use uuid::Uuid;

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps an identifier that was generated or loaded.
            pub const fn new(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// Reads the hyphenated form; anything else is no identifier (a caller answers 404).
            pub fn parse(text: &str) -> Option<Self> {
                let hyphenated = text.len() == uuid::fmt::Hyphenated::LENGTH;
                Uuid::try_parse(text).ok().filter(|_| hyphenated).map(Self)
            }

            /// The wrapped identifier.
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }
    };
}

identifier!(
    /// Names a user.
    UserId
);
identifier!(
    /// Names a session.
    SessionId
);
identifier!(
    /// Names a token. Its row number, the `N` of `N|pat_…`, is another thing.
    TokenId
);
identifier!(
    /// Names an environment.
    EnvironmentId
);
