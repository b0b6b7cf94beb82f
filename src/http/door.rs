//! What proves a callback before its body is read: the secret and the ref in its path. Where neither is there nor a
//! signature, the body cannot prove anything either, and is not waited for.

use actix_web::HttpRequest;
use serde::Deserialize;
use tracing::warn;

use super::Shared;
use super::auth::bearer;
use super::error::{ApiError, Kind};
use crate::plivo::reference::{self, Purpose};
use crate::plivo::signature::SignatureHeaders;
use crate::verification::AttemptRef;

/// The kinds of callbacks, as their paths and the metrics call them, and what their refs are good for.
const KINDS: [(&str, Purpose); 4] =
    [("message", Purpose::Message), ("call", Purpose::Call), ("answer", Purpose::Answer), ("phlo", Purpose::Phlo)];

/// What a path of a callback may hold.
#[derive(Default, Deserialize)]
#[serde(default)]
struct InPath {
    secret: Option<String>,
    #[serde(rename = "ref")]
    reference: Option<String>,
}

/// Where a callback came in, and what it brought to get there.
pub struct Door {
    /// Which kind of callback.
    pub kind: &'static str,
    /// Whether it knows the callback secret.
    pub knows_secret: bool,
    /// The attempt that the ref in its path names.
    pub named: Option<AttemptRef>,
}

impl Door {
    /// Lets in what its body may yet prove, and what is proved already.
    ///
    /// # Errors
    /// 401 for anything else.
    pub fn open(request: &HttpRequest, shared: &Shared) -> Result<Self, ApiError> {
        let pattern = request.match_pattern().unwrap_or_default();
        let is_of = |(kind, _): &(&str, Purpose)| pattern.split('/').any(|part| part == *kind);
        let (kind, purpose) = KINDS.into_iter().find(is_of).ok_or_else(|| unproved(shared, "unknown"))?;
        // What cannot be read proves nothing.
        let InPath { secret, reference } = request.match_info().load().map_err(|_| unproved(shared, kind))?;
        // A flow's nodes can send headers of their own.
        let is_flow = purpose == Purpose::Phlo;
        let secret_given = secret.as_deref().or_else(|| bearer(request).filter(|_| is_flow));
        let knows_secret = secret_given.is_some_and(|given| shared.callback_secrets.are(given));
        let named = reference.as_deref().and_then(|text| reference::read(&shared.engine.keys, text, purpose));

        let headers = signature_headers(request);
        let needs_no_more = match (&secret, &reference) {
            // Plivo does not sign what they send.
            _ if is_flow => knows_secret || !shared.callback_secrets.is_set(),
            (Some(_), _) => knows_secret,
            (None, Some(_)) => headers.is_any_there(),
            (None, None) => headers.v3.or(headers.ma_v3).is_some(),
        };
        let is_named = reference.is_none() || named.is_some();
        if needs_no_more && is_named { Ok(Self { kind, knows_secret, named }) } else { Err(unproved(shared, kind)) }
    }

    /// Whether nothing is known of who it is: bodies of strangers are waited for only so many at once.
    pub fn is_of_a_stranger(&self) -> bool {
        !self.knows_secret && self.named.is_none()
    }
}

pub(super) fn signature_headers(request: &HttpRequest) -> SignatureHeaders<'_> {
    SignatureHeaders::read(|name| request.headers().get(name).and_then(|value| value.to_str().ok()))
}

pub(super) fn unproved(shared: &Shared, kind: &'static str) -> ApiError {
    warn!(event = "callback_unproved", kind, "a callback without proof of its origin; is PUBLIC_URL as Plivo has it?");
    shared.engine.metrics.callback(kind, "unproved");
    ApiError::new(Kind::InvalidSignature, "No valid signature, ref or callback secret.")
}
