//! Cursors: where the next page of a list begins.
//!
//! A cursor is the number or id of a row, and a tag for the list, its owner, and its filters and order. The tag is not a
//! secret. It detects a cursor that is used with another account, environment, list or filter by mistake. The query reads
//! only the owner's rows in any case.

use std::fmt::Debug;

use uuid::Uuid;

use super::error::{Error, FieldError};
use crate::domain::time::Timestamp;

/// A list with pages.
#[derive(Clone, Copy, Debug)]
pub(crate) enum List {
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

/// Whose list a cursor belongs to, and which of its rows are listed in which order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ListScope([u8; 16]);

impl ListScope {
    /// All rows of `owner`, a user or an environment, in the only order that the list has. For a list of everybody's, the
    /// nil id.
    pub(crate) fn all_of(owner: Uuid) -> Self {
        Self::search(owner, "")
    }

    /// The rows of `owner` that these filters accept, in this order. Filters that are written in another way but mean the
    /// same may count as different ones.
    pub(crate) fn search(owner: Uuid, filters_and_order: impl Debug) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("patd list scope v1");
        hasher.update(owner.as_bytes()).update(format!("{filters_and_order:?}").as_bytes());
        let mut digest = [0; 16];
        hasher.finalize_xof().fill(&mut digest);
        Self(digest)
    }
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

    /// The cursor after the row `number`.
    pub(crate) fn write_cursor(self, scope: ListScope, number: i64) -> String {
        format!("{number:016x}{}", self.tag(scope, &number.to_be_bytes()))
    }

    /// The row's number, if the cursor belongs to this list and scope.
    pub(crate) fn parse_cursor(self, scope: ListScope, text: &str) -> Result<i64, Error> {
        text.get(..16)
            .and_then(|number| i64::from_str_radix(number, 16).ok())
            .filter(|number| self.write_cursor(scope, *number) == text)
            .ok_or_else(invalid_cursor)
    }

    /// The cursor after the row with this id, for rows without a number.
    pub(crate) fn write_id_cursor(self, scope: ListScope, id: Uuid) -> String {
        format!("{}{}", id.simple(), self.tag(scope, id.as_bytes()))
    }

    /// The row's id, if the cursor belongs to this list and scope.
    pub(crate) fn parse_id_cursor(self, scope: ListScope, text: &str) -> Result<Uuid, Error> {
        text.get(..32)
            .and_then(|id| Uuid::try_parse(id).ok())
            .filter(|id| self.write_id_cursor(scope, *id) == text)
            .ok_or_else(invalid_cursor)
    }

    /// The cursor after the row with this creation time and id, for rows in the order of both.
    pub(crate) fn write_timed_cursor(self, scope: ListScope, at: Timestamp, id: Uuid) -> String {
        let place = [&at.unix().to_be_bytes()[..], id.as_bytes()].concat();
        format!("{:016x}{}{}", at.unix(), id.simple(), self.tag(scope, &place))
    }

    /// The row's creation time and id, if the cursor belongs to this list and scope.
    pub(crate) fn parse_timed_cursor(self, scope: ListScope, text: &str) -> Result<(Timestamp, Uuid), Error> {
        let read = || {
            let at = i64::from_str_radix(text.get(..16)?, 16).ok().map(Timestamp::from_unix)?;
            Some((at, Uuid::try_parse(text.get(16..48)?).ok()?))
        };
        read().filter(|(at, id)| self.write_timed_cursor(scope, *at, *id) == text).ok_or_else(invalid_cursor)
    }

    /// The cursor after the row with this sort key and id.
    pub(crate) fn write_sorted_cursor(self, scope: ListScope, key: &str, id: Uuid) -> String {
        let place = [id.as_bytes(), key.as_bytes()].concat();
        let key: String = key.bytes().map(|byte| format!("{byte:02x}")).collect();
        format!("{}{key}{}", id.simple(), self.tag(scope, &place))
    }

