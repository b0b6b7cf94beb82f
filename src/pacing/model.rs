//! Replicas that drain a backlog beside new verifications, against a model of Plivo's limit. The clock is the model's.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

use super::ledger::Ledger;
use super::local::{Admission, Local, Waiting};
use super::{OWED_WAIT, Parked, WATCHED_WAIT};
use crate::plivo::Rate;
use crate::time::Timestamp;
use crate::verification::{AttemptIndex, AttemptRef, VerificationId};

const START_MS: i64 = 1_800_000_000_000;
const STEP_MS: i64 = 5;
/// As in `verification::requests`: then any replica takes the request over.
const LEASE_MS: i64 = 30_000;
/// As in `verification::trigger`.
const PAUSES_MS: [i64; 4] = [500, 1_000, 25_000, 110_000];

/// What is known of one text.
#[derive(Clone, Copy, PartialEq)]
enum State {
    /// Owed, and due again then.
    Owed(i64),
    /// Asks for room, or is on its way.
    UnderWay,
    /// Accepted by Plivo at that time.
    Sent(i64),
}

struct Text {
    created_ms: i64,
    state: State,
    failed: usize,
}

/// A request that waits for an exchange of its replica.
struct Queued {
    replica: usize,
    text: usize,
    granted: oneshot::Receiver<()>,
    until_ms: i64,
}

struct Model {
    rate: Rate,
    /// The requests of a window that Plivo allows.
    allowed: usize,
    ledger: Ledger,
    replicas: Vec<Local>,
    texts: Vec<Text>,
    text_ids: HashMap<VerificationId, usize>,
    queued: Vec<Queued>,
    /// Requests on their way: the arrival, the text and its replica.
    on_their_way: Vec<(i64, usize, usize)>,
    /// When Plivo got the newest requests.
    arrived: VecDeque<i64>,
    refused: usize,
    requests: usize,
    now_ms: i64,
    start: Instant,
    random: u64,
}

impl Model {
    fn new(rate: &str, allowed: usize, replicas: usize) -> Self {
        let rate: Rate = rate.parse().unwrap();
        Self {
            rate,
            allowed,
            ledger: Ledger::new(Timestamp::from_millis(START_MS)),
            replicas: (0..replicas).map(|_| Local::new(rate)).collect(),
            texts: Vec::new(),
            text_ids: HashMap::new(),
            queued: Vec::new(),
            on_their_way: Vec::new(),
            arrived: VecDeque::new(),
            refused: 0,
            requests: 0,
            now_ms: 0,
            start: Instant::now(),
            random: 1,
        }
    }

    fn now(&self) -> Instant {
        self.start + Duration::from_millis(self.now_ms.unsigned_abs())
    }

