//! [`Outlook`]: what may still happen to a text, from any moment of its current stage.
//!
//! A text is in one of three stages: silent, reported as delivered, or asked for again. The outlook holds the
//! probabilities that the planner needs; the planner adds the costs.

use super::curves::{BUCKETS, Curve, bucket_of, edge_ms};
use super::estimates::{Estimates, Hazards};
use super::prior;

/// A text that brings the code within this time brings it soon.
const SOON_MS: u32 = 10_000;

/// Seconds after a report for which conversion is tabulated: the longest horizon of [`Outlook::weigh_call`].
const SECONDS: usize = prior::NEEDLESS_MS as usize / 1000;

/// One stage of a text: the hazards that end it, and what is assumed of the people in it.
pub(super) struct Outlook<'a> {
    verified: &'a Hazards,
    /// The delivery report that may come; silent texts only.
    report: Option<Report<'a>>,
    no_intent: f64,
    /// Whether every person who will enter the code already has it.
    is_in_hand: bool,
    /// Share of people in need whom a call reaches.
    pub(super) saves: f64,
    /// Age beyond which the policy does not wait.
    pub(super) latest_ms: u32,
}

/// A delivery report that may come: how soon, and what comes of it.
struct Report<'a> {
    hazards: &'a Hazards,
    /// Share of reported texts that is verified by each second after the report.
    converted_by_second: [f64; SECONDS + 1],
    /// Share of reported texts that is verified in the end.
    converted: f64,
}

/// Probabilities at one moment, given that the stage has not ended by then.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Point {
    /// The moment, on the clock of the stage.
    pub(super) clock_ms: u32,
    /// Time until the next point.
    pub(super) lasts_ms: f64,
    /// Probability of the code before the next point.
    pub(super) verified: f64,
    /// Probability of a delivery report before the next point.
    pub(super) reported: f64,
    /// Probability of neither before the next point.
    pub(super) stays: f64,
    /// Probability that the text brings the code in the end.
    pub(super) text: f64,
    /// The same within [`SOON_MS`]. Only the explanation reads it, and only at the first point.
    pub(super) soon: f64,
    /// The same within [`prior::NEEDLESS_MS`]. Like `rings` and `waits_called_ms`, it is 0 where no plan may call.
    pub(super) needless: f64,
    /// The same within [`prior::RING_MS`].
    pub(super) rings: f64,
    /// Probability that the person never enters a code.
    pub(super) no_intent: f64,
    /// `no_intent` relative to its value among all texts.
    pub(super) no_intent_gain: f64,
    /// Probability that the person wants the code and the text will not bring it.
    pub(super) need: f64,
    /// Expected time without a code before the next point, of people whom the text still brings it.
    pub(super) waits_ms: f64,
    /// Expected time without a code of the same people if the call is placed now.
    pub(super) waits_called_ms: f64,
    /// Share of the same people who have no code now.
    waiting: f64,
    /// Expected time without a code of the same people if no call is placed.
    waits_all_ms: f64,
}

impl<'a> Outlook<'a> {
    /// No report and no code so far.
    pub(super) fn silent(estimates: &'a Estimates) -> Self {
        Self {
            report: Some(Report::new(estimates)),
            latest_ms: prior::CALL_LATEST_MS,
            ..Self::without_report(estimates, Curve::Verified)
        }
    }

    /// A stage that the code alone ends.
    fn without_report(estimates: &'a Estimates, verified: Curve) -> Self {
        Self {
            verified: estimates.hazard(verified),
            report: None,
            no_intent: estimates.no_intent,
            is_in_hand: false,
            saves: prior::CALL_SAVES,
            latest_ms: u32::MAX,
        }
    }

    /// Reported as delivered.
    pub(super) fn reported(estimates: &'a Estimates) -> Self {
        Self {
            is_in_hand: true,
            saves: prior::CALL_SAVES_REPORTED,
            ..Self::without_report(estimates, Curve::VerifiedAfterDelivered)
        }
    }

    /// Asked for again: the person is present, has no code and wants one.
    pub(super) fn resent(estimates: &'a Estimates) -> Self {
        Self {
            no_intent: 0.0,
            latest_ms: prior::CALL_LATEST_MS,
            ..Self::without_report(estimates, Curve::VerifiedAfterResend)
        }
    }

