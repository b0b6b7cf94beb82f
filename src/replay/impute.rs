//! Fills in the columns that a trace does not have, when no service recorded how its verifications ended.
//!
//! A service knows what was reported and what was entered. It does not know when a text reached the handset, who would
//! have left, or what a call that was never made would have met. A column that is missing or empty throughout is drawn
//! here, from a seed that is the row's id, and a note says so. The distributions are assumed, not measured: figures
//! that rest on them compare policies and forecast nothing.

use strum::IntoEnumIterator;

use super::columns::{Header, TraceColumn};
use super::draw::Draw;
use super::trace::{CallResult, FinalReport, NEVER, TraceRow};
use crate::prices;

/// Arrival of a text without a report: median in ms, and sigma.
pub(super) const UNREPORTED: (f64, f64) = (8_000.0, 1.0);

/// Results of calls, in per cent.
pub(super) const CALLS: [(f64, CallResult); 3] =
    [(75.0, CallResult::Answered), (5.0, CallResult::Voicemail), (20.0, CallResult::Unanswered)];

/// Fills in each column that no row has, and adds a note for each.
pub(super) fn fill(rows: &mut [TraceRow], header: &Header, notes: &mut Vec<String>) {
    if rows.is_empty() {
        return;
    }
    let is_unknown = |column: TraceColumn| !header.is_filled(column);
    // In a trace with reading times, an empty `arrive_ms` means that the text never arrives.
    let is_arrival_unknown =
        is_unknown(TraceColumn::ArriveMs) && (is_unknown(TraceColumn::ReadMs) || !header.has(TraceColumn::ArriveMs));
    for row in rows.iter_mut() {
        let drawn = LatentFacts::draw(row, &mut Draw::new(row.id));
        if is_arrival_unknown {
            row.arrive_ms = drawn.arrive_ms;
        }
        if is_unknown(TraceColumn::Intent) {
            row.intent = drawn.intent;
        }
        if is_unknown(TraceColumn::CallResult) {
            row.call_result = drawn.call_result;
        }
        let cc = row.cc;
        for (column, value, assumed) in [
            (TraceColumn::SmsPriceU, &mut row.sms_price_u, list_price_u(TraceColumn::SmsPriceU, cc)),
            (TraceColumn::CallPriceU, &mut row.call_price_u, list_price_u(TraceColumn::CallPriceU, cc)),
            (TraceColumn::ReadMs, &mut row.read_ms, drawn.read_ms),
            (TraceColumn::PatienceMs, &mut row.patience_ms, drawn.patience_ms),
            (TraceColumn::CallRingMs, &mut row.call_ring_ms, drawn.ring_ms),
            (TraceColumn::CallHearMs, &mut row.call_hear_ms, drawn.hear_ms),
            (TraceColumn::CallTypeMs, &mut row.call_type_ms, drawn.type_ms),
        ] {
            if is_unknown(column) {
                *value = assumed;
            }
        }
    }
    for column in TraceColumn::iter() {
        let is_assumed = if column == TraceColumn::ArriveMs { is_arrival_unknown } else { is_unknown(column) };
        if let Some(assumed) = assumption(column, header.has(column)).filter(|_| is_assumed) {
            notes.push(format!("{column} is unknown; assumed: {assumed}"));
        }
    }
}

/// What is assumed of a column that no row fills; `None` when empty needs no explanation.
fn assumption(column: TraceColumn, is_there: bool) -> Option<&'static str> {
    match column {
        TraceColumn::ArriveMs => Some(
            "a text arrived when it was reported as delivered, and never when it was reported as failed; of those \
             without a report four in five arrived, after 8 s (median)",
        ),
        TraceColumn::SmsPriceU | TraceColumn::CallPriceU => Some("approximate list prices, by country"),
        TraceColumn::Intent => Some("19 in 20 users want to verify"),
        TraceColumn::ReadMs => Some("9 s (median) from the text to the code entered"),
        TraceColumn::PatienceMs => Some("half of the users leave within 50 s, one in six stays two minutes"),
        TraceColumn::CallResult => Some("of 20 calls a person answers 15, a machine 1"),
        TraceColumn::CallRingMs => Some("10 s (median) to a call's result"),
        TraceColumn::CallHearMs => Some("8 s (median) until the code is heard"),
        TraceColumn::CallTypeMs => Some("4 s (median) from the code heard to the code entered"),
        TraceColumn::SentMs | TraceColumn::DlrMs | TraceColumn::DlrStatus | TraceColumn::ResendMs if !is_there => {
            Some("it never happened")
        }
        _ => None,
    }
}

/// The approximate list price of a text or an answered call in a country, in micro-dollars.
pub(super) fn list_price_u(column: TraceColumn, cc: [u8; 2]) -> u64 {
    let prices = prices::of(cc);
    (if column == TraceColumn::SmsPriceU { prices.text_u } else { prices.call_u }).into()
}

/// The facts that only the user and the network know, drawn for one row.
///
/// All of them are drawn whatever the row lacks, so that filling one column changes no other.
pub(super) struct LatentFacts {
    pub(super) arrive_ms: u64,
    pub(super) intent: bool,
    pub(super) read_ms: u64,
    pub(super) patience_ms: u64,
    pub(super) call_result: CallResult,
    pub(super) ring_ms: u64,
    pub(super) hear_ms: u64,
    pub(super) type_ms: u64,
}

impl LatentFacts {
    pub(super) fn draw(row: &TraceRow, draw: &mut Draw) -> Self {
        let unreported_ms = if draw.chance(0.8) { draw.log_normal(UNREPORTED.0, UNREPORTED.1) } else { NEVER };
        Self {
            arrive_ms: match row.report {
                Some(FinalReport::Delivered) => row.dlr_ms,
                Some(FinalReport::Failed) => NEVER,
                None => unreported_ms,
            },
            intent: draw.chance(0.95),
            read_ms: draw.log_normal(9_000.0, 0.6),
            patience_ms: draw.log_normal(50_000.0, 0.8),
            call_result: draw.one_of(&CALLS, CallResult::Unanswered),
            ring_ms: draw.log_normal(10_000.0, 0.4),
            hear_ms: draw.log_normal(8_000.0, 0.25),
            type_ms: draw.log_normal(4_000.0, 0.4),
        }
    }
}
