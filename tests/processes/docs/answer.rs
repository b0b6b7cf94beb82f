//! [`compare`]: whether a command printed what its page shows. What differs in every run is a wildcard: ids, tokens, times,
//! codes, ports, and how far a text has got.
//!
//! A page may leave things out: `…` in a line is any text, a line `…` any lines, and a field `"…"` any further fields.

use serde_json::Value;

use super::page::Shown;

/// What is left out.
const ANY: &str = "…";
/// Fields whose value differs in every run.
const VARIABLE: [&str; 8] =
    ["id", "client_token", "provider_id", "request_id", "code", "resend_after", "waited_ms", "next_cursor"];
/// Words of which any may be printed: the local Plivo goes on while an answer is being written.
const SAME: [&[&str]; 3] =
    [&["triggering", "triggered", "queued", "sent"], &["stuck_queued", "no_report"], &["answered", "completed"]];

/// Compares an output with what the page shows.
///
/// # Errors
/// The first difference.
pub fn compare(shown: &Shown, printed: &str) -> Result<(), String> {
    if !shown.is_json {
        let [shown, printed] = [&shown.text, printed].map(|text| text.trim_matches('\n').lines().collect::<Vec<_>>());
        return if lines_match(&shown, &printed) { Ok(()) } else { Err("the lines differ".to_owned()) };
    }
    let parse =
        |text: &str| serde_json::Deserializer::from_str(text).into_iter::<Value>().collect::<Result<Vec<_>, _>>();
    let shown = parse(&shown.text).map_err(|why| format!("what is shown is not JSON: {why}"))?;
    let printed = parse(printed).map_err(|why| format!("what is printed is not JSON: {why}"))?;
    if shown.len() != printed.len() {
        return Err(format!("{} answers are shown, {} are printed", shown.len(), printed.len()));
    }
    shown.iter().zip(&printed).try_for_each(|(shown, printed)| same(shown, printed, "", ""))
}

fn same(shown: &Value, printed: &Value, at: &str, field: &str) -> Result<(), String> {
    let differs = || Err(format!("{at} differs: {shown} is shown, {printed} is printed"));
    match (shown, printed) {
        (Value::Object(shown), Value::Object(printed)) => {
            for (name, value) in shown.iter().filter(|(name, _)| *name != ANY) {
                let found = printed.get(name).ok_or_else(|| format!("{at}/{name} is shown, and not printed"))?;
                same(value, found, &format!("{at}/{name}"), name)?;
            }
            let unshown = printed.keys().find(|name| !shown.contains_key(*name));
            match unshown {
                Some(name) if !shown.contains_key(ANY) => Err(format!("{at}/{name} is printed, and not shown")),
                _ => Ok(()),
            }
        }
        (Value::Array(shown), Value::Array(printed)) if shown.len() == printed.len() => {
            shown.iter().zip(printed).try_for_each(|(shown, printed)| same(shown, printed, &format!("{at}/-"), field))
        }
        (Value::String(shown), Value::String(printed)) => {
            let is_same = line_matches(shown, printed)
                || is_time(shown) && is_time(printed)
                // `code` is a problem's name, too.
                || is_variable(field) && (field != "code" || is_code(shown) && is_code(printed))
                || SAME.iter().any(|words| words.contains(&shown.as_str()) && words.contains(&printed.as_str()));
            if is_same { Ok(()) } else { differs() }
        }
        (Value::Number(_), Value::Number(_)) if is_variable(field) => Ok(()),
        _ if shown == printed => Ok(()),
        _ => differs(),
    }
}

fn is_variable(field: &str) -> bool {
    VARIABLE.contains(&field)
}

fn is_code(text: &str) -> bool {
    text.len() >= 6 && text.bytes().all(|b| b.is_ascii_digit())
}

/// RFC 3339, as the API writes it.
fn is_time(text: &str) -> bool {
    let text = text.as_bytes();
    text.len() == 24 && text[10] == b'T' && text[23] == b'Z' && text[..4].iter().all(u8::is_ascii_digit)
}

/// Whether lines match; a line that is left out stands for any number of lines.
fn lines_match(shown: &[&str], printed: &[&str]) -> bool {
    match shown {
        [] => printed.is_empty(),
        [first, rest @ ..] if first.trim() == ANY => {
            (0..=printed.len()).any(|skipped| lines_match(rest, &printed[skipped..]))
        }
        [first, rest @ ..] => {
            printed.first().is_some_and(|line| line_matches(first, line)) && lines_match(rest, &printed[1..])
        }
    }
}

/// Whether a line matches, once the parts that differ in every run have become wildcards.
fn line_matches(shown: &str, printed: &str) -> bool {
    let (shown, printed) = (plain(shown), plain(printed));
    let mut parts = shown.split(ANY);
    let Some(mut rest) = parts.next().and_then(|first| printed.strip_prefix(first)) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, between)) = parts.split_last() else { return rest.is_empty() };
    for part in between {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// A line with every id and port replaced by one that stands for all.
fn plain(line: &str) -> String {
    let line = replaced(line, "vrf_", |c| c.is_ascii_hexdigit());
    replaced(&line, "127.0.0.1:", |c| c.is_ascii_digit())
}

/// The text with what follows each `prefix` removed, as long as it consists of such characters.
fn replaced(text: &str, prefix: &str, is_part: fn(char) -> bool) -> String {
    let mut pieces = text.split(prefix);
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |done, piece| done + prefix + piece.trim_start_matches(is_part))
}

#[test]
fn a_different_output_is_noticed() {
    let shown = |text: &str, is_json| Shown { text: text.to_owned(), is_json };
    let json = r#"{"id":"vrf_1","status":"pending","at":"2026-11-30T21:51:55.678Z","…":"…"}"#;
    let printed = r#"{"id":"vrf_2","status":"pending","at":"2026-12-01T00:00:00.000Z","more":1}"#;
    assert_eq!(compare(&shown(json, true), printed), Ok(()));
    for other in [
        printed.replace("pending", "expired"),
        printed.replace("\"status\":\"pending\",", ""),
        printed.replace("2026-12-01T00:00:00.000Z", "soon"),
        format!("{printed}{printed}"),
        "<html>".to_owned(),
    ] {
        assert!(compare(&shown(json, true), &other).is_err(), "{other}");
    }
    assert!(compare(&shown(&json.replace(",\"…\":\"…\"", ""), true), printed).is_err(), "an unshown field is noticed");
    let text = "vrf_1 pending\n…\nended after … s\n";
    assert_eq!(compare(&shown(text, false), "vrf_2 pending\na\nb\nended after 2.0 s\n"), Ok(()));
    for other in ["vrf_2 pending\nended after 2.0 m\n", "vrf_2 ended\nended after 2.0 s\n", "ended after 1 s\n", ""] {
        assert!(compare(&shown(text, false), other).is_err(), "{other}");
    }
}
