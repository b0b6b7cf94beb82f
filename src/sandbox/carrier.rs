//! The network behind the local Plivo: what it makes of each request, text and call.
//!
//! A scenario number behaves as [`scenario`](super::scenario) says; any other number is drawn, from the
//! seed, the number and how often it was tried, so that a run repeats itself whatever the order in which
//! its requests come in.

use std::sync::Mutex;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::lock;
use super::pace::Pace;
use super::recent::Recent;
use super::scenario::{Pickup, Scenario, Step, TextState, delivered_after, failed, queued, sent, undelivered};

const NUMBERS: usize = 10_000;

/// What is asked for: both APIs ask for one of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Call,
}

/// What the API itself makes of a request, before anything is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    Open,
    /// Refused with this status; nothing is sent.
    Refused(u16),
    /// Taken and acted upon at once, but the answer takes its time.
    Hangs(Duration),
}

/// The network, with its memory of each number.
#[derive(Debug)]
pub(super) struct Carrier {
    seed: u64,
    pace: Pace,
    numbers: Mutex<Recent<Tried>>,
}

/// How often a number was tried.
#[derive(Debug, Default)]
struct Tried {
    first: Option<Instant>,
    refused: u32,
    texts: u32,
    calls: u32,
}

impl Carrier {
    pub(super) fn new(seed: u64, pace: Pace) -> Self {
        Self { seed, pace, numbers: Mutex::new(Recent::new(NUMBERS)) }
    }

    /// Whether a request gets past the API.
    pub(super) fn gate(&self, to: &str, kind: Kind, now: Instant) -> Gate {
        let mut numbers = lock(&self.numbers);
        let tried = numbers.entry(to, Tried::default);
        let first = *tried.first.get_or_insert(now);
        match (Scenario::of(to), kind) {
            (Scenario::TooManyRequests, Kind::Text) if tried.refused < 2 => {
                tried.refused += 1;
                Gate::Refused(429)
            }
            (Scenario::ServerErrors, _) if now - first < self.pace.real(Duration::from_secs(60)) => Gate::Refused(500),
            (Scenario::AnswerHangs, Kind::Text) => Gate::Hangs(self.pace.real(Duration::from_secs(30))),
            _ => Gate::Open,
        }
    }

    /// What becomes of the next text to that number.
    pub(super) fn text(&self, to: &str) -> Vec<Step> {
        let nth = self.count(to, |tried| &mut tried.texts);
        Scenario::of(to).text().unwrap_or_else(|| draw_text(&mut self.rng(to, Kind::Text, nth)))
    }

    /// Who picks up the next call to that number.
    pub(super) fn call(&self, to: &str) -> Pickup {
        let nth = self.count(to, |tried| &mut tried.calls);
        Scenario::of(to).call(nth).unwrap_or_else(|| draw_call(&mut self.rng(to, Kind::Call, nth)))
    }

    fn count(&self, to: &str, counter: impl FnOnce(&mut Tried) -> &mut u32) -> u32 {
        let mut numbers = lock(&self.numbers);
        let counter = counter(numbers.entry(to, Tried::default));
        *counter += 1;
        *counter - 1
    }

    fn rng(&self, to: &str, kind: Kind, nth: u32) -> StdRng {
        let mut hash = Sha256::new();
        hash.update(self.seed.to_be_bytes());
        hash.update([u8::from(kind == Kind::Call)]);
        hash.update(nth.to_be_bytes());
        hash.update(to);
        StdRng::from_seed(hash.finalize().into())
    }
}

/// Mostly delivered, with the long tail that texts have; some without a receipt, some lost.
fn draw_text(rng: &mut StdRng) -> Vec<Step> {
    let delay = log_normal(rng, Duration::from_millis(2500), 0.7);
    match rng.random_range(0..100) {
        0..82 => delivered_after(delay),
        82..89 => vec![queued(), sent(), Step::arrive(delay)],
        89..92 => vec![queued(), sent()],
        92..93 => vec![queued(), sent(), Step::report(delay, TextState::Delivered, 3)],
        93..98 => undelivered([20, 30, 50, 70, 80][rng.random_range(0..5)]),
        _ => failed(300),
    }
}

fn draw_call(rng: &mut StdRng) -> Pickup {
    match rng.random_range(0..100) {
        0..75 => Pickup::Answered,
        75..86 => Pickup::NoAnswer,
        86..91 => Pickup::Busy,
        91..93 => Pickup::Rejected,
        93..98 => Pickup::Machine,
        _ => Pickup::Failed,
    }
}

/// Log-normal around `median`, by Box and Muller, at most a quarter of an hour.
fn log_normal(rng: &mut StdRng, median: Duration, sigma: f64) -> Duration {
    let (u, v): (f64, f64) = (1.0 - rng.random::<f64>(), rng.random());
    let normal = (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos();
    median.mul_f64((sigma * normal).exp()).min(Duration::from_secs(900))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::scenario::What;

    fn carrier(seed: u64) -> Carrier {
        Carrier::new(seed, Pace::new(1.0).unwrap())
    }

    #[test]
    fn two_texts_are_refused_per_number_and_then_none() {
        let (carrier, now) = (carrier(1), Instant::now());
        let gates = |to: &str| [(); 4].map(|()| carrier.gate(to, Kind::Text, now));
        let expected = [Gate::Refused(429), Gate::Refused(429), Gate::Open, Gate::Open];
        assert_eq!(gates("14155550111"), expected);
        assert_eq!(gates("14165550111"), expected);
        assert_eq!(carrier.gate("14175550111", Kind::Call, now), Gate::Open);
    }

    #[test]
    fn server_errors_last_a_minute_from_the_first_request() {
        let (carrier, start) = (carrier(1), Instant::now());
        let gate = |kind, secs| carrier.gate("14155550112", kind, start + Duration::from_secs(secs));
        assert_eq!(gate(Kind::Text, 0), Gate::Refused(500));
        assert_eq!(gate(Kind::Call, 59), Gate::Refused(500));
        assert_eq!(gate(Kind::Text, 60), Gate::Open);
    }

    #[test]
    fn an_answer_hangs_for_texts_only_and_by_the_pace() {
        let carrier = Carrier::new(1, Pace::new(20.0).unwrap());
        let gate = |kind| carrier.gate("14155550113", kind, Instant::now());
        assert_eq!(gate(Kind::Text), Gate::Hangs(Duration::from_millis(1500)));
        assert_eq!(gate(Kind::Call), Gate::Open);
    }

    #[test]
    fn the_first_call_is_busy_and_the_second_answered() {
        let carrier = carrier(1);
        assert_eq!([(); 2].map(|()| carrier.call("14155550107")), [Pickup::Busy, Pickup::Answered]);
    }

    #[test]
    fn a_seed_repeats_itself_and_most_texts_arrive() {
        let numbers: Vec<String> = (2000..2400).map(|n| format!("1415555{n}")).collect();
        let draw = |seed| numbers.iter().map(|to| carrier(seed).text(to)).collect::<Vec<_>>();
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        let arrived = draw(7).iter().filter(|steps| steps.iter().any(|step| step.what == What::Arrive)).count();
        assert!((320..390).contains(&arrived), "{arrived} of 400");
    }
}
