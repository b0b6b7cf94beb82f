//! How often what is learned is written, in time that passes when a test says so.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use secrecy::SecretSlice;

use super::*;
use crate::guard::Guesses;
use crate::phone::PhoneNumber;
use crate::store::{
    Claimed, Commit, Count, Cursor, Erased, Erasure, Memory, NumberKey, Outcome, Parked, Stored, Swap, Taken,
};
use crate::time::Timestamp;
use crate::verification::event::{Facts, TextReport};
use crate::verification::state::Details;
use crate::verification::{AttemptRef, Code, Decision, Event, Mode, Request, Rules, VerificationId, decide, open};

const CODE: &str = "042917";
const ROUTE: u32 = 310_150;

/// Memos alone, and the names under which any was written or tried to be.
#[derive(Default)]
struct Memos {
    memory: Memory,
    writes: Mutex<Vec<String>>,
}

impl Memos {
    fn writes(&self) -> Vec<String> {
        self.writes.lock().unwrap().clone()
    }
}

/// A replica, and the time it lives in.
struct Replica {
    learner: Learner,
    now: Instant,
    /// Every second until then what is due was written.
    flushed: Instant,
    ended: usize,
}

impl Replica {
    fn new(memos: &Arc<Memos>) -> Self {
        let keys = Arc::new(Keyring::new(&SecretSlice::from(vec![7; 32]), &[]));
        let now = Instant::now();
        Self { learner: Learner::new(memos.clone(), keys), now, flushed: now, ended: 0 }
    }

    async fn pass(&mut self, time: Duration) {
        self.now += time;
        while self.flushed + write::PAUSE <= self.now {
            self.flushed += write::PAUSE;
            self.learner.flush_at(false, self.flushed).await.unwrap();
        }
    }

    async fn begin(&mut self, n: u32) -> Verification {
        let to = PhoneNumber::parse(&format!("+1415{:07}", 2_000_000 + n * 10_007)).unwrap();
        let carrier_guess = self.learner.guess(&to).await;
        let insight = self.learner.insight(to.country(), carrier_guess).await;
        let request = Request {
            id: VerificationId::new(1, u128::from(n)),
            app: "app".into(),
            to,
            mode: Mode::Auto,
            policy: None,
            ttl: None,
            calls_allowed: true,
            carrier_guess,
            code: Code::parse(CODE).unwrap(),
            guesses: Guesses::default(),
            details: Details::default(),
        };
        let Decision { after, lessons, .. } = open(request, &Rules { insight, ..Rules::default() }, self.timestamp(n));
        self.learner.learn_at(None, &after, &lessons, self.now);
        after
    }

    async fn hear(&mut self, before: Verification, event: &Event) -> Verification {
        let carrier = event.carrier().or(before.carrier());
        let insight = self.learner.insight(before.to.country(), carrier).await;
        let now = before.created_at + Duration::from_secs(6);
        let Decision { after, lessons, .. } = decide(&before, event, &Rules { insight, ..Rules::default() }, now);
        self.learner.learn_at(Some(&before), &after, &lessons, self.now);
        self.learner.note_facts_at(&before, &after, self.now);
        self.ended += usize::from(after.status.is_final());
        after
    }

    /// Six seconds to the report, as many to the code.
    async fn verify(&mut self, n: u32) {
        self.verify_in(n, 6, ROUTE).await;
    }

    /// As many seconds to the report, on this route, as from there to the code.
    async fn verify_in(&mut self, n: u32, seconds: u64, route: u32) {
        let v = self.begin(n).await;
        self.pass(Duration::from_secs(seconds)).await;
        let v = self.hear(v, &delivered_on(route)).await;
        self.pass(Duration::from_secs(seconds)).await;
        self.hear(v, &Event::CodeSubmitted(Code::parse(CODE).unwrap())).await;
    }

    fn timestamp(&self, n: u32) -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000 + i64::from(n))
    }
}

fn delivered() -> Event {
    delivered_on(ROUTE)
}

fn delivered_on(route: u32) -> Event {
    let facts = Facts { carrier: Carrier::from_code(route), cost_u: None };
    Event::TextReported { attempt: 0, report: TextReport::Delivered, provider_id: None, facts }
}

