//! [`RouteStats`]: what has been learned of a route, a country or the world.
//!
//! It adds up [`Lesson`]s. Each new verification fades the older counts, so that the recent past weighs most. An app's
//! statistics of a route also keep a *fast* copy of the counts, which covers about the last nine verifications, and one
//! CUSUM statistic (`surprise`) for each [`RouteTest`]. It gives the probability that the route has become worse; the
//! estimates weight the fast copy by that probability. What apps share learns from ended verifications alone, and from
//! one without a code only where others have earned it by their codes. The statistics decide nothing, hold no single
//! verification and do no IO.

use strum::EnumCount;

use super::allowance::Allowances;
use super::curves::{BUCKETS, BucketCounts, CURVES, Level, RouteTest};
use super::evidence::RouteEvidence;
use super::lesson::{Lesson, Life};
use super::life::lessons_of;
use super::prior;
use super::teacher::{PACKED, RecentTeachers};

/// Texts at risk and events, per curve and bucket; old ones have faded.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Counts {
    /// Texts open at the start of the bucket and observed until its end or the event.
    pub(super) n: [BucketCounts; CURVES],
    /// Events in the bucket.
    pub(super) e: [BucketCounts; CURVES],
}

/// Statistics of one route, one country or the world.
#[derive(Clone, Debug, PartialEq)]
pub struct RouteStats {
    level: Level,
    pub(super) slow: Counts,
    /// An app's route only: about the last nine verifications. A shared route has one of zeros, for the packed form.
    pub(super) fast: Option<Box<Counts>>,
    /// CUSUM statistic per test: how far results have lately fallen below expectations.
    surprise: [f32; RouteTest::COUNT],
    /// Share of people who never enter a code, as called verifications show it: the weighted sum and the weight.
    pub(super) no_intent: [f32; 2],
    /// Number of early plans, which selects the probes; wraps.
    early: u32,
    /// Number of verifications, faded like the counts.
    starts: f32,
    /// What apps share: how many verifications without a code each app may still teach.
    allowances: Allowances,
    /// An app's route: whom its recent verifications came from.
    pub(super) recent: RecentTeachers,
    /// An app's route: the texts behind each doubt.
    evidence: [RouteEvidence; RouteTest::COUNT],
    /// An app's route: calls for distrust that brought no code since one did; older ones count less.
    vain_calls: f32,
    /// An app's route: 1 when a call after a delivery report brought the code; fades.
    witness: f32,
}

impl Counts {
    const EMPTY: Self = Self { n: [[0.0; BUCKETS]; CURVES], e: [[0.0; BUCKETS]; CURVES] };

    fn rows(&self) -> impl Iterator<Item = &BucketCounts> {
        self.n.iter().chain(&self.e)
    }

    fn rows_mut(&mut self) -> impl Iterator<Item = &mut BucketCounts> {
        self.n.iter_mut().chain(&mut self.e)
    }

    /// Flushes counts below 1e-6 to zero: denormals are slow.
    fn fade(&mut self, by: f32) {
        for cell in self.rows_mut().flatten() {
            *cell = if *cell < 1e-6 { 0.0 } else { *cell * by };
        }
    }

    fn learn(&mut self, lesson: Lesson) {
        match lesson {
            Lesson::Survived { curve, from, to } => {
                let to = usize::from(to).min(BUCKETS);
                for n in &mut self.n[curve as usize][usize::from(from).min(to)..to] {
                    *n += 1.0;
                }
            }
            Lesson::Happened { curve, bucket } if usize::from(bucket) < BUCKETS => {
                self.n[curve as usize][usize::from(bucket)] += 1.0;
                self.e[curve as usize][usize::from(bucket)] += 1.0;
            }
            Lesson::Happened { .. }
            | Lesson::Started
            | Lesson::Tested { .. }
            | Lesson::Called { .. }
            | Lesson::EarlyCallPlanned
            | Lesson::TaughtBy(_)
            | Lesson::Proved(_)
            | Lesson::DistrustCalled
            | Lesson::DistrustJustified
            | Lesson::Lived(_) => {}
        }
    }
}

