//! A verification's timeline, live, as Server-Sent Events.
//!
//! Each stream reads the store twice a second: events may be committed by any replica, and a verification lives for
//! minutes only. A browser may follow with the `client_token` of the creation instead of an API key.

use std::time::{Duration, Instant};

use actix_web::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL};
use actix_web::web::{Bytes, Data, Path};
use actix_web::{FromRequest, HttpRequest, HttpResponse, dev::Payload};
use futures_util::stream;
use utoipa::IntoParams;

use super::auth::{Caller, bearer};
use super::error::{ApiError, Problem};
use super::parameters::verification_id;
use super::places::StreamPlace;
use super::query;
use super::state::Shared;
use super::timeline::EntryView;
use super::view::VerificationView;
use crate::engine::{EngineError, Found, Target};
use crate::plivo::reference::{self, Purpose};

const POLL_EVERY: Duration = Duration::from_millis(500);
/// Polls without news after which a comment keeps proxies from closing the connection.
const KEEP_ALIVE_POLLS: u32 = 30;
/// Longer than any verification is open: ends the stream of a client that never closes it.
const STREAM_MAX: Duration = Duration::from_secs(15 * 60);
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
/// Each line of the timeline is an `entry` event. After new entries a `verification` event shows the state.
#[utoipa::path(get, path = "/v1/verifications/{id}/stream", tag = "verifications",
    params(("id" = String, Path), StreamQuery),
    responses((status = 200, description = "Server-Sent Events", content_type = "text/event-stream"),
        (status = "4XX", body = Problem), (status = "5XX", body = Problem)),
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
    let slot = shared.streams.follow(&found.verification.app, found.verification.id_of(found.session));
    let slot = slot.ok_or_else(|| ApiError::rate_limited("streams", "concurrent streams", RETRY_WHEN_FULL))?;
    let follower = Follower {
        shared,
        slot,
        is_browser: token.is_some(),
        until: Instant::now() + STREAM_MAX,
        entries_sent: 0,
        polls_without_news: 0,
        is_over: false,
    };
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
        .streaming(events))
}

struct Follower {
    shared: Data<Shared>,
    slot: StreamPlace,
    /// A browser does not see the customer's metadata.
    is_browser: bool,
    until: Instant,
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
                    () = self.shared.readiness.withdrawn() => return None,
                }
                known = match self.shared.engine.read(Target::Proved(self.slot.id())).await {
                    Ok(found) => Some(found),
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
        let fresh = v.timeline.get(self.entries_sent..).filter(|fresh| !fresh.is_empty())?;
        let now = self.shared.clock.now().await.ok()?;
        let mut out = String::new();
        let shown = fresh.iter().filter(|entry| entry.is_shown_to(session));
        for entry in shown {
            out.push_str(&event("entry", &EntryView::of(v, entry)));
        }
        let mut view = VerificationView::of(found, &self.shared.rules, now);
        if self.is_browser {
            view.metadata.clear();
        }
        out.push_str(&event("verification", &view));
        self.entries_sent = v.timeline.len();
        self.is_over = v.end_of(session).is_some();
        Some(out)
    }
}

fn event(name: &str, data: &impl serde::Serialize) -> String {
    let data = serde_json::to_string(data).unwrap_or_default();
    format!("event: {name}\ndata: {data}\n\n")
}
