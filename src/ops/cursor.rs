//! Cursors: where the next page of a list begins.
//!
//! A cursor is the number or id of a row, and a tag for the list and its owner. The tag is not a secret. It detects a cursor
//! that is used with another account, environment or list by mistake. The query reads only the owner's rows in any case.

use uuid::Uuid;

use super::error::{Error, FieldError};
use crate::domain::time::Timestamp;

/// A list with pages.
#[derive(Clone, Copy, Debug)]
pub(super) enum List {
    Tokens,
    Events,
    AllEvents,
    Environments,
    EnvironmentTokens,
    Sessions,
    Accounts,
    ServiceAccounts,
    AllEnvironments,
    FoundTokens,
}

impl List {
    const fn context(self) -> &'static str {
        match self {
            Self::Tokens => "patd token list cursor v1",
            Self::Events => "patd audit event list cursor v1",
            Self::AllEvents => "patd list cursor of everybody's audit events v1",
            Self::Environments => "patd environment list cursor v1",
            Self::EnvironmentTokens => "patd environment token list cursor v1",
            Self::Sessions => "patd session list cursor v1",
            Self::Accounts => "patd account list cursor v1",
            Self::AllEnvironments => "patd list of all environments cursor v1",
            Self::ServiceAccounts => "patd service account list cursor v1",
            Self::FoundTokens => "patd found token list cursor v1",
        }
    }

    /// The cursor after the row `number`. `owner` is a user or an environment.
    pub(super) fn write_cursor(self, owner: Uuid, number: i64) -> String {
        format!("{number:016x}{}", self.tag(owner, &number.to_be_bytes()))
    }

    /// The row's number, if the cursor belongs to this list and owner.
    pub(super) fn parse_cursor(self, owner: Uuid, text: &str) -> Result<i64, Error> {
        text.get(..16)
            .and_then(|number| i64::from_str_radix(number, 16).ok())
            .filter(|number| self.write_cursor(owner, *number) == text)
            .ok_or_else(invalid_cursor)
    }

    /// The cursor after the row with this id, for rows without a number.
    pub(super) fn write_id_cursor(self, owner: Uuid, id: Uuid) -> String {
        format!("{}{}", id.simple(), self.tag(owner, id.as_bytes()))
    }

    /// The row's id, if the cursor belongs to this list and owner.
    pub(super) fn parse_id_cursor(self, owner: Uuid, text: &str) -> Result<Uuid, Error> {
        text.get(..32)
            .and_then(|id| Uuid::try_parse(id).ok())
            .filter(|id| self.write_id_cursor(owner, *id) == text)
            .ok_or_else(invalid_cursor)
    }

    /// The cursor after the row with this creation time and id, for rows in the order of both.
    pub(super) fn write_timed_cursor(self, owner: Uuid, at: Timestamp, id: Uuid) -> String {
        let place = [&at.unix().to_be_bytes()[..], id.as_bytes()].concat();
        format!("{:016x}{}{}", at.unix(), id.simple(), self.tag(owner, &place))
    }

    /// The row's creation time and id, if the cursor belongs to this list and owner.
    pub(super) fn parse_timed_cursor(self, owner: Uuid, text: &str) -> Result<(Timestamp, Uuid), Error> {
        let read = || {
            let at = i64::from_str_radix(text.get(..16)?, 16).ok().map(Timestamp::from_unix)?;
            Some((at, Uuid::try_parse(text.get(16..48)?).ok()?))
        };
        read().filter(|(at, id)| self.write_timed_cursor(owner, *at, *id) == text).ok_or_else(invalid_cursor)
    }

    /// The cursor after the row with this sort key and id, in a list of all users with this order.
    pub(super) fn write_sorted_cursor(self, order: &str, key: &str, id: Uuid) -> String {
        let key: String = key.bytes().map(|byte| format!("{byte:02x}")).collect();
        let place = format!("{order} {key}");
        format!("{}{key}{}", id.simple(), self.tag(id, place.as_bytes()))
    }

    /// The sort key and id of the row, if the cursor belongs to this list and order.
    pub(super) fn parse_sorted_cursor(self, order: &str, text: &str) -> Result<(String, Uuid), Error> {
        let read = || {
            let (id, rest) = text.split_at_checked(32)?;
            let key = rest.get(..rest.len().checked_sub(16)?)?;
            let bytes =
                key.as_bytes().chunks(2).map(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
            Some((String::from_utf8(bytes.collect::<Option<_>>()?).ok()?, Uuid::try_parse(id).ok()?))
        };
        let written = |(key, id): &(String, Uuid)| self.write_sorted_cursor(order, key, *id) == text;
        read().filter(written).ok_or_else(invalid_cursor)
    }

    /// The cursor after the row with this time, or without one, and this number.
    pub(super) fn write_place_cursor(self, owner: Uuid, time: Option<Timestamp>, number: i64) -> String {
        let seconds = time.map_or(i64::MAX, Timestamp::unix);
        let place = [seconds.to_be_bytes(), number.to_be_bytes()].concat();
        format!("{seconds:016x}{number:016x}{}", self.tag(owner, &place))
    }

    /// The time and the number, if the cursor belongs to this list and owner.
    pub(super) fn parse_place_cursor(self, owner: Uuid, text: &str) -> Result<(Option<Timestamp>, i64), Error> {
        let read = || {
            let seconds = i64::from_str_radix(text.get(..16)?, 16).ok()?;
            let time = (seconds != i64::MAX).then(|| Timestamp::from_unix(seconds));
            Some((time, i64::from_str_radix(text.get(16..32)?, 16).ok()?))
        };
        read()
            .filter(|(time, number)| self.write_place_cursor(owner, *time, *number) == text)
            .ok_or_else(invalid_cursor)
    }

    fn tag(self, owner: Uuid, place: &[u8]) -> String {
        let mut hasher = blake3::Hasher::new_derive_key(self.context());
        hasher.update(owner.as_bytes()).update(place);
        hasher.finalize().to_hex()[..16].to_owned()
    }
}

