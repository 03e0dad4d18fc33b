//! Times as pages show them: how long ago, and exactly. Without a script they are in UTC; with it, in the zone of the reader.

use std::{fmt, time::Duration};

use askama::filters::HtmlSafe;

use super::texts::Texts;
use crate::domain::time::Timestamp;

/// A time on a page.
pub(super) struct When {
    /// For programs.
    pub(super) iso: String,
    /// For people, with the zone.
    pub(super) exact: String,
    /// From now: "3 days ago", "in 3 days".
    pub(super) relative: String,
}

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

impl When {
    pub(super) fn new(texts: Texts, at: Timestamp, now: Timestamp) -> Self {
        let iso = at.to_string();
        // 2026-11-28T00:15:00Z
        let exact = format!("{} {} UTC", &iso[..10], &iso[11..16]);
        let relative = match (at <= now, now.since(at).max(at.since(now))) {
            (true, past) if past < Duration::from_secs(MINUTE) => texts.say("time-now"),
            (true, past) => texts.with("time-ago", "span", span(texts, past)),
            (false, left) => texts.with("time-in", "span", span(texts, left)),
        };
        Self { iso, exact, relative }
    }
}

/// As HTML. All three are texts of this program.
impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { iso, exact, relative } = self;
        write!(f, r#"<time datetime="{iso}" title="{exact}">{relative}</time>"#)
    }
}

impl HtmlSafe for When {}

/// A duration in its largest unit.
pub(super) fn span(texts: Texts, duration: Duration) -> String {
    let seconds = duration.as_secs();
    let nearest = |unit: u64| (seconds + unit / 2) / unit;
    match seconds {
        _ if seconds >= 730 * DAY => texts.count("span-years", nearest(365 * DAY)),
        _ if seconds >= 90 * DAY => texts.count("span-months", nearest(30 * DAY)),
        _ if seconds >= 2 * DAY => texts.count("span-days", nearest(DAY)),
        _ if seconds >= 2 * HOUR => texts.count("span-hours", nearest(HOUR)),
        _ if seconds >= MINUTE => texts.count("span-minutes", nearest(MINUTE)),
        _ => texts.count("span-seconds", seconds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_said_in_its_largest_unit_and_exactly() {
        let texts = Texts::preferred("en");
        let now = Timestamp::parse("2026-11-28T00:15:30Z").unwrap();
        let relative = |text: &str| When::new(texts, Timestamp::parse(text).unwrap(), now).relative;
        assert_eq!(relative("2026-11-28T00:15:00Z"), "just now");
        assert_eq!(relative("2026-11-28T00:14:30Z"), "1 minute ago");
        assert_eq!(relative("2026-11-28T00:14:00Z"), "2 minutes ago", "to the nearest");
        assert_eq!(relative("2026-11-27T00:15:00Z"), "24 hours ago");
        assert_eq!(relative("2026-11-25T00:15:00Z"), "3 days ago");
        assert_eq!(relative("2026-12-28T00:15:30Z"), "in 30 days");
        assert_eq!(relative("2029-12-28T00:15:30Z"), "in 3 years");
        assert_eq!(When::new(texts, now, now).exact, "2026-11-28 00:15 UTC");
    }
}
