//! What the verifications around one say of its text: of the same route, a few before and a few after.
//!
//! A text that nothing is heard of is lost more likely while nothing is heard of its neighbours either, and a report of
//! delivery is worth less while nobody enters what is reported. Without this an outage that a service went through
//! would be none in a replay.

use super::reconstruct::{End, Seen};
use super::trace::{NEVER, Report, Row};

/// So many on either side.
const NEIGHBOURS: usize = 8;
/// What the whole route says weighs as much as so many of them, and what is assumed of any route as so many more.
const ROUTE_WEIGHT: f64 = 4.0;
const ANY_WEIGHT: f64 = 5.0;
/// Of texts that are reported as delivered, the code is entered in so many, where reports are true.
const BELIEVED: f64 = 0.85;
/// A call sooner than this tells more of itself than of the text.
const WATCHED_MS: u64 = 20_000;

/// What is to be expected of one row's text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Around {
    /// That it arrives, when nothing is reported.
    pub(super) arrives: f64,
    /// That a report of delivery is untrue.
    pub(super) untrue: f64,
}

/// In the order of the rows.
pub(super) fn look(rows: &[Row], seen: &[Option<Seen>]) -> Vec<Around> {
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|at| (rows[*at].cc, rows[*at].route, rows[*at].t0_ms, rows[*at].id));
    let mut found = vec![Around { arrives: 0.0, untrue: 0.0 }; rows.len()];
    for route in order.chunk_by(|a, b| (rows[*a].cc, rows[*a].route) == (rows[*b].cc, rows[*b].route)) {
        let said: Vec<[Share; 2]> = route.iter().map(|at| said(&rows[*at], seen[*at].as_ref())).collect();
        let usual = [0, 1].map(|what| sum(&said, what));
        let [heard, believed] = [usual[0].leaning_on(0.8, ANY_WEIGHT), usual[1].leaning_on(BELIEVED, ANY_WEIGHT)];
        for (place, at) in route.iter().enumerate() {
            let (from, to) = (place.saturating_sub(NEIGHBOURS), (place + NEIGHBOURS + 1).min(said.len()));
            // Its own silence is what is to be explained.
            let near = |what, usual| {
                let (all, own) = (sum(&said[from..to], what), said[place][what]);
                Share { of: all.of - own.of, are: all.are - own.are }.leaning_on(usual, ROUTE_WEIGHT)
            };
            found[*at] = Around {
                arrives: near(0, heard).clamp(0.02, 0.98),
                untrue: (1.0 - near(1, believed) / BELIEVED).clamp(0.02, 0.95),
            };
        }
    }
    found
}

/// So many are so, of so many.
#[derive(Clone, Copy, Default)]
struct Share {
    are: f64,
    of: f64,
}

impl Share {
    fn leaning_on(self, other: f64, weight: f64) -> f64 {
        (self.are + weight * other) / (self.of + weight)
    }
}

fn sum(of: &[[Share; 2]], what: usize) -> Share {
    of.iter().fold(Share::default(), |sum, one| Share { are: sum.are + one[what].are, of: sum.of + one[what].of })
}

/// Whether anything was heard of its text, and whether a report of delivery was borne out, where there was time for it.
fn said(row: &Row, seen: Option<&Seen>) -> [Share; 2] {
    let Some(seen) = seen else { return [Share::default(); 2] };
    let (is_entered, is_told) = (seen.end == End::Text, row.report == Some(Report::Delivered));
    let until_ms = if seen.call_ms == NEVER { seen.end_ms } else { seen.call_ms };
    let counted =
        |is: bool, counts: bool| Share { are: f64::from(u8::from(is && counts)), of: f64::from(u8::from(counts)) };
    let is_heard = is_entered || is_told;
    [
        counted(is_heard, row.report != Some(Report::Failed) && (is_heard || until_ms >= WATCHED_MS)),
        counted(is_entered, is_told && (is_entered || until_ms >= row.dlr_ms.saturating_add(WATCHED_MS))),
    ]
}
