//! Forged and replayed callbacks have no effect.
//!
//! The test signs genuine callbacks as Plivo does, and the service accepts each once. Then an attacker, who read them
//! on their way, alters and replays them. The attacker has neither the auth token nor the callback secret: with these
//! its callbacks would be genuine.

mod forger;
mod wire;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use phlo_2fa::keyring::Keyring;
use phlo_2fa::plivo::reference::{self, Purpose};
use phlo_2fa::store::redis::Redis;
use phlo_2fa::store::{Records, record};
use phlo_2fa::verification::{AttemptIndex, AttemptRef, State};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use secrecy::SecretSlice;
use serde_json::{Value, json};

use crate::crowd::{AT_ONCE, Tally, crowd};
use crate::fleet::Fleet;
use crate::residue;
use crate::search::Needles;
use crate::support::client;
use crate::world::{CALLBACK_SECRET, SECRET_KEY, get_json, until};
use forger::Alteration;
use wire::{Params, Wire, params};

const CODE: &str = "9071534826";
/// The time in which the answer URL answers a repeated request with the code.
const ANSWER_REPEATED: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread")]
async fn forged_and_replayed_callbacks_have_no_effect() {
    attack(800, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make test-attacks"]
async fn ten_thousand_forged_and_ten_thousand_replayed_callbacks_have_no_effect() {
    attack(10_000, 2).await;
}

async fn attack(each: usize, seed: u64) {
    // `fail`: a lost text is followed by a call at once, which the attack must not achieve.
    let settings = [("PHLO_ID", ""), ("ESCALATION", "fixed+fail:500"), ("CODE_TTL", "600"), ("RUST_LOG", "info")];
    let fleet = Fleet::start(2, &settings).await;
    let mut needles = residue::needles();
    needles.code(CODE);
    let stage = Stage::set(&fleet, &mut needles).await;
    let genuine = stage.genuine();
    for (n, one) in genuine.iter().enumerate() {
        let answer = one.wire.send(&stage.http, &fleet.service(n).url).await;
        assert_eq!(answer.status, 200, "{}: {answer:?}", one.wire.path);
        assert_eq!(answer.text.contains("say-as"), one.wire.path.contains("/answer/"), "{answer:?}");
    }
    let accepted_at = Instant::now();
    for victim in &stage.victims {
        let status = if victim.is_call { "answered" } else { "sent" };
        assert_eq!(fleet.service(0).read(&victim.id).await["attempts"][0]["status"], status);
    }
    let before = stage.snapshot().await;

    let mut rng = StdRng::seed_from_u64(seed);
    let forged: Vec<_> = (0..each).map(|_| stage.forge(&genuine, &mut rng)).collect();
    let answers = stage.send_all(&forged).await;
    let mut refused = Tally::default();
    for ((alteration, wire), answer) in forged.iter().zip(&answers) {
        assert!((400..500).contains(&answer.status), "{alteration} at {}: {answer:?}", wire.path);
        refused.add(&answer.status.to_string(), 1);
    }
    stage.assert_unchanged(&before).await;

    // Before, the answer URL repeats its answer, because Plivo may not have received it.
    tokio::time::sleep(ANSWER_REPEATED.saturating_sub(accepted_at.elapsed()) + Duration::from_secs(2)).await;
    let replayed: Vec<_> = (0..each).map(|_| stage.replay(&genuine, &mut rng)).collect();
    let answers = stage.send_all(&replayed).await;
    let mut tally = Tally::default();
    for ((alteration, wire), answer) in replayed.iter().zip(&answers) {
        assert!(matches!(answer.status, 200 | 400..500), "{alteration} at {}: {answer:?}", wire.path);
        assert!(answer.status >= 400 || !alteration.changes_content(), "{alteration} at {}: {answer:?}", wire.path);
        assert!(!answer.text.contains("say-as"), "{alteration} at {}: the answer has the code", wire.path);
        tally.add(if answer.status == 200 { "accepted as repeated" } else { "refused" }, 1);
    }
    assert!(tally.get("accepted as repeated") > 0 && tally.get("refused") > 0, "{tally}");
    stage.assert_unchanged(&before).await;
    // The same report in a genuine callback has its effect.
    let lost = stage.victims[0].lost();
    let answer = stage.signed(&stage.victims[0].reports, &lost).send(&stage.http, &fleet.service(1).url).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    fleet.service(1).until(&stage.victims[0].id, "called", |v| v["attempts"][1]["channel"] == "call").await;
    println!(
        "callbacks: {each} forged over 2 replicas, by status {refused}; {each} replayed or swapped: {tally}; no record, \
         timeline or request to Plivo changed"
    );
    residue::assert_clean(&fleet, &needles).await;
}

/// Everything that may not change, by its name.
type Snapshot = BTreeMap<String, Value>;

/// A verification under attack.
struct Victim {
    id: String,
    uuid: String,
    is_call: bool,
    /// The path of the callback URL in its request to Plivo.
    reports: String,
    /// The path of the answer URL, for a call.
    answers: Option<String>,
    /// The ref for the flow's nodes.
    flow_ref: String,
    /// The token for the user's browser.
    client_token: String,
}

/// The replicas under attack, the victims, and direct access to the store.
struct Stage<'a> {
    fleet: &'a Fleet,
    http: reqwest::Client,
    public_url: &'a str,
    keys: Keyring,
    store: Redis,
    victims: Vec<Victim>,
}

/// A genuine callback.
struct Genuine {
    wire: Wire,
    victim: usize,
}

impl<'a> Stage<'a> {
    /// Creates texts and calls whose only reports come from the test.
    async fn set(fleet: &'a Fleet, needles: &mut Needles) -> Self {
        let http = client();
        let outage = json!({ "seconds": 3600, "kind": "silent" });
        http.post(format!("{}/outage", fleet.plivo.url)).json(&outage).send().await.unwrap();
        let keys = Keyring::new(&SecretSlice::from(decoded(SECRET_KEY)), &[]);
        let mut victims = Vec::new();
        for n in 0..8 {
            let (to, is_call) = (format!("+1415555{:04}", 2000 + n), n % 2 == 1);
            needles.number(&to);
            let channel = if is_call { "call" } else { "auto" };
            let created = fleet.service(n).create(&to, json!({ "channel": channel, "code": CODE })).await;
            let (id, client_token) =
                (created.id().to_owned(), created.body["client_token"].as_str().unwrap().to_owned());
            let is_known = |v: &Value| v["attempts"][0]["provider_id"].is_string();
            let v = fleet.service(n).until(&id, "requested", is_known).await;
            let log = get_json(&http, &format!("{}/log", fleet.plivo.url)).await;
            let asked = log.as_array().unwrap().iter().rfind(|entry| entry["to"] == to[1..]).unwrap();
            let path = |name: &str| {
                let url = asked["body"][name].as_str().unwrap_or_else(|| panic!("no {name} in {asked}"));
                url.strip_prefix(&fleet.service(0).url).unwrap().split('#').next().unwrap().to_owned()
            };
            let attempt = AttemptRef { id: id.parse().unwrap(), attempt: AttemptIndex::FIRST };
            let flow_ref = reference::issue(&keys, attempt, Purpose::Phlo);
            let reports = path(if is_call { "hangup_url" } else { "url" });
            let answers = is_call.then(|| path("answer_url"));
            for secret in [Some(reports.as_str()), answers.as_deref(), Some(&flow_ref)].into_iter().flatten() {
                needles.secret("a ref", secret.rsplit('/').next().unwrap());
            }
            needles.secret("a client token", &client_token);
            let uuid = v["attempts"][0]["provider_id"].as_str().unwrap().to_owned();
            victims.push(Victim { id, uuid, is_call, reports, answers, flow_ref, client_token });
        }
        let store = Redis::connect(&fleet.redis.url().into(), None, 1).unwrap();
        Self { fleet, http, public_url: &fleet.service(0).url, keys, store, victims }
    }

    /// Every genuine callback about the victims, at every callback URL.
    fn genuine(&self) -> Vec<Genuine> {
        let mut all = Vec::new();
        for (victim, v) in self.victims.iter().enumerate() {
            let mut add = |wire: Wire| all.push(Genuine { wire, victim });
            let (kind, early, late) = v.reports();
            // Plivo does not document whether V2 and V3 share a nonce: half of these do.
            let report = |path: &str, params: &Params| {
                let wire = Wire::of(path, params);
                let wire = if victim % 4 < 2 { wire } else { wire.with_separate_nonces() };
                wire.signed(self.public_url, path, params)
            };
            add(report(&v.reports, &early));
            add(report(&v.reports, &late));
            add(report(&format!("/plivo/{kind}"), &late));
            add(report(&format!("/plivo/{CALLBACK_SECRET}/{kind}"), &late));
            for path in [&v.reports, &format!("/plivo/{kind}")] {
                add(Wire::of(path, &late).get().signed(self.public_url, path, &late));
            }
            if let Some(path) = &v.answers {
                add(report(
                    path,
                    &params(&[("CallUUID", &v.uuid), ("CallStatus", "in-progress"), ("Event", "StartApp")]),
                ));
            }
            let event =
                params(&[("ref", &v.flow_ref), ("event", if v.is_call { "call_answered" } else { "sms_sent" })]);
            add(Wire::of("/plivo/phlo", &event).in_json().bearer(CALLBACK_SECRET));
            add(Wire::of(&format!("/plivo/{CALLBACK_SECRET}/phlo/{}", v.flow_ref), &event[1..].to_vec()));
        }
        all
    }

    /// A callback with all headers that Plivo sends.
    fn signed(&self, path: &str, params: &Params) -> Wire {
        Wire::of(path, params).signed(self.public_url, path, params)
    }

    /// The stored records, the API's answers about them, and the requests to Plivo.
    async fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot::new();
        for Victim { id, .. } in &self.victims {
            let stored = self.store.load(id.parse().unwrap()).await.unwrap().unwrap();
            let mut record = record::decode(id.parse().unwrap(), &stored.stored, &self.keys).unwrap();
            // Time alone changes these.
            if let State::Pending(pending) = &mut record.state {
                (pending.observer, pending.observe_at, pending.planned) = (None, None, None);
            }
            snapshot.insert(format!("the record of {id}"), format!("{record:#?}").into());
            let mut v = self.fleet.service(1).read(id).await;
            v["resend_after"].take();
            snapshot.insert(format!("the answer about {id}"), v);
            let timeline = self.fleet.service(1).get(&format!("/v1/verifications/{id}/timeline")).await.body;
            snapshot.insert(format!("the timeline of {id}"), timeline);
        }
        let requests = async || get_json(&self.http, &format!("{}/log", self.fleet.plivo.url)).await;
        let is_answered = |entries: &Value| entries.as_array().unwrap().iter().all(|entry| !entry["status"].is_null());
        until("answered", async || is_answered(&requests().await)).await;
        snapshot.insert("the requests to Plivo".to_owned(), requests().await);
        snapshot
    }

    async fn assert_unchanged(&self, before: &Snapshot) {
        for (what, now) in self.snapshot().await {
            assert!(before[&what] == now, "{what}\n--- before\n{}\n--- now\n{now}", before[&what]);
        }
    }

    async fn send_all(&self, all: &[(Alteration, Wire)]) -> Vec<wire::Reply> {
        let send = async |n: usize| (n, all[n].1.send(&self.http, &self.fleet.service(n).url).await);
        let mut answers = crowd(all.len(), AT_ONCE, send).await;
        answers.sort_by_key(|(n, _)| *n);
        answers.into_iter().map(|(_, answer)| answer).collect()
    }
}

