//! One finished verification as a line of a trace (`docs/replay.md`): what the service saw of it, and nothing else.
//!
//! Pure. No number, no id, no app, no code and nothing the customer said is in a line; ages count from the first
//! request to Plivo, as a policy's do.

use std::fmt::Write;

use crate::time::Timestamp;
use crate::verification::event::{CallReport, FailureClass, TextReport};
use crate::verification::timeline::Note;
use crate::verification::{AttemptStatus, Channel, Mode, Status, Verification, VerificationId};

/// The columns of a line, in their order.
pub const COLUMNS: &str = "id,t0_ms,cc,route,sms_price_u,call_price_u,sent_ms,dlr_ms,dlr_status,dlr_code,resend_ms,\
                           call_result,call_ring_ms,seen_call_ms,seen_end,seen_end_ms";

/// Why a verification says nothing of when to call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LeftOut {
    /// It is not over.
    Open,
    /// It began with a call.
    Call,
    /// No call was to be made of itself (`channel` is `sms`), or none may be made to its country.
    NoCalls,
    /// The number must not be contacted by any channel.
    Stopped,
    /// Nothing is ever sent to its number.
    Test,
    /// It was given up when Redis failed over.
    Lost,
}

impl LeftOut {
    /// For a person, after a count.
    pub fn why(self) -> &'static str {
        match self {
            Self::Open => "not over yet",
            Self::Call => "begun with a call",
            Self::NoCalls => "text only, or to a country that may not be called",
            Self::Stopped => "to a number that must not be contacted",
            Self::Test => "of test numbers",
            Self::Lost => "given up when Redis failed over",
        }
    }
}

/// What was seen of one verification.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Line {
    /// The first request to Plivo: lines are in this order.
    pub started_at: Timestamp,
    /// Puts those of one millisecond in an order; it is not written.
    id: VerificationId,
    /// All columns but the first two.
    rest: String,
}

/// How a call went, as far as it was heard.
#[derive(Default)]
struct Call {
    at_ms: Option<u64>,
    result: Option<&'static str>,
    ring_ms: Option<u64>,
}

impl Line {
    /// The line of a verification that is over at `now`.
    ///
    /// # Errors
    /// Why it has none.
    pub fn of(v: &Verification, now: Timestamp) -> Result<Self, LeftOut> {
        let status = v.status_at(now);
        let first = v.attempts.first().filter(|a| a.channel == Channel::Sms);
        let must_stop = v.attempts.iter().any(|a| a.class == Some(FailureClass::Stop));
        let first = match (status, first) {
            _ if v.details.is_test => return Err(LeftOut::Test),
            _ if v.is_lost => return Err(LeftOut::Lost),
            (Status::Pending, _) => return Err(LeftOut::Open),
            (_, None) => return Err(LeftOut::Call),
            _ if v.mode != Mode::Auto || !v.calls_allowed => return Err(LeftOut::NoCalls),
            _ if must_stop => return Err(LeftOut::Stopped),
            (_, Some(first)) => first,
        };
        let age = |at: Timestamp| u64::try_from(at.since(first.at).as_millis()).unwrap_or(u64::MAX);
        let end_ms = age(v.ended_at.unwrap_or(v.expires_at).min(v.expires_at.max(first.at)));
        let (end, call) = ended(v, status, end_ms, &age);
        let (dlr_ms, dlr_status) = report(v, &age).unzip();
        let sent = |note: &Note| matches!(note, Note::TextReported { attempt: 0, report: TextReport::Sent });
        let again = |note: &Note| matches!(note, Note::AttemptDecided { attempt: 1.., channel: Channel::Sms, .. });
        // Who is rung first asks no more, in a replay; afterwards it is another matter.
        let resend_ms = find(v, again).map(&age).filter(|at| call.at_ms.is_none_or(|call| *at < call));
        let call_price_u = v.attempts.iter().filter(|a| a.channel == Channel::Call).find_map(|a| a.facts.cost_u);
        let country = Some(v.to.country().as_str()).filter(|code| code.len() == 2).unwrap_or("ZZ");
        let code =
            first.error_code.as_deref().filter(|code| code.len() <= 5 && code.bytes().all(|b| b.is_ascii_digit()));

        let mut rest = String::from(country);
        for field in [
            number(v.carrier().map(|carrier| carrier.code().into())),
            number(first.facts.cost_u.filter(|cost| *cost > 0)),
            number(call_price_u.filter(|cost| *cost > 0)),
            number(find(v, sent).map(&age)),
            number(dlr_ms),
            dlr_status.unwrap_or_default().to_owned(),
            code.unwrap_or_default().to_owned(),
            number(resend_ms),
            call.result.unwrap_or_default().to_owned(),
            number(call.ring_ms),
            number(call.at_ms),
            end.to_owned(),
            number(Some(end_ms)),
        ] {
            // Writing to a String does not fail.
            let _ = write!(rest, ",{field}");
        }
        Ok(Self { started_at: first.at, id: v.id, rest })
    }

