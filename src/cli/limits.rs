//! The limits of a token on the command line: the flags that ask for them, and how they are printed.

use clap::Args;
use serde::Serialize;

use crate::{
    domain::{
        limits::{Allowlist, Limits},
        token::Token,
    },
    ops::{
        Violation,
        limits::{MOST_PER_MINUTE, QuotasLeft},
    },
};

#[derive(Debug, Args)]
pub(super) struct LimitFlags {
    /// An address or network from which it works, for example 192.0.2.0/24; may be repeated [default: from anywhere]
    #[arg(long = "allow-ip", value_name = "NETWORK")]
    ip_allowlist: Vec<String>,
    /// How often it may be used in a minute [default: as often as anybody likes]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_PER_MINUTE)))]
    requests_per_minute: Option<u32>,
    /// How often it may be used in all [default: for ever]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    quota: Option<u32>,
}

impl LimitFlags {
    /// The limits, unless something is added to `violations`.
    pub(super) fn judge(&self, violations: &mut Vec<Violation>) -> Limits {
        let mut networks = Vec::new();
        for (at, text) in self.ip_allowlist.iter().enumerate() {
            match Allowlist::parse_network(text) {
                Ok(network) => networks.push(network),
                Err(error) => violations.push(Violation::new(format!("ip_allowlist.{at}"), error)),
            }
        }
        let allowlist = Allowlist::new(networks).unwrap_or_else(|error| {
            violations.push(Violation::new("ip_allowlist", error));
            Allowlist::default()
        });
        Limits { allowlist, requests_per_minute: self.requests_per_minute, quota: self.quota }
    }
}

/// What the API shows of the same.
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
    pub(super) fn new(token: &Token, left: &QuotasLeft) -> Self {
        let Some(limits) = &token.limits else { return Self::default() };
        let networks = limits.allowlist.networks();
        Self {
            ip_allowlist: (!networks.is_empty()).then(|| networks.iter().map(ToString::to_string).collect()),
            requests_per_minute: limits.requests_per_minute,
            quota: limits.quota,
            quota_remaining: left.of(token),
        }
    }
}
