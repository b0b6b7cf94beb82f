//! Proof of where a callback comes from. There is no switch that skips it.

use std::pin::Pin;
use std::sync::Arc;

use actix_web::http::Method;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest, dev::Payload};
use arc_swap::ArcSwap;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use super::Shared;
use super::body::{Raw, Sender};
use super::door::{Door, signature_headers};
use super::error::{ApiError, Kind};
use crate::plivo::callback::Params;
use crate::plivo::signature::{self, Proof, Request};
use crate::verification::Seen;

/// A callback as it came, with what its signature proves.
pub struct Callback {
    /// Its parameters: of the body, or of the query of a GET. None where the body cannot be read, which is
    /// said only to who has proved himself.
    pub params: Option<Params>,
    /// Where it came in.
    pub door: Door,
    /// Which signature held, and what the callback is known by, should it come again.
    pub proof: Option<(Proof, Seen)>,
}

impl Callback {
    /// Whether a signature covers all of it.
    pub fn is_covered(&self) -> bool {
        matches!(self.proof, Some((Proof::V3, _)))
    }

    /// What it is known by, if it is signed.
    pub fn seen(&self) -> Option<Seen> {
        self.proof.map(|(_, seen)| seen)
    }
}

impl FromRequest for Callback {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, mut payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let shared = request.app_data::<Data<Shared>>();
            let shared =
                shared.ok_or_else(|| ApiError::new(Kind::InvalidSignature, "Nobody can prove anything here."))?;
            let door = Door::open(&request, shared)?;
            let sender = if door.is_of_a_stranger() { Sender::Stranger } else { Sender::Known };
            let body = Raw::read(&request, &mut payload, sender).await?;
            let params = params(&request, &body);
            let proof = params.as_ref().and_then(|params| prove(shared, &request, &body, params));
            Ok(Self { params, door, proof })
        })
    }
}

/// Reads form or JSON. A GET, or a body that is empty, has its parameters in the query: the signature of a GET
/// covers no body, so one that came along is not looked at.
fn params(request: &HttpRequest, body: &Raw) -> Option<Params> {
    if is_in_query(request, body) {
        return Some(Params::from_form(request.query_string().as_bytes()));
    }
    if body.media == "application/json" || body.media.ends_with("+json") {
        return Params::from_json(&body.bytes);
    }
    Some(Params::from_form(&body.bytes))
}

fn is_in_query(request: &HttpRequest, body: &Raw) -> bool {
    request.method() == Method::GET || body.bytes.is_empty()
}

/// The URL that was signed is the one configured at Plivo, never one put together from `Host`.
fn prove(shared: &Shared, request: &HttpRequest, body: &Raw, params: &Params) -> Option<(Proof, Seen)> {
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    let url = format!("{}{target}", shared.public_url);
    let headers = signature_headers(request);
    let signed = if is_in_query(request, body) { &[] } else { params.pairs() };
    let request = Request { method: request.method().as_str(), url: &url, params: signed };
    let proof = signature::verify(&shared.tokens.load(), headers, request).ok()?;
    let nonce = match proof {
        Proof::V3 => headers.v3_nonce,
        Proof::V2 => headers.v2_nonce,
    };
    let query = target.split_once('?').map_or("", |(_, query)| query);
    // Were the V3 headers taken away, what is left would be a V2 callback of its own, with words that nobody signed.
    let also = headers.v2_nonce.filter(|v2| proof == Proof::V3 && headers.v3_nonce != Some(v2)).map(|v2| hash([v2]));
    Some((proof, Seen { also, ..seen(nonce.unwrap_or_default(), query, params) }))
}

/// Of the parameters as they were understood, in any order: where a signature leaves open which is key and which is
/// value, a nonce does not. Plain hashes, which outlive a change of keys: a nonce is random, and so is a UUID.
fn seen(nonce: &str, query: &str, params: &Params) -> Seen {
    let mut pairs: Vec<_> = params.pairs().iter().collect();
    pairs.sort_unstable();
    let words = pairs.iter().flat_map(|(key, value)| [key.as_str(), value]);
    Seen { nonce: hash([nonce]), told: hash([nonce, query].into_iter().chain(words)), also: None }
}

/// Each part with its length, so that no two lists of parts are the same bytes.
fn hash<'a>(parts: impl IntoIterator<Item = &'a str>) -> u64 {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    let mut first = [0; 8];
    first.copy_from_slice(&digest.finalize()[..8]);
    u64::from_be_bytes(first)
}

/// The secret in callback URLs that were typed in by hand; several while one is being replaced.
pub struct CallbackSecrets(ArcSwap<Vec<SecretString>>);

impl CallbackSecrets {
    /// None: then there is no such secret, and no path with one is good.
    pub fn new(secrets: Vec<SecretString>) -> Self {
        Self(ArcSwap::from_pointee(secrets))
    }

    /// From now on these are good, and no others.
    pub fn replace(&self, secrets: Vec<SecretString>) {
        self.0.store(Arc::new(secrets));
    }

    /// Whether there is one to ask for.
    pub fn is_set(&self) -> bool {
        !self.0.load().is_empty()
    }

    /// Whether this is one. Takes the same time for all of the same length.
    pub fn are(&self, given: &str) -> bool {
        let hit = |secret: &SecretString| secret.expose_secret().as_bytes().ct_eq(given.as_bytes());
        self.0.load().iter().fold(Choice::from(0), |any, secret| any | hit(secret)).into()
    }
}
