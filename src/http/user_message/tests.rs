use strum::VariantArray;

use super::*;
use crate::plivo::language::Languages;

const ALL: [UserMessage; 13] = [
    UserMessage::WrongCode(3),
    UserMessage::NotACode,
    UserMessage::CodeExpired,
    UserMessage::TooManyCodes,
    UserMessage::InvalidNumber,
    UserMessage::NumberRefused,
    UserMessage::Unreachable,
    UserMessage::CallRefused,
    UserMessage::CallInProgress,
    UserMessage::AlreadyVerified,
    UserMessage::NoMoreSends,
    UserMessage::Wait(Duration::from_secs(30)),
    UserMessage::TryAgain,
];

#[test]
fn the_most_spoken_of_our_languages_have_every_message() {
    // The fifteen with the most speakers of those in languages.json (Ethnologue 2025), and more.
    for tag in ["en", "zh", "hi", "es", "ar", "fr", "bn", "pt", "ru", "ur", "id", "de", "ja", "vi", "tr"] {
        assert!(WORDINGS.contains_key(tag), "{tag}");
    }
    let texts = Languages::built_in();
    for (tag, sentences) in &*WORDINGS {
        assert_eq!(texts.of(tag).tag().to_ascii_lowercase(), *tag, "a language without texts");
        let said = ALL.map(|message| Wording(sentences).say(message));
        for (at, sentence) in said.iter().enumerate() {
            assert!(!sentence.is_empty() && !sentence.contains(['{', '}']), "{tag}: {sentence}");
            assert!(!said[..at].contains(sentence), "{tag}: {sentence} is said twice");
        }
        assert!(said[0].contains('3') && said[11].contains("30"), "{tag}: {said:?}");
        if tag != ENGLISH {
            assert!(ALL.iter().all(|message| Wording(sentences).say(*message) != Wording::default().say(*message)));
        }
    }
}

#[test]
fn a_person_is_told_in_the_language_of_the_locale_or_of_the_country() {
    for (locale, country, expected) in [
        ("de-AT", "US", "Dieser Code gilt nicht mehr. Fordern Sie einen neuen an."),
        ("", "FR", "Ce code n'est plus valable. Demandez-en un nouveau."),
        ("", "TW", "此驗證碼已失效。請重新取得。"),
        ("zh-HK", "US", "此驗證碼已失效。請重新取得。"),
        ("zh_CN", "US", "此验证码已失效。请重新获取。"),
        ("pt-PT", "BR", "Este código já não é válido. Peça um novo."),
        ("sw", "KE", "This code is no longer valid. Request a new one."),
    ] {
        let wording = Wording::of_person(locale, &Country::parse(country).unwrap());
        assert_eq!(wording.say(UserMessage::CodeExpired), expected, "{locale} {country}");
    }
}

#[test]
fn a_wait_is_told_in_its_largest_fitting_unit_and_rounded_up() {
    let wait = |ms| Wording::default().say(UserMessage::Wait(Duration::from_millis(ms)));
    assert_eq!(wait(0), "Please wait 1 sec and try again.");
    assert_eq!(wait(29_001), "Please wait 30 sec and try again.");
    assert_eq!(wait(119_001), "Please wait 2 min and try again.");
    assert_eq!(wait(600_001), "Please wait 11 min and try again.");
    assert_eq!(wait(86_400_000), "Please wait 24 hr and try again.");
}

#[test]
fn every_problem_that_a_person_can_solve_has_a_message() {
    let wait = Some(Duration::from_secs(30));
    let told: Vec<&str> = ErrorCode::VARIANTS
        .iter()
        .filter(|code| UserMessage::of(**code, wait).is_some())
        .map(|code| code.into())
        .collect();
    assert_eq!(
        told,
        [
            "country_not_allowed",
            "destination_blocked",
            "channel_not_allowed",
            "verification_not_found",
            "already_verified",
            "verification_canceled",
            "verification_undeliverable",
            "call_in_progress",
            "verification_expired",
            "verification_lost",
            "invalid_number",
            "invalid_code",
            "max_checks_reached",
            "resend_cooldown",
            "max_attempts_reached",
            "rate_limited",
            "rejected_by_plivo",
            "storage_unavailable",
        ]
    );
}
