//! Bends one drawn row to the end that the service saw.

use super::observed::{Ending, ObservedEnd};
use super::trace::{CallResult, FinalReport, NEVER, TraceRow};

/// Makes the row's times end when the service saw it end. The rules may still give another end.
pub(super) fn fit_times(row: &mut TraceRow, observed: &ObservedEnd) {
    match observed.ending {
        Ending::VerifiedByText => fit_text(row, observed),
        Ending::VerifiedByCall => fit_call(row, observed),
        Ending::Canceled => row.patience_ms = observed.end_ms,
        Ending::Unverified => {}
    }
}

/// The text was in hand when it was reported, or else one reading time before the code was entered.
///
/// After a resend it was the second text, unless the first was reported only then.
fn fit_text(row: &mut TraceRow, observed: &ObservedEnd) {
    let (end_ms, resend_ms) = (observed.end_ms, observed.resend_age(row));
    let is_reported = row.report == Some(FinalReport::Delivered) && row.dlr_ms <= end_ms;
    let reported_ms = Some(row.dlr_ms).filter(|at| is_reported && resend_ms.is_none_or(|resend_ms| *at > resend_ms));
    let waited_ms = end_ms - resend_ms.unwrap_or(0);
    let in_hand_ms = reported_ms.unwrap_or(end_ms - row.read_ms.min(waited_ms / 2));
    match resend_ms {
        None => row.arrive_ms = in_hand_ms,
        Some(resend_ms) if reported_ms.is_some() => {
            row.arrive_ms = in_hand_ms;
            row.resend_arrive_ms = row.resend_arrive_ms.max(in_hand_ms - resend_ms);
        }
        Some(resend_ms) => {
            row.resend_arrive_ms = in_hand_ms - resend_ms;
            if row.arrive_ms <= in_hand_ms {
                row.arrive_ms = NEVER;
            }
        }
    }
    row.read_ms = end_ms - in_hand_ms;
    if let Some(call_ms) = observed.call_age().filter(|_| !observed.is_call_known) {
        // The code hung the call up before it had a result.
        row.call_ring_ms = row.call_ring_ms.max(end_ms - call_ms);
    }
}

/// The call was answered, heard and entered within the observed time; the drawn shares of it are kept.
fn fit_call(row: &mut TraceRow, observed: &ObservedEnd) {
    let took_ms = observed.end_ms - observed.call_ms;
    row.call_result = CallResult::Answered;
    if row.call_ring_ms >= took_ms {
        row.call_ring_ms = took_ms * 2 / 3;
    }
    let left_ms = took_ms - row.call_ring_ms;
    let drawn_ms = row.call_hear_ms.saturating_add(row.call_type_ms).max(1);
    row.call_hear_ms = (left_ms as f64 * row.call_hear_ms as f64 / drawn_ms as f64) as u64;
    row.call_type_ms = left_ms - row.call_hear_ms;
}

/// The simplest facts that give the observed end, for a row that no draw explained.
pub(super) fn force_end(row: &mut TraceRow, observed: &ObservedEnd) {
    match (observed.ending, observed.resend_age(row)) {
        (Ending::VerifiedByText, _) => row.patience_ms = NEVER,
        (Ending::VerifiedByCall, _) => (row.arrive_ms, row.resend_arrive_ms, row.patience_ms) = (NEVER, NEVER, NEVER),
        (Ending::Canceled | Ending::Unverified, None) => row.intent = false,
        (Ending::Canceled | Ending::Unverified, Some(resend_ms)) => {
            (row.arrive_ms, row.resend_arrive_ms, row.patience_ms) = (NEVER, NEVER, resend_ms + 1);
        }
    }
}
