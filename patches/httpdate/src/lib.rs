//! What actix-http uses of the crate `httpdate`, without its panic: that one ends the thread that serves requests where
//! the system clock is before 1970 or after 9999. Here, such a time becomes the nearest one that a date can say.
//!
//! It can go once actix-http writes dates without a panic.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use chrono::{DateTime, NaiveDateTime, Utc};

/// As RFC 9110, section 5.6.7, has it.
const FORMAT: &str = "%a, %d %b %Y %H:%M:%S GMT";

/// 9999-12-31T23:59:59Z, in seconds since 1970.
const LAST: u64 = 253_402_300_799;

/// A time, to be written as a date of HTTP: always 29 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpDate(DateTime<Utc>);

impl From<SystemTime> for HttpDate {
    fn from(time: SystemTime) -> Self {
        let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs().min(LAST);
        Self((UNIX_EPOCH + Duration::from_secs(seconds)).into())
    }
}

impl fmt::Display for HttpDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.format(FORMAT).fmt(f)
    }
}

/// The text is not a date of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error;

/// Reads a date in the form in which clients must write it.
pub fn parse_http_date(text: &str) -> Result<SystemTime, Error> {
    NaiveDateTime::parse_from_str(text, FORMAT).map(|time| time.and_utc().into()).map_err(|_| Error)
}
