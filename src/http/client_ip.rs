//! Where a request comes from, for the routes that nobody has to prove themselves to.
//!
//! `X-Forwarded-For` is a list that every proxy on the way adds its own peer to, at the right; what stands to the
//! left of the first stranger anybody may have written. So it is read from the right, only behind a trusted proxy,
//! and only up to the first address that is not one. `Forwarded` (RFC 7239) is deliberately not read: two headers
//! that may disagree are one too many.

use std::net::{IpAddr, SocketAddr};

use actix_web::HttpRequest;

use crate::config::Network;

/// The address of whoever asks: the peer, or, when that is a trusted proxy, the rightmost address of
/// `X-Forwarded-For` that is not one itself. `None` only where there is no peer, as on a Unix socket.
pub fn client_ip(request: &HttpRequest, trusted: &[Network]) -> Option<IpAddr> {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut nearest = request.peer_addr()?.ip().to_canonical();
    // Several headers are one list (RFC 9110, 5.3). What is not text ends it like any other thing that is no address.
    let lists = request.headers().get_all("x-forwarded-for").map(|list| list.to_str().unwrap_or("unreadable"));
    let entries: Vec<&str> = lists.flat_map(|list| list.split(',')).map(str::trim).collect();
    for entry in entries.into_iter().rev().filter(|entry| !entry.is_empty()) {
        if !is_trusted(nearest) {
            break;
        }
        // Whoever wrote this did not say whom it had before it: further to the left nothing is vouched for.
        let Some(address) = address(entry) else { break };
        nearest = address;
    }
    Some(nearest)
}

/// An address as proxies write it: bare, with a port, or in brackets.
fn address(entry: &str) -> Option<IpAddr> {
    let in_brackets = || entry.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(IpAddr::V6);
    let bare = entry.parse().ok();
    let address = bare.or_else(|| entry.parse::<SocketAddr>().ok().map(|with_port| with_port.ip()));
    address.or_else(in_brackets).map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;
    use actix_web::test::TestRequest;

    use super::*;

    /// What is made of a peer and its headers, where 10.0.0.0/8 and fd00::/8 are trusted.
    fn seen(peer: &str, forwarded: &[&str]) -> String {
        let trusted: Vec<Network> = ["10.0.0.0/8", "fd00::/8"].map(|text| text.parse().unwrap()).into();
        let mut request = TestRequest::default().peer_addr(peer.parse().unwrap());
        for list in forwarded {
            request = request.append_header(("X-Forwarded-For", *list));
        }
        client_ip(&request.to_http_request(), &trusted).unwrap().to_string()
    }

    #[test]
    fn a_stranger_is_not_believed() {
        assert_eq!(seen("203.0.113.9:4000", &[]), "203.0.113.9");
        assert_eq!(seen("203.0.113.9:4000", &["198.51.100.1"]), "203.0.113.9");
        assert_eq!(seen("[2001:db8::9]:4000", &["198.51.100.1"]), "2001:db8::9");
    }

    #[test]
    fn a_trusted_proxy_is_believed_as_far_as_it_can_know() {
        assert_eq!(seen("10.0.0.1:4000", &["203.0.113.9"]), "203.0.113.9");
        // Written by the client itself, in one header or in one of its own.
        assert_eq!(seen("10.0.0.1:4000", &["198.51.100.1, 127.0.0.1, 203.0.113.9"]), "203.0.113.9");
        assert_eq!(seen("10.0.0.1:4000", &["198.51.100.1", "203.0.113.9"]), "203.0.113.9");
        assert_eq!(seen("10.0.0.1:4000", &["10.0.0.7, 203.0.113.9"]), "203.0.113.9");
        // Two proxies.
        assert_eq!(seen("10.0.0.1:4000", &["198.51.100.1, 203.0.113.9, 10.0.0.2"]), "203.0.113.9");
        assert_eq!(seen("10.0.0.1:4000", &["198.51.100.1, 203.0.113.9", "10.0.0.2"]), "203.0.113.9");
    }

    #[test]
    fn addresses_are_read_as_proxies_write_them() {
        for written in ["2001:db8::9", "[2001:db8::9]", "[2001:db8::9]:4000", " 2001:DB8:0::9 "] {
            assert_eq!(seen("[fd00::1]:4000", &[written]), "2001:db8::9", "{written:?}");
        }
        for written in ["203.0.113.9:4000", "::ffff:203.0.113.9", "[::ffff:203.0.113.9]:4000", ",203.0.113.9, ,"] {
            assert_eq!(seen("[::ffff:10.0.0.1]:4000", &[written]), "203.0.113.9", "{written:?}");
        }
        assert_eq!(seen("[::ffff:203.0.113.9]:4000", &[]), "203.0.113.9");
    }

    #[test]
    fn what_nobody_vouches_for_is_not_read() {
        for garbage in
            ["", " , ", "unknown", "_hidden", "203.0.113.9 198.51.100.1", "203.0.113.999", "[2001:db8::9", "fe80::1%0"]
        {
            assert_eq!(seen("10.0.0.1:4000", &[garbage]), "10.0.0.1", "{garbage:?}");
        }
        assert_eq!(seen("10.0.0.1:4000", &["198.51.100.1, unknown"]), "10.0.0.1");
        assert_eq!(seen("10.0.0.1:4000", &["198.51.100.1, unknown, 10.0.0.2"]), "10.0.0.2");
        let bytes = HeaderValue::from_bytes(b"\xff").unwrap();
        let request = TestRequest::default().peer_addr("10.0.0.1:4000".parse().unwrap());
        let request = request.append_header(("X-Forwarded-For", "198.51.100.1"));
        let request = request.append_header(("X-Forwarded-For", bytes)).to_http_request();
        assert_eq!(client_ip(&request, &["10.0.0.0/8".parse().unwrap()]), "10.0.0.1".parse().ok());
    }

    #[test]
    fn who_asks_from_among_the_trusted_is_the_farthest_of_them() {
        assert_eq!(seen("10.0.0.1:4000", &["10.0.0.3, 10.0.0.2"]), "10.0.0.3");
        assert_eq!(seen("10.0.0.1:4000", &[]), "10.0.0.1");
        assert_eq!(client_ip(&TestRequest::default().to_http_request(), &[]), None);
    }
}
