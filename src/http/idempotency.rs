//! `Idempotency-Key`: a POST that is sent again has no second effect and gets the answer of the first.
//!
//! Whoever comes first claims the key in the store, does the work, and leaves the answer there for a day. Who comes
//! meanwhile waits for that answer, though not for ever; who comes later gets it; who comes with another request is
//! refused. It is one memo by one name, so replicas agree, and without the header nothing is asked of the store.
//!
//! The claim is a short lease, renewed while the work goes on: of a process that dies in between nothing is left, and
//! a retry runs anew. What the first had done by then is done: a creation joins the verification it finds, an attempt
//! meets its cooldown, a cancellation is one already; only a wrong code counts again.
//!
//! Not remembered is what asks to be tried again (5xx, 429), what is so for a moment (a call is under way, or the first
//! request with the key is) and what could not be read or was nobody's.
//!
//! The store holds keyed hashes of key and request, and the answer sealed: it has the `client_token`. Only whoever has
//! the key finds it, so an erasure of the number leaves it: for what is left of the day, with the number masked.

use std::io::{Read, Write};
use std::pin::pin;
use std::time::{Duration, Instant};

use actix_web::body::{BoxBody, to_bytes};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderMap, HeaderName, LOCATION};
use actix_web::middleware::Next;
use actix_web::web::{Bytes, Data};
use actix_web::{Error, FromRequest, HttpRequest, HttpResponse, ResponseError};
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use tracing::warn;

use super::Shared;
use super::auth::Caller;
use super::body::{Raw, Sender};
use super::error::{ApiError, Kind, ParameterError};
use super::middleware::in_its_name;
use crate::engine::EngineError;
use crate::keyring::Keyring;
use crate::store::{StoreError, Swap};

/// The header, as documented.
pub const HEADER: &str = "Idempotency-Key";
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

const KEY_MAX: usize = 255;
/// How long an answer is remembered.
const KEPT: Duration = Duration::from_secs(86_400);
/// How long a claim outlives whoever made it.
const LEASE: Duration = Duration::from_secs(10);
const RENEWED_EVERY: Duration = Duration::from_secs(3);
/// How much longer than for Plivo, for which the first request waits, its twins wait for it.
const WAIT_BEYOND: Duration = Duration::from_secs(2);
/// Between two looks at a claim of another's: the first pause and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(400));
/// Sealed; a longer one, which only a search can have, is not remembered.
const ANSWER_MAX: usize = 64 * 1024;

/// What a memo begins with: the fingerprint follows, and then whose claim it is, or the answer.
const CLAIM: u8 = b'c';
const ANSWER: u8 = b'a';
/// A claim given back stands for a moment, as the store cannot be told to forget.
const GIVEN_BACK: (&[u8], Duration) = (b"-", Duration::from_millis(1));

/// Wraps a route, so that a key given with its requests works once.
pub async fn once(request: ServiceRequest, next: Next<BoxBody>) -> Result<ServiceResponse, Error> {
    if !request.headers().contains_key(HEADER) {
        return next.call(request).await;
    }
    let (http, payload) = request.into_parts();
    let response = match Keyed::read(&http, payload).await {
        Ok((keyed, body)) => to_its_end(keyed, body, http.clone(), next).await,
        Err(error) => error.error_response(),
    };
    Ok(ServiceResponse::new(http, response))
}

/// Lets the work end and its answer be written down even when whoever asked hangs up.
async fn to_its_end(keyed: Keyed, body: Bytes, http: HttpRequest, next: Next<BoxBody>) -> HttpResponse {
    let (tell, told) = oneshot::channel();
    actix_web::rt::spawn(in_its_name(async move {
        let work = || next.call(ServiceRequest::from_parts(http, Payload::from(body)));
        match keyed.take().await {
            Ok(Turn::Ours) => keyed.run(work(), tell).await,
            Ok(Turn::Answered(answer)) => drop(tell.send(answer.again())),
            Err(error) => drop(tell.send(error.error_response())),
        }
    }));
    told.await.unwrap_or_else(|_| unanswered().error_response())
}

/// A request with a key.
struct Keyed {
    shared: Data<Shared>,
    /// Names and fingerprints under every live `SECRET_KEY`, the current one first.
    names: Vec<String>,
    fingerprints: Vec<[u8; 16]>,
    /// What the memo is while the work is ours.
    claim: Vec<u8>,
}

/// What the key says.
enum Turn {
    Ours,
    Answered(Answer),
}

