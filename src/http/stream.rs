//! A verification's timeline, live, as Server-Sent Events.
//!
//! The store is asked twice a second: what happens, happens on any replica, and a verification lives for
//! minutes. A browser may follow with the `client_token` of the creation instead of an API key.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use actix_web::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL};
use actix_web::web::{Bytes, Data, Path};
use actix_web::{FromRequest, HttpRequest, HttpResponse, dev::Payload};
use futures_util::stream;
use utoipa::IntoParams;

use super::Shared;
use super::auth::{Caller, bearer};
use super::error::{ApiError, Problem};
use super::timeline::EntryView;
use super::verifications::{known, query_parameter};
use super::view::VerificationView;
use crate::engine::EngineError;
use crate::plivo::reference::{self, Purpose};
use crate::verification::{Verification, VerificationId};

const POLL: Duration = Duration::from_millis(500);
/// Polls without news after which a comment keeps proxies from closing the connection.
const KEEP_ALIVE_POLLS: u32 = 30;
/// Longer than any verification lives, so that a reader that never leaves goes all the same.
const FOLLOW_MAX: Duration = Duration::from_secs(15 * 60);
/// How many follow at once in this process, as each asks the store twice a second; and how many of them the same
/// verification, lest one person's token takes every place.
const FOLLOWERS_MAX: usize = 1000;
const FOLLOWERS_OF_ONE_MAX: usize = 8;

/// Places for those who follow a verification live: how many have one, by verification.
#[derive(Default)]
pub struct Followers(Mutex<HashMap<VerificationId, usize>>);

/// One of them, until it is dropped.
struct Place {
    shared: Data<Shared>,
    id: VerificationId,
}

impl Place {
    fn take(shared: &Data<Shared>, id: VerificationId) -> Option<Self> {
        let mut taken = shared.followers.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (all, of_it) = (taken.values().sum::<usize>(), taken.get(&id).copied().unwrap_or(0));
        if all >= FOLLOWERS_MAX || of_it >= FOLLOWERS_OF_ONE_MAX {
            return None;
        }
        taken.insert(id, of_it + 1);
        Some(Self { shared: shared.clone(), id })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.shared.followers.0.lock().unwrap_or_else(PoisonError::into_inner);
        match taken.get_mut(&self.id) {
            Some(places) if *places > 1 => *places -= 1,
            _ => drop(taken.remove(&self.id)),
        }
    }
}

/// Who is following, where it is not an app.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it documents what `follow` reads")]
pub struct StreamQuery {
    /// The `client_token` of the creation, for whoever cannot send it as a Bearer token.
    client_token: Option<String>,
}

/// Follows a verification: an `entry` event for each line of its timeline, each time with a
/// `verification` event that shows the state after them, until it is final.
#[utoipa::path(get, path = "/v1/verifications/{id}/stream", tag = "verifications",
    params(("id" = String, Path), StreamQuery),
    responses((status = 200, description = "Server-Sent Events", content_type = "text/event-stream"),
        (status = "4XX", body = Problem), (status = "5XX", body = Problem)),
    security(("api_key" = []), ()))]
pub async fn follow(request: HttpRequest, shared: Data<Shared>, id: Path<String>) -> Result<HttpResponse, ApiError> {
    let keys = &shared.engine.keys;
    // A browser's own reader of events sends no headers; everybody else need not put it into a URL.
    let in_header = bearer(&request).filter(|given| reference::read(keys, given, Purpose::Client).is_some());
    let token = query_parameter(request.query_string(), "client_token")?.or(in_header.map(str::to_owned));
    let v = match &token {
        Some(token) => {
            let id = known(&id)?;
            let to = reference::read(keys, token, Purpose::Client).filter(|to| to.id == id);
            shared.engine.get(to.ok_or(EngineError::NotFound)?.id).await?
        }
        None => {
            let caller = Caller::from_request(&request, &mut Payload::None).await?;
            shared.engine.get_for(&caller.app, known(&id)?).await?
        }
    };
    let follower = Follower {
        place: Place::take(&shared, v.id).ok_or_else(|| ApiError::rate_limited("streams"))?,
        is_browser: token.is_some(),
        until: Instant::now() + FOLLOW_MAX,
        told: 0,
        quiet: 0,
        is_over: false,
    };
    let events = stream::unfold((follower, Some(v)), |(mut follower, first)| async move {
        let news = follower.next(first).await?;
        Some((Ok::<_, actix_web::Error>(Bytes::from(news)), (follower, None)))
    });
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream; charset=utf-8")
        .insert_header((CACHE_CONTROL, "no-store"))
        // The token is the only credential, and it is in the URL: any page that has it may read.
        .insert_header((ACCESS_CONTROL_ALLOW_ORIGIN, "*"))
        .insert_header(("X-Accel-Buffering", "no"))
        .streaming(events))
}

struct Follower {
    place: Place,
    /// A browser does not see what the customer's back end wrote down for itself.
    is_browser: bool,
    until: Instant,
    /// Entries told so far.
    told: usize,
    quiet: u32,
    is_over: bool,
}

impl Follower {
    /// The next piece of the stream; `None` at its end.
    async fn next(&mut self, mut known: Option<Verification>) -> Option<String> {
        while !self.is_over && Instant::now() < self.until {
            if known.is_none() {
                tokio::select! {
                    () = tokio::time::sleep(POLL) => {}
                    () = self.place.shared.readiness.withdrawn() => return None,
                }
                known = match self.place.shared.engine.get(self.place.id).await {
                    Ok(v) => Some(v),
                    // Forgotten: there is nothing more to tell.
                    Err(EngineError::NotFound) => return None,
                    // The next poll may find the store again.
                    Err(_) => None,
                };
            }
            if let Some(v) = known.take()
                && let Some(news) = self.news(&v).await
            {
                self.quiet = 0;
                return Some(news);
            }
            self.quiet += 1;
            if self.quiet >= KEEP_ALIVE_POLLS {
                self.quiet = 0;
                return Some(": still here\n\n".to_owned());
            }
        }
        None
    }

    async fn news(&mut self, v: &Verification) -> Option<String> {
        let fresh = v.timeline.get(self.told..).filter(|fresh| !fresh.is_empty())?;
        let now = self.place.shared.engine.clock.now().await.ok()?;
        let mut out = String::new();
        for entry in fresh {
            out.push_str(&event("entry", &EntryView::of(v, entry)));
        }
        let mut view = VerificationView::of(v, &self.place.shared.engine.rules, now);
        if self.is_browser {
            view.metadata.clear();
        }
        out.push_str(&event("verification", &view));
        self.told = v.timeline.len();
        self.is_over = v.status.is_final();
        Some(out)
    }
}

fn event(name: &str, data: &impl serde::Serialize) -> String {
    let data = serde_json::to_string(data).unwrap_or_default();
    format!("event: {name}\ndata: {data}\n\n")
}
