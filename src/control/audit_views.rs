//! The seals of the audit trail in the answers to the command line.

use serde::{Deserialize, Serialize};

use crate::{
    domain::seal::{CheckedSeal, Seal, SealFault},
    ops::seals::{ExpectedSeal, Verification},
};

/// A seal.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SealView {
    /// The number and the digest, as `--expect` takes them.
    pub seal: String,
    /// The number.
    pub number: i64,
    /// The number of its first event.
    pub first_event: i64,
    /// The number of its last event.
    pub last_event: i64,
    /// How many events.
    pub events: i64,
    /// When it was made.
    pub sealed_at: String,
}

impl From<&Seal> for SealView {
    fn from(seal: &Seal) -> Self {
        Self {
            seal: seal.reference().to_string(),
            number: seal.number,
            first_event: seal.first,
            last_event: seal.last,
            events: seal.events,
            sealed_at: seal.sealed_at.to_string(),
        }
    }
}

/// A pruning.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PruningView {
    /// The seal that records it.
    pub seal: SealView,
    /// The time of the latest event that was deleted.
    pub latest_event_at: String,
}

/// A seal with faults.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FaultyView {
    /// The seal.
    pub seal: SealView,
    /// What is wrong, each as a sentence without a full stop.
    pub faults: Vec<String>,
}

impl From<&CheckedSeal> for FaultyView {
    fn from(checked: &CheckedSeal) -> Self {
        Self { seal: SealView::from(&checked.seal), faults: checked.faults.iter().map(describe).collect() }
    }
}

fn describe(fault: &SealFault) -> String {
    let count = |count: &i64, one: &str, many: &str| match count {
        1 => format!("1 {one}"),
        count => format!("{count} {many}"),
    };
    match fault {
        SealFault::SealsMissing(missing) => {
            format!("{} missing before this seal", count(missing, "seal is", "seals are"))
        }
        SealFault::SealChanged => "the seal was changed, or does not fit the seal before it".to_owned(),
        SealFault::EventsMissing(missing) => format!("{} missing", count(missing, "event is", "events are")),
        SealFault::EventsInserted(inserted) => format!("{} inserted", count(inserted, "event was", "events were")),
        SealFault::EventsChanged => "an event was changed, or replaced by another".to_owned(),
        SealFault::PruningNotRecorded => "it is marked as pruned, but no later seal records that".to_owned(),
        SealFault::PruningChanged => "other seals are marked as pruned than it records".to_owned(),
    }
}

/// The result of a verification.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct VerificationView {
    /// Whether this is the result, and not a sign that it takes longer.
    pub is_finished: bool,
    /// Whether nothing is wrong.
    pub intact: bool,
    /// How many seals there are.
    pub seals: u64,
    /// How many events are sealed and present.
    pub events: u64,
    /// How many events were pruned.
    pub pruned: u64,
    /// How many events are not sealed yet.
    pub unsealed: u64,
    /// The latest seal.
    pub latest: Option<SealView>,
    /// The seals with faults.
    pub faulty: Vec<FaultyView>,
    /// The prunings.
    pub prunings: Vec<PruningView>,
    /// `found`, `missing` or `differs`, for a seal that was expected.
    pub expected: Option<String>,
}

impl VerificationView {
    pub(super) fn unfinished() -> Self {
        Self::default()
    }
}

impl From<&Verification> for VerificationView {
    fn from(verification: &Verification) -> Self {
        let expected = verification.expected.map(|expected| match expected {
            ExpectedSeal::Found => "found",
            ExpectedSeal::Missing => "missing",
            ExpectedSeal::Differs => "differs",
        });
        Self {
            is_finished: true,
            intact: verification.is_intact(),
            seals: verification.seals,
            events: verification.events,
            pruned: verification.pruned,
            unsealed: verification.unsealed,
            latest: verification.latest.as_ref().map(SealView::from),
            faulty: verification.faulty.iter().map(FaultyView::from).collect(),
            prunings: verification
                .prunings
                .iter()
                .map(|seal| PruningView { seal: seal.into(), latest_event_at: seal.latest_at.to_string() })
                .collect(),
            expected: expected.map(str::to_owned),
        }
    }
}
