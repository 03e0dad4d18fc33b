//! Seals of the audit trail: digests over ranges of events, each also over the seal before.
//!
//! The address and the detail of an event are personal data that may have to be erased. So an event's leaf holds a salted
//! digest in place of each. An erasure keeps the digests and deletes the salt: the seal still holds, and nobody can find an
//! address by trying all of them.

use std::fmt;

use blake3::{Hash, Hasher};
use uuid::Uuid;

use super::{audit::Action, time::Timestamp};

/// A random key for the digests of the addresses and details of one user.
pub type Salt = [u8; blake3::KEY_LEN];

/// The user id whose salt is used for events of no user, or of a user whose own salt is deleted.
pub const SHARED_SALT: Uuid = Uuid::max();

/// A field of an event that may hold personal data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PersonalField {
    /// The client's address.
    Address,
    /// The detail.
    Detail,
}

/// Whether a detail is personal data: it has an e-mail address, or the user agent at the use of a canary token. All others
/// are words of this program. An erasure keeps them, so their digests use the shared salt.
pub fn is_personal_detail(action: &str, detail: &str) -> bool {
    detail.contains('@') || action == Action::TokenCanaryUsed.as_str()
}

/// The digest that stands for a field of the event `seq`. Digests of equal texts in two events differ.
pub fn digest_field(salt: &Salt, field: PersonalField, seq: i64, text: &str) -> Hash {
    let kind = match field {
        PersonalField::Address => b"a",
        PersonalField::Detail => b"d",
    };
    Hasher::new_keyed(salt).update(kind).update(&seq.to_be_bytes()).update(text.as_bytes()).finalize()
}

/// An event as a seal covers it, with digests in place of its address and its detail.
#[derive(Clone, Copy, Debug)]
pub struct SealedEvent<'e> {
    /// The sequence number.
    pub seq: i64,
    /// The time.
    pub at: i64,
    /// The user of the trail.
    pub user: Option<[u8; 16]>,
    /// The kind of the actor.
    pub actor_kind: &'e str,
    /// The session or token that acted.
    pub actor_id: Option<[u8; 16]>,
    /// The user who acted.
    pub actor_user: Option<[u8; 16]>,
    /// What was done.
    pub action: &'e str,
    /// The kind of the target.
    pub target_kind: &'e str,
    /// To what.
    pub target_id: Option<[u8; 16]>,
    /// The id of the request.
    pub request_id: Option<&'e str>,
    /// The outcome.
    pub outcome: &'e str,
    /// The digest of the address.
    pub address: Option<[u8; 32]>,
    /// The digest of the detail.
    pub detail: Option<[u8; 32]>,
}

/// The digest over the events of a range, in the order of their numbers.
pub struct EventsDigest(Hasher);

impl Default for EventsDigest {
    fn default() -> Self {
        Self(Hasher::new_derive_key("patd audit seal, events v1"))
    }
}

impl EventsDigest {
    /// Adds the next event. Each field is written with its length, so that no two events give the same bytes.
    pub fn add(&mut self, event: &SealedEvent<'_>) {
        let optional = |id: &Option<[u8; 16]>| id.map(Vec::from);
        let fields = [
            Some(event.seq.to_be_bytes().to_vec()),
            Some(event.at.to_be_bytes().to_vec()),
            optional(&event.user),
            Some(event.actor_kind.into()),
            optional(&event.actor_id),
            optional(&event.actor_user),
            Some(event.action.into()),
            Some(event.target_kind.into()),
            optional(&event.target_id),
            event.request_id.map(Into::into),
            Some(event.outcome.into()),
            event.address.map(Vec::from),
            event.detail.map(Vec::from),
        ];
        for field in fields {
            // No field is as long as the mark of an absent one.
            let length = field.as_ref().map_or(u32::MAX, |bytes| u32::try_from(bytes.len()).unwrap_or(u32::MAX - 1));
            self.0.update(&length.to_be_bytes()).update(field.as_deref().unwrap_or_default());
        }
    }

    /// The digest.
    pub fn finish(&self) -> Hash {
        self.0.finalize()
    }
}

/// The digest over the seals whose events one pruning deleted, in the order of their numbers.
pub fn digest_pruned<'s>(seals: impl IntoIterator<Item = &'s (i64, Hash)>) -> Hash {
    let mut hasher = Hasher::new_derive_key("patd audit seal, pruning v1");
    for (number, digest) in seals {
        hasher.update(&number.to_be_bytes()).update(digest.as_bytes());
    }
    hasher.finalize()
}