/// On how many verifications rests what the store has of the route.
async fn stored(memos: &Memos) -> f32 {
    let bytes = memos.memory.memos(&[name(Key::Route(ROUTE))]).await.unwrap().pop().flatten();
    node_of(Key::Route(ROUTE), bytes.as_deref()).starts()
}

#[tokio::test]
async fn verifications_that_trickle_in_cost_no_more_than_a_write_each_and_are_shared_soon() {
    for gap_s in [0, 8, 50, 900] {
        let memos = Arc::new(Memos::default());
        let mut replica = Replica::new(&memos);
        let mut behind = 0.0_f32;
        for n in 0..30 {
            replica.verify(n).await;
            replica.pass(Duration::from_secs(gap_s.max(2))).await;
            let writes = memos.writes().len();
            assert!(writes <= replica.ended, "{writes} for {} every {gap_s} s", replica.ended);
            behind = behind.max(replica.ended as f32 - stored(&memos).await);
        }
        // Faded by a little, the newest two not written.
        assert!(behind < 3.5, "{behind} every {gap_s} s");
        let writes = memos.writes();
        for wanted in ["w", "c:US", INDEX] {
            assert!(writes.iter().any(|name| name == wanted), "{wanted} every {gap_s} s: {writes:?}");
        }
        assert!(writes.iter().any(|name| name.starts_with("p:")), "{writes:?}");
    }
}

/// Each is long overdue when it is over, and there are more of them than writes.
#[tokio::test]
async fn slow_routes_leave_their_turn_to_what_they_share() {
    for (seconds, gap_s, routes) in [(10, 60, 1), (10, 20, 12), (150, 60, 1), (150, 60, 12)] {
        let memos = Arc::new(Memos::default());
        let mut replica = Replica::new(&memos);
        for n in 0..60 {
            replica.verify_in(n, seconds, ROUTE + n % routes).await;
            replica.pass(Duration::from_secs(gap_s)).await;
        }
        let writes = memos.writes();
        assert!(writes.len() <= replica.ended, "{} for {}", writes.len(), replica.ended);
        let known = (0..routes).map(|route| name(Key::Route(ROUTE + route)));
        for wanted in known.chain(["w", "c:US", INDEX].map(str::to_owned)) {
            let times = writes.iter().filter(|name| **name == wanted).count();
            assert!(times >= 1, "{wanted}, {seconds} s, every {gap_s} s, {routes} routes: {writes:?}");
        }
        assert!(writes.iter().any(|name| name.starts_with("p:")), "{writes:?}");
    }
}

#[tokio::test]
async fn a_route_that_hundreds_come_to_in_a_second_is_written_once_a_second() {
    let memos = Arc::new(Memos::default());
    let mut replica = Replica::new(&memos);
    let mut open = Vec::new();
    for n in 0..400 {
        open.push(replica.begin(n).await);
        replica.pass(Duration::from_millis(5)).await;
    }
    for event in [delivered(), Event::CodeSubmitted(Code::parse(CODE).unwrap())] {
        for v in std::mem::take(&mut open) {
            open.push(replica.hear(v, &event).await);
            replica.pass(Duration::from_millis(5)).await;
        }
    }
    replica.pass(Duration::from_secs(2)).await;
    let writes = memos.writes();
    assert!(writes.len() <= replica.ended, "{} for {}", writes.len(), replica.ended);
    for node in ["w".to_owned(), "c:US".to_owned(), name(Key::Route(ROUTE))] {
        let often = writes.iter().filter(|name| **name == node).count();
        assert!((1..=8).contains(&often), "{node} {often} times in 8 s");
    }
    let (all, there) = (replica.learner.nodes().await.unwrap(), stored(&memos).await);
    let known = all.iter().find(|(key, ..)| *key == Key::Route(ROUTE)).map(|(.., node)| node.starts());
    assert_eq!(Some(there), known, "nothing is left to write");
}

#[tokio::test]
async fn replicas_that_get_in_each_others_way_pay_for_it_and_lose_nothing() {
    let memos = Arc::new(Memos::default());
    let mut replicas = [Replica::new(&memos), Replica::new(&memos)];
    for n in 0..20 {
        for (r, replica) in (0..).zip(&mut replicas) {
            replica.verify(2 * n + r).await;
            replica.pass(Duration::from_secs(3)).await;
        }
        let ended: usize = replicas.iter().map(|replica| replica.ended).sum();
        assert!(memos.writes().len() <= ended, "{} for {ended}", memos.writes().len());
    }
    for replica in &replicas {
        replica.learner.flush_at(true, replica.now).await.unwrap();
    }
    let there = stored(&memos).await;
    assert!((38.0..=40.0).contains(&there), "{there}");
}

