//! `Idempotency-Key`: a repeated POST has no second effect and gets the answer of the first.
//!
//! The first request claims the key in the store, does its work, and stores its answer for a day. A repetition that
//! arrives meanwhile waits for that answer, within a limit; a later one gets it; a different request with the same key
//! is refused. Claims live in the store, so that replicas agree. Without the header the store is not asked.
//!
//! A claim is a lease, renewed while the work goes on. If the process dies, the lease expires and a retry runs anew.
//! Most of what was done before is not repeated: a creation finds what it has made, because its id follows from the key; an
//! attempt meets its cooldown, a cancellation has happened. Only a wrong code counts again.
//!
//! Not stored are answers that ask for a retry (5xx, 429), answers about the moment (409 of calls, codes and sessions), those of requests that were rejected (400 to 422), and those of reads: a repetition of these
//! does no harm. What an app has stored is limited in count and bytes (`quota`).
//!
//! The store holds keyed hashes of key and request, and the sealed answer, which contains the `client_token`. Only the
//! key leads to it, so the erasure of a number leaves it, with the number masked, for the rest of the day.

mod answer;
mod key;
mod quota;

use std::cell::Cell;
use std::pin::pin;
use std::time::{Duration, Instant};

use actix_web::body::BoxBody;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::middleware::Next;
use actix_web::web::{Bytes, Data};
use actix_web::{Error, FromRequest, HttpRequest, HttpResponse, ResponseError};
use backon::{ConstantBuilder, ExponentialBuilder, Retryable};
use tokio::sync::oneshot;
use tracing::warn;

use self::answer::StoredAnswer;
pub use self::key::{HEADER, seed};
use self::key::{HEADER_NAME, key};
pub use self::quota::AnswerQuota;
use super::auth::Caller;
use super::body::{BodySource, RawBody};
use super::error::{ApiError, ErrorCode};
use super::request_id;
use super::state::Shared;
use crate::store::{StoreError, SwapOutcome};

/// The POST that only reads.
const SEARCH: &str = "/v1/verifications/search";
/// How long an answer is kept.
const KEPT: Duration = Duration::from_secs(86_400);
/// How long a claim outlives its process.
const LEASE: Duration = Duration::from_secs(10);
const RENEWED_EVERY: Duration = Duration::from_secs(3);
/// How much longer a repetition waits than the first request waits for Plivo.
const WAIT_BEYOND: Duration = Duration::from_secs(2);
/// The first and the longest pause between two reads of another request's claim.
const PAUSE_MIN: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_millis(400);
/// The longest sealed answer that is stored.
const ANSWER_MAX: usize = 64 * 1024;

/// The first byte of a value. The request's fingerprint follows, then the owner of the claim, or the answer.
const CLAIM: u8 = b'c';
const ANSWER: u8 = b'a';
/// Replaces a released claim and expires soon, because the store cannot delete a value.
const GIVEN_BACK: (&[u8], Duration) = (b"-", Duration::from_millis(1));

/// Wraps a route, so that each key has its effect once.
pub async fn answer_once(request: ServiceRequest, next: Next<BoxBody>) -> Result<ServiceResponse, Error> {
    if !request.headers().contains_key(HEADER_NAME) {
        return next.call(request).await;
    }
    let (http, payload) = request.into_parts();
    let response = match KeyedRequest::read(&http, payload).await {
        Ok((keyed, body)) => run_detached(keyed, body, http.clone(), next).await,
        Err(error) => error.error_response(),
    };
    Ok(ServiceResponse::new(http, response))
}

/// Runs the work as a detached task, so that a client's disconnect cannot cancel it before its answer is stored.
async fn run_detached(keyed: KeyedRequest, body: Bytes, http: HttpRequest, next: Next<BoxBody>) -> HttpResponse {
    let (respond, response) = oneshot::channel();
    actix_web::rt::spawn(request_id::inherit(async move {
        let work = || next.call(ServiceRequest::from_parts(http, Payload::from(body)));
        match keyed.claim().await {
            Ok(Claim::Ours) => keyed.run(work(), respond).await,
            Ok(Claim::Answered(answer)) => drop(respond.send(answer.replay())),
            Err(error) => drop(respond.send(error.error_response())),
        }
    }));
    response.await.unwrap_or_else(|_| outcome_unknown().error_response())
}

/// A request with a key.
struct KeyedRequest {
    shared: Data<Shared>,
    app: String,
    /// Whether the request only reads.
    is_read: bool,
    /// Memo names and fingerprints under every live `SECRET_KEY`, the current one first.
    names: Vec<String>,
    fingerprints: Vec<[u8; 16]>,
    /// The value while the work is ours.
    claim: Vec<u8>,
}

