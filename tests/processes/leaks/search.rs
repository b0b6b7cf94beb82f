//! Looks for what must not be there. It raises no false alarm: what is looked for is long, and what merely looks
//! like it (a time, the digits of a UUID) is told apart by its shape.

use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The first bytes of a needle, by which it is found.
const HEAD: usize = 8;

/// Everything that is looked for, by what it is.
#[derive(Clone, Default)]
pub struct Needles(BTreeMap<Vec<u8>, Needle>);

#[derive(Clone)]
struct Needle {
    what: String,
    /// Nine digits and no more may be part of a longer count.
    is_word: bool,
}

impl Needles {
    /// A key, a token, a ref, a signature.
    pub fn secret(&mut self, what: &str, secret: &str) {
        self.add(what, secret.as_bytes(), false);
    }

    /// A number as it is written with and without its country code, and as bytes are shown.
    pub fn number(&mut self, number: &str) {
        let national = &number[number.len() - 10..];
        self.add("a number", national.as_bytes(), false);
        self.add("a number", shown_bytes(national).as_bytes(), false);
    }

    /// A code as it is, as it is spelt out, and as bytes are shown.
    pub fn code(&mut self, code: &str) {
        self.add("a code", code.as_bytes(), code.len() < 10);
        for between in [" ", ", ", ". ", "-"] {
            let digits: Vec<String> = code.chars().map(String::from).collect();
            self.add("a code", digits.join(between).as_bytes(), false);
        }
        self.add("a code", shown_bytes(code).as_bytes(), false);
    }

    fn add(&mut self, what: &str, needle: &[u8], is_word: bool) {
        assert!(needle.len() >= HEAD, "{what} is too short to be looked for");
        self.0.insert(needle.to_vec(), Needle { what: what.to_owned(), is_word });
    }

    /// All of these too.
    pub fn extend(&mut self, others: &Self) {
        self.0.extend(others.0.clone());
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// All but these kinds.
    pub fn without(&self, whats: &[&str]) -> Self {
        let kept = self.0.iter().filter(|(_, needle)| !whats.contains(&needle.what.as_str()));
        Self(kept.map(|(bytes, needle)| (bytes.clone(), needle.clone())).collect())
    }

    /// Each as it stands in a text, for a test of the search itself.
    pub fn all(&self) -> impl Iterator<Item = String> {
        self.0.keys().map(|bytes| String::from_utf8(bytes.clone()).unwrap())
    }

    /// What of it is in the text: the kind, and the line it stands in.
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
                if text[at..].starts_with(bytes) && !is_something_else(text, at, end, needle.is_word) {
                    found.insert((needle.what.clone(), line_around(text, at, end)));
                }
            }
        }
        found
    }
}

/// Whether digits that were found are but part of a time, of an id, or of a longer count.
fn is_something_else(text: &[u8], start: usize, end: usize, is_word: bool) -> bool {
    if !text[start..end].iter().all(u8::is_ascii_digit) {
        return false;
    }
    let count = grown(text, start, end, |b| b.is_ascii_digit());
    // Milliseconds of our time.
    if count.len() == 13 && count.starts_with(b"1") && !count.starts_with(b"10") && count[1] >= b'7' {
        return true;
    }
    let word = grown(text, start, end, |b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_' || b == b'.');
    let is_hex = |part: &[u8]| part.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let is_uuid = word.split(|b| *b == b'-').map(<[u8]>::len).eq([8, 4, 4, 4, 12]);
    let is_id = is_uuid || word.len() >= 32 && is_hex(word.strip_prefix(b"vrf_").unwrap_or(word));
    is_id || is_word && word.len() != end - start
}

fn grown(text: &[u8], start: usize, end: usize, is_part: impl Fn(u8) -> bool) -> &[u8] {
    let before = text[..start].iter().rev().take_while(|b| is_part(**b)).count();
    let after = text[end..].iter().take_while(|b| is_part(**b)).count();
    &text[start - before..end + after]
}

fn line_around(text: &[u8], start: usize, end: usize) -> String {
    let line = grown(text, start, end, |b| b != b'\n');
    String::from_utf8_lossy(line).chars().take(600).collect()
}

/// As `{:?}` shows bytes that are no text.
fn shown_bytes(text: &str) -> String {
    text.bytes().map(|b| b.to_string()).collect::<Vec<_>>().join(", ")
}

#[test]
fn it_finds_every_spelling_and_no_lookalike() {
    let mut needles = Needles::default();
    needles.number("+14155209100");
    needles.code("9071534826");
    needles.code("482910573");
    needles.secret("a key", "a-key-of-somebody");
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
        "Bearer a-key-of-somebody",
        "Bearer%20a-key-of-somebody\u{fffd}",
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
        "an-key-of-somebody",
    ] {
        assert_eq!(needles.find(innocent), BTreeSet::new(), "{innocent}");
    }
}
