//! What a token did.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::{
    ability::Ability,
    token::Token,
    token_usage::{Counts, Day, TokenUsage, UsageTotals},
    use_location::UseLocation,
};

/// What a token did in the days that are kept.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TokenUsageView {
    /// The id.
    pub id: String,
    /// The name.
    pub name: String,
    /// The abilities.
    pub abilities: Vec<String>,
    /// Since when its uses are counted without a gap. Null if they are not counted.
    pub counted_since: Option<String>,
    /// The abilities that covered nothing that it used. Null if that is not known.
    pub abilities_unused: Option<Vec<String>>,
    /// All days together.
    pub totals: TotalsView,
    /// The days with counts, latest first.
    pub days: Vec<DayView>,
    /// The latest addresses, latest first.
    pub addresses: Vec<UseView>,
}

impl TokenUsageView {
    /// The usage of `token` with its use locations.
    pub fn new(token: &Token, usage: &TokenUsage, locations: Vec<UseLocation>) -> Self {
        Self {
            id: token.id.to_string(),
            name: token.name.to_string(),
            abilities: token.abilities.iter().map(ToString::to_string).collect(),
            counted_since: usage.counted_since.map(|at| at.to_string()),
            abilities_unused: usage.unused(&token.abilities).map(|unused| ability_names(&unused)),
            totals: TotalsView::of(usage),
            days: usage.days.iter().rev().map(|(day, totals)| DayView::new(*day, totals)).collect(),
            addresses: locations.into_iter().map(UseView::from).collect(),
        }
    }
}

/// The abilities as text.
pub fn ability_names(abilities: &[Ability]) -> Vec<String> {
    abilities.iter().map(ToString::to_string).collect()
}

/// How often each policy and ability was allowed and refused.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TotalsView {
    /// The policies, by name.
    pub policies: Vec<TotalView>,
    /// The abilities, by name.
    pub abilities: Vec<TotalView>,
}

/// How often a policy or an ability was allowed and refused, and on which days.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TotalView {
    /// The policy or the ability.
    pub name: String,
    /// How often it was allowed.
    pub allowed: u64,
    /// How often it was refused.
    pub refused: u64,
    /// The first day with a count.
    pub first_day: String,
    /// The last day with a count.
    pub last_day: String,
}

impl TotalsView {
    fn of(usage: &TokenUsage) -> Self {
        Self { policies: totals(usage, |day| &day.policies), abilities: totals(usage, |day| &day.abilities) }
    }
}

fn totals(usage: &TokenUsage, names: fn(&UsageTotals) -> &BTreeMap<Box<str>, Counts>) -> Vec<TotalView> {
    let mut totals: BTreeMap<&str, (Counts, Day, Day)> = BTreeMap::new();
    for (day, counted) in &usage.days {
        for (name, counts) in names(counted) {
            let (total, _, last) = totals.entry(name).or_insert((Counts::default(), *day, *day));
            total.add(*counts);
            *last = *day;
        }
    }
    let view = |(name, (counts, first, last)): (&str, (Counts, Day, Day))| TotalView {
        name: name.to_owned(),
        allowed: counts.allowed,
        refused: counts.refused,
        first_day: first.to_string(),
        last_day: last.to_string(),
    };
    totals.into_iter().map(view).collect()
}

/// The counts of one day.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DayView {
    /// The day in UTC.
    pub day: String,
    /// The policies, by name.
    pub policies: Vec<CountView>,
    /// The abilities, by name.
    pub abilities: Vec<CountView>,
}

impl DayView {
    fn new(day: Day, totals: &UsageTotals) -> Self {
        Self { day: day.to_string(), policies: counts(&totals.policies), abilities: counts(&totals.abilities) }
    }
}

/// How often a policy or an ability was allowed and refused.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CountView {
    /// The policy or the ability.
    pub name: String,
    /// How often it was allowed.
    pub allowed: u64,
    /// How often it was refused.
    pub refused: u64,
}

fn counts(names: &BTreeMap<Box<str>, Counts>) -> Vec<CountView> {
    let each = names.iter();
    each.map(|(name, counts)| CountView { name: name.to_string(), allowed: counts.allowed, refused: counts.refused })
        .collect()
}

/// An address from which a token was used.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct UseView {
    /// The address.
    pub address: String,
    /// The latest user agent at this address.
    pub user_agent: Option<String>,
    /// The latest use from this address.
    pub last_used_at: String,
}

impl From<UseLocation> for UseView {
    fn from(location: UseLocation) -> Self {
        Self {
            address: location.address.to_string(),
            user_agent: location.user_agent.map(|agent| agent.to_string()),
            last_used_at: location.last_used_at.to_string(),
        }
    }
}
