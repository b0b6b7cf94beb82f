//! Validates the voice XML of calls against Plivo's rules, in every language and with hostile brands.

/// The simulator's listener, which extracts the code that a person would type.
#[path = "../../src/sandbox/code.rs"]
mod listener;

use std::sync::LazyLock;

use phlo_2fa::plivo::language::{Language, Languages};
use phlo_2fa::plivo::{answer, text, units};
use phlo_2fa::verification::{Code, Details};
use proptest::prelude::*;
use roxmltree::{Document, Node};

const URL: &str = "https://otp.example.test/plivo/answer/r_01H";
const BRANDS: [Option<&str>; 3] = [None, Some("Acme"), Some("Tom & Söhne <GmbH>")];
/// Without 1, the key that the call asks to press.
const DIGITS: &str = "4829036507";

#[test]
fn every_language_follows_plivos_rules_and_says_the_code_twice() {
    let languages = all();
    assert!(languages.iter().count() >= 30);
    for language in languages.iter() {
        for (length, brand) in (4..=10).flat_map(|length| BRANDS.map(|brand| (length, brand))) {
            let digits = &DIGITS[..length];
            let xml = answer::spoken_code(language, brand, &code(digits), URL);
            let document = valid(&xml);
            let questions: Vec<String> = elements(&document, "GetDigits").map(spoken_text).collect();
            assert_eq!(questions.len(), 2, "{xml}");
            for question in &questions {
                assert_eq!(listener::code_in(question).as_deref(), Some(digits), "{question}");
                let said: String = question.chars().filter(char::is_ascii_digit).collect();
                assert_eq!(said, format!("{digits}1"), "the code, then the key: {question}");
                assert!(!question.contains(['{', '}']), "{question}");
                assert!(brand.is_none_or(|brand| question.contains(brand)), "{question}");
            }
            let last = document.root_element().last_element_child().unwrap();
            assert!(last.has_tag_name("Speak") && !spoken_text(last).contains(|c: char| c.is_numeric()), "{xml}");
        }
    }
}

#[test]
fn a_prompt_and_a_goodbye_contain_no_digit_but_the_key() {
    for language in all().iter() {
        for brand in BRANDS {
            let xml = answer::key_press_prompt(language, brand, URL);
            let document = valid(&xml);
            assert_eq!(elements(&document, "GetDigits").count(), 2);
            for question in elements(&document, "GetDigits").map(spoken_text) {
                assert_eq!(question.chars().filter(|c| c.is_numeric()).collect::<String>(), "1", "{question}");
                assert!(brand.is_none_or(|brand| question.contains(brand)), "{question}");
            }
        }
        let xml = answer::goodbye(language);
        let document = valid(&xml);
        assert_eq!(elements(&document, "GetDigits").count(), 0);
        let said = spoken_text(document.root_element());
        assert!(!said.trim().is_empty() && !said.contains(|c: char| c.is_numeric()), "{xml}");
    }
}

