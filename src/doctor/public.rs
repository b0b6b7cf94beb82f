//! `PUBLIC_URL`: where it leads, and whether the service answers there.
//!
//! Asked from this machine: that the internet gets as far is shown by a callback of Plivo's, and by nothing
//! that runs here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};

use url::Url;

use super::finding::Chart;
use super::web::{Trouble, Web};
use crate::config::Config;

const NAME: &str = "public url";
const SERVICE: &str = "service";

/// The scheme and the addresses.
pub(super) async fn examine_address(config: &Config, chart: &mut Chart<'_>) {
    if config.plivo_is_local() {
        return chart.ok(NAME, "any will do, as Plivo is this machine");
    }
    let target = Url::parse(&config.public_url).ok();
    let target = target.as_ref().and_then(|url| Some((url.host_str()?.to_owned(), url.port_or_known_default()?)));
    let Some((host, port)) = target else {
        return chart.wrong(NAME, "PUBLIC_URL names no host", "set it to https:// and the name Plivo reaches you by");
    };
    // The brackets of an IPv6 address are the URL's, not its own.
    let name = host.trim_matches(['[', ']']).to_owned();
    let resolved = tokio::task::spawn_blocking(move || (name.as_str(), port).to_socket_addrs());
    let addresses: Vec<SocketAddr> = match resolved.await {
        Ok(Ok(addresses)) => addresses.collect(),
        Ok(Err(_)) | Err(_) => Vec::new(),
    };
    if addresses.is_empty() {
        return chart.wrong(NAME, format!("{host} does not resolve"), "add it to your DNS, or correct PUBLIC_URL");
    }
    if let Some(inside) = addresses.iter().find(|address| is_inside(address.ip())) {
        let mend = "set PUBLIC_URL to a name with a public address, through a proxy or a tunnel; if your own DNS \
                    answers differently inside, ask from outside";
        return chart.wrong(NAME, format!("{host} is {}, which Plivo cannot reach", inside.ip()), mend);
    }
    if !config.public_url.starts_with("https:") {
        let mend =
            "put a proxy that speaks TLS before the service, and write https:// into PUBLIC_URL and on the canvas";
        return chart.wrong(NAME, "PUBLIC_URL is http: refs and the callback secret travel readable", mend);
    }
    chart.ok(NAME, format!("https, {host} has a public address"));
}

/// An address that means something on this machine or in its own network only.
fn is_inside(address: IpAddr) -> bool {
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

/// Whether something answers at all.
pub(super) async fn examine_service(config: &Config, web: &Web, chart: &mut Chart<'_>) -> bool {
    let got = match web.get(&format!("{}/livez", config.public_url)).await {
        Ok(got) => got,
        Err(Trouble { what, mend }) => {
            let mend = format!("{mend}. Is the service running, and the proxy or tunnel up? Run doctor beside it");
            chart.wrong(SERVICE, format!("PUBLIC_URL: {what}"), mend);
            return false;
        }
    };
    match got.status {
        200 if got.body["status"] == "alive" => {
            let ready = web.get(&format!("{}/readyz", config.public_url)).await;
            match ready {
                Ok(got) if got.status == 503 => chart.wrong(
                    SERVICE,
                    "it answers at PUBLIC_URL, and says that it is not ready",
                    "see its log, and the Redis of its REDIS_URL, which may not be the one asked here",
                ),
                _ => chart.ok(
                    SERVICE,
                    "answers at PUBLIC_URL, asked from this machine; that the internet reaches it only a callback \
                     shows (--send)",
                ),
            }
            true
        }
        301 | 302 | 303 | 307 | 308 => {
            let mend = "set PUBLIC_URL to where it leads: Plivo signs the URL it was given";
            chart.wrong(SERVICE, format!("PUBLIC_URL answers with a redirect (HTTP {})", got.status), mend);
            false
        }
        status @ (502..=504) => {
            let mend = "start the service, and see where the proxy or tunnel leads to";
            chart.wrong(SERVICE, format!("a proxy answers at PUBLIC_URL and finds no service (HTTP {status})"), mend);
            false
        }
        status => {
            // Some hide everything but what Plivo and the apps need: the callback below then tells.
            let mend = "nothing, if your proxy hides /livez; else let PUBLIC_URL lead to this service";
            chart.warn(SERVICE, format!("PUBLIC_URL answers HTTP {status} to /livez, not as this service does"), mend);
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_inside_are_told_from_those_of_the_internet() {
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
            assert!(is_inside(inside.parse().unwrap()), "{inside}");
        }
        for outside in ["1.1.1.1", "100.128.0.1", "172.32.0.1", "2606:4700::1111"] {
            assert!(!is_inside(outside.parse().unwrap()), "{outside}");
        }
    }
}
