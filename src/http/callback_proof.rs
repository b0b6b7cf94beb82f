//! Proof of where a callback comes from. No setting skips it.
//!
//! It has two steps, after a check of sizes. The path and the headers are checked first: without a secret, a ref or a signature the body cannot
//! prove anything either, and is not read. Then the signature is verified over the whole request.

use std::net::IpAddr;
use std::pin::Pin;

use actix_web::http::Method;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest, dev::Payload};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tracing::{info, warn};

use super::auth::{bearer, peer};
use super::body::{BodySource, RawBody};
use super::callback_bounds::{check_form, check_json, check_query, has_few_signatures};
use super::error::{ApiError, ErrorCode};
use super::state::Shared;
use crate::plivo::callback::Params;
use crate::plivo::probe;
use crate::plivo::reference::{self, Purpose};
use crate::plivo::signature::{self, Proof, SignatureHeaders, SignedRequest};
use crate::verification::{AttemptRef, CallbackNonce};

/// The kinds of callbacks, as paths and metrics name them, and the purpose of their refs.
const KINDS: [(&str, Purpose); 4] =
    [("message", Purpose::Message), ("call", Purpose::Call), ("answer", Purpose::Answer), ("phlo", Purpose::Phlo)];

/// A callback, with what its credentials and its signature prove.
pub struct Callback {
    /// The parameters of the body, or of the query of a GET. `None` for an unreadable body: only an authenticated
    /// sender is told so.
    pub params: Option<Params>,
    /// What path and headers prove.
    pub credentials: CallbackCredentials,
    /// The signature that holds, and the hashes that recognise the callback if it is repeated.
    pub signature: Option<(Proof, CallbackNonce)>,
    sender: Sender,
}

impl Callback {
    /// Whether a signature covers query and body as well.
    pub fn is_fully_signed(&self) -> bool {
        matches!(self.signature, Some((Proof::V3, _)))
    }

    /// 401 for a callback whose body proves nothing either, with a log line for the operator.
    pub fn reject_unproved(&self, shared: &Shared) -> ApiError {
        reject_unproved(shared, self.credentials.kind, self.sender)
    }

    /// The hashes that recognise a repetition, if it is signed.
    pub fn nonce(&self) -> Option<CallbackNonce> {
        self.signature.map(|(_, nonce)| nonce)
    }
}

impl FromRequest for Callback {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, mut payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let shared = request.app_data::<Data<Shared>>();
            let shared = shared.ok_or_else(|| {
                ApiError::new(ErrorCode::InvalidSignature, "This service is not set up to verify callbacks.")
            })?;
            check_query(&request)?;
            let credentials = CallbackCredentials::check(&request, shared)?;
            let source = if credentials.are_enough() { BodySource::Authenticated } else { BodySource::Anonymous };
            let body = RawBody::read(&request, &mut payload, source).await?;
            let params = params(&request, &body)?;
            let signature = params.as_ref().and_then(|params| verify(shared, &request, &body, params));
            Ok(Self { params, credentials, signature, sender: Sender::of(&request, shared) })
        })
    }
}

/// What the path and the headers of a callback prove.
pub struct CallbackCredentials {
    /// `message`, `call`, `answer` or `phlo`.
    pub kind: &'static str,
    /// Whether the sender knows the callback secret.
    pub has_secret: bool,
    /// The attempt that a valid ref in the path names.
    pub attempt: Option<AttemptRef>,
}

/// The parameters that a callback's path may have.
#[derive(Default, Deserialize)]
#[serde(default)]
struct PathParams {
    secret: Option<String>,
    #[serde(rename = "ref")]
    reference: Option<String>,
}

impl CallbackCredentials {
    /// Admits a request that its path or headers prove, or whose body signature still can.
    ///
    /// # Errors
    /// 401 for any other.
    fn check(request: &HttpRequest, shared: &Shared) -> Result<Self, ApiError> {
        let pattern = request.match_pattern().unwrap_or_default();
        let is_in_path = |(kind, _): &(&str, Purpose)| pattern.split('/').any(|part| part == *kind);
        let reject = |kind| reject_unproved(shared, kind, Sender::of(request, shared));
        let (kind, purpose) = KINDS.into_iter().find(is_in_path).ok_or_else(|| reject("unknown"))?;
        let PathParams { secret, reference } = request.match_info().load().map_err(|_| reject(kind))?;
        // Only the nodes of a flow can send headers of their own.
        let is_flow = purpose == Purpose::Phlo;
        let given = secret.as_deref().or_else(|| bearer(request).filter(|_| is_flow));
        let headers = signature_headers(request);
        if !has_few_signatures(&headers) {
            return Err(reject(kind));
        }
        let has_secret = given.is_some_and(|given| shared.callback_secrets.contains(given));
        let attempt = reference.as_deref().and_then(|text| reference::read(&shared.keyring, text, purpose));

        let may_be_proved = match (&secret, &reference) {
            // Plivo does not sign the requests of a flow's nodes.
            _ if is_flow => has_secret || !shared.callback_secrets.is_set(),
            (Some(_), _) => has_secret,
            (None, Some(_)) => headers.has_signature(),
            (None, None) => headers.v3.or(headers.ma_v3).is_some(),
        };
        let is_ref_valid = reference.is_none() || attempt.is_some();
        if may_be_proved && is_ref_valid { Ok(Self { kind, has_secret, attempt }) } else { Err(reject(kind)) }
    }

