use super::*;
use crate::plivo::units::units;

fn faults(json: &str) -> Vec<String> {
    Languages::with_overrides(json).expect_err(json)
}

#[test]
fn there_are_more_than_fifty_languages_and_most_have_a_voice() {
    let languages = Languages::built_in();
    assert!(languages.iter().count() >= 50);
    let spoken = languages.iter().filter(|l| l.tag == "en" || l.speech != languages.of("en").speech).count();
    assert!(spoken >= 28, "{spoken}");
}

#[test]
fn a_locale_finds_its_language_by_dropping_subtags() {
    let languages = Languages::built_in();
    for (locale, tag, speech_tag) in [
        ("de", "de", "de-DE"),
        ("de-AT", "de", "de-DE"),
        ("DE_at", "de", "de-DE"),
        ("en", "en", "en-US"),
        ("en-US", "en", "en-US"),
        ("en-gb", "en-GB", "en-GB"),
        ("en-GB-oxendict", "en-GB", "en-GB"),
        ("es-419", "es", "es-ES"),
        ("es-MX", "es-MX", "es-MX"),
        ("pt-BR", "pt", "pt-BR"),
        ("pt-PT", "pt-PT", "pt-PT"),
        ("no", "nb", "nb-NO"),
        ("no-NO", "nb", "nb-NO"),
        ("iw-IL", "he", "en-US"),
        ("in", "id", "en-US"),
        ("zh", "zh", "cmn-CN"),
        ("zh-CN", "zh", "cmn-CN"),
        ("zh-Hans-HK", "zh", "cmn-CN"),
        ("zh-TW", "zh-Hant", "cmn-CN"),
        ("zh_hk", "zh-Hant", "cmn-CN"),
        ("zh-Hant-MO", "zh-Hant", "cmn-CN"),
        ("zh-TW-x-private", "zh-Hant", "cmn-CN"),
        ("ar-EG-u-nu-latn", "ar", "arb"),
        ("", "en", "en-US"),
        ("tlh", "en", "en-US"),
        ("-", "en", "en-US"),
        ("d", "en", "en-US"),
        ("dé", "en", "en-US"),
    ] {
        let language = languages.of(locale);
        assert_eq!((language.tag(), language.speech_tag()), (tag, speech_tag), "{locale:?}");
    }
    assert_eq!(languages.of(&"de-".repeat(10_000)).tag(), "en");
}

#[test]
fn every_text_is_one_sms_and_contains_the_code_once() {
    let languages = Languages::built_in();
    for language in languages.iter() {
        for length in 4..=10 {
            let code = &"4829136507"[..length];
            for brand in [None, Some("A"), Some("Longer Brand, 20 ch."), Some("{code} {brand}")] {
                let text = language.text(code, brand);
                assert_eq!(units(&text), 1, "{text}");
                assert_eq!(text.matches(code).count(), 1, "{text}");
                let digits_of_brand = brand.map_or(0, |brand| brand.chars().filter(char::is_ascii_digit).count());
                let digits = text.chars().filter(char::is_ascii_digit).count();
                assert_eq!(digits, length + digits_of_brand, "{text}");
                assert_eq!(text.contains(['{', '}']), brand.is_some_and(|b| b.contains('{')), "{text}");
                assert!(brand.is_none_or(|brand| text.contains(brand)), "{text}");
            }
        }
    }
}

#[test]
fn languages_that_gsm_7_can_encode_use_no_other_character() {
    let languages = Languages::built_in();
    let tags = "en es fr de it pt pt-PT nl sv nb da fi pl cs sk ro tr id ms fil hr bs sr sl et cy sw af";
    for tag in tags.split(' ') {
        let text = languages.of(tag).text("4829136507", Some("Acme"));
        assert!(crate::plivo::units::septets(&text).is_some(), "{text}");
    }
}

#[test]
fn a_field_can_be_overridden_and_languages_like_it_follow() {
    let json = r#"{"EN":{"goodbye":"Bye."},"en-GB":{"text":"Your code: {code}"}}"#;
    let (plain, languages) = (Languages::built_in(), Languages::with_overrides(json).unwrap());
    assert_eq!(languages.of("en-AU").speech.goodbye.fill("", ""), "Bye.");
    assert_eq!(languages.of("th").speech.goodbye.fill("", ""), "Bye.");
    assert_eq!(languages.of("en-GB").text("1234", None), "Your code: 1234");
    assert_eq!(languages.of("en").text("1234", None), plain.of("en").text("1234", None));
    assert_eq!(languages.of("en-GB").tag(), "en-GB");
    assert_eq!(languages.of("de"), plain.of("de"));
}