enum Claim {
    Ours,
    Answered(StoredAnswer),
}

impl KeyedRequest {
    /// Authenticates the caller before it looks at the key, and reads the body before it claims anything.
    async fn read(http: &HttpRequest, mut payload: Payload) -> Result<(Self, Bytes), ApiError> {
        let caller = Caller::from_request(http, &mut Payload::None).await?;
        let key = key(http.headers())?;
        let RawBody { media, bytes } = RawBody::read(http, &mut payload, BodySource::Authenticated).await?;
        let shared = http.app_data::<Data<Shared>>().cloned().ok_or_else(outcome_unknown)?;
        let names = shared.keyring.sign_with_each(&[b"idempotency key", caller.app.as_bytes(), key.as_bytes()]);
        let target = http.uri().path_and_query().map_or("/", |target| target.as_str());
        let request = [http.method().as_str().as_bytes(), target.as_bytes(), media.as_bytes(), &bytes];
        let labelled = [&[b"idempotent request".as_slice()], &request[..]].concat();
        let fingerprints = shared.keyring.sign_with_each(&labelled);
        let claim = [&[CLAIM], &fingerprints[0][..], &random_owner()].concat();
        let names = names.iter().map(|name| format!("i:{:032x}", u128::from_be_bytes(*name))).collect();
        let (app, is_read) = (caller.app, http.uri().path() == SEARCH);
        Ok((Self { shared, app, is_read, names, fingerprints, claim }, bytes))
    }

    /// Claims the key, or waits for the request that holds it.
    ///
    /// # Errors
    /// 409 when that takes too long or a stop begins.
    async fn claim(&self) -> Result<Claim, ApiError> {
        let (started, patience) = (Instant::now(), self.shared.plivo_wait + WAIT_BEYOND);
        let may_wait = || started.elapsed() < patience && !self.shared.readiness.is_stopping();
        let has_waited = Cell::new(false);
        let claim = async || {
            // A stopping process begins no work that another request has left undone meanwhile.
            if has_waited.replace(true) && self.shared.readiness.is_stopping() {
                return Err(in_progress());
            }
            self.try_claim().await
        };
        let pauses = ExponentialBuilder::new().with_factor(1.5).with_min_delay(PAUSE_MIN).with_max_delay(PAUSE_MAX);
        claim
            .retry(pauses.without_max_times())
            .when(|error| error.code() == ErrorCode::IdempotencyInProgress && may_wait())
            .await
    }

    async fn try_claim(&self) -> Result<Claim, ApiError> {
        let store = &self.shared.store;
        // During a rotation of SECRET_KEY the key may be known under an older one.
        let others = match &self.names[1..] {
            [] => Vec::new(),
            names => store.values(names).await?,
        };
        if let Some((at, value)) = (1..).zip(others).find_map(|(at, value)| Some((at, value?))) {
            return self.read_value(&value, at).map(Claim::Answered);
        }
        let is_full = self.shared.answer_quota.wait(&self.app).filter(|_| !self.is_read);
        if let Some(wait) = is_full {
            // What is kept already is still answered.
            return match store.values(&self.names[..1]).await?.into_iter().flatten().next() {
                Some(value) => self.read_value(&value, 0).map(Claim::Answered),
                None => {
                    self.shared.metrics.refusal("idempotency");
                    Err(ApiError::rate_limited("idempotency", "answers kept for idempotency keys", wait))
                }
            };
        }
        match store.compare_and_swap(&self.names[0], None, &self.claim, LEASE).await? {
            SwapOutcome::Written => Ok(Claim::Ours),
            SwapOutcome::Changed(value) => self.read_value(&value.unwrap_or_default(), 0).map(Claim::Answered),
        }
    }

    /// The answer in the value under the name at `at`.
    ///
    /// # Errors
    /// 409 while the value is a claim, 422 when it belongs to another request.
    fn read_value(&self, value: &[u8], at: usize) -> Result<StoredAnswer, ApiError> {
        let Some((&[kind, ref print @ ..], rest)) = value.split_first_chunk::<17>() else { return Err(in_progress()) };
        if *print != self.fingerprints[at] {
            let detail = "Another request used this key in the last 24 hours. Send this one with a new key.";
            return Err(ApiError::new(ErrorCode::IdempotencyMismatch, detail));
        }
        if kind != ANSWER {
            return Err(in_progress());
        }
        Ok(StoredAnswer::open(rest, &self.shared.keyring, &self.names[at])?)
    }

