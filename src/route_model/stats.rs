//! [`RouteStats`]: what has been learned of a route, a country or the world.
//!
//! It adds up [`Lesson`]s and lets old ones fade with each new verification, so that the recent past counts most. A
//! route also keeps a *fast* copy of its counts, which remembers the last nine or so, and a sum of surprise for
//! each [`Check`]: when less comes than was to be expected the route may have changed, and the fast copy is believed
//! as far as that is likely. A node does not decide, does not know one verification from another and does not store.

use super::curves::{BUCKETS, CURVES, Check, Lesson, Level, Row};
use super::prior;

/// How many were at risk and how many events there were, per curve and bucket; old ones have faded.
#[derive(Clone, Debug, PartialEq)]
pub struct Counts {
    /// Open when the bucket began and watched until it ended or something happened.
    pub n: [Row; CURVES],
    /// To whom it happened in the bucket.
    pub e: [Row; CURVES],
}

/// What is known of a route, a country or the world.
#[derive(Clone, Debug, PartialEq)]
pub struct RouteStats {
    pub(super) level: Level,
    pub(super) slow: Counts,
    /// Routes only: the last nine or so verifications.
    pub(super) fast: Option<Box<Counts>>,
    /// By how much less has come lately than was to be expected, per check.
    pub(super) surprise: [f32; 2],
    /// How many people never enter a code, times the weight, and the weight: as called verifications have shown.
    pub(super) no_intent: [f32; 2],
    /// How many early plans there were, by which probes are chosen; wraps.
    pub(super) early: u32,
    /// How many verifications are remembered, faded like the counts.
    pub(super) starts: f32,
}

impl Counts {
    const EMPTY: Self = Self { n: [[0.0; BUCKETS]; CURVES], e: [[0.0; BUCKETS]; CURVES] };

    fn rows(&self) -> impl Iterator<Item = &Row> {
        self.n.iter().chain(&self.e)
    }

    fn rows_mut(&mut self) -> impl Iterator<Item = &mut Row> {
        self.n.iter_mut().chain(&mut self.e)
    }

    /// What is too little to matter becomes nothing: arithmetic with the tiniest floats is slow.
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
            | Lesson::Checked { .. }
            | Lesson::Called { .. }
            | Lesson::Early => {}
        }
    }
}

impl RouteStats {
    /// A node that knows nothing.
    pub fn new(level: Level) -> Self {
        Self {
            level,
            slow: Counts::EMPTY,
            fast: (level == Level::Route).then(|| Box::new(Counts::EMPTY)),
            surprise: [0.0; 2],
            no_intent: [0.0; 2],
            early: 0,
            starts: 0.0,
        }
    }

    /// Learns one lesson.
    pub fn apply(&mut self, lesson: Lesson) {
        match lesson {
            Lesson::Started => {
                let by = prior::fade(self.level);
                self.slow.fade(by);
                self.starts = self.starts * by + 1.0;
                self.no_intent = self.no_intent.map(|sum| sum * by);
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
            }
            Lesson::Checked { check, hit, p } if self.level == Level::Route => self.check(check, hit, p),
            Lesson::Early if self.level == Level::Route => self.early = self.early.wrapping_add(1),
            Lesson::Checked { .. } | Lesson::Called { .. } | Lesson::Early => {}
        }
    }

    /// A one-sided sum of surprise (CUSUM): it rises while there are fewer hits than expected, falls while there are
    /// as many, and chance keeps it near zero. It is capped, so that a route that has recovered is soon believed.
    fn check(&mut self, check: Check, hit: bool, p: f32) {
        if !p.is_finite() {
            return;
        }
        let p = p.clamp(0.05, 0.97);
        let worse = (p * prior::WORSE).max(0.02);
        let step = if hit { worse / p } else { (1.0 - worse) / (1.0 - p) };
        let sum = &mut self.surprise[check as usize];
        *sum = (*sum + step.ln()).clamp(0.0, prior::SURPRISE_MAX);
    }

    /// How likely it is, as far as this check tells, that the route is doing worse now than it used to.
    pub fn doubt(&self, check: Check) -> f64 {
        1.0 / (1.0 + (prior::SURPRISE_HALF - f64::from(self.surprise[check as usize])).exp())
    }

    /// How many verifications this rests on; old ones count less.
    pub fn starts(&self) -> f32 {
        self.starts
    }

    /// Whether the next early plan of the route should wait instead, to see what would have come.
    pub(super) fn owes_probe(&self) -> bool {
        self.early % prior::PROBE_EVERY == prior::PROBE_EVERY - 1
    }
}

const VERSION: u8 = 1;
const LEVELS: [Level; 3] = [Level::World, Level::Country, Level::Route];

