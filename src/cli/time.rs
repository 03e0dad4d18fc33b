//! Parses durations and times on the command line, and prints durations.

use std::time::Duration;

use crate::{
    control::Moment,
    domain::time::{self, Timestamp},
};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const YEAR: u64 = 365 * DAY;

/// A duration such as `90d`.
pub(super) fn parse_duration(text: &str) -> Result<Duration, &'static str> {
    time::parse_duration(text).map_err(|_| "must be a duration such as 30m, 12h or 90d, from 1s to 36500d")
}

/// A time, or a duration from now into the future.
pub(super) fn parse_future(text: &str) -> Result<Moment, &'static str> {
    parse_time(text).or_else(|| Some(Moment::Ahead(parse_duration(text).ok()?.as_secs()))).ok_or(NO_MOMENT)
}

/// A time, or a duration from now into the past.
pub(super) fn parse_past(text: &str) -> Result<Moment, &'static str> {
    parse_time(text).or_else(|| Some(Moment::Ago(parse_duration(text).ok()?.as_secs()))).ok_or(NO_MOMENT)
}

const NO_MOMENT: &str = "must be a date, a time or a duration, such as 2030-01-31, 2030-01-31T12:00:00Z or 90d";

/// A date means midnight UTC.
fn parse_time(text: &str) -> Option<Moment> {
    let time = Timestamp::parse(text).or_else(|_| Timestamp::parse(&format!("{text}T00:00:00Z")));
    time.ok().map(|time| Moment::At(time.unix()))
}

/// The duration rounded down to one unit.
pub(super) fn rounded(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..MINUTE => format!("{seconds}s"),
        MINUTE..HOUR => format!("{}m", seconds / MINUTE),
        HOUR..DAY => format!("{}h", seconds / HOUR),
        _ if seconds < 2 * YEAR => format!("{}d", seconds / DAY),
        _ => format!("{}y", seconds / YEAR),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_number_and_a_unit() {
        assert_eq!(parse_duration("90d"), Ok(Duration::from_secs(7_776_000)));
        assert_eq!(parse_duration("1s"), Ok(Duration::from_secs(1)));
        for bad in ["", "d", "90", "0d", "-1d", "+1d", "1é", "36501d", "99999999999999999999d", "1 d"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_moment_is_a_date_a_time_or_a_duration() {
        assert_eq!(parse_past("2030-01-31"), Ok(Moment::At(1_896_048_000)));
        assert_eq!(parse_future("2030-01-31T01:00:00+01:00"), Ok(Moment::At(1_896_048_000)));
        assert_eq!((parse_past("1h"), parse_future("1h")), (Ok(Moment::Ago(3600)), Ok(Moment::Ahead(3600))));
        for bad in ["", "yesterday", "2030-13-01", "31.1.2030", "90"] {
            assert_eq!(parse_past(bad), Err(NO_MOMENT), "{bad}");
        }
    }

    #[test]
    fn a_rounded_duration_has_one_unit() {
        for (seconds, text) in
            [(0, "0s"), (59, "59s"), (60, "1m"), (7199, "1h"), (DAY, "1d"), (729 * DAY, "729d"), (2 * YEAR, "2y")]
        {
            assert_eq!(rounded(Duration::from_secs(seconds)), text);
        }
    }
}
