//! `/widget.js`: its size, its headers, its words and its numbers. `tests/processes/widget.rs` has it in a browser.

use std::collections::{BTreeMap, BTreeSet};

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberFormat, PhoneNumberType};
use serde_json::{Value, json};

use crate::pages::node;
use crate::support::TestApp;

const FOLD: &str = include_str!("../../src/http/fold.js");
const COUNTRIES: &str = include_str!("../../src/http/widget/countries.js");
const WORDS: &str = include_str!("../../src/http/widget/words.js");

/// Bytes of the script as a browser loads it.
const SIZE_MAX: usize = 12_000;
/// Languages in which the widget speaks.
const LANGUAGES: usize = 20;
/// What a strict policy forbids: code from text, HTML from text, and styles in attributes.
const FORBIDDEN: [&str; 9] = [
    "eval(",
    "Function(",
    "innerHTML",
    "outerHTML",
    "insertAdjacentHTML",
    "document.write",
    ".style.",
    "cssText",
    "\"style\"",
];

#[tokio::test(flavor = "multi_thread")]
async fn the_script_is_small_and_every_site_may_load_and_keep_it() {
    let app = TestApp::spawn().await;
    let get = |name: &str, value: &str| app.keyless("GET", "/widget.js").header(name, value).send();
    let compressed = get("accept-encoding", "gzip, br").await.unwrap();
    let header = |name: &str| compressed.headers().get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
    assert_eq!(header("content-encoding"), "gzip");
    assert_eq!(header("content-type"), "text/javascript; charset=utf-8");
    assert_eq!(header("cache-control"), "public, max-age=3600");
    assert_eq!(header("access-control-allow-origin"), "*");
    assert_eq!(header("cross-origin-resource-policy"), "cross-origin");
    assert_eq!(header("vary"), "Accept-Encoding");
    let tag = header("etag");
    let compressed = compressed.bytes().await.unwrap();
    assert!(compressed.len() < SIZE_MAX, "{} bytes", compressed.len());

    let plain = get("accept-encoding", "identity").await.unwrap();
    assert!(plain.headers().get("content-encoding").is_none());
    let plain = plain.text().await.unwrap();
    let mut decoded = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&compressed[..]), &mut decoded).unwrap();
    assert_eq!(decoded, plain);
    for forbidden in FORBIDDEN {
        assert!(!plain.contains(forbidden), "the script has {forbidden}");
    }
    let known = get("if-none-match", &format!("\"another\", {tag}")).await.unwrap();
    assert_eq!((known.status().as_u16(), known.headers()["etag"].to_str().unwrap()), (304, tag.as_str()));
    let other = get("if-none-match", "\"another\"").await.unwrap();
    assert_eq!(other.status().as_u16(), 200);
    let head = app.keyless("HEAD", "/widget.js").send().await.unwrap();
    assert_eq!((head.status().as_u16(), head.headers()["etag"].to_str().unwrap()), (200, tag.as_str()));
}

#[test]
fn every_language_has_every_sentence_with_its_figures() {
    let script = format!("{WORDS}\nconsole.log(JSON.stringify([SAID, WORDS]));");
    let Some(found) = node(&script) else { return };
    let names: Vec<&str> = found[0].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    let languages = found[1].as_object().unwrap();
    assert_eq!(languages.len(), LANGUAGES);
    // What the widget does not say itself is the service's `user_message`.
    let told: Value = serde_json::from_str(include_str!("../../src/http/user_message/sentences.json")).unwrap();
    assert!(languages.keys().all(|language| told.get(language).is_some()), "{languages:?}");
    for (language, sentences) in languages {
        let sentences: Vec<&str> = sentences.as_str().unwrap().split('|').collect();
        assert_eq!(sentences.len(), names.len(), "{language}");
        assert_eq!(sentences.iter().collect::<BTreeSet<_>>().len(), sentences.len(), "{language} says one thing twice");
        for (name, sentence) in names.iter().zip(sentences) {
            assert!(!sentence.trim().is_empty() && sentence.trim() == sentence, "{language}.{name}");
            let figure = match *name {
                "code" => "{to}",
                "next" => "{n}",
                _ => "",
            };
            assert!(sentence.contains(figure), "{language}.{name} lacks {figure}");
            assert_eq!(sentence.matches('{').count(), usize::from(!figure.is_empty()), "{language}.{name}");
        }
    }
}

#[test]
fn it_knows_the_calling_code_of_every_country() {
    let Some(found) = node(&format!("{COUNTRIES}\nconsole.log(JSON.stringify([[...CODE_OF], [...MAIN_COUNTRY]]));"))
    else {
        return;
    };
    let pairs = |all: &Value| -> BTreeMap<String, String> {
        serde_json::from_value::<Vec<(String, String)>>(all.clone()).unwrap().into_iter().collect()
    };
    let code = |region| PHONE_NUMBER_UTIL.get_country_code_for_region(region).unwrap();
    let expected: BTreeMap<String, String> = PHONE_NUMBER_UTIL
        .get_supported_regions()
        .map(|region| (region.to_string(), code(region).to_string()))
        .collect();
    assert_eq!(pairs(&found[0]), expected);
    for (code, country) in pairs(&found[1]) {
        let main = PHONE_NUMBER_UTIL.get_region_for_country_code(code.parse().unwrap()).unwrap();
        assert_eq!(country, main.to_string(), "+{code}");
    }
}

/// A mobile of each country, as people of the country write it, and in E.164. Argentines write 15 where E.164 has a 9.
fn mobiles() -> Vec<(String, String, String)> {
    let regions = PHONE_NUMBER_UTIL.get_supported_regions().filter(|region| region.to_string() != "AR");
    let numbers = regions.filter_map(|region| {
        let mobile = PHONE_NUMBER_UTIL.get_example_number_for_type_and_region(region, PhoneNumberType::Mobile).ok()?;
        let written = |format| PHONE_NUMBER_UTIL.format(&mobile, format).to_string();
        Some((region.to_string(), written(PhoneNumberFormat::National), written(PhoneNumberFormat::E164)))
    });
    numbers.collect()
}

#[test]
fn it_reads_numbers_as_people_of_the_country_write_them() {
    let mobiles = mobiles();
    assert!(mobiles.len() > 230, "{} countries", mobiles.len());
    let call = format!(
        "{}.map(([country, text, e164]) => [typedNumber(text, country), countryOf(e164, country)])",
        json!(mobiles)
    );
    let Some(found) = node(&format!("{FOLD}\n{COUNTRIES}\nconsole.log(JSON.stringify({call}));")) else { return };
    for ((country, text, e164), found) in mobiles.iter().zip(found.as_array().unwrap()) {
        assert_eq!(found, &json!([e164, country]), "{country}: {text}");
    }
}
