//! The log line of each timeline note.
//!
//! Log lines about verifications are written only here, so that one file shows what they can contain.

use tracing::{debug, info, warn};

use crate::escalation::Reason;
use crate::verification::timeline::{Entry, Note};
use crate::verification::{CallReport, Channel, Ending, TextReport, Verification};

/// Logs one timeline note that a commit added, if an operator has use for it.
///
/// At `info` are decisions and how texts and calls ended; what Plivo reports on the way is at `debug`.
pub fn log(v: &Verification, Entry { note, session, .. }: &Entry) {
    let (id, app, to) = (v.id_of(*session), &v.app, &v.to);
    match note {
        Note::Joined => {
            info!(event = "verification_joined", verification.id = %id, app, %to, shares = %v.id);
        }
        Note::Created { mode, policy } => {
            info!(event = "verification_created", verification.id = %id, app, %to, channel = mode.as_str(), %policy);
        }
        Note::AttemptDecided { channel: Channel::Call, reason: Some(reason), waited_ms, is_repeat, .. }
            if *reason != Reason::Requested =>
        {
            let reason = reason.as_str();
            info!(event = "escalation", verification.id = %id, %to, country = %to.country(), reason, waited_ms, is_repeat,
                "calling: the text is not expected to arrive in time");
        }
        Note::Refused { attempt, provider_status, stop } => {
            warn!(event = "plivo_refused", verification.id = %id, %to, attempt = attempt.get(), provider_status, stop);
        }
        Note::TimedOut { attempt } => {
            warn!(event = "plivo_timeout", verification.id = %id, %to, attempt = attempt.get())
        }
        Note::NotSent { attempt } => {
            warn!(event = "text_sent_again", verification.id = %id, %to, attempt = attempt.get(),
                "Plivo has not sent a text whose request it did not answer")
        }
        Note::Deferred { attempt, provider_status, retry_at } => {
            warn!(event = "plivo_unavailable", verification.id = %id, %to, attempt = attempt.get(), provider_status, %retry_at);
        }
        Note::PassedOn { attempt, provider_status } => {
            warn!(event = "phlo_unavailable", verification.id = %id, %to, attempt = attempt.get(), provider_status,
                "the PHLO cannot be run; using the direct API");
        }
        Note::TakenOver { attempt } => {
            warn!(event = "effect_taken_over", verification.id = %id, %to, attempt = attempt.get(),
                "the request's lease expired; this replica repeats it");
        }
        Note::TextReported { report, .. } => {
            let alert = report.error_code().and_then(crate::plivo::outcome::alert);
            match alert {
                Some(what) => {
                    warn!(event = "delivery_alert", verification.id = %id, %to, code = report.error_code(), what)
                }
                None => {
                    let (status, code) = (report.status().as_str(), report.error_code());
                    match report {
                        TextReport::Queued | TextReport::Sent => {
                            debug!(event = "text_report", verification.id = %id, %to, status, code)
                        }
                        TextReport::Delivered | TextReport::Undelivered { .. } | TextReport::Failed { .. } => {
                            info!(event = "text_report", verification.id = %id, %to, status, code)
                        }
                    }
                }
            }
        }
        Note::CallReported { report, .. } => {
            let (status, cause) = (report.status().as_str(), report.cause());
            match cause.and_then(|cause| cause.parse().ok()).and_then(crate::plivo::outcome::call_alert) {
                Some(what) => warn!(event = "call_alert", verification.id = %id, %to, status, cause, what),
                None => match report {
                    CallReport::Ringing | CallReport::Answered => {
                        debug!(event = "call_report", verification.id = %id, %to, status, cause)
                    }
                    CallReport::Completed | CallReport::Ended { .. } => {
                        info!(event = "call_report", verification.id = %id, %to, status, cause)
                    }
                },
            }
        }
        Note::CodeIncorrect { checks_remaining } => {
            info!(event = "code_incorrect", verification.id = %id, app, %to, checks_remaining);
        }
        Note::Ended { how: Ending::LostInFailover } => {
            warn!(event = "verification_lost", verification.id = %id, app, %to,
                "the verification was open when Redis failed over; later changes may be missing");
        }
        Note::Ended { how: Ending::MaxChecksReached } => {
            warn!(event = "verification_locked", verification.id = %id, app, %to, "too many wrong codes");
        }
        Note::Ended { how } => {
            let (status, ended_by) = (how.status().as_str(), how.ended_by());
            info!(event = "verification_ended", verification.id = %id, app, %to, status, ended_by);
        }
        Note::CallBarred { scope, .. } => {
            warn!(event = "escalation_barred", verification.id = %id, app, %to, scope = scope.as_str(),
                "a call was due, but a limit is reached");
        }
        Note::AttemptDecided { .. }
        | Note::Accepted { .. }
        | Note::CallSilent { .. }
        | Note::TakenBack { .. }
        | Note::Weighed { .. }
        | Note::QuietHours { .. }
        | Note::Activity { .. }
        | Note::Feedback { .. }
        | Note::Dropped { .. } => {}
    }
}
