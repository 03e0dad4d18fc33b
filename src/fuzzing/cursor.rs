//! Cursors of lists.

use uuid::Uuid;

use super::lines::line;
use crate::{
    domain::time::Timestamp,
    ops::cursor::{List, ListScope},
};

const OWNER: Uuid = Uuid::from_u128(1);

/// The first line is a number, the second one an id, the third one a text; the rest is a cursor.
///
/// A cursor that this program writes is read as what it was written from, for the same list and scope only. Any other text
/// is refused: what is accepted was written by this program.
pub fn cursor(data: &[u8]) {
    let Ok(mut text) = std::str::from_utf8(data) else { return };
    let number = line(&mut text).trim().parse::<i64>().map_or(0, |number| number.saturating_abs());
    let id = Uuid::try_parse(line(&mut text).trim()).unwrap_or_default();
    let key = line(&mut text);
    let at = Timestamp::from_unix(number);
    for (time, list) in [(Some(at), List::Tokens), (None, List::Events)] {
        let scope = ListScope::search(OWNER, key);
        check(
            list,
            scope,
            text,
            &number,
            |l, s, number| l.write_cursor(s, *number),
            |l, s, t| l.parse_cursor(s, t).ok(),
        );
        check(list, scope, text, &id, |l, s, id| l.write_id_cursor(s, *id), |l, s, t| l.parse_id_cursor(s, t).ok());
        check(
            list,
            scope,
            text,
            &(at, id),
            |l, s, (at, id)| l.write_timed_cursor(s, *at, *id),
            |l, s, t| l.parse_timed_cursor(s, t).ok(),
        );
        check(
            list,
            scope,
            text,
            &(key.to_owned(), id),
            |l, s, (key, id)| l.write_sorted_cursor(s, key, *id),
            |l, s, t| l.parse_sorted_cursor(s, t).ok(),
        );
        check(
            list,
            scope,
            text,
            &(time, number),
            |l, s, (time, number)| l.write_place_cursor(s, *time, *number),
            |l, s, t| l.parse_place_cursor(s, t).ok(),
        );
    }
}

fn check<T: PartialEq + std::fmt::Debug>(
    list: List,
    scope: ListScope,
    text: &str,
    place: &T,
    write: impl Fn(List, ListScope, &T) -> String,
    read: impl Fn(List, ListScope, &str) -> Option<T>,
) {
    let written = write(list, scope, place);
    assert_eq!(read(list, scope, &written).as_ref(), Some(place), "{written}");
    assert_eq!(read(List::Sessions, scope, &written), None, "another list: {written}");
    assert_eq!(
        read(list, ListScope::search(OWNER, (text, "other filters")), &written),
        None,
        "another scope: {written}"
    );
    if let Some(found) = read(list, scope, text) {
        assert_eq!(write(list, scope, &found), text);
    }
    // One character of it replaced, left out or added.
    let changes = text.chars().next().unwrap_or('0');
    let at = text.len() % written.len();
    let others = [
        format!("{}{changes}{}", &written[..at], &written[at + 1..]),
        format!("{}{}", &written[..at], &written[at + 1..]),
        format!("{}{changes}{}", &written[..at], &written[at..]),
    ];
    for other in others.iter().filter(|other| **other != written) {
        assert_eq!(read(list, scope, other), None, "{other} was not written, but {written}");
    }
}
