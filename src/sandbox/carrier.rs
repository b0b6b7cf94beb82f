//! [`CarrierNetwork`]: decides what happens to each request, text and call.
//!
//! A scenario number behaves as [`scenario`](super::scenario) says. Any other number is drawn from the seed, the
//! number and its count of tries, so that a run can be repeated with its requests in another order.

use std::sync::Mutex;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rand_distr::StandardNormal;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::api::Medium;
use super::bounded_map::BoundedMap;
use super::scenario::{RingResult, Scenario, Step, TextState, delivered_after, failed, queued, sent, undelivered};
use super::speed::Speed;
use super::sync::lock;

const NUMBERS_MAX: usize = 10_000;
/// How many requests scenario 0111 refuses.
const RATE_LIMITED_REQUESTS: u32 = 2;
/// How long scenario 0112 answers with server errors.
const SERVER_ERRORS_LAST: Duration = Duration::from_secs(60);
/// How long the answer of scenario 0113 hangs.
const ANSWER_HANGS: Duration = Duration::from_secs(30);
/// The parameters of the log-normal delay of a drawn text.
const DELAY_MEDIAN: Duration = Duration::from_millis(2500);
const DELAY_SIGMA: f64 = 0.7;
const DELAY_MAX: Duration = Duration::from_secs(900);

/// How the API answers a request, before anything is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    Accepted,
    /// Refused with this status; nothing is sent.
    Refused(u16),
    /// Accepted and performed at once, but the answer hangs for this real time.
    Delayed(Duration),
}

#[derive(Debug)]
pub(super) struct CarrierNetwork {
    seed: u64,
    speed: Speed,
    tries: Mutex<BoundedMap<NumberTries>>,
}

/// What was tried for one number.
#[derive(Debug, Default)]
struct NumberTries {
    first_request: Option<Instant>,
    refused: u32,
    texts: u32,
    calls: u32,
}

impl CarrierNetwork {
    pub(super) fn new(seed: u64, speed: Speed) -> Self {
        Self { seed, speed, tries: Mutex::new(BoundedMap::new(NUMBERS_MAX)) }
    }

    pub(super) fn admit(&self, to: &str, medium: Medium, now: Instant) -> Admission {
        let mut tries = lock(&self.tries);
        let tries = tries.get_or_insert_with(to, NumberTries::default);
        let first_request = *tries.first_request.get_or_insert(now);
        match (Scenario::of(to), medium) {
            (Scenario::TooManyRequests, Medium::Text) if tries.refused < RATE_LIMITED_REQUESTS => {
                tries.refused += 1;
                Admission::Refused(429)
            }
            (Scenario::ServerErrors, _) if now - first_request < self.speed.to_real(SERVER_ERRORS_LAST) => {
                Admission::Refused(500)
            }
            (Scenario::AnswerHangs, Medium::Text) => Admission::Delayed(self.speed.to_real(ANSWER_HANGS)),
            _ => Admission::Accepted,
        }
    }

    /// Counts a text to the number and returns its steps.
    pub(super) fn next_text_steps(&self, to: &str) -> Vec<Step> {
        let nth = self.count(to, |tries| &mut tries.texts);
        Scenario::of(to).text_steps().unwrap_or_else(|| draw_text_steps(&mut self.rng(to, Medium::Text, nth)))
    }

    /// Counts a call to the number and returns how its ringing ends.
    pub(super) fn next_ring_result(&self, to: &str) -> RingResult {
        let nth = self.count(to, |tries| &mut tries.calls);
        Scenario::of(to).ring_result(nth).unwrap_or_else(|| draw_ring_result(&mut self.rng(to, Medium::Call, nth)))
    }

    /// Increments a counter and returns its value before.
    fn count(&self, to: &str, counter: impl FnOnce(&mut NumberTries) -> &mut u32) -> u32 {
        let mut tries = lock(&self.tries);
        let counter = counter(tries.get_or_insert_with(to, NumberTries::default));
        *counter += 1;
        *counter - 1
    }

    fn rng(&self, to: &str, medium: Medium, nth: u32) -> StdRng {
        let mut hash = Sha256::new();
        hash.update(self.seed.to_be_bytes());
        hash.update([u8::from(medium == Medium::Call)]);
        hash.update(nth.to_be_bytes());
        hash.update(to);
        StdRng::from_seed(hash.finalize().into())
    }
}

