//! What Plivo's statuses, error codes and hangup causes mean for a verification.
//!
//! A reading, not a judgement: whether anybody is called is decided in [`crate::escalation`] and
//! [`crate::verification`]. Plivo adds codes without notice, so one we do not know is never an error and
//! never a success: a text may still arrive, and a call ends as its status says.
//!
//! Sources: plivo.com/docs/messaging/troubleshooting/error-codes and Plivo's error-code blog post;
//! 300, 420, 900 and 910 from third-party clients; plivo.com/docs/voice/troubleshooting/hangup-causes.

use crate::escalation::CallEnd;
use crate::verification::event::{CallReport, FailureClass, TextReport};

/// Reads a text's `Status` and `ErrorCode`. `None` for a status we have no use for, as `read`.
///
/// Statuses are compared in any case. `rejected`, which older pages name, is a carrier's refusal.
/// Source: plivo.com/docs/messaging/api/message/message-status-callbacks.
pub fn text_report(status: &str, error_code: Option<&str>) -> Option<TextReport> {
    let code = || given(error_code).map(str::to_owned);
    Some(match status.trim().to_ascii_lowercase().as_str() {
        "queued" => TextReport::Queued,
        "sent" => TextReport::Sent,
        "delivered" => TextReport::Delivered,
        "undelivered" | "rejected" => TextReport::Undelivered { error_code: code(), class: sms_class(error_code) },
        "failed" => TextReport::Failed { error_code: code(), class: sms_class(error_code) },
        _ => return None,
    })
}

/// The class of a text that failed, was rejected or was not delivered. Without a code each of these
/// three is permanent, so the status itself makes no difference.
pub fn sms_class(error_code: Option<&str>) -> FailureClass {
    let Some(code) = given(error_code) else { return FailureClass::Permanent };
    match code.parse::<u16>().unwrap_or(u16::MAX) {
        // Content or sender refused, destination unreachable by text, or never dispatched: sending it
        // again meets the same wall, a call does not. 70 may fail there too; one call is cheap.
        10 | 30 | 40 | 50 | 60 | 70 | 90 | 100 | 110 | 120 | 130 | 140 | 201 | 300 | 420 => FailureClass::Permanent,
        // 200 the recipient opted out; 450, 451, 452 our geo permissions and Plivo's fraud controls, which
        // a call would get round; 900, 910 the account itself.
        200 | 450 | 451 | 452 | 900 | 910 => FailureClass::Stop,
        // 20 carrier trouble, 80 handset off, 1000 unknown: it may still arrive, and the timer decides.
        20 | 80 | 1000 => FailureClass::Transient,
        // Codes newer than this table: as 1000.
        _ => FailureClass::Transient,
    }
}

/// What to tell an operator about a text's error code, where one has something to mend or to know:
/// every class that stops, and faults of our own set-up.
pub fn alert(error_code: &str) -> Option<&'static str> {
    Some(match number(error_code)? {
        40 => "the source number is wrong, cannot send texts or is not of this account: every text will fail",
        110 => "the text is longer than Plivo takes: shorten the template",
        200 => "the recipient opted out of this sender (STOP): only they can opt in again",
        201 => "a US toll-free number cannot text Canada: use another source number there",
        450 => "the account's geo permissions bar this country: allow it at Plivo, or take it off COUNTRIES",
        451 => "Plivo's hourly threshold for this country was passed: texts are blocked for 12 to 24 hours",
        452 => "Plivo suspects SMS pumping: look at who asks for these verifications",
        900 => "the Plivo account has no credit: neither texts nor calls go out",
        910 => "the Plivo account is disabled: nothing goes out",
        _ => return None,
    })
}

/// Reads a call's `CallStatus`, `HangupCauseCode` and `HangupCause` (or `HangupCauseName`). `None` for a
/// status that says nothing, as `queued`.
///
/// Of an ended call the code is believed first, as the most exact, then the cause, then the status. One that was
/// answered and hung up too soon was not heard: it counts as not answered. Asynchronous machine detection arrives
/// as an event of its own, not here.
pub fn call_report(
    call_status: &str,
    hangup_code: Option<u32>,
    cause: Option<&str>,
    duration: Option<u64>,
) -> Option<CallReport> {
    let by_status = match call_status.trim().to_ascii_lowercase().as_str() {
        "ringing" => return Some(CallReport::Ringing),
        "in-progress" => return Some(CallReport::Answered),
        "completed" => Over::Heard,
        "busy" => Over::Not(CallEnd::Busy),
        // `timeout`: it rang for the whole ring timeout.
        "no-answer" | "timeout" => Over::Not(CallEnd::NoAnswer),
        // `cancel`: taken back before it was answered, which is us (a code came while it rang, and all is
        // over anyway) or an operator. Neither wants the phone to ring again.
        "failed" | "cancel" => Over::Not(CallEnd::Failed),
        _ => return None,
    };
    let cause = cause.map(str::trim).filter(|cause| !cause.is_empty());
    let code = hangup_code.filter(|code| *code != 0);
    Some(match code.and_then(by_code).or_else(|| by_cause(cause?)).unwrap_or(by_status) {
        Over::Heard if duration.is_none_or(|seconds| seconds >= heard_after(code)) => CallReport::Completed,
        Over::Heard => CallReport::Ended { end: CallEnd::NoAnswer, cause: code.map(|code| code.to_string()) },
        Over::Not(end) => {
            CallReport::Ended { end, cause: code.map(|code| code.to_string()).or(cause.map(str::to_owned)) }
        }
    })
}

