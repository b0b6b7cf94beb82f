//! The voice XML of a call: speaks a code digit by digit, or asks for a key press.
//!
//! The caller decides who may hear the code; a pressed key is posted to `action_url`. The XML writer escapes everything.
//! Elements and attributes: plivo.com/docs/voice/xml/getdigits.

use std::io;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use super::language::{Language, Piece, Speech, Template, is_in_xml};
use crate::verification::Code;

type Xml = Writer<Vec<u8>>;

/// Long enough to write a digit down before the next.
const BETWEEN_DIGITS: &str = "400ms";
/// Separates the code from the key in the following sentence.
const AFTER_CODE: &str = "700ms";

/// Longer brands are not spoken: a `Speak` takes 3000 characters (docs.plivo.com/docs/voice/concepts/ssml).
const BRAND_MAX: usize = 100;

/// Speaks the code twice, each time with the offer to press 1 to hear it again, then ends the call.
///
/// The repetition needs no key press: many people never press one. It is a `GetDigits` of its own, so that a key is
/// accepted while it is spoken. Without a key the document ends, which hangs up.
pub fn spoken_code(language: &Language, brand: Option<&str>, code: &Code, action_url: &str) -> String {
    let (speech, brand) = (language.speech(), brand.and_then(speakable));
    let sentence = wording(brand.as_deref(), &speech.code, &speech.code_brand);
    document(|xml| {
        get_digits_twice(xml, action_url, |xml| {
            speak_element(xml, speech, |xml| {
                for piece in sentence.pieces() {
                    match piece {
                        Piece::Words(words) => text(xml, words)?,
                        Piece::Brand => text(xml, brand.as_deref().unwrap_or_default())?,
                        Piece::Code if speech.has_ssml() => digits_in_ssml(xml, code)?,
                        Piece::Code => text(xml, &spaced(code))?,
                    }
                }
                text(xml, " ")?;
                if speech.has_ssml() {
                    pause(xml, AFTER_CODE)?;
                }
                text(xml, &speech.again.fill("", ""))
            })
        })?;
        say(xml, speech, &speech.goodbye.fill("", ""))
    })
}

/// Asks twice for the key that shows that a person listens, then ends the call. Contains no code.
pub fn key_press_prompt(language: &Language, brand: Option<&str>, action_url: &str) -> String {
    let (speech, brand) = (language.speech(), brand.and_then(speakable));
    let question = wording(brand.as_deref(), &speech.confirm, &speech.confirm_brand);
    let question = question.fill("", brand.as_deref().unwrap_or_default());
    document(|xml| {
        get_digits_twice(xml, action_url, |xml| say(xml, speech, &question))?;
        say(xml, speech, &speech.goodbye.fill("", ""))
    })
}

/// Says good-bye: the verification has no code any more.
pub fn goodbye(language: &Language) -> String {
    let speech = language.speech();
    document(|xml| say(xml, speech, &speech.goodbye.fill("", "")))
}

/// Wraps the content in an XML document.
///
/// Speech starts without a pause: machine detection runs before Plivo fetches the XML, so the phone is at the ear by then.
fn document(content: impl FnOnce(&mut Xml) -> io::Result<()>) -> String {
    let mut xml = Writer::new(Vec::new());
    let write = || -> io::Result<()> {
        xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
        xml.create_element("Response").write_inner_content(|xml| content(xml))?;
        Ok(())
    };
    write().unwrap_or_else(|error| unreachable!("writing to memory cannot fail: {error}"));
    String::from_utf8_lossy(&xml.into_inner()).into_owned()
}

/// The same question twice, for a listener who presses no key at first.
///
/// `redirect`: the call continues with the XML that `action_url` returns. `log`: Plivo does not store the pressed key.
fn get_digits_twice(xml: &mut Xml, action_url: &str, question: impl Fn(&mut Xml) -> io::Result<()>) -> io::Result<()> {
    let attributes = [
        ("action", action_url),
        ("method", "POST"),
        ("numDigits", "1"),
        ("timeout", "5"),
        ("validDigits", "1"),
        ("retries", "1"),
        ("redirect", "true"),
        ("log", "false"),
        ("playBeep", "false"),
    ];
    for _ in 0..2 {
        xml.create_element("GetDigits").with_attributes(attributes).write_inner_content(&question)?;
    }
    Ok(())
}

/// Sets the language besides the voice, because some voices speak two: Aditi speaks English by default
/// (docs.aws.amazon.com/polly/latest/dg/API_Voice.html).
fn speak_element(xml: &mut Xml, speech: &Speech, content: impl FnOnce(&mut Xml) -> io::Result<()>) -> io::Result<()> {
    let attributes = [("voice", speech.voice.as_str()), ("language", speech.tag.as_str())];
    xml.create_element("Speak").with_attributes(attributes).write_inner_content(content)?;
    Ok(())
}

