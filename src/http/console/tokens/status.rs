//! What state a token is in, as pages show it.

use std::time::Duration;

use crate::{
    domain::{
        time::Timestamp,
        token::{RevocationReason, Token},
    },
    http::console::{texts::Texts, times::When},
};

/// How long before its expiry pages warn of it.
pub(super) const SOON: Duration = Duration::from_hours(30 * 24);

/// The state of a token: a word, and the class of its colour.
pub(in crate::http::console) struct Status {
    pub(in crate::http::console) class: &'static str,
    pub(in crate::http::console) word: String,
}

impl Status {
    pub(in crate::http::console) fn of(texts: Texts, token: &Token, now: Timestamp) -> Self {
        let status = |class, text: &str| Self { class, word: texts.say(text) };
        if let Some(revoked) = token.revoked {
            return status("ended", revoked_as(revoked.reason));
        }
        if token.has_expired(now) {
            return status("ended", "status-expired");
        }
        if token.disabled_at.is_some() {
            return status("paused", "status-disabled");
        }
        if token.is_canary {
            return status("canary", "status-canary");
        }
        if token.grace.is_some() {
            return status("soon", "status-rotated-grace");
        }
        status("live", "status-active")
    }
}

/// The name of the text that says why a token was revoked.
pub(super) const fn revoked_as(reason: RevocationReason) -> &'static str {
    match reason {
        RevocationReason::RevokedByOwner => "status-revoked",
        RevocationReason::Rotated => "status-rotated",
        RevocationReason::LeakReport => "status-leaked",
        RevocationReason::ReuseDetected => "status-reuse",
    }
}

/// The expiry of a token, with a warning if it is near.
pub(in crate::http::console) struct Expires {
    /// `None` means never.
    pub(in crate::http::console) when: Option<When>,
    /// A word before the time, so that the colour does not stand alone.
    pub(in crate::http::console) warning: String,
}

impl Expires {
    pub(in crate::http::console) fn of(texts: Texts, token: &Token, now: Timestamp) -> Self {
        let is_soon = |end: Timestamp| !end.has_passed(now) && end <= now.plus(SOON) && token.revoked.is_none();
        let warning = if token.expires_at.is_some_and(is_soon) { texts.say("expires-soon") } else { String::new() };
        Self { when: token.expires_at.map(|at| When::new(texts, at, now)), warning }
    }
}