    /// Does the work, stores its answer, and responds.
    ///
    /// An answer that cannot be stored at once is tried again until the claim would expire: a lost answer would let a
    /// repetition run again.
    async fn run(
        &self,
        work: impl Future<Output = Result<ServiceResponse, Error>>,
        respond: oneshot::Sender<HttpResponse>,
    ) {
        let mut work = pin!(work);
        let response = loop {
            tokio::select! {
                done = &mut work => break done,
                // A renewal that fails is made up for by the next one.
                () = tokio::time::sleep(RENEWED_EVERY) => drop(self.replace_claim(&self.claim, LEASE).await),
            }
        };
        let mut response = response.map_or_else(HttpResponse::from_error, |response| response.into_parts().1);
        let answer = if is_stored(&response) && !self.is_read { StoredAnswer::of(&mut response).await } else { None };
        let sealed = answer.map(|answer| answer.seal(&self.shared.keyring, &self.names[0]));
        let value = sealed.filter(|sealed| sealed.len() <= ANSWER_MAX).map(|sealed| {
            let print = &self.fingerprints[0][..];
            [&[ANSWER], print, &sealed].concat()
        });
        let (after, keep) = value.as_deref().map_or(GIVEN_BACK, |value| (value, KEPT));
        // After a 503 the store may not answer now either: the client does not wait for that twice.
        let stored = if response.status() == StatusCode::SERVICE_UNAVAILABLE {
            let _ = respond.send(response);
            self.replace_claim(after, keep).await
        } else {
            let stored = self.replace_claim(after, keep).await;
            let _ = respond.send(response);
            stored
        };
        if stored.is_err() {
            warn!(event = "idempotency_unwritten", "an idempotent answer could not be stored; trying again");
            let until = Instant::now() + LEASE;
            let pauses = ConstantBuilder::new().with_delay(PAUSE_MAX).without_max_times();
            let store = || self.replace_claim(after, keep);
            let _ = store.retry(pauses).when(|_| Instant::now() < until).await;
        }
        if let Some(value) = &value {
            let (store, clock) = (&self.shared.store, &self.shared.clock);
            self.shared.answer_quota.count(&self.app, value.len(), store, clock).await;
        }
    }

    /// Replaces our claim, also where it has expired and no other request has claimed the key since.
    async fn replace_claim(&self, after: &[u8], keep: Duration) -> Result<(), StoreError> {
        let (store, name) = (&self.shared.store, &self.names[0]);
        match store.compare_and_swap(name, Some(&self.claim), after, keep).await? {
            SwapOutcome::Changed(None) => store.compare_and_swap(name, None, after, keep).await.map(drop),
            SwapOutcome::Written | SwapOutcome::Changed(Some(_)) => Ok(()),
        }
    }
}

/// Distinguishes our claim from another process' claim for the same request.
#[expect(clippy::disallowed_methods, reason = "two claims of one request differ in nothing else")]
fn random_owner() -> [u8; 8] {
    rand::random()
}

/// Whether a repetition is to get this answer.
fn is_stored(response: &HttpResponse) -> bool {
    use StatusCode as S;
    let status = response.status();
    let asks_for_retry = status.is_server_error() || status == S::TOO_MANY_REQUESTS;
    let problem = response.error().and_then(|error| error.as_error::<ApiError>()).map(ApiError::code);
    let is_momentary = problem.is_some_and(is_about_the_moment);
    let rejected = [
        S::BAD_REQUEST,
        S::UNAUTHORIZED,
        S::NOT_FOUND,
        S::REQUEST_TIMEOUT,
        S::PAYLOAD_TOO_LARGE,
        S::UNSUPPORTED_MEDIA_TYPE,
        S::UNPROCESSABLE_ENTITY,
    ];
    !asks_for_retry && !is_momentary && !rejected.contains(&status)
}

/// Whether the same request may succeed later.
fn is_about_the_moment(code: ErrorCode) -> bool {
    use ErrorCode as E;
    matches!(code, E::CallInProgress | E::IdempotencyInProgress | E::CodeConflict | E::AmbiguousCheck)
}

fn in_progress() -> ApiError {
    let detail = "The first request with this key is still in progress. Send this one again to get its answer.";
    ApiError::new(ErrorCode::IdempotencyInProgress, detail).retry_after(Duration::from_secs(1))
}

fn outcome_unknown() -> ApiError {
    let detail = "The outcome of this request is unknown. Send it again with the same key.";
    ApiError::new(ErrorCode::StorageUnavailable, detail).retry_after(LEASE)
}
