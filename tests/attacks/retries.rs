//! One request, sent many times at once under one idempotency key through every replica, takes effect once.

use futures_util::future::join_all;
use serde_json::json;

use crate::crowd::Tally;
use crate::fleet::Fleet;
use crate::residue;
use crate::support::Answer;

const TWINS: usize = 100;
const RIGHT: &str = "9071534826";

#[tokio::test(flavor = "multi_thread")]
async fn a_request_sent_a_hundred_times_takes_effect_once() {
    retry(1).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make test-attacks"]
async fn sixty_requests_sent_a_hundred_times_take_effect_once_each() {
    retry(20).await;
}

async fn retry(keys: usize) {
    // Long enough for a loaded machine.
    let settings = [("ESCALATION", "never"), ("PLIVO_WAIT", "60"), ("RUST_LOG", "info")];
    let fleet = Fleet::start(2, &settings).await;
    let mut needles = residue::needles();
    needles.code(RIGHT);
    let mut tally = Tally::default();
    for n in 0..keys {
        let (to, key) = (format!("+1415{}0103", 555 + n), format!("creation-{n}"));
        needles.number(&to);
        let body = json!({ "to": to, "code": RIGHT });
        let all_at_once = async |key: &str, path: &str, body: &serde_json::Value| {
            let twin = |n: usize| fleet.service(n).try_send_once(Some(key), "POST", path, body.clone());
            let answers: Vec<Answer> = join_all((0..TWINS).map(twin)).await.into_iter().map(Option::unwrap).collect();
            let firsts = answers.iter().filter(|answer| answer.header("idempotent-replayed").is_empty());
            assert_eq!(firsts.count(), 1);
            assert!(answers.iter().all(|a| (a.status, &a.body) == (answers[0].status, &answers[0].body)));
            answers
        };
        let created = all_at_once(&key, "/v1/verifications", &body).await;
        assert_eq!(created[0].status, 201, "{:?}", created[0]);
        assert_eq!(fleet.plivo.requests(&to).await, ["sms"]);
        tally.merge(&Tally::of(&created));
        let other = json!({ "to": to, "code": RIGHT, "channel": "call" });
        let other = fleet.service(n).try_send_once(Some(&key), "POST", "/v1/verifications", other).await.unwrap();
        other.assert_problem(422, "idempotency_mismatch");
        // A wrong code counts once, and so does a right one.
        let checks = format!("/v1/verifications/{}/checks", created[0].id());
        for code in ["9071534827", RIGHT] {
            tally.merge(&Tally::of(&all_at_once(&format!("{code}-{n}"), &checks, &json!({ "code": code })).await));
        }
        let read = fleet.service(n).read(created[0].id()).await;
        assert_eq!((&read["status"], &read["checks_remaining"]), (&json!("verified"), &json!(4)), "{read}");
        assert_eq!(fleet.plivo.requests(&to).await, ["sms"]);
    }
    println!("retries: {TWINS} at once under each of {} keys over 2 replicas, each performed once: {tally}", 3 * keys);
    residue::assert_clean(&fleet, &needles).await;
}
