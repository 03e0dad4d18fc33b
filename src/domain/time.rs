//! Points in time: UTC, whole seconds.

use std::{fmt, time::Duration};

use chrono::{DateTime, SecondsFormat, Utc};

/// A point in time in whole seconds since 1970-01-01T00:00:00Z, within the years 1 to 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// The text is not an RFC 3339 date-time of the years 1 to 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseTimestampError {
    /// Another format, or another year.
    #[error("must be a date and time like 2030-01-31T12:00:00Z")]
    Malformed,
    /// The second is 60. No clock of this program has such a second.
    #[error("must not name a leap second (:60)")]
    LeapSecond,
}

impl Timestamp {
    /// 9999-12-31T23:59:59Z, the last second that RFC 3339 can write.
    pub const MAX: Self = Self(253_402_300_799);
    const MIN: Self = Self(-62_135_596_800);

    /// From seconds since the epoch. Times outside the years 1 to 9999 become the nearest time inside.
    pub const fn from_unix(seconds: i64) -> Self {
        if seconds > Self::MAX.0 {
            Self::MAX
        } else if seconds < Self::MIN.0 {
            Self::MIN
        } else {
            Self(seconds)
        }
    }

    /// Seconds since the epoch.
    pub const fn unix(self) -> i64 {
        self.0
    }

    /// This time plus the whole seconds of `duration`, at most [`Timestamp::MAX`].
    pub fn plus(self, duration: Duration) -> Self {
        let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        Self::from_unix(self.0.saturating_add(seconds))
    }

    /// This time minus the whole seconds of `duration`, at least the first second of the year 1.
    pub fn minus(self, duration: Duration) -> Self {
        let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        Self::from_unix(self.0.saturating_sub(seconds))
    }

    /// The time from `earlier` to this one. Zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_secs(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Whether something that ends at this time has ended at `now`. It has when `now >= self`.
    pub fn has_passed(self, now: Self) -> bool {
        now >= self
    }

    /// Parses an RFC 3339 date-time with any offset. A fraction of a second is dropped.
    pub fn parse(text: &str) -> Result<Self, ParseTimestampError> {
        let parsed = DateTime::parse_from_rfc3339(text).map_err(|_| ParseTimestampError::Malformed)?;
        if parsed.timestamp_subsec_nanos() >= NANOS_OF_A_SECOND {
            return Err(ParseTimestampError::LeapSecond);
        }
        let seconds = parsed.timestamp();
        (Self::MIN.0..=Self::MAX.0).contains(&seconds).then_some(Self(seconds)).ok_or(ParseTimestampError::Malformed)
    }
}

/// chrono represents a leap second by at least this many nanoseconds.
const NANOS_OF_A_SECOND: u32 = 1_000_000_000;

/// RFC 3339 in UTC with `Z` and whole seconds. All output uses this format.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = DateTime::<Utc>::from_timestamp(self.0, 0).unwrap_or_default();
        f.write_str(&time.to_rfc3339_opts(SecondsFormat::Secs, true))
    }
}

/// The text is not a duration. The message reads on from "The unused_for field …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a duration such as 30m, 12h or 90d, from 1s to 36500d.")]
pub struct ParseDurationError;

/// A duration such as `90d`, up to a hundred years.
pub fn parse_duration(text: &str) -> Result<Duration, ParseDurationError> {
    let parse = || {
        let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let seconds = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86_400,
            _ => return None,
        };
        let number: u64 = Some(number).filter(|number| !number.starts_with('+'))?.parse().ok()?;
        Some(Duration::from_secs(number.checked_mul(seconds)?))
    };
    let longest = Duration::from_secs(36_500 * 86_400);
    parse().filter(|duration| (Duration::from_secs(1)..=longest).contains(duration)).ok_or(ParseDurationError)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_utc_with_whole_seconds_and_reads_any_offset() {
        let time = Timestamp::parse("2024-01-15T20:00:00.987+01:00").unwrap();
        assert_eq!(time.to_string(), "2024-01-15T19:00:00Z");
        assert_eq!(Timestamp::parse(&time.to_string()), Ok(time));
    }

    #[test]
    fn a_leap_second_is_refused() {
        for text in ["2016-12-31T23:59:60Z", "2030-01-31T12:00:60.5Z", "2017-01-01T00:59:60+01:00"] {
            assert_eq!(Timestamp::parse(text), Err(ParseTimestampError::LeapSecond), "{text}");
        }
        assert!(Timestamp::parse("2030-01-31T12:00:59.999999999Z").is_ok());
    }

    #[test]
    fn stays_within_the_years_1_to_9999() {
        assert_eq!(Timestamp::from_unix(i64::MAX).to_string(), "9999-12-31T23:59:59Z");
        assert_eq!(Timestamp::from_unix(i64::MIN).to_string(), "0001-01-01T00:00:00Z");
        assert_eq!(Timestamp::MAX.plus(Duration::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::parse("tomorrow"), Err(ParseTimestampError::Malformed));
        assert_eq!(Timestamp::parse("2024-01-15"), Err(ParseTimestampError::Malformed));
    }
}
