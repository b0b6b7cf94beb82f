//! How many SMS a text takes, in GSM-7 or UCS-2: the number that Plivo bills.
//!
//! Only the default alphabet and its extension table are used. National shift tables could encode Turkish or Portuguese in
//! seven bits, but Plivo documents GSM-7 and UCS-2 alone. Written by hand: this is two tables and one division.
//! Sources: 3GPP TS 23.038, 6.2.1 and 6.2.1.1; plivo.com/docs/messaging/api/message/send-a-message
//! (160 and 153, 70 and 67 per unit).

/// The default alphabet without its escape: one septet each.
const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZ\
                     ÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";

/// The extension table: an escape and a character, so two septets each.
const EXTENSION: &str = "\u{c}^{}\\[~]|€";

/// The number of septets in GSM-7; `None` if a character is outside it.
pub fn septets(text: &str) -> Option<usize> {
    text.chars().map(septets_of).sum()
}

/// The number of SMS that a text is sent as, at least one.
///
/// An escape sequence or a surrogate pair is never split between two SMS, so one may end a septet early.
pub fn units(text: &str) -> usize {
    match septets(text) {
        Some(all) if all <= 160 => 1,
        Some(_) => parts(text.chars().filter_map(septets_of), 153),
        None if text.encode_utf16().count() <= 70 => 1,
        None => parts(text.chars().map(char::len_utf16), 67),
    }
}

fn septets_of(c: char) -> Option<usize> {
    match c {
        ' '..='Z' | 'a'..='z' => Some(1),
        _ if BASIC.contains(c) => Some(1),
        _ if EXTENSION.contains(c) => Some(2),
        _ => None,
    }
}

fn parts(widths: impl Iterator<Item = usize>, capacity: usize) -> usize {
    let (parts, _) =
        widths.fold(
            (1, 0),
            |(parts, used), width| {
                if used + width <= capacity { (parts, used + width) } else { (parts + 1, width) }
            },
        );
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alphabet_has_127_characters_and_the_extension_ten() {
        assert_eq!(BASIC.chars().count(), 127);
        assert_eq!(EXTENSION.chars().count(), 10);
        assert!(BASIC.chars().all(|c| septets_of(c) == Some(1)));
        assert!(EXTENSION.chars().all(|c| septets_of(c) == Some(2)));
        assert!((' '..='Z').chain('a'..='z').all(|c| BASIC.contains(c)));
    }

    #[test]
    fn a_text_outside_the_alphabet_has_no_septets() {
        for text in ["ç", "í", "`", "’", "ş", "я", "\u{a0}", "\t", "🦀"] {
            assert_eq!(septets(text), None, "{text:?}");
        }
        assert_eq!(septets("à l'été, Ñandú"), None);
        assert_eq!(septets("10 € {a}"), Some(11));
    }

    #[test]
    fn a_long_text_takes_several_sms() {
        for (piece, count, expected) in [
            ("", 0, 1),
            ("a", 160, 1),
            ("a", 161, 2),
            ("a", 306, 2),
            ("a", 307, 3),
            ("ä", 160, 1),
            ("€", 80, 1),
            ("€", 81, 2),
            ("я", 70, 1),
            ("я", 71, 2),
            ("я", 134, 2),
            ("я", 135, 3),
            ("🦀", 35, 1),
            ("🦀", 36, 2),
        ] {
            assert_eq!(units(&piece.repeat(count)), expected, "{count} of {piece}");
        }
    }

    #[test]
    fn a_pair_is_never_split_between_sms() {
        // One septet of each SMS stays unused: 153 pairs need a third SMS, though 306 septets would fit two.
        assert_eq!(units(&"€".repeat(152)), 2);
        assert_eq!(units(&"€".repeat(153)), 3);
        assert_eq!(units(&"🦀".repeat(66)), 2);
        assert_eq!(units(&"🦀".repeat(67)), 3);
    }
}
