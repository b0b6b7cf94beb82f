//! What is assumed of a trace that does not say everything.
//!
//! A service that writes down its own verifications knows what was reported and what was entered. It does not know
//! when the text was in the handset, who would have left, or what a call that was never made would have met. A column
//! that is missing or empty throughout is filled in here, by draws that depend on the row's id alone, and a note says
//! so. The magnitudes are assumed, not measured; figures that rest on them compare policies, and forecast nothing.

use super::draw::Draw;
use super::parse::{COLUMNS, Column, Header};
use super::trace::{CallResult, NEVER, Report, Row};
use crate::prices;

/// How a text arrives that nothing is reported of: median in ms, and spread.
pub(super) const UNREPORTED: (f64, f64) = (8_000.0, 1.0);

/// What a call meets, in per cent.
pub(super) const CALLS: [(f64, CallResult); 3] =
    [(75.0, CallResult::Answered), (5.0, CallResult::Voicemail), (20.0, CallResult::Unmet)];

/// Nothing stands in these when the column is missing, which is what empty means anyway.
const SILENT: [Column; 4] = [Column::Sent, Column::Dlr, Column::DlrStatus, Column::Resend];

/// Fills in what no row says.
pub(super) fn fill(rows: &mut [Row], header: &Header, notes: &mut Vec<String>) {
    if rows.is_empty() {
        return;
    }
    let is_unknown = |column: Column| !header.is_filled(column);
    // In a trace that knows how long people read, a text that has no arrival does not arrive.
    let arrivals = is_unknown(Column::Arrive) && (is_unknown(Column::Read) || !header.has(Column::Arrive));
    for row in rows.iter_mut() {
        let guess = Guess::of(row, &mut Draw::new(row.id));
        let (sms_price_u, call_price_u) = (price_u(Column::SmsPrice, row.cc), price_u(Column::CallPrice, row.cc));
        let fill = |column, value: &mut u64, guess| {
            if is_unknown(column) {
                *value = guess;
            }
        };
        if arrivals {
            row.arrive_ms = guess.arrive_ms;
        }
        if is_unknown(Column::Intent) {
            row.intent = guess.intent;
        }
        if is_unknown(Column::CallResult) {
            row.call_result = guess.call_result;
        }
        fill(Column::SmsPrice, &mut row.sms_price_u, sms_price_u);
        fill(Column::CallPrice, &mut row.call_price_u, call_price_u);
        fill(Column::Read, &mut row.read_ms, guess.read_ms);
        fill(Column::Patience, &mut row.patience_ms, guess.patience_ms);
        fill(Column::CallRing, &mut row.call_ring_ms, guess.ring_ms);
        fill(Column::CallHear, &mut row.call_hear_ms, guess.hear_ms);
        fill(Column::CallType, &mut row.call_type_ms, guess.type_ms);
    }
    let told = |column: Column| match column {
        Column::Arrive => arrivals.then_some(
            "a text arrived when it was reported as delivered, not at all when it was reported as lost, and of those \
             without a report four in five arrived, in 8 s (median)",
        ),
        _ if !is_unknown(column) => None,
        Column::SmsPrice => Some("approximate list prices, by country"),
        Column::CallPrice => Some("approximate list prices, by country"),
        Column::Intent => Some("19 in 20 want to verify"),
        Column::Read => Some("9 s (median) from the text to the code entered"),
        Column::Patience => Some("half leave within 50 s, one in six stays two minutes"),
        Column::CallResult => Some("of 20 calls a person answers 15, a machine 1"),
        Column::CallRing => Some("10 s (median) until a call's result"),
        Column::CallHear => Some("8 s (median) until the code is heard"),
        Column::CallType => Some("4 s (median) until a heard code is entered"),
        _ if SILENT.contains(&column) && !header.has(column) => Some("it never happened"),
        _ => None,
    };
    for (column, name) in COLUMNS {
        if let Some(assumed) = told(column) {
            notes.push(format!("{name} is unknown; assumed: {assumed}"));
        }
    }
}

/// What a text or an answered call costs in a country, as far as anybody but the biller knows.
pub(super) fn price_u(column: Column, cc: [u8; 2]) -> u64 {
    let prices = prices::of(cc);
    (if column == Column::SmsPrice { prices.text_u } else { prices.call_u }).into()
}

/// One row's share of chance: all of it, whatever the row lacks, so that filling a column changes no other.
pub(super) struct Guess {
    pub(super) arrive_ms: u64,
    pub(super) intent: bool,
    pub(super) read_ms: u64,
    pub(super) patience_ms: u64,
    pub(super) call_result: CallResult,
    pub(super) ring_ms: u64,
    pub(super) hear_ms: u64,
    pub(super) type_ms: u64,
}

impl Guess {
    pub(super) fn of(row: &Row, draw: &mut Draw) -> Self {
        let unreported = if draw.chance(0.8) { draw.log_normal(UNREPORTED.0, UNREPORTED.1) } else { NEVER };
        Self {
            arrive_ms: match row.report {
                Some(Report::Delivered) => row.dlr_ms,
                Some(Report::Failed) => NEVER,
                None => unreported,
            },
            intent: draw.chance(0.95),
            read_ms: draw.log_normal(9_000.0, 0.6),
            patience_ms: draw.log_normal(50_000.0, 0.8),
            call_result: draw.one_of(&CALLS, CallResult::Unmet),
            ring_ms: draw.log_normal(10_000.0, 0.4),
            hear_ms: draw.log_normal(8_000.0, 0.25),
            type_ms: draw.log_normal(4_000.0, 0.4),
        }
    }
}
