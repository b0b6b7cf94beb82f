//! What Plivo's statuses, error codes and hangup causes mean.
//!
//! This module only translates; [`crate::escalation`] and [`crate::verification`] decide whether to call. Plivo adds codes
//! without notice. An unknown code is neither an error nor a success: a text may still arrive, and a call ends as its
//! status says.
//!
//! Sources: plivo.com/docs/messaging/troubleshooting/error-codes and Plivo's error-code blog post;
//! 300, 420, 900 and 910 from third-party clients; plivo.com/docs/voice/troubleshooting/hangup-causes.

use super::cause;
use crate::escalation::CallEnd;
use crate::verification::{CallReport, FailureClass, TextReport};

/// Translates a text's `Status` and `ErrorCode`; `None` for a status without use here, such as `read`.
///
/// Case is ignored. `rejected`, which older pages name, is a refusal by the carrier.
/// Source: plivo.com/docs/messaging/api/message/message-status-callbacks.
pub fn text_report(status: &str, error_code: Option<&str>) -> Option<TextReport> {
    let code = || present(error_code).map(cause::of_text);
    Some(match status.trim().to_ascii_lowercase().as_str() {
        "queued" => TextReport::Queued,
        "sent" => TextReport::Sent,
        "delivered" => TextReport::Delivered,
        "undelivered" | "rejected" => TextReport::Undelivered { error_code: code(), class: sms_class(error_code) },
        "failed" => TextReport::Failed { error_code: code(), class: sms_class(error_code) },
        _ => return None,
    })
}

/// The class of a text that failed, was rejected or was not delivered.
///
/// Without a code all three are permanent, so the status makes no difference.
pub fn sms_class(error_code: Option<&str>) -> FailureClass {
    let Some(code) = present(error_code) else { return FailureClass::Permanent };
    match code.parse::<u16>().unwrap_or(u16::MAX) {
        // Content or sender refused, destination unreachable by text, or never dispatched: a second text would fail too,
        // a call would not. 70 may make a call fail as well; one call is cheap.
        10 | 30 | 40 | 50 | 60 | 70 | 90 | 100 | 110 | 120 | 130 | 140 | 201 | 300 | 420 => FailureClass::Permanent,
        // 200: the recipient opted out. 450, 451, 452: geo permissions and Plivo's fraud controls, which a call would
        // circumvent. 900, 910: the account itself.
        200 | 450 | 451 | 452 | 900 | 910 => FailureClass::Stop,
        // 20 carrier trouble, 80 handset off, 1000 unknown: the text may still arrive, so the timer decides.
        20 | 80 | 1000 => FailureClass::Transient,
        // A code newer than this table is treated like 1000.
        _ => FailureClass::Transient,
    }
}

/// An operator alert for a text's error code, if the operator can act on it.
///
/// Every code of the class `Stop` has one, and so have faults of the deployment.
pub fn alert(error_code: &str) -> Option<&'static str> {
    Some(match parsed(error_code)? {
        40 => "the source number is wrong, cannot send texts or belongs to another account: every text will fail",
        110 => "the text is longer than Plivo accepts: shorten the template",
        200 => "the recipient opted out of this sender (STOP): only they can opt in again",
        201 => "a US toll-free number cannot text Canada: use another source number there",
        450 => {
            "the account's geo permissions block this country: allow it in the console of Plivo, or send nothing there"
        }
        451 => "Plivo's hourly threshold for this country was exceeded: texts are blocked for 12 to 24 hours",
        452 => "Plivo suspects SMS pumping: check which clients request these verifications",
        900 => "the Plivo account has no credit: no texts or calls are sent",
        910 => "the Plivo account is disabled: nothing is sent",
        _ => return None,
    })
}

