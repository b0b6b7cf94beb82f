//! What is assumed before anything has been learned, and the constants of the adaptive policy.
//!
//! `docs/escalation.md` says how they were chosen and how little the results depend on them.

use super::curves::{BUCKETS, BucketCounts, CURVES, Level};

/// Hazards of a text on a route without statistics, in the order of [`Curve`](super::Curve).
///
/// Of ten texts, six are reported as delivered, after about 6 s, and three more are verified without a report, after
/// about 17 s, both with a tail. Nine of ten reported texts are verified, about 9 s after the report. After a resend,
/// three of four are, after about 16 s.
pub(super) const HAZARDS: [BucketCounts; CURVES] = [
    [
        0.0001, 0.0023, 0.0110, 0.0247, 0.0385, 0.0494, 0.0566, 0.0602, 0.0610, 0.0598, 0.0825, 0.0741, 0.0829, 0.0808,
        0.0606, 0.0521, 0.0414, 0.0283, 0.0268, 0.0180, 0.0184, 0.0131, 0.0131, 0.0122, 0.0124, 0.0118, 0.0110, 0.0085,
        0.0042,
    ],
    [
        0.0322, 0.1273, 0.1438, 0.1244, 0.0994, 0.0774, 0.0601, 0.0469, 0.0371, 0.0297, 0.0339, 0.0258, 0.0260, 0.0245,
        0.0196, 0.0197, 0.0197, 0.0173, 0.0216, 0.0188, 0.0236, 0.0194, 0.0207, 0.0198, 0.0197, 0.0182, 0.0161, 0.0116,
        0.0053,
    ],
    [
        0.0142, 0.0982, 0.1598, 0.1831, 0.1868, 0.1807, 0.1696, 0.1557, 0.1406, 0.1251, 0.1551, 0.1255, 0.1256, 0.1075,
        0.0702, 0.0522, 0.0350, 0.0196, 0.0146, 0.0070, 0.0046, 0.0018, 0.0010, 0.0004, 0.0002, 0.0, 0.0, 0.0, 0.0,
    ],
    [
        0.0001, 0.0044, 0.0235, 0.0507, 0.0743, 0.0903, 0.0989, 0.1018, 0.1004, 0.0960, 0.1288, 0.1120, 0.1202, 0.1104,
        0.0770, 0.0610, 0.0444, 0.0278, 0.0247, 0.0158, 0.0159, 0.0112, 0.0110, 0.0100, 0.0096, 0.0086, 0.0075, 0.0053,
        0.0024,
    ],
];

/// Observations that a parent's hazard counts as, per bucket.
pub(super) const PARENT_WEIGHT: f64 = 20.0;
/// Events that the usual level counts as when a route's hazards are scaled to its fast copy.
pub(super) const SCALE_WEIGHT: f64 = 0.2;

/// Factor that each new verification applies to older counts: they halve after 3000, 600 and 400 verifications.
pub(super) const fn fade(level: Level) -> f32 {
    match level {
        Level::World => 0.999_769,
        Level::Country => 0.998_845,
        Level::Route | Level::AppRoute => 0.998_269,
    }
}
/// The same factor for the fast copy, which halves after 6 verifications.
pub(super) const FADE_FAST: f32 = 0.890_899;

/// Codes of an app that allow one of its verifications without a code to teach what apps share.
pub(super) const CODES_PER_ALLOWANCE: u8 = 4;
/// Codes that are kept for that: two verifications are what a burst of them without codes can teach.
pub(super) const CODES_MAX: u8 = 2 * CODES_PER_ALLOWANCE;

/// Tests of conversion since the doubt began, before which delivery reports are not distrusted.
pub(super) const DISTRUST_TESTS_MIN: u16 = 3;
/// Cap of the CUSUM statistic of conversion while no call has shown that people who enter no code want one.
pub(super) const SURPRISE_WITHOUT_WITNESS: f32 = 3.0;
/// Factor that each new verification applies to such a witness, which counts until half is left.
pub(super) const FADE_WITNESS: f32 = 0.99;

/// Calls for distrust of delivery reports that may bring no code before such calls stop.
pub(super) const VAIN_CALLS_MAX: f32 = 8.0;
/// Factor that each new verification applies to their number: about one in six is then tried again.
pub(super) const FADE_VAIN_CALLS: f32 = 0.98;

/// A test compares the usual route with one on which this share of the usual events comes.
pub(super) const WORSE_SHARE: f32 = 0.4;
/// The CUSUM statistic at which a change of the route is as probable as no change.
pub(super) const SURPRISE_HALF: f64 = 4.0;
/// Cap of the CUSUM statistic, so that a recovered route returns to its usual hazards soon.
pub(super) const SURPRISE_MAX: f32 = 9.0;

/// A test is made at the edge by which this share of all first events, or codes, has usually come.
pub(super) const CHECK_SHARE: f64 = 0.8;
/// The latest time of a test on its clock.
pub(super) const CHECK_LATEST_MS: u32 = 40_000;

/// One in this many early plans is a probe.
pub(super) const PROBE_EVERY: u32 = 24;
/// A planned call before this age is early: it censors the route's late texts.
pub(super) const EARLY_MS: u32 = 14_000;
/// Age until which a probe waits.
pub(super) const PROBE_MS: u32 = 30_000;

/// Age before which no call is placed, except for a lost text.
pub(super) const CALL_EARLIEST_MS: u32 = 8_000;
/// Age before which no call follows a delivery report on a route that the app hardly knows.
pub(super) const REPORTED_NEW_ROUTE_MS: u32 = 30_000;
/// Verifications of an app on a route, below which it hardly knows the route.
pub(super) const NEW_ROUTE_STARTS: f32 = 5.0;
/// Age beyond which a silent text is not waited for.
pub(super) const CALL_LATEST_MS: u32 = 120_000;

/// Share of people in need whom a call reaches, who hear the code and enter it.
pub(super) const CALL_SAVES: f64 = 0.75;
/// The same after a delivery report.
pub(super) const CALL_SAVES_REPORTED: f64 = 0.65;
/// Time from placing a call until the code is heard.
pub(super) const CALL_MS: u32 = 18_000;
/// Time until a call is answered; a code entered by then ends the call, and nothing is billed.
pub(super) const RING_MS: u32 = 11_000;
/// Share of uninterrupted calls that a person or a machine answers, which are billed.
pub(super) const BILLED_SHARE: f64 = 0.78;
/// Share of people who never enter a code: mistyped numbers, abuse, changed minds.
pub(super) const NO_INTENT: f64 = 0.045;
/// Weight of that share against what calls teach.
pub(super) const NO_INTENT_WEIGHT: f64 = 1200.0;
pub(super) const NO_INTENT_MIN: f64 = 0.01;
pub(super) const NO_INTENT_MAX: f64 = 0.4;
/// A call is needless when the code would have been entered within this time anyway.
pub(super) const NEEDLESS_MS: u32 = 30_000;
/// Time from receiving the code to entering it.
pub(super) const READ_MS: u32 = 9_000;

/// Share of people without a code who are still present at each edge: half leave within 42 s.
pub(super) const PRESENT: [f64; BUCKETS + 1] = [
    1.0000, 0.9999, 0.9984, 0.9925, 0.9809, 0.9636, 0.9413, 0.9152, 0.8862, 0.8552, 0.8231, 0.7742, 0.7256, 0.6630,
    0.5901, 0.5243, 0.4547, 0.3856, 0.3279, 0.2616, 0.2103, 0.1538, 0.1144, 0.0789, 0.0513, 0.0296, 0.0147, 0.0056,
    0.0015, 0.0004,
];
