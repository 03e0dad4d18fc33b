//! When tokens end: at their expiry, or when they become idle, whichever is first.

use std::time::Duration;

use super::{
    context::Context,
    error::{Error, FieldError},
    rejection::Rejection,
    rules::Lifetimes,
};
use crate::{
    domain::{
        time::Timestamp,
        token::{Token, TokenRecord},
    },
    store::StoreError,
};

/// The requested expiry of a new token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// The configured default. For a successor: the expiry of its predecessor.
    Default,
    /// No expiry.
    Never,
    /// At this time, which must be in the future.
    At(Timestamp),
    /// This long after its creation.
    After(Duration),
}

impl Expiry {
    /// The field of the request.
    pub(super) const fn field(self) -> &'static str {
        match self {
            Self::Default | Self::Never | Self::At(_) => "expires_at",
            Self::After(_) => "expires_in_days",
        }
    }
}

/// The expiry of a token that is created now. A request that the configuration does not allow is refused.
pub(super) fn of_new(lifetimes: &Lifetimes, expiry: Expiry, now: Timestamp) -> Result<Option<Timestamp>, Error> {
    match expiry {
        Expiry::Default => Ok(lifetimes.default.or(lifetimes.max).map(|lifetime| now.plus(lifetime))),
        Expiry::Never => match lifetimes.max {
            None if lifetimes.allow_endless => Ok(None),
            None => {
                Err(FieldError::new(expiry.field(), "must say when the token ends: none may last for ever.").into())
            }
            Some(max) => Err(too_late(expiry, max)),
        },
        Expiry::At(_) | Expiry::After(_) => requested(lifetimes, expiry, now),
    }
}

/// The requested time, if there is one. It must be in the future and within the configured limit.
pub(super) fn requested(lifetimes: &Lifetimes, expiry: Expiry, now: Timestamp) -> Result<Option<Timestamp>, Error> {
    let end = match expiry {
        Expiry::Default | Expiry::Never => return Ok(None),
        Expiry::At(end) => end,
        Expiry::After(lifetime) => now.plus(lifetime),
    };
    if end.has_passed(now) {
        return Err(FieldError::new(expiry.field(), "must be a time in the future.").into());
    }
    match lifetimes.max {
        Some(max) if end > now.plus(max) => Err(too_late(expiry, max)),
        _ => Ok(Some(end)),
    }
}

fn too_late(expiry: Expiry, max: Duration) -> Error {
    let predicate = format!("must not be more than {} from now, the longest that this server allows.", in_words(max));
    FieldError::new(expiry.field(), predicate).into()
}

/// The duration in the largest unit of which it is a whole number.
fn in_words(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let units = [(24 * 60 * 60, "day"), (60 * 60, "hour"), (60, "minute"), (1, "second")];
    let (unit, name) = units.into_iter().find(|(unit, _)| seconds.is_multiple_of(*unit)).unwrap_or((1, "second"));
    let count = seconds / unit;
    format!("{count} {name}{}", if count == 1 { "" } else { "s" })
}

/// Whether the token is idle according to its record, which may not hold the latest use.
pub(super) fn seems_idle(ctx: &Context, record: &TokenRecord, now: Timestamp) -> bool {
    let Some(idle) = ctx.rules.token_lifetimes.idle else { return false };
    is_idle(record.last_use.at(), &record.token, idle, now)
}

/// Refuses an idle token, after looking for a later use in the store and in memory.
pub(super) async fn expect_in_use(ctx: &Context, record: &TokenRecord, now: Timestamp) -> Result<(), Error> {
    let Some(idle) = ctx.rules.token_lifetimes.idle else { return Ok(()) };
    // The store first: a use that is written in between is still found in memory.
    let stored = match ctx.store.last_use_of(record.token.number).await {
        Ok(stored) => stored,
        Err(StoreError::NotFound) => return Err(Rejection::Revoked.into()),
        Err(error) => return Err(error.into()),
    };
    let latest = ctx.uses.latest_token(record.token.number, stored);
    if is_idle(latest, &record.token, idle, now) { Err(Rejection::Idle.into()) } else { Ok(()) }
}

/// A use in the future, from when the clock was ahead, counts as now. Otherwise it would keep the token from becoming idle.
fn is_idle(last_use: Option<Timestamp>, token: &Token, idle: Duration, now: Timestamp) -> bool {
    last_use.unwrap_or(token.created_at).min(now).plus(idle).has_passed(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 24 * 60 * 60;
    const NOW: Timestamp = Timestamp::from_unix(1_000_000_000);

    fn lifetimes(default: Option<u64>, max: Option<u64>, allow_endless: bool) -> Lifetimes {
        let days = |days: u64| Duration::from_secs(days * DAY);
        let (default, max) = (default.map(days), max.map(days));
        Lifetimes { default, max, allow_endless, idle: None, prune_after: None }
    }

    fn days(end: Result<Option<Timestamp>, Error>) -> Result<Option<u64>, String> {
        end.map(|end| end.map(|end| end.since(NOW).as_secs() / DAY)).map_err(|error| error.to_string())
    }

    #[test]
    fn a_token_gets_the_requested_expiry_or_the_configured_one() {
        let in_days = |days: u64| Expiry::After(Duration::from_secs(days * DAY));
        // The default, the maximum, whether no expiry is allowed, the request, the expiry in days.
        let accepted = [
            (None, None, true, Expiry::Default, None),
            (Some(30), None, true, Expiry::Default, Some(30)),
            (Some(30), Some(90), true, Expiry::Default, Some(30)),
            (None, Some(90), true, Expiry::Default, Some(90)),
            (None, Some(90), false, Expiry::Default, Some(90)),
            (Some(30), None, true, Expiry::Never, None),
            (Some(30), Some(90), false, in_days(90), Some(90)),
            (Some(30), None, false, in_days(36_500), Some(36_500)),
        ];
        for (default, max, endless, asked, end) in accepted {
            let row = (default, max, endless, asked);
            assert_eq!(days(of_new(&lifetimes(default, max, endless), asked, NOW)), Ok(end), "{row:?}");
        }
        let refused = [
            (None, Some(90), true, in_days(91), "more than 90 days from now"),
            (None, Some(90), true, Expiry::At(NOW.plus(Duration::from_secs(90 * DAY + 1))), "more than 90 days"),
            (None, Some(1), true, Expiry::Never, "more than 1 day from now"),
            (Some(30), None, false, Expiry::Never, "none may last for ever"),
            (None, None, true, Expiry::At(NOW), "must be a time in the future"),
        ];
        for (default, max, endless, asked, message) in refused {
            let row = (default, max, endless, asked);
            let error = days(of_new(&lifetimes(default, max, endless), asked, NOW)).unwrap_err();
            assert!(error.contains(message), "{row:?}: {error}");
        }
    }

    #[test]
    fn a_duration_is_written_in_its_largest_unit() {
        let durations = [(90 * DAY, "90 days"), (3600, "1 hour"), (5400, "90 minutes"), (61, "61 seconds")];
        for (seconds, words) in durations {
            assert_eq!(in_words(Duration::from_secs(seconds)), words);
        }
    }
}