#[test]
fn the_validator_rejects_documents_that_plivo_would_reject() {
    let speak = r#"<Speak voice="WOMAN" language="en-US">x</Speak>"#;
    for (inner, why) in [
        (r#"<Speak voice="WOMAN" language="en-US" loop="0">x</Speak>"#, "loop"),
        (r#"<Speak voice="WOMAN" language="en-US">x<break time="1s"/></Speak>"#, "SSML"),
        (r#"<Speak voice="ALICE" language="en-US">x</Speak>"#, "voice"),
        (r#"<Speak voice="WOMAN" language="fi-FI">x</Speak>"#, "language"),
        (r#"<Speak voice="Polly.Joanna" language="en-US"><say-as interpret-as="x">1</say-as></Speak>"#, "interpret-as"),
        ("<Say>x</Say>", "Say"),
        (r#"<Wait length="0"/>"#, "length"),
        (r#"<Wait length="1">x</Wait>"#, "text"),
        (r#"<GetDigits action="/relative">x</GetDigits>"#, "action"),
        (r#"<GetDigits action="https://a.test/"><Hangup/></GetDigits>"#, "Hangup"),
        (r#"<GetDigits action="https://a.test/" validDigits="x"/>"#, "validDigits"),
        (r#"<GetDigits action="https://a.test/" digits="1"/>"#, "digits"),
        ("text", "text"),
    ] {
        let faults = faults(&format!("<Response>{inner}</Response>"));
        assert!(faults.iter().any(|fault| fault.contains(why)), "{inner}: {faults:?}");
    }
    assert_eq!(faults(&format!("<Response>{speak}<Wait length=\"1\"/><Hangup/></Response>")), Vec::<String>::new());
    assert!(!faults(&format!("<Response>{}</Response>", speak.repeat(3000))).is_empty());
    assert!(!faults(speak).is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn hostile_text_never_changes_the_structure(
        locale in hostile(),
        brand in hostile(),
        purpose in hostile(),
        voiced in any::<prop::sample::Index>(),
        length in 4usize..=10,
    ) {
        let languages = all();
        let known: Vec<&Language> = languages.iter().collect();
        let code = code(&DIGITS[..length]);
        for language in [languages.of(&locale), known[voiced.index(known.len())]] {
            let speakable: String = brand.chars().filter(|c| !c.is_control() && !"\u{fffe}\u{ffff}".contains(*c)).collect();
            let speakable = speakable.trim();
            // A brand that is empty after filtering, or too long, is left out.
            let harmless = (1..=100).contains(&speakable.chars().count()).then_some("Acme");
            for (xml, expected) in [
                (answer::spoken_code(language, Some(&brand), &code, URL), answer::spoken_code(language, harmless, &code, URL)),
                (answer::key_press_prompt(language, Some(&brand), URL), answer::key_press_prompt(language, harmless, URL)),
            ] {
                let document = valid(&xml);
                prop_assert_eq!(structure(&document), structure(&valid(&expected)));
                let said = spoken_text(document.root_element());
                prop_assert!(harmless.is_none() || said.contains(speakable), "{:?} in {}", speakable, said);
            }
            let plain = Details { locale: locale.clone(), ..Details::default() };
            let details = Details { purpose: purpose.clone(), ..plain.clone() };
            let message = text::message(language, &code, Some(&brand), &details);
            prop_assert_eq!(&message, &text::message(language, &code, Some(&brand), &plain));
            prop_assert_eq!(units::units(&message), 1);
            prop_assert!(message.contains(code.reveal()), "{}", message);
        }
    }
}

// ---- spoken content

/// The built-in languages, and two with Plivo's own voices.
fn all() -> &'static Languages {
    static ALL: LazyLock<Languages> = LazyLock::new(|| {
        let json = r#"{
            "en-CA": {"like": "en", "voice": "WOMAN"},
            "fr-BE": {"like": "fr", "voice": "MAN"}
        }"#;
        Languages::with_overrides(json).unwrap()
    });
    &ALL
}

fn code(digits: &str) -> Code {
    Code::parse(digits).unwrap()
}

/// Text that breaks the structure where escaping is incomplete.
fn hostile() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "<",
        ">",
        "&",
        "\"",
        "'",
        "]]>",
        "<![CDATA[",
        "<!--",
        "-->",
        "&#0;",
        "&amp;",
        "&lt;",
        "<?xml?>",
        "<!DOCTYPE x>",
        "</Speak>",
        "</GetDigits></Response>",
        "<Hangup/>",
        "\" loop=\"0",
        "{code}",
        "{brand}",
        "{",
        "}",
        "\0",
        "\t",
        "\n",
        "\r\n",
        "\u{b}",
        "\u{1b}",
        "\u{7f}",
        "\u{85}",
        "\u{2028}",
        "\u{202e}",
        "\u{200f}",
        "\u{feff}",
        "\u{fffe}",
        "\u{ffff}",
        "🦀",
        "👩‍👧",
        "é",
        "ß",
        "株式会社",
        "שלום",
        "en",
        "-",
        "_",
        "zh-TW",
        "Acme",
        " ",
        "0",
        "%s",
        "$(x)",
        "\\",
        "../",
    ]);
    let some = prop::collection::vec(pieces.clone().prop_map(str::to_owned), 0..8).prop_map(|all| all.concat());
    let long = (pieces, 1usize..300).prop_map(|(piece, times)| piece.repeat(times));
    prop_oneof![4 => some, 1 => long, 2 => any::<String>()]
}

fn elements<'a>(document: &'a Document<'_>, name: &'static str) -> impl Iterator<Item = Node<'a, 'a>> {
    document.descendants().filter(move |node| node.has_tag_name(name))
}

/// Text in order, a blank where an element begins or ends.
fn spoken_text(node: Node<'_, '_>) -> String {
    let texts: Vec<&str> = node.descendants().filter(Node::is_text).filter_map(|node| node.text()).collect();
    texts.join(" ")
}

/// Elements and attributes without the text between them.
fn structure(document: &Document<'_>) -> Vec<String> {
    let depth = |node: Node<'_, '_>| node.ancestors().count();
    let elements = document.descendants().filter(|node| !node.is_text());
    elements.map(|n| format!("{} {:?} {:?}", depth(n), n.tag_name(), n.attributes().collect::<Vec<_>>())).collect()
}

// ---- Plivo's rules, from plivo/wire.md 4.4 and 4.5

const BYTES_MAX: usize = 100 * 1024;
const CHARACTERS_MAX: usize = 3000;

/// Languages of Plivo's own voices (plivo.com/docs/voice/xml/audio-output), without Portugal's, which has no WOMAN.
const OWN_LANGUAGES: &str = "da-DK nl-NL en-AU en-GB en-US fr-FR fr-CA de-DE it-IT pl-PL pt-BR ru-RU es-ES es-US sv-SE";
/// Polly's standard voices (docs.aws.amazon.com/polly/latest/dg/standard-voices.html) and their languages.
const POLLY: &str = "Zeina:arb Zhiyu:cmn-CN Naja:da-DK Mads:da-DK Lotte:nl-NL Ruben:nl-NL Nicole:en-AU Russell:en-AU \
    Amy:en-GB Emma:en-GB Brian:en-GB Aditi:en-IN Raveena:en-IN Ivy:en-US Joanna:en-US Kendra:en-US Kimberly:en-US \
    Salli:en-US Joey:en-US Kevin:en-US Geraint:en-GB-WLS Celine:fr-FR Lea:fr-FR Mathieu:fr-FR Chantal:fr-CA \
    Marlene:de-DE Vicki:de-DE Hans:de-DE Aditi:hi-IN Dora:is-IS Karl:is-IS Carla:it-IT Bianca:it-IT Giorgio:it-IT \
    Mizuki:ja-JP Takumi:ja-JP Seoyeon:ko-KR Liv:nb-NO Ewa:pl-PL Maja:pl-PL Jacek:pl-PL Jan:pl-PL Camila:pt-BR \
    Vitoria:pt-BR Ricardo:pt-BR Ines:pt-PT Cristiano:pt-PT Carmen:ro-RO Tatyana:ru-RU Maxim:ru-RU Conchita:es-ES \
    Lucia:es-ES Enrique:es-ES Mia:es-MX Lupe:es-US Penelope:es-US Miguel:es-US Astrid:sv-SE Filiz:tr-TR Gwyneth:cy-GB";
const SSML: &[&str] = &["break", "emphasis", "lang", "p", "phoneme", "prosody", "s", "say-as", "sub", "w"];

/// The parsed document, which must pass the rules.
fn valid(xml: &str) -> Document<'_> {
    assert_eq!(faults(xml), Vec::<String>::new(), "{xml}");
    Document::parse(xml).unwrap()
}

fn faults(xml: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if xml.len() > BYTES_MAX {
        faults.push(format!("{} bytes", xml.len()));
    }
    let document = match Document::parse(xml) {
        Ok(document) => document,
        Err(error) => return vec![error.to_string()],
    };
    let root = document.root_element();
    if !root.has_tag_name("Response") || root.attributes().len() > 0 {
        faults.push("the root is not a plain Response".into());
    }
    for node in root.descendants() {
        let name = node.tag_name().name();
        if node.is_element() {
            let nested = node.parent_element().is_none_or(|parent| may_hold(parent, name));
            let wrong = node.attributes().filter(|a| !may_have(node, a.name(), a.value()));
            faults.extend(wrong.map(|a| format!("{name} {}={:?}", a.name(), a.value())));
            if !nested {
                faults.push(format!("{name} in a place where it is not allowed; SSML needs a Polly voice"));
            }
            if name == "GetDigits" && node.attribute("action").is_none() {
                faults.push("GetDigits without action".into());
            }
            if name == "Speak" && !(1..=CHARACTERS_MAX).contains(&spoken_text(node).trim().chars().count()) {
                faults.push("Speak with too little or too much text".into());
            }
        } else if node.is_text() {
            let holder = node.parent_element().map_or("", |parent| parent.tag_name().name());
            if holder != "Speak" && !(SSML.contains(&holder) && holder != "break") {
                faults.push(format!("text in {holder}"));
            }
        } else {
            faults.push("a comment or an instruction".into());
        }
    }
    faults
}

fn may_hold(parent: Node<'_, '_>, child: &str) -> bool {
    match parent.tag_name().name() {
        "Response" => matches!(child, "Speak" | "Play" | "Wait" | "GetDigits" | "GetInput" | "Redirect" | "Hangup"),
        "GetDigits" | "GetInput" => matches!(child, "Speak" | "Play" | "Wait"),
        "Speak" => SSML.contains(&child) && parent.attribute("voice").is_some_and(|voice| voice.starts_with("Polly.")),
        "prosody" | "emphasis" | "lang" | "p" | "s" => SSML.contains(&child),
        _ => false,
    }
}

fn may_have(node: Node<'_, '_>, name: &str, value: &str) -> bool {
    let number = |least: u32| value.parse::<u32>().is_ok_and(|number| number >= least);
    let is_switch = matches!(value, "true" | "false");
    match (node.tag_name().name(), name) {
        ("Speak", "voice") => {
            matches!(value, "WOMAN" | "MAN") || value.strip_prefix("Polly.").is_some_and(|n| speaks(n).next().is_some())
        }
        ("Speak", "language") => match node.attribute("voice").and_then(|voice| voice.strip_prefix("Polly.")) {
            Some(voice) => speaks(voice).any(|language| language == value),
            None => OWN_LANGUAGES.split(' ').any(|language| language == value),
        },
        // 0 repeats without end.
        ("Speak", "loop") => number(1),
        ("Wait", "length") => number(1),
        ("GetDigits", "action") => {
            url::Url::parse(value).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        }
        ("GetDigits", "method") => matches!(value, "GET" | "POST"),
        ("GetDigits", "numDigits" | "timeout" | "digitTimeout" | "retries") => number(1),
        ("GetDigits", "validDigits") => {
            !value.is_empty() && value.chars().all(|c| c.is_ascii_digit() || matches!(c, '*' | '#'))
        }
        ("GetDigits", "redirect" | "log" | "playBeep") => is_switch,
        ("Hangup", "reason") => matches!(value, "rejected" | "busy"),
        ("break", "time") => {
            let millis = value.strip_suffix("ms").and_then(|ms| ms.parse().ok());
            millis
                .or_else(|| value.strip_suffix('s')?.parse::<u32>().ok().map(|s| s * 1000))
                .is_some_and(|ms| ms <= 10_000)
        }
        ("prosody", "rate") => matches!(value, "x-slow" | "slow" | "medium" | "fast" | "x-fast"),
        ("say-as", "interpret-as") => matches!(value, "spell-out" | "characters" | "cardinal" | "ordinal" | "digits"),
        _ => false,
    }
}

/// The languages of one of Polly's voices.
fn speaks(voice: &str) -> impl Iterator<Item = &'static str> {
    POLLY
        .split_whitespace()
        .filter_map(|one| one.split_once(':'))
        .filter(move |(name, _)| *name == voice)
        .map(|(_, l)| l)
}