impl Keyed {
    /// Nobody's key is looked at before it is known whose it is, and none is claimed before the body is there.
    async fn read(http: &HttpRequest, mut payload: Payload) -> Result<(Self, Bytes), ApiError> {
        let caller = Caller::from_request(http, &mut Payload::None).await?;
        let key = key(http.headers())?;
        let Raw { media, bytes } = Raw::read(http, &mut payload, Sender::Known).await?;
        let shared = http.app_data::<Data<Shared>>().cloned().ok_or_else(unanswered)?;
        let keys = &shared.engine.keys;
        let names = keys.sign_with_each(&[b"idempotency key", caller.app.as_bytes(), key.as_bytes()]);
        let target = http.uri().path_and_query().map_or("/", |target| target.as_str());
        let request = [http.method().as_str().as_bytes(), target.as_bytes(), media.as_bytes(), &bytes];
        let fingerprints = keys.sign_with_each(&[&[b"idempotent request".as_slice()], &request[..]].concat());
        let claim = [&[CLAIM], &fingerprints[0][..], &whose()].concat();
        let names = names.iter().map(|name| format!("i:{:032x}", u128::from_be_bytes(*name))).collect();
        Ok((Self { shared, names, fingerprints, claim }, bytes))
    }

    /// Claims the key, or waits for whoever has.
    async fn take(&self) -> Result<Turn, ApiError> {
        let (started, patience) = (Instant::now(), self.shared.plivo_wait + WAIT_BEYOND);
        let mut pause = PAUSE.0;
        loop {
            if let Some(turn) = self.look().await? {
                return Ok(turn);
            }
            let is_stopping = tokio::select! {
                () = tokio::time::sleep(pause) => false,
                () = self.shared.readiness.withdrawn() => true,
            };
            if is_stopping || started.elapsed() >= patience {
                let detail = "The first request with this key is still under way; its answer will be this one's.";
                let error = ApiError::new(Kind::IdempotencyInProgress, detail);
                return Err(error.retry_after(Duration::from_secs(1)));
            }
            pause = (pause * 3 / 2).min(PAUSE.1);
        }
    }

    /// One look, and the claim if nobody has it; `None` while another does.
    async fn look(&self) -> Result<Option<Turn>, ApiError> {
        let store = &self.shared.engine.store;
        // While a SECRET_KEY is being rotated it may be known under another.
        let others = match &self.names[1..] {
            [] => Vec::new(),
            names => store.memos(names).await.map_err(EngineError::Store)?,
        };
        if let Some((at, memo)) = (1..).zip(others).find_map(|(at, memo)| Some((at, memo?))) {
            return Ok(self.answer_in(&memo, at)?.map(Turn::Answered));
        }
        match store.swap_memo(&self.names[0], None, &self.claim, LEASE).await.map_err(EngineError::Store)? {
            Swap::Written => Ok(Some(Turn::Ours)),
            Swap::Changed(there) => Ok(self.answer_in(&there.unwrap_or_default(), 0)?.map(Turn::Answered)),
        }
    }

    /// What a memo under the name at `at` answers; `None` while it is a claim.
    fn answer_in(&self, memo: &[u8], at: usize) -> Result<Option<Answer>, ApiError> {
        let Some((&[kind, ref print @ ..], rest)) = memo.split_first_chunk::<17>() else { return Ok(None) };
        if *print != self.fingerprints[at] {
            let detail = "Another request came with this key in the last 24 hours: use a new one.";
            return Err(ApiError::new(Kind::IdempotencyMismatch, detail));
        }
        if kind != ANSWER {
            return Ok(None);
        }
        let keys = &self.shared.engine.keys;
        let answer = Answer::open(rest, keys, &self.names[at]).map_err(EngineError::Store)?;
        Ok(Some(answer))
    }

    /// Does the work, writes down what came of it, and tells; what could not be written down at once is tried for as
    /// long as the claim lasts, since without it the key would be taken for nothing.
    async fn run(
        &self,
        work: impl Future<Output = Result<ServiceResponse, Error>>,
        tell: oneshot::Sender<HttpResponse>,
    ) {
        let mut work = pin!(work);
        let response = loop {
            tokio::select! {
                done = &mut work => break done,
                () = tokio::time::sleep(RENEWED_EVERY) => { self.leave(&self.claim, LEASE).await; }
            }
        };
        let mut response = response.map_or_else(HttpResponse::from_error, |response| response.into_parts().1);
        let answer = if is_remembered(&response) { Answer::of(&mut response).await } else { None };
        let sealed = answer.map(|answer| answer.seal(&self.shared.engine.keys, &self.names[0]));
        let memo = sealed.filter(|sealed| sealed.len() <= ANSWER_MAX).map(|sealed| {
            let print = &self.fingerprints[0][..];
            [&[ANSWER], print, &sealed].concat()
        });
        let (after, keep) = memo.as_deref().map_or(GIVEN_BACK, |memo| (memo, KEPT));
        // Where the store did not answer it may not now: nobody waits for that twice.
        let written = if response.status() == StatusCode::SERVICE_UNAVAILABLE {
            let _ = tell.send(response);
            self.leave(after, keep).await
        } else {
            let written = self.leave(after, keep).await;
            let _ = tell.send(response);
            written
        };
        if !written {
            warn!(event = "idempotency_unwritten", "the answer to a key cannot be written down yet");
            let until = Instant::now() + LEASE;
            while Instant::now() < until && !self.leave(after, keep).await {
                tokio::time::sleep(PAUSE.1).await;
            }
        }
    }

