//! The use of a token by day: a chart, and the same numbers for a table beside it.

use super::texts::Texts;
use crate::domain::{
    time::Timestamp,
    token_usage::{Counts, Day, TokenUsage},
};

/// How many days the chart shows.
const DAYS: i64 = 30;
/// The height of the tallest bar, and the width of each, in units of the drawing.
const HEIGHT: u64 = 60;
const WIDTH: i64 = 10;

/// Bars for the latest days.
pub(super) struct Chart {
    pub(super) bars: Vec<Bar>,
    pub(super) width: i64,
    pub(super) height: u64,
    /// What the chart shows, for people who do not see it.
    pub(super) summary: String,
    pub(super) first: String,
    pub(super) last: String,
}

/// One day.
pub(super) struct Bar {
    pub(super) x: i64,
    pub(super) allowed_y: u64,
    pub(super) allowed_height: u64,
    pub(super) refused_y: u64,
    pub(super) refused_height: u64,
    pub(super) title: String,
}

/// A day of the table.
pub(super) struct UsageRow {
    pub(super) day: String,
    pub(super) allowed: u64,
    pub(super) refused: u64,
    /// The abilities and policies that were used.
    pub(super) names: String,
}

/// The uses of a day. A use counts for each ability that it needs, so it is counted by policies where there are any.
fn uses(usage: &TokenUsage, day: Day) -> Counts {
    let mut counts = Counts::default();
    if let Some(totals) = usage.days.get(&day) {
        let by_ability = totals.abilities.values().copied().fold(Counts::default(), add);
        let by_policy = totals.policies.values().copied().fold(Counts::default(), add);
        counts.allowed = by_ability.allowed.max(by_policy.allowed);
        counts.refused = by_ability.refused.max(by_policy.refused);
    }
    counts
}

fn add(mut sum: Counts, counts: Counts) -> Counts {
    sum.add(counts);
    sum
}

impl Chart {
    /// `None` if nothing was counted in these days.
    pub(super) fn of(texts: Texts, usage: &TokenUsage, now: Timestamp) -> Option<Self> {
        let today = Day::of(now).number();
        let days: Vec<Day> = (today - DAYS + 1..=today).map(Day::from_number).collect();
        let counts: Vec<Counts> = days.iter().map(|day| uses(usage, *day)).collect();
        let most = counts.iter().map(|counts| counts.allowed + counts.refused).max().filter(|most| *most > 0)?;
        // A day with few uses is still seen.
        let scaled = |count: u64| if count == 0 { 0 } else { (count.saturating_mul(HEIGHT) / most).max(1) };
        let bar = |(at, counts): (usize, &Counts)| {
            let (allowed, refused) = (scaled(counts.allowed), scaled(counts.refused));
            let day = days[at].to_string();
            let (allowed_count, refused_count) = (counts.allowed, counts.refused);
            Bar {
                x: i64::try_from(at).unwrap_or(0) * WIDTH,
                allowed_y: HEIGHT.saturating_sub(allowed),
                allowed_height: allowed,
                refused_y: HEIGHT.saturating_sub(allowed + refused),
                refused_height: refused,
                title: format!("{day}: {allowed_count} + {refused_count}"),
            }
        };
        let total: u64 = counts.iter().map(|counts| counts.allowed).sum();
        Some(Self {
            bars: counts.iter().enumerate().map(bar).collect(),
            width: DAYS * WIDTH,
            height: HEIGHT,
            summary: texts.count("chart-summary", total),
            first: days.first().map(ToString::to_string).unwrap_or_default(),
            last: days.last().map(ToString::to_string).unwrap_or_default(),
        })
    }
}

impl UsageRow {
    /// The latest days with uses, the latest first.
    pub(super) fn of(usage: &TokenUsage) -> Vec<Self> {
        let days = usage.days.iter().rev().take(usize::try_from(DAYS).unwrap_or(0));
        days.map(|(day, totals)| {
            let names: Vec<&str> = totals.policies.keys().chain(totals.abilities.keys()).map(|name| &**name).collect();
            let counts = uses(usage, *day);
            Self { day: day.to_string(), allowed: counts.allowed, refused: counts.refused, names: names.join(", ") }
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::token_usage::{UsageCount, UsageKind};

    #[test]
    fn bars_are_as_tall_as_the_counts_and_stay_in_the_drawing() {
        let now = Timestamp::from_unix(20_000 * 86_400);
        let count = |day, allowed, refused| UsageCount {
            day: Day::from_number(day),
            kind: UsageKind::Ability,
            name: "calls:read".into(),
            counts: Counts { allowed, refused },
        };
        let usage = TokenUsage::new(None, [count(20_000, 900, 100), count(19_999, 1, 0), count(10, 5, 5)]);
        let chart = Chart::of(Texts::preferred("en"), &usage, now).unwrap();
        assert_eq!(chart.bars.len(), 30);
        let today = chart.bars.last().unwrap();
        assert_eq!((today.allowed_height, today.refused_height, today.refused_y), (54, 6, 0));
        assert_eq!(chart.bars[28].allowed_height, 1, "one use is seen");
        assert_eq!(chart.bars[0].allowed_height, 0);
        assert_eq!(UsageRow::of(&usage).len(), 3);
        assert!(Chart::of(Texts::preferred("en"), &TokenUsage::default(), now).is_none());
    }
}
