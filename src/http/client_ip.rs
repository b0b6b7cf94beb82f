//! The client's address: of a request without authentication, and as proxies write it.
//!
//! Every proxy appends its own peer to `X-Forwarded-For`, at the right; the client itself may have written the entries
//! at the left. So the list is read from the right, only behind a trusted proxy, and only up to the first address that
//! is not one. `Forwarded` (RFC 7239) is deliberately not read: two headers could disagree.

use std::net::{IpAddr, SocketAddr};

use actix_web::HttpRequest;

use ipnet::IpNet;

/// The address that a request comes from.
///
/// It is the peer, or behind trusted proxies the rightmost address of `X-Forwarded-For` that is not one of them. `None`
/// only where there is no peer, as on a Unix socket.
pub fn client_ip(request: &HttpRequest, trusted: &[IpNet]) -> Option<IpAddr> {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(&address));
    let mut nearest = request.peer_addr()?.ip().to_canonical();
    // Several headers are one list (RFC 9110, 5.3). A header that is not text ends the list like any invalid entry.
    let lists = request.headers().get_all("x-forwarded-for").map(|list| list.to_str().unwrap_or("unreadable"));
    let entries: Vec<&str> = lists.flat_map(|list| list.split(',')).map(str::trim).collect();
    for entry in entries.into_iter().rev().filter(|entry| !entry.is_empty()) {
        if !is_trusted(nearest) {
            break;
        }
        // This proxy did not name its peer: the entries further to the left cannot be trusted.
        let Some(address) = address(entry) else { break };
        nearest = address;
    }
    Some(nearest)
}

/// Parses an address as proxies write it: bare, with a port, or in brackets.
///
/// An IPv4 address that is written as IPv6 (`::ffff:…`) becomes IPv4.
pub fn address(entry: &str) -> Option<IpAddr> {
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

    /// The address found for a peer and its headers, where 10.0.0.0/8 and fd00::/8 are trusted.
    fn found(peer: &str, forwarded: &[&str]) -> String {
        let trusted: Vec<IpNet> = ["10.0.0.0/8", "fd00::/8"].map(|text| text.parse().unwrap()).into();
        let mut request = TestRequest::default().peer_addr(peer.parse().unwrap());
        for list in forwarded {
            request = request.append_header(("X-Forwarded-For", *list));
        }
        client_ip(&request.to_http_request(), &trusted).unwrap().to_string()
    }

    #[test]
    fn the_header_of_an_untrusted_peer_is_ignored() {
        assert_eq!(found("203.0.113.9:4000", &[]), "203.0.113.9");
        assert_eq!(found("203.0.113.9:4000", &["198.51.100.1"]), "203.0.113.9");
        assert_eq!(found("[2001:db8::9]:4000", &["198.51.100.1"]), "2001:db8::9");
    }

    #[test]
    fn behind_trusted_proxies_the_rightmost_other_address_counts() {
        assert_eq!(found("10.0.0.1:4000", &["203.0.113.9"]), "203.0.113.9");
        // The client has written entries itself, in the same header or in a separate one.
        assert_eq!(found("10.0.0.1:4000", &["198.51.100.1, 127.0.0.1, 203.0.113.9"]), "203.0.113.9");
        assert_eq!(found("10.0.0.1:4000", &["198.51.100.1", "203.0.113.9"]), "203.0.113.9");
        assert_eq!(found("10.0.0.1:4000", &["10.0.0.7, 203.0.113.9"]), "203.0.113.9");
        // Behind two proxies.
        assert_eq!(found("10.0.0.1:4000", &["198.51.100.1, 203.0.113.9, 10.0.0.2"]), "203.0.113.9");
        assert_eq!(found("10.0.0.1:4000", &["198.51.100.1, 203.0.113.9", "10.0.0.2"]), "203.0.113.9");
    }

    #[test]
    fn addresses_are_read_as_proxies_write_them() {
        for written in ["2001:db8::9", "[2001:db8::9]", "[2001:db8::9]:4000", " 2001:DB8:0::9 "] {
            assert_eq!(found("[fd00::1]:4000", &[written]), "2001:db8::9", "{written:?}");
        }
        for written in ["203.0.113.9:4000", "::ffff:203.0.113.9", "[::ffff:203.0.113.9]:4000", ",203.0.113.9, ,"] {
            assert_eq!(found("[::ffff:10.0.0.1]:4000", &[written]), "203.0.113.9", "{written:?}");
        }
        assert_eq!(found("[::ffff:203.0.113.9]:4000", &[]), "203.0.113.9");
    }

    #[test]
    fn an_invalid_entry_ends_the_list() {
        for garbage in
            ["", " , ", "unknown", "_hidden", "203.0.113.9 198.51.100.1", "203.0.113.999", "[2001:db8::9", "fe80::1%0"]
        {
            assert_eq!(found("10.0.0.1:4000", &[garbage]), "10.0.0.1", "{garbage:?}");
        }
        assert_eq!(found("10.0.0.1:4000", &["198.51.100.1, unknown"]), "10.0.0.1");
        assert_eq!(found("10.0.0.1:4000", &["198.51.100.1, unknown, 10.0.0.2"]), "10.0.0.2");
        let bytes = HeaderValue::from_bytes(b"\xff").unwrap();
        let request = TestRequest::default().peer_addr("10.0.0.1:4000".parse().unwrap());
        let request = request.append_header(("X-Forwarded-For", "198.51.100.1"));
        let request = request.append_header(("X-Forwarded-For", bytes)).to_http_request();
        assert_eq!(client_ip(&request, &["10.0.0.0/8".parse().unwrap()]), "10.0.0.1".parse().ok());
    }

    #[test]
    fn if_all_addresses_are_trusted_the_leftmost_counts() {
        assert_eq!(found("10.0.0.1:4000", &["10.0.0.3, 10.0.0.2"]), "10.0.0.3");
        assert_eq!(found("10.0.0.1:4000", &[]), "10.0.0.1");
        assert_eq!(client_ip(&TestRequest::default().to_http_request(), &[]), None);
    }
}
