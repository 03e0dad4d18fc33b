//! The fields that set the usage limits of a token.

use super::input::form::Form;
use crate::domain::usage_limits::{Allowlist, MAX_PER_MINUTE, UsageLimits};

/// Reads the usage limits of a new token.
pub(super) fn read(form: &mut Form) -> UsageLimits {
    for field in ["ip_allowlist", "requests_per_minute", "quota"] {
        form.refuse_null(field, "Leave it out for a token without this limit.");
    }
    // An empty list could mean no address or any address. It is probably a mistake of a program, so it is refused.
    if form.is_empty_list("ip_allowlist") {
        form.refuse("ip_allowlist", "must name a network; leave it out for a token that works from anywhere.");
    }
    let networks = form.optional_list("ip_allowlist", Allowlist::MAX, Allowlist::parse_network);
    let allowlist = Allowlist::new(networks.unwrap_or_default()).unwrap_or_else(|error| {
        form.refuse("ip_allowlist", error);
        Allowlist::default()
    });
    let mut number =
        |field, max: u32| form.optional_number(field, 1..=max.into()).and_then(|number| u32::try_from(number).ok());
    UsageLimits {
        allowlist,
        requests_per_minute: number("requests_per_minute", MAX_PER_MINUTE),
        quota: number("quota", u32::MAX),
    }
}
