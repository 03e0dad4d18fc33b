//! What a token does: how often each policy and each needed ability was allowed or refused, by day.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use super::{
    ability::{Abilities, Ability},
    time::Timestamp,
};

/// A day in UTC, in days since 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(i64);

impl Day {
    /// Before every day.
    pub const MIN: Self = Self(i64::MIN);
    /// After every day.
    pub const MAX: Self = Self(i64::MAX);
    const SECONDS: i64 = 24 * 60 * 60;

    /// The day of a time.
    pub const fn of(at: Timestamp) -> Self {
        Self(at.unix().div_euclid(Self::SECONDS))
    }

    /// From days since 1970-01-01.
    pub const fn from_number(number: i64) -> Self {
        Self(number)
    }

    /// Days since 1970-01-01.
    pub const fn number(self) -> i64 {
        self.0
    }

    /// Its first second.
    pub const fn start(self) -> Timestamp {
        Timestamp::from_unix(self.0.saturating_mul(Self::SECONDS))
    }

    /// The first of `kept` days of which this is the last.
    pub fn first_of(self, kept: u32) -> Self {
        let before = Duration::from_secs(u64::from(kept.saturating_sub(1)) * Self::SECONDS as u64);
        Self::of(self.start().minus(before))
    }
}

/// As RFC 3339 writes a date: `2030-01-31`.
impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = self.start().to_string();
        f.write_str(time.split('T').next().unwrap_or_default())
    }
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum UsageKind {
    /// Checks of a policy.
    Policy,
    /// Checks that needed an ability.
    Ability,
}

/// The text is not a kind of count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be policy or ability")]
pub struct ParseUsageKindError;

impl UsageKind {
    /// The name in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::Ability => "ability",
        }
    }

    /// Parses the name.
    pub fn parse(text: &str) -> Result<Self, ParseUsageKindError> {
        [Self::Policy, Self::Ability].into_iter().find(|kind| kind.as_str() == text).ok_or(ParseUsageKindError)
    }
}

/// How often something was allowed and refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// How often it was allowed.
    pub allowed: u64,
    /// How often it was refused.
    pub refused: u64,
}

impl Counts {
    /// Adds other counts.
    pub fn add(&mut self, other: Self) {
        self.allowed = self.allowed.saturating_add(other.allowed);
        self.refused = self.refused.saturating_add(other.refused);
    }
}

/// The count of one policy or ability on one day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageCount {
    /// The day.
    pub day: Day,
    /// Whether `name` is a policy or an ability.
    pub kind: UsageKind,
    /// The name of the policy, the ability, or [`OTHER_ABILITIES`].
    pub name: Box<str>,
    /// How often.
    pub counts: Counts,
}

/// The name that counts all abilities of a token beyond the number that is counted by name. No ability has it.
pub const OTHER_ABILITIES: &str = "(other)";

/// The counts of one day, or of several days together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageTotals {
    /// By policy.
    pub policies: BTreeMap<Box<str>, Counts>,
    /// By ability.
    pub abilities: BTreeMap<Box<str>, Counts>,
}

impl UsageTotals {
    /// Adds a count. Returns whether the name is new.
    pub fn add(&mut self, kind: UsageKind, name: &str, counts: Counts) -> bool {
        if let Some(known) = self.get_mut(kind, name) {
            known.add(counts);
            return false;
        }
        self.names(kind).insert(name.into(), counts);
        true
    }

    /// The count of a name.
    pub fn get_mut(&mut self, kind: UsageKind, name: &str) -> Option<&mut Counts> {
        self.names(kind).get_mut(name)
    }

    /// Whether this policy allowed something.
    pub fn allowed_policy(&self, name: &str) -> bool {
        self.policies.get(name).is_some_and(|counts| counts.allowed > 0)
    }

    /// Whether something was allowed that needed this ability. It may be among those that are counted together.
    pub fn allowed_ability(&self, name: &str) -> bool {
        let is_allowed = |name| self.abilities.get(name).is_some_and(|counts| counts.allowed > 0);
        is_allowed(name) || is_allowed(OTHER_ABILITIES)
    }

    /// Each count, as one of this day.
    pub fn into_counts(self, day: Day) -> impl Iterator<Item = UsageCount> {
        let of = move |kind| move |(name, counts)| UsageCount { day, kind, name, counts };
        self.policies
            .into_iter()
            .map(of(UsageKind::Policy))
            .chain(self.abilities.into_iter().map(of(UsageKind::Ability)))
    }

