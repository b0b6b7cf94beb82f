//! Parses languages from JSON: the built-in ones, then a deployment's overrides.
//!
//! It collects every fault, so that an operator can correct a file in one go.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::template::{Placeholders, Template};
use super::{ENGLISH, Language, Speech, parse_tag};
use crate::plivo::units::units;

const BUILT_IN: &str = include_str!("languages.json");

const TEXTS: [&str; 2] = ["text", "text_brand"];
/// A language has all of these or none, so that no call is spoken half in English.
const SPEECH: [&str; 8] =
    ["voice", "speech_tag", "speech", "speech_brand", "again", "confirm", "confirm_brand", "goodbye"];
/// Names the language whose fields replace missing ones.
const LIKE: &str = "like";

/// Every text must be one SMS with the longest code and a brand of this length.
const LONGEST_CODE: &str = "0000000000";
const BRAND: &str = "aaaaaaaaaaaaaaaaaaaa";

/// Languages by lower-case tag.
type Entries = BTreeMap<String, Entry>;

struct Entry {
    tag: String,
    fields: BTreeMap<String, String>,
}

/// Parses all languages; each is complete.
pub(super) fn languages(overrides: &str) -> Result<Vec<Language>, Vec<String>> {
    let mut faults = Faults::default();
    let mut entries = entries(BUILT_IN, &mut faults);
    for (key, given) in self::entries(overrides, &mut faults) {
        entries
            .entry(key)
            .or_insert_with(|| Entry { tag: given.tag, fields: BTreeMap::new() })
            .fields
            .extend(given.fields);
    }
    // English comes first: languages without speech use its speech.
    let english = Fields::of(ENGLISH, &entries, &mut faults).and_then(|fields| fields.speech(&mut faults));
    let complete = |(key, entry): (&String, &Entry)| {
        let fields = Fields::of(key, &entries, &mut faults)?;
        let (text, text_brand) = (fields.text("text", &mut faults), fields.text("text_brand", &mut faults));
        let speech = if fields.speaks() { fields.speech(&mut faults) } else { english.clone() };
        Some(Language { tag: entry.tag.clone(), text: text?, text_brand: text_brand?, speech: speech? })
    };
    let all = entries.iter().filter_map(complete).collect();
    faults.none_or(all)
}

/// Fault lines, each once, because an inherited fault is one fault.
#[derive(Default)]
struct Faults(BTreeSet<String>);

impl Faults {
    fn add(&mut self, tag: &str, field: &str, why: &str) {
        self.0.insert(format!("{tag}.{field}: {why}"));
    }

    fn none_or<T>(self, good: T) -> Result<T, Vec<String>> {
        if self.0.is_empty() { Ok(good) } else { Err(self.0.into_iter().collect()) }
    }
}

fn entries(json: &str, faults: &mut Faults) -> Entries {
    let mut entries = Entries::new();
    let given = match serde_json::from_str(json) {
        Ok(Value::Object(given)) => given,
        Ok(_) => {
            faults.0.insert("must be an object by language tag".into());
            return entries;
        }
        Err(error) => {
            faults.0.insert(format!("is not JSON: line {}, column {}", error.line(), error.column()));
            return entries;
        }
    };
    for ((tag, value), i) in given.into_iter().zip(1..) {
        // A name that is no tag is not repeated: it may be a secret from another file.
        let Some(key) = own_tag(&tag) else {
            faults.0.insert(format!("entry {i} has a name that is not a language tag, such as pt-BR"));
            continue;
        };
        let Value::Object(object) = value else {
            faults.0.insert(format!("{tag}: must be an object"));
            continue;
        };
        let mut fields = BTreeMap::new();
        for (field, value) in object {
            let is_known = TEXTS.contains(&field.as_str()) || SPEECH.contains(&field.as_str()) || field == LIKE;
            match value {
                _ if !is_known => faults.add(&tag, shown(&field), "is not a field of a language"),
                Value::String(text) => {
                    fields.insert(field, text);
                }
                _ => faults.add(&tag, &field, "must be a string"),
            }
        }
        if entries.insert(key, Entry { tag: tag.clone(), fields }).is_some() {
            faults.0.insert(format!("{tag}: is listed twice"));
        }
    }
    entries
}

/// A language's own fields, then those of the languages it is like.
struct Fields<'a> {
    tag: &'a str,
    line: Vec<&'a Entry>,
}