/// What a seal records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealKind {
    /// A range of events.
    Events,
    /// The pruning of the events of earlier seals.
    Pruning,
}

impl SealKind {
    /// The name in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Pruning => "pruning",
        }
    }
}

/// A seal. Each contains the digest of the one before, so that the latest vouches for all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seal {
    /// From 1 on, without gaps.
    pub number: i64,
    /// What it records.
    pub kind: SealKind,
    /// The number of the first of its events.
    pub first: i64,
    /// The number of the last of its events.
    pub last: i64,
    /// How many events it seals, or how many were pruned.
    pub events: i64,
    /// The latest time of these events.
    pub latest_at: Timestamp,
    /// When it was made.
    pub sealed_at: Timestamp,
    /// The digest of the events, or of the seals whose events were pruned.
    pub content: Hash,
    /// The digest of the seal.
    pub digest: Hash,
}

impl Seal {
    /// The digest that this seal must have after the seal `before`.
    pub fn expected_digest(&self, before: Option<&Hash>) -> Hash {
        let numbers = [self.number, self.first, self.last, self.events, self.latest_at.unix(), self.sealed_at.unix()];
        let mut hasher = Hasher::new_derive_key("patd audit seal v1");
        let before = before.map_or([0; blake3::OUT_LEN], |hash| *hash.as_bytes());
        hasher.update(&before).update(self.kind.as_str().as_bytes());
        for number in numbers {
            hasher.update(&number.to_be_bytes());
        }
        hasher.update(self.content.as_bytes()).finalize()
    }

    /// The same seal with its digest.
    #[must_use]
    pub fn after(self, before: Option<&Hash>) -> Self {
        Self { digest: self.expected_digest(before), ..self }
    }

    /// What names it and its content, to be written down elsewhere.
    pub fn reference(&self) -> SealReference {
        SealReference { number: self.number, digest: self.digest }
    }
}

/// The number and the digest of a seal, as text `12:9f86…`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealReference {
    /// The number.
    pub number: i64,
    /// The digest.
    pub digest: Hash,
}

/// The text is not a seal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a seal as `patd audit seal` prints it: a number, a colon and 64 hexadecimal digits")]
pub struct ParseSealError;

impl SealReference {
    /// Parses the text.
    pub fn parse(text: &str) -> Result<Self, ParseSealError> {
        let (number, digest) = text.trim().split_once(':').ok_or(ParseSealError)?;
        let number = number.parse().ok().filter(|number| *number > 0).ok_or(ParseSealError)?;
        Ok(Self { number, digest: Hash::from_hex(digest).map_err(|_| ParseSealError)? })
    }
}

impl fmt::Display for SealReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.number, self.digest.to_hex())
    }
}

/// What is wrong with a seal or its events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SealFault {
    /// Seals before it are missing.
    SealsMissing(i64),
    /// It does not fit the seal before, or its own row was changed.
    SealChanged,
    /// So many of its events are missing.
    EventsMissing(i64),
    /// So many events were inserted into its range.
    EventsInserted(i64),
    /// An event in its range was changed.
    EventsChanged,
    /// It is marked as pruned, but no later seal records that.
    PruningNotRecorded,
    /// The pruning that it records is not that of the seals that are marked.
    PruningChanged,
}