    /// The sort key and id of the row, if the cursor belongs to this list and scope.
    pub(crate) fn parse_sorted_cursor(self, scope: ListScope, text: &str) -> Result<(String, Uuid), Error> {
        let read = || {
            let (id, rest) = text.split_at_checked(32)?;
            let key = rest.get(..rest.len().checked_sub(16)?)?;
            let bytes =
                key.as_bytes().chunks(2).map(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
            Some((String::from_utf8(bytes.collect::<Option<_>>()?).ok()?, Uuid::try_parse(id).ok()?))
        };
        let written = |(key, id): &(String, Uuid)| self.write_sorted_cursor(scope, key, *id) == text;
        read().filter(written).ok_or_else(invalid_cursor)
    }

    /// The cursor after the row with this time, or without one, and this number.
    pub(crate) fn write_place_cursor(self, scope: ListScope, time: Option<Timestamp>, number: i64) -> String {
        let seconds = time.map_or(i64::MAX, Timestamp::unix);
        let place = [seconds.to_be_bytes(), number.to_be_bytes()].concat();
        format!("{seconds:016x}{number:016x}{}", self.tag(scope, &place))
    }

    /// The time and the number, if the cursor belongs to this list and scope.
    pub(crate) fn parse_place_cursor(self, scope: ListScope, text: &str) -> Result<(Option<Timestamp>, i64), Error> {
        let read = || {
            let seconds = i64::from_str_radix(text.get(..16)?, 16).ok()?;
            let time = (seconds != i64::MAX).then(|| Timestamp::from_unix(seconds));
            Some((time, i64::from_str_radix(text.get(16..32)?, 16).ok()?))
        };
        read()
            .filter(|(time, number)| self.write_place_cursor(scope, *time, *number) == text)
            .ok_or_else(invalid_cursor)
    }

    fn tag(self, scope: ListScope, place: &[u8]) -> String {
        let mut hasher = blake3::Hasher::new_derive_key(self.context());
        hasher.update(&scope.0).update(place);
        hasher.finalize().to_hex()[..16].to_owned()
    }
}

fn invalid_cursor() -> Error {
    let predicate =
        "must be a next_cursor that was answered to you, for the same list with the same filters and order.";
    FieldError::new("cursor", predicate).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_accepted_for_its_owner_list_and_filters_only() {
        let (ada, id) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let at = Timestamp::from_unix(1_700_000_000);
        let own = ListScope::all_of(ada);
        let others = [
            ListScope::all_of(id),
            ListScope::search(ada, "t"),
            ListScope::search(ada, Some("t")),
            ListScope::search(id, "t"),
        ];
        for (at, one) in others.iter().enumerate() {
            assert!(*one != own && others[at + 1..].iter().all(|other| other != one));
        }
        check(
            own,
            &others,
            |list, scope| list.write_cursor(scope, 42),
            |list, scope, text| list.parse_cursor(scope, text).map(|number| assert_eq!(number, 42)),
        );
        check(
            own,
            &others,
            |list, scope| list.write_id_cursor(scope, id),
            |list, scope, text| list.parse_id_cursor(scope, text).map(|read| assert_eq!(read, id)),
        );
        check(
            own,
            &others,
            |list, scope| list.write_timed_cursor(scope, at, id),
            |list, scope, text| list.parse_timed_cursor(scope, text).map(|read| assert_eq!(read, (at, id))),
        );
        check(
            own,
            &others,
            |list, scope| list.write_sorted_cursor(scope, "Ada", id),
            |list, scope, text| {
                list.parse_sorted_cursor(scope, text).map(|read| assert_eq!(read, ("Ada".to_owned(), id)))
            },
        );
        check(
            own,
            &others,
            |list, scope| list.write_place_cursor(scope, Some(at), 42),
            |list, scope, text| list.parse_place_cursor(scope, text).map(|read| assert_eq!(read, (Some(at), 42))),
        );
    }

    fn check(
        own: ListScope,
        others: &[ListScope],
        write: impl Fn(List, ListScope) -> String,
        parse: impl Fn(List, ListScope, &str) -> Result<(), Error>,
    ) {
        let cursor = write(List::Tokens, own);
        assert_eq!(parse(List::Tokens, own, &cursor), Ok(()));
        assert!(parse(List::Events, own, &cursor).is_err());
        for other in others {
            assert!(parse(List::Tokens, *other, &cursor).is_err());
        }
        for bad in ["", "x", &cursor[1..], &cursor.to_uppercase(), &"é".repeat(16), &"é".repeat(32)] {
            assert!(parse(List::Tokens, own, bad).is_err(), "{bad}");
        }
    }
}
