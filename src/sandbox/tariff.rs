//! Prices and networks for reports: invented, apart from the country codes.

use crate::plivo::units::septets;
pub(super) use crate::plivo::units::units;

/// MCC and MNC of a number's network; the digit before the last four chooses among those of its country.
/// Codes: ITU E.212 (310 United States, 234 United Kingdom, 262 Germany, 208 France, 404 India).
pub(super) fn network(number: &str) -> (&'static str, &'static str) {
    let (mcc, networks): (_, &[&str]) = match number.as_bytes() {
        [b'1', ..] => ("310", &["004", "260", "410"]),
        [b'4', b'4', ..] => ("234", &["10", "15", "30"]),
        [b'4', b'9', ..] => ("262", &["01", "02", "03"]),
        [b'3', b'3', ..] => ("208", &["01", "10", "20"]),
        [b'9', b'1', ..] => ("404", &["10", "20", "45"]),
        _ => ("901", &["01"]),
    };
    let digit = number.len().checked_sub(5).map_or(0, |at| usize::from(number.as_bytes()[at]));
    (mcc, networks[digit % networks.len()])
}

/// USD for one unit of a text.
pub(super) fn text_rate(number: &str) -> f64 {
    match network(number).0 {
        "310" => 0.0055,
        "234" => 0.0403,
        "262" => 0.0884,
        "208" => 0.0697,
        "404" => 0.0032,
        _ => 0.06,
    }
}

/// USD for one minute of a call.
pub(super) fn call_rate(number: &str) -> f64 {
    if number.starts_with('1') { 0.01 } else { 0.05 }
}

/// Whether Plivo refuses a text: more than 1600 characters, or 737 with any beyond GSM-7.
/// Source: plivo.com/docs/messaging/api/message/send-a-message.
pub(super) fn is_too_long(text: &str) -> bool {
    match septets(text) {
        Some(septets) => septets > 1600,
        None => text.encode_utf16().count() > 737,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_text_depends_on_its_alphabet() {
        assert!(!is_too_long(&"ä".repeat(1600)));
        assert!(is_too_long(&"ä".repeat(1601)));
        assert!(is_too_long(&"€".repeat(801)));
        assert!(!is_too_long(&"я".repeat(737)));
        assert!(is_too_long(&"я".repeat(738)));
    }

    #[test]
    fn every_number_has_a_network() {
        for number in ["14155550112", "442079460000", "1", "", "999"] {
            assert!(!network(number).1.is_empty(), "{number}");
        }
    }
}