impl<'a> Fields<'a> {
    fn of(key: &str, entries: &'a Entries, faults: &mut Faults) -> Option<Self> {
        let mut line: Vec<&Entry> = vec![entries.get(key)?];
        let tag = line[0].tag.as_str();
        while let Some((last, like)) = line.last().and_then(|last| Some((*last, last.fields.get(LIKE)?))) {
            match own_tag(like).and_then(|like| entries.get(&like)) {
                None => {
                    faults.add(&last.tag, LIKE, "names a language that does not exist");
                    return None;
                }
                Some(next) if line.iter().any(|one| std::ptr::eq(*one, next)) => {
                    faults.add(tag, LIKE, "refers back to itself");
                    return None;
                }
                Some(next) => line.push(next),
            }
        }
        Some(Self { tag, line })
    }

    /// A field's text, with the tag of the language that defines it.
    fn find(&self, field: &str) -> Option<(&'a str, &'a str)> {
        self.line.iter().find_map(|entry| Some((entry.tag.as_str(), entry.fields.get(field)?.as_str())))
    }

    fn speaks(&self) -> bool {
        SPEECH.iter().any(|field| self.find(field).is_some())
    }

    /// A required field.
    fn get(&self, field: &str, faults: &mut Faults) -> Option<(&'a str, &'a str)> {
        let found = self.find(field);
        if found.is_none() {
            faults.add(self.tag, field, "is missing");
        }
        found
    }

    fn template(&self, field: &str, placeholders: Placeholders, faults: &mut Faults) -> Option<Template> {
        let (tag, text) = self.get(field, faults)?;
        match Template::parse(text, placeholders) {
            Ok(template) => Some(template),
            Err(all) => {
                all.iter().for_each(|why| faults.add(tag, field, why));
                None
            }
        }
    }

    fn text(&self, field: &str, faults: &mut Faults) -> Option<Template> {
        let placeholders = Placeholders { code: true, brand: field.ends_with("_brand") };
        let template = self.template(field, placeholders, faults)?;
        if units(&template.fill(LONGEST_CODE, BRAND)) > 1 {
            let brand =
                if placeholders.brand { format!(" and a brand of {} characters", BRAND.len()) } else { String::new() };
            let (tag, _) = self.find(field)?;
            faults.add(tag, field, &format!("is more than one SMS with a code of 10 digits{brand}"));
            return None;
        }
        Some(template)
    }

    fn speech(&self, faults: &mut Faults) -> Option<Speech> {
        let mut said = |field: &str, code: bool| {
            self.template(field, Placeholders { code, brand: field.ends_with("_brand") }, faults)
        };
        let (code, code_brand) = (said("speech", true), said("speech_brand", true));
        let (again, goodbye) = (said("again", false), said("goodbye", false));
        let (confirm, confirm_brand) = (said("confirm", false), said("confirm_brand", false));
        let mut checked = |field: &str, is_good: fn(&str) -> bool, must: &str| {
            let (tag, text) = self.get(field, faults)?;
            if !is_good(text) {
                faults.add(tag, field, must);
            }
            Some(text.to_owned())
        };
        let voice = checked("voice", is_voice, "must be WOMAN, MAN or a Polly voice, such as Polly.Joanna");
        let tag = checked("speech_tag", |text| own_tag(text).is_some(), "must be a language tag, such as pt-BR");
        Some(Speech {
            voice: voice?,
            tag: tag?,
            code: code?,
            code_brand: code_brand?,
            again: again?,
            confirm: confirm?,
            confirm_brand: confirm_brand?,
            goodbye: goodbye?,
        })
    }
}

/// A field name to show, if it looks like a misspelt one; else a placeholder.
pub(super) fn shown(name: &str) -> &str {
    let is_name = (1..=20).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    if is_name { name } else { "(a field)" }
}

/// Parses the tag of a language, which ISO 639 gives two or three letters: a longer word is rather a misplaced name.
fn own_tag(text: &str) -> Option<String> {
    let is_language = |tag: &String| tag.split('-').next().is_some_and(|language| (2..=3).contains(&language.len()));
    parse_tag(text).filter(is_language)
}

fn is_voice(text: &str) -> bool {
    let is_name =
        |name: &str| (1..=40).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    matches!(text, "WOMAN" | "MAN") || text.strip_prefix("Polly.").is_some_and(is_name)
}