/// Most texts arrive, with a long tail of delays; some lack a report, some are lost.
fn draw_text_steps(rng: &mut StdRng) -> Vec<Step> {
    let delay = draw_delay(rng);
    match rng.random_range(0..100) {
        0..82 => delivered_after(delay),
        82..89 => vec![queued(), sent(), Step::arrive(delay)],
        89..92 => vec![queued(), sent()],
        92..93 => vec![queued(), sent(), Step::report(delay, TextState::Delivered, 3)],
        93..98 => undelivered([20, 30, 50, 70, 80][rng.random_range(0..5)]),
        _ => failed(300),
    }
}

fn draw_ring_result(rng: &mut StdRng) -> RingResult {
    match rng.random_range(0..100) {
        0..75 => RingResult::Answered,
        75..86 => RingResult::NoAnswer,
        86..91 => RingResult::Busy,
        91..93 => RingResult::Rejected,
        93..98 => RingResult::Machine,
        _ => RingResult::Failed,
    }
}

fn draw_delay(rng: &mut StdRng) -> Duration {
    // `rand_distr::LogNormal` checks its parameters at run time; these are constants.
    let normal: f64 = rng.sample(StandardNormal);
    DELAY_MEDIAN.mul_f64((DELAY_SIGMA * normal).exp()).min(DELAY_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::scenario::StepAction;

    fn carrier(seed: u64) -> CarrierNetwork {
        CarrierNetwork::new(seed, Speed::new(1.0).unwrap())
    }

    #[test]
    fn scenario_0111_refuses_two_texts_per_number() {
        let (carrier, now) = (carrier(1), Instant::now());
        let admissions = |to: &str| [(); 4].map(|()| carrier.admit(to, Medium::Text, now));
        let expected = [Admission::Refused(429), Admission::Refused(429), Admission::Accepted, Admission::Accepted];
        assert_eq!(admissions("14155550111"), expected);
        assert_eq!(admissions("14165550111"), expected);
        assert_eq!(carrier.admit("14175550111", Medium::Call, now), Admission::Accepted);
    }

    #[test]
    fn server_errors_last_a_minute_from_the_first_request() {
        let (carrier, start) = (carrier(1), Instant::now());
        let admission = |medium, secs| carrier.admit("14155550112", medium, start + Duration::from_secs(secs));
        assert_eq!(admission(Medium::Text, 0), Admission::Refused(500));
        assert_eq!(admission(Medium::Call, 59), Admission::Refused(500));
        assert_eq!(admission(Medium::Text, 60), Admission::Accepted);
    }

    #[test]
    fn an_answer_hangs_for_texts_only_and_in_simulated_time() {
        let carrier = CarrierNetwork::new(1, Speed::new(20.0).unwrap());
        let admission = |medium| carrier.admit("14155550113", medium, Instant::now());
        assert_eq!(admission(Medium::Text), Admission::Delayed(Duration::from_millis(1500)));
        assert_eq!(admission(Medium::Call), Admission::Accepted);
    }

    #[test]
    fn in_scenario_0107_the_first_call_is_busy_and_the_second_answered() {
        let carrier = carrier(1);
        let results = [(); 2].map(|()| carrier.next_ring_result("14155550107"));
        assert_eq!(results, [RingResult::Busy, RingResult::Answered]);
    }

    #[test]
    fn one_seed_draws_the_same_texts_again_and_most_arrive() {
        let numbers: Vec<String> = (2000..2400).map(|n| format!("1415555{n}")).collect();
        let draw = |seed| numbers.iter().map(|to| carrier(seed).next_text_steps(to)).collect::<Vec<_>>();
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        let arrives = |steps: &&Vec<Step>| steps.iter().any(|step| step.action == StepAction::Arrive);
        let arrived = draw(7).iter().filter(arrives).count();
        assert!((320..390).contains(&arrived), "{arrived} of 400");
    }

    #[test]
    fn half_of_the_drawn_delays_are_shorter_than_the_median() {
        let mut rng = StdRng::seed_from_u64(1);
        let delays: Vec<Duration> = (0..1000).map(|_| draw_delay(&mut rng)).collect();
        let shorter = delays.iter().filter(|delay| **delay < DELAY_MEDIAN).count();
        assert!((450..550).contains(&shorter), "{shorter} of 1000");
        assert!(delays.iter().all(|delay| *delay <= DELAY_MAX));
    }
}