    /// The point at this moment, and one at every edge after it.
    pub(super) fn points(&self, clock_ms: u32) -> Vec<Point> {
        let first = bucket_of(clock_ms);
        let mut points = Vec::with_capacity(BUCKETS);
        // Share still in this stage: of all texts, and of those whose code is never entered.
        let (mut open, mut open_unverifiable) = (1.0, 1.0);
        for i in 0..BUCKETS {
            let (verified, reported) = self.hazards(i);
            let whole = f64::from(edge_ms(i + 1) - edge_ms(i));
            let from = edge_ms(i).max(clock_ms);
            let left = if i < first { 0.0 } else { f64::from(edge_ms(i + 1) - from) / whole };
            let gone = 1.0 - left;
            if i >= first {
                let open_now = open * (1.0 - gone * (verified + reported));
                let unverifiable_now = open_unverifiable * (1.0 - gone * reported);
                let (verified, reported) = (verified * left, reported * left);
                points.push(Point {
                    clock_ms: from,
                    lasts_ms: left * whole,
                    verified,
                    reported,
                    stays: 1.0 - verified - reported,
                    no_intent_gain: if open_now > 1e-9 { unverifiable_now / open_now } else { 1.0 },
                    ..Point::default()
                });
            }
            open *= 1.0 - verified - reported;
            open_unverifiable *= 1.0 - reported;
        }
        self.look_ahead(&mut points);
        points
    }

    /// Hazards of a bucket, scaled down where their sum exceeds one.
    fn hazards(&self, i: usize) -> (f64, f64) {
        let (verified, reported) = (self.verified[i], self.report.as_ref().map_or(0.0, |report| report.hazards[i]));
        let both = (verified + reported).max(1.0);
        (verified / both, reported / both)
    }

    fn look_ahead(&self, points: &mut [Point]) {
        let converted = self.report.as_ref().map_or(0.0, |report| report.converted);
        // Share of the open texts that is verified in the end: without a report, and after one.
        let (mut direct, mut by_report) = (0.0, 0.0);
        for k in (0..points.len()).rev() {
            let stays = points[k].stays;
            direct = points[k].verified + stays * direct;
            by_report = points[k].reported * converted + stays * by_report;
            let text = direct + by_report;
            let no_intent = (self.no_intent * points[k].no_intent_gain).min(1.0 - text).max(0.0);
            let waiting = if self.is_in_hand { 0.0 } else { (text - in_hand(&points[k..])).max(0.0) };
            let (waiting_next, all_next) = match points.get(k + 1) {
                Some(next) => (next.waiting, next.waits_all_ms),
                None => (0.0, 0.0),
            };
            let point = &mut points[k];
            point.text = text;
            point.no_intent = no_intent;
            point.need = (1.0 - text - no_intent).max(0.0);
            point.waiting = waiting;
            point.waits_ms = point.lasts_ms * (waiting + stays * waiting_next) / 2.0;
            point.waits_all_ms = point.waits_ms + stays * all_next;
            if k == 0 || self.may_call_at(point.clock_ms) {
                self.weigh_call(&mut points[k..]);
            }
        }
        let soon = self.soon(points);
        points.iter_mut().take(1).for_each(|now| now.soon = soon);
    }

    /// Whether a plan may call at this moment. A silent text is as old as its stage.
    fn may_call_at(&self, clock_ms: u32) -> bool {
        self.report.is_none() || (prior::CALL_EARLIEST_MS..=self.latest_ms).contains(&clock_ms)
    }

    /// Computes `rings`, `needless` and `waits_called_ms` of the first point: in one pass, because a plan needs them of most
    /// points.
    fn weigh_call(&self, points: &mut [Point]) {
        let (mut open, mut rings, mut needless, mut until_call_ms) = (1.0, 0.0, 0.0, 0.0);
        for (point, since_ms) in until(points, prior::NEEDLESS_MS) {
            let left_ms = |time_ms| f64::from(time_ms) - since_ms;
            needless += open * self.brings_within(point, left_ms(prior::NEEDLESS_MS));
            if left_ms(prior::RING_MS) > 0.0 {
                rings += open * self.brings_within(point, left_ms(prior::RING_MS));
            }
            if left_ms(prior::CALL_MS) > 0.0 {
                until_call_ms += open * point.waits_ms * point.part_within(left_ms(prior::CALL_MS));
            }
            open *= point.stays;
        }
        let Some(now) = points.first_mut() else { return };
        (now.rings, now.needless) = (rings, needless);
        now.waits_called_ms = until_call_ms + (1.0 - self.saves) * (now.waits_all_ms - until_call_ms).max(0.0);
    }

