//! Reads SSML and Plivo's voice XML, as far as a person who listens for a code would notice.
//!
//! All other elements are skipped. Source of the elements: plivo.com/docs/voice/xml/overview.

use std::time::Duration;

use reqwest::Method;
use roxmltree::{Document, Node};

use super::callbacks::CallbackTarget;

/// One instruction of the answer XML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Speak(String),
    Wait(Duration),
    /// Speaks `prompt`, waits for a key and posts it to `action`.
    Gather {
        prompt: Vec<Verb>,
        action: Option<CallbackTarget>,
        key: char,
        /// Whether the answer of `action` replaces the following verbs.
        redirect: bool,
    },
    Redirect(CallbackTarget),
    Hangup,
}

/// The verbs of a `<Response>`; `None` for any other document.
pub(super) fn parse_xml(xml: &str) -> Option<Vec<Verb>> {
    let document = Document::parse(xml.trim()).ok()?;
    let root = document.root_element();
    root.has_tag_name("Response").then(|| verbs(root))
}

/// The text of SSML, which comes without its `<speak>`, with elements as blanks.
pub(super) fn spoken_text(ssml: &str) -> Option<String> {
    let wrapped = format!("<speak>{ssml}</speak>");
    Document::parse(&wrapped).ok().map(|document| text_of(document.root_element()))
}

/// How long a text is spoken, roughly, in simulated time: at most six seconds.
pub(super) fn duration(text: &str) -> Duration {
    let millis: u64 = text.chars().map(|c| if c.is_ascii_digit() { 250 } else { 50 }).sum();
    Duration::from_millis(millis.min(6000))
}

fn verbs(parent: Node<'_, '_>) -> Vec<Verb> {
    parent.children().filter(Node::is_element).filter_map(verb).collect()
}

fn verb(node: Node<'_, '_>) -> Option<Verb> {
    let seconds = |name: &str| node.attribute(name).and_then(|text| text.parse().ok()).unwrap_or(1);
    Some(match node.tag_name().name() {
        "Speak" => Verb::Speak(text_of(node)),
        "Wait" => Verb::Wait(Duration::from_secs(seconds("length"))),
        "GetDigits" | "GetInput" => Verb::Gather {
            prompt: verbs(node),
            action: node.attribute("action").map(|url| callback_target(url, node.attribute("method"))),
            key: node.attribute("validDigits").and_then(|digits| digits.chars().next()).unwrap_or('1'),
            redirect: node.attribute("redirect") != Some("false"),
        },
        "Redirect" => Verb::Redirect(callback_target(text_of(node).trim(), node.attribute("method"))),
        "Hangup" => Verb::Hangup,
        _ => return None,
    })
}

/// A target that gets a POST unless `method` is GET.
pub(super) fn callback_target(url: &str, method: Option<&str>) -> CallbackTarget {
    let is_get = method.is_some_and(|method| method.eq_ignore_ascii_case("GET"));
    CallbackTarget { url: url.to_owned(), method: if is_get { Method::GET } else { Method::POST } }
}

/// An element's text, with a blank wherever an element begins or ends.
fn text_of(node: Node<'_, '_>) -> String {
    let pieces: Vec<&str> = node.descendants().filter_map(|piece| piece.is_text().then(|| piece.text())?).collect();
    pieces.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::code::code_in;

    #[test]
    fn a_code_is_found_in_ssml() {
        let xml = r#"<?xml version="1.0" encoding="UTF-8"?>
            <Response>
              <Speak voice="Polly.Joanna">Your code is <break time="400ms"/><prosody rate="slow"><say-as
                interpret-as="spell-out">482913</say-as></prosody>. Tom &amp; Co.</Speak>
              <Wait length="2"/><Play>https://example.test/bell.mp3</Play><Hangup/>
            </Response>"#;
        let verbs = parse_xml(xml).unwrap();
        let [Verb::Speak(text), Verb::Wait(pause), Verb::Hangup] = verbs.as_slice() else { panic!("{verbs:?}") };
        assert_eq!(code_in(text).as_deref(), Some("482913"));
        assert!(text.ends_with("Tom & Co."), "{text}");
        assert_eq!(*pause, Duration::from_secs(2));
    }

    #[test]
    fn digits_in_separate_elements_are_one_code() {
        let digit = |d: char| format!(r#"<say-as interpret-as="digits">{d}</say-as><break time="300ms"/>"#);
        let ssml: String = "482913".chars().map(digit).collect();
        assert_eq!(code_in(&spoken_text(&ssml).unwrap()).as_deref(), Some("482913"));
    }

    #[test]
    fn the_valid_key_is_read_from_get_digits() {
        let xml = r#"<Response><GetDigits action="https://x.test/a" method="GET" validDigits="5"><Speak>Press</Speak>
            </GetDigits></Response>"#;
        let action = Some(CallbackTarget { url: "https://x.test/a".into(), method: Method::GET });
        let prompt = vec![Verb::Speak("Press".into())];
        assert_eq!(parse_xml(xml), Some(vec![Verb::Gather { prompt, action, key: '5', redirect: true }]));
    }

    #[test]
    fn other_documents_than_voice_xml_are_refused() {
        for xml in ["", "hello", "<html></html>", "<Response>", "{\"a\":1}"] {
            assert_eq!(parse_xml(xml), None, "{xml}");
        }
    }
}
