//! What has been learned of a route, a country or the world: how texts fare as they grow older.
//!
//! A text's age is cut into [`BUCKETS`]. For each bucket a [`Node`] counts on [`Curve`]s how many texts were still
//! open at its start (`n`) and to how many it then happened (`e`); `e / n` is the *hazard*. A text that stops being
//! watched (its call may have brought the code) simply is in no later `n`: that is all the treatment that censoring
//! needs. Counts fade with each new verification, so that the recent past counts most. A route also keeps a *fast*
//! copy that remembers some dozen verifications; when an alarm says that the route has changed, the fast copy
//! becomes what is known.
//!
//! All of it is learned as [`Lesson`]s, one at a time. This module does not decide anything, does not know one
//! verification from another and does not store: see `adaptive`, `track` and `book`.

use serde::{Deserialize, Serialize};

use super::prior;

/// Into how many parts the life of a text is cut.
pub const BUCKETS: usize = 29;

/// Where buckets begin, in seconds, and where the last one ends.
pub const EDGES_S: [u32; BUCKETS + 1] = [
    0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 23, 26, 30, 35, 40, 46, 53, 60, 70, 80, 95, 110, 130, 155, 190, 240, 320,
    450, 600,
];

/// Where bucket `i` begins (`BUCKETS`: where the last one ends), in milliseconds.
pub const fn edge_ms(i: usize) -> u32 {
    EDGES_S[i] * 1000
}

/// The bucket that this moment of a clock is in; [`BUCKETS`] once it has run out.
pub fn bucket_of(clock_ms: u32) -> usize {
    EDGES_S[1..].partition_point(|edge| edge * 1000 <= clock_ms)
}

/// Something that may happen to a text, counted over a clock of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Curve {
    /// Nothing final was heard, and the code was entered. The clock is the text's age.
    Verified,
    /// Nothing final was heard, and `delivered` was reported. The clock is the text's age.
    Reported,
    /// `delivered` was reported, and the code was entered. The clock starts with the report.
    Believed,
    /// The person asked for the text again, and the code was entered. The clock starts with the asking.
    Resent,
}

/// How many curves there are.
pub const CURVES: usize = 4;

/// One kind of count along one curve.
pub type Row = [f32; BUCKETS];

/// How many were at risk and how many events there were, per curve and bucket; old ones have faded.
#[derive(Clone, Debug, PartialEq)]
pub struct Counts {
    /// Open when the bucket began and watched until it ended or something happened.
    pub n: [Row; CURVES],
    /// To whom it happened in the bucket.
    pub e: [Row; CURVES],
}

/// The two checks by which a change is noticed: is there news of the text by the age at which there nearly always
/// is, and is the code entered soon after `delivered`?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Check {
    /// Some news (a report or the code) of the text.
    News,
    /// The code, after a report.
    Belief,
}

/// What one moment of one verification teaches.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Lesson {
    /// A verification began: what is older fades.
    Started,
    /// Nothing happened in the buckets `from..to`.
    Survived {
        /// On which curve.
        curve: Curve,
        /// The first bucket.
        from: u8,
        /// The bucket after the last.
        to: u8,
    },
    /// It happened in this bucket.
    Happened {
        /// On which curve.
        curve: Curve,
        /// In which bucket.
        bucket: u8,
    },
    /// A check was made: whether it was met, which had been expected with probability `p`.
    Checked {
        /// Which.
        check: Check,
        /// Whether it was met.
        hit: bool,
        /// How probable that had been.
        p: f32,
    },
    /// What became of a called verification: what it says of people who never enter a code, times its weight.
    Called {
        /// The weight times the share.
        share: f32,
        /// The weight.
        weight: f32,
    },
    /// A verification began whose call was planned early: every so many of them waits, to see what would have come.
    Early,
}

/// How far back a node remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Level {
    /// All routes.
    World,
    /// All routes of a country.
    Country,
    /// One route.
    Route,
}

/// What is known of a route, a country or the world.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub(super) level: Level,
    pub(super) slow: Counts,
    /// Routes only: the last dozen verifications.
    pub(super) fast: Option<Box<Counts>>,
    /// How surprising the checks have been lately: news worse, news better, belief worse, belief better.
    pub(super) surprise: [f32; 4],
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

impl Node {
    /// A node that knows nothing.
    pub fn new(level: Level) -> Self {
        Self {
            level,
            slow: Counts::EMPTY,
            fast: (level == Level::Route).then(|| Box::new(Counts::EMPTY)),
            surprise: [0.0; 4],
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

    /// Two sums of surprise per check (CUSUM): one rises while there are fewer hits than predicted, one while there
    /// are more, and chance keeps both near zero. They are capped, so that what has passed is soon forgotten.
    fn check(&mut self, check: Check, hit: bool, p: f32) {
        let p = if p.is_finite() { p.clamp(0.05, 0.97) } else { return };
        let step = |other: f32| if hit { (other / p).ln() } else { ((1.0 - other) / (1.0 - p)).ln() };
        let first = check as usize * 2;
        let steps = [step((p * prior::WORSE).max(0.02)), step(1.0 - (1.0 - p) * prior::BETTER)];
        for (sum, step) in self.surprise[first..].iter_mut().zip(steps) {
            *sum = (*sum + step).clamp(0.0, prior::SURPRISE_MAX);
        }
    }

    /// How likely it is that the route is not now what it has been, as far as this check tells.
    pub(super) fn doubt(&self, check: Check) -> f64 {
        let first = check as usize * 2;
        let sum = f64::from(self.surprise[first].max(self.surprise[first + 1]));
        1.0 / (1.0 + (prior::SURPRISE_HALF - sum).exp())
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
impl Node {
    /// At most 2 KB.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION, self.level as u8];
        bytes.extend([0; 2]);
        bytes.extend(self.early.to_le_bytes());
        let rows = self.slow.rows().chain(self.fast.iter().flat_map(|fast| fast.rows())).flatten();
        let floats = [self.starts].into_iter().chain(self.surprise).chain(self.no_intent).chain(rows.copied());
        bytes.extend(floats.flat_map(f32::to_le_bytes));
        bytes
    }

    /// `None` for what [`Node::to_bytes`] did not write, or for numbers that no counting gives.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (head, rest) = bytes.split_first_chunk::<8>()?;
        let level = *LEVELS.get(usize::from(head[1]))?;
        let mut node = Self::new(level);
        let rows = if node.fast.is_some() { 4 * CURVES } else { 2 * CURVES };
        if head[0] != VERSION || rest.len() != 4 * (7 + rows * BUCKETS) {
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
