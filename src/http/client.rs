//! From which address a request came: the peer's, or behind trusted proxies the right-most hop that is not one of them.

use std::{
    future::{Ready, ready},
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use actix_web::{FromRequest, HttpRequest, dev::Payload, web};
use ipnet::IpNet;

use super::{AppState, error::ApiError};

/// The address by which a client is throttled and logged.
pub(super) struct ClientAddress(pub(super) IpAddr);

impl FromRequest for ClientAddress {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let state = request.app_data::<web::Data<AppState>>().expect("the state is part of every application");
        let peer = request.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip());
        let forwarded =
            request.headers().get_all("X-Forwarded-For").map(|value| String::from_utf8_lossy(value.as_bytes()));
        ready(Ok(Self(client(peer, forwarded, &state.trusted_proxies))))
    }
}

/// Walks from the peer towards the client for as long as a trusted proxy vouches for the next hop. A hop that cannot be
/// read ends the walk: what lies beyond is anybody's claim.
fn client(peer: IpAddr, forwarded: impl Iterator<Item = impl AsRef<str>>, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(&address));
    let headers: Vec<_> = forwarded.collect();
    let hops: Vec<&str> = headers.iter().flat_map(|header| header.as_ref().split(',')).map(str::trim).collect();
    let mut client = peer.to_canonical();
    for hop in hops.into_iter().rev() {
        if !is_trusted(client) {
            break;
        }
        match parse_hop(hop) {
            Some(address) => client = address,
            None => break,
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
    fn ports_and_brackets_are_read_and_rubbish_ends_the_walk() {
        assert_eq!(seen("127.0.0.1", &["198.51.100.7:4711"]), "198.51.100.7");
        assert_eq!(seen("127.0.0.1", &["[2001:db8::1]:4711"]), "2001:db8::1");
        assert_eq!(seen("127.0.0.1", &["[2001:db8::1]"]), "2001:db8::1");
        assert_eq!(seen("127.0.0.1", &["203.0.113.5, unknown"]), "127.0.0.1");
        assert_eq!(seen("127.0.0.1", &[]), "127.0.0.1");
    }
}
