//! The flags that ask for limits of a token.

use clap::Args;

use crate::{control::LimitsRequest, ops::usage_limits::MAX_PER_MINUTE};

#[derive(Debug, Args)]
pub(super) struct LimitFlags {
    /// An address or network from which it works, for example 192.0.2.0/24; may be repeated [default: from anywhere]
    #[arg(long = "allow-ip", value_name = "NETWORK")]
    ip_allowlist: Vec<String>,
    /// How often it may be used in a minute [default: as often as anybody likes]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_PER_MINUTE)))]
    requests_per_minute: Option<u32>,
    /// How often it may be used in all [default: for ever]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    quota: Option<u32>,
}

impl LimitFlags {
    pub(super) fn into_request(self) -> LimitsRequest {
        let Self { ip_allowlist, requests_per_minute, quota } = self;
        LimitsRequest { ip_allowlist, requests_per_minute, quota }
    }
}
