//! Sentences of the timeline about reports and ends.

use crate::escalation::CallEnd;
use crate::plivo::outcome;
use crate::verification::{CallReport, Channel, Ending, FailureClass, TextReport, Verification};

/// What a report of a text says, and what follows.
pub(super) fn text_report(report: &TextReport) -> String {
    let what = match report {
        TextReport::Queued => "Plivo has queued the text",
        TextReport::Sent => "The text was handed to the carrier",
        TextReport::Delivered => "The carrier reports the text as delivered",
        TextReport::Undelivered { .. } => "The carrier did not deliver the text",
        TextReport::Failed { .. } => "Plivo could not send the text",
    };
    let Some(class) = report.class() else { return format!("{what}.") };
    let code = report.error_code().map(|code| format!(" (error {code})")).unwrap_or_default();
    let consequence = match (report.error_code().and_then(outcome::alert), class) {
        (Some(alert), FailureClass::Stop) => format!("{alert}. No other channel is tried"),
        (None, FailureClass::Stop) => "no other channel is tried".to_owned(),
        (_, FailureClass::Permanent) => "no text will reach this number".to_owned(),
        (_, FailureClass::Transient) => "it may still arrive, so the timer keeps running".to_owned(),
    };
    format!("{what}{code}: {consequence}.")
}

/// What a report of a call says.
pub(super) fn call_report(report: &CallReport) -> &'static str {
    match report {
        CallReport::Ringing => "The phone rings.",
        CallReport::Answered => "The call was answered; the code is read out.",
        CallReport::Completed => "The call has ended.",
        CallReport::Ended { end, .. } => match end {
            CallEnd::Busy => "The line was busy.",
            CallEnd::NoAnswer => "The call was not answered.",
            CallEnd::Rejected => "The call was rejected; it is not repeated.",
            CallEnd::Machine => "A machine answered; no code was spoken.",
            CallEnd::Failed => "The call could not be placed.",
        },
    }
}

/// How a verification or session ended.
pub(super) fn ended(v: &Verification, how: Ending) -> String {
    match how {
        Ending::Verified => {
            let by = match v.verified_by() {
                Channel::Sms => "text",
                Channel::Call => "call",
            };
            format!("The right code was entered; it came by {by}.")
        }
        Ending::LostInFailover => {
            "The verification was given up: Redis failed over and may have lost checks of its code.".to_owned()
        }
        Ending::Expired => "The code has expired.".to_owned(),
        Ending::VerifiedElsewhere => {
            "The code was entered for another creation that shared it; this one was not verified.".to_owned()
        }
        Ending::Canceled => "The verification was canceled.".to_owned(),
        Ending::MaxChecksReached => "Too many wrong codes were entered; no more are accepted.".to_owned(),
        Ending::Undeliverable => "No channel is left to reach this number.".to_owned(),
    }
}
