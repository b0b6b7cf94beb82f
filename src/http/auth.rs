//! API keys: who is asking. Kept hashed, compared in constant time.

use std::future::{Ready, ready};
use std::sync::Arc;

use actix_web::http::header::AUTHORIZATION;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest, dev::Payload};
use arc_swap::ArcSwap;
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use super::Shared;
use super::error::{ApiError, Kind};
use crate::config::ApiKey;

/// The keys that are good, as hashes.
pub struct ApiKeys(ArcSwap<Vec<([u8; 32], String)>>);

impl ApiKeys {
    /// Hashes them.
    pub fn new(keys: &[ApiKey]) -> Self {
        Self(ArcSwap::from_pointee(hashed(keys)))
    }

    /// From now on these are good, and no others.
    pub fn replace(&self, keys: &[ApiKey]) {
        self.0.store(Arc::new(hashed(keys)));
    }

    /// Whose secret it is. Looks at every key, whichever matches.
    fn app_of(&self, secret: &str) -> Option<String> {
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

/// API secrets are long and random (the settings refuse short ones), so a plain hash keeps them.
fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// The app whose key came with the request.
pub struct Caller {
    /// Its name.
    pub app: String,
}

impl FromRequest for Caller {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let keys = request.app_data::<Data<Shared>>().map(|shared| &shared.keys);
        let app = bearer(request).zip(keys).and_then(|(secret, keys)| keys.app_of(secret));
        ready(app.map(|app| Self { app }).ok_or_else(|| {
            ApiError::new(Kind::Unauthenticated, "Send a key of API_KEYS as 'Authorization: Bearer <secret>'.")
        }))
    }
}

/// The secret of an `Authorization: Bearer` header.
pub fn bearer(request: &HttpRequest) -> Option<&str> {
    let (scheme, secret) = request.headers().get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| secret.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_names_its_app_and_no_other_does() {
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
