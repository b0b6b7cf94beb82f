//! One finished verification as a line of a trace (`docs/replay.md`): what the service saw of it.
//!
//! Pure. A row has no number, id, app, code or metadata. Ages count from the first request to Plivo, as for a policy.

use serde::Serialize;
use strum::Display;

use super::call::ObservedCall;
use crate::replay::TraceColumn;
use crate::time::Timestamp;
use crate::verification::timeline::Note;
use crate::verification::{
    AttemptIndex, Channel, FailureClass, Mode, Status, TextReport, Verification, VerificationId,
};

/// The columns of an exported trace, in their order.
pub const COLUMNS: [TraceColumn; 16] = [
    TraceColumn::Id,
    TraceColumn::Start,
    TraceColumn::Cc,
    TraceColumn::Route,
    TraceColumn::SmsPriceU,
    TraceColumn::CallPriceU,
    TraceColumn::SentMs,
    TraceColumn::DlrMs,
    TraceColumn::DlrStatus,
    TraceColumn::DlrCode,
    TraceColumn::ResendMs,
    TraceColumn::CallResult,
    TraceColumn::CallRingMs,
    TraceColumn::SeenCallMs,
    TraceColumn::SeenEnd,
    TraceColumn::SeenEndMs,
];

/// Why a verification is not in the trace, for a person and after a count.
#[derive(Clone, Copy, Debug, Display, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Exclusion {
    #[strum(to_string = "not over yet")]
    Open,
    #[strum(to_string = "that began with a call")]
    BegunWithCall,
    #[strum(to_string = "for text only, or to a country that may not be called")]
    NoCalls,
    #[strum(to_string = "to a number that must not be contacted")]
    Stopped,
    #[strum(to_string = "of test numbers")]
    Test,
    #[strum(to_string = "lost in a Redis failover")]
    Lost,
}

/// What the service saw of one verification.
pub(super) struct ExportRow {
    /// The first request to Plivo.
    pub(super) started_at: Timestamp,
    id: VerificationId,
    pub(super) fields: ExportFields,
}

/// The values of all [`COLUMNS`] but the first two, in their order.
#[derive(Serialize)]
pub(super) struct ExportFields {
    cc: String,
    route: Option<u32>,
    sms_price_u: Option<u64>,
    call_price_u: Option<u64>,
    sent_ms: Option<u64>,
    dlr_ms: Option<u64>,
    dlr_status: Option<&'static str>,
    dlr_code: Option<String>,
    resend_ms: Option<u64>,
    call_result: Option<&'static str>,
    call_ring_ms: Option<u64>,
    seen_call_ms: Option<u64>,
    seen_end: &'static str,
    seen_end_ms: u64,
}

impl ExportRow {
    /// The row of a verification that is over at `now`, or why it has none.
    pub(super) fn of(v: &Verification, now: Timestamp) -> Result<Self, Exclusion> {
        let is_overdue = !v.is_final() && !v.is_open_at(now);
        let status = if is_overdue { Status::Expired } else { v.status() };
        let first = v.attempts.first().filter(|a| a.channel == Channel::Sms);
        let must_stop = v.attempts.iter().any(|a| a.class == Some(FailureClass::Stop));
        let first = match (status, first) {
            _ if v.details.is_test => return Err(Exclusion::Test),
            _ if v.lost_in_failover() => return Err(Exclusion::Lost),
            (Status::Pending, _) => return Err(Exclusion::Open),
            (_, None) => return Err(Exclusion::BegunWithCall),
            _ if v.mode != Mode::Auto || !v.calls_allowed => return Err(Exclusion::NoCalls),
            _ if must_stop => return Err(Exclusion::Stopped),
            (_, Some(first)) => first,
        };
        let age = |at: Timestamp| u64::try_from(at.since(first.at).as_millis()).unwrap_or(u64::MAX);
        let end_ms = age(v.ended_at().unwrap_or(v.expires_at()).min(v.expires_at().max(first.at)));
        let call = ObservedCall::of(v, status, end_ms, &age);
        let (dlr_ms, dlr_status) = final_report(v, &age).unzip();
        let sent =
            |note: &Note| matches!(note, Note::TextReported { attempt: AttemptIndex::FIRST, report: TextReport::Sent });
        let resent = |note: &Note| matches!(note, Note::AttemptDecided { attempt, channel: Channel::Sms, .. } if *attempt != AttemptIndex::FIRST);
        // A replay has no resend after the call.
        let resend_ms = v.first_noted(resent).map(&age).filter(|at| call.placed_ms.is_none_or(|call| *at < call));
        let call_price_u = v.attempts.iter().filter(|a| a.channel == Channel::Call).find_map(|a| a.facts.cost_u);
        let fields = ExportFields {
            cc: Some(v.to.country().as_str()).filter(|code| code.len() == 2).unwrap_or("ZZ").to_owned(),
            route: v.carrier().map(|carrier| carrier.code()),
            sms_price_u: first.facts.cost_u.filter(|cost| *cost > 0),
            call_price_u: call_price_u.filter(|cost| *cost > 0),
            sent_ms: v.first_noted(sent).map(&age),
            dlr_ms,
            dlr_status,
            dlr_code: first.error_code.clone().filter(|code| is_error_code(code)),
            resend_ms,
            call_result: call.result,
            call_ring_ms: call.ring_ms,
            seen_call_ms: call.placed_ms,
            seen_end: match status {
                Status::Verified if call.has_verified => "call",
                Status::Verified => "sms",
                other => other.as_str(),
            },
            seen_end_ms: end_ms,
        };
        Ok(Self { started_at: first.at, id: v.id, fields })
    }

    /// The order of rows; the id, which is not written, orders those of one millisecond.
    pub(super) fn order(&self) -> (Timestamp, VerificationId) {
        (self.started_at, self.id)
    }
}

/// Whether `code` has the form of Plivo's error codes. Nothing else from a callback goes into a trace.
fn is_error_code(code: &str) -> bool {
    code.len() <= 5 && code.bytes().all(|b| b.is_ascii_digit())
}

/// The final report of the first text. A transient failure is none: a policy gets no event for it.
fn final_report(v: &Verification, age: &impl Fn(Timestamp) -> u64) -> Option<(u64, &'static str)> {
    v.timeline.iter().find_map(|entry| {
        let status = match &entry.note {
            Note::Refused { attempt: AttemptIndex::FIRST, .. } => "failed",
            Note::TextReported { attempt: AttemptIndex::FIRST, report } => match report {
                TextReport::Delivered => "delivered",
                TextReport::Undelivered { class: FailureClass::Permanent, .. } => "undelivered",
                TextReport::Failed { class: FailureClass::Permanent, .. } => "failed",
                _ => return None,
            },
            _ => return None,
        };
        Some((age(entry.at), status))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_in_the_order_of_the_columns() {
        let fields = ExportFields {
            cc: "US".to_owned(),
            route: None,
            sms_price_u: None,
            call_price_u: None,
            sent_ms: None,
            dlr_ms: None,
            dlr_status: None,
            dlr_code: None,
            resend_ms: None,
            call_result: None,
            call_ring_ms: None,
            seen_call_ms: None,
            seen_end: "expired",
            seen_end_ms: 600_000,
        };
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.serialize(fields).unwrap();
        let written = String::from_utf8(writer.into_inner().unwrap()).unwrap();
        let columns: Vec<String> = COLUMNS[2..].iter().map(ToString::to_string).collect();
        assert_eq!(written, format!("{}\nUS,,,,,,,,,,,,expired,600000\n", columns.join(",")));
    }
}