fn say(xml: &mut Xml, speech: &Speech, words: &str) -> io::Result<()> {
    speak_element(xml, speech, |xml| text(xml, words))
}

fn text(xml: &mut Xml, words: &str) -> io::Result<()> {
    xml.write_event(Event::Text(BytesText::new(words)))
}

/// Each digit on its own, slowly, with pauses. `spell-out` is the value in the sample of Plivo's voice OTP guide.
fn digits_in_ssml(xml: &mut Xml, code: &Code) -> io::Result<()> {
    xml.create_element("prosody").with_attribute(("rate", "slow")).write_inner_content(|xml| {
        for (at, digit) in code.reveal().chars().enumerate() {
            if at > 0 {
                pause(xml, BETWEEN_DIGITS)?;
            }
            let digit = digit.to_string();
            xml.create_element("say-as")
                .with_attribute(("interpret-as", "spell-out"))
                .write_text_content(BytesText::new(&digit))?;
        }
        Ok(())
    })?;
    Ok(())
}

fn pause(xml: &mut Xml, time: &str) -> io::Result<()> {
    xml.create_element("break").with_attribute(("time", time)).write_empty()?;
    Ok(())
}

/// `4, 8, 2, 9`: a voice without SSML reads this digit by digit.
fn spaced(code: &Code) -> String {
    let digits: Vec<String> = code.reveal().chars().map(String::from).collect();
    digits.join(", ")
}

fn wording<'a>(brand: Option<&str>, plain: &'a Template, with_brand: &'a Template) -> &'a Template {
    if brand.is_some() { with_brand } else { plain }
}

/// The brand without characters that XML or speech cannot carry; `None` if it is then empty or too long.
fn speakable(brand: &str) -> Option<String> {
    let said: String = brand.chars().filter(|c| is_in_xml(*c) && !c.is_control()).collect();
    let said = said.trim();
    (1..=BRAND_MAX).contains(&said.chars().count()).then(|| said.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plivo::language::Languages;

    const URL: &str = "https://otp.example.test/plivo/answer/r_01H";

    #[test]
    fn a_code_is_spoken_twice_in_a_question_each_and_the_call_ends() {
        let languages = Languages::built_in();
        let xml = spoken_code(languages.of("en"), Some("Tom & Co"), &Code::parse("4829").unwrap(), URL);
        let once = r#"<GetDigits action="https://otp.example.test/plivo/answer/r_01H" method="POST" numDigits="1" timeout="5" validDigits="1" retries="1" redirect="true" log="false" playBeep="false"><Speak voice="Polly.Joanna" language="en-US">Your Tom &amp; Co verification code is <prosody rate="slow"><say-as interpret-as="spell-out">4</say-as><break time="400ms"/><say-as interpret-as="spell-out">8</say-as><break time="400ms"/><say-as interpret-as="spell-out">2</say-as><break time="400ms"/><say-as interpret-as="spell-out">9</say-as></prosody>. <break time="700ms"/>Press 1 to hear it again.</Speak></GetDigits>"#;
        let expected = format!(
            r#"<?xml version="1.0" encoding="UTF-8"?><Response>{once}{once}<Speak voice="Polly.Joanna" language="en-US">Goodbye.</Speak></Response>"#
        );
        assert_eq!(xml, expected);
    }

    #[test]
    fn a_voice_without_ssml_gets_plain_digits() {
        let json = r#"{"en":{"voice":"WOMAN"}}"#;
        let languages = Languages::with_overrides(json).unwrap();
        let xml = spoken_code(languages.of("en"), None, &Code::parse("4829").unwrap(), URL);
        let speak = r#"<Speak voice="WOMAN" language="en-US">Your verification code is 4, 8, 2, 9. Press 1 to hear it again.</Speak>"#;
        assert_eq!(xml.matches(speak).count(), 2, "{xml}");
        assert!(!xml.contains("say-as") && !xml.contains("break"), "{xml}");
    }

    #[test]
    fn a_brand_is_spoken_without_characters_that_xml_cannot_carry() {
        let languages = Languages::built_in();
        let xml = key_press_prompt(languages.of("en"), Some("\u{0}A\u{b}c\u{fffe}m\u{1b}e\n"), URL);
        assert!(xml.contains("this is Acme with"), "{xml}");
        for brand in ["\u{0} \u{7}", "", &"x".repeat(101)] {
            let xml = key_press_prompt(languages.of("en"), Some(brand), URL);
            assert!(xml.contains("Hello, we are calling"), "{xml}");
        }
    }

    #[test]
    fn a_query_in_the_url_is_escaped() {
        let languages = Languages::built_in();
        let xml = key_press_prompt(languages.of("en"), None, "https://otp.example.test/a?b=1&c=\"2\"");
        assert!(xml.contains(r#"action="https://otp.example.test/a?b=1&amp;c=&quot;2&quot;""#), "{xml}");
    }
}
