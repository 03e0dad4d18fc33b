//! Usage limits of tokens: allowed addresses, rate limit and quota.

use std::net::IpAddr;

use ipnet::IpNet;

/// The highest rate limit of a token: the limiter multiplies it within a u64 of nanoseconds.
pub const MAX_PER_MINUTE: u32 = 1_000_000;

/// The usage limits of a token. A token holds them in a box, because most tokens have none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageLimits {
    /// The allowed addresses.
    pub allowlist: Allowlist,
    /// The rate limit: uses in a minute. `None` means no limit.
    pub requests_per_minute: Option<u32>,
    /// The quota: uses in all. `None` means no limit. Cached records do not hold how many are used.
    pub quota: Option<u32>,
}

impl UsageLimits {
    /// The form in which a token holds them. `None` if nothing is limited.
    pub fn boxed(self) -> Option<Box<Self>> {
        (self != Self::default()).then(|| Box::new(self))
    }
}

/// How many uses to reserve at once when `left` are left of a quota. Reserving several saves a write for each use. A crash
/// loses reserved uses, so it is at most an eighth of what is left, and at most 64.
pub fn lease(left: u32) -> u32 {
    (left / 8).clamp(1, 64).min(left)
}

/// How many uses of a rate limit a server takes at once, if several share the database: what the limit allows in three seconds.
/// Taking several saves a write for each use. Those that one server holds are not available to the others.
pub fn permits_at_once(per_minute: u32) -> u32 {
    (per_minute / 20).max(1)
}

/// The bits before the IPv4 address in an IPv4-mapped IPv6 address.
const MAPPED_PREFIX: u8 = 96;

/// Networks from which a token may be used. An empty list allows every address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowlist(Vec<IpNet>);

/// The text is not a network. The message reads on from "The ip_allowlist.0 field …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be an IP address or a network like 192.0.2.0/24 or 2001:db8::/32.")]
pub struct ParseNetworkError;

/// More than [`Allowlist::MAX`] networks. The message reads on from "The ip_allowlist field …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must not have more than 100 items.")]
pub struct TooManyNetworks;

impl Allowlist {
    /// How many networks a token may have.
    pub const MAX: usize = 100;

    /// Parses a network, or an address as a network of one address. Bits beyond the mask are cleared. IPv4-mapped IPv6 networks
    /// (`::ffff:10.0.0.0/104`) are read as the IPv4 networks that they mean, because addresses are compared as such.
    pub fn parse_network(text: &str) -> Result<IpNet, ParseNetworkError> {
        let address = |text: &str| text.parse::<IpAddr>().ok().map(IpNet::from);
        let network = text.parse::<IpNet>().ok().or_else(|| address(text)).ok_or(ParseNetworkError)?;
        let as_ipv4 = network.prefix_len().checked_sub(MAPPED_PREFIX).filter(|_| network.addr().is_ipv6());
        let as_ipv4 = as_ipv4.and_then(|prefix| IpNet::new(network.addr().to_canonical(), prefix).ok());
        Ok(as_ipv4.filter(|network| network.addr().is_ipv4()).unwrap_or(network).trunc())
    }

    /// Keeps the order and drops repetitions.
    pub fn new(networks: impl IntoIterator<Item = IpNet>) -> Result<Self, TooManyNetworks> {
        let mut unique = Vec::new();
        for network in networks {
            if !unique.contains(&network) {
                unique.push(network);
            }
            if unique.len() > Self::MAX {
                return Err(TooManyNetworks);
            }
        }
        Ok(Self(unique))
    }

    /// The networks.
    pub fn networks(&self) -> &[IpNet] {
        &self.0
    }

    /// Whether a token may be used from `address`. An IPv4-mapped IPv6 address counts as the IPv4 address.
    pub fn permits(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.is_empty() || self.0.iter().any(|network| network.contains(&address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowlist(networks: &[&str]) -> Allowlist {
        Allowlist::new(networks.iter().map(|text| Allowlist::parse_network(text).unwrap())).unwrap()
    }

    #[test]
    fn a_network_permits_its_own_addresses_only() {
        let permits = |networks: &[&str], address: &str| allowlist(networks).permits(address.parse().unwrap());
        assert!(permits(&[], "198.51.100.7"));
        assert!(permits(&["192.0.2.0/24", "2001:db8::/32"], "192.0.2.255"));
        assert!(permits(&["192.0.2.0/24", "2001:db8::/32"], "2001:db8:1::1"));
        assert!(permits(&["192.0.2.1"], "::ffff:192.0.2.1"));
        assert!(permits(&["::ffff:192.0.2.1"], "192.0.2.1"));
        assert!(!permits(&["192.0.2.1"], "192.0.2.2"));
        assert!(!permits(&["0.0.0.0/0"], "2001:db8::1"));
    }

    #[test]
    fn a_mapped_network_is_read_as_the_one_that_it_means() {
        let shown = |text: &str| Allowlist::parse_network(text).unwrap().to_string();
        assert_eq!(shown("::ffff:10.0.0.1/128"), "10.0.0.1/32");
        assert_eq!(shown("::ffff:10.1.2.3/104"), "10.0.0.0/8");
        assert_eq!(shown("::ffff:0:0/96"), "0.0.0.0/0");
        assert!(allowlist(&["::ffff:10.0.0.1/128"]).permits("10.0.0.1".parse().unwrap()));
        // These contain other addresses, too.
        for other in ["::ffff:0:0/95", "::/0", "2001:db8::/97", "::a00:1/128"] {
            let network: IpNet = other.parse().unwrap();
            assert_eq!(Allowlist::parse_network(other), Ok(network.trunc()), "{other}");
        }
    }

    #[test]
    fn a_network_is_kept_once_and_without_bits_beyond_its_mask() {
        assert_eq!(allowlist(&["192.0.2.7/24", "192.0.2.0/24"]).networks(), ["192.0.2.0/24".parse().unwrap()]);
        for bad in ["", "192.0.2.0/33", "192.0.2", "example.com", " 192.0.2.1", "192.0.2.1,192.0.2.2", "192.0.2.01"] {
            assert_eq!(Allowlist::parse_network(bad), Err(ParseNetworkError), "{bad:?}");
        }
        let many = (0..=100_u32).map(|n| IpNet::from(IpAddr::from(n.to_be_bytes())));
        assert_eq!(Allowlist::new(many.clone()), Err(TooManyNetworks));
        assert!(Allowlist::new(many.take(100)).is_ok());
    }

    #[test]
    fn a_lease_is_an_eighth_of_what_is_left_and_all_leases_add_up_to_the_quota() {
        assert_eq!([0, 1, 15, 16, 100, 1_000_000].map(lease), [0, 1, 1, 2, 12, 64]);
        let (mut left, mut taken) = (1000, 0);
        while left > 0 {
            taken += lease(left);
            left -= lease(left);
        }
        assert_eq!(taken, 1000);
    }

    #[test]
    fn permits_at_once_are_a_twentieth_of_a_minute() {
        assert_eq!([1, 19, 20, 39, 40, 60, 1_000_000].map(permits_at_once), [1, 1, 1, 1, 2, 3, 50_000]);
    }

    #[test]
    fn limits_that_limit_nothing_are_not_stored() {
        assert_eq!(UsageLimits::default().boxed(), None);
        assert!(UsageLimits { quota: Some(1), ..UsageLimits::default() }.boxed().is_some());
    }
}
