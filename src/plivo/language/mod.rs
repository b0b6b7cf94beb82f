//! What a text says and what a call says, in each language: [`Languages`] finds the [`Language`] of a locale.
//!
//! The sentences are data, in `languages.json`, and a deployment may override them in the same shape. This is where
//! they are found, not where they are put together: [`text`](super::text) makes the message,
//! [`answer`](super::answer) the voice XML. Nothing here knows a brand or a code, and nothing changes once made.
//!
//! A language without a voice is spoken to in English, and its texts stay its own. Voices: Amazon Polly's standard
//! ones, of which Plivo offers "27 languages and more than 40 voices" (docs.plivo.com/docs/voice/concepts/ssml;
//! names from docs.aws.amazon.com/polly/latest/dg/standard-voices.html). Where Polly has several, the data has the one
//! that was there first, since Plivo does not say which of the later ones it took over. Plivo's own `WOMAN` speaks no
//! language that Polly does not (plivo.com/docs/voice/xml/audio-output), so only an override names it.

mod read;
mod template;

use std::collections::HashMap;

pub(super) use template::is_in_xml;
pub use template::{Piece, Template};

/// The language of those whose own is unknown, and of calls that nobody could speak otherwise.
const ENGLISH: &str = "en";

/// Other names of languages: what was renamed (IANA subtag registry), and who reads whose script.
/// A language of one's own under such a name goes before it.
const ALIASES: &[(&str, &str)] = &[
    ("no", "nb"),
    ("nn", "nb"),
    ("iw", "he"),
    ("in", "id"),
    ("tl", "fil"),
    ("mo", "ro"),
    ("cmn", "zh"),
    ("yue", "zh-hant"),
    ("zh-tw", "zh-hant"),
    ("zh-hk", "zh-hant"),
    ("zh-mo", "zh-hant"),
];

/// Longer than any language tag: RFC 5646, 4.4.1 asks for room for 35 characters.
const TAG_MAX: usize = 100;

/// All languages, found by locale. Made once, at start.
#[derive(Clone, Debug)]
pub struct Languages {
    all: Vec<Language>,
    english: usize,
    /// By tag in lower case, aliases included.
    by_tag: HashMap<String, usize>,
}

/// One language: its sentences, and who speaks them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Language {
    tag: String,
    text: Template,
    text_brand: Template,
    speech: Speech,
}

/// What a call says, and in whose voice.
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
    /// The languages that come with the program.
    ///
    /// # Panics
    /// If its data were faulty, which a test rules out.
    pub fn built_in() -> Self {
        Self::with_overrides("{}").unwrap_or_else(|faults| unreachable!("languages.json: {faults:?}"))
    }

    /// The same, with sentences or whole languages of one's own: an object by BCP 47 tag, in the shape of
    /// `languages.json`. A field that is given replaces that of a built-in language, and with it that of those
    /// that are `like` it.
    ///
    /// # Errors
    /// One line per fault, which names tag and field.
    pub fn with_overrides(json: &str) -> Result<Self, Vec<String>> {
        let all = read::languages(json)?;
        let mut by_tag: HashMap<String, usize> = all.iter().enumerate().map(|(at, l)| (key(&l.tag), at)).collect();
        for (alias, tag) in ALIASES {
            if let Some(&at) = by_tag.get(*tag) {
                by_tag.entry((*alias).to_owned()).or_insert(at);
            }
        }
        let english = *by_tag.get(ENGLISH).ok_or_else(|| vec![format!("{ENGLISH}: is missing")])?;
        Ok(Self { all, english, by_tag })
    }

    /// The language of a locale: the longest of its tags that is known, subtags dropped from the right (RFC 4647,
    /// 3.4), else English. Case does not matter, and `_` is as good as `-`.
    pub fn of(&self, locale: &str) -> &Language {
        let key = if locale.len() <= TAG_MAX { key(locale) } else { String::new() };
        let mut tag = Some(key.as_str());
        while let Some(name) = tag {
            if let Some(&at) = self.by_tag.get(name) {
                return &self.all[at];
            }
            tag = name.rsplit_once('-').map(|(shorter, _)| shorter);
        }
        &self.all[self.english]
    }

    /// Each of them once, by tag.
    pub fn iter(&self) -> impl Iterator<Item = &Language> {
        self.all.iter()
    }
}

impl Language {
    /// Its BCP 47 tag, as `pt-PT`.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// The wording of a text. It names the brand if there is one; how long it becomes is the caller's business.
    pub fn text(&self, code: &str, brand: Option<&str>) -> String {
        match brand {
            Some(brand) => self.text_brand.fill(code, brand),
            None => self.text.fill(code, ""),
        }
    }

    /// The language a call speaks, in Polly's words, as `cmn-CN`. It is English's where nobody speaks this one.
    pub fn speech_tag(&self) -> &str {
        &self.speech.tag
    }

    /// What a call says.
    pub(super) fn speech(&self) -> &Speech {
        &self.speech
    }
}

impl Speech {
    /// Whether its voice understands SSML; Plivo's own do not (docs.plivo.com/docs/voice/concepts/ssml).
    pub(super) fn has_ssml(&self) -> bool {
        self.voice.starts_with("Polly.")
    }
}

fn key(tag: &str) -> String {
    tag.trim().replace('_', "-").to_ascii_lowercase()
}

#[cfg(test)]
mod tests;
