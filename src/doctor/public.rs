//! `PUBLIC_URL`: whether its address is public, and whether the service answers there.
//!
//! The requests come from this machine; only a callback from Plivo shows that the internet reaches the address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};

use url::Url;

use super::finding::Reporter;
use super::web::{ConnectionFault, WebClient};
use crate::config::Config;

const NAME: &str = "public url";
const SERVICE: &str = "service";

/// Checks the scheme and the addresses.
pub(super) async fn examine_address(config: &Config, report: &mut Reporter<'_>) {
    if config.plivo_is_local() {
        return report.ok(NAME, "any URL works, because Plivo runs on this machine");
    }
    let target = Url::parse(&config.public_url).ok();
    let target = target.as_ref().and_then(|url| Some((url.host_str()?.to_owned(), url.port_or_known_default()?)));
    let Some((host, port)) = target else {
        return report.wrong(
            NAME,
            "PUBLIC_URL has no host",
            "set it to https:// and the host name that Plivo can reach",
        );
    };
    // The brackets of an IPv6 address belong to the URL.
    let name = host.trim_matches(['[', ']']).to_owned();
    let resolved = tokio::task::spawn_blocking(move || (name.as_str(), port).to_socket_addrs());
    let addresses: Vec<SocketAddr> = match resolved.await {
        Ok(Ok(addresses)) => addresses.collect(),
        Ok(Err(_)) | Err(_) => Vec::new(),
    };
    if addresses.is_empty() {
        return report.wrong(NAME, format!("{host} does not resolve"), "add it to your DNS, or correct PUBLIC_URL");
    }
    if let Some(inside) = addresses.iter().find(|address| is_internal(address.ip())) {
        let remedy = "set PUBLIC_URL to a name with a public address, through a proxy or a tunnel; if your own DNS answers \
                   differently inside your network, run doctor outside it";
        return report.wrong(NAME, format!("{host} is {}, which Plivo cannot reach", inside.ip()), remedy);
    }
    if !config.public_url.starts_with("https:") {
        let remedy =
            "put a TLS proxy in front of the service, and change PUBLIC_URL and the URLs on the canvas to https://";
        return report.wrong(NAME, "PUBLIC_URL is http: refs and the callback secret are sent unencrypted", remedy);
    }
    report.ok(NAME, format!("https, {host} has a public address"));
}

/// Whether an address is reachable only on this machine or in its network.
///
/// By hand, because `IpAddr::is_global` is not stable.
fn is_internal(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            let is_shared = a == 100 && (64..128).contains(&b);
            v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4 == Ipv4Addr::UNSPECIFIED || is_shared
        }
        IpAddr::V6(v6) => {
            v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local() || v6 == Ipv6Addr::UNSPECIFIED
        }
    }
}

/// Whether a server answers at `PUBLIC_URL`.
pub(super) async fn examine_service(config: &Config, web: &WebClient, report: &mut Reporter<'_>) -> bool {
    let answer = match web.get(&format!("{}/livez", config.public_url)).await {
        Ok(answer) => answer,
        Err(ConnectionFault { problem, remedy }) => {
            let remedy =
                format!("{remedy}. Check that the service and the proxy or tunnel run; run doctor on the same machine");
            report.wrong(SERVICE, format!("PUBLIC_URL: {problem}"), remedy);
            return false;
        }
    };
    match answer.status {
        200 if answer.body["status"] == "alive" => {
            let ready = web.get(&format!("{}/readyz", config.public_url)).await;
            match ready {
                Ok(answer) if answer.status == 503 => report.wrong(
                    SERVICE,
                    "it answers at PUBLIC_URL, but reports that it is not ready",
                    "check its log, and the Redis of its own REDIS_URL, which may not be the one checked here",
                ),
                _ => report.ok(
                    SERVICE,
                    "answers at PUBLIC_URL, requested from this machine; only a callback shows that the internet reaches \
                     it (--send)",
                ),
            }
            true
        }
        301 | 302 | 303 | 307 | 308 => {
            let remedy = "set PUBLIC_URL to the URL that it redirects to: Plivo signs the URL that it was given";
            report.wrong(SERVICE, format!("PUBLIC_URL answers with a redirect (HTTP {})", answer.status), remedy);
            false
        }
        status @ (502..=504) => {
            let remedy = "start the service, and check the proxy's or tunnel's target";
            report.wrong(SERVICE, format!("a proxy answers at PUBLIC_URL without a service (HTTP {status})"), remedy);
            false
        }
        status => {
            // Some proxies forward only the paths that Plivo and the apps need; the next check then decides.
            let remedy = "if your proxy hides /livez, nothing; otherwise set PUBLIC_URL to this service";
            let detail = format!("PUBLIC_URL answers HTTP {status} to /livez, unlike this service");
            report.warn(SERVICE, detail, remedy);
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn internal_addresses_are_told_from_public_ones() {
        for inside in [
            "10.1.2.3",
            "127.0.0.1",
            "192.168.0.1",
            "169.254.1.1",
            "100.64.0.1",
            "0.0.0.0",
            "::1",
            "fd00::1",
            "fe80::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(is_internal(inside.parse().unwrap()), "{inside}");
        }
        for outside in ["1.1.1.1", "100.128.0.1", "172.32.0.1", "2606:4700::1111"] {
            assert!(!is_internal(outside.parse().unwrap()), "{outside}");
        }
    }
}