    fn draw(&mut self, below: i64) -> i64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        i64::try_from(self.random >> 33).unwrap() % below
    }

    fn parked(&self, text: usize) -> Parked {
        let id = VerificationId::new(0, u128::try_from(text).unwrap());
        let created_at = Timestamp::from_millis(START_MS + self.texts[text].created_ms);
        Parked { created_at, attempt: AttemptRef { id, attempt: AttemptIndex::FIRST } }
    }

    fn add(&mut self, created_ms: i64, state: State) -> usize {
        let text = self.texts.len();
        self.texts.push(Text { created_ms, state, failed: 0 });
        self.text_ids.insert(VerificationId::new(0, u128::try_from(text).unwrap()), text);
        text
    }

    /// A text that has waited for an outage at this replica.
    fn add_waiting(&mut self, created_ms: i64, replica: usize) {
        let due = self.draw(LEASE_MS);
        let text = self.add(created_ms, State::Owed(due));
        let parked = self.parked(text);
        self.replicas[replica].backlog.park(parked);
    }

    fn create(&mut self) {
        let text = self.add(self.now_ms, State::UnderWay);
        let (replica, parked, now) = (text % self.replicas.len(), self.parked(text), self.now());
        if self.now_ms < self.breaker_closes_ms(replica) {
            self.replicas[replica].backlog.park(parked);
            self.texts[text].state = State::Owed(self.now_ms + LEASE_MS);
            return;
        }
        let served = self.rate.of_a_second() * WATCHED_WAIT.as_secs_f64();
        let waiting = self.replicas[replica].admit_watched(parked, served, now);
        self.settle(replica, text, waiting, WATCHED_WAIT);
    }

    /// When a trial of the replica finds that the outage is over. Before that its requests are parked, and not granted.
    fn breaker_closes_ms(&self, replica: usize) -> i64 {
        i64::try_from(2000 * (replica + 1) / self.replicas.len()).unwrap()
    }

    fn settle(&mut self, replica: usize, text: usize, waiting: Waiting, limit: Duration) {
        match waiting {
            Waiting::Over(Admission::Now) => self.request(replica, text),
            Waiting::Over(Admission::Later(_)) => self.texts[text].state = State::Owed(self.now_ms + LEASE_MS),
            Waiting::For(granted) => {
                let until_ms = self.now_ms + i64::try_from(limit.as_millis()).unwrap();
                self.queued.push(Queued { replica, text, granted, until_ms });
            }
        }
    }

    fn request(&mut self, replica: usize, text: usize) {
        let arrives = self.now_ms + 1 + self.draw(40);
        self.requests += 1;
        self.texts[text].state = State::UnderWay;
        self.on_their_way.push((arrives, text, replica));
    }

    fn step(&mut self) {
        self.arrive();
        let queued = std::mem::take(&mut self.queued);
        for mut one in queued {
            match one.granted.try_recv() {
                Ok(()) => self.request(one.replica, one.text),
                Err(TryRecvError::Empty) if self.now_ms < one.until_ms => self.queued.push(one),
                Err(_) => {
                    let parked = self.parked(one.text);
                    self.replicas[one.replica].backlog.park(parked);
                    self.texts[one.text].state = State::Owed(self.now_ms + LEASE_MS);
                }
            }
        }
        // The timers of any replica may come first.
        for text in 0..self.texts.len() {
            if matches!(self.texts[text].state, State::Owed(due) if due <= self.now_ms) {
                self.texts[text].state = State::UnderWay;
                let replica = usize::try_from(self.draw(self.replicas.len().try_into().unwrap())).unwrap();
                self.ask_again(replica, text);
            }
        }
        for replica in 0..self.replicas.len() {
            // An exchange begins a little after its time.
            let is_due = self.replicas[replica].next_exchange(self.now()).is_some_and(|wait| wait.is_zero());
            if is_due && self.now_ms >= self.breaker_closes_ms(replica) && self.draw(3) == 0 {
                self.exchange(replica);
            }
        }
        self.now_ms += STEP_MS;
    }

    fn ask_again(&mut self, replica: usize, text: usize) {
        let (parked, now) = (self.parked(text), self.now());
        let waiting = self.replicas[replica].admit_owed(parked, now);
        self.settle(replica, text, waiting, OWED_WAIT);
    }

    fn exchange(&mut self, replica: usize) {
        let (now, at) = (self.now(), Timestamp::from_millis(START_MS + self.now_ms));
        let ask = self.replicas[replica].ask(now, at);
        let grant = self.ledger.take(&ask, self.rate, at);
        for parked in self.replicas[replica].granted(&ask, grant, now, at) {
            let mut next = Some(parked);
            while let Some(parked) = next {
                let text = self.text_ids[&parked.attempt.id];
                match self.texts[text].state {
                    State::Owed(_) => {
                        self.ask_again(replica, text);
                        next = None;
                    }
                    State::UnderWay | State::Sent(_) => next = self.replicas[replica].pass_on(parked),
                }
            }
        }
    }

    fn arrive(&mut self) {
        let window = i64::try_from(self.rate.window.as_millis()).unwrap();
        let (mut arriving, later): (Vec<_>, Vec<_>) =
            self.on_their_way.drain(..).partition(|(at, _, _)| *at <= self.now_ms);
        self.on_their_way = later;
        arriving.sort_unstable();
        for (at, text, replica) in arriving {
            while self.arrived.front().is_some_and(|before| at - before >= window) {
                self.arrived.pop_front();
            }
            self.arrived.push_back(at);
            if self.arrived.len() > self.allowed {
                self.refused += 1;
                self.replicas[replica].refuse(None);
                let failed = self.texts[text].failed;
                self.texts[text].failed += 1;
                self.texts[text].state = State::Owed(self.now_ms + PAUSES_MS[failed.min(3)]);
            } else {
                self.texts[text].state = State::Sent(at);
            }
        }
    }
}

