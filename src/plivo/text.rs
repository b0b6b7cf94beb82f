//! The finished message, as it stands on the handset: the language's words, and below them what phones look for.
//!
//! It is one SMS wherever that can be: a brand that is too long for that, or that GSM-7 cannot spell, is left out, and
//! words that are still too long too. It does not shorten a brand, which would make it another's.

use super::language::Language;
use super::units::units;
use crate::verification::Code;
use crate::verification::state::Details;

/// What a message with an app's hash may have, in UTF-8.
/// Source: developers.google.com/identity/sms-retriever/verify, "Construct a verification message".
const RETRIEVER_BYTES: usize = 140;

/// The text that carries a code, in one language.
///
/// Below the words stand, each in a line of its own, the hash by which Android's SMS Retriever finds the app (the
/// message has to include it), and WebOTP's `@origin #code`, which has to be the very last line
/// (wicg.github.io/sms-one-time-codes). The words are the first that leave room for those in one unit and, with a
/// hash, in 140 bytes: with the brand, without it, the bare code. The last always does: ten digits, a hash and an
/// origin of 64 characters, the most that a creation takes, come to 101 of GSM-7. A longer origin would be sent
/// below the bare code, however long that becomes.
pub fn message(language: &Language, code: &Code, brand: Option<&str>, details: &Details) -> String {
    let digits = code.reveal();
    let tail = tail(digits, details);
    let fits = |text: &String| units(text) == 1 && (details.app_hash.is_none() || text.len() <= RETRIEVER_BYTES);
    let with_brand = brand.map(|brand| language.text(digits, Some(brand)) + &tail).filter(fits);
    with_brand
        .or_else(|| Some(language.text(digits, None) + &tail).filter(fits))
        .unwrap_or_else(|| format!("{digits}{tail}"))
}

/// The lines for phones, after an empty one.
fn tail(digits: &str, details: &Details) -> String {
    let hash = details.app_hash.as_ref().map(|hash| format!("\n{hash}"));
    let origin = details.web_origin.as_ref().map(|origin| format!("\n@{origin} #{digits}"));
    let lines: String = [hash, origin].into_iter().flatten().collect();
    if lines.is_empty() { lines } else { format!("\n{lines}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plivo::language::Languages;
    use crate::plivo::units::septets;

    const HASH: &str = "FA+9qCX9VSu";

    #[test]
    fn the_code_comes_first_and_what_phones_look_for_last() {
        let (languages, code) = (Languages::built_in(), Code::parse("042917").unwrap());
        let english = languages.of("en");
        let mut details = Details::default();
        let text = message(english, &code, Some("Acme"), &details);
        assert_eq!(text, "042917 is your Acme verification code. Do not share it with anyone.");
        details.app_hash = Some(HASH.into());
        assert!(message(english, &code, None, &details).ends_with("anyone.\n\nFA+9qCX9VSu"));
        details.web_origin = Some("shop.example".into());
        assert!(message(english, &code, None, &details).ends_with("anyone.\n\nFA+9qCX9VSu\n@shop.example #042917"));
        details.app_hash = None;
        assert!(message(english, &code, None, &details).ends_with("anyone.\n\n@shop.example #042917"));
    }

    #[test]
    fn a_message_is_one_unit_and_with_a_hash_at_most_140_bytes() {
        let languages = Languages::built_in();
        let brands = [None, Some("Acme"), Some("Wörter & Söhne"), Some("Ярмарка"), Some("株式会社🦀")];
        let long = ["x".repeat(40), "я".repeat(40), "🦀".repeat(40), "€".repeat(40)];
        let origins = [None, Some("shop.example".to_owned()), Some("o".repeat(64))];
        for language in languages.iter() {
            for brand in brands.into_iter().chain(long.iter().map(|brand| Some(brand.as_str()))) {
                for (digits, app_hash, web_origin) in all(&origins) {
                    let details = Details { app_hash, web_origin, ..Details::default() };
                    let text = message(language, &Code::parse(digits).unwrap(), brand, &details);
                    assert_eq!(units(&text), 1, "{text}");
                    assert!(text.contains(digits), "{text}");
                    if let Some(hash) = &details.app_hash {
                        assert!(text.len() <= 140, "{} bytes: {text}", text.len());
                        assert_eq!(text.lines().filter(|line| line == hash).count(), 1, "{text}");
                    }
                    if let Some(origin) = &details.web_origin {
                        assert_eq!(text.lines().last().unwrap(), format!("@{origin} #{digits}"));
                    }
                }
            }
        }
    }

    fn all(origins: &[Option<String>]) -> impl Iterator<Item = (&'static str, Option<String>, Option<String>)> {
        ["4829", "042917", "4829136507"].into_iter().flat_map(move |digits| {
            [None, Some(HASH.to_owned())]
                .into_iter()
                .flat_map(move |hash| origins.iter().map(move |origin| (digits, hash.clone(), origin.clone())))
        })
    }

    #[test]
    fn what_does_not_fit_is_left_out_and_nothing_more() {
        let (languages, code) = (Languages::built_in(), Code::parse("042917").unwrap());
        let plain = Details::default();
        let hashed = Details { app_hash: Some(HASH.into()), ..Details::default() };
        let english = languages.of("en");
        // A brand beyond GSM-7 would make the whole text UCS-2, too long for one unit.
        let text = message(english, &code, Some("Księgarnia Łódź"), &plain);
        assert_eq!(text, "042917 is your verification code. Do not share it with anyone.");
        // One within it stays, however long, as long as there is room.
        assert!(message(english, &code, Some(&"x".repeat(40)), &plain).contains(&"x".repeat(40)));
        // 140 bytes are fewer than 160 septets, and fewer still where a letter has three.
        let both = Details { web_origin: Some("accounts.shop.example".into()), ..hashed };
        let tail = format!("\n\n{HASH}\n@accounts.shop.example #042917");
        let text = message(english, &code, Some(&"x".repeat(40)), &both);
        assert_eq!(text, format!("042917 is your verification code. Do not share it with anyone.{tail}"));
        assert_eq!(message(languages.of("th"), &code, Some("Acme"), &both), format!("042917{tail}"));
    }

    #[test]
    fn the_bare_code_with_both_lines_is_the_longest_that_is_left() {
        let (languages, code) = (Languages::built_in(), Code::parse("4829136507").unwrap());
        let web_origin = Some("o".repeat(64));
        let details = Details { app_hash: Some(HASH.into()), web_origin, ..Details::default() };
        let text = message(languages.of("th"), &code, None, &details);
        assert_eq!(septets(&text), Some(101), "{text}");
    }

    #[test]
    fn a_brand_is_not_filled_in_and_metadata_is_not_told() {
        let (languages, code) = (Languages::built_in(), Code::parse("042917").unwrap());
        let metadata = [("purpose".to_owned(), "{code} </Speak>".to_owned())].into();
        let details = Details { metadata, ..Details::default() };
        let text = message(languages.of("en"), &code, Some("{code}"), &details);
        assert_eq!(text, "042917 is your {code} verification code. Do not share it with anyone.");
    }
}
