//! A route that breaks down while Plivo accepts every text (`POST /outage` of the local Plivo).
//!
//! The service detects the breakdown within 20 messages and the recovery within 100; timelines and `GET /v1/routes`
//! show both. The tests advance the clock, so a slow machine only takes longer.

use std::time::Duration;

use phlo_2fa::time::Timestamp;
use phlo_2fa::verification::{Channel, Status, Verification, VerificationId};
use serde_json::{Value, json};

use crate::support::{Setup, TestApp, client};

const OWN: &str = "8675309";

/// Seconds from the text to the code while the route works.
const ENTERED_AFTER_S: [u32; 8] = [6, 9, 7, 14, 8, 11, 19, 10];

/// Seconds from the call to the code: some people have a program answer.
const ENTERED_AFTER_CALL_S: [u64; 2] = [18, 1];

/// A route, seen through the texts to one number.
struct Route {
    app: TestApp,
    last_four: &'static str,
    /// The last status that the local Plivo reports of a text.
    last_report: &'static str,
}

/// One verification.
#[derive(Debug)]
struct Message {
    id: String,
    /// Seconds from the creation to the call.
    called_after_s: Option<u64>,
}

impl Route {
    async fn new(last_four: &'static str, last_report: &'static str) -> Self {
        let env = vec![("ESCALATION", "adaptive".into())];
        let app = TestApp::spawn_with(Setup { env, speed: 1000.0, ..Setup::default() }).await;
        Self { app, last_four, last_report }
    }

    /// Starts an outage of this kind for texts; `None` ends it.
    async fn break_down(&mut self, kind: Option<&str>, last_report: &'static str) {
        let mut outage = json!({ "seconds": 3600, "what": "message", "prefix": "1415555" });
        match kind {
            Some(kind) => outage["kind"] = kind.into(),
            None => outage["seconds"] = 0.into(),
        }
        let reply = client().post(format!("{}/outage", self.app.plivo_url)).json(&outage).send().await.unwrap();
        assert!(reply.status().is_success(), "{reply:?}");
        self.last_report = last_report;
    }

    /// Verifies one number: the person enters the code so many seconds after the text, or after the call if that
    /// comes first.
    async fn message(&self, entered_after_s: Option<u32>, entered_after_call_s: u64) -> Message {
        let to = format!("+1415555{}", self.last_four);
        let created = self.app.post("/v1/verifications", json!({ "to": to, "code": OWN })).await;
        let id = created.id().to_owned();
        self.app.until(&id, self.last_report, |v| v["attempts"][0]["status"] == self.last_report).await;
        let at = async |after_s: u32| self.start(&id).await + Duration::from_secs(after_s.into());
        let (entered, end) = (at(entered_after_s.unwrap_or(120)).await, at(120).await);
        let mut called_after_s = None;
        loop {
            let (v, now) = (self.settled(&id).await, self.app.clock.now().await.unwrap());
            if v.attempts.iter().any(|a| a.channel == Channel::Call) {
                called_after_s = Some(now.since(v.created_at).as_secs());
                self.app.until(&id, "called", |v| v["attempts"][1]["status"] == "completed").await;
                self.pass(Duration::from_secs(entered_after_call_s)).await;
                self.settled(&id).await;
                break;
            }
            if now >= entered.min(end) {
                break;
            }
            let next = v.due().map_or(end, |due| due.min(entered).min(end));
            self.pass(next.since(now)).await;
        }
        assert_eq!(self.app.check(&id, OWN).await.body["result"], "verified", "{id}");
        Message { id, called_after_s }
    }

    async fn start(&self, id: &str) -> Timestamp {
        self.app
            .engine
            .read(phlo_2fa::engine::Target::Proved(id.parse().unwrap()))
            .await
            .unwrap()
            .verification
            .created_at
    }

    async fn pass(&self, time: Duration) {
        self.app.settled().await;
        self.app.advance(time.as_secs_f64()).await;
    }

