//! Searches texts for secrets, codes and numbers (needles), without false positives.
//!
//! Needles are long, and lookalikes (a time, the digits of a UUID) are excluded by their shape.

use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Bytes of a needle's start, by which the search finds candidates.
const HEAD: usize = 8;

/// The needles, by their bytes.
#[derive(Clone, Default)]
pub struct Needles(BTreeMap<Vec<u8>, Needle>);

#[derive(Clone)]
struct Needle {
    what: String,
    /// Whether it must stand alone: nine digits may be part of a longer number.
    is_word: bool,
}

impl Needles {
    /// Adds a key, token, ref or signature.
    pub fn secret(&mut self, what: &str, secret: &str) {
        self.add(what, secret.as_bytes(), false);
    }

    /// Adds a phone number without its country code, also as a list of bytes.
    pub fn number(&mut self, number: &str) {
        let national = &number[number.len() - 10..];
        self.add("a number", national.as_bytes(), false);
        self.add("a number", shown_bytes(national).as_bytes(), false);
    }

    /// Adds a code, also digit by digit and as a list of bytes.
    pub fn code(&mut self, code: &str) {
        self.add("a code", code.as_bytes(), code.len() < 10);
        for between in [" ", ", ", ". ", "-"] {
            let digits: Vec<String> = code.chars().map(String::from).collect();
            self.add("a code", digits.join(between).as_bytes(), false);
        }
        self.add("a code", shown_bytes(code).as_bytes(), false);
    }

    fn add(&mut self, what: &str, needle: &[u8], is_word: bool) {
        assert!(needle.len() >= HEAD, "{what} is too short for the search");
        self.0.insert(needle.to_vec(), Needle { what: what.to_owned(), is_word });
    }

    /// Adds all needles of another set.
    pub fn extend(&mut self, others: &Self) {
        self.0.extend(others.0.clone());
    }

    /// The number of needles.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The needles without those of these kinds.
    pub fn without(&self, whats: &[&str]) -> Self {
        let kept = self.0.iter().filter(|(_, needle)| !whats.contains(&needle.what.as_str()));
        Self(kept.map(|(bytes, needle)| (bytes.clone(), needle.clone())).collect())
    }

    /// Each needle as text, to test the search itself.
    pub fn all(&self) -> impl Iterator<Item = String> {
        self.0.keys().map(|bytes| String::from_utf8(bytes.clone()).unwrap())
    }

    /// The kind of each needle in the text, with its line.
    pub fn find(&self, text: &str) -> BTreeSet<(String, String)> {
        let mut by_head: HashMap<&[u8], Vec<(&[u8], &Needle)>> = HashMap::new();
        let mut may_begin = vec![false; 1 << 16];
        for (bytes, needle) in &self.0 {
            by_head.entry(&bytes[..HEAD]).or_default().push((bytes, needle));
            may_begin[usize::from(u16::from_be_bytes([bytes[0], bytes[1]]))] = true;
        }
        let (text, mut found) = (text.as_bytes(), BTreeSet::new());
        for at in 0..text.len().saturating_sub(HEAD - 1) {
            if !may_begin[usize::from(u16::from_be_bytes([text[at], text[at + 1]]))] {
                continue;
            }
            for (bytes, needle) in by_head.get(&text[at..at + HEAD]).into_iter().flatten() {
                let end = at + bytes.len();
                if text[at..].starts_with(bytes) && !is_lookalike(text, at, end, needle.is_word) {
                    found.insert((needle.what.clone(), line_around(text, at, end)));
                }
            }
        }
        found
    }
}

/// Whether the digits at this place are part of a time, an id or a longer number.
fn is_lookalike(text: &[u8], start: usize, end: usize, is_word: bool) -> bool {
    if !text[start..end].iter().all(u8::is_ascii_digit) {
        return false;
    }
    let number = extended(text, start, end, |b| b.is_ascii_digit());
    // A Unix time in milliseconds.
    if number.len() == 13 && number.starts_with(b"1") && !number.starts_with(b"10") && number[1] >= b'7' {
        return true;
    }
    let word = extended(text, start, end, |b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_' || b == b'.');
    let is_hex = |part: &[u8]| part.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let is_uuid = word.split(|b| *b == b'-').map(<[u8]>::len).eq([8, 4, 4, 4, 12]);
    let is_id = is_uuid || word.len() >= 32 && is_hex(word.strip_prefix(b"vrf_").unwrap_or(word));
    is_id || is_word && word.len() != end - start
}

fn extended(text: &[u8], start: usize, end: usize, is_part: impl Fn(u8) -> bool) -> &[u8] {
    let before = text[..start].iter().rev().take_while(|b| is_part(**b)).count();
    let after = text[end..].iter().take_while(|b| is_part(**b)).count();
    &text[start - before..end + after]
}

fn line_around(text: &[u8], start: usize, end: usize) -> String {
    let line = extended(text, start, end, |b| b != b'\n');
    String::from_utf8_lossy(line).chars().take(600).collect()
}

/// Bytes as `{:?}` prints them.
fn shown_bytes(text: &str) -> String {
    text.bytes().map(|b| b.to_string()).collect::<Vec<_>>().join(", ")
}

#[test]
fn the_search_finds_every_spelling_and_no_lookalike() {
    let mut needles = Needles::default();
    needles.number("+14155209100");
    needles.code("9071534826");
    needles.code("482910573");
    needles.secret("a key", "a-key-of-a-stranger");
    for planted in [
        "{\"to\":\"+14155209100\"}",
        "/checkcode/14155209100/1",
        "to=%2B14155209100&",
        "4155209100",
        "[52, 49, 53, 53, 50, 48, 57, 49, 48, 48]",
        "code=9071534826",
        "9 0 7 1 5 3 4 8 2 6",
        "0x9071534826ff",
        "is 482910573,",
        "4, 8, 2, 9, 1, 0, 5, 7, 3",
        "Bearer a-key-of-a-stranger",
        "Bearer%20a-key-of-a-stranger\u{fffd}",
    ] {
        assert_eq!(needles.find(&format!("before {planted} after")).len(), 1, "{planted}");
    }
    for innocent in [
        "+1••••••••00",
        "\"request_id\":\"1c9f5a30-4f0e-4c1b-9d3e-4155209100ab\"",
        "vrf_3f5d4155209100a9b2e4f60718293a4b5",
        "phlo2fa:{0a}:v:3f5d41552091007c1a9b2e4f60718293",
        "1741552091001-vrf_",
        "0.482910573",
        "1482910573",
        "482910573ns",
        "an-key-of-a-stranger",
    ] {
        assert_eq!(needles.find(innocent), BTreeSet::new(), "{innocent}");
    }
}
