//! Fills in what a service could not know of verifications that it saw end (`phlo-2fa export`).
//!
//! Such a row says how it ended, when, and after which call. Its latent facts are drawn until playing that call gives
//! that end: a code entered by text at 23 s is entered at 23 s again under every policy that has not called by then. The
//! draws depend on the row's id, its neighbours on the route and the results of the calls in the trace, and on nothing
//! else.

use strum::IntoEnumIterator;

use super::columns::{Header, TraceColumn};
use super::draw::Draw;
use super::evidence::Evidence;
use super::fit::{fit_times, force_end};
use super::impute::{LatentFacts, UNREPORTED};
use super::neighbours::{TextOdds, text_odds};
use super::observed::ObservedEnd;
use super::trace::{FinalReport, NEVER, TraceRow};

/// Draws of one row before its end is forced.
const TRIES: usize = 300;

/// Fills in the unknown columns of each row, and adds notes on what was assumed.
pub(super) fn fill(rows: &mut [TraceRow], observed: &[Option<ObservedEnd>], header: &Header, notes: &mut Vec<String>) {
    let evidence = Evidence::of(rows, observed);
    let odds = text_odds(rows, observed);
    let mut unexplained = 0;
    for ((row, observed), odds) in rows.iter_mut().zip(observed).zip(odds) {
        row.sms_price_u = evidence.price_u(TraceColumn::SmsPriceU, row.cc, row.sms_price_u);
        row.call_price_u = evidence.price_u(TraceColumn::CallPriceU, row.cc, row.call_price_u);
        let (draw, unfilled) = (&mut Draw::new(row.id), row.clone());
        let unfilled = Unfilled { row: &unfilled, observed: observed.as_ref(), header, evidence: &evidence, odds };
        *row = unfilled.fill(draw);
        unexplained += usize::from(observed.is_some_and(|observed| !observed.is_explained_by(row)));
    }
    note_ends(&evidence, rows.len(), unexplained, notes);
    note_assumptions(&evidence, header, notes);
}

/// A row as it was read, and what its latent facts are drawn from.
struct Unfilled<'a> {
    row: &'a TraceRow,
    observed: Option<&'a ObservedEnd>,
    header: &'a Header,
    evidence: &'a Evidence,
    odds: TextOdds,
}

impl Unfilled<'_> {
    fn fill(&self, draw: &mut Draw) -> TraceRow {
        let mut filled = self.draw(draw);
        let Some(observed) = self.observed else { return filled };
        for _ in 0..TRIES {
            if observed.is_explained_by(&filled) {
                return filled;
            }
            filled = self.draw(draw);
        }
        if !observed.is_explained_by(&filled) {
            force_end(&mut filled, observed);
        }
        filled
    }

    fn draw(&self, draw: &mut Draw) -> TraceRow {
        let (mut filled, drawn) = (self.row.clone(), LatentFacts::draw(self.row, draw));
        let mut arrival = || {
            if draw.chance(self.odds.arrives) { draw.log_normal(UNREPORTED.0, UNREPORTED.1) } else { NEVER }
        };
        let (first_ms, second_ms) = (arrival(), arrival());
        let is_report_untrue = draw.chance(self.odds.is_report_untrue);
        let call = self.evidence.draw_call(draw);
        let is_unknown = |column: TraceColumn| !self.header.is_filled(column);
        if is_unknown(TraceColumn::ArriveMs) {
            filled.arrive_ms = match self.row.report {
                None => first_ms,
                Some(FinalReport::Delivered) if is_report_untrue => NEVER,
                Some(_) => drawn.arrive_ms,
            };
        }
        if is_unknown(TraceColumn::Intent) {
            let showed_intent =
                |observed: &ObservedEnd| observed.is_verified() || observed.resend_age(self.row).is_some();
            filled.intent = self.observed.is_some_and(showed_intent) || drawn.intent;
        }
        if is_unknown(TraceColumn::ResendArriveMs) && self.row.resend_ms != NEVER {
            filled.resend_arrive_ms = second_ms;
        }
        if !self.observed.is_some_and(|observed| observed.is_call_known) {
            (filled.call_result, filled.call_ring_ms) = call.unwrap_or((drawn.call_result, drawn.ring_ms));
        } else if self.row.call_ring_ms == NEVER {
            filled.call_ring_ms = drawn.ring_ms;
        }
        for (column, value, drawn_ms) in [
            (TraceColumn::ReadMs, &mut filled.read_ms, drawn.read_ms),
            (TraceColumn::PatienceMs, &mut filled.patience_ms, drawn.patience_ms),
            (TraceColumn::CallHearMs, &mut filled.call_hear_ms, drawn.hear_ms),
            (TraceColumn::CallTypeMs, &mut filled.call_type_ms, drawn.type_ms),
        ] {
            if is_unknown(column) {
                *value = drawn_ms;
            }
        }
        if let Some(observed) = self.observed {
            fit_times(&mut filled, observed);
        }
        filled
    }
}

