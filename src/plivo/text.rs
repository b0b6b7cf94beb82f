//! The complete text message: the language's wording, then the lines that phones parse.
//!
//! It is one SMS wherever possible. A brand that makes it longer, or that GSM-7 cannot encode, is left out, and then the
//! wording too. A brand is never shortened: it might become another brand.

use super::language::Language;
use super::units::units;
use crate::verification::{Code, Details};

/// The size limit of a message with an app hash, in UTF-8 bytes.
/// Source: developers.google.com/identity/sms-retriever/verify, "Construct a verification message".
const RETRIEVER_BYTES: usize = 140;

/// The text message for a code, in one language.
///
/// Below the wording, each on its own line: the hash by which Android's SMS Retriever finds the app, and WebOTP's
/// `@origin #code`, which must be the last line (wicg.github.io/sms-one-time-codes).
///
/// Tries the wording with the brand, then without it, then the bare code. The first to fit one SMS (and 140 bytes with a
/// hash) is used. The bare code always fits: ten digits, a hash and an origin of 64 characters, the most that a creation
/// accepts, are 101 GSM-7 characters.
pub fn message(language: &Language, code: &Code, brand: Option<&str>, details: &Details) -> String {
    let digits = code.reveal();
    let tail = tail(digits, details);
    let fits = |text: &String| units(text) == 1 && (details.app_hash.is_none() || text.len() <= RETRIEVER_BYTES);
    let with_brand = brand.map(|brand| language.text(digits, Some(brand)) + &tail).filter(fits);
    with_brand
        .or_else(|| Some(language.text(digits, None) + &tail).filter(fits))
        .unwrap_or_else(|| format!("{digits}{tail}"))
}

/// The lines for phones, after an empty line.
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
    fn the_code_comes_first_and_the_lines_for_phones_last() {
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
    fn a_message_is_one_sms_and_with_a_hash_at_most_140_bytes() {
        let languages = Languages::built_in();
        let brands = [None, Some("Acme"), Some("Wörter & Söhne"), Some("Ярмарка"), Some("株式会社🦀")];
        let long = ["x".repeat(40), "я".repeat(40), "🦀".repeat(40), "€".repeat(40)];
        let origins = [None, Some("shop.example".to_owned()), Some("o".repeat(64))];
        for language in languages.iter() {
            for brand in brands.into_iter().chain(long.iter().map(|brand| Some(brand.as_str()))) {
                for (digits, app_hash, web_origin) in all_details(&origins) {
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

    fn all_details(origins: &[Option<String>]) -> impl Iterator<Item = (&'static str, Option<String>, Option<String>)> {
        ["4829", "042917", "4829136507"].into_iter().flat_map(move |digits| {
            [None, Some(HASH.to_owned())]
                .into_iter()
                .flat_map(move |hash| origins.iter().map(move |origin| (digits, hash.clone(), origin.clone())))
        })
    }

    #[test]
    fn only_what_does_not_fit_is_left_out() {
        let (languages, code) = (Languages::built_in(), Code::parse("042917").unwrap());
        let plain = Details::default();
        let hashed = Details { app_hash: Some(HASH.into()), ..Details::default() };
        let english = languages.of("en");
        // A brand outside GSM-7 would make the whole text UCS-2, too long for one SMS.
        let text = message(english, &code, Some("Księgarnia Łódź"), &plain);
        assert_eq!(text, "042917 is your verification code. Do not share it with anyone.");
        // A long brand within GSM-7 stays while there is room.
        assert!(message(english, &code, Some(&"x".repeat(40)), &plain).contains(&"x".repeat(40)));
        // 140 bytes are less than 160 septets, and less still in a script of three bytes a letter.
        let both = Details { web_origin: Some("accounts.shop.example".into()), ..hashed };
        let tail = format!("\n\n{HASH}\n@accounts.shop.example #042917");
        let text = message(english, &code, Some(&"x".repeat(40)), &both);
        assert_eq!(text, format!("042917 is your verification code. Do not share it with anyone.{tail}"));
        assert_eq!(message(languages.of("th"), &code, Some("Acme"), &both), format!("042917{tail}"));
    }

    #[test]
    fn the_bare_code_with_both_lines_always_fits() {
        let (languages, code) = (Languages::built_in(), Code::parse("4829136507").unwrap());
        let web_origin = Some("o".repeat(64));
        let details = Details { app_hash: Some(HASH.into()), web_origin, ..Details::default() };
        let text = message(languages.of("th"), &code, None, &details);
        assert_eq!(septets(&text), Some(101), "{text}");
    }

    #[test]
    fn placeholders_in_a_brand_stay() {
        let (languages, code) = (Languages::built_in(), Code::parse("042917").unwrap());
        let text = message(languages.of("en"), &code, Some("{code}"), &Details::default());
        assert_eq!(text, "042917 is your {code} verification code. Do not share it with anyone.");
    }
}
