//! The vocabulary of learning: buckets of age, hazard curves, and what statistics cover.
//!
//! This is survival analysis over discrete time. The age of a text is cut into [`BUCKETS`]. Each [`Curve`] counts, per
//! bucket, the texts at risk and those to which the event happened; the quotient is the *hazard*. A censored text (its
//! call may have brought the code) is no longer counted, which is all that censoring requires. This file only names things.

use serde::{Deserialize, Serialize};
use strum::{EnumCount, EnumIter, FromRepr};

/// Number of buckets in the life of a text.
pub(super) const BUCKETS: usize = 29;

/// Where each bucket begins, and where the last one ends, in seconds.
const EDGES_S: [u32; BUCKETS + 1] = [
    0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 23, 26, 30, 35, 40, 46, 53, 60, 70, 80, 95, 110, 130, 155, 190, 240, 320,
    450, 600,
];

/// Start of bucket `i` in milliseconds; for [`BUCKETS`], the end of the last one.
pub(super) const fn edge_ms(i: usize) -> u32 {
    EDGES_S[i] * 1000
}

/// The bucket that contains this clock value; [`BUCKETS`] after the last one.
pub(super) fn bucket_of(clock_ms: u32) -> usize {
    EDGES_S[1..].partition_point(|edge| edge * 1000 <= clock_ms)
}

/// An event that may happen to a text, counted on its own clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumCount, EnumIter, Serialize, Deserialize)]
pub enum Curve {
    /// The code was entered before any final report. The clock is the text's age.
    Verified,
    /// `delivered` was reported before the code was entered. The clock is the text's age.
    Delivered,
    /// The code was entered after a delivery report. The clock starts with the report.
    VerifiedAfterDelivered,
    /// The code was entered after the person asked for another text. The clock starts with the request.
    VerifiedAfterResend,
}

/// Number of curves.
pub(super) const CURVES: usize = Curve::COUNT;

/// A test that each verification makes once, to detect that its route has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumCount, EnumIter, Serialize, Deserialize)]
pub enum RouteTest {
    /// A report or the code arrives by the age at which most texts have had one.
    FirstEvent,
    /// The code is entered soon after a delivery report.
    Conversion,
}

/// One count for each bucket of a curve.
pub(super) type BucketCounts = [f32; BUCKETS];

/// What one [`RouteStats`](super::RouteStats) covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, FromRepr, Serialize, Deserialize)]
#[repr(u8)]
pub enum Level {
    /// All routes.
    World,
    /// All routes of a country.
    Country,
    /// One route, for all apps.
    Route,
    /// One route, for one app.
    AppRoute,
}

/// Identifies one [`RouteStats`](super::RouteStats).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// All routes.
    World,
    /// A country, by its ISO code.
    Country([u8; 2]),
    /// A route, by MCC and MNC as one number.
    Route(u32),
    /// What one app has seen of a route: the hash of its name, and MCC and MNC.
    AppRoute(u32, u32),
}

impl Key {
    /// The four keys that a verification of this app on this route reads and teaches.
    pub fn of(app: u32, country: [u8; 2], route: u32) -> [Self; 4] {
        [Self::World, Self::Country(country), Self::Route(route), Self::AppRoute(app, route)]
    }

    /// The level of its statistics, which sets how fast old counts fade.
    pub fn level(self) -> Level {
        match self {
            Self::World => Level::World,
            Self::Country(_) => Level::Country,
            Self::Route(_) => Level::Route,
            Self::AppRoute(..) => Level::AppRoute,
        }
    }
}
