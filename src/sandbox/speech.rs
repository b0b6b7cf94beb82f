//! What is said on a call: SSML, and Plivo's voice XML reduced to what a person would notice.
//!
//! Elements that make no difference to somebody listening for a code are skipped. Source for the
//! elements: plivo.com/docs/voice/xml/overview.

use std::time::Duration;

use reqwest::Method;
use roxmltree::{Document, Node};

use super::callbacks::Target;

/// One thing the answer XML does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Speak(String),
    Wait(Duration),
    /// Asks for a key: says `prompt`, posts the key to `action`.
    Gather {
        prompt: Vec<Verb>,
        action: Option<Target>,
        key: char,
        /// Whether the action's answer is what goes on.
        redirect: bool,
    },
    Redirect(Target),
    Hangup,
}

/// The verbs of a `<Response>`, `None` if it is not one.
pub(super) fn parse(xml: &str) -> Option<Vec<Verb>> {
    let document = Document::parse(xml.trim()).ok()?;
    let root = document.root_element();
    root.has_tag_name("Response").then(|| verbs(root))
}

/// What SSML sounds like, without its `<speak>`: the text, elements as blanks.
pub(super) fn spoken(ssml: &str) -> Option<String> {
    let wrapped = format!("<speak>{ssml}</speak>");
    Document::parse(&wrapped).ok().map(|document| heard(document.root_element()))
}

/// About how long somebody listens to it; nobody listens for longer than six seconds.
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
        "Speak" => Verb::Speak(heard(node)),
        "Wait" => Verb::Wait(Duration::from_secs(seconds("length"))),
        "GetDigits" | "GetInput" => Verb::Gather {
            prompt: verbs(node),
            action: node.attribute("action").map(|url| target(url, node.attribute("method"))),
            key: node.attribute("validDigits").and_then(|digits| digits.chars().next()).unwrap_or('1'),
            redirect: node.attribute("redirect") != Some("false"),
        },
        "Redirect" => Verb::Redirect(target(heard(node).trim(), node.attribute("method"))),
        "Hangup" => Verb::Hangup,
        _ => return None,
    })
}

/// Where Plivo posts, unless it is told to GET.
pub(super) fn target(url: &str, method: Option<&str>) -> Target {
    let get = method.is_some_and(|method| method.eq_ignore_ascii_case("GET"));
    Target { url: url.to_owned(), method: if get { Method::GET } else { Method::POST } }
}

/// An element's text, with a blank wherever an element begins or ends.
fn heard(node: Node<'_, '_>) -> String {
    let pieces: Vec<&str> = node.descendants().filter_map(|piece| piece.is_text().then(|| piece.text())?).collect();
    pieces.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::code::code_in;

    #[test]
    fn a_code_in_ssml_is_heard() {
        let xml = r#"<?xml version="1.0" encoding="UTF-8"?>
            <Response>
              <Speak voice="Polly.Joanna">Your code is <break time="400ms"/><prosody rate="slow"><say-as
                interpret-as="spell-out">482913</say-as></prosody>. Tom &amp; Co.</Speak>
              <Wait length="2"/><Play>https://example.test/bell.mp3</Play><Hangup/>
            </Response>"#;
        let verbs = parse(xml).unwrap();
        let [Verb::Speak(said), Verb::Wait(pause), Verb::Hangup] = verbs.as_slice() else { panic!("{verbs:?}") };
        assert_eq!(code_in(said).as_deref(), Some("482913"));
        assert!(said.ends_with("Tom & Co."), "{said}");
        assert_eq!(*pause, Duration::from_secs(2));
    }

    #[test]
    fn digits_that_are_elements_of_their_own_are_one_code() {
        let digit = |d: char| format!(r#"<say-as interpret-as="digits">{d}</say-as><break time="300ms"/>"#);
        let ssml: String = "482913".chars().map(digit).collect();
        assert_eq!(code_in(&spoken(&ssml).unwrap()).as_deref(), Some("482913"));
    }

    #[test]
    fn a_key_that_is_asked_for_is_known() {
        let xml = r#"<Response><GetDigits action="https://x.test/a" method="GET" validDigits="5"><Speak>Press</Speak>
            </GetDigits></Response>"#;
        let action = Some(Target { url: "https://x.test/a".into(), method: Method::GET });
        let prompt = vec![Verb::Speak("Press".into())];
        assert_eq!(parse(xml), Some(vec![Verb::Gather { prompt, action, key: '5', redirect: true }]));
    }

    #[test]
    fn what_is_not_voice_xml_is_refused() {
        for xml in ["", "hello", "<html></html>", "<Response>", "{\"a\":1}"] {
            assert_eq!(parse(xml), None, "{xml}");
        }
    }
}