    /// Whether path and headers authenticate the sender; otherwise its body counts as anonymous.
    fn are_enough(&self) -> bool {
        self.has_secret || self.attempt.is_some()
    }
}

/// Where a callback comes from, for the log.
#[derive(Clone, Copy)]
struct Sender {
    peer: Option<IpAddr>,
    /// Whether `doctor` has forged it, to see it refused.
    is_doctor: bool,
}

impl Sender {
    fn of(request: &HttpRequest, shared: &Shared) -> Self {
        let mark = request.headers().get(probe::HEADER).and_then(|mark| mark.to_str().ok());
        let is_doctor = mark.is_some_and(|mark| probe::is_mark(&shared.signing_tokens.load(), mark));
        Self { peer: peer(request), is_doctor }
    }
}

/// 401, with a log line for the operator.
fn reject_unproved(shared: &Shared, kind: &'static str, sender: Sender) -> ApiError {
    if sender.is_doctor {
        let peer = sender.peer;
        info!(event = "callback_forged_by_doctor", kind, peer = peer.map(display), "refused, as doctor expects");
        shared.metrics.callback(kind, "probe");
    } else {
        warn!(
            event = "callback_unproved",
            kind,
            peer = sender.peer.map(display),
            "callback without proof of its origin; check that PUBLIC_URL equals the callback URL configured at Plivo"
        );
        shared.metrics.callback(kind, "unproved");
    }
    ApiError::new(ErrorCode::InvalidSignature, "The callback has no valid signature, ref or callback secret.")
}

fn signature_headers(request: &HttpRequest) -> SignatureHeaders<'_> {
    SignatureHeaders::read(|name| request.headers().get(name).and_then(|value| value.to_str().ok()))
}

/// Reads form or JSON. A GET, or an empty body, has its parameters in the query: the signature of a GET covers no body,
/// so a body that comes with it is ignored.
///
/// # Errors
/// 413 for too many parameters.
fn params(request: &HttpRequest, body: &RawBody) -> Result<Option<Params>, ApiError> {
    if is_in_query(request, body) {
        return Ok(Some(Params::from_form(request.query_string().as_bytes())));
    }
    if body.media == "application/json" || body.media.ends_with("+json") {
        let params = Params::from_json(&body.bytes);
        params.iter().try_for_each(|params| check_json(request, params))?;
        return Ok(params);
    }
    check_form(request, &body.bytes)?;
    Ok(Some(Params::from_form(&body.bytes)))
}

fn is_in_query(request: &HttpRequest, body: &RawBody) -> bool {
    request.method() == Method::GET || body.bytes.is_empty()
}

/// Verifies the signature over the URL configured at Plivo, never over one built from `Host`.
fn verify(shared: &Shared, request: &HttpRequest, body: &RawBody, params: &Params) -> Option<(Proof, CallbackNonce)> {
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    let url = format!("{}{target}", shared.public_url);
    let headers = signature_headers(request);
    let signed = if is_in_query(request, body) { &[] } else { params.pairs() };
    let request = SignedRequest { method: request.method().as_str(), url: &url, params: signed };
    let proof = signature::verify(&shared.signing_tokens.load(), headers, request).ok()?;
    let nonce = match proof {
        Proof::V3 => headers.v3_nonce,
        Proof::V2 => headers.v2_nonce,
    };
    let query = target.split_once('?').map_or("", |(_, query)| query);
    // The V2 nonce sent beside V3 is kept, so that stripping the V3 headers does not yield a fresh callback.
    let v2_nonce =
        headers.v2_nonce.filter(|v2| proof == Proof::V3 && headers.v3_nonce != Some(v2)).map(|v2| hash([v2]));
    Some((proof, CallbackNonce { v2_nonce, ..fingerprint(nonce.unwrap_or_default(), query, params) }))
}

/// The hashes of a nonce and of the parameters as they were understood, in any order.
///
/// A signature leaves open where a key ends and its value begins; these hashes do not. They are not keyed, so that they
/// survive a change of keys: nonces and UUIDs are random, so a plain hash does not reveal them.
fn fingerprint(nonce: &str, query: &str, params: &Params) -> CallbackNonce {
    let mut pairs: Vec<_> = params.pairs().iter().collect();
    pairs.sort_unstable();
    let words = pairs.iter().flat_map(|(key, value)| [key.as_str(), value]);
    CallbackNonce { nonce: hash([nonce]), content: hash([nonce, query].into_iter().chain(words)), v2_nonce: None }
}

/// Hashes each part with its length, so that no two lists of parts are the same bytes.
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