/// Translates a call's `CallStatus`, `HangupCauseCode` and `HangupCause` (or `HangupCauseName`).
///
/// `None` for a status without use here, such as `queued`. Of an ended call the hangup code has precedence, as the most
/// exact, then the cause, then the status. An answered call that ended too soon counts as not answered. Asynchronous
/// machine detection arrives as a separate event, not here.
pub fn call_report(
    call_status: &str,
    hangup_code: Option<u32>,
    cause: Option<&str>,
    duration: Option<u64>,
) -> Option<CallReport> {
    let by_status = match call_status.trim().to_ascii_lowercase().as_str() {
        "ringing" => return Some(CallReport::Ringing),
        "in-progress" => return Some(CallReport::Answered),
        "completed" => CallResult::Heard,
        "busy" => CallResult::Unheard(CallEnd::Busy),
        // `timeout`: the phone rang for the whole ring timeout.
        "no-answer" | "timeout" => CallResult::Unheard(CallEnd::NoAnswer),
        // `cancel`: canceled before it was answered, by this service (the verification is over) or by an operator. Neither
        // wants another call.
        "failed" | "cancel" => CallResult::Unheard(CallEnd::Failed),
        _ => return None,
    };
    let name = cause.map(str::trim).filter(|name| !name.is_empty());
    let code = hangup_code.filter(|code| *code != 0);
    Some(match code.and_then(by_code).or_else(|| by_cause(name?)).unwrap_or(by_status) {
        CallResult::Heard if duration.is_none_or(|seconds| seconds >= min_heard_seconds(code)) => CallReport::Completed,
        CallResult::Heard => CallReport::Ended { end: CallEnd::NoAnswer, cause: cause::of_call(code, None) },
        CallResult::Unheard(end) => CallReport::Ended { end, cause: cause::of_call(code, name) },
    })
}

/// An operator alert for a call's hangup code, if the operator can act on it.
pub fn call_alert(hangup_code: u32) -> Option<&'static str> {
    Some(match hangup_code {
        1010 => "the Plivo account has no credit: no texts or calls are sent",
        2030 | 2040 | 2050 => "the account's voice geo permissions block this destination",
        3030 | 3130 | 3140 => "the caller id is refused (unknown, marked as spam, or not for outbound calls)",
        7011..=7034 => "Plivo could not fetch the call's XML: check PUBLIC_URL and that the internet reaches it",
        8011..=8014 => "Plivo could not parse the call's XML",
        _ => return None,
    })
}

/// The shortest call, in seconds, in which a code can have been spoken to its end.
///
/// Machine detection comes first, then the greeting and the digits. A call whose XML was finished (4010) may be shorter.
fn min_heard_seconds(hangup_code: Option<u32>) -> u64 {
    if hangup_code == Some(4010) { 2 } else { 5 }
}

/// The result of a call that is over.
#[derive(Clone, Copy)]
enum CallResult {
    /// It was answered, and the code may have been heard.
    Heard,
    /// The code was not heard.
    Unheard(CallEnd),
}

fn by_code(code: u32) -> Option<CallResult> {
    Some(match code {
        // Normal hangup, end of our XML, multi-party call; 6000 and 6020 end a call that was answered.
        4000 | 4010 | 4020 | 4030 | 6000 | 6020 => CallResult::Heard,
        3000 | 6010 => CallResult::Unheard(CallEnd::NoAnswer),
        3010 | 3100 => CallResult::Unheard(CallEnd::Busy),
        3020 | 3040 | 3110 => CallResult::Unheard(CallEnd::Rejected),
        // Trouble in the carrier's or Plivo's network, or India's limit of concurrent calls. The phone most likely never
        // rang, and another call may succeed, so this counts as no answer, which is repeated once.
        3070 | 3080 | 3090 | 5000 | 5010 | 5020 | 5030 => CallResult::Unheard(CallEnd::NoAnswer),
        // 9110: no key was pressed within the prompt, as on a mailbox.
        9100 | 9110 => CallResult::Unheard(CallEnd::Machine),
        // Bad number, blocked destination, caller id, credit, our answer URL or its XML, canceled, lost race: a second
        // call would end the same way.
        1000 | 1010 | 1020 | 2000..=2070 | 3030 | 3050 | 3120 | 3130 | 3140 | 7011..=7034 | 8011..=8014 | 9000 => {
            CallResult::Unheard(CallEnd::Failed)
        }
        _ => return None,
    })
}

