//! Abilities: their grammar, which ability covers which, and the abilities that this server itself acts on.

use std::{borrow::Cow, fmt, sync::Arc};

/// One ability: `*`, or words of `[A-Za-z0-9_.-]` joined by `:`. The last word may be `*`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ability(Cow<'static, str>);

/// The text is not an ability. The message reads on from "The abilities.0 field …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseAbilityError {
    /// More than [`Ability::MAX_CHARS`] characters.
    #[error("must not be greater than 100 characters.")]
    TooLong,
    /// An empty word, a character outside the alphabet, or a `*` that is not the whole last word.
    #[error("must be * or words of letters, digits, _ . - joined by : (calls:read), of which the last may be *.")]
    Malformed,
}

impl Ability {
    /// `*`: everything except reserved abilities.
    pub const FULL: Self = Self(Cow::Borrowed("*"));
    /// The longest ability, in characters.
    pub const MAX_CHARS: usize = 100;

    /// Parses `text` as it is: nothing is trimmed, and letter case counts.
    pub fn parse(text: &str) -> Result<Self, ParseAbilityError> {
        if text.len() > Self::MAX_CHARS {
            return Err(ParseAbilityError::TooLong);
        }
        let words = text.strip_suffix('*').map_or(Some(text), |head| match head {
            "" => None,
            _ => head.strip_suffix(':').or(Some("")),
        });
        match words {
            None => Ok(Self::FULL),
            Some(words) if words.split(':').all(is_word) => Ok(Self(Cow::Owned(text.to_owned()))),
            Some(_) => Err(ParseAbilityError::Malformed),
        }
    }

    /// The ability as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a holder of this ability may do what needs `needed`.
    ///
    /// Without a wildcard, only an equal ability is covered. `calls:*` covers `calls:read` and `calls:read:own`, but not
    /// `calls`. `*` covers everything. A reserved ability ([`Ability::is_reserved`]) is covered only by a
    /// wildcard that is reserved itself: `admin:*` covers `admin:read`.
    pub fn covers(&self, needed: &str) -> bool {
        if *self.0 == *needed {
            return true;
        }
        let Some(stem) = self.0.strip_suffix('*') else {
            return false;
        };
        needed.len() > stem.len() && needed.starts_with(stem) && (!is_reserved(needed) || is_reserved(stem))
    }

    /// Whether this ability concerns the whole server. Only an administrator grants it.
    pub fn is_reserved(&self) -> bool {
        is_reserved(&self.0)
    }
}

impl fmt::Display for Ability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_word(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

fn is_reserved(text: &str) -> bool {
    text == ServerAbility::TokensIntrospect.as_str() || text == "admin" || text.starts_with("admin:")
}

/// An ability that this server itself acts on. All other abilities are for applications to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerAbility {
    /// Read the owner's account (`GET /api/user`).
    UserRead,
    /// Rotate the token itself.
    TokensRotateSelf,
    /// Read the owner's environments.
    EnvironmentsRead,
    /// Introspect any token. Reserved, so only an administrator grants it.
    TokensIntrospect,
    /// Read what an administrator may read. Reserved, and of use only to a token of an administrator.
    AdminRead,
    /// Do what an administrator's token may do; it covers [`Self::AdminRead`]. Reserved, and of use only to a token of an
    /// administrator.
    Admin,
}

impl ServerAbility {
    /// All of them. A configured catalogue need not repeat them.
    pub const ALL: [Self; 6] = [
        Self::UserRead,
        Self::TokensRotateSelf,
        Self::EnvironmentsRead,
        Self::TokensIntrospect,
        Self::AdminRead,
        Self::Admin,
    ];

    /// The ability as text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UserRead => "user:read",
            Self::TokensRotateSelf => "tokens:rotate-self",
            Self::EnvironmentsRead => "environments:read",
            Self::TokensIntrospect => "tokens:introspect",
            Self::AdminRead => "admin:read",
            Self::Admin => "admin:*",
        }
    }

    /// The ability.
    pub const fn ability(self) -> Ability {
        Ability(Cow::Borrowed(self.as_str()))
    }
}

/// The abilities of one token in their order, each once. A token without abilities proves an identity and may do nothing
/// else. Clones share the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Abilities(Arc<[Ability]>);

/// More than [`Abilities::MAX`] abilities. The message reads on from "The abilities field …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must not have more than 100 items.")]
pub struct TooManyAbilities;

