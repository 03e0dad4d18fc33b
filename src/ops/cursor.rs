//! Where a page of a list ended, in a text that a client hands back.
//!
//! A cursor is a row's number and a tag of list and owner. The tag is no secret: it keeps a cursor from being used with
//! another account or list by mistake, and the query looks at the owner's rows alone in any case.

use super::{Error, Violation};
use crate::domain::id::UserId;

/// A list that is answered in pages.
#[derive(Clone, Copy, Debug)]
pub(super) enum List {
    Tokens,
    Events,
}

impl List {
    const fn context(self) -> &'static str {
        match self {
            Self::Tokens => "patd token list cursor v1",
            Self::Events => "patd audit event list cursor v1",
        }
    }

    /// The cursor behind the row `number`.
    pub(super) fn write_cursor(self, owner: UserId, number: i64) -> String {
        let mut hasher = blake3::Hasher::new_derive_key(self.context());
        hasher.update(owner.uuid().as_bytes()).update(&number.to_be_bytes());
        format!("{number:016x}{}", &hasher.finalize().to_hex()[..16])
    }

    /// The row's number, if the cursor was written for this list and owner.
    pub(super) fn parse_cursor(self, owner: UserId, text: &str) -> Result<i64, Error> {
        text.get(..16)
            .and_then(|number| i64::from_str_radix(number, 16).ok())
            .filter(|number| self.write_cursor(owner, *number) == text)
            .ok_or_else(|| Violation::new("cursor", "must be a next_cursor that was answered to you.").into())
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_cursor_comes_back_for_its_owner_and_list_alone() {
        let (ada, bob) = (UserId::new(Uuid::from_u128(1)), UserId::new(Uuid::from_u128(2)));
        let cursor = List::Tokens.write_cursor(ada, 42);
        assert_eq!(List::Tokens.parse_cursor(ada, &cursor), Ok(42));
        assert!(List::Tokens.parse_cursor(bob, &cursor).is_err());
        assert!(List::Events.parse_cursor(ada, &cursor).is_err());
        for bad in ["", "x", &cursor[1..], &cursor.to_uppercase(), "é".repeat(16).as_str()] {
            assert!(List::Tokens.parse_cursor(ada, bad).is_err(), "{bad}");
        }
    }
}