    /// As the `nth` line of a trace that begins at `t0`.
    pub fn write(&self, nth: usize, t0: Timestamp) -> String {
        format!("{nth},{},{}\n", self.started_at.since(t0).as_millis(), self.rest)
    }
}

fn number(of: Option<u64>) -> String {
    of.map(|n| n.to_string()).unwrap_or_default()
}

/// When the first such thing was noted.
fn find(v: &Verification, is: impl Fn(&Note) -> bool) -> Option<Timestamp> {
    v.timeline.iter().find(|entry| is(&entry.note)).map(|entry| entry.at)
}

/// The first text's final report. A failure that may pass is none: no policy hears of it as one.
fn report(v: &Verification, age: &impl Fn(Timestamp) -> u64) -> Option<(u64, &'static str)> {
    v.timeline.iter().find_map(|entry| {
        let status = match &entry.note {
            Note::Refused { attempt: 0, .. } => "failed",
            Note::TextReported { attempt: 0, report } => match report {
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

/// How it ended, and its call. A call that was repeated counts as one that took that long.
fn ended(v: &Verification, status: Status, end_ms: u64, age: &impl Fn(Timestamp) -> u64) -> (&'static str, Call) {
    let calls = || v.attempts.iter().enumerate().filter(|(_, a)| a.channel == Channel::Call);
    let by_channel = |by_call: bool| match status {
        Status::Verified if by_call => "call",
        Status::Verified => "sms",
        other => other.as_str(),
    };
    let Some((_, first)) = calls().next() else { return (by_channel(false), Call::default()) };
    let at_ms = age(first.at);
    if at_ms >= end_ms {
        return (by_channel(false), Call::default());
    }
    let is_call = |attempt: u8| calls().any(|(nth, _)| nth == usize::from(attempt));
    let answered =
        |note: &Note| matches!(note, Note::CallReported { attempt, report: CallReport::Answered } if is_call(*attempt));
    let answered_ms = find(v, answered).map(age);
    let is_answered = calls().any(|(_, a)| a.answered) && answered_ms.is_none_or(|at| at < end_ms);
    let by_call =
        status == Status::Verified && v.verified_by() == Channel::Call && answered_ms.is_none_or(|at| at < end_ms);
    let ring = |at: u64| at.saturating_sub(at_ms);
    if is_answered || by_call {
        let call = Call { at_ms: Some(at_ms), result: Some("answered"), ring_ms: answered_ms.map(ring) };
        return (by_channel(by_call), call);
    }
    let unknown = Call { at_ms: Some(at_ms), result: None, ring_ms: None };
    let last = calls().next_back().filter(|_| calls().all(|(_, a)| !a.taken_back));
    let Some((nth, last)) = last else { return (by_channel(false), unknown) };
    let result = match last.status {
        AttemptStatus::Machine => "voicemail",
        AttemptStatus::Busy => "busy",
        AttemptStatus::NoAnswer | AttemptStatus::Rejected => "noanswer",
        AttemptStatus::Failed => "failed",
        _ => return (by_channel(false), unknown),
    };
    let known = |note: &Note| match note {
        Note::CallReported { attempt, report: CallReport::Ended { .. } } | Note::Refused { attempt, .. } => {
            usize::from(*attempt) == nth
        }
        _ => false,
    };
    // One whose end came after the code was entered rang on until then: how it would have gone nobody knows.
    let known_ms = find(v, known).map(age);
    if known_ms.is_some_and(|at| at >= end_ms && status == Status::Verified) {
        return (by_channel(false), unknown);
    }
    (by_channel(false), Call { at_ms: Some(at_ms), result: Some(result), ring_ms: known_ms.map(ring) })
}
