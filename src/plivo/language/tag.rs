//! Language tags of BCP 47 (RFC 5646): one parser for locales, and for the tags of languages and of voices.

use language_tags::LanguageTag;

/// The longest tag that is read, in bytes. RFC 5646, 4.4.1 asks for room for 35.
const LENGTH_MAX: usize = 255;

/// The longest subtag. The crate does not bound those of tags that begin with `x-`.
const SUBTAG_MAX: usize = 8;

/// Parses a well-formed tag, extensions and private use included; `_` counts as `-`.
///
/// The result is in lower case. Whether the subtags are registered is not checked.
pub fn parse(text: &str) -> Option<String> {
    let tag = text.replace('_', "-").to_ascii_lowercase();
    let is_bounded = tag.len() <= LENGTH_MAX && tag.split('-').all(|part| (1..=SUBTAG_MAX).contains(&part.len()));
    (is_bounded && LanguageTag::parse(&tag).is_ok()).then_some(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_well_formed_tag_is_read() {
        for text in [
            "de",
            "EN_us",
            "en-GB-u-rg-uszzzz",
            "en-GB-oxendict",
            "zh-Hant-TW",
            "zh-yue-HK",
            "zh-cmn-Hans-CN",
            "sr-Latn-RS-x-private",
            "de-CH-1901",
            "sl-rozaj-biske-1994",
            "es-419",
            "hy-Latn-IT-arevela",
            "th-TH-u-ca-buddhist-nu-thai",
            "en-a-myext-b-another",
            "de-DE-t-en-us-x-a-b-c",
            "x-whatever",
            "x-a-1",
            "i-klingon",
            "art-lojban",
            "en-GB-oed",
            "mul",
            "abcdefgh",
        ] {
            assert_eq!(parse(text), Some(text.replace('_', "-").to_ascii_lowercase()), "{text}");
        }
        let long = format!("en-x{}", "-abcdefgh".repeat(27));
        assert!(parse(&long).is_some());
    }

    #[test]
    fn other_texts_are_no_tags() {
        for text in [
            "",
            "-",
            "d",
            "dé",
            "de-",
            "-de",
            "de--DE",
            "de DE",
            "abcdefghi",
            "en-abcdefghi",
            "en-u",
            "en-x",
            "x",
            "x-",
            "x-abcdefghi",
            "x--a",
            "de-419-DE",
            "a-DE",
            "12",
            "en-US-u-",
            "en\u{a0}US",
            "en-Ü",
            " en",
            "en\n",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
        assert_eq!(parse(&format!("en{}", "-x-abcdefgh".repeat(60))), None);
    }
}
