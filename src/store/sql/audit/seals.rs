//! SQL on the seals of the audit trail.

use std::ops::ControlFlow;

use blake3::Hash;

use crate::store::sql::connection::{Connection, NONE, Row, is_unreadable, named};
use crate::{
    domain::{
        seal::{
            CheckedSeal, EventsDigest, PersonalField, SHARED_SALT, Salt, Seal, SealFault, SealKind, SealedEvent,
            digest_field, digest_pruned, is_personal_detail,
        },
        time::Timestamp,
    },
    store::{SealChecks, SealPlan, SealPosition, StoreError},
};

/// The latest seal.
pub(crate) const LATEST: &str =
    "SELECT number, kind, first_seq, last_seq, events, latest_at, sealed_at, content, digest, pruned_by
     FROM audit_seals ORDER BY number DESC LIMIT 1";

/// The seals after a number, oldest first.
pub(crate) const AFTER: &str =
    "SELECT number, kind, first_seq, last_seq, events, latest_at, sealed_at, content, digest, pruned_by
     FROM audit_seals WHERE number > :number ORDER BY number LIMIT :limit";

/// The last event that is sealed. A seal of events is at most a few seals back.
pub(crate) const LAST_SEALED: &str =
    "SELECT last_seq FROM audit_seals WHERE kind = 'events' ORDER BY number DESC LIMIT 1";

/// The seals whose events a pruning deleted.
pub(crate) const PRUNED_BY: &str = "SELECT number, digest FROM audit_seals WHERE pruned_by = :number ORDER BY number";

/// The events of a range, each with the salts of its address and its detail. The address belongs to the user who acted, or
/// to the user of the trail if nobody is known to have acted. If the salt of a user is deleted, the shared one is used.
pub(crate) const EVENTS: &str =
    "SELECT e.seq, e.at, e.user_id, e.actor_kind, e.actor_id, e.actor_user_id, e.action, e.target_kind, e.target_id,
            e.request_id, e.outcome, e.address, e.erased_address, e.detail, e.erased_detail,
            coalesce(a.salt, s.salt), coalesce(d.salt, s.salt), s.salt
     FROM audit_events e
     JOIN audit_salts s ON s.user_id = :shared
     LEFT JOIN audit_salts a ON a.user_id = coalesce(e.actor_user_id, e.user_id)
     LEFT JOIN audit_salts d ON d.user_id = e.user_id
     WHERE e.seq > :after AND e.seq <= :last ORDER BY e.seq LIMIT :limit";

/// number, kind, first_seq, last_seq, events, latest_at, sealed_at, content, digest
fn seal(row: &dyn Row) -> Result<Seal, StoreError> {
    let kind = match row.text(1)? {
        "events" => SealKind::Events,
        "pruning" => SealKind::Pruning,
        _ => return Err(is_unreadable(1)),
    };
    Ok(Seal {
        number: row.get(0)?,
        kind,
        first: row.get(2)?,
        last: row.get(3)?,
        events: row.get(4)?,
        latest_at: row.get(5).map(Timestamp::from_unix)?,
        sealed_at: row.get(6).map(Timestamp::from_unix)?,
        content: hash(row, 7)?,
        digest: hash(row, 8)?,
    })
}

fn hash(row: &dyn Row, at: usize) -> Result<Hash, StoreError> {
    row.get(at).map(Hash::from_bytes)
}

pub(crate) fn latest(connection: &dyn Connection) -> Result<Option<Seal>, StoreError> {
    connection.optional(LATEST, NONE, seal)
}

fn last_sealed(connection: &dyn Connection) -> Result<Option<i64>, StoreError> {
    connection.optional(LAST_SEALED, NONE, |row| row.get(0))
}

/// How many events come after the last sealed one.
pub(crate) fn count_open(connection: &dyn Connection) -> Result<u64, StoreError> {
    let after = last_sealed(connection)?.unwrap_or(i64::MIN);
    let count: i64 =
        connection
            .one("SELECT count(*) FROM audit_events WHERE seq > :after", named! {":after": after}, |row| row.get(0))?;
    Ok(u64::try_from(count).unwrap_or(0))
}

