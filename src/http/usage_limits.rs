//! The usage limits of a token: the fields that set them, and the view that shows them.

use serde::Serialize;

use super::input::form::Form;
use crate::{
    domain::{
        token::Token,
        usage_limits::{Allowlist, UsageLimits},
    },
    ops::usage_limits::MAX_PER_MINUTE,
};

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

/// The usage limits of a token. Limits that it does not have are omitted.
#[derive(Default, Serialize)]
pub(super) struct LimitsView {
    #[serde(skip_serializing_if = "Option::is_none")]
    ip_allowlist: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requests_per_minute: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quota: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quota_remaining: Option<u32>,
}

impl LimitsView {
    pub(super) fn new(token: &Token, quota_left: Option<u32>) -> Self {
        let Some(limits) = &token.limits else { return Self::default() };
        let networks = limits.allowlist.networks();
        Self {
            ip_allowlist: (!networks.is_empty()).then(|| networks.iter().map(ToString::to_string).collect()),
            requests_per_minute: limits.requests_per_minute,
            quota: limits.quota,
            quota_remaining: quota_left,
        }
    }
}