/// A seal that was checked, with what is wrong. No fault means that it is intact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedSeal {
    /// The seal.
    pub seal: Seal,
    /// The seal that records the pruning of its events.
    pub pruned_by: Option<i64>,
    /// What is wrong.
    pub faults: Vec<SealFault>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(seq: i64) -> SealedEvent<'static> {
        SealedEvent {
            seq,
            at: 1,
            user: Some([1; 16]),
            actor_kind: "session",
            actor_id: Some([2; 16]),
            actor_user: None,
            action: "token.created",
            target_kind: "user",
            target_id: None,
            request_id: Some("r"),
            outcome: "success",
            address: None,
            detail: None,
        }
    }

    fn digest(events: &[SealedEvent<'_>]) -> Hash {
        let mut digest = EventsDigest::default();
        events.iter().for_each(|event| digest.add(event));
        digest.finish()
    }

    #[test]
    fn every_field_of_an_event_changes_the_digest() {
        let whole = event(1);
        let others = [
            SealedEvent { seq: 2, ..whole },
            SealedEvent { at: 2, ..whole },
            SealedEvent { user: None, ..whole },
            SealedEvent { actor_kind: "system", ..whole },
            SealedEvent { actor_id: None, ..whole },
            SealedEvent { actor_user: Some([0; 16]), ..whole },
            // The fields in exchanged places.
            SealedEvent { actor_id: None, actor_user: whole.actor_id, ..whole },
            SealedEvent { action: "token.created2", ..whole },
            SealedEvent { action: "token.create", target_kind: "duser", ..whole },
            SealedEvent { target_kind: "session", ..whole },
            SealedEvent { target_id: Some([0; 16]), ..whole },
            SealedEvent { request_id: None, ..whole },
            SealedEvent { request_id: Some(""), ..whole },
            SealedEvent { outcome: "refused", ..whole },
            SealedEvent { address: Some([0; 32]), ..whole },
            SealedEvent { detail: Some([0; 32]), ..whole },
        ];
        let mut digests: Vec<Hash> = others.iter().chain([&whole]).map(|event| digest(&[*event])).collect();
        digests.push(digest(&[]));
        digests.push(digest(&[event(1), event(2)]));
        digests.push(digest(&[event(2), event(1)]));
        for (at, one) in digests.iter().enumerate() {
            assert!(!digests[at + 1..].contains(one), "{at}");
        }
    }

    #[test]
    fn every_field_of_a_seal_and_the_seal_before_change_its_digest() {
        let at = Timestamp::from_unix;
        let hash = |text: &str| blake3::hash(text.as_bytes());
        let seal = Seal {
            number: 2,
            kind: SealKind::Events,
            first: 3,
            last: 5,
            events: 3,
            latest_at: at(7),
            sealed_at: at(8),
            content: hash("events"),
            digest: hash(""),
        };
        let with = |change: fn(&mut Seal)| {
            let mut changed = seal.clone();
            change(&mut changed);
            changed.expected_digest(None)
        };
        let digests = [
            seal.expected_digest(None),
            seal.expected_digest(Some(&hash("before"))),
            with(|seal| seal.number = 3),
            with(|seal| seal.kind = SealKind::Pruning),
            with(|seal| seal.first = 2),
            with(|seal| seal.last = 6),
            with(|seal| seal.events = 4),
            with(|seal| seal.latest_at = Timestamp::from_unix(8)),
            with(|seal| seal.sealed_at = Timestamp::from_unix(9)),
            with(|seal| seal.content = blake3::hash(b"others")),
        ];
        for (at, one) in digests.iter().enumerate() {
            assert!(!digests[at + 1..].contains(one), "{at}");
        }
    }

    #[test]
    fn the_digest_of_a_field_depends_on_salt_field_event_and_text() {
        use PersonalField::{Address, Detail};
        let (salt, other) = ([1; 32], [2; 32]);
        let digests = [
            digest_field(&salt, Address, 1, "x"),
            digest_field(&other, Address, 1, "x"),
            digest_field(&salt, Detail, 1, "x"),
            digest_field(&salt, Address, 2, "x"),
            digest_field(&salt, Address, 1, "y"),
        ];
        for (at, one) in digests.iter().enumerate() {
            assert!(!digests[at + 1..].contains(one), "{at}");
        }
        assert!(is_personal_detail("token.canary_used", "curl/8.5.0") && !is_personal_detail("token.renamed", "name"));
    }

    #[test]
    fn the_digest_of_a_pruning_depends_on_the_numbers_and_digests_of_its_seals() {
        let (one, other) = (blake3::hash(b"one"), blake3::hash(b"other"));
        let digests = [
            digest_pruned(&[]),
            digest_pruned(&[(1, one)]),
            digest_pruned(&[(2, one)]),
            digest_pruned(&[(1, other)]),
            digest_pruned(&[(1, one), (2, other)]),
            digest_pruned(&[(2, other), (1, one)]),
        ];
        for (at, digest) in digests.iter().enumerate() {
            assert!(!digests[at + 1..].contains(digest), "{at}");
        }
    }

    #[test]
    fn a_reference_is_a_number_and_a_digest() {
        let reference = SealReference { number: 12, digest: blake3::hash(b"x") };
        assert_eq!(SealReference::parse(&reference.to_string()), Ok(reference));
        for bad in ["", "12", "12:", "0:00", "x:y", "-1:00", &reference.to_string()[1..60]] {
            assert_eq!(SealReference::parse(bad), Err(ParseSealError), "{bad}");
        }
    }
}
