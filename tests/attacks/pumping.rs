//! Texts and calls that somebody earns with: what is sent is what the limits allow, to one and no less, and nobody else
//! waits for it.

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
async fn what_is_sent_is_what_the_limits_allow() {
    pump(80, 120).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make test-attacks"]
async fn of_hundreds_for_one_number_and_a_thousand_of_one_range_as_many_are_sent_as_may_be() {
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
        // Then whoever joins is sent another text: nothing but the limits stands in the way.
        ("RESEND_COOLDOWN", "0"),
        ("MAX_ATTEMPTS", "20"),
    ];
    let world =
        World { fleet: Fleet::start(2, &settings).await, shop: Customer::new(API_KEY), bank: Customer::new(BANK) };
    let mut needles = residue::needles();
    needles.secret("an API key", BANK);

    let tally = world.flood_one_number(at_one_number, &mut needles).await;
    println!("pumping: {at_one_number} creations for one number over 2 processes: {PER_NUMBER} texts ({tally})");
    let tally = world.call_one_number(at_one_number, &mut needles).await;
    println!("pumping: {at_one_number} calls for one number over 2 processes: 1 call ({tally})");
    let (tally, times) = world.flood_one_range(in_one_range, &mut needles).await;
    println!(
        "pumping: {in_one_range} numbers of one range over 2 processes: {PER_RANGE} attempts, {CALLS_PER_RANGE} of them \
         calls by escalation ({tally}); {} others meanwhile are all served, p50 {:.0} ms, p99 {:.0} ms",
        times.len(),
        times.median().as_secs_f64() * 1e3,
        times.under(99).as_secs_f64() * 1e3,
    );
    residue::is_clean(&world.fleet, &needles).await;
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

    /// How many texts and how many calls Plivo was asked for, to numbers that begin so.
    async fn asked(&self, prefix: &str) -> (usize, usize) {
        let log = get_json(&client(), &format!("{}/log", self.fleet.plivo.url)).await;
        let of = |mode: &str| {
            let entries = log.as_array().unwrap().iter();
            let is_one = |entry: &&Value| {
                entry["mode"] == mode && entry["to"].as_str().is_some_and(|to| prefix[1..] == to[..prefix.len() - 1])
            };
            entries.filter(is_one).count()
        };
        (of("sms"), of("call"))
    }

    /// Once nothing more comes.
    async fn asked_in_the_end(&self, prefix: &str) -> (usize, usize) {
        let mut before = self.asked(prefix).await;
        loop {
            tokio::time::sleep(Duration::from_secs(2)).await;
            let now = self.asked(prefix).await;
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
        // What was refused is refused anew: by another verification, and as another text for an old one.
        let attempts = format!("/v1/verifications/{id}/attempts");
        let again =
            async |n: usize| self.shop.post(self.fleet.service(n), &attempts, &json!({ "channel": "sms" })).await;
        let mut tally = Tally::of(answers.iter().chain(&crowd(20, AT_ONCE, again).await));
        for n in 0..4 {
            let cancel = format!("/v1/verifications/{id}/cancel");
            assert!(self.shop.post(self.fleet.service(n), &cancel, &json!({})).await.status < 300);
            tally.merge(&Tally::of(&crowd(5, AT_ONCE, create).await));
        }
        assert_eq!(self.asked_in_the_end(to).await, (PER_NUMBER, 0), "{tally}");
        tally
    }

    /// While it rings nobody is called again.
    async fn call_one_number(&self, size: usize, needles: &mut Needles) -> Tally {
        let to = "+16465550100";
        needles.number(to);
        self.silence(to).await;
        let create = async |n| self.create(&self.shop, n, to, json!({ "channel": "call" })).await;
        let tally = Tally::of(&crowd(size, AT_ONCE, create).await);
        assert_eq!(self.asked_in_the_end(to).await, (0, 1), "{tally}");
        tally
    }

    async fn flood_one_range(&self, size: usize, needles: &mut Needles) -> (Tally, Times) {
        let number = |n: usize| format!("+1310555{:04}", 2000 + n);
        let prefix = "+1310555";
        // Nothing is heard of what is sent there: a call is due to each that was texted, and only five may be called.
        self.silence(prefix).await;
        for n in 0..10 {
            needles.number(&number(n));
            let created = self.create(&self.shop, n, &number(n), json!({ "escalation": "fixed:1" })).await;
            assert_eq!(created.status, 201, "{created:?}");
        }
        until("called", async || self.asked(prefix).await.1 >= CALLS_PER_RANGE).await;
        assert_eq!(self.asked_in_the_end(prefix).await, (10, CALLS_PER_RANGE));

        // And then all of it at once, while others go about their business: another app, and another range.
        let flood = async |n: usize| {
            let to = number(n % 1000);
            self.create(&self.shop, n, &to, json!({ "escalation": "fixed:1" })).await
        };
        let business = async |n: usize| {
            let customer = if n.is_multiple_of(2) { &self.bank } else { &self.shop };
            let to = format!("+1212{}2000", 620 + n);
            let (answer, took) = timed(self.create(customer, n, &to, json!({ "channel": "sms" }))).await;
            assert_eq!(answer.status, 201, "{answer:?}");
            took
        };
        let (answers, times) = tokio::join!(crowd(size, AT_ONCE, flood), crowd(60, 4, business));
        let tally = Tally::of(&answers);
        // The number that the other app texts in the very range is none of this app's.
        let same = self.create(&self.bank, 0, &number(0), json!({ "channel": "sms" })).await;
        assert_eq!(same.status, 201, "{same:?}");
        let (texts, calls) = self.asked_in_the_end(prefix).await;
        assert_eq!((texts - 1 + calls, calls), (PER_RANGE, CALLS_PER_RANGE), "{tally}");
        (tally, Times::of(times))
    }

    /// From now on nothing is heard of what is sent to such numbers.
    async fn silence(&self, prefix: &str) {
        let outage = json!({ "seconds": 600, "kind": "silent", "prefix": prefix });
        let request = client().post(format!("{}/outage", self.fleet.plivo.url)).json(&outage);
        assert!(request.send().await.unwrap().status().is_success());
    }
}