/// Translates telephony names (`HangupCause`) and Plivo's own (`HangupCauseName`, with blanks for underscores).
///
/// `NORMAL_CLEARING` and `ORIGINATOR_CANCEL` end calls of every kind, so the status decides.
fn by_cause(name: &str) -> Option<CallResult> {
    Some(CallResult::Unheard(match cause::capitals(name).as_str() {
        "USER_BUSY" | "BUSY_LINE" | "BUSY_EVERYWHERE" => CallEnd::Busy,
        "NO_ANSWER" | "NO_USER_RESPONSE" | "ALLOTTED_TIMEOUT" | "PROGRESS_TIMEOUT" | "RING_TIMEOUT_REACHED" => {
            CallEnd::NoAnswer
        }
        "CALL_REJECTED" | "REJECTED" | "DECLINED" | "FORBIDDEN" => CallEnd::Rejected,
        // Network trouble, as in `by_code`.
        "NORMAL_TEMPORARY_FAILURE"
        | "NETWORK_OUT_OF_ORDER"
        | "NORMAL_CIRCUIT_CONGESTION"
        | "SWITCH_CONGESTION"
        | "RECOVERY_ON_TIMER_EXPIRE" => CallEnd::NoAnswer,
        "MACHINE_DETECTED" => CallEnd::Machine,
        "UNALLOCATED_NUMBER"
        | "INVALID_NUMBER_FORMAT"
        | "INVALID_DESTINATION"
        | "OUT_OF_SERVICE"
        | "NO_ROUTE_DESTINATION"
        | "NUMBER_CHANGED"
        | "DESTINATION_OUT_OF_ORDER" => CallEnd::Failed,
        _ => return None,
    }))
}

/// Plivo writes "no error" as nothing, as an empty text, as `0` and as `000`.
fn present(error_code: Option<&str>) -> Option<&str> {
    error_code.map(str::trim).filter(|code| !code.bytes().all(|b| b == b'0'))
}