fn note_ends(evidence: &Evidence, rows: usize, unexplained: usize, notes: &mut Vec<String>) {
    notes.push(format!(
        "{} of {rows} verifications have a recorded end; with the call that was made, or none, each ends the same way",
        evidence.ended
    ));
    if evidence.canceled > 0 {
        notes.push(format!(
            "{} were canceled: their users leave at that moment, but a policy is not told and may still call them",
            evidence.canceled
        ));
    }
    if unexplained > 0 {
        notes.push(format!("{unexplained} of them could not be reconstructed; their figures are wrong"));
    }
}

fn note_assumptions(evidence: &Evidence, header: &Header, notes: &mut Vec<String>) {
    for column in TraceColumn::iter() {
        let is_filled = header.is_filled(column);
        match column {
            TraceColumn::SmsPriceU | TraceColumn::CallPriceU => {
                let assumed = match evidence.prices_known(column) {
                    0 => "approximate list prices, by country".to_owned(),
                    count => format!("the mean of those billed in the country ({count} in all), or else list prices"),
                };
                notes.push(format!("{column} is known where it was billed; assumed of others: {assumed}"));
            }
            TraceColumn::CallResult | TraceColumn::CallRingMs if evidence.calls_known() > 0 || is_filled => {
                let assumed = if evidence.has_enough_calls() {
                    format!("as one of the {} calls with a known result", evidence.calls_known())
                } else {
                    "of 20 calls a person answers 15, a machine 1".to_owned()
                };
                notes.push(format!("{column} is known of calls that were made; assumed of others: {assumed}"));
            }
            _ if is_filled && column != TraceColumn::ResendMs => {}
            _ => {
                if let Some(assumed) = assumption(column) {
                    let known = if is_filled { "known in part" } else { "unknown" };
                    notes.push(format!("{column} is {known}; assumed: {assumed}"));
                }
            }
        }
    }
}

/// What is assumed of a column that no row fills, or `resend_ms` where it is empty.
fn assumption(column: TraceColumn) -> Option<&'static str> {
    match column {
        TraceColumn::ArriveMs => Some(
            "a text whose code was entered arrived when it was reported, or 9 s (median) before the code. Others: when \
             reported as delivered, unless the codes of its neighbours were not entered; never when reported as failed; \
             without a report as often as its neighbours showed signs of arrival, after 8 s (median)",
        ),
        TraceColumn::Intent => Some("19 in 20 users want to verify, and all who verified or requested a resend"),
        TraceColumn::ReadMs => Some("9 s (median) from the text to the code entered, or the rest of the observed time"),
        TraceColumn::PatienceMs => {
            Some("half of the users leave within 50 s, one in six stays two minutes; those who canceled left then")
        }
        TraceColumn::ResendMs => Some("a user who was not seen to request a resend would not have requested one"),
        TraceColumn::ResendArriveMs => Some("as often as its neighbours showed signs of arrival, after 8 s (median)"),
        TraceColumn::CallResult => Some("of 20 calls a person answers 15, a machine 1"),
        TraceColumn::CallRingMs => Some("10 s (median) to a call's result"),
        TraceColumn::CallHearMs => Some("8 s (median) until the code is heard, or the same share of the observed time"),
        TraceColumn::CallTypeMs => {
            Some("4 s (median) from the code heard to the code entered, or the same share of the observed time")
        }
        _ => None,
    }
}
