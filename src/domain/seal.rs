//! Seals of the audit trail: digests over ranges of events, each also over the seal before.
//!
//! The address and the detail of an event are personal data that may have to be erased. So an event's leaf holds a salted
//! digest in place of each. An erasure keeps the digests and deletes the salt: the seal still holds, and nobody can find an
//! address by trying all of them.

use blake3::{Hash, Hasher};
use uuid::Uuid;

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

/// The digest that stands for a field of the event `seq`. Digests of equal texts in two events differ.
pub fn digest_field(salt: &Salt, field: PersonalField, seq: i64, text: &str) -> Hash {
    let kind = match field {
        PersonalField::Address => b"a",
        PersonalField::Detail => b"d",
    };
    Hasher::new_keyed(salt).update(kind).update(&seq.to_be_bytes()).update(text.as_bytes()).finalize()
}
