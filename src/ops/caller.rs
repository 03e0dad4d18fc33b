//! Who presents a credential.

use std::net::IpAddr;

use super::state::endings::RequestStart;

/// What is known of the client that presents a credential.
#[derive(Clone, Copy, Debug, Default)]
pub struct Caller<'r> {
    /// The address. A token with an allowlist needs it.
    pub address: Option<IpAddr>,
    /// The `User-Agent` header.
    pub user_agent: Option<&'r str>,
    /// When the request started; `None` means now. It tells a race from a reuse ([`super::state::endings`]).
    pub since: Option<RequestStart>,
}