/// The figures of one run.
struct Drained {
    /// When the backlog was gone, in parts of the time that the rate takes at best.
    gone: f64,
    /// The longest delay of 99 in 100 new texts.
    p99_ms: i64,
    longest_ms: i64,
    refused: usize,
    requests_per_text: f64,
}

/// 2,400 texts that waited for an outage, beside 40 new ones a second, or a `part` of both and of Plivo's limit.
fn drained(part: usize, replicas: usize, disallowed: usize) -> Drained {
    let (waiting, limit) = (2400 / part, 300 / part);
    let mut model = Model::new(&format!("{limit}/5s"), limit - disallowed, replicas);
    let gap_ms = 25 * part;
    for n in 0..waiting {
        model.add_waiting(-i64::try_from((waiting - n) * gap_ms).unwrap(), n % replicas);
    }
    let arithmetic_ms = i64::try_from(waiting * 50 * part).unwrap();
    while model.now_ms < arithmetic_ms * 3 / 2 {
        if model.now_ms < arithmetic_ms * 6 / 5 && model.now_ms % i64::try_from(gap_ms).unwrap() == 0 {
            model.create();
        }
        model.step();
    }
    let sent = |text: &Text| if let State::Sent(at) = text.state { at } else { i64::MAX };
    let gone_ms = model.texts[..waiting].iter().map(sent).max().unwrap();
    let delay = |text: &Text| sent(text).saturating_sub(text.created_ms);
    let mut delays: Vec<_> = model.texts[waiting..].iter().map(delay).collect();
    delays.sort_unstable();
    Drained {
        gone: gone_ms as f64 / arithmetic_ms as f64,
        p99_ms: delays[delays.len() * 99 / 100],
        longest_ms: delays[delays.len() - 1],
        refused: model.refused,
        requests_per_text: model.requests as f64 / model.texts.len() as f64,
    }
}

#[test]
fn a_backlog_drains_in_time_and_new_texts_do_not_wait_behind_it() {
    for (part, replicas, gone_max) in [(1, 3, 1.15), (3, 8, 1.15), (10, 3, 1.25)] {
        let Drained { gone, p99_ms, longest_ms, refused, requests_per_text } = drained(part, replicas, 0);
        let run =
            format!("1/{part}, {replicas} replicas: {gone:.3}, {p99_ms} ms, {longest_ms} ms, {requests_per_text:.3}");
        assert!(gone <= gone_max && p99_ms <= 2000 && longest_ms <= 5000, "{run}");
        assert_eq!((refused, requests_per_text), (0, 1.0), "{run}");
    }
}

#[test]
fn a_limit_below_the_setting_costs_few_requests_and_delays_few_new_texts() {
    let Drained { gone, p99_ms, longest_ms, refused, requests_per_text } = drained(3, 3, 4);
    let run = format!("{gone:.3}, {p99_ms} ms, {longest_ms} ms, {refused} refused, {requests_per_text:.3}");
    assert!(
        gone <= 1.35 && p99_ms <= 2000 && longest_ms <= 60_000 && refused > 0 && requests_per_text <= 1.05,
        "{run}"
    );
}
