//! The options for the usage limits of a token.

use clap::Args;

use crate::{control::LimitsRequest, domain::usage_limits::MAX_PER_MINUTE};

#[derive(Debug, Args)]
pub(super) struct LimitOptions {
    /// Allow use only from this address or network, such as 192.0.2.0/24; may be repeated [default: any address]
    #[arg(long = "allow-ip", value_name = "NETWORK")]
    ip_allowlist: Vec<String>,
    /// Allow this many uses per minute [default: unlimited]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_PER_MINUTE)))]
    requests_per_minute: Option<u32>,
    /// Allow this many uses in total [default: unlimited]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    quota: Option<u32>,
}

impl LimitOptions {
    pub(super) fn into_request(self) -> LimitsRequest {
        let Self { ip_allowlist, requests_per_minute, quota } = self;
        LimitsRequest { ip_allowlist, requests_per_minute, quota }
    }
}
