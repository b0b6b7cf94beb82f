//! [`Outlook`]: what may still become of a text in one of three stages (nothing heard; reported as delivered; asked for
//! again), from any moment of it on. The probabilities of `adaptive`, without its prices.

use super::curves::{BUCKETS, Curve, bucket_of, edge_ms};
use super::estimates::{Curve64, Estimates};
use super::prior;

/// As far as [`Outlook::within`] looks.
const SECONDS: usize = prior::NEEDLESS_MS as usize / 1000;

/// A stage of a text's life: what ends it, and what is assumed of the people in it.
pub(super) struct Outlook<'a> {
    verified: &'a Curve64,
    /// Silent texts alone can still be reported.
    reported: Option<&'a Curve64>,
    /// The share of reported texts that is verified by each second after the report, and in the end.
    believed: [f64; SECONDS + 1],
    believed_ever: f64,
    no_intent: f64,
    /// Whose code will be entered already has it.
    is_in_hand: bool,
    /// Who needs the code gets it from a call.
    pub saves: f64,
    /// No waiting from this age on.
    pub latest_ms: u32,
}

/// What holds at one moment, for those whose stage has not ended by then.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Point {
    /// The moment, on the stage's clock.
    pub clock_ms: u32,
    /// Until the next one.
    pub lasts_ms: f64,
    /// Until then it is verified; it is reported.
    pub verified: f64,
    pub reported: f64,
    /// The text brings the code in the end; within 10 s; within the time that makes a call needless; while it rings.
    pub text: f64,
    pub soon: f64,
    pub needless: f64,
    pub rings: f64,
    /// Nobody will enter a code, whatever comes.
    pub no_intent: f64,
    /// How many times as likely that is as among all texts.
    pub no_intent_gain: f64,
    /// Somebody wants the code and the text will not bring it.
    pub need: f64,
    /// Time without a code of those whom the text still brings it: until the next point; until it comes although
    /// the call is placed now.
    pub waits_ms: f64,
    pub waits_called_ms: f64,
    /// The share of them that is without it now, and how long they wait if never called.
    waiting: f64,
    waits_all_ms: f64,
}

impl<'a> Outlook<'a> {
    pub(super) fn silent(estimates: &'a Estimates) -> Self {
        Self {
            verified: estimates.hazard(Curve::Verified),
            reported: Some(estimates.hazard(Curve::Delivered)),
            believed: std::array::from_fn(|second| estimates.believed_by(second as u32 * 1000)),
            believed_ever: estimates.believed(),
            no_intent: estimates.no_intent,
            is_in_hand: false,
            saves: prior::CALL_SAVES,
            latest_ms: prior::CALL_LATEST_MS,
        }
    }

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

    /// Who asks again is there and has nothing.
    pub(super) fn resent(estimates: &'a Estimates) -> Self {
        Self {
            verified: estimates.hazard(Curve::VerifiedAfterResend),
            reported: None,
            no_intent: 0.0,
            ..Self::silent(estimates)
        }
    }

    /// This moment and every edge after it.
    pub(super) fn points(&self, clock_ms: u32) -> Vec<Point> {
        let first = bucket_of(clock_ms);
        let mut points = Vec::with_capacity(BUCKETS);
        // Of all texts, and of those that cannot be verified: who is still in the stage?
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

    /// Hazards of a bucket, never more than certain together.
    fn hazards(&self, i: usize) -> (f64, f64) {
        let (verified, reported) = (self.verified[i], self.reported.map_or(0.0, |row| row[i]));
        let both = (verified + reported).max(1.0);
        (verified / both, reported / both)
    }

    fn look_ahead(&self, points: &mut [Point]) {
        // Of those open now: verified in the end without a report; reported and then verified.
        let (mut direct, mut by_report) = (0.0, 0.0);
        for k in (0..points.len()).rev() {
            let stays = 1.0 - points[k].verified - points[k].reported;
            direct = points[k].verified + stays * direct;
            by_report = points[k].reported * self.believed_ever + stays * by_report;
            let text = direct + by_report;
            let no_intent = (self.no_intent * points[k].no_intent_gain).min(1.0 - text).max(0.0);
            let have_it = self.within(&points[k..], prior::READ_MS, false);
            let point = &mut points[k];
            point.text = text;
            point.no_intent = no_intent;
            point.need = (1.0 - text - no_intent).max(0.0);
            point.waiting = if self.is_in_hand { 0.0 } else { (text - have_it).max(0.0) };
            let (waiting_next, all_next) = match points.get(k + 1) {
                Some(next) => (next.waiting, next.waits_all_ms),
                None => (0.0, 0.0),
            };
            let point = &mut points[k];
            point.waits_ms = point.lasts_ms * (point.waiting + stays * waiting_next) / 2.0;
            point.waits_all_ms = point.waits_ms + stays * all_next;
            let rest = &points[k..];
            // Only what is explained needs it, and only of the first.
            let soon = if k == 0 { self.within(rest, 10_000, true) } else { 0.0 };
            let needless = self.within(rest, prior::NEEDLESS_MS, true);
            let rings = self.within(rest, prior::RING_MS, true);
            let until_call = waits_within(rest, prior::CALL_MS);
            let point = &mut points[k];
            (point.soon, point.needless, point.rings) = (soon, needless, rings);
            point.waits_called_ms = until_call + (1.0 - self.saves) * (point.waits_all_ms - until_call).max(0.0);
        }
    }

    /// The share of reported texts that is verified this long after the report.
    fn believed_within(&self, after_ms: f64) -> f64 {
        let second = ((after_ms / 1000.0) as usize).min(self.believed.len() - 2);
        let (from, to) = (self.believed[second], self.believed[second + 1]);
        from + (after_ms / 1000.0 - second as f64) * (to - from)
    }

    /// The share that the text brings the code within this time of the first point, by way of a report too or not.
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
                share += open * point.reported * part * self.believed_within(after);
            }
            open *= 1.0 - point.verified - point.reported;
        }
        share
    }
}

/// How long those whom the text brings the code are without it within this time of the first point.
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

/// The share of people without a code who are still there at this age.
pub(super) fn stays(age_ms: u32) -> f64 {
    STAYS[(age_ms as usize / 1000).min(STAYS.len() - 1)]
}

/// [`prior::STAYS`] for every second, because it is read a thousand times per plan.
static STAYS: [f64; 601] = {
    let mut by_second = [prior::STAYS[BUCKETS]; 601];
    let mut i = 0;
    while i < BUCKETS {
        let (from, to) = (edge_ms(i) / 1000, edge_ms(i + 1) / 1000);
        let mut second = from;
        while second < to {
            let share = (second - from) as f64 / (to - from) as f64;
            by_second[second as usize] = prior::STAYS[i] + share * (prior::STAYS[i + 1] - prior::STAYS[i]);
            second += 1;
        }
        i += 1;
    }
    by_second
};