fn parsed(error_code: &str) -> Option<u16> {
    error_code.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use CallEnd::{Busy, Failed, Machine, NoAnswer, Rejected};
    use FailureClass::{Permanent, Stop, Transient};

    #[test]
    fn each_error_code_has_its_class() {
        for (class, codes) in [
            (Permanent, "10 30 40 50 60 70 90 100 110 120 130 140 201 300 420"),
            (Transient, "20 80 1000 310 950 99999999 -1 E-7"),
            (Stop, "200 450 451 452 900 910"),
        ] {
            for code in codes.split(' ') {
                assert_eq!(sms_class(Some(code)), class, "{code}");
            }
        }
    }

    #[test]
    fn a_failure_without_a_code_is_permanent() {
        for none in [None, Some(""), Some(" "), Some("0"), Some("000")] {
            assert_eq!(sms_class(none), Permanent, "{none:?}");
            let report = TextReport::Undelivered { error_code: None, class: Permanent };
            assert_eq!(text_report("Undelivered", none), Some(report.clone()));
            assert_eq!(text_report("rejected", none), Some(report));
        }
        let off = TextReport::Failed { error_code: Some("80".into()), class: Transient };
        assert_eq!(text_report("failed", Some("80")), Some(off));
        assert_eq!(text_report("delivered", Some("000")), Some(TextReport::Delivered));
        assert_eq!(text_report("read", None), None);
    }

    #[test]
    fn every_stop_and_every_fault_of_the_deployment_alerts_the_operator() {
        let alerting: Vec<u16> = (0..2000).filter(|code| alert(&code.to_string()).is_some()).collect();
        assert_eq!(alerting, [40, 110, 200, 201, 450, 451, 452, 900, 910]);
        assert!((0..2000).map(|c: u16| c.to_string()).all(|c| sms_class(Some(&c)) != Stop || alert(&c).is_some()));
        assert!(call_alert(7011).is_some() && call_alert(3010).is_none());
    }

    #[test]
    fn each_hangup_code_has_its_end_whatever_the_status() {
        for (end, codes) in [
            (None, vec![4000, 4010, 4020, 4030, 6000, 6020]),
            (Some(NoAnswer), vec![3000, 6010, 3070, 3080, 3090, 5000, 5010, 5020, 5030]),
            (Some(Busy), vec![3010, 3100]),
            (Some(Rejected), vec![3020, 3040, 3110]),
            (Some(Machine), vec![9100, 9110]),
            (Some(Failed), vec![1000, 1010, 1020, 2000, 2010, 2020, 2030, 2040, 2050, 2060, 2070, 3030, 3050, 3120]),
            (Some(Failed), vec![3130, 3140, 7011, 7014, 7022, 7024, 7032, 7034, 8011, 8014, 9000]),
        ] {
            for code in codes {
                let expected = end.map_or(CallReport::Completed, |end| ended(end, Some(&code.to_string())));
                for status in ["completed", "busy", "failed"] {
                    assert_eq!(call_report(status, Some(code), Some("NORMAL_CLEARING"), None), Some(expected.clone()));
                }
            }
        }
    }

    #[test]
    fn without_a_known_code_the_cause_decides_and_then_the_status() {
        for (status, code, cause, end) in [
            ("busy", None, Some("USER_BUSY"), ended(Busy, Some("3010"))),
            ("busy", Some(0), Some("CALL_REJECTED"), ended(Rejected, Some("3020"))),
            ("busy", None, Some("Declined"), ended(Rejected, Some("3110"))),
            ("completed", None, Some("Machine Detected"), ended(Machine, Some("9100"))),
            ("failed", None, Some("SWITCH_CONGESTION"), ended(NoAnswer, Some("3090"))),
            ("failed", Some(1234), None, ended(Failed, Some("1234"))),
            ("busy", None, Some(" "), ended(Busy, None)),
            ("no-answer", None, Some("ORIGINATOR_CANCEL"), ended(NoAnswer, Some("originator_cancel"))),
            ("timeout", None, None, ended(NoAnswer, None)),
            ("Cancel", None, None, ended(Failed, None)),
            ("completed", None, Some("NORMAL_CLEARING"), CallReport::Completed),
        ] {
            assert_eq!(
                call_report(status, code, cause, Some(0).filter(|_| status != "completed")),
                Some(end),
                "{status} {code:?} {cause:?}"
            );
        }
    }

    #[test]
    fn an_answered_call_that_was_too_short_counts_as_no_answer() {
        let report = |code, seconds| call_report("completed", code, Some("NORMAL_CLEARING"), Some(seconds));
        assert_eq!(report(Some(4000), 4), Some(ended(NoAnswer, Some("4000"))));
        assert_eq!(report(None, 0), Some(ended(NoAnswer, None)));
        assert_eq!(report(Some(4000), 5), Some(CallReport::Completed));
        assert_eq!(report(Some(4010), 2), Some(CallReport::Completed), "all was said");
        assert_eq!(report(Some(4010), 1), Some(ended(NoAnswer, Some("4010"))));
        assert_eq!(report(Some(9100), 3), Some(ended(Machine, Some("9100"))));
    }

    #[test]
    fn a_running_call_has_not_ended() {
        assert_eq!(call_report("ringing", None, None, None), Some(CallReport::Ringing));
        assert_eq!(call_report("in-progress", Some(0), Some("NORMAL_CLEARING"), None), Some(CallReport::Answered));
        assert_eq!(call_report("queued", None, None, None), None);
    }

    fn ended(end: CallEnd, cause: Option<&str>) -> CallReport {
        CallReport::Ended { end, cause: cause.map(str::to_owned) }
    }
}
