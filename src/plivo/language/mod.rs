//! The wordings of texts and calls: [`Languages`] finds the [`Language`] of a locale.
//!
//! The sentences are data, in `languages.json`; a deployment may override them in the same shape. This module finds them
//! and does not compose messages: [`text`](super::text) writes the text, [`answer`](super::answer) the voice XML.
//!
//! A language without a voice is spoken to in English, and keeps its own texts. Voices are Amazon Polly's standard ones, of
//! which Plivo offers "27 languages and more than 40 voices" (docs.plivo.com/docs/voice/concepts/ssml; names from
//! docs.aws.amazon.com/polly/latest/dg/standard-voices.html). Where Polly has several, the data has the oldest, because
//! Plivo does not say which later ones it offers. Plivo's own `WOMAN` speaks no language that Polly lacks
//! (plivo.com/docs/voice/xml/audio-output), so only an override names it.

mod main_language;
mod read;
mod tag;
mod template;

use std::collections::HashMap;

pub use main_language::locale_or_main;
pub use tag::parse as parse_tag;
pub(super) use template::is_in_xml;
pub use template::{Piece, Template};

/// The language for unknown locales, and of calls in a language without a voice.
const ENGLISH: &str = "en";

/// Other tags of built-in languages: renamed subtags (IANA subtag registry), and regions by script.
///
/// A language that a deployment adds under such a tag has precedence.
const ALIASES: &[(&str, &str)] = &[
    ("no", "nb"),
    ("nn", "nb"),
    ("iw", "he"),
    ("in", "id"),
    ("tl", "fil"),
    ("mo", "ro"),
    ("cmn", "zh"),
    ("yue", "zh-hant"),
    ("zh-yue", "zh-hant"),
    ("zh-tw", "zh-hant"),
    ("zh-hk", "zh-hant"),
    ("zh-mo", "zh-hant"),
];

/// All languages, found by locale.
#[derive(Clone, Debug)]
pub struct Languages {
    all: Vec<Language>,
    english: usize,
    /// From lower-case tag to index.
    by_tag: HashMap<String, usize>,
}

/// The sentences and the voice of one language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Language {
    tag: String,
    text: Template,
    text_brand: Template,
    speech: Speech,
}

/// The sentences of a call, and their voice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Speech {
    pub(super) voice: String,
    pub(super) tag: String,
    pub(super) code: Template,
    pub(super) code_brand: Template,
    pub(super) again: Template,
    pub(super) confirm: Template,
    pub(super) confirm_brand: Template,
    pub(super) goodbye: Template,
}

impl Languages {
    /// The built-in languages.
    ///
    /// # Panics
    /// When the built-in data is faulty, which a test rules out.
    pub fn built_in() -> Self {
        Self::with_overrides("{}").unwrap_or_else(|faults| unreachable!("languages.json: {faults:?}"))
    }

    /// The built-in languages with overrides: a JSON object by BCP 47 tag, shaped like `languages.json`.
    ///
    /// A given field replaces the built-in one, and that of the languages that are `like` this one.
    ///
    /// # Errors
    /// One line per fault, with tag and field.
    pub fn with_overrides(json: &str) -> Result<Self, Vec<String>> {
        let all = read::languages(json)?;
        let by_own_tag = all.iter().enumerate().filter_map(|(at, language)| Some((parse_tag(&language.tag)?, at)));
        let by_tag: HashMap<String, usize> = by_own_tag.collect();
        let english = *by_tag.get(ENGLISH).ok_or_else(|| vec![format!("{ENGLISH}: is missing")])?;
        Ok(Self { all, english, by_tag })
    }

    /// The language of a locale, else English.
    pub fn of(&self, locale: &str) -> &Language {
        &self.all[look_up(locale, |tag| self.by_tag.get(tag).copied()).unwrap_or(self.english)]
    }

    /// Each language once, by tag.
    pub fn iter(&self) -> impl Iterator<Item = &Language> {
        self.all.iter()
    }
}

/// Finds what is kept for a locale. `find` gets tags in lower case, from the whole locale to its language alone.
///
/// Subtags are dropped from the right until a tag is known (RFC 4647, 3.4); each tag comes before its alias. `None` if none is
/// known, or the locale is no tag.
pub fn look_up<T>(locale: &str, find: impl Fn(&str) -> Option<T>) -> Option<T> {
    let locale = parse_tag(locale)?;
    let alias_of = |tag: &str| ALIASES.iter().find(|(alias, _)| *alias == tag).map(|(_, language)| *language);
    let mut tags = std::iter::successors(Some(locale.as_str()), |tag| Some(tag.rsplit_once('-')?.0));
    tags.find_map(|tag| find(tag).or_else(|| find(alias_of(tag)?)))
}

impl Language {
    /// The BCP 47 tag, such as `pt-PT`.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// The wording of a text, with the brand if there is one. The caller limits its length.
    pub fn text(&self, code: &str, brand: Option<&str>) -> String {
        match brand {
            Some(brand) => self.text_brand.fill(code, brand),
            None => self.text.fill(code, ""),
        }
    }

    /// The spoken language as Polly names it, such as `cmn-CN`; English's where this one has no voice.
    pub fn speech_tag(&self) -> &str {
        &self.speech.tag
    }

    /// The sentences of a call.
    pub(super) fn speech(&self) -> &Speech {
        &self.speech
    }
}

impl Speech {
    /// Whether the voice supports SSML; Plivo's own do not (docs.plivo.com/docs/voice/concepts/ssml).
    pub(super) fn has_ssml(&self) -> bool {
        self.voice.starts_with("Polly.")
    }
}

#[cfg(test)]
mod tests;