/// What to tell an operator about a call's hangup code, where one has something to mend.
pub fn call_alert(hangup_code: u32) -> Option<&'static str> {
    Some(match hangup_code {
        1010 => "the Plivo account has no credit: neither texts nor calls go out",
        2030 | 2040 | 2050 => "the account's voice geo permissions bar this destination",
        3030 | 3130 | 3140 => "the caller id is refused (unknown, marked as spam, or not for outbound calls)",
        7011..=7034 => "Plivo could not fetch our answer: check PUBLIC_URL and that it can be reached from outside",
        8011..=8014 => "Plivo could not read the XML that we answered",
        _ => return None,
    })
}

/// Seconds of a call before which no code has been spoken to its end: after a machine was listened for come the
/// greeting and the digits, one by one. A call that ended because all was said (4010) may have been shorter.
fn heard_after(hangup_code: Option<u32>) -> u64 {
    if hangup_code == Some(4010) { 2 } else { 5 }
}

/// How a call that is over went.
#[derive(Clone, Copy)]
enum Over {
    /// It was answered and nobody was in the way.
    Heard,
    /// The code was not heard.
    Not(CallEnd),
}

fn by_code(code: u32) -> Option<Over> {
    Some(match code {
        // Normal hangup, end of our XML, multi-party call; 6000 and 6020 end a call that was answered.
        4000 | 4010 | 4020 | 4030 | 6000 | 6020 => Over::Heard,
        3000 | 6010 => Over::Not(CallEnd::NoAnswer),
        3010 | 3100 => Over::Not(CallEnd::Busy),
        3020 | 3040 | 3110 => Over::Not(CallEnd::Rejected),
        // Carrier or Plivo network trouble, and India's limit of concurrent calls. The phone most likely
        // never rang, and the next try may go through: as no answer, so that it is repeated once.
        3070 | 3080 | 3090 | 5000 | 5010 | 5020 | 5030 => Over::Not(CallEnd::NoAnswer),
        // 9110: a key was to be pressed and was not, as a mailbox does not.
        9100 | 9110 => Over::Not(CallEnd::Machine),
        // Bad numbers, barred destinations, our caller id, credit, our own answer URL and its XML,
        // canceled, lost race: the same call again would end the same way.
        1000 | 1010 | 1020 | 2000..=2070 | 3030 | 3050 | 3120 | 3130 | 3140 | 7011..=7034 | 8011..=8014 | 9000 => {
            Over::Not(CallEnd::Failed)
        }
        _ => return None,
    })
}

/// Telephony names (`HangupCause`) and, with blanks for underscores, Plivo's own (`HangupCauseName`).
/// `NORMAL_CLEARING` and `ORIGINATOR_CANCEL` end calls of every kind, so they leave it to the status.
fn by_cause(cause: &str) -> Option<Over> {
    Some(Over::Not(match cause.to_ascii_uppercase().replace([' ', '-'], "_").as_str() {
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
fn given(error_code: Option<&str>) -> Option<&str> {
    error_code.map(str::trim).filter(|code| !code.bytes().all(|b| b == b'0'))
}

fn number(error_code: &str) -> Option<u16> {
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
    fn operators_hear_of_every_stop_and_of_our_own_faults() {
        let alerting: Vec<u16> = (0..2000).filter(|code| alert(&code.to_string()).is_some()).collect();
        assert_eq!(alerting, [40, 110, 200, 201, 450, 451, 452, 900, 910]);
        assert!((0..2000).map(|c: u16| c.to_string()).all(|c| sms_class(Some(&c)) != Stop || alert(&c).is_some()));
        assert!(call_alert(7011).is_some() && call_alert(3010).is_none());
    }

    #[test]
    fn each_hangup_code_has_its_end_whatever_the_status_says() {
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
    fn without_a_known_code_the_cause_counts_and_then_the_status() {
        for (status, code, cause, end) in [
            ("busy", None, Some("USER_BUSY"), ended(Busy, Some("USER_BUSY"))),
            ("busy", Some(0), Some("CALL_REJECTED"), ended(Rejected, Some("CALL_REJECTED"))),
            ("busy", None, Some("Declined"), ended(Rejected, Some("Declined"))),
            ("completed", None, Some("Machine Detected"), ended(Machine, Some("Machine Detected"))),
            ("failed", None, Some("SWITCH_CONGESTION"), ended(NoAnswer, Some("SWITCH_CONGESTION"))),
            ("failed", Some(1234), None, ended(Failed, Some("1234"))),
            ("busy", None, Some(" "), ended(Busy, None)),
            ("no-answer", None, Some("ORIGINATOR_CANCEL"), ended(NoAnswer, Some("ORIGINATOR_CANCEL"))),
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
    fn an_answered_call_that_was_too_short_was_not_heard() {
        let report = |code, seconds| call_report("completed", code, Some("NORMAL_CLEARING"), Some(seconds));
        assert_eq!(report(Some(4000), 4), Some(ended(NoAnswer, Some("4000"))));
        assert_eq!(report(None, 0), Some(ended(NoAnswer, None)));
        assert_eq!(report(Some(4000), 5), Some(CallReport::Completed));
        assert_eq!(report(Some(4010), 2), Some(CallReport::Completed), "all was said");
        assert_eq!(report(Some(4010), 1), Some(ended(NoAnswer, Some("4010"))));
        assert_eq!(report(Some(9100), 3), Some(ended(Machine, Some("9100"))));
    }

    #[test]
    fn a_call_that_is_under_way_has_not_ended() {
        assert_eq!(call_report("ringing", None, None, None), Some(CallReport::Ringing));
        assert_eq!(call_report("in-progress", Some(0), Some("NORMAL_CLEARING"), None), Some(CallReport::Answered));
        assert_eq!(call_report("queued", None, None, None), None);
    }

    fn ended(end: CallEnd, cause: Option<&str>) -> CallReport {
        CallReport::Ended { end, cause: cause.map(str::to_owned) }
    }
}
