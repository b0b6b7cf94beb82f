//! Which addresses a receiver may have: those that the whole internet reaches.
//!
//! The address is checked, not the name, at the moment of the connection. So a name that resolves to a private address, or
//! that changes its address after a check, reaches nothing private.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::LazyLock;

use ipnet::{Ipv4Net, Ipv6Net};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// A name has no public address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name has no public address")]
pub(super) struct NotPublic;

/// Source: IANA's special-purpose registries. One public address is added: 168.63.129.16 is the host of a virtual machine
/// in Azure. The metadata services of other clouds have link-local, shared or unique-local addresses.
static NOT_PUBLIC_V4: LazyLock<Vec<Ipv4Net>> = LazyLock::new(|| {
    parsed(&[
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/3",
    ])
});

/// The global unicast addresses, and the parts of them that are for something else: protocol assignments with Teredo,
/// documentation, 6to4.
static GLOBAL_V6: LazyLock<Vec<Ipv6Net>> = LazyLock::new(|| parsed(&["2000::/3"]));
static NOT_PUBLIC_V6: LazyLock<Vec<Ipv6Net>> =
    LazyLock::new(|| parsed(&["2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"]));
/// An IPv4 address behind a translator (RFC 6052).
static TRANSLATED_V4: LazyLock<Vec<Ipv6Net>> = LazyLock::new(|| parsed(&["64:ff9b::/96"]));

fn parsed<T: std::str::FromStr>(nets: &[&str]) -> Vec<T> {
    nets.iter().filter_map(|net| net.parse().ok()).collect()
}

/// Whether the whole internet reaches the address.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    !NOT_PUBLIC_V4.iter().any(|net| net.contains(&address))
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(v4) = address.to_ipv4_mapped() {
        return is_public_v4(v4);
    }
    if TRANSLATED_V4.iter().any(|net| net.contains(&address)) {
        let [.., a, b, c, d] = address.octets();
        return is_public_v4(Ipv4Addr::new(a, b, c, d));
    }
    GLOBAL_V6.iter().any(|net| net.contains(&address)) && !NOT_PUBLIC_V6.iter().any(|net| net.contains(&address))
}

/// The system's resolver, without private addresses.
#[derive(Clone, Copy)]
pub(super) struct PublicResolver;

impl Resolve for PublicResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|address| is_public(address.ip())).collect();
            if public.is_empty() {
                return Err(NotPublic.into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public(address: &str) -> bool {
        is_public(address.parse().unwrap())
    }

    #[test]
    fn every_network_is_read() {
        let (v4, v6) = (NOT_PUBLIC_V4.len(), NOT_PUBLIC_V6.len());
        assert_eq!((v4, v6, GLOBAL_V6.len(), TRANSLATED_V4.len()), (15, 4, 1, 1));
    }

    #[test]
    fn addresses_that_only_some_machines_reach_are_not_public() {
        for private in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "127.255.255.254",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.168.1.1",
            "198.18.0.1",
            "203.0.113.9",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
        ] {
            assert!(!public(private), "{private}");
        }
        for global in [
            "1.1.1.1",
            "100.63.255.255",
            "172.32.0.1",
            "192.0.3.1",
            "223.255.255.255",
            "2606:4700:4700::1111",
            "2a00::1",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
        ] {
            assert!(public(global), "{global}");
        }
    }

    #[tokio::test]
    async fn a_name_without_a_public_address_is_refused() {
        let name: Name = "localhost".parse().unwrap();
        let refused = PublicResolver.resolve(name).await.err().unwrap();
        assert!(refused.is::<NotPublic>(), "{refused}");
    }
}