#[test]
fn a_language_can_be_added() {
    let json = r#"{
        "eo": {"text": "{code} estas via kodo.", "text_brand": "{code} estas via kodo por {brand}."},
        "es-AR": {"like": "es-MX", "speech_tag": "es-US"},
        "nn": {"like": "nb", "text": "{code} er koden din."}
    }"#;
    let languages = Languages::with_overrides(json).unwrap();
    assert_eq!(languages.of("eo-XX").text("1234", Some("Acme")), "1234 estas via kodo por Acme.");
    assert_eq!(languages.of("eo").speech_tag(), "en-US");
    assert_eq!(languages.of("es_ar").speech_tag(), "es-US");
    assert_eq!(languages.of("es-AR").speech.again, languages.of("es-MX").speech.again);
    assert_eq!(languages.of("nn-NO").text("1234", None), "1234 er koden din.");
    assert_eq!(languages.of("no").tag(), "nb");
}

#[test]
fn every_fault_names_its_tag_and_its_field() {
    for (json, expected) in [
        ("", "is not JSON: line 1, column 0"),
        ("[]", "must be an object by language tag"),
        (r#"{"de":1}"#, "de: must be an object"),
        (r#"{"de":{"txt":"x"}}"#, "de.txt: is not a field of a language"),
        (r#"{"de":{"text":7}}"#, "de.text: must be a string"),
        (r#"{"de":{"text":""}}"#, "de.text: is empty"),
        (r#"{"de":{"text":"Hallo"}}"#, "de.text: does not contain {code}"),
        (r#"{"de":{"text":"{code} {code}"}}"#, "de.text: contains {code} more than once"),
        (r#"{"de":{"text":"{code} {brand}"}}"#, "de.text: must not contain {brand}"),
        (r#"{"de":{"text_brand":"{code}"}}"#, "de.text_brand: does not contain {brand}"),
        (r#"{"de":{"text":"{code} {name}"}}"#, "de.text: contains a placeholder other than {code} and {brand}"),
        (r#"{"de":{"text":"{code"}}"#, "de.text: contains a brace without its counterpart"),
        (r#"{"de":{"text":"{code}\n@evil.example #1"}}"#, "de.text: contains a control character"),
        (r#"{"de":{"again":"{code}"}}"#, "de.again: must not contain {code}"),
        (r#"{"de":{"confirm_brand":"Hallo"}}"#, "de.confirm_brand: does not contain {brand}"),
        (r#"{"de":{"voice":"Joanna"}}"#, "de.voice: must be WOMAN, MAN or a Polly voice, such as Polly.Joanna"),
        (r#"{"de":{"voice":"Polly.\"/>"}}"#, "de.voice: must be WOMAN, MAN or a Polly voice, such as Polly.Joanna"),
        (r#"{"de":{"speech_tag":"German!"}}"#, "de.speech_tag: must be a language tag, such as pt-BR"),
        (r#"{"de":{"like":"xx"}}"#, "de.like: names a language that does not exist"),
        (r#"{"de":{"like":"fr"},"fr":{"like":"de"}}"#, "de.like: refers back to itself"),
        (r#"{"th":{"goodbye":"ลาก่อน"}}"#, "th.voice: is missing"),
        (r#"{"eo":{"text":"{code}"}}"#, "eo.text_brand: is missing"),
        (r#"{"d e":{"like":"de"}}"#, "entry 1 has a name that is not a language tag, such as pt-BR"),
        (r#"{"eo":{"like":"de"},"EO":{"like":"de"}}"#, "eo: is listed twice"),
    ] {
        let found = faults(json);
        assert!(found.iter().any(|line| line == expected), "{json}: {found:?}");
    }
    let long = format!(r#"{{"de":{{"text":"{{code}} {}"}}}}"#, "я".repeat(60));
    assert_eq!(faults(&long), ["de.text: is more than one SMS with a code of 10 digits"]);
    let long = format!(r#"{{"de":{{"text_brand":"{{code}} {{brand}} {}"}}}}"#, "x".repeat(129));
    assert_eq!(
        faults(&long),
        ["de.text_brand: is more than one SMS with a code of 10 digits and a brand of 20 characters"]
    );
}

#[test]
fn all_faults_are_reported_at_once_and_an_inherited_one_once() {
    let json = r#"{"en":{"again":"{code}","x":""},"fr":{"voice":"x"},"eo":{}}"#;
    let expected = [
        "en.again: must not contain {code}",
        "en.x: is not a field of a language",
        "eo.text: is missing",
        "eo.text_brand: is missing",
        "fr.voice: must be WOMAN, MAN or a Polly voice, such as Polly.Joanna",
    ];
    assert_eq!(faults(json), expected);
}