#[tokio::test]
async fn nothing_is_written_of_verifications_that_go_on_until_a_stop() {
    let memos = Arc::new(Memos::default());
    let mut replica = Replica::new(&memos);
    let v = replica.begin(1).await;
    replica.hear(v, &delivered()).await;
    replica.pass(Duration::from_secs(60)).await;
    assert_eq!(memos.writes(), Vec::<String>::new());
    replica.learner.flush_at(true, replica.now).await.unwrap();
    assert_eq!(memos.writes().len(), 5, "three nodes, the prefix, the list: {:?}", memos.writes());
    assert!(stored(&memos).await > 0.9);
}

#[tokio::test]
async fn no_memo_of_a_node_is_larger_than_two_kilobytes() {
    let memos = Arc::new(Memos::default());
    let mut replica = Replica::new(&memos);
    for n in 0..300 {
        replica.verify(n).await;
    }
    replica.learner.flush_at(true, replica.now).await.unwrap();
    let names = [name(Key::World), name(Key::Country(*b"US")), name(Key::Route(ROUTE))];
    for (name, memo) in names.iter().zip(memos.memory.memos(&names).await.unwrap()) {
        assert!((1..=2048).contains(&memo.unwrap().len()), "{name}");
    }
}

#[async_trait]
impl Store for Memos {
    async fn memos(&self, names: &[String]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.memory.memos(names).await
    }
    async fn swap_memo(
        &self,
        name: &str,
        before: Option<&[u8]>,
        after: &[u8],
        keep: Duration,
    ) -> Result<Swap, StoreError> {
        self.writes.lock().unwrap().push(name.to_owned());
        self.memory.swap_memo(name, before, after, keep).await
    }
    async fn now(&self) -> Result<Timestamp, StoreError> {
        self.memory.now().await
    }
    async fn load(&self, id: VerificationId) -> Result<Option<Stored>, StoreError> {
        self.memory.load(id).await
    }
    async fn load_many(&self, ids: &[VerificationId]) -> Result<Vec<(VerificationId, Stored)>, StoreError> {
        self.memory.load_many(ids).await
    }
    async fn commit(&self, commit: &Commit) -> Result<Outcome, StoreError> {
        self.memory.commit(commit).await
    }
    async fn newest(&self, number: NumberKey) -> Result<Option<VerificationId>, StoreError> {
        self.memory.newest(number).await
    }
    async fn guesses(&self, number: NumberKey) -> Result<Vec<u8>, StoreError> {
        self.memory.guesses(number).await
    }
    async fn take(&self, counts: &[Count], unless: Option<NumberKey>, now: Timestamp) -> Result<Taken, StoreError> {
        self.memory.take(counts, unless, now).await
    }
    async fn list(
        &self,
        app: &str,
        shard: Option<u8>,
        before: Option<Cursor>,
        limit: usize,
    ) -> Result<Vec<Cursor>, StoreError> {
        self.memory.list(app, shard, before, limit).await
    }
    async fn claim_due(&self, now: Timestamp, lease: Duration, limit: usize) -> Result<Claimed, StoreError> {
        self.memory.claim_due(now, lease, limit).await
    }
    async fn link(&self, provider_id: &str, to: AttemptRef, keep: Duration) -> Result<Vec<Parked>, StoreError> {
        self.memory.link(provider_id, to, keep).await
    }
    async fn find_or_park(&self, provider_id: &str, report: &Parked) -> Result<Option<AttemptRef>, StoreError> {
        self.memory.find_or_park(provider_id, report).await
    }
    async fn unpark(&self, provider_id: &str) -> Result<(), StoreError> {
        self.memory.unpark(provider_id).await
    }
    async fn erase(&self, erasure: &Erasure) -> Result<Erased, StoreError> {
        self.memory.erase(erasure).await
    }
    async fn unlink(&self, provider_id: &str, of: VerificationId) -> Result<(), StoreError> {
        self.memory.unlink(provider_id, of).await
    }
    async fn ping(&self) -> Result<(), StoreError> {
        self.memory.ping().await
    }
}
