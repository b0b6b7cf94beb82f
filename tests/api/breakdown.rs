//! A route that breaks down behind Plivo's back (`POST /outage` of the local Plivo): it is noticed within 20 messages,
//! its recovery within 100, and timelines and `GET /v1/routes` say so. The clock is the test's, so that a slow machine
//! only takes longer.

use std::time::Duration;

use phlo_2fa::time::Timestamp;
use phlo_2fa::verification::{Channel, Status, Verification, VerificationId};
use serde_json::{Value, json};

use crate::support::{Setup, TestApp, client};

const OWN: &str = "8675309";

/// Seconds after which people enter the code when all is well.
const ENTERED: [u32; 8] = [6, 9, 7, 14, 8, 11, 19, 10];

/// Seconds after which they enter it when a call has said it: some have a program answer.
const HEARS: [u64; 2] = [18, 1];

/// A network, as all that is sent to one number sees it.
struct Route {
    app: TestApp,
    last_four: &'static str,
    /// How far the local Plivo's reports of a text get.
    reports: &'static str,
}

/// One verification, told in seconds.
#[derive(Debug)]
struct Message {
    id: String,
    called: Option<u64>,
}

impl Route {
    async fn new(last_four: &'static str, reports: &'static str) -> Self {
        let env = vec![("ESCALATION", "adaptive".into())];
        let app = TestApp::spawn_with(Setup { env, speed: 1000.0, ..Setup::default() }).await;
        Self { app, last_four, reports }
    }

    /// Breaks it in a way, for texts; no way: it works again.
    async fn break_down(&mut self, kind: Option<&str>, reports: &'static str) {
        let mut outage = json!({ "seconds": 3600, "what": "message", "prefix": "1415555" });
        match kind {
            Some(kind) => outage["kind"] = kind.into(),
            None => outage["seconds"] = 0.into(),
        }
        let told = client().post(format!("{}/outage", self.app.plivo_url)).json(&outage).send().await.unwrap();
        assert!(told.status().is_success(), "{told:?}");
        self.reports = reports;
    }

    /// Somebody verifies: enters the code of the text after so many seconds, or else what a call says, as soon as
    /// that.
    async fn message(&self, entered: Option<u32>, hears: u64) -> Message {
        let to = format!("+1415555{}", self.last_four);
        let created = self.app.post("/v1/verifications", json!({ "to": to, "code": OWN })).await;
        let id = created.id().to_owned();
        self.app.until(&id, self.reports, |v| v["attempts"][0]["status"] == self.reports).await;
        let at = async |after: u32| self.start(&id).await + Duration::from_secs(after.into());
        let (entered, end) = (at(entered.unwrap_or(120)).await, at(120).await);
        let mut called = None;
        loop {
            let (v, now) = (self.looked_at(&id).await, self.app.clock.now().await.unwrap());
            if v.attempts.iter().any(|a| a.channel == Channel::Call) {
                called = Some(now.since(v.created_at).as_secs());
                self.app.until(&id, "called", |v| v["attempts"][1]["status"] == "completed").await;
                self.pass(Duration::from_secs(hears)).await;
                self.looked_at(&id).await;
                break;
            }
            if now >= entered.min(end) {
                break;
            }
            let next = v.due().map_or(end, |due| due.min(entered).min(end));
            self.pass(next.since(now)).await;
        }
        assert_eq!(self.app.check(&id, OWN).await.body["result"], "verified", "{id}");
        Message { id, called }
    }

    async fn start(&self, id: &str) -> Timestamp {
        self.app.engine.get(id.parse().unwrap()).await.unwrap().created_at
    }

    async fn pass(&self, time: Duration) {
        self.app.settled().await;
        self.app.advance(time.as_secs_f64()).await;
    }

