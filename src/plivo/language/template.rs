//! [`Template`]: a sentence with places for the code and the brand, taken apart once.
//!
//! What is filled in is never looked at again, so a brand that reads `{code}` is only a strange brand.

/// A part of a [`Template`], in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Words that stand as they are.
    Words(String),
    /// Where the code goes.
    Code,
    /// Where the brand goes.
    Brand,
}

/// A sentence with its places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

/// The places a template must have, each once, and may have no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Places {
    pub(super) code: bool,
    pub(super) brand: bool,
}

impl Template {
    /// Takes a sentence apart.
    ///
    /// # Errors
    /// All that is wrong with it, each as what would follow its name.
    pub(super) fn parse(text: &str, places: Places) -> Result<Self, Vec<String>> {
        let (mut pieces, mut faults, mut rest) = (Vec::new(), Vec::new(), text);
        if text.trim().is_empty() {
            faults.push("is empty".to_owned());
        }
        if text.chars().any(|c| c.is_control() || !is_in_xml(c)) {
            faults.push("has a control character".to_owned());
        }
        while let Some(at) = rest.find(['{', '}']) {
            let (words, from) = rest.split_at(at);
            pieces.push(Piece::Words(words.to_owned()));
            let Some((name, after)) = from.strip_prefix('{').and_then(|inner| inner.split_once('}')) else {
                faults.push("has a brace without its other half".to_owned());
                rest = "";
                break;
            };
            match name {
                "code" => pieces.push(Piece::Code),
                "brand" => pieces.push(Piece::Brand),
                _ => faults.push("has a placeholder that is neither {code} nor {brand}".to_owned()),
            }
            rest = after;
        }
        pieces.push(Piece::Words(rest.to_owned()));
        pieces.retain(|piece| *piece != Piece::Words(String::new()));
        for (place, name, wanted) in [(Piece::Code, "{code}", places.code), (Piece::Brand, "{brand}", places.brand)] {
            match (pieces.iter().filter(|piece| **piece == place).count(), wanted) {
                (0, true) => faults.push(format!("does not say where {name} goes")),
                (1, true) | (0, false) => {}
                (_, true) => faults.push(format!("has {name} more than once")),
                (_, false) => faults.push(format!("has no use for {name}")),
            }
        }
        if faults.is_empty() { Ok(Self(pieces)) } else { Err(faults) }
    }

    /// The sentence with its places filled.
    pub fn fill(&self, code: &str, brand: &str) -> String {
        let filled = self.0.iter().map(|piece| match piece {
            Piece::Words(words) => words.as_str(),
            Piece::Code => code,
            Piece::Brand => brand,
        });
        filled.collect()
    }

    /// Its pieces, for those that fill a place with more than text.
    pub fn pieces(&self) -> &[Piece] {
        &self.0
    }
}

/// Whether XML 1.0 can carry a character at all, escaped or not. Source: w3.org/TR/xml, 2.2.
pub(in crate::plivo) fn is_in_xml(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: Places = Places { code: true, brand: true };
    const NONE: Places = Places { code: false, brand: false };

    #[test]
    fn what_is_filled_in_is_not_filled_in_again() {
        let template = Template::parse("{brand}: {code}.", BOTH).unwrap();
        assert_eq!(template.fill("482913", "Acme"), "Acme: 482913.");
        assert_eq!(template.fill("482913", "{code}{brand}"), "{code}{brand}: 482913.");
        assert_eq!(template.pieces()[0], Piece::Brand);
    }

    #[test]
    fn every_fault_of_a_sentence_is_named() {
        let faults = |text, places| Template::parse(text, places).unwrap_err();
        assert_eq!(faults("{code} {code} {brand}", BOTH), ["has {code} more than once"]);
        assert_eq!(faults("x", BOTH), ["does not say where {code} goes", "does not say where {brand} goes"]);
        assert_eq!(faults("{code}", NONE), ["has no use for {code}"]);
        assert_eq!(faults("a {name} b", NONE), ["has a placeholder that is neither {code} nor {brand}"]);
        assert_eq!(faults("a {name", NONE), ["has a brace without its other half"]);
        assert_eq!(faults("a } b", NONE), ["has a brace without its other half"]);
        assert_eq!(faults(" ", NONE), ["is empty"]);
        assert_eq!(faults("a\nb", NONE), ["has a control character"]);
        assert_eq!(faults("a\u{ffff}b", NONE), ["has a control character"]);
    }
}