/// Packed, for a shared store: version, level, the small fields, then the counts as little-endian `f32`.
impl RouteStats {
    /// At most 2 KB.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION, self.level as u8, 0, 0];
        bytes.extend(self.early.to_le_bytes());
        let rows = self.slow.rows().chain(self.fast.iter().flat_map(|fast| fast.rows())).flatten();
        let floats = [self.starts].into_iter().chain(self.surprise).chain(self.no_intent).chain(rows.copied());
        bytes.extend(floats.flat_map(f32::to_le_bytes));
        bytes
    }

    /// `None` for what [`RouteStats::to_bytes`] did not write, or for numbers that no counting gives.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (head, rest) = bytes.split_first_chunk::<8>()?;
        let level = *LEVELS.get(usize::from(head[1]))?;
        let mut node = Self::new(level);
        let rows = if node.fast.is_some() { 4 * CURVES } else { 2 * CURVES };
        if head[0] != VERSION || rest.len() != 4 * (5 + rows * BUCKETS) {
            return None;
        }
        node.early = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
        let (floats, _) = rest.as_chunks::<4>();
        let mut floats = floats.iter().map(|four| f32::from_le_bytes(*four));
        let slots = std::iter::once(&mut node.starts)
            .chain(&mut node.surprise)
            .chain(&mut node.no_intent)
            .chain(node.slow.rows_mut().flatten());
        for slot in slots.chain(node.fast.iter_mut().flat_map(|fast| fast.rows_mut().flatten())) {
            *slot = floats.next().filter(|float| float.is_finite())?;
        }
        Some(node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route_model::curves::Curve;

    const VERIFIED: Lesson = Lesson::Happened { curve: Curve::Verified, bucket: 5 };

    fn missed(p: f32) -> Lesson {
        Lesson::Checked { check: Check::FirstEvent, hit: false, p }
    }

    #[test]
    fn a_count_halves_with_so_many_starts_as_its_level_says() {
        for (level, half) in [(Level::World, 3000), (Level::Country, 600), (Level::Route, 400)] {
            let mut node = RouteStats::new(level);
            node.apply(VERIFIED);
            (0..half).for_each(|_| node.apply(Lesson::Started));
            assert!((node.slow.e[0][5] - 0.5).abs() < 0.002, "{level:?}: {}", node.slow.e[0][5]);
        }
    }

    #[test]
    fn the_fast_copy_halves_with_six_starts_and_only_routes_have_one() {
        let mut route = RouteStats::new(Level::Route);
        route.apply(VERIFIED);
        (0..6).for_each(|_| route.apply(Lesson::Started));
        assert!((route.fast.unwrap().e[0][5] - 0.5).abs() < 0.001);
        assert_eq!(RouteStats::new(Level::Country).fast, None);
    }

    #[test]
    fn doubt_comes_with_a_few_silent_texts_and_goes_with_a_few_good_ones() {
        let mut route = RouteStats::new(Level::Route);
        assert!(route.doubt(Check::FirstEvent) < 0.05);
        (0..6).for_each(|_| route.apply(missed(0.76)));
        assert!(route.doubt(Check::FirstEvent) > 0.8);
        (0..100).for_each(|_| route.apply(missed(0.76)));
        (0..10).for_each(|_| route.apply(Lesson::Checked { check: Check::FirstEvent, hit: true, p: 0.76 }));
        assert!(route.doubt(Check::FirstEvent) < 0.1);
        assert!(route.doubt(Check::Conversion) < 0.05);
    }

    #[test]
    fn as_many_misses_as_expected_raise_no_doubt() {
        let mut route = RouteStats::new(Level::Route);
        let mut worst = 0.0_f64;
        for i in 0..1000 {
            route.apply(Lesson::Checked { check: Check::Conversion, hit: i % 4 != 0, p: 0.75 });
            worst = worst.max(route.doubt(Check::Conversion));
        }
        assert!(worst < 0.1, "{worst}");
    }

    #[test]
    fn packs_into_two_kilobytes_and_comes_back_the_same() {
        for level in LEVELS {
            let mut node = RouteStats::new(level);
            for i in 0..50 {
                node.apply(Lesson::Started);
                node.apply(Lesson::Survived { curve: Curve::Delivered, from: 0, to: i % 29 });
                node.apply(Lesson::Happened { curve: Curve::VerifiedAfterDelivered, bucket: i % 29 });
                node.apply(Lesson::Called { share: 0.5, weight: 3.0 });
                node.apply(Lesson::Early);
                node.apply(missed(0.6));
            }
            let bytes = node.to_bytes();
            assert!(bytes.len() <= 2048, "{}", bytes.len());
            assert_eq!(RouteStats::from_bytes(&bytes), Some(node));
        }
    }

    #[test]
    fn what_was_not_packed_here_is_not_read() {
        let good = RouteStats::new(Level::Route).to_bytes();
        let mut other_version = good.clone();
        other_version[0] += 1;
        let mut not_a_number = good.clone();
        not_a_number[8..12].copy_from_slice(&f32::NAN.to_le_bytes());
        for bytes in [&[][..], &good[..7], &good[1..], &other_version, &not_a_number] {
            assert_eq!(RouteStats::from_bytes(bytes), None);
        }
    }

    #[test]
    fn a_lesson_that_makes_no_sense_teaches_nothing() {
        let mut node = RouteStats::new(Level::Route);
        for lesson in [
            Lesson::Happened { curve: Curve::Verified, bucket: 29 },
            Lesson::Survived { curve: Curve::Verified, from: 200, to: 100 },
            Lesson::Called { share: f32::NAN, weight: 1.0 },
            missed(f32::NAN),
        ] {
            node.apply(lesson);
        }
        assert_eq!(node, RouteStats::new(Level::Route));
    }
}
