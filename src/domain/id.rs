//! Ids of users, sessions, tokens and environments: UUIDv7 (RFC 9562). Each kind has its own type, so that they cannot be
//! mixed up.

use std::fmt;

use uuid::Uuid;

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps an id that was generated or loaded.
            pub const fn new(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// Parses the hyphenated form. `None` for any other text.
            pub fn parse(text: &str) -> Option<Self> {
                let hyphenated = text.len() == uuid::fmt::Hyphenated::LENGTH;
                Uuid::try_parse(text).ok().filter(|_| hyphenated).map(Self)
            }

            /// The wrapped UUID.
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
    /// The id of a user.
    UserId
);
identifier!(
    /// The id of a session.
    SessionId
);
identifier!(
    /// The id of a token. The `N` in `N|pat_…` is not the id but the row number.
    TokenId
);
identifier!(
    /// The id of an environment.
    EnvironmentId
);
