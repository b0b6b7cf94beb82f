//! [`Template`]: a sentence with placeholders for the code and the brand, parsed once.
//!
//! Inserted text is never parsed again, so a brand may contain `{code}`.

/// A part of a [`Template`], in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Literal words.
    Words(String),
    /// The place of the code.
    Code,
    /// The place of the brand.
    Brand,
}

/// A parsed sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

/// The placeholders that a template must contain once; it may contain no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Placeholders {
    pub(super) code: bool,
    pub(super) brand: bool,
}

impl Template {
    /// Parses a sentence.
    ///
    /// # Errors
    /// All faults, each worded to follow the field's name.
    pub(super) fn parse(text: &str, expected: Placeholders) -> Result<Self, Vec<String>> {
        let (mut pieces, mut faults, mut rest) = (Vec::new(), Vec::new(), text);
        if text.trim().is_empty() {
            faults.push("is empty".to_owned());
        }
        if text.chars().any(|c| c.is_control() || !is_in_xml(c)) {
            faults.push("contains a control character".to_owned());
        }
        while let Some(at) = rest.find(['{', '}']) {
            let (words, from) = rest.split_at(at);
            pieces.push(Piece::Words(words.to_owned()));
            let Some((name, after)) = from.strip_prefix('{').and_then(|inner| inner.split_once('}')) else {
                faults.push("contains a brace without its counterpart".to_owned());
                rest = "";
                break;
            };
            match name {
                "code" => pieces.push(Piece::Code),
                "brand" => pieces.push(Piece::Brand),
                _ => faults.push("contains a placeholder other than {code} and {brand}".to_owned()),
            }
            rest = after;
        }
        pieces.push(Piece::Words(rest.to_owned()));
        pieces.retain(|piece| *piece != Piece::Words(String::new()));
        let expected = [(Piece::Code, "{code}", expected.code), (Piece::Brand, "{brand}", expected.brand)];
        for (placeholder, name, is_expected) in expected {
            match (pieces.iter().filter(|piece| **piece == placeholder).count(), is_expected) {
                (0, true) => faults.push(format!("does not contain {name}")),
                (1, true) | (0, false) => {}
                (_, true) => faults.push(format!("contains {name} more than once")),
                (_, false) => faults.push(format!("must not contain {name}")),
            }
        }
        if faults.is_empty() { Ok(Self(pieces)) } else { Err(faults) }
    }

    /// The sentence with code and brand inserted.
    pub fn fill(&self, code: &str, brand: &str) -> String {
        let filled = self.0.iter().map(|piece| match piece {
            Piece::Words(words) => words.as_str(),
            Piece::Code => code,
            Piece::Brand => brand,
        });
        filled.collect()
    }

    /// The pieces, for callers that insert markup.
    pub fn pieces(&self) -> &[Piece] {
        &self.0
    }
}

/// Whether XML 1.0 allows a character at all, escaped or not. Source: w3.org/TR/xml, 2.2.
pub(in crate::plivo) fn is_in_xml(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: Placeholders = Placeholders { code: true, brand: true };
    const NONE: Placeholders = Placeholders { code: false, brand: false };

    #[test]
    fn inserted_text_is_not_parsed_again() {
        let template = Template::parse("{brand}: {code}.", BOTH).unwrap();
        assert_eq!(template.fill("482913", "Acme"), "Acme: 482913.");
        assert_eq!(template.fill("482913", "{code}{brand}"), "{code}{brand}: 482913.");
        assert_eq!(template.pieces()[0], Piece::Brand);
    }

    #[test]
    fn every_fault_of_a_sentence_is_reported() {
        let faults = |text, placeholders| Template::parse(text, placeholders).unwrap_err();
        assert_eq!(faults("{code} {code} {brand}", BOTH), ["contains {code} more than once"]);
        assert_eq!(faults("x", BOTH), ["does not contain {code}", "does not contain {brand}"]);
        assert_eq!(faults("{code}", NONE), ["must not contain {code}"]);
        assert_eq!(faults("a {name} b", NONE), ["contains a placeholder other than {code} and {brand}"]);
        assert_eq!(faults("a {name", NONE), ["contains a brace without its counterpart"]);
        assert_eq!(faults("a } b", NONE), ["contains a brace without its counterpart"]);
        assert_eq!(faults(" ", NONE), ["is empty"]);
        assert_eq!(faults("a\nb", NONE), ["contains a control character"]);
        assert_eq!(faults("a\u{ffff}b", NONE), ["contains a control character"]);
    }
}
