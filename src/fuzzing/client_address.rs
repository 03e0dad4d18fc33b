//! `X-Forwarded-For`.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use super::lines::line;
use crate::http::input::client::known_address;

/// The first line is the peer, the second one the trusted networks, and each other line is a header.
///
/// Nobody but a trusted proxy changes the address: not by the number of headers, and not by anything on the left of the hop
/// that is the client.
pub fn client_address(data: &[u8]) {
    let Ok(mut text) = std::str::from_utf8(data) else { return };
    let Ok(peer) = line(&mut text).trim().parse::<IpAddr>() else { return };
    let trusted: Vec<IpNet> = line(&mut text).split_whitespace().filter_map(|net| net.parse().ok()).collect();
    let headers: Vec<&str> = text.lines().collect();
    let is_trusted = |address: &IpAddr| trusted.iter().any(|net| net.contains(address));
    let found = known_address(peer, headers.iter(), &trusted);
    assert_eq!(found, model(peer, &headers, &is_trusted), "{peer} {trusted:?} {headers:?}");

    let joined = headers.join(",");
    if !headers.is_empty() {
        assert_eq!(known_address(peer, [&joined].into_iter(), &trusted), found, "one header or many: {headers:?}");
    }
    if let Some(found) = found {
        assert_eq!(found, found.to_canonical());
        if !is_trusted(&found) {
            for forged in ["", "203.0.113.9", "unknown", "10.0.0.1, \"", "[::1]:1"] {
                let headers = [forged, &*joined];
                assert_eq!(known_address(peer, headers.into_iter(), &trusted), Some(found), "{forged:?} {joined:?}");
            }
        }
        // As proxies write it.
        let proxy = IpAddr::from([192, 0, 2, 1]);
        for written in [found.to_string(), SocketAddr::new(found, 4711).to_string()] {
            assert_eq!(known_address(proxy, [written].into_iter(), &[proxy.into()]), Some(found));
        }
    }
}

/// The hops from the peer to the left, up to the first one that is not trusted or cannot be read.
fn model(peer: IpAddr, headers: &[&str], is_trusted: &impl Fn(&IpAddr) -> bool) -> Option<IpAddr> {
    let mut at = peer.to_canonical();
    let all = headers.join(",");
    let mut hops: Vec<&str> = if headers.is_empty() { Vec::new() } else { all.split(',').collect() };
    let mut is_named = !is_trusted(&at);
    while is_trusted(&at)
        && let Some(hop) = hops.pop()
    {
        let hop = hop.trim();
        let in_brackets = hop.strip_prefix('[').and_then(|hop| hop.strip_suffix(']'));
        let bare = in_brackets.unwrap_or(hop);
        at = match (bare.parse::<IpAddr>(), hop.parse::<SocketAddr>()) {
            (Ok(address), _) => address.to_canonical(),
            (_, Ok(with_port)) => with_port.ip().to_canonical(),
            _ => return None,
        };
        is_named = true;
    }
    is_named.then_some(at)
}
