//! The `error_code` of texts and calls: one spelling of one cause, whichever part of Plivo reports it.
//!
//! It is Plivo's number as decimal digits wherever Plivo has one: a code of a text (`30`) or a hangup code of a call (`3010`). The
//! PHLO and older callbacks report a call by name alone (`USER_BUSY`, `Busy Line`): a known name becomes its number, and any other
//! is written in snake case (`originator_cancel`).
//!
//! Sources: plivo.com/docs/messaging/troubleshooting/error-codes, plivo.com/docs/voice/troubleshooting/hangup-causes.

/// Names of hangup causes in capitals, telephony's and Plivo's own, with Plivo's number.
///
/// Only names with one meaning are here: `NORMAL_CLEARING` ends calls of every kind.
const HANGUP_CODES: &[(&str, u16)] = &[
    ("CANCELED", 1000),
    ("INVALID_DESTINATION", 2000),
    ("INVALID_NUMBER_FORMAT", 2000),
    ("OUT_OF_SERVICE", 2010),
    ("NO_ANSWER", 3000),
    ("NO_USER_RESPONSE", 3000),
    ("USER_BUSY", 3010),
    ("BUSY_LINE", 3010),
    ("CALL_REJECTED", 3020),
    ("REJECTED", 3020),
    ("FORBIDDEN", 3040),
    ("UNALLOCATED_NUMBER", 3050),
    ("NETWORK_OUT_OF_ORDER", 3080),
    ("NETWORK_ERROR", 3080),
    ("NORMAL_CIRCUIT_CONGESTION", 3090),
    ("SWITCH_CONGESTION", 3090),
    ("BUSY_EVERYWHERE", 3100),
    ("DECLINED", 3110),
    ("NORMAL_HANGUP", 4000),
    ("END_OF_XML_INSTRUCTIONS", 4010),
    ("RING_TIMEOUT_REACHED", 6010),
    ("MACHINE_DETECTED", 9100),
];

/// The code of a text, in the common spelling.
pub(super) fn of_text(code: &str) -> String {
    let code = code.trim();
    if code.bytes().all(|b| b.is_ascii_digit()) { code.trim_start_matches('0').to_owned() } else { snake_case(code) }
}

/// The hangup cause of a call, in the common spelling: by Plivo's number, or else by the cause's name.
pub(super) fn of_call(code: Option<u32>, name: Option<&str>) -> Option<String> {
    code.map(|code| code.to_string()).or_else(|| name.map(of_name))
}

/// A hangup cause's name as telephony writes it: in capitals, with underscores.
pub(super) fn capitals(name: &str) -> String {
    snake_case(name.trim()).to_ascii_uppercase()
}

fn of_name(name: &str) -> String {
    let capitals = capitals(name);
    let known = HANGUP_CODES.iter().find(|(known, _)| *known == capitals);
    known.map_or_else(|| capitals.to_ascii_lowercase(), |(_, code)| code.to_string())
}

fn snake_case(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_cause_has_one_code_whichever_part_of_plivo_reports_it() {
        for (code, name, expected) in [
            (Some(3010), Some("USER_BUSY"), "3010"),
            (None, Some("USER_BUSY"), "3010"),
            (None, Some("Busy Line"), "3010"),
            (None, Some("Machine Detected"), "9100"),
            (None, Some("ORIGINATOR_CANCEL"), "originator_cancel"),
            (None, Some("SIP 503: x"), "sip_503__x"),
        ] {
            assert_eq!(of_call(code, name).as_deref(), Some(expected));
        }
        assert_eq!(of_call(None, None), None);
        for (code, expected) in [("30", "30"), ("030", "30"), (" 450 ", "450"), ("E-7", "e_7")] {
            assert_eq!(of_text(code), expected);
        }
    }
}
