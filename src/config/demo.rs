//! The defaults of a demo, which requires no settings.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use super::read::RawSettings;
use super::{check, fresh};

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
            self.plivo_rate.get_or_insert_with(|| "30000/5s".into());
            self.countries.get_or_insert_with(|| "*".into());
        }
        // No proxy has to notice that a demo stops.
        self.drain_seconds.get_or_insert_with(|| "0".into());
        let bind = self.bind.get_or_insert_with(|| "127.0.0.1:8080".into()).parse();
        // An invalid address is one fault already; this avoids a second one for PUBLIC_URL.
        let own = bind.map_or_else(|_| "http://127.0.0.1:8080".into(), local_url);
        self.public_url.get_or_insert(own);
        // In Redis the verifications outlive this demo, and the next one must be able to read them.
        self.secret_key.get_or_insert_with(|| if self.redis_url.is_some() { DEMO_KEY.into() } else { fresh::key() });
        self.redis_url.get_or_insert_with(|| "memory://".into());
        self.callback_secret.get_or_insert_with(fresh::token);
        let demo = if local { "demo:demo".into() } else { format!("demo:{}", fresh::token()) };
        self.api_keys = Some(self.api_keys.take().map_or(demo.clone(), |given| format!("{given},{demo}")));
    }
}
