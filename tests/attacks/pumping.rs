//! SMS pumping and toll fraud: exactly as many texts and calls are sent as the limits allow, and other clients are
//! served meanwhile.

use std::time::Duration;

use serde_json::{Value, json};

use crate::crowd::{AT_ONCE, Customer, Tally, crowd, timed};
use crate::fleet::{Fleet, Times};
use crate::residue;
use crate::search::Needles;
use crate::support::{Answer, client};
use crate::world::{API_KEY, get_json, until};

const BANK: &str = "the-api-key-of-another-app-0123456789";
const PER_NUMBER: usize = 5;
const PER_RANGE: usize = 20;
const CALLS_PER_RANGE: usize = 5;

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_sends_only_as_much_as_the_limits_allow() {
    pump(80, 120).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make test-attacks"]
async fn a_flood_of_a_thousand_sends_only_as_much_as_the_limits_allow() {
    pump(500, 1_000).await;
}

async fn pump(at_one_number: usize, in_one_range: usize) {
    let keys = format!("shop:{API_KEY},bank:{BANK}");
    let settings = [
        ("API_KEYS", keys.as_str()),
        ("GUARD", "enforce"),
        ("LIMIT_NUMBER", "5/10m"),
        ("LIMIT_NUMBER_CALL", "3/10m"),
        ("LIMIT_PREFIX", "20/10m"),
        ("LIMIT_PREFIX_CALL", "5/10m"),
        ("ESCALATION", "never"),
        ("RUST_LOG", "info"),
        // A creation that joins sends another text, so that only the limits stop it.
        ("RESEND_COOLDOWN", "0"),
        ("MAX_ATTEMPTS", "20"),
    ];
    let world =
        World { fleet: Fleet::start(2, &settings).await, shop: Customer::new(API_KEY), bank: Customer::new(BANK) };
    let mut needles = residue::needles();
    needles.secret("an API key", BANK);

    let tally = world.flood_one_number(at_one_number, &mut needles).await;
    println!("pumping: {at_one_number} creations for one number over 2 replicas: {PER_NUMBER} texts ({tally})");
    let tally = world.call_one_number(at_one_number, &mut needles).await;
    println!("pumping: {at_one_number} calls for one number over 2 replicas: 1 call ({tally})");
    let (tally, times) = world.flood_one_range(in_one_range, &mut needles).await;
    println!(
        "pumping: {in_one_range} numbers of one range over 2 replicas: {PER_RANGE} attempts, {CALLS_PER_RANGE} of them \
         calls by escalation ({tally}); {} other creations meanwhile are all served, p50 {:.0} ms, p99 {:.0} ms",
        times.len(),
        times.median().as_secs_f64() * 1e3,
        times.percentile(99).as_secs_f64() * 1e3,
    );
    residue::assert_clean(&world.fleet, &needles).await;
}

struct World {
    fleet: Fleet,
    shop: Customer,
    bank: Customer,
}

impl World {
    async fn create(&self, customer: &Customer, n: usize, to: &str, more: Value) -> Answer {
        let mut body = json!({ "to": to });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        customer.post(self.fleet.service(n), "/v1/verifications", &body).await
    }

    /// The number of texts and of calls requested from Plivo for numbers with this prefix.
    async fn sent(&self, prefix: &str) -> (usize, usize) {
        let log = get_json(&client(), &format!("{}/log", self.fleet.plivo.url)).await;
        let count = |mode: &str| {
            let entries = log.as_array().unwrap().iter();
            let is_one = |entry: &&Value| {
                entry["mode"] == mode && entry["to"].as_str().is_some_and(|to| prefix[1..] == to[..prefix.len() - 1])
            };
            entries.filter(is_one).count()
        };
        (count("sms"), count("call"))
    }

    /// The same, once two seconds pass without a new request.
    async fn sent_finally(&self, prefix: &str) -> (usize, usize) {
        let mut before = self.sent(prefix).await;
        loop {
            tokio::time::sleep(Duration::from_secs(2)).await;
            let now = self.sent(prefix).await;
            if now == before {
                return now;
            }
            before = now;
        }
    }

    async fn flood_one_number(&self, size: usize, needles: &mut Needles) -> Tally {
        let to = "+14155550103";
        needles.number(to);
        let create = async |n| self.create(&self.shop, n, to, json!({})).await;
        let answers = crowd(size, AT_ONCE, create).await;
        let id = answers.iter().find(|answer| answer.status == 201).unwrap().id().to_owned();
        // The limit also refuses a resend, and creations after a cancel.
        let attempts = format!("/v1/verifications/{id}/attempts");
        let again =
            async |n: usize| self.shop.post(self.fleet.service(n), &attempts, &json!({ "channel": "sms" })).await;
        let mut tally = Tally::of(answers.iter().chain(&crowd(20, AT_ONCE, again).await));
        for n in 0..4 {
            let cancel = format!("/v1/verifications/{id}/cancel");
            assert!(self.shop.post(self.fleet.service(n), &cancel, &json!({})).await.status < 300);
            tally.merge(&Tally::of(&crowd(5, AT_ONCE, create).await));
        }
        assert_eq!(self.sent_finally(to).await, (PER_NUMBER, 0), "{tally}");
        tally
    }

    /// No second call is placed while the first rings.
    async fn call_one_number(&self, size: usize, needles: &mut Needles) -> Tally {
        let to = "+16465550100";
        needles.number(to);
        self.silence(to).await;
        let create = async |n| self.create(&self.shop, n, to, json!({ "channel": "call" })).await;
        let tally = Tally::of(&crowd(size, AT_ONCE, create).await);
        assert_eq!(self.sent_finally(to).await, (0, 1), "{tally}");
        tally
    }

    async fn flood_one_range(&self, size: usize, needles: &mut Needles) -> (Tally, Times) {
        let number = |n: usize| format!("+1310555{:04}", 2000 + n);
        let prefix = "+1310555";
        // No report arrives for this range, so each texted number is due for a call, and the limit allows five.
        self.silence(prefix).await;
        for n in 0..10 {
            needles.number(&number(n));
            let created = self.create(&self.shop, n, &number(n), json!({ "escalation": "fixed:1" })).await;
            assert_eq!(created.status, 201, "{created:?}");
        }
        until("called", async || self.sent(prefix).await.1 >= CALLS_PER_RANGE).await;
        assert_eq!(self.sent_finally(prefix).await, (10, CALLS_PER_RANGE));

        // Then the flood, while another app and another range are served.
        let flood = async |n: usize| {
            let to = number(n % 1000);
            self.create(&self.shop, n, &to, json!({ "escalation": "fixed:1" })).await
        };
        let usual_traffic = async |n: usize| {
            let customer = if n.is_multiple_of(2) { &self.bank } else { &self.shop };
            let to = format!("+1212{}2000", 620 + n);
            let (answer, took) = timed(self.create(customer, n, &to, json!({ "channel": "sms" }))).await;
            assert_eq!(answer.status, 201, "{answer:?}");
            took
        };
        let (answers, times) = tokio::join!(crowd(size, AT_ONCE, flood), crowd(60, 4, usual_traffic));
        let tally = Tally::of(&answers);
        // The other app's text in the same range counts against its own limit.
        let same = self.create(&self.bank, 0, &number(0), json!({ "channel": "sms" })).await;
        assert_eq!(same.status, 201, "{same:?}");
        let (texts, calls) = self.sent_finally(prefix).await;
        assert_eq!((texts - 1 + calls, calls), (PER_RANGE, CALLS_PER_RANGE), "{tally}");
        (tally, Times::of(times))
    }

    /// Has Plivo accept everything for this prefix and report nothing.
    async fn silence(&self, prefix: &str) {
        let outage = json!({ "seconds": 600, "kind": "silent", "prefix": prefix });
        let request = client().post(format!("{}/outage", self.fleet.plivo.url)).json(&outage);
        assert!(request.send().await.unwrap().status().is_success());
    }
}
