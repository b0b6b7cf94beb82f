//! [`Outlook`]: what may still happen to a text, from any moment of its current stage.
//!
//! A text is in one of three stages: silent, reported as delivered, or asked for again. The outlook holds the
//! probabilities that the planner needs; the planner adds the costs.

use super::curves::{BUCKETS, Curve, bucket_of, edge_ms};
use super::estimates::{Estimates, Hazards};
use super::prior;

/// Seconds after a report for which conversion is tabulated: the longest horizon of [`Outlook::within`].
const SECONDS: usize = prior::NEEDLESS_MS as usize / 1000;

/// One stage of a text: the hazards that end it, and what is assumed of the people in it.
pub(super) struct Outlook<'a> {
    verified: &'a Hazards,
    /// Hazard of a delivery report; silent texts only.
    reported: Option<&'a Hazards>,
    /// Share of reported texts that is verified by each second after the report.
    converted_after_delivered_by_second: [f64; SECONDS + 1],
    /// Share of reported texts that is verified in the end.
    converted_after_delivered: f64,
    no_intent: f64,
    /// Whether every person who will enter the code already has it.
    is_in_hand: bool,
    /// Share of people in need whom a call reaches.
    pub(super) saves: f64,
    /// Age beyond which the policy does not wait.
    pub(super) latest_ms: u32,
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
    /// Probability that the text brings the code in the end.
    pub(super) text: f64,
    /// The same within 10 s.
    pub(super) soon: f64,
    /// The same within [`prior::NEEDLESS_MS`].
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
        let by_second = |second| estimates.converted_after_delivered_by(second as u32 * 1000);
        Self {
            verified: estimates.hazard(Curve::Verified),
            reported: Some(estimates.hazard(Curve::Delivered)),
            converted_after_delivered_by_second: std::array::from_fn(by_second),
            converted_after_delivered: estimates.converted_after_delivered(),
            no_intent: estimates.no_intent,
            is_in_hand: false,
            saves: prior::CALL_SAVES,
            latest_ms: prior::CALL_LATEST_MS,
        }
    }

    /// Reported as delivered.
    pub(super) fn reported(estimates: &'a Estimates) -> Self {
        Self {
            verified: estimates.hazard(Curve::VerifiedAfterDelivered),
            reported: None,
            is_in_hand: true,
            saves: prior::CALL_SAVES_REPORTED,
            latest_ms: u32::MAX,
            ..Self::silent(estimates)
        }
    }

    /// Asked for again: the person is present, has no code and wants one.
    pub(super) fn resent(estimates: &'a Estimates) -> Self {
        Self {
            verified: estimates.hazard(Curve::VerifiedAfterResend),
            reported: None,
            no_intent: 0.0,
            ..Self::silent(estimates)
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
                points.push(Point {
                    clock_ms: from,
                    lasts_ms: left * whole,
                    verified: verified * left,
                    reported: reported * left,
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
        let (verified, reported) = (self.verified[i], self.reported.map_or(0.0, |row| row[i]));
        let both = (verified + reported).max(1.0);
        (verified / both, reported / both)
    }

    fn look_ahead(&self, points: &mut [Point]) {
        // Share of the open texts that is verified in the end: without a report, and after one.
        let (mut direct, mut by_report) = (0.0, 0.0);
        for k in (0..points.len()).rev() {
            let stays = 1.0 - points[k].verified - points[k].reported;
            direct = points[k].verified + stays * direct;
            by_report = points[k].reported * self.converted_after_delivered + stays * by_report;
            let text = direct + by_report;
            let no_intent = (self.no_intent * points[k].no_intent_gain).min(1.0 - text).max(0.0);
            let in_hand = self.within(&points[k..], prior::READ_MS, false);
            let point = &mut points[k];
            point.text = text;
            point.no_intent = no_intent;
            point.need = (1.0 - text - no_intent).max(0.0);
            point.waiting = if self.is_in_hand { 0.0 } else { (text - in_hand).max(0.0) };
            let (waiting_next, all_next) = match points.get(k + 1) {
                Some(next) => (next.waiting, next.waits_all_ms),
                None => (0.0, 0.0),
            };
            let point = &mut points[k];
            point.waits_ms = point.lasts_ms * (point.waiting + stays * waiting_next) / 2.0;
            point.waits_all_ms = point.waits_ms + stays * all_next;
            let rest = &points[k..];
            // Only the explanation reads it, and only at the first point.
            let soon = if k == 0 { self.within(rest, 10_000, true) } else { 0.0 };
            let needless = self.within(rest, prior::NEEDLESS_MS, true);
            let rings = self.within(rest, prior::RING_MS, true);
            let until_call = waits_within(rest, prior::CALL_MS);
            let point = &mut points[k];
            (point.soon, point.needless, point.rings) = (soon, needless, rings);
            point.waits_called_ms = until_call + (1.0 - self.saves) * (point.waits_all_ms - until_call).max(0.0);
        }
    }

    /// Share of reported texts that is verified this long after the report, interpolated between seconds.
    fn converted_after_delivered_within(&self, after_ms: f64) -> f64 {
        let by_second = &self.converted_after_delivered_by_second;
        let second = ((after_ms / 1000.0) as usize).min(by_second.len() - 2);
        let (from, to) = (by_second[second], by_second[second + 1]);
        from + (after_ms / 1000.0 - second as f64) * (to - from)
    }

    /// Share of texts that bring the code within this time of the first point.
    ///
    /// `by_report` includes those that are reported first.
    fn within(&self, points: &[Point], time_ms: u32, by_report: bool) -> f64 {
        let (mut open, mut share) = (1.0, 0.0);
        for point in points {
            let left = f64::from(time_ms) - f64::from(point.clock_ms - points[0].clock_ms);
            if left <= 0.0 {
                break;
            }
            let part = if point.lasts_ms > 0.0 { (left / point.lasts_ms).min(1.0) } else { 1.0 };
            share += open * point.verified * part;
            if by_report && point.reported > 0.0 {
                let after = (left - part * point.lasts_ms / 2.0).max(0.0);
                share += open * point.reported * part * self.converted_after_delivered_within(after);
            }
            open *= 1.0 - point.verified - point.reported;
        }
        share
    }
}

/// Expected time without a code within this time of the first point, of people whom the text brings it.
fn waits_within(points: &[Point], time_ms: u32) -> f64 {
    let (mut open, mut waits) = (1.0, 0.0);
    for point in points {
        let left = f64::from(time_ms) - f64::from(point.clock_ms - points[0].clock_ms);
        if left <= 0.0 {
            break;
        }
        let part = if point.lasts_ms > 0.0 { (left / point.lasts_ms).min(1.0) } else { 1.0 };
        waits += open * point.waits_ms * part;
        open *= 1.0 - point.verified - point.reported;
    }
    waits
}

/// Share of people without a code who are still present at this age.
pub(super) fn share_present(age_ms: u32) -> f64 {
    PRESENT_BY_SECOND[(age_ms as usize / 1000).min(PRESENT_BY_SECOND.len() - 1)]
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
