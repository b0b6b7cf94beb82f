//! Typographic characters folded to GSM-7, so that a name copied from a web page does not turn a text into UCS-2.

use icu_normalizer::ComposingNormalizerBorrowed;

use super::units::septets;

/// The text in GSM-7 with the same letters; `None` if it has letters outside it.
///
/// Quotes, dashes and blanks become the plain ones, full-width letters and ligatures ordinary ones. Invisible characters go.
/// A text that is in GSM-7 already stays as it is.
pub fn to_gsm7(text: &str) -> Option<String> {
    if septets(text).is_some() {
        return Some(text.to_owned());
    }
    let plain: String = text.chars().filter_map(plain).collect();
    // Compatibility composition also joins a letter and its combining accent, as macOS writes them.
    let composed = ComposingNormalizerBorrowed::new_nfkc().normalize(&plain).into_owned();
    septets(&composed).map(|_| composed)
}

/// The plain form of a typographic character; `None` for an invisible one.
fn plain(c: char) -> Option<char> {
    match c {
        '‘' | '’' | '‚' | '‛' | '′' | 'ʼ' | 'ʹ' | '´' | '`' => Some('\''),
        '“' | '”' | '„' | '‟' | '″' | '«' | '»' => Some('"'),
        '‹' => Some('<'),
        '›' => Some('>'),
        '‐' | '‑' | '‒' | '–' | '—' | '―' | '−' | '⁃' => Some('-'),
        '⁄' | '∕' => Some('/'),
        '\u{2028}' | '\u{2029}' => Some(' '),
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' => None,
        '\u{fe00}'..='\u{fe0f}' | '\u{feff}' => None,
        _ => Some(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typographic_characters_become_plain_ones() {
        for (text, folded) in [
            ("Acme", "Acme"),
            ("Söhne & Co £", "Söhne & Co £"),
            ("Levi’s", "Levi's"),
            ("“Acme” – shop", "\"Acme\" - shop"),
            ("Acme\u{a0}Shop\u{202f}1", "Acme Shop 1"),
            ("non‑breaking", "non-breaking"),
            ("Acme…", "Acme..."),
            ("Ａｃｍｅ　１", "Acme 1"),
            ("ﬁne", "fine"),
            ("Cafe\u{301}", "Café"),
            ("\u{feff}Ac\u{ad}me\u{200b}\u{202a}", "Acme"),
        ] {
            assert_eq!(to_gsm7(text).as_deref(), Some(folded), "{text:?}");
        }
        for text in ["Księgarnia", "Ярмарка", "株式会社", "Acme 🦀", "Ça va ç"] {
            assert_eq!(to_gsm7(text), None, "{text}");
        }
    }
}