    fn names(&mut self, kind: UsageKind) -> &mut BTreeMap<Box<str>, Counts> {
        match kind {
            UsageKind::Policy => &mut self.policies,
            UsageKind::Ability => &mut self.abilities,
        }
    }
}

/// What a token did in the days that are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenUsage {
    /// Since when the uses of this token are counted without a gap. `None` if they are not counted.
    pub counted_since: Option<Timestamp>,
    /// Each day with counts.
    pub days: BTreeMap<Day, UsageTotals>,
}

impl TokenUsage {
    /// Sorts the counts by day.
    pub fn new(counted_since: Option<Timestamp>, counts: impl IntoIterator<Item = UsageCount>) -> Self {
        let mut days: BTreeMap<Day, UsageTotals> = BTreeMap::new();
        for UsageCount { day, kind, name, counts } in counts {
            days.entry(day).or_default().add(kind, &name, counts);
        }
        Self { counted_since, days }
    }

    /// All days together.
    pub fn totals(&self) -> UsageTotals {
        let mut totals = UsageTotals::default();
        for day in self.days.values() {
            for (name, counts) in &day.policies {
                totals.add(UsageKind::Policy, name, *counts);
            }
            for (name, counts) in &day.abilities {
                totals.add(UsageKind::Ability, name, *counts);
            }
        }
        totals
    }

    /// Those `granted` abilities that covered nothing that was used. `None` if that is not known: uses are not counted, or
    /// more abilities were used than are counted by name.
    pub fn unused(&self, granted: &Abilities) -> Option<Vec<Ability>> {
        self.counted_since?;
        let used: BTreeSet<&str> = self
            .days
            .values()
            .flat_map(|day| &day.abilities)
            .filter_map(|(name, counts)| (counts.allowed > 0).then_some(&**name))
            .collect();
        if used.contains(OTHER_ABILITIES) {
            return None;
        }
        let is_unused = |ability: &&Ability| !used.iter().any(|needed| ability.covers(needed));
        Some(granted.iter().filter(is_unused).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(name: &str, allowed: u64, refused: u64) -> UsageCount {
        let counts = Counts { allowed, refused };
        UsageCount { day: Day::from_number(1), kind: UsageKind::Ability, name: name.into(), counts }
    }

    fn unused(granted: &[&str], counts: Vec<UsageCount>) -> Option<Vec<String>> {
        let usage = TokenUsage::new(Some(Timestamp::from_unix(0)), counts);
        let granted = Abilities::new(granted.iter().map(|text| Ability::parse(text).unwrap())).unwrap();
        usage.unused(&granted).map(|unused| unused.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn an_ability_is_used_if_it_covered_something_that_was_allowed() {
        let granted = ["calls:read", "calls:*", "agents:*", "user:read"];
        let counts = vec![count("calls:read", 1, 0), count("agents:write", 0, 7)];
        assert_eq!(unused(&granted, counts), Some(vec!["agents:*".to_owned(), "user:read".to_owned()]));
        assert_eq!(unused(&["*"], vec![count("calls:read", 1, 0)]), Some(Vec::new()), "a wildcard counts as used");
        assert_eq!(unused(&["*"], Vec::new()), Some(vec!["*".to_owned()]));
    }

    #[test]
    fn nothing_is_called_unused_if_that_is_not_known() {
        assert_eq!(unused(&["calls:read"], vec![count(OTHER_ABILITIES, 1, 0)]), None);
        assert!(unused(&["calls:read"], vec![count(OTHER_ABILITIES, 0, 1)]).is_some(), "a refusal is no use");
        let off = TokenUsage::default();
        assert_eq!(off.unused(&Abilities::full()), None);
        assert!(Ability::parse(OTHER_ABILITIES).is_err());
    }

    #[test]
    fn a_day_begins_at_midnight_in_utc() {
        let day = |seconds| Day::of(Timestamp::from_unix(seconds)).number();
        assert_eq!([day(-1), day(0), day(86_399), day(86_400)], [-1, 0, 0, 1]);
        assert_eq!(Day::from_number(20_000).to_string(), "2024-10-04");
        assert_eq!(Day::from_number(89).first_of(90), Day::from_number(0));
        assert_eq!(Day::from_number(5).first_of(1), Day::from_number(5));
    }

    #[test]
    fn totals_add_up_all_days() {
        let mut later = count("calls:read", 2, 1);
        later.day = Day::from_number(2);
        let usage = TokenUsage::new(None, [count("calls:read", 1, 0), later]);
        assert_eq!(usage.days.len(), 2);
        assert_eq!(usage.totals().abilities["calls:read"], Counts { allowed: 3, refused: 1 });
    }
}
