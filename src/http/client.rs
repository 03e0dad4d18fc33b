//! From which address a request came: the peer's, or behind trusted proxies the right-most hop that is not one of them.

use std::{
    borrow::Cow,
    future::{Ready, ready},
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use actix_web::{
    FromRequest, HttpRequest,
    dev::Payload,
    http::header::{self, HeaderMap, HeaderName},
    web,
};
use ipnet::IpNet;

use super::{AppState, error::ApiError};
use crate::ops::verification::Caller;

/// The address by which a client is throttled and logged.
pub(super) struct ClientAddress(pub(super) IpAddr);

impl FromRequest for ClientAddress {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let state = request.app_data::<web::Data<AppState>>().expect("the state is part of every application");
        ready(Ok(Self(client_of(request.peer_addr(), request.headers(), state))))
    }
}

/// The same of a request that came from `peer` with these headers.
pub(super) fn client_of(peer: Option<SocketAddr>, headers: &HeaderMap, state: &AppState) -> IpAddr {
    let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip());
    client(peer, forwarded(headers), &state.trusted_proxies)
}

/// Who asks, by a request that came from `peer` with these headers and starts now. The address is unknown where a trusted proxy does not
/// tell for whom it asks, lest everybody pass for the proxy.
pub(super) fn caller<'r>(peer: Option<SocketAddr>, headers: &'r HeaderMap, state: &AppState) -> Caller<'r> {
    let address = peer.and_then(|peer| walk(peer.ip(), forwarded(headers), &state.trusted_proxies));
    // It is noted beside an address and nowhere else.
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

/// The same where any address will do.
fn client(peer: IpAddr, forwarded: impl Iterator<Item = impl AsRef<str>>, trusted: &[IpNet]) -> IpAddr {
    walk(peer, forwarded, trusted).unwrap_or(peer.to_canonical())
}

/// Walks from the peer towards the client for as long as a trusted proxy vouches for the next hop. `None` where the peer
/// is a trusted proxy and vouches for nobody, or a hop cannot be read: what lies beyond is anybody's claim.
fn walk(peer: IpAddr, forwarded: impl Iterator<Item = impl AsRef<str>>, trusted: &[IpNet]) -> Option<IpAddr> {
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

/// Some proxies add the port, and IPv6 then comes in brackets.
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
        client(peer.parse().unwrap(), headers.iter().copied(), &trusted).to_string()
    }

    #[test]
    fn a_stranger_cannot_claim_another_address() {
        assert_eq!(seen("192.0.2.1", &["198.51.100.7"]), "192.0.2.1");
    }

    #[test]
    fn a_trusted_proxy_vouches_for_the_hop_before_it_and_no_further() {
        assert_eq!(seen("127.0.0.1", &["203.0.113.5, 198.51.100.7"]), "198.51.100.7");
        assert_eq!(seen("127.0.0.1", &["203.0.113.5, 198.51.100.7, 10.1.2.3"]), "198.51.100.7");
        assert_eq!(seen("127.0.0.1", &["203.0.113.5", "198.51.100.7"]), "198.51.100.7");
        assert_eq!(seen("::ffff:127.0.0.1", &["198.51.100.7"]), "198.51.100.7");
    }

    #[test]
    fn a_trusted_proxy_that_vouches_for_nobody_leaves_the_client_unknown() {
        let known = |peer: &str, headers: &[&str]| {
            walk(peer.parse().unwrap(), headers.iter().copied(), &["10.0.0.0/8".parse().unwrap()])
        };
        assert_eq!(known("10.1.1.1", &[]), None);
        assert_eq!(known("10.1.1.1", &["198.51.100.7, unknown"]), None);
        assert_eq!(known("10.1.1.1", &["10.2.2.2"]), Some([10, 2, 2, 2].into()));
        assert_eq!(known("192.0.2.1", &["198.51.100.7"]), Some([192, 0, 2, 1].into()));
    }

    #[test]
    fn ports_and_brackets_are_read_and_rubbish_ends_the_walk() {
        assert_eq!(seen("127.0.0.1", &["198.51.100.7:4711"]), "198.51.100.7");
        assert_eq!(seen("127.0.0.1", &["[2001:db8::1]:4711"]), "2001:db8::1");
        assert_eq!(seen("127.0.0.1", &["[2001:db8::1]"]), "2001:db8::1");
        assert_eq!(seen("127.0.0.1", &["203.0.113.5, unknown"]), "127.0.0.1");
        assert_eq!(seen("127.0.0.1", &[]), "127.0.0.1");
    }
}