impl Abilities {
    /// The most abilities that a token may hold.
    pub const MAX: usize = 100;

    /// Keeps the order and drops repetitions.
    pub fn new(abilities: impl IntoIterator<Item = Ability>) -> Result<Self, TooManyAbilities> {
        let mut unique: Vec<Ability> = Vec::new();
        for ability in abilities {
            if !unique.contains(&ability) {
                if unique.len() == Self::MAX {
                    return Err(TooManyAbilities);
                }
                unique.push(ability);
            }
        }
        Ok(Self(unique.into()))
    }

    /// `["*"]`: everything except reserved abilities.
    pub fn full() -> Self {
        Self(Arc::new([Ability::FULL]))
    }

    /// `[]`: no abilities.
    pub fn none() -> Self {
        Self(Arc::new([]))
    }

    /// Whether one of these covers `needed` ([`Ability::covers`]).
    pub fn cover(&self, needed: &str) -> bool {
        self.0.iter().any(|ability| ability.covers(needed))
    }

    /// The abilities in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Ability> {
        self.0.iter()
    }
}

/// Joined by spaces, which no ability contains, as OAuth writes scopes (RFC 6749, section 3.3).
impl fmt::Display for Abilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, ability) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str(" ")?;
            }
            f.write_str(ability.as_str())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn accepts_the_grammar_and_nothing_else() {
        for good in ["*", "calls", "calls:read", "calls:*", "a.b-c_d:0:*", &"a".repeat(100)] {
            assert!(Ability::parse(good).is_ok(), "{good}");
        }
        for bad in ["", ":", "a:", ":a", "a::b", "**", "a*", "a:*:b", "*:a", "a b", "a:b ", "é", "a:**", ":*", "a\0"] {
            assert_eq!(Ability::parse(bad), Err(ParseAbilityError::Malformed), "{bad:?}");
        }
        assert_eq!(Ability::parse(&"a".repeat(101)), Err(ParseAbilityError::TooLong));
    }

    #[test]
    fn a_reserved_ability_is_covered_only_by_a_reserved_wildcard() {
        for held in ["*", "tokens:*"] {
            let held = Ability::parse(held).unwrap();
            assert!(!held.covers("tokens:introspect") && !held.covers("admin:users"), "{held}");
        }
        let admin = Ability::parse("admin:*").unwrap();
        assert!(admin.covers("admin:read") && admin.covers("admin:*"));
        assert!(!admin.covers("admin") && !admin.covers("tokens:introspect"));
        assert!(Ability::parse("tokens:introspect").unwrap().covers("tokens:introspect"));
        assert!(Ability::parse("tokens:*").unwrap().covers("tokens:rotate-self"));
    }

    #[test]
    fn repetitions_count_once_and_order_stays() {
        let list = ["b", "a", "b"].map(|a| Ability::parse(a).unwrap());
        let kept: Vec<_> = Abilities::new(list).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(kept, ["b", "a"]);
        let many = (0..101).map(|n| Ability::parse(&format!("a{n}")).unwrap());
        assert_eq!(Abilities::new(many), Err(TooManyAbilities));
    }

    /// The same rule, word by word and as simply as possible.
    fn naive_covers(held: &str, needed: &str) -> bool {
        let (held, needed): (Vec<_>, Vec<_>) = (held.split(':').collect(), needed.split(':').collect());
        if held == needed {
            return true;
        }
        let reserved = needed == ["tokens", "introspect"] || needed[0] == "admin";
        let (last, head) = held.split_last().unwrap();
        let may_cover = !reserved || held[0] == "admin";
        *last == "*" && may_cover && needed.len() > head.len() && needed[..head.len()] == *head
    }

    proptest! {
        #[test]
        fn matches_like_the_naive_model(
            held in "(\\*|(a|b|admin|tokens)(:(a|b|introspect)){0,2}(:\\*)?)",
            needed in "(a|b|admin|tokens)(:(a|b|introspect)){0,3}",
        ) {
            let ability = Ability::parse(&held).unwrap();
            prop_assert_eq!(ability.covers(&needed), naive_covers(&held, &needed), "{} covers {}", held, needed);
        }

        #[test]
        fn what_parses_comes_back_as_it_was(text in "[a-z:*.]{0,12}") {
            if let Ok(ability) = Ability::parse(&text) {
                prop_assert_eq!(ability.as_str(), text);
            }
        }
    }
}
