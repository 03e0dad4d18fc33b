//! The address of the client: the peer's, or behind trusted proxies that of the right-most hop that is not one of them.

use std::{
    borrow::Cow,
    future::{Ready, ready},
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use actix_web::{
    FromRequest, HttpRequest,
    dev::Payload,
    http::header::{self, HeaderMap, HeaderName},
};
use ipnet::IpNet;

use crate::{
    http::{
        error::ApiError,
        state::{AppState, current::State},
    },
    ops::verification::Caller,
};

/// The address by which a client is throttled and logged.
pub(crate) struct ClientAddress(pub(crate) IpAddr);

impl FromRequest for ClientAddress {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let state = State::of(request);
        ready(Ok(Self(client_address(request.peer_addr(), request.headers(), &state))))
    }
}

/// The address of the client of a request with these headers from `peer`.
pub(crate) fn client_address(peer: Option<SocketAddr>, headers: &HeaderMap, state: &AppState) -> IpAddr {
    let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip());
    address_or_peer(peer, forwarded(headers), &state.trusted_proxies)
}

/// The caller of a request with these headers from `peer` that starts now. If a trusted proxy does not name its client,
/// the address is unknown: the proxy's own address must not count as the client's.
pub(crate) fn caller<'r>(peer: Option<SocketAddr>, headers: &'r HeaderMap, state: &AppState) -> Caller<'r> {
    let address = peer.and_then(|peer| known_address(peer.ip(), forwarded(headers), &state.trusted_proxies));
    // A use location without an address is not stored, so its user agent is not needed.
    let user_agent = address.and_then(|_| headers.get(header::USER_AGENT));
    Caller {
        address,
        user_agent: user_agent.and_then(|value| std::str::from_utf8(value.as_bytes()).ok()),
        since: Some(state.ops.moment()),
    }
}

fn forwarded(headers: &HeaderMap) -> impl Iterator<Item = Cow<'_, str>> {
    headers.get_all(X_FORWARDED_FOR).map(|value| String::from_utf8_lossy(value.as_bytes()))
}

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address of the client, or the peer's if the client is unknown.
fn address_or_peer(peer: IpAddr, forwarded: impl Iterator<Item = impl AsRef<str>>, trusted: &[IpNet]) -> IpAddr {
    known_address(peer, forwarded, trusted).unwrap_or(peer.to_canonical())
}

/// Follows the hops from the peer towards the client while the hop that names the next one is a trusted proxy. `None`
/// if the peer is a trusted proxy that names no client, or if a hop is malformed: clients can forge all hops before
/// that.
pub(crate) fn known_address(
    peer: IpAddr,
    forwarded: impl Iterator<Item = impl AsRef<str>>,
    trusted: &[IpNet],
) -> Option<IpAddr> {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(&address));
    let peer = peer.to_canonical();
    if !is_trusted(peer) {
        return Some(peer);
    }
    let headers: Vec<_> = forwarded.collect();
    let mut client = None;
    for hop in headers.iter().rev().flat_map(|header| header.as_ref().rsplit(',')).map(str::trim) {
        let address = parse_hop(hop)?;
        client = Some(address);
        if !is_trusted(address) {
            break;
        }
    }
    client
}

/// Some proxies add the port. IPv6 addresses are then in brackets.
fn parse_hop(hop: &str) -> Option<IpAddr> {
    let bare = hop.strip_prefix('[').and_then(|hop| hop.strip_suffix(']')).unwrap_or(hop);
    let address = bare.parse().or_else(|_| hop.parse::<SocketAddr>().map(|with_port| with_port.ip()));
    address.ok().map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(peer: &str, headers: &[&str]) -> String {
        let trusted = ["127.0.0.1/32".parse().unwrap(), "10.0.0.0/8".parse().unwrap()];
        address_or_peer(peer.parse().unwrap(), headers.iter().copied(), &trusted).to_string()
    }

    #[test]
    fn a_peer_that_is_not_trusted_cannot_claim_another_address() {
        assert_eq!(seen("192.0.2.1", &["198.51.100.7"]), "192.0.2.1");
    }

    #[test]
    fn a_trusted_proxy_is_believed_about_the_hop_before_it_only() {
        assert_eq!(seen("127.0.0.1", &["203.0.113.5, 198.51.100.7"]), "198.51.100.7");
        assert_eq!(seen("127.0.0.1", &["203.0.113.5, 198.51.100.7, 10.1.2.3"]), "198.51.100.7");
        assert_eq!(seen("127.0.0.1", &["203.0.113.5", "198.51.100.7"]), "198.51.100.7");
        assert_eq!(seen("::ffff:127.0.0.1", &["198.51.100.7"]), "198.51.100.7");
    }

    #[test]
    fn the_client_of_a_trusted_proxy_that_names_none_is_unknown() {
        let known = |peer: &str, headers: &[&str]| {
            known_address(peer.parse().unwrap(), headers.iter().copied(), &["10.0.0.0/8".parse().unwrap()])
        };
        assert_eq!(known("10.1.1.1", &[]), None);
        assert_eq!(known("10.1.1.1", &["198.51.100.7, unknown"]), None);
        assert_eq!(known("10.1.1.1", &["10.2.2.2"]), Some([10, 2, 2, 2].into()));
        assert_eq!(known("192.0.2.1", &["198.51.100.7"]), Some([192, 0, 2, 1].into()));
    }

    #[test]
    fn ports_and_brackets_are_accepted_and_a_malformed_hop_is_not() {
        assert_eq!(seen("127.0.0.1", &["198.51.100.7:4711"]), "198.51.100.7");
        assert_eq!(seen("127.0.0.1", &["[2001:db8::1]:4711"]), "2001:db8::1");
        assert_eq!(seen("127.0.0.1", &["[2001:db8::1]"]), "2001:db8::1");
        assert_eq!(seen("127.0.0.1", &["203.0.113.5, unknown"]), "127.0.0.1");
        assert_eq!(seen("127.0.0.1", &[]), "127.0.0.1");
    }
}