fn invalid_cursor() -> Error {
    FieldError::new("cursor", "must be a next_cursor that was answered to you.").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_accepted_for_its_owner_and_list_only() {
        let (ada, bob) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let cursor = List::Tokens.write_cursor(ada, 42);
        assert_eq!(List::Tokens.parse_cursor(ada, &cursor), Ok(42));
        assert!(List::Tokens.parse_cursor(bob, &cursor).is_err());
        assert!(List::Events.parse_cursor(ada, &cursor).is_err());
        for bad in ["", "x", &cursor[1..], &cursor.to_uppercase(), "é".repeat(16).as_str()] {
            assert!(List::Tokens.parse_cursor(ada, bad).is_err(), "{bad}");
        }
        let cursor = List::Environments.write_id_cursor(ada, bob);
        assert_eq!(List::Environments.parse_id_cursor(ada, &cursor), Ok(bob));
        assert!(List::Environments.parse_id_cursor(bob, &cursor).is_err());
        for bad in ["", "x", &cursor[1..], &cursor.to_uppercase(), "é".repeat(32).as_str()] {
            assert!(List::Environments.parse_id_cursor(ada, bad).is_err(), "{bad}");
        }
        let at = Timestamp::from_unix(1_700_000_000);
        let cursor = List::Sessions.write_timed_cursor(ada, at, bob);
        assert_eq!(List::Sessions.parse_timed_cursor(ada, &cursor), Ok((at, bob)));
        assert!(List::Sessions.parse_timed_cursor(bob, &cursor).is_err());
        for bad in ["", "x", &cursor[1..], &cursor.to_uppercase(), "é".repeat(32).as_str()] {
            assert!(List::Sessions.parse_timed_cursor(ada, bad).is_err(), "{bad}");
        }
    }
}