impl RouteStats {
    /// Statistics without any verification.
    pub fn new(level: Level) -> Self {
        Self {
            level,
            slow: Counts::EMPTY,
            fast: matches!(level, Level::Route | Level::AppRoute).then(|| Box::new(Counts::EMPTY)),
            surprise: [0.0; RouteTest::COUNT],
            no_intent: [0.0; 2],
            early: 0,
            starts: 0.0,
            allowances: Allowances::default(),
            recent: RecentTeachers::default(),
            evidence: [RouteEvidence::default(); RouteTest::COUNT],
            vain_calls: 0.0,
            witness: 0.0,
        }
    }

    /// Learns one lesson; a malformed one changes nothing.
    pub fn apply(&mut self, lesson: Lesson) {
        match lesson {
            // The steps of a verification teach the app that began it; only its end teaches the others.
            _ if !lesson.is_for(self.level) => {}
            Lesson::Lived(life) => self.learn_life(&life),
            step => self.learn_step(step),
        }
    }

    fn learn_step(&mut self, lesson: Lesson) {
        match lesson {
            Lesson::Started => {
                self.start();
                self.vain_calls *= prior::FADE_VAIN_CALLS;
                self.witness *= prior::FADE_WITNESS;
                if let Some(fast) = &mut self.fast {
                    fast.fade(prior::FADE_FAST);
                }
            }
            Lesson::Survived { .. } | Lesson::Happened { .. } => {
                self.slow.learn(lesson);
                if let Some(fast) = &mut self.fast {
                    fast.learn(lesson);
                }
            }
            Lesson::Called { share, weight } if share.is_finite() && weight.is_finite() => {
                self.no_intent[0] += share;
                self.no_intent[1] += weight;
                // The person wanted the code, and the text that was reported as delivered had not brought it.
                if share < 0.0 {
                    self.witness = 1.0;
                }
            }
            Lesson::Called { .. } => {}
            Lesson::Tested { test, hit, p, at_s } => self.update_surprise(test, hit, p, at_s),
            Lesson::EarlyCallPlanned => self.early = self.early.wrapping_add(1),
            Lesson::TaughtBy(teacher) => self.recent.add(teacher),
            Lesson::Proved(teacher) => self.recent.prove(teacher),
            Lesson::DistrustCalled => self.vain_calls += 1.0,
            Lesson::DistrustJustified => self.vain_calls = 0.0,
            Lesson::Lived(_) => {}
        }
    }

    /// Learns from a verification of any app, if the app's allowance admits it.
    fn learn_life(&mut self, life: &Life) {
        if !self.allowances.admit(life) {
            return;
        }
        self.start();
        lessons_of(life).into_iter().for_each(|lesson| self.slow.learn(lesson));
    }

    /// A verification is counted: older counts fade.
    fn start(&mut self) {
        let by = prior::fade(self.level);
        self.slow.fade(by);
        self.starts = self.starts * by + 1.0;
        self.no_intent = self.no_intent.map(|sum| sum * by);
    }

    /// Updates the one-sided CUSUM: a sum of log-likelihood ratios of a worse route to the usual one.
    ///
    /// Misses raise it, hits lower it, and the floor at zero keeps chance from adding up. The cap lets a route that
    /// has recovered return to its usual hazards soon.
    fn update_surprise(&mut self, test: RouteTest, hit: bool, p: f32, at_s: u32) {
        if !p.is_finite() {
            return;
        }
        let p = p.clamp(0.05, 0.97);
        let worse = (p * prior::WORSE_SHARE).max(0.02);
        let ratio = if hit { worse / p } else { (1.0 - worse) / (1.0 - p) };
        let surprise = &mut self.surprise[test as usize];
        *surprise = (*surprise + ratio.ln()).clamp(0.0, prior::SURPRISE_MAX);
        let is_doubted = *surprise > 0.0;
        self.evidence[test as usize].count(hit, at_s, is_doubted);
    }

    /// The texts behind [`doubt`](Self::doubt).
    pub(super) fn evidence(&self, test: RouteTest) -> RouteEvidence {
        self.evidence[test as usize]
    }

    /// Whether calls for distrust of delivery reports brought so few codes that no more are made for now.
    pub fn is_distrust_capped(&self) -> bool {
        self.vain_calls >= prior::VAIN_CALLS_MAX
    }

