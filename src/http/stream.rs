//! A verification's timeline, live, as Server-Sent Events.
//!
//! Each stream reads the store twice a second: events may be committed by any replica, and a verification lives for
//! minutes only. A record that has not changed is not opened. A browser may follow with the `client_token` of the creation
//! instead of an API key.

use std::time::{Duration, Instant};

use actix_web::http::header::{ACCEPT, ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL};
use actix_web::web::{Bytes, Data, Path};
use actix_web::{FromRequest, HttpRequest, HttpResponse, dev::Payload};
use futures_util::{StreamExt, stream};
use utoipa::IntoParams;

use super::auth::{Caller, bearer};
use super::browser::{self, BrowserEntryView};
use super::error::ApiError;
use super::parameters::verification_id;
use super::places::StreamPlace;
use super::query;
use super::state::Shared;
use super::timeline::EntryView;
use super::view::VerificationView;
use crate::engine::{EngineError, Found, Target};
use crate::plivo::reference::{self, Purpose};
use crate::store::Version;
use crate::time::Timestamp;

const POLL_EVERY: Duration = Duration::from_millis(500);
/// Polls without news after which a comment keeps proxies from closing the connection.
const KEEP_ALIVE_POLLS: u32 = 30;
/// Longer than any verification is open: ends the stream of a client that never closes it.
const STREAM_MAX: Duration = Duration::from_secs(15 * 60);
/// How long a browser waits before it connects again.
const RETRY: Duration = Duration::from_secs(2);
const RETRY_WHEN_FULL: Duration = Duration::from_secs(5);

/// The client token, where the client is not an app.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it documents what `follow` reads")]
pub struct StreamQuery {
    /// The `client_token` of the creation, for clients that cannot send it as a Bearer token.
    client_token: Option<String>,
}

/// Follows a verification until its status is final.
///
/// Each line of the timeline is an `entry` event. After new entries a `verification` event shows the state. With the
/// `client_token` both show states only: no sentences, figures, metadata or ids of Plivo. `Last-Event-ID` resumes a stream.
/// With `Accept: application/json` the answer is the state alone, for a browser that a proxy allows no stream.
#[utoipa::path(get, path = "/v1/verifications/{id}/stream", operation_id = "follow_verification", tag = "verifications",
    params(("id" = String, Path, description = "The id of the verification"), StreamQuery),
    responses((status = 200, description = "Server-Sent Events, or the state", content(
            (VerificationView = "application/json"), ("text/event-stream"))),
        (status = 204, description = "All events of a final status were received: do not connect again")),
    security(("api_key" = []), ()))]
pub async fn follow(request: HttpRequest, shared: Data<Shared>, id: Path<String>) -> Result<HttpResponse, ApiError> {
    let read_token = |token: &str| reference::read(&shared.keyring, token, Purpose::Client);
    // A browser's EventSource sends no headers; other clients can keep the token out of the URL.
    let in_header = bearer(&request).filter(|token| read_token(token).is_some());
    let token = query::parameter(request.query_string(), "client_token")?.or(in_header.map(str::to_owned));
    let found = match &token {
        Some(token) => {
            let id = verification_id(&id)?;
            let to = read_token(token).filter(|to| to.id == id).ok_or(EngineError::NotFound)?;
            query::refuse_unknown(&request)?;
            shared.engine.read(Target::Proved(to.id)).await?
        }
        None => {
            let caller = Caller::from_request(&request, &mut Payload::None).await?;
            shared.engine.read(Target::OfApp(&caller.app, verification_id(&id)?)).await?
        }
    };
    if wants_state_alone(&request) {
        let now = shared.clock.now().await?;
        let state = state(&shared, &found, now, token.is_some());
        return Ok(HttpResponse::Ok().insert_header((ACCESS_CONTROL_ALLOW_ORIGIN, "*")).json(state));
    }
    let received = last_event_id(&request);
    let (v, session) = (&found.verification, found.session);
    let shown = v.timeline.iter().filter(|entry| entry.is_shown_to(session)).count();
    if received >= shown && v.end_of(session).is_some() {
        // EventSource connects again after the end of a stream, unless it is told 204 (WHATWG HTML, 9.2.2).
        return Ok(HttpResponse::NoContent().insert_header((ACCESS_CONTROL_ALLOW_ORIGIN, "*")).finish());
    }
    let slot = shared.streams.follow(&v.app, v.id_of(session));
    let slot = slot.ok_or_else(|| {
        shared.metrics.refusal("streams");
        ApiError::rate_limited("streams", "concurrent streams", RETRY_WHEN_FULL)
    })?;
    let follower = Follower {
        shared,
        slot,
        is_browser: token.is_some(),
        until: Instant::now() + STREAM_MAX,
        seen: None,
        entries_seen: 0,
        entries_sent: received.min(shown),
        polls_without_news: 0,
        is_over: false,
    };
    let retry = format!("retry: {}\n\n", RETRY.as_millis());
    let opening = stream::iter([Ok(Bytes::from(retry))]);
    let events = stream::unfold((follower, Some(found)), |(mut follower, first)| async move {
        let news = follower.next(first).await?;
        Some((Ok::<_, actix_web::Error>(Bytes::from(news)), (follower, None)))
    });
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream; charset=utf-8")
        .insert_header((CACHE_CONTROL, "no-store"))
        // The token in the URL is the only credential, so any page that has it may read.
        .insert_header((ACCESS_CONTROL_ALLOW_ORIGIN, "*"))
        .insert_header(("X-Accel-Buffering", "no"))
        .streaming(opening.chain(events)))
}