    /// Share of texts that bring the code within [`SOON_MS`] of the first point.
    fn soon(&self, points: &[Point]) -> f64 {
        let (mut open, mut share) = (1.0, 0.0);
        for (point, since_ms) in until(points, SOON_MS) {
            share += open * self.brings_within(point, f64::from(SOON_MS) - since_ms);
            open *= point.stays;
        }
        share
    }

    /// Share of the texts of a point that bring the code within this time, some after a report.
    fn brings_within(&self, point: &Point, time_ms: f64) -> f64 {
        let part = point.part_within(time_ms);
        let direct = point.verified * part;
        let Some(report) = &self.report else { return direct };
        let after_ms = (time_ms - part * point.lasts_ms / 2.0).max(0.0);
        direct + point.reported * part * report.converted_within(after_ms)
    }
}

impl<'a> Report<'a> {
    fn new(estimates: &'a Estimates) -> Self {
        let by_second = |second| estimates.converted_after_delivered_by(second as u32 * 1000);
        Self {
            hazards: estimates.hazard(Curve::Delivered),
            converted_by_second: std::array::from_fn(by_second),
            converted: estimates.converted_after_delivered(),
        }
    }

    /// Share of reported texts that is verified this long after the report, interpolated between seconds.
    fn converted_within(&self, after_ms: f64) -> f64 {
        let by_second = &self.converted_by_second;
        let second = ((after_ms / 1000.0) as u32).min(SECONDS as u32 - 1);
        let (from, to) = (by_second[second as usize], by_second[second as usize + 1]);
        from + (after_ms / 1000.0 - f64::from(second)) * (to - from)
    }
}

impl Point {
    /// The part of the time until the next point that has passed when this much time has.
    fn part_within(&self, time_ms: f64) -> f64 {
        if time_ms >= self.lasts_ms { 1.0 } else { time_ms / self.lasts_ms }
    }
}

/// The points that begin within this time of the first one, and how long after it each begins.
fn until(points: &[Point], time_ms: u32) -> impl Iterator<Item = (&Point, f64)> {
    let began_ms = points.first().map_or(0, |first| first.clock_ms);
    let since = points.iter().map(move |point| (point, point.clock_ms - began_ms));
    since.take_while(move |(_, since_ms)| *since_ms < time_ms).map(|(point, since_ms)| (point, f64::from(since_ms)))
}

/// Share of texts whose code, without a report, is entered so soon that its person has it already.
fn in_hand(points: &[Point]) -> f64 {
    let (mut open, mut share) = (1.0, 0.0);
    for (point, since_ms) in until(points, prior::READ_MS) {
        share += open * point.verified * point.part_within(f64::from(prior::READ_MS) - since_ms);
        open *= point.stays;
    }
    share
}

/// Share of people without a code who are still present at this age.
pub(super) fn share_present(age_ms: u32) -> f64 {
    PRESENT_BY_SECOND[((age_ms / 1000) as usize).min(PRESENT_BY_SECOND.len() - 1)]
}

/// [`prior::PRESENT`] for every second: one plan reads it about a thousand times.
static PRESENT_BY_SECOND: [f64; 601] = {
    let mut by_second = [prior::PRESENT[BUCKETS]; 601];
    let mut i = 0;
    while i < BUCKETS {
        let (from, to) = (edge_ms(i) / 1000, edge_ms(i + 1) / 1000);
        let mut second = from;
        while second < to {
            let share = (second - from) as f64 / (to - from) as f64;
            by_second[second as usize] = prior::PRESENT[i] + share * (prior::PRESENT[i + 1] - prior::PRESENT[i]);
            second += 1;
        }
        i += 1;
    }
    by_second
};
