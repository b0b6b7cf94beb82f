//! The words in which texts are learned from: buckets of age, curves, and the lessons of one verification.
//!
//! A text's age is cut into [`BUCKETS`]. For each bucket it is counted, on each [`Curve`], how many texts were still
//! open at its start and to how many it then happened; the quotient is the *hazard*. A text that stops being watched
//! (its call may have brought the code) is simply not counted any more: that is all the treatment that censoring
//! needs. Whatever is counted comes as a [`Lesson`]: `track` gives them out, `node` adds them up.

use serde::{Deserialize, Serialize};

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
    Delivered,
    /// `delivered` was reported, and the code was entered. The clock starts with the report.
    VerifiedAfterDelivered,
    /// The person asked for the text again, and the code was entered. The clock starts with the request.
    VerifiedAfterResend,
}

/// How many curves there are.
pub const CURVES: usize = 4;

/// The two checks by which a change is noticed: is there news of the text by the age at which there nearly always
/// is, and is the code entered soon after `delivered`?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Check {
    /// A report or the code, by the age at which most texts have had one.
    FirstEvent,
    /// The code, soon after a report of delivery.
    Conversion,
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

/// One kind of count along one curve.
pub type Row = [f32; BUCKETS];

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

/// Whose node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// All routes.
    World,
    /// A country, by its ISO code.
    Country([u8; 2]),
    /// A route, by MCC and MNC as one number.
    Route(u32),
}

impl Key {
    /// The three nodes that a verification teaches and asks.
    pub fn of(country: [u8; 2], route: u32) -> [Self; 3] {
        [Self::World, Self::Country(country), Self::Route(route)]
    }

    /// How far back this node remembers.
    pub fn level(self) -> Level {
        match self {
            Self::World => Level::World,
            Self::Country(_) => Level::Country,
            Self::Route(_) => Level::Route,
        }
    }
}