impl Victim {
    /// The kind of its callbacks, and its first and second report.
    fn reports(&self) -> (&'static str, Params, Params) {
        let uuid = self.uuid.as_str();
        if self.is_call {
            let report = |status| {
                let more = ("BillRate", "0.0085");
                params(&[("RequestUUID", uuid), ("CallUUID", uuid), ("CallStatus", status), more])
            };
            ("call", report("ringing"), report("in-progress"))
        } else {
            let report =
                |status| params(&[("MessageUUID", uuid), ("Status", status), ("Units", "1"), ("TotalRate", "0.0077")]);
            ("message", report("queued"), report("sent"))
        }
    }

    /// The report of a lost text.
    fn lost(&self) -> Params {
        params(&[("MessageUUID", &self.uuid), ("Status", "undelivered"), ("ErrorCode", "30")])
    }

    /// Parameters that would change the state: the text is lost or delivered, or the call is over.
    fn malicious(&self, rng: &mut StdRng) -> Params {
        let uuid = self.uuid.as_str();
        let status = |n: usize| {
            if self.is_call {
                ["busy", "failed", "completed", "no-answer"][n]
            } else {
                ["undelivered", "failed", "delivered", "failed"][n]
            }
        };
        let status = status(rng.random_range(0..4));
        if self.is_call {
            params(&[("CallUUID", uuid), ("CallStatus", status), ("HangupCause", "NORMAL_CLEARING"), ("Duration", "9")])
        } else {
            let code = ["30", "450", "50", "200"][rng.random_range(0..4)];
            params(&[("MessageUUID", uuid), ("Status", status), ("ErrorCode", code)])
        }
    }
}

fn decoded(base64: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(base64).unwrap()
}
