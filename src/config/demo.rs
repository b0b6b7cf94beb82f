//! The defaults of a demo, which requires no settings.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::check;
use super::read::RawSettings;

pub(super) const AUTH_ID: &str = "MADEMO00000000000000";
/// Not a secret: a demo hides nothing from those who reach it.
const DEMO_KEY: &str = "phlo-2fa-demo-phlo-2fa-demo-phlo-2fa-demo00";
const PLIVO_URL: &str = "http://127.0.0.1:8081";

/// The URL at which this machine reaches a server that listens on `bind`.
pub fn local_url(bind: SocketAddr) -> String {
    let host = match bind {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        other => other.ip(),
    };
    format!("http://{}", SocketAddr::new(host, bind.port()))
}

impl RawSettings {
    pub(super) fn fill_in_demo_account(&mut self) {
        self.plivo_auth_id.get_or_insert_with(|| AUTH_ID.into());
        self.plivo_auth_token.get_or_insert_with(|| "demo".into());
    }

    pub(super) fn fill_in_for_demo(&mut self) {
        self.fill_in_demo_account();
        self.plivo_number.get_or_insert_with(|| "+14155550100".into());
        if !self.no_phlo {
            self.phlo_id.get_or_insert_with(|| check::PHLO_ID_EXAMPLE.into());
        }
        // A local Plivo serves both on one port, so the one that is set stands for the other.
        let origin = self.plivo_api_url.clone().or(self.plivo_phlo_url.clone()).unwrap_or(PLIVO_URL.into());
        let api = self.plivo_api_url.get_or_insert(origin.clone()).clone();
        let phlo = self.plivo_phlo_url.get_or_insert(origin).clone();
        let local = check::is_loopback(&api) && check::is_loopback(&phlo);
        if local {
            self.limits_factor = 100;
            self.countries.get_or_insert_with(|| "*".into());
        }
        let bind = self.bind.get_or_insert_with(|| "127.0.0.1:8080".into()).parse();
        // An invalid address is one fault already; this avoids a second one for PUBLIC_URL.
        let own = bind.map_or_else(|_| "http://127.0.0.1:8080".into(), local_url);
        self.public_url.get_or_insert(own);
        // In Redis the verifications outlive this demo, and the next one must be able to read them.
        self.secret_key.get_or_insert_with(|| if self.redis_url.is_some() { DEMO_KEY.into() } else { random_text() });
        self.redis_url.get_or_insert_with(|| "memory://".into());
        self.callback_secret.get_or_insert_with(random_text);
        let demo = if local { "demo:demo".into() } else { format!("demo:{}", random_text()) };
        self.api_keys = Some(self.api_keys.take().map_or(demo.clone(), |given| format!("{given},{demo}")));
    }
}

/// 256 random bits.
#[expect(clippy::disallowed_methods, reason = "a demo's own secrets")]
fn random_text() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}
