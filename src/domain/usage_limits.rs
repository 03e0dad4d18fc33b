//! From where and how much a token may be used.

use std::net::IpAddr;

use ipnet::IpNet;

/// The limits of a token that has some. Apart from the token, most of which have none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageLimits {
    /// From where it may be used.
    pub allowlist: Allowlist,
    /// How often in a minute; `None` is as often as anybody likes.
    pub requests_per_minute: Option<u32>,
    /// How often in all; `None` is for ever. How much of it is used is no part of a record that is kept in memory.
    pub quota: Option<u32>,
}

impl UsageLimits {
    /// The same in the form in which a token carries them: nothing where nothing is limited.
    pub fn boxed(self) -> Option<Box<Self>> {
        (self != Self::default()).then(|| Box::new(self))
    }
}

/// How many uses of a quota are taken at once, `left` being left of it, so that not every use is a write: what is taken and
/// not made is lost in a crash, and so it is never more than an eighth, and 64 at most.
pub fn lease(left: u32) -> u32 {
    (left / 8).clamp(1, 64).min(left)
}

/// Networks from which a token may be used; empty is from anywhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowlist(Vec<IpNet>);

/// The text is no network. The message reads on from "The ip_allowlist.0 field …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be an IP address or a network like 192.0.2.0/24 or 2001:db8::/32.")]
pub struct ParseNetworkError;

/// More than [`Allowlist::MAX`] networks. The message reads on from "The ip_allowlist field …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must not have more than 100 items.")]
pub struct TooManyNetworks;

impl Allowlist {
    /// The most networks of a token.
    pub const MAX: usize = 100;

    /// Reads one network, or an address as the network of that address alone. What lies beyond the mask is dropped.
    pub fn parse_network(text: &str) -> Result<IpNet, ParseNetworkError> {
        let address = |text: &str| text.parse::<IpAddr>().ok().map(|address| IpNet::from(address.to_canonical()));
        text.parse::<IpNet>().ok().or_else(|| address(text)).map(|network| network.trunc()).ok_or(ParseNetworkError)
    }

    /// Takes the networks in their order, each once.
    pub fn new(networks: impl IntoIterator<Item = IpNet>) -> Result<Self, TooManyNetworks> {
        let mut taken = Vec::new();
        for network in networks {
            if !taken.contains(&network) {
                taken.push(network);
            }
            if taken.len() > Self::MAX {
                return Err(TooManyNetworks);
            }
        }
        Ok(Self(taken))
    }

    /// The networks.
    pub fn networks(&self) -> &[IpNet] {
        &self.0
    }

    /// Whether a token may be used from `address`. An IPv4 address that is written as IPv6 is that IPv4 address.
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
    fn a_network_permits_what_lies_in_it_and_nothing_else() {
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
    fn a_network_is_kept_once_and_without_what_lies_beyond_its_mask() {
        assert_eq!(allowlist(&["192.0.2.7/24", "192.0.2.0/24"]).networks(), ["192.0.2.0/24".parse().unwrap()]);
        for bad in ["", "192.0.2.0/33", "192.0.2", "example.com", " 192.0.2.1", "192.0.2.1,192.0.2.2", "192.0.2.01"] {
            assert_eq!(Allowlist::parse_network(bad), Err(ParseNetworkError), "{bad:?}");
        }
        let many = (0..=100_u32).map(|n| IpNet::from(IpAddr::from(n.to_be_bytes())));
        assert_eq!(Allowlist::new(many.clone()), Err(TooManyNetworks));
        assert!(Allowlist::new(many.take(100)).is_ok());
    }

    #[test]
    fn a_lease_is_an_eighth_of_what_is_left_and_all_leases_are_all_of_it() {
        assert_eq!([0, 1, 15, 16, 100, 1_000_000].map(lease), [0, 1, 1, 2, 12, 64]);
        let (mut left, mut taken) = (1000, 0);
        while left > 0 {
            taken += lease(left);
            left -= lease(left);
        }
        assert_eq!(taken, 1000);
    }

    #[test]
    fn limits_that_limit_nothing_take_no_room() {
        assert_eq!(UsageLimits::default().boxed(), None);
        assert!(UsageLimits { quota: Some(1), ..UsageLimits::default() }.boxed().is_some());
    }
}
