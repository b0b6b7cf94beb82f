//! What is assumed before anything has been learned, and the constants of the adaptive policy, each with its
//! reason. `docs/escalation.md` says how they were found and how little it matters when one is somewhat off.

use super::curves::{BUCKETS, CURVES, Level, Row};

/// Hazards of a text on a route nobody has used yet: of ten, six are reported as delivered and three more are
/// verified without a report, after about 6 and 17 seconds, with a tail; nine of ten reported ones are verified,
/// after about 9 seconds more; of those asked for again three quarters, after about 16.
pub(super) const HAZARDS: [Row; CURVES] = [
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

/// A parent's hazard weighs as much as so many observations of one's own.
pub(super) const WEIGHT: f64 = 20.0;
/// What the last nine or so verifications of a route do to all its hazards starts from nothing, which weighs as much as
/// so many events.
pub(super) const SCALE_WEIGHT: f64 = 0.2;

/// What is left of a count when the next verification starts: half after 3000, 600 and 400 of them.
pub(super) const fn fade(level: Level) -> f32 {
    match level {
        Level::World => 0.999_769,
        Level::Country => 0.998_845,
        Level::Route => 0.998_269,
    }
}
/// The fast copy halves every 6.
pub(super) const FADE_FAST: f32 = 0.890_899;

/// A check compares what was expected with a route where this share of it comes.
pub(super) const WORSE: f32 = 0.4;
/// At so much surprise it is as likely as not that a route has changed.
pub(super) const SURPRISE_HALF: f64 = 4.0;
/// Surprise grows no further, so that a route that has recovered is soon believed.
pub(super) const SURPRISE_MAX: f32 = 9.0;

/// A check is made where this share of all news that ever comes has come, and at this age at the latest.
pub(super) const CHECK_SHARE: f64 = 0.8;
/// See [`CHECK_SHARE`].
pub(super) const CHECK_LATEST_MS: u32 = 40_000;

/// One in so many early plans is a probe.
pub(super) const PROBE_EVERY: u32 = 24;
/// A plan to call before this age is early: little of the route's delays is seen then.
pub(super) const EARLY_MS: u32 = 14_000;
/// How long a probe waits.
pub(super) const PROBE_MS: u32 = 30_000;

/// No call before this age, except for a text known to be lost.
pub(super) const CALL_EARLIEST_MS: u32 = 8_000;
/// No waiting beyond this age while nothing is reported.
pub(super) const CALL_LATEST_MS: u32 = 120_000;

/// Of those who have no code yet: who is reached by a call, hears the code and enters it.
pub(super) const CALL_SAVES: f64 = 0.75;
/// The same after a report of delivery.
pub(super) const CALL_SAVES_REPORTED: f64 = 0.65;
/// From placing a call to the code being heard.
pub(super) const CALL_MS: u32 = 18_000;
/// Until a call is taken; a code that comes in by then hangs it up and nothing is billed.
pub(super) const RING_MS: u32 = 11_000;
/// Of calls that are not hung up: those that a person or a machine takes, which are billed.
pub(super) const BILLED: f64 = 0.78;
/// People who never enter any code: mistyped numbers, abuse, changed minds.
pub(super) const NO_INTENT: f64 = 0.045;
/// What that weighs against what calls show.
pub(super) const NO_INTENT_WEIGHT: f64 = 1200.0;
pub(super) const NO_INTENT_MIN: f64 = 0.01;
pub(super) const NO_INTENT_MAX: f64 = 0.4;
/// A call is a nuisance when the code would have been entered within this time anyway.
pub(super) const NEEDLESS_MS: u32 = 30_000;
/// From having the code in hand to entering it: who enters it within this time of now already has it.
pub(super) const READ_MS: u32 = 9_000;

/// The share of people who are still there, without a code, at each bucket's beginning: half leave within 42 s.
pub(super) const STAYS: [f64; BUCKETS + 1] = [
    1.0000, 0.9999, 0.9984, 0.9925, 0.9809, 0.9636, 0.9413, 0.9152, 0.8862, 0.8552, 0.8231, 0.7742, 0.7256, 0.6630,
    0.5901, 0.5243, 0.4547, 0.3856, 0.3279, 0.2616, 0.2103, 0.1538, 0.1144, 0.0789, 0.0513, 0.0296, 0.0147, 0.0056,
    0.0015, 0.0004,
];