    /// Once all that is due has been looked at, by whichever escalator was faster.
    async fn looked_at(&self, id: &str) -> Verification {
        let id: VerificationId = id.parse().unwrap();
        loop {
            self.app.settled().await;
            let (v, now) = (self.app.engine.get(id).await.unwrap(), self.app.clock.now().await.unwrap());
            if v.status != Status::Pending || v.due().is_none_or(|at| at > now) {
                return v;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// So many messages, and what the route says after each.
    async fn messages(&self, many: usize, is_up: bool) -> Vec<(Message, Value)> {
        let mut messages = Vec::new();
        for n in 0..many {
            let message = self.message(is_up.then(|| ENTERED[n % ENTERED.len()]), HEARS[n % HEARS.len()]).await;
            messages.push((message, self.told().await));
        }
        messages
    }

    async fn told(&self) -> Value {
        self.app.get("/v1/routes").await.body["routes"][0].clone()
    }

    async fn timeline(&self, id: &str) -> Vec<String> {
        let timeline = self.app.get(&format!("/v1/verifications/{id}/timeline")).await.body;
        let entries = timeline["entries"].as_array().unwrap();
        entries.iter().map(|entry| entry["text"].as_str().unwrap().to_owned()).collect()
    }
}

/// The first of them after which the route says so, from one.
fn rank(messages: &[(Message, Value)], is_so: impl Fn(&Value) -> bool) -> Option<usize> {
    messages.iter().position(|(_, route)| is_so(route)).map(|at| at + 1)
}

fn called(messages: &[(Message, Value)]) -> Vec<Option<u64>> {
    messages.iter().map(|(message, _)| message.called).collect()
}

/// What holds for either kind of a breakdown: `reports` is how far reports get before and meanwhile, `words` what the
/// route says of itself then.
async fn it_is_noticed(last_four: &'static str, reports: [&'static str; 2], kind: &str, alarm: &str, words: &[&str]) {
    let mut route = Route::new(last_four, reports[0]).await;
    route.messages(60, true).await;
    let before = route.told().await;
    assert_eq!((&before["is_silent"], &before["is_disbelieved"]), (&json!(false), &json!(false)), "{before:#}");

    route.break_down(Some(kind), reports[1]).await;
    let down = route.messages(20, false).await;
    let (ages, told) = (called(&down), &down[19].1);
    assert!(rank(&down, |told| told[alarm] == true).is_some(), "{ages:?} {told:#}");
    for word in words {
        assert!(told["text"].as_str().unwrap().contains(word), "{word}: {told:#}");
    }
    // At first nobody was called, or late; in the end everybody is, early.
    let last = ages[19].unwrap();
    assert!(last <= 12 && ages[0].is_none_or(|first| first >= 3 * last), "{ages:?}");
    let timeline = route.timeline(&down[19].0.id).await;
    for words in
        ["of the codes still missing", "come within 10 s", "waiting on would cost", "this route have been unreliable"]
    {
        assert!(timeline.iter().any(|text| text.contains(words)), "{words}: {timeline:#?}");
    }

    route.break_down(None, reports[0]).await;
    let up = route.messages(60, true).await;
    let is_over = |told: &Value| told[alarm] == false && told["wait"].as_f64() >= Some(f64::from(ENTERED[1]));
    assert!(rank(&up, is_over).is_some_and(|rank| rank <= 30), "{:?} {:#}", called(&up), up[59].1);
    // Who enters the code as late as people did before is waited for again.
    assert_eq!(called(&up[40..]), [None; 20], "{:?}", up[59].1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_that_falls_silent_is_called_earlier_within_20_messages_and_waited_for_again_within_100() {
    // Its texts are not reported as delivered even when all is well.
    it_is_noticed(
        "0103",
        ["sent", "queued"],
        "silent",
        "is_silent",
        &["alarm: less news comes", "reports are missing"],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_that_fakes_its_reports_is_called_earlier_within_20_messages_and_believed_again_within_100() {
    let words = ["alarm: fewer codes follow", "it reports delivery, but ", " of those never enter the code"];
    it_is_noticed("0100", ["delivered", "delivered"], "fake", "is_disbelieved", &words).await;
}
