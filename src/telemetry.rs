//! Logs: how they are set up, and what is said of a verification. One JSON object a line, UTC.
//!
//! Numbers appear masked, codes, keys, refs and bodies never. Lines about verifications are written here and
//! nowhere else, from the notes of its timeline, so that there is one place to read for what can leak.

use std::io::IsTerminal;

use tracing::{info, warn};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::LogFormat;
use crate::escalation::Reason;
use crate::verification::timeline::Note;
use crate::verification::{Channel, Status, Verification};

/// Dependencies that would write down what they work on: full numbers, and headers of requests that are none. No
/// `RUST_LOG` lets them.
const SILENT: &[&str] = &["rlibphonenumber", "actix_http::h1::decoder"];

/// Sets logging up for the process, to standard error. `RUST_LOG` chooses what is logged.
///
/// Without a format: `pretty` on a terminal, else `json`.
pub fn init(format: Option<LogFormat>) {
    let by_terminal = || if std::io::stderr().is_terminal() { LogFormat::Pretty } else { LogFormat::Json };
    let chosen = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let speaks = filter_fn(|event| !SILENT.iter().any(|name| event.target().starts_with(name)));
    let subscriber = tracing_subscriber::registry().with(chosen).with(speaks);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false);
    // A second set-up in one process (tests) changes nothing.
    let _ = match format.unwrap_or_else(by_terminal) {
        LogFormat::Json => subscriber.with(lines.json().flatten_event(true).with_span_list(false)).try_init(),
        LogFormat::Pretty => subscriber.with(lines.compact()).try_init(),
    };
}

/// One line for what a commit added to a verification's story, where an operator has use for it.
pub fn log(v: &Verification, note: &Note) {
    let (id, app, to) = (v.id, &v.app, &v.to);
    match note {
        Note::Created { mode, policy } => {
            info!(event = "verification_created", verification.id = %id, app, %to, channel = mode.as_str(), %policy);
        }
        Note::AttemptDecided { channel: Channel::Call, reason: Some(reason), waited_ms, is_repeat, .. }
            if *reason != Reason::Requested =>
        {
            let reason = reason.as_str();
            info!(event = "escalation", verification.id = %id, %to, country = %to.country(), reason, waited_ms, is_repeat,
                "calling, since the text is not going to make it");
        }
        Note::Refused { attempt, provider_status, stop } => {
            warn!(event = "plivo_refused", verification.id = %id, %to, attempt, provider_status, stop);
        }
        Note::TimedOut { attempt } => warn!(event = "plivo_timeout", verification.id = %id, %to, attempt),
        Note::Deferred { attempt, provider_status, retry_at } => {
            warn!(event = "plivo_unavailable", verification.id = %id, %to, attempt, provider_status, %retry_at);
        }
        Note::PassedOn { attempt, provider_status } => {
            warn!(event = "phlo_unavailable", verification.id = %id, %to, attempt, provider_status,
                "the PHLO could not be run; the direct API is asked");
        }
        Note::TakenOver { attempt } => {
            warn!(event = "effect_taken_over", verification.id = %id, %to, attempt, "whoever asked Plivo is gone");
        }
        Note::TextReported { report, .. } => {
            let alert = report.error_code().and_then(crate::plivo::outcome::alert);
            match alert {
                Some(what) => {
                    warn!(event = "delivery_alert", verification.id = %id, %to, code = report.error_code(), what)
                }
                None => {
                    let (status, code) = (report.status().as_str(), report.error_code());
                    info!(event = "text_report", verification.id = %id, %to, status, code);
                }
            }
        }
        Note::CallReported { report, .. } => {
            let (status, cause) = (report.status().as_str(), report.cause());
            match cause.and_then(|cause| cause.parse().ok()).and_then(crate::plivo::outcome::call_alert) {
                Some(what) => warn!(event = "call_alert", verification.id = %id, %to, status, cause, what),
                None => info!(event = "call_report", verification.id = %id, %to, status, cause),
            }
        }
        Note::CodeIncorrect { checks_remaining } => {
            info!(event = "code_incorrect", verification.id = %id, app, %to, checks_remaining);
        }
        Note::Ended { .. } if v.is_lost => {
            warn!(event = "verification_lost", verification.id = %id, app, %to,
                "it was open when Redis failed over, and later changes may be missing");
        }
        Note::Ended { status: Status::MaxChecksReached } => {
            warn!(event = "verification_locked", verification.id = %id, app, %to, "too many wrong codes");
        }
        Note::Ended { status } => {
            info!(event = "verification_ended", verification.id = %id, app, %to, status = status.as_str());
        }
        Note::CallBarred { scope, .. } => {
            warn!(event = "escalation_barred", verification.id = %id, app, %to, scope = scope.as_str(),
                "a call was due, and a limit is reached");
        }
        Note::Joined
        | Note::AttemptDecided { .. }
        | Note::Accepted { .. }
        | Note::CallSilent { .. }
        | Note::TakenBack { .. }
        | Note::Weighed { .. }
        | Note::Night { .. }
        | Note::Activity { .. }
        | Note::Dropped { .. } => {}
    }
}
