//! Half of its peak for half an hour: memory, descriptors and keys return to where they were.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use phlo_2fa::store::lives::{AtMost, KeyLife};
use serde_json::json;

use crate::crowd::Customer;
use crate::fleet::Fleet;
use crate::kills::numbers;
use crate::world::API_KEY;

const CODE: &str = "042917";
/// After this nothing of a verification is left but what is kept of its number: links and lists live ten minutes longer
/// than records, and Redis takes a while to expire keys that no client reads.
const REST: Duration = Duration::from_secs(60 + 60 + 600 + 30);
const SETTINGS: &[(&str, &str)] =
    &[("CODE_TTL", "60"), ("RETENTION", "60"), ("PLIVO_RATE", "5000/1s"), ("RESEND_COOLDOWN", "0")];
/// One in ten verifications gets a wrong code too, and one in ten is left alone, with a number of its own.
const EVERY: usize = 10;
const CLIENTS: usize = 16;
const MIB: u64 = 1 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn descriptors_return_after_a_short_load() {
    let (before, after, _) = soak(200, Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(1)).await;
    after.assert_descriptors(&before);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make test-attacks"]
async fn after_half_an_hour_memory_descriptors_and_keys_are_where_they_were() {
    let minutes = std::env::var("SOAK_MINUTES").map_or(30, |minutes| minutes.parse().expect("minutes of load"));
    let load = Duration::from_secs(60 * minutes);
    let (before, after, most) = soak(numbers().count(), Duration::from_secs(20), load, REST).await;
    after.assert_descriptors(&before);
    assert!(after.memory <= before.memory + 16 * MIB, "{before:?} -> {after:?}");
    assert!(most <= before.memory + 64 * MIB, "{most} bytes during the load; {before:?}");
    for (kind, count) in &after.keys {
        // At most one for each number, prefix, app and route, however often they verify. Of some it is learned late.
        let is_kept = match KeyLife::of(&format!("phlo2fa:{kind}")).unwrap().at_most {
            AtMost::Record => false,
            // With a wrong code, what is kept of a number lives a day.
            AtMost::Retention(life) | AtMost::Fixed(life) => life >= REST,
        };
        let known = before.keys.get(kind).copied().unwrap_or_default();
        let most = if is_kept { known.max(numbers().count()) } else { 0 };
        assert!(*count <= most, "{kind}: {known} -> {count}, at most {most}");
    }
}

/// Loads one replica with `people` numbers: each once, then at its peak, then with half of the peak. Returns what it held
/// before that half, what it holds after it and a rest, and the most memory between.
async fn soak(people: usize, at_peak: Duration, load: Duration, rest: Duration) -> (Held, Held, u64) {
    let fleet = Fleet::start(1, SETTINGS).await;
    let people = People { all: numbers().take(people).collect(), next: AtomicUsize::new(0) };
    let once = join_all((0..CLIENTS).map(|_| people.verify_each_once(&fleet))).await;
    assert_eq!(once.into_iter().sum::<usize>(), people.all.len());
    let done: usize =
        join_all((0..CLIENTS).map(|_| people.keep_busy(&fleet, at_peak, Duration::ZERO))).await.into_iter().sum();
    let peak = done as f64 / at_peak.as_secs_f64();
    let before = Held::by(&fleet);
    let pause = Duration::from_secs_f64(2.0 * CLIENTS as f64 / peak);
    let started = Instant::now();
    let busy = join_all((0..CLIENTS).map(|_| people.keep_busy(&fleet, load, pause)));
    let watch = async {
        let mut most = 0;
        while started.elapsed() < load {
            most = fleet.service(0).process.memory().max(most);
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        most
    };
    let (done, most) = tokio::join!(busy, watch);
    let done: usize = done.into_iter().sum();
    tokio::time::sleep(rest).await;
    let after = Held::by(&fleet);
    let rate = done as f64 / load.as_secs_f64();
    println!(
        "soak: {done} verifications in {load:.0?}, {rate:.0} a second (peak {peak:.0}); memory {} MiB before, {} at most, {} after; \
         descriptors {} -> {}; keys {:?} -> {:?}",
        before.memory / MIB,
        most / MIB,
        after.memory / MIB,
        before.descriptors,
        after.descriptors,
        before.keys,
        after.keys,
    );
    (before, after, most)
}

/// The numbers, and the one that is next.
struct People {
    all: Vec<String>,
    next: AtomicUsize,
}

impl People {
    async fn verify_each_once(&self, fleet: &Fleet) -> usize {
        let customer = Customer::new(API_KEY);
        let mut done = 0;
        loop {
            let n = self.next.fetch_add(1, Ordering::Relaxed);
            if n >= self.all.len() {
                return done;
            }
            self.verify(&customer, fleet, n).await;
            done += 1;
        }
    }

    /// Verifies one number after the other; each begins `pause` after the one before it, or at once if that took longer.
    async fn keep_busy(&self, fleet: &Fleet, load: Duration, pause: Duration) -> usize {
        let customer = Customer::new(API_KEY);
        let (started, mut done) = (tokio::time::Instant::now(), 0);
        let mut due = started;
        while started.elapsed() < load {
            self.verify(&customer, fleet, self.next.fetch_add(1, Ordering::Relaxed)).await;
            done += 1;
            due = (due + pause).max(tokio::time::Instant::now());
            tokio::time::sleep_until(due).await;
        }
        done
    }

    async fn verify(&self, customer: &Customer, fleet: &Fleet, n: usize) {
        // Every tenth number is one of those that are left alone, and no other is.
        let to = &self.all[n % (self.all.len() / EVERY * EVERY)];
        let created = customer.post(fleet.service(0), "/v1/verifications", &json!({ "to": to, "code": CODE })).await;
        if n.is_multiple_of(EVERY) {
            // No person types its code. While it is open, further creations join it, up to its limit of attempts.
            return assert!([200, 201, 409, 429].contains(&created.status), "{created:?}");
        }
        assert_eq!(created.status, 201, "{created:?}");
        let path = format!("/v1/verifications/{}/checks", created.id());
        let check = async |code: &str| {
            let answer = customer.post(fleet.service(0), &path, &json!({ "code": code })).await;
            answer.body["result"].as_str().unwrap_or_default().to_owned()
        };
        if n % EVERY == 1 {
            assert_eq!(check("000000").await, "incorrect");
        }
        assert_eq!(check(CODE).await, "verified");
    }
}

/// What a replica and Redis hold.
#[derive(Debug)]
struct Held {
    memory: u64,
    descriptors: usize,
    /// Keys of Redis by their kind in the table of lives.
    keys: BTreeMap<&'static str, usize>,
}

impl Held {
    fn by(fleet: &Fleet) -> Self {
        let process = &fleet.service(0).process;
        let descriptors = std::fs::read_dir(format!("/proc/{}/fd", process.id())).unwrap().count();
        let mut keys = BTreeMap::new();
        for key in fleet.redis.command(&["KEYS", "*"]).lines() {
            let kind = KeyLife::of(key).unwrap_or_else(|| panic!("no life is known of {key}")).key;
            *keys.entry(kind).or_default() += 1;
        }
        Self { memory: process.memory(), descriptors, keys }
    }

    /// Each client of the test may have a connection, and Redis and Plivo a few.
    #[track_caller]
    fn assert_descriptors(&self, before: &Self) {
        assert!(self.descriptors <= before.descriptors + CLIENTS, "{} -> {}", before.descriptors, self.descriptors);
    }
}