    /// The verification once nothing of it is due any more, whichever timer task was faster.
    async fn settled(&self, id: &str) -> std::sync::Arc<Verification> {
        let id: VerificationId = id.parse().unwrap();
        loop {
            self.app.settled().await;
            let (v, now) = (
                self.app.engine.read(phlo_2fa::engine::Target::Proved(id)).await.unwrap().verification,
                self.app.clock.now().await.unwrap(),
            );
            if v.status() != Status::Pending || v.due().is_none_or(|at| at > now) {
                return v;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Sends messages one after the other; returns each with the route's view after it.
    async fn messages(&self, count: usize, is_up: bool) -> Vec<(Message, Value)> {
        let mut messages = Vec::new();
        for n in 0..count {
            let message = self
                .message(
                    is_up.then(|| ENTERED_AFTER_S[n % ENTERED_AFTER_S.len()]),
                    ENTERED_AFTER_CALL_S[n % ENTERED_AFTER_CALL_S.len()],
                )
                .await;
            messages.push((message, self.view().await));
        }
        messages
    }

    async fn view(&self) -> Value {
        self.app.get("/v1/routes").await.body["routes"][0].clone()
    }

    async fn timeline(&self, id: &str) -> Vec<Value> {
        let timeline = self.app.get(&format!("/v1/verifications/{id}/timeline")).await.body;
        timeline["entries"].as_array().unwrap().clone()
    }
}

/// Number of messages until the route's view meets the condition.
fn messages_until(messages: &[(Message, Value)], is_met: impl Fn(&Value) -> bool) -> Option<usize> {
    messages.iter().position(|(_, view)| is_met(view)).map(|at| at + 1)
}

fn calls_after_s(messages: &[(Message, Value)]) -> Vec<Option<u64>> {
    messages.iter().map(|(message, _)| message.called_after_s).collect()
}

/// Breaks a route down and repairs it.
///
/// `last_reports` are the last statuses of a text before and during the breakdown, `sentences` the parts of the view's
/// text during it.
async fn check_breakdown(
    last_four: &'static str,
    last_reports: [&'static str; 2],
    kind: &str,
    alarm: &str,
    sentences: &[&str],
) {
    let mut route = Route::new(last_four, last_reports[0]).await;
    route.messages(60, true).await;
    let before = route.view().await;
    assert_eq!((&before["is_silent"], &before["reports_suspect"]), (&json!(false), &json!(false)), "{before:#}");

    route.break_down(Some(kind), last_reports[1]).await;
    let down = route.messages(20, false).await;
    let (calls, view) = (calls_after_s(&down), &down[19].1);
    assert!(messages_until(&down, |view| view[alarm] == true).is_some(), "{calls:?} {view:#}");
    for sentence in sentences {
        assert!(view["text"].as_str().unwrap().contains(sentence), "{sentence}: {view:#}");
    }
    // The first message had no call or a late one; the last has an early one.
    let last = calls[19].unwrap();
    assert!(last <= 12 && calls[0].is_none_or(|first| first >= 3 * last), "{calls:?}");
    let timeline = route.timeline(&down[19].0.id).await;
    assert!(timeline.iter().any(|entry| entry["reason"] == "route_unreliable"), "{timeline:#?}");
    let weighed = timeline.iter().find(|entry| entry["event"] == "weighed").unwrap();
    for words in ["Of the codes still missing", "expected within 10 s", "Waiting was expected to cost"] {
        assert!(weighed["text"].as_str().unwrap().contains(words), "{words}: {weighed:#}");
    }

    route.break_down(None, last_reports[0]).await;
    let up = route.messages(60, true).await;
    let is_over =
        |view: &Value| view[alarm] == false && view["call_after_s"].as_f64() >= Some(f64::from(ENTERED_AFTER_S[1]));
    assert!(messages_until(&up, is_over).is_some_and(|n| n <= 30), "{:?} {:#}", calls_after_s(&up), up[59].1);
    // Codes as late as before the breakdown are waited for again.
    assert_eq!(calls_after_s(&up[40..]), [None; 20], "{:?}", up[59].1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_route_is_called_earlier_within_20_messages_and_later_again_within_100() {
    // Its texts are never reported as delivered, even while the route works.
    check_breakdown(
        "0103",
        ["sent", "queued"],
        "silent",
        "is_silent",
        &["Alarm: fewer texts than usual have a report or a code.", "Delivery reports are missing."],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_with_faked_reports_is_called_earlier_within_20_messages_and_later_again_within_100() {
    let sentences = [
        "Alarm: fewer codes than usual follow delivery reports.",
        " of the texts reported as delivered is never entered.",
    ];
    check_breakdown("0100", ["delivered", "delivered"], "fake", "reports_suspect", &sentences).await;
}