struct Follower {
    shared: Data<Shared>,
    slot: StreamPlace,
    /// A browser sees states only.
    is_browser: bool,
    until: Instant,
    /// The version that was read last.
    seen: Option<Version>,
    /// Entries of the timeline that were looked at, those of other sessions among them.
    entries_seen: usize,
    /// Entries that the client has received or is not shown, without those of other sessions: the id of the last event.
    entries_sent: usize,
    polls_without_news: u32,
    is_over: bool,
}

impl Follower {
    /// The next piece of the stream; `None` at its end.
    async fn next(&mut self, mut known: Option<Found>) -> Option<String> {
        while !self.is_over && Instant::now() < self.until {
            if known.is_none() {
                tokio::select! {
                    () = tokio::time::sleep(POLL_EVERY) => {}
                    () = self.shared.readiness.stopping() => return None,
                }
                known = match self.shared.engine.read_news(self.slot.id(), self.seen).await {
                    Ok(news) => news.map(|(found, version)| {
                        self.seen = Some(version);
                        found
                    }),
                    Err(EngineError::NotFound) => return None,
                    // The store may answer the next poll.
                    Err(_) => None,
                };
            }
            if let Some(found) = known.take()
                && let Some(news) = self.news(&found).await
            {
                self.polls_without_news = 0;
                return Some(news);
            }
            self.polls_without_news += 1;
            if self.polls_without_news >= KEEP_ALIVE_POLLS {
                self.polls_without_news = 0;
                return Some(": still here\n\n".to_owned());
            }
        }
        None
    }

    async fn news(&mut self, found: &Found) -> Option<String> {
        let (v, session) = (&found.verification, found.session);
        if v.timeline.len() <= self.entries_seen {
            return None;
        }
        let now = self.shared.clock.now().await.ok()?;
        let (mut out, sent_before) = (String::new(), self.entries_sent);
        let own = v.timeline.iter().filter(|entry| entry.is_shown_to(session));
        for (entry, id) in own.zip(1..).skip(self.entries_sent) {
            let entry = EntryView::of(v, entry);
            if !self.is_browser {
                out.push_str(&event(id, "entry", &entry));
            } else if let Some(entry) = BrowserEntryView::of(entry) {
                out.push_str(&event(id, "entry", &entry));
            }
            self.entries_sent = id;
        }
        let is_first = std::mem::replace(&mut self.entries_seen, v.timeline.len()) == 0;
        if self.entries_sent == sent_before && !is_first {
            // Only another session has news, which this one must not even notice.
            return None;
        }
        out.push_str(&event(self.entries_sent, "verification", &state(&self.shared, found, now, self.is_browser)));
        self.is_over = v.end_of(session).is_some();
        Some(out)
    }
}

/// What a follower is shown of the verification.
fn state(shared: &Shared, found: &Found, now: Timestamp, is_browser: bool) -> VerificationView {
    let view = VerificationView::of(found, &shared.rules, now);
    if is_browser { browser::verification(view) } else { view }
}

/// Whether a client takes JSON and no stream.
fn wants_state_alone(request: &HttpRequest) -> bool {
    let accept = request.headers().get(ACCEPT).and_then(|media| media.to_str().ok());
    accept.is_some_and(|media| media.eq_ignore_ascii_case("application/json"))
}

/// One event. A client that connects again sends the `id` of the last one that it received.
fn event(id: usize, name: &str, data: &impl serde::Serialize) -> String {
    let data = serde_json::to_string(data).unwrap_or_default();
    format!("id: {id}\nevent: {name}\ndata: {data}\n\n")
}

/// The id of the last event that a client received; 0 for a new client, or if it is not one of ours.
fn last_event_id(request: &HttpRequest) -> usize {
    let header = request.headers().get("last-event-id").and_then(|id| id.to_str().ok());
    header.and_then(|id| id.parse().ok()).unwrap_or(0)
}
