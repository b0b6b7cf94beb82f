//! [`Shared`]: what every handler may use.
//!
//! The wiring builds it once. Secrets in it are replaced in place while the service runs, so that a rotation drops no
//! request. Nothing here reads a request or builds an answer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use ipnet::IpNet;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use tokio_util::sync::CancellationToken;

use super::idempotency::AnswerQuota;
use super::places::{Places, StreamPlaces};
use super::writes::WriteCheck;
use crate::config::{ApiKey, AppConfig, BlockedNumbers, Countries, TestNumbers};
use crate::engine::{Clock, Engine};
use crate::keyring::Keyring;
use crate::learner::Learner;
use crate::metrics::Metrics;
use crate::plivo::Plivo;
use crate::plivo::signature::Tokens;
use crate::store::Store;
use crate::verification::Rules;
use crate::webhook::Webhooks;

/// What handlers share.
pub struct Shared {
    /// Creates, changes, reads, lists and erases verifications.
    pub engine: Engine,
    /// Keeps idempotent answers; `/readyz` pings it.
    pub store: Arc<dyn Store>,
    /// Signs refs and client tokens, seals idempotent answers.
    pub keyring: Arc<Keyring>,
    /// The store's time.
    pub clock: Clock,
    /// Counters and histograms.
    pub metrics: Arc<Metrics>,
    /// The rules of new verifications.
    pub rules: Arc<Rules>,
    /// What has been learned of each route.
    pub learner: Arc<Learner>,
    /// What a call says, and whether Plivo answers at the moment.
    pub plivo: Arc<Plivo>,
    /// The receivers of apps.
    pub webhooks: Arc<Webhooks>,
    /// The API keys in force.
    pub api_keys: ApiKeys,
    /// What single apps have of their own.
    pub apps: BTreeMap<String, AppConfig>,
    /// Countries that may be texted.
    pub countries: Countries,
    /// Countries that may be called.
    pub countries_call: Countries,
    /// Ranges that are never texted or called.
    pub blocked: BlockedNumbers,
    /// Numbers that are never sent to, each with its fixed code.
    pub test_numbers: TestNumbers,
    /// How long a creation waits for Plivo.
    pub plivo_wait: Duration,
    /// The tokens that Plivo signs callbacks with.
    pub signing_tokens: ArcSwap<Tokens>,
    /// The base of callback URLs, without a slash at the end.
    pub public_url: String,
    /// The secrets in callback URLs that were typed in by hand.
    pub callback_secrets: CallbackSecrets,
    /// The proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// How many idempotent answers each app may have kept.
    pub answer_quota: AnswerQuota,
    /// Whether the store takes writes.
    pub writes: WriteCheck,
    /// Whether a stop has begun.
    pub readiness: Readiness,
    /// The streams being served.
    pub streams: StreamPlaces,
    /// The lists being read.
    pub lists: Places<String>,
}

/// The API keys in force, as hashes.
pub struct ApiKeys(ArcSwap<Vec<([u8; 32], String)>>);

impl ApiKeys {
    /// Hashes the keys of the settings.
    pub fn new(keys: &[ApiKey]) -> Self {
        Self(ArcSwap::from_pointee(hashed(keys)))
    }

    /// Replaces all keys.
    pub fn replace(&self, keys: &[ApiKey]) {
        self.0.store(Arc::new(hashed(keys)));
    }

    /// The app that a secret belongs to. Compares with every key, so that timing does not reveal which one matches.
    pub fn app_of(&self, secret: &str) -> Option<String> {
        let (keys, given) = (self.0.load(), digest(secret.as_bytes()));
        let (mut found, mut at) = (Choice::from(0), 0u32);
        for (i, (hash, _)) in (0u32..).zip(keys.iter()) {
            let hit = hash.ct_eq(&given);
            at.conditional_assign(&i, hit);
            found |= hit;
        }
        bool::from(found).then(|| keys[at as usize].1.clone())
    }
}

fn hashed(keys: &[ApiKey]) -> Vec<([u8; 32], String)> {
    keys.iter().map(|key| (digest(key.secret.expose_secret().as_bytes()), key.app.clone())).collect()
}

/// A plain hash is enough: API secrets are long and random, and the settings refuse short ones.
fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// The secrets in callback URLs that were typed in by hand; several during a rotation.
pub struct CallbackSecrets(ArcSwap<Vec<SecretString>>);

impl CallbackSecrets {
    /// With an empty list no path with a secret is accepted.
    pub fn new(secrets: Vec<SecretString>) -> Self {
        Self(ArcSwap::from_pointee(secrets))
    }

    /// Replaces all secrets.
    pub fn replace(&self, secrets: Vec<SecretString>) {
        self.0.store(Arc::new(secrets));
    }

    /// Whether there is any secret.
    pub fn is_set(&self) -> bool {
        !self.0.load().is_empty()
    }

    /// Whether `given` is one of them. Takes the same time for every text of one length.
    pub fn contains(&self, given: &str) -> bool {
        let hit = |secret: &SecretString| secret.expose_secret().as_bytes().ct_eq(given.as_bytes());
        self.0.load().iter().fold(Choice::from(0), |any, secret| any | hit(secret)).into()
    }
}

/// Whether a load balancer should send requests here, and whether the process still serves those that come.
///
/// A stop has two steps, because a load balancer notices only at its next probe that a replica is going away.
#[derive(Default)]
pub struct Readiness {
    withdrawn: CancellationToken,
    stopping: CancellationToken,
}

impl Readiness {
    /// From here on `/readyz` answers 503, and every answer closes its connection.
    pub fn withdraw(&self) {
        self.withdrawn.cancel();
    }

    /// From here on no request waits any more, and streams end.
    pub fn stop(&self) {
        self.withdraw();
        self.stopping.cancel();
    }

    /// Whether a stop has begun.
    pub fn is_withdrawn(&self) -> bool {
        self.withdrawn.is_cancelled()
    }

    /// Whether the process is about to close its socket.
    pub fn is_stopping(&self) -> bool {
        self.stopping.is_cancelled()
    }

    /// Resolves once the process is about to close its socket.
    pub async fn stopping(&self) {
        self.stopping.cancelled().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_names_its_app_and_no_other_secret_does() {
        let key = |app: &str, secret: &str| ApiKey { app: app.into(), secret: secret.to_owned().into() };
        let keys = ApiKeys::new(&[key("shop", "one"), key("bank", "two"), key("shop", "three")]);
        assert_eq!(keys.app_of("one").as_deref(), Some("shop"));
        assert_eq!(keys.app_of("two").as_deref(), Some("bank"));
        assert_eq!(keys.app_of("three").as_deref(), Some("shop"));
        for secret in ["", "on", "one ", "four"] {
            assert_eq!(keys.app_of(secret), None, "{secret:?}");
        }
    }
}
