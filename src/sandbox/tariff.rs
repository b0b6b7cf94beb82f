//! Prices and networks, so that reports carry plausible ones. Made up, apart from the country codes.

/// MCC and MNC of a number's network: a few per country, told apart by the digit before the last four.
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

/// Whether Plivo would not take a text: 1600 characters, 737 with any beyond GSM-7.
/// Source: plivo.com/docs/messaging/api/message/send-a-message.
pub(super) fn is_too_long(text: &str) -> bool {
    if text.is_ascii() { text.len() > 1600 } else { text.encode_utf16().count() > 737 }
}

/// How many texts a long one takes: 160, then 153 characters, or 70, then 67 with any beyond GSM-7
/// (here: beyond ASCII). Source: plivo.com/docs/messaging/api/message/send-a-message.
pub(super) fn units(text: &str) -> usize {
    let (characters, single, part) =
        if text.is_ascii() { (text.len(), 160, 153) } else { (text.encode_utf16().count(), 70, 67) };
    if characters <= single { 1 } else { characters.div_ceil(part) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_several_units() {
        assert_eq!(units(""), 1);
        assert_eq!(units(&"a".repeat(160)), 1);
        assert_eq!(units(&"a".repeat(161)), 2);
        assert_eq!(units(&"ä".repeat(70)), 1);
        assert_eq!(units(&"ä".repeat(71)), 2);
    }

    #[test]
    fn every_number_has_a_network() {
        for number in ["14155550112", "442079460000", "1", "", "999"] {
            assert!(!network(number).1.is_empty(), "{number}");
        }
    }
}
