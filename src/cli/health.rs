//! `health`: the health check of a container.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context;
use phlo_2fa::config::local_url;

const DEFAULT_BIND: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

/// Succeeds when the service on `BIND` is ready.
pub async fn run() -> anyhow::Result<()> {
    let bind: SocketAddr = std::env::var("BIND").ok().and_then(|bind| bind.parse().ok()).unwrap_or(DEFAULT_BIND);
    let url = format!("{}/readyz", local_url(bind));
    let _ = rustls::crypto::ring::default_provider().install_default();
    // Plain HTTP to this machine needs no roots, and the image has none.
    let client = reqwest::Client::builder().tls_certs_only([]).timeout(Duration::from_secs(2)).no_proxy().build()?;
    let status = client.get(&url).send().await.with_context(|| format!("{url} does not answer"))?.status();
    anyhow::ensure!(status.is_success(), "{url} answers {status}");
    Ok(())
}
