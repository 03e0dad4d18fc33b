//! When tokens end by themselves: at their expiry, or unused for too long, whichever comes first.

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

/// When a new token is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// When the configuration says, or, where it replaces another token, with that.
    Default,
    /// Only by being revoked.
    Never,
    /// At this time, which must lie ahead.
    At(Timestamp),
    /// This long after it is made.
    After(Duration),
}

impl Expiry {
    /// The field by which it was asked for.
    pub(super) const fn field(self) -> &'static str {
        match self {
            Self::Default | Self::Never | Self::At(_) => "expires_at",
            Self::After(_) => "expires_in_days",
        }
    }
}

/// When a token ends that is made now. What the configuration does not allow is refused, and the limit named.
pub(super) fn of_new(lifetimes: &Lifetimes, expiry: Expiry, now: Timestamp) -> Result<Option<Timestamp>, Error> {
    match expiry {
        Expiry::Default => Ok(lifetimes.default.or(lifetimes.max).map(|lifetime| now.plus(lifetime))),
        Expiry::Never => match lifetimes.max {
            None if lifetimes.allow_endless => Ok(None),
            None => {
                Err(FieldError::new(expiry.field(), "must say when the token ends: none may last for ever.").into())
            }
            Some(max) => Err(beyond(expiry, max)),
        },
        Expiry::At(_) | Expiry::After(_) => ahead(lifetimes, expiry, now),
    }
}

/// The time that is asked for, if any. It must lie ahead, and not beyond the limit.
pub(super) fn ahead(lifetimes: &Lifetimes, expiry: Expiry, now: Timestamp) -> Result<Option<Timestamp>, Error> {
    let end = match expiry {
        Expiry::Default | Expiry::Never => return Ok(None),
        Expiry::At(end) => end,
        Expiry::After(lifetime) => now.plus(lifetime),
    };
    if end.has_passed(now) {
        return Err(FieldError::new(expiry.field(), "must be a time in the future.").into());
    }
    match lifetimes.max {
        Some(max) if end > now.plus(max) => Err(beyond(expiry, max)),
        _ => Ok(Some(end)),
    }
}

fn beyond(expiry: Expiry, max: Duration) -> Error {
    let predicate = format!("must not be more than {} from now, the longest that this server allows.", in_words(max));
    FieldError::new(expiry.field(), predicate).into()
}

/// In the largest unit that tells it exactly.
fn in_words(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let units = [(24 * 60 * 60, "day"), (60 * 60, "hour"), (60, "minute"), (1, "second")];
    let (unit, name) = units.into_iter().find(|(unit, _)| seconds.is_multiple_of(*unit)).unwrap_or((1, "second"));
    let count = seconds / unit;
    format!("{count} {name}{}", if count == 1 { "" } else { "s" })
}

/// Whether the token was unused for too long as far as its record knows, which may not know of the latest use.
pub(super) fn seems_idle(ctx: &Context, record: &TokenRecord, now: Timestamp) -> bool {
    let Some(idle) = ctx.rules.token_lifetimes.idle else { return false };
    is_idle(record.last_use.at(), &record.token, idle, now)
}

/// Asks everybody who may know of a later use before the token is refused as idle.
pub(super) async fn expect_in_use(ctx: &Context, record: &TokenRecord, now: Timestamp) -> Result<(), Error> {
    let Some(idle) = ctx.rules.token_lifetimes.idle else { return Ok(()) };
    // The store first: a use that is written in between is still found here.
    let stored = match ctx.store.last_use_of(record.token.number).await {
        Ok(stored) => stored,
        Err(StoreError::NotFound) => return Err(Rejection::Revoked.into()),
        Err(error) => return Err(error.into()),
    };
    let latest = ctx.uses.latest_token(record.token.number, stored);
    if is_idle(latest, &record.token, idle, now) { Err(Rejection::Idle.into()) } else { Ok(()) }
}

/// A time from when the clock ran ahead counts as now, lest it keep the token from ever being idle.
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
    fn a_token_ends_when_its_maker_says_or_else_when_the_configuration_does() {
        let in_days = |days: u64| Expiry::After(Duration::from_secs(days * DAY));
        // The default, the maximum, whether endless is allowed, what is asked for, when it ends (in days).
        let taken = [
            (None, None, true, Expiry::Default, None),
            (Some(30), None, true, Expiry::Default, Some(30)),
            (Some(30), Some(90), true, Expiry::Default, Some(30)),
            (None, Some(90), true, Expiry::Default, Some(90)),
            (None, Some(90), false, Expiry::Default, Some(90)),
            (Some(30), None, true, Expiry::Never, None),
            (Some(30), Some(90), false, in_days(90), Some(90)),
            (Some(30), None, false, in_days(36_500), Some(36_500)),
        ];
        for (default, max, endless, asked, end) in taken {
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
            let said = days(of_new(&lifetimes(default, max, endless), asked, NOW)).unwrap_err();
            assert!(said.contains(message), "{row:?}: {said}");
        }
    }

    #[test]
    fn a_duration_is_told_in_its_largest_unit() {
        let told = [(90 * DAY, "90 days"), (3600, "1 hour"), (5400, "90 minutes"), (61, "61 seconds")];
        for (seconds, words) in told {
            assert_eq!(in_words(Duration::from_secs(seconds)), words);
        }
    }
}