/// The events of a range.
struct Range {
    first: i64,
    last: i64,
    events: i64,
    first_at: i64,
    latest_at: i64,
    content: Hash,
}

/// Reads the events after the number `after`, up to `last` and at most `limit`. `None` if there are none.
fn read(connection: &dyn Connection, after: Option<i64>, last: i64, limit: i64) -> Result<Option<Range>, StoreError> {
    let (mut range, mut digest): (Option<Range>, _) = (None, EventsDigest::default());
    let parameters = named! {
        ":shared": SHARED_SALT,
        ":after": after.unwrap_or(i64::MIN),
        ":last": last,
        ":limit": limit,
    };
    connection.each(EVENTS, parameters, &mut |row| {
        let (seq, at) = (row.get(0)?, row.get(1)?);
        let range = range.get_or_insert(Range {
            first: seq,
            last: seq,
            events: 0,
            first_at: at,
            latest_at: at,
            content: digest.finish(),
        });
        range.last = seq;
        range.events += 1;
        range.latest_at = range.latest_at.max(at);
        digest.add(&event(row)?);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(range.map(|range| Range { content: digest.finish(), ..range }))
}

fn event<'r>(row: &'r (dyn Row + 'r)) -> Result<SealedEvent<'r>, StoreError> {
    let seq = row.get(0)?;
    Ok(SealedEvent {
        seq,
        at: row.get(1)?,
        user: row.get(2)?,
        actor_kind: row.text(3)?,
        actor_id: row.get(4)?,
        actor_user: row.get(5)?,
        action: row.text(6)?,
        target_kind: row.text(7)?,
        target_id: row.get(8)?,
        request_id: row.optional_text(9)?,
        outcome: row.text(10)?,
        address: personal(row, seq, PersonalField::Address)?,
        detail: personal(row, seq, PersonalField::Detail)?,
    })
}

/// The digest of an address or a detail: of the text, or the one that its erasure left.
fn personal(row: &dyn Row, seq: i64, field: PersonalField) -> Result<Option<[u8; 32]>, StoreError> {
    let (text, erased) = match field {
        PersonalField::Address => (11, 12),
        PersonalField::Detail => (13, 14),
    };
    let Some(text) = row.optional_text(text)? else { return row.get(erased) };
    let salt = match field {
        PersonalField::Address => 15,
        PersonalField::Detail if is_personal_detail(row.text(6)?, text) => 16,
        PersonalField::Detail => 17,
    };
    Ok(Some(*digest_field(&row.get::<Salt>(salt)?, field, seq, text).as_bytes()))
}

/// The next seal of events, if the plan closes their range now. [`add`] stores it.
pub(crate) fn next(connection: &dyn Connection, plan: SealPlan) -> Result<Option<Seal>, StoreError> {
    let before = latest(connection)?;
    let Some(range) = read(connection, last_sealed(connection)?, i64::MAX, plan.max_events.into())? else {
        return Ok(None);
    };
    let is_full = range.events >= plan.max_events.into();
    // A time after the present one is from a wrong clock. It must not keep the range open.
    let is_old = range.first_at <= plan.open_since.unix() || range.first_at > plan.now.unix();
    if !is_full && !is_old {
        return Ok(None);
    }
    let seal = Seal {
        number: before.as_ref().map_or(0, |seal| seal.number) + 1,
        kind: SealKind::Events,
        first: range.first,
        last: range.last,
        events: range.events,
        latest_at: Timestamp::from_unix(range.latest_at),
        sealed_at: plan.now,
        content: range.content,
        digest: range.content,
    };
    Ok(Some(seal.after(before.map(|seal| seal.digest).as_ref())))
}

/// Stores the seal, unless another process has added one meanwhile. Returns whether it was stored.
pub(crate) fn add(connection: &dyn Connection, seal: &Seal) -> Result<bool, StoreError> {
    let before = latest(connection)?;
    let fits = before.as_ref().map_or(0, |seal| seal.number) + 1 == seal.number
        && seal.expected_digest(before.map(|seal| seal.digest).as_ref()) == seal.digest;
    if fits {
        insert(connection, seal)?;
    }
    Ok(fits)
}

pub(crate) fn insert(connection: &dyn Connection, seal: &Seal) -> Result<(), StoreError> {
    connection.execute(
        "INSERT INTO audit_seals (number, kind, first_seq, last_seq, events, latest_at, sealed_at, content, digest)
             VALUES (:number, :kind, :first_seq, :last_seq, :events, :latest_at, :sealed_at, :content, :digest)",
        named! {
            ":number": seal.number,
            ":kind": seal.kind.as_str(),
            ":first_seq": seal.first,
            ":last_seq": seal.last,
            ":events": seal.events,
            ":latest_at": seal.latest_at.unix(),
            ":sealed_at": seal.sealed_at.unix(),
            ":content": seal.content.as_bytes(),
            ":digest": seal.digest.as_bytes(),
        },
    )?;
    Ok(())
}

/// Checks some seals after a position. Call it in a snapshot, so that a pruning in between does not look like a fault.
pub(crate) fn check(
    connection: &dyn Connection,
    mut position: SealPosition,
    limit: u32,
) -> Result<SealChecks, StoreError> {
    let found = connection
        .all(AFTER, named! {":number": position.number, ":limit": limit}, |row| Ok((seal(row)?, row.get(9)?)))?;
    let mut checked = Vec::new();
    for (seal, pruned_by) in found {
        let faults = faults(connection, &position, &seal, pruned_by)?;
        position.number = seal.number;
        position.digest = Some(seal.digest);
        position.seal_is_sound = !faults.contains(&SealFault::SealChanged);
        if seal.kind == SealKind::Events {
            position.last_event = Some(seal.last);
        }
        checked.push(CheckedSeal { seal, pruned_by, faults });
    }
    Ok(SealChecks { checked, position })
}

fn faults(
    connection: &dyn Connection,
    position: &SealPosition,
    seal: &Seal,
    pruned_by: Option<i64>,
) -> Result<Vec<SealFault>, StoreError> {
    let mut faults = Vec::new();
    let missing = seal.number - position.number - 1;
    if missing > 0 {
        // Without the seal before, the digest cannot be checked.
        faults.push(SealFault::SealsMissing(missing));
    } else if seal.expected_digest(position.digest.as_ref()) != seal.digest {
        faults.push(SealFault::SealChanged);
    }
    match seal.kind {
        SealKind::Pruning => {
            let pruned =
                connection.all(PRUNED_BY, named! {":number": seal.number}, |row| Ok((row.get(0)?, hash(row, 1)?)))?;
            if digest_pruned(&pruned) != seal.content {
                faults.push(SealFault::PruningChanged);
            }
        }
        SealKind::Events => {
            // If the seal before is not as it was made, its last event says nothing.
            let is_known = missing <= 0 && position.seal_is_sound;
            let after = if is_known { position.last_event } else { Some(seal.first.saturating_sub(1)) };
            let range = read(connection, after, seal.last, i64::MAX)?;
            let events = range.as_ref().map_or(0, |range| range.events);
            let expected = if pruned_by.is_some() { 0 } else { seal.events };
            if events < expected {
                faults.push(SealFault::EventsMissing(expected - events));
            } else if events > expected {
                faults.push(SealFault::EventsInserted(events - expected));
            } else if range.is_some_and(|range| range.content != seal.content) {
                faults.push(SealFault::EventsChanged);
            }
            if let Some(pruning) = pruned_by
                && !records_pruning(connection, pruning, seal.number)?
            {
                faults.push(SealFault::PruningNotRecorded);
            }
        }
    }
    Ok(faults)
}

fn records_pruning(connection: &dyn Connection, pruning: i64, of: i64) -> Result<bool, StoreError> {
    connection.exists(
        "SELECT 1 FROM audit_seals WHERE number = :number AND kind = 'pruning' AND number > :of",
        named! {":number": pruning, ":of": of},
    )
}
