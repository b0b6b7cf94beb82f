//! Estimates the fate of one text from the verifications shortly before and after it on its route.
//!
//! A text without any sign of arrival is more likely lost while its neighbours show none either, and a report of delivery
//! is worth less while the codes of reported texts are not entered. Without this, an outage that the service went through
//! would be no outage in the replay.

use super::observed::{Ending, ObservedEnd};
use super::trace::{FinalReport, NEVER, TraceRow};

/// Verifications looked at on either side.
const NEIGHBOURS: usize = 8;
/// Weight of the whole route's share, in neighbours.
const ROUTE_WEIGHT: f64 = 4.0;
/// Weight of the share assumed of any route, in verifications.
const PRIOR_WEIGHT: f64 = 5.0;
/// Assumed share of texts with a sign of arrival.
const SIGN_PRIOR: f64 = 0.8;
/// Share of truly delivered texts whose code is entered.
const ENTERED_PRIOR: f64 = 0.85;
/// A call sooner than this hides what the text would have done.
const WATCHED_MS: u64 = 20_000;

/// What to expect of one row's text.
#[derive(Clone, Copy, Debug)]
pub(super) struct TextOdds {
    /// Probability that it arrives when nothing is reported.
    pub(super) arrives: f64,
    /// Probability that a report of delivery is untrue.
    pub(super) is_report_untrue: f64,
}

/// The odds of each row, in the order of the rows.
pub(super) fn text_odds(rows: &[TraceRow], observed: &[Option<ObservedEnd>]) -> Vec<TextOdds> {
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|at| (rows[*at].cc, rows[*at].route, rows[*at].t0_ms, rows[*at].id));
    let mut odds = vec![TextOdds { arrives: 0.0, is_report_untrue: 0.0 }; rows.len()];
    for route in order.chunk_by(|a, b| (rows[*a].cc, rows[*a].route) == (rows[*b].cc, rows[*b].route)) {
        let signs: Vec<Signs> = route.iter().map(|at| Signs::of(&rows[*at], observed[*at].as_ref())).collect();
        let usual = Signs::sum(&signs);
        let usual_arrival = usual.arrival.shrunk_towards(SIGN_PRIOR, PRIOR_WEIGHT);
        let usual_entry = usual.entry.shrunk_towards(ENTERED_PRIOR, PRIOR_WEIGHT);
        for (place, at) in route.iter().enumerate() {
            let (from, to) = (place.saturating_sub(NEIGHBOURS), (place + NEIGHBOURS + 1).min(signs.len()));
            // Without the row itself: its own silence is what has to be explained.
            let near = Signs::sum(&signs[from..to]).without(signs[place]);
            let entry = near.entry.shrunk_towards(usual_entry, ROUTE_WEIGHT);
            odds[*at] = TextOdds {
                arrives: near.arrival.shrunk_towards(usual_arrival, ROUTE_WEIGHT).clamp(0.02, 0.98),
                is_report_untrue: (1.0 - entry / ENTERED_PRIOR).clamp(0.02, 0.95),
            };
        }
    }
    odds
}

/// `hits` of `all`.
#[derive(Clone, Copy, Default)]
struct Share {
    hits: f64,
    all: f64,
}

impl Share {
    fn of_one(is_hit: bool, is_counted: bool) -> Self {
        Self { hits: f64::from(u8::from(is_hit && is_counted)), all: f64::from(u8::from(is_counted)) }
    }

    fn shrunk_towards(self, prior: f64, weight: f64) -> f64 {
        (self.hits + weight * prior) / (self.all + weight)
    }
}

/// What verifications say of their texts.
#[derive(Clone, Copy, Default)]
struct Signs {
    /// Texts with a sign of arrival, of those without a report of failure.
    arrival: Share,
    /// Texts whose code was entered, of those reported as delivered.
    entry: Share,
}

impl Signs {
    /// Counts a text only if there was time for the sign before a call or the end.
    fn of(row: &TraceRow, observed: Option<&ObservedEnd>) -> Self {
        let Some(observed) = observed else { return Self::default() };
        let is_entered = observed.ending == Ending::VerifiedByText;
        let is_reported = row.report == Some(FinalReport::Delivered);
        let until_ms = if observed.call_ms == NEVER { observed.end_ms } else { observed.call_ms };
        let has_sign = is_entered || is_reported;
        let is_failed = row.report == Some(FinalReport::Failed);
        let is_time_for_entry = until_ms >= row.dlr_ms.saturating_add(WATCHED_MS);
        Self {
            arrival: Share::of_one(has_sign, !is_failed && (has_sign || until_ms >= WATCHED_MS)),
            entry: Share::of_one(is_entered, is_reported && (is_entered || is_time_for_entry)),
        }
    }

    fn sum(signs: &[Self]) -> Self {
        signs.iter().fold(Self::default(), |sum, one| Self {
            arrival: Share { hits: sum.arrival.hits + one.arrival.hits, all: sum.arrival.all + one.arrival.all },
            entry: Share { hits: sum.entry.hits + one.entry.hits, all: sum.entry.all + one.entry.all },
        })
    }

    fn without(self, one: Self) -> Self {
        Self {
            arrival: Share { hits: self.arrival.hits - one.arrival.hits, all: self.arrival.all - one.arrival.all },
            entry: Share { hits: self.entry.hits - one.entry.hits, all: self.entry.all - one.entry.all },
        }
    }
}