    /// Probability, by this test, that the route is now worse than it used to be.
    pub(super) fn doubt(&self, test: RouteTest) -> f64 {
        let is_capped = test == RouteTest::Conversion && self.witness < 0.5;
        let cap = if is_capped { prior::SURPRISE_WITHOUT_WITNESS } else { prior::SURPRISE_MAX };
        1.0 / (1.0 + (prior::SURPRISE_HALF - f64::from(self.surprise[test as usize].min(cap))).exp())
    }

    /// Number of verifications behind the statistics; old ones count less.
    pub fn starts(&self) -> f32 {
        self.starts
    }

    /// Whether the route's next early plan is a probe.
    pub(super) fn is_next_early_plan_a_probe(&self) -> bool {
        self.early % prior::PROBE_EVERY == prior::PROBE_EVERY - 1
    }
}

const VERSION: u8 = 1;

/// Bytes that an app's route has behind the counts.
const MORE: usize = PACKED + RouteTest::COUNT * RouteEvidence::PACKED + 8;

/// Packed for a shared store: version, level, the small fields, then the counts as little-endian `f32`.
///
/// Packed by hand: a self-describing format spends a type byte on each count and exceeds 2 KB.
impl RouteStats {
    /// Packs into at most 2 KB.
    pub fn to_bytes(&self) -> Vec<u8> {
        // What apps share counts no early plans: the allowances are in the place of their number.
        let early = if self.level == Level::AppRoute { self.early } else { self.allowances.to_bits() };
        let mut bytes = vec![VERSION, self.level as u8, 0, 0];
        bytes.extend(early.to_le_bytes());
        let rows = self.slow.rows().chain(self.fast.iter().flat_map(|fast| fast.rows())).flatten();
        let floats = [self.starts].into_iter().chain(self.surprise).chain(self.no_intent).chain(rows.copied());
        bytes.extend(floats.flat_map(f32::to_le_bytes));
        if self.level == Level::AppRoute {
            bytes.extend(self.recent.to_bytes());
            bytes.extend(self.evidence.iter().flat_map(|evidence| evidence.to_bytes()));
            bytes.extend([self.vain_calls, self.witness].into_iter().flat_map(f32::to_le_bytes));
        }
        bytes
    }

    /// Unpacks; `None` for another version, a wrong length or a number that is not finite.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (head, rest) = bytes.split_first_chunk::<8>()?;
        let level = Level::from_repr(head[1])?;
        let mut stats = Self::new(level);
        let rows = if stats.fast.is_some() { 4 * CURVES } else { 2 * CURVES };
        let (rest, more) = rest.split_at_checked(4 * (5 + rows * BUCKETS))?;
        let is_app = level == Level::AppRoute;
        if head[0] != VERSION || more.len() != if is_app { MORE } else { 0 } {
            return None;
        }
        stats.early = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
        let (floats, _) = rest.as_chunks::<4>();
        let mut floats = floats.iter().map(|four| f32::from_le_bytes(*four));
        let slots = std::iter::once(&mut stats.starts)
            .chain(&mut stats.surprise)
            .chain(&mut stats.no_intent)
            .chain(stats.slow.rows_mut().flatten());
        for slot in slots.chain(stats.fast.iter_mut().flat_map(|fast| fast.rows_mut().flatten())) {
            *slot = floats.next().filter(|float| float.is_finite())?;
        }
        if is_app {
            stats.unpack_more(more)?;
        } else {
            // A replica of an older version made tests for all apps, and kept a fast copy of their counts.
            (stats.allowances, stats.early) = (Allowances::from_bits(stats.early), 0);
            stats.surprise = [0.0; RouteTest::COUNT];
            stats.fast = stats.fast.map(|_| Box::new(Counts::EMPTY));
        }
        Some(stats)
    }

    fn unpack_more(&mut self, more: &[u8]) -> Option<()> {
        let (recent, more) = more.split_first_chunk::<PACKED>()?;
        self.recent = RecentTeachers::from_bytes(recent);
        let (evidence, floats) = more.split_at_checked(RouteTest::COUNT * RouteEvidence::PACKED)?;
        for (to, packed) in self.evidence.iter_mut().zip(evidence.as_chunks().0) {
            *to = RouteEvidence::from_bytes(*packed);
        }
        for (to, four) in [&mut self.vain_calls, &mut self.witness].into_iter().zip(floats.as_chunks().0) {
            *to = Some(f32::from_le_bytes(*four)).filter(|float| float.is_finite())?;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests;
