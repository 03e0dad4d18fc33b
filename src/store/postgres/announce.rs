//! What a change says to the other nodes: the last statement of its transaction.

use tokio_postgres::Row;
use uuid::Uuid;

use super::{pipeline::Answer, statements::Parameter};
use crate::{
    domain::id::{SessionId, TokenId, UserId},
    store::{
        Change, StoreError,
        cluster::{Mark, Position},
    },
};

/// The channel on which a hint comes that there are new changes. It has no payload, and nothing depends on it.
pub(super) const CHANNEL: &str = "patd_changes";

/// How many changes one transaction announces one by one. Beyond, it says that anything may have changed.
const MAX_ANNOUNCED: usize = 256;

/// Takes the next numbers and leaves the counter's row locked until the commit, so that the numbers are in the order of the
/// commits. Each change has a mark of its own; that of the last one is the counter's.
pub(super) const ANNOUNCE: &str = "WITH latest AS (
         UPDATE change_counter SET sequence = sequence + :count, mark = :mark RETURNING sequence)
     INSERT INTO changes (sequence, mark, kind, subject, at)
     SELECT latest.sequence - :count + announced.place, announced.mark, announced.kind, announced.subject,
            CAST(extract(epoch FROM statement_timestamp()) AS bigint)
     FROM latest, unnest(CAST(:marks AS uuid[]), CAST(:kinds AS text[]), CAST(:subjects AS bytea[]))
         WITH ORDINALITY AS announced (mark, kind, subject, place)
     RETURNING sequence, pg_notify('patd_changes', '')";

/// What a transaction announces: its changes that other nodes must apply before they are answered.
pub(super) struct Announcement {
    count: i64,
    mark: Uuid,
    marks: Vec<Uuid>,
    kinds: Vec<&'static str>,
    subjects: Vec<Option<Vec<u8>>>,
}

impl Announcement {
    /// `None` if there is nothing to announce.
    ///
    /// An added secret is not announced: nobody knows it before its creation is answered, so no node can remember that it is
    /// unknown.
    pub(super) fn of(changes: impl IntoIterator<Item = Change>) -> Option<Self> {
        let mut announced: Vec<(&str, Option<Vec<u8>>)> = Vec::new();
        for change in changes {
            if let Some(row) = columns(change)
                && !announced.contains(&row)
            {
                announced.push(row);
            }
            if announced.len() > MAX_ANNOUNCED {
                announced = vec![(ANYTHING, None)];
                break;
            }
        }
        let marks: Vec<Uuid> = announced.iter().map(|_| Uuid::new_v4()).collect();
        let mark = *marks.last()?;
        let (kinds, subjects): (Vec<_>, Vec<_>) = announced.into_iter().unzip();
        Some(Self { count: i64::try_from(kinds.len()).unwrap_or(i64::MAX), mark, marks, kinds, subjects })
    }

    /// The values of [`ANNOUNCE`].
    pub(super) fn parameters(&self) -> [Parameter<'_>; 5] {
        [
            (":count", &self.count),
            (":mark", &self.mark),
            (":marks", &self.marks),
            (":kinds", &self.kinds),
            (":subjects", &self.subjects),
        ]
    }

    /// The position of the last change. `answer` is that to [`ANNOUNCE`].
    pub(super) fn position(&self, answer: &Answer) -> Result<Position, StoreError> {
        let latest = answer.rows.iter().map(|row| row.get::<_, i64>(0)).max();
        let sequence = latest.ok_or_else(|| StoreError::Internal("no change was announced".to_owned()))?;
        Ok(Position { sequence, mark: Mark(self.mark.as_u128()) })
    }
}

/// Asks for the latest change that any node has announced, as the transaction sees it.
pub(super) const LATEST: &str = "SELECT sequence, mark FROM change_counter";

/// The position in the answer to [`LATEST`].
pub(super) fn latest(answer: &Answer) -> Result<Position, StoreError> {
    let row =
        answer.rows.first().ok_or_else(|| StoreError::Internal("the counter of changes is missing".to_owned()))?;
    Ok(Position { sequence: row.get(0), mark: Mark(row.get::<_, Uuid>(1).as_u128()) })
}

const TOKEN: &str = "token";
const SESSION: &str = "session";
const USER: &str = "user";
const SESSIONS: &str = "sessions";
const ANYTHING: &str = "anything";

/// kind, subject
fn columns(change: Change) -> Option<(&'static str, Option<Vec<u8>>)> {
    let bytes = |id: Uuid| Some(id.as_bytes().to_vec());
    match change {
        Change::Added(_) => None,
        Change::Token(id) => Some((TOKEN, bytes(id.uuid()))),
        Change::Session(id) => Some((SESSION, bytes(id.uuid()))),
        Change::User(id) => Some((USER, bytes(id.uuid()))),
        Change::Sessions => Some((SESSIONS, None)),
        Change::Anything => Some((ANYTHING, None)),
    }
}

/// The change in the columns kind and subject, from column `at` on. What a later release announces and this one does not know
/// may be anything.
pub(super) fn read(row: &Row, at: usize) -> Change {
    let kind: &str = row.get(at);
    let subject: Option<&[u8]> = row.get(at + 1);
    let id = subject.and_then(|bytes| Uuid::from_slice(bytes).ok());
    match (kind, id) {
        (TOKEN, Some(id)) => Change::Token(TokenId::new(id)),
        (SESSION, Some(id)) => Change::Session(SessionId::new(id)),
        (USER, Some(id)) => Change::User(UserId::new(id)),
        (SESSIONS, _) => Change::Sessions,
        _ => Change::Anything,
    }
}