    /// Puts something in the place of the claim, also where that has run out and nobody has the key since. True when
    /// there is no more to be done.
    async fn leave(&self, after: &[u8], keep: Duration) -> bool {
        let (store, name) = (&self.shared.engine.store, &self.names[0]);
        match store.swap_memo(name, Some(&self.claim), after, keep).await {
            Ok(Swap::Changed(None)) => store.swap_memo(name, None, after, keep).await.is_ok(),
            swapped => swapped.is_ok(),
        }
    }
}

/// What must not be mistaken for anybody else's claim.
#[expect(clippy::disallowed_methods, reason = "two claims of one request differ in nothing else")]
fn whose() -> [u8; 8] {
    rand::random()
}

/// The key, if it is one.
fn key(headers: &HeaderMap) -> Result<String, ApiError> {
    let mut given = headers.get_all(HEADER);
    let wrong = |detail| ApiError::parameters(vec![ParameterError::new(HEADER, detail)]);
    let (first, None) = (given.next(), given.next()) else { return Err(wrong("is given twice")) };
    let is_key = |key: &&str| (1..=KEY_MAX).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic());
    let key = first.and_then(|key| key.to_str().ok()).filter(is_key);
    key.map(str::to_owned).ok_or_else(|| wrong("must be 1 to 255 visible ASCII characters"))
}

/// Whether the next one with this key is to get this answer.
fn is_remembered(response: &HttpResponse) -> bool {
    use StatusCode as S;
    let status = response.status();
    let asks_again = status.is_server_error() || status == S::TOO_MANY_REQUESTS;
    let problem = response.error().and_then(|error| error.as_error::<ApiError>()).map(ApiError::kind);
    let passes = matches!(problem, Some(Kind::CallInProgress | Kind::IdempotencyInProgress));
    let was_not_read = [S::BAD_REQUEST, S::UNAUTHORIZED, S::REQUEST_TIMEOUT, S::PAYLOAD_TOO_LARGE];
    !asks_again && !passes && !was_not_read.contains(&status) && status != S::UNSUPPORTED_MEDIA_TYPE
}

fn unanswered() -> ApiError {
    ApiError::new(Kind::StorageUnavailable, "Try again: what came of it is not known.").retry_after(LEASE)
}

/// What was answered.
#[derive(Serialize, Deserialize)]
struct Answer {
    status: u16,
    media: String,
    location: Option<String>,
    body: String,
}

impl Answer {
    /// Of a response, which gets its body back; `None` of one that is no text.
    async fn of(response: &mut HttpResponse) -> Option<Self> {
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (status, media, location) = (response.status().as_u16(), header(CONTENT_TYPE), header(LOCATION));
        let taken = std::mem::replace(response, HttpResponse::new(response.status()));
        let (head, body) = taken.into_parts();
        let body = to_bytes(body).await.ok()?;
        *response = head.set_body(BoxBody::new(body.clone()));
        Some(Self { status, media: media.unwrap_or_default(), location, body: String::from_utf8(body.to_vec()).ok()? })
    }

    fn again(self) -> HttpResponse {
        let mut response = HttpResponse::build(StatusCode::from_u16(self.status).unwrap_or_default());
        if let Some(location) = self.location {
            response.insert_header((LOCATION, location));
        }
        response.insert_header((CONTENT_TYPE, self.media)).insert_header((REPLAYED, "true")).body(self.body)
    }

    /// Small: half of an answer are the names of its fields.
    fn seal(&self, keys: &Keyring, name: &str) -> Vec<u8> {
        let plain = rmp_serde::to_vec(self).unwrap_or_default();
        let mut small = DeflateEncoder::new(Vec::new(), Compression::default());
        // Writing to memory cannot fail.
        let _ = small.write_all(&plain);
        keys.seal(&small.finish().unwrap_or_default(), name.as_bytes())
    }

    fn open(sealed: &[u8], keys: &Keyring, name: &str) -> Result<Self, StoreError> {
        let small = keys.open(sealed, name.as_bytes()).map_err(|_| StoreError::Unreadable("no SECRET_KEY opens it"))?;
        let mut plain = Vec::new();
        let is_read = DeflateDecoder::new(&small[..]).read_to_end(&mut plain).is_ok();
        let answer = rmp_serde::from_slice(&plain).ok().filter(|_| is_read);
        answer.ok_or(StoreError::Unreadable("is of a shape this version does not know"))
    }
}
