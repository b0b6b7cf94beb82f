//! What the pages make of pasted codes and numbers, by their own functions in Node. Without Node the test passes and says so.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Setup, TestApp};

const FOLD: &str = include_str!("../../src/http/fold.js");

/// Pasted text and the number that is sent; null where the page asks again.
fn numbers() -> Vec<(&'static str, Value)> {
    vec![
        ("+14155550101", json!("+14155550101")),
        ("(+65) 9234 0101", json!("+6592340101")),
        ("(+47) 412 34 567", json!("+4741234567")),
        ("+1 (415) 555-0101", json!("+14155550101")),
        ("+49 151 / 234.567-89", json!("+4915123456789")),
        ("+44 (0)20 7946 0000", json!("+442079460000")),
        ("0047 412 34 567", json!("+4741234567")),
        ("tel:+47-412-34-567", json!("+4741234567")),
        ("\u{202a}+47 412 34 567\u{202c}", json!("+4741234567")),
        ("\u{200e}+47\u{a0}412\u{2011}34\u{2013}567\u{feff}", json!("+4741234567")),
        ("＋４７ ４１２３４５６７", json!("+4741234567")),
        ("+٤٧ ٤١٢ ٣٤ ٥٦٧", json!("+4741234567")),
        ("+۴۷ ۴۱۲ ۳۴ ۵۶۷", json!("+4741234567")),
        ("+४७ ४१२ ३४ ५६७", json!("+4741234567")),
        // Without a country code nothing is guessed.
        ("(415) 555-0101", Value::Null),
        ("98765 43210", Value::Null),
        ("14155550101", Value::Null),
        ("+47 412 34 567 ext. 5", Value::Null),
        ("+47", Value::Null),
        ("", Value::Null),
    ]
}

/// Pasted text and the code that is checked.
fn codes() -> Vec<(&'static str, Value)> {
    vec![
        ("042917", json!("042917")),
        (" 042 917\n", json!("042917")),
        ("042-917", json!("042917")),
        ("042\u{2013}917", json!("042917")),
        ("042\u{a0}917", json!("042917")),
        ("\u{202a}042917\u{202c}", json!("042917")),
        ("０４２９１７", json!("042917")),
        ("٠٤٢٩١٧", json!("042917")),
        ("০৪২৯১৭", json!("042917")),
        ("𝟎𝟒𝟐𝟗𝟏𝟕", json!("042917")),
        ("04291x", Value::Null),
        ("123", Value::Null),
        ("", Value::Null),
    ]
}

#[test]
fn the_pages_fold_pasted_numbers_and_codes() {
    let page = include_str!("../../src/http/legacy.html");
    assert_eq!(page.matches("//= fold.js\n").count(), 1);
    assert!(page.contains(r#"foldedNumber($("number").value)"#) && page.contains(r#"foldedCode($("code").value)"#));
    assert!(page.contains(r#"maxlength="64""#), "what is pasted is cut");
    // The demo's fields are the widget's.
    let demo = include_str!("../../src/http/demo/page.html");
    assert!(demo.contains("<phlo-verify ") && demo.matches("<input ").count() == 1, "{demo}");
    let widget = include_str!("../../src/http/widget/widget.js");
    assert!(widget.contains("typedNumber(this.input.value") && widget.contains("folded(this.code.value)"));
    let texts = |all: Vec<(&'static str, Value)>| json!(all.iter().map(|(text, _)| *text).collect::<Vec<_>>());
    let (pasted_numbers, pasted_codes) = (texts(numbers()), texts(codes()));
    let call = format!("[{pasted_numbers}.map(foldedNumber), {pasted_codes}.map(foldedCode)]");
    let Some(found) = node(&format!("{FOLD}\nconsole.log(JSON.stringify({call}));")) else { return };
    for (found, expected) in [(&found[0], numbers()), (&found[1], codes())] {
        for ((text, expected), found) in expected.iter().zip(found.as_array().unwrap()) {
            assert_eq!(found, expected, "{text:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_served_page_contains_the_shared_functions() {
    let env = vec![("LEGACY_ROUTES", "true".into())];
    let app = TestApp::spawn_with(Setup { env, ..Setup::default() }).await;
    let page = app.keyless("GET", "/").send().await.unwrap().text().await.unwrap();
    assert!(page.contains(FOLD) && !page.contains("//= fold.js"));
}

/// The JSON that a script prints; `None` where Node is missing and not required.
#[expect(clippy::print_stdout, reason = "a person who runs the tests is told what was left out")]
pub(crate) fn node(script: &str) -> Option<Value> {
    match Command::new("node").args(["-e", script]).output() {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{said}");
            Some(serde_json::from_slice(&output.stdout).unwrap())
        }
        Err(error) => {
            let is_required = std::env::var("REQUIRE_NODE").is_ok_and(|value| value == "1");
            assert!(!is_required, "node is missing and required: {error}");
            println!("pages: node is missing, so their scripts are not tested");
            None
        }
    }
}
