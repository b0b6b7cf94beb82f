//! What somebody makes of what they have read: words that Plivo did not say, and what it said once, put to other uses.

use rand::RngExt;
use rand::rngs::StdRng;

use super::wire::{self, Params, Wire, params};
use super::{Genuine, Stage, Victim};
use crate::world::CALLBACK_SECRET;

/// What becomes of what Plivo has sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    // Forged.
    AnotherToken,
    AnotherHost,
    AnotherPath,
    AnotherNonce,
    NoSignature,
    NoNonce,
    NoHeaders,
    V3UnderTheNameOfV2,
    V2BesideABadV3,
    V2WhereItProvesNothing,
    AlteredWords,
    WordsInAnotherKindOfBody,
    WordsInTheQuery,
    WordsTwice,
    AlteredRef,
    RefOfAnotherKind,
    ClientToken,
    AnotherSecret,
    FlowWithoutSecret,
    FlowWithoutItsRef,
    AnotherSpellingOfThePath,
    // Again.
    TheSame,
    OtherOrder,
    AsJson,
    AsGet,
    V2Alone,
    OtherWords,
    OtherWordsInV2,
    BordersMoved,
    NonceGrown,
    OneMoreWord,
    OneMoreInTheQuery,
    AtAnotherVictim,
    AtAnotherDoor,
}

impl std::fmt::Display for How {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self, f)
    }
}

impl How {
    const FORGED: [Self; 21] = [
        Self::AnotherToken,
        Self::AnotherHost,
        Self::AnotherPath,
        Self::AnotherNonce,
        Self::NoSignature,
        Self::NoNonce,
        Self::NoHeaders,
        Self::V3UnderTheNameOfV2,
        Self::V2BesideABadV3,
        Self::V2WhereItProvesNothing,
        Self::AlteredWords,
        Self::WordsInAnotherKindOfBody,
        Self::WordsInTheQuery,
        Self::WordsTwice,
        Self::AlteredRef,
        Self::RefOfAnotherKind,
        Self::ClientToken,
        Self::AnotherSecret,
        Self::FlowWithoutSecret,
        Self::FlowWithoutItsRef,
        Self::AnotherSpellingOfThePath,
    ];
    const AGAIN: [Self; 13] = [
        Self::TheSame,
        Self::OtherOrder,
        Self::AsJson,
        Self::AsGet,
        Self::V2Alone,
        Self::OtherWords,
        Self::OtherWordsInV2,
        Self::BordersMoved,
        Self::NonceGrown,
        Self::OneMoreWord,
        Self::OneMoreInTheQuery,
        Self::AtAnotherVictim,
        Self::AtAnotherDoor,
    ];

    /// Whether it says something else than Plivo did, so that it may not be taken at all.
    pub(super) fn is_other_words(self) -> bool {
        !matches!(self, Self::TheSame | Self::OtherOrder | Self::AsJson | Self::AsGet | Self::V2Alone)
    }
}

impl Stage<'_> {
    /// Something that Plivo did not send.
    pub(super) fn forge(&self, genuine: &[Genuine], rng: &mut StdRng) -> (How, Wire) {
        loop {
            let how = How::FORGED[rng.random_range(0..How::FORGED.len())];
            let real = &genuine[rng.random_range(0..genuine.len())];
            let evil = self.victims[real.victim].evil(rng);
            let other = self.other(real.victim, rng);
            if let Some(wire) = self.forged(how, real, &evil, other, rng) {
                return (how, wire);
            }
        }
    }

    /// Another victim of the same kind.
    fn other(&self, than: usize, rng: &mut StdRng) -> &Victim {
        &self.victims[(than + 2 * rng.random_range(1..self.victims.len() / 2)) % self.victims.len()]
    }

    /// `None` where it makes no sense: by the secret no signature is asked for.
    fn forged(&self, how: How, real: &Genuine, evil: &Params, other: &Victim, rng: &mut StdRng) -> Option<Wire> {
        let (wire, victim) = (&real.wire, &self.victims[real.victim]);
        let path = &wire.path;
        let (is_signed, is_at_ref) = (!path.contains(CALLBACK_SECRET) && !path.contains("/phlo"), path != wire.fixed());
        let words = if path.contains("/answer/") { &wire.params } else { evil };
        let like_it = |words: &Params| if wire.is_get { Wire::of(path, words).get() } else { Wire::of(path, words) };
        let plain = || like_it(words);
        let true_one = || like_it(&wire.params).signed(self.public_url, path, &wire.params);
        let good = || plain().signed(self.public_url, path, words);
        let needs_signature = |made: Wire| is_signed.then_some(made);
        match how {
            How::AnotherToken => needs_signature(plain().signed_by("a-guess", self.public_url, path, words)),
            How::AnotherHost => needs_signature(plain().signed("https://shop.example", path, words)),
            How::AnotherPath => needs_signature(plain().signed(self.public_url, &other.reports, words)),
            How::AnotherNonce => needs_signature(good().with_nonce(&wire::nonce())),
            How::NoSignature => needs_signature(good().without("V3").without("V2")),
            How::NoNonce => needs_signature(good().without("Nonce")),
            How::NoHeaders => needs_signature(plain()),
            How::V3UnderTheNameOfV2 => needs_signature(good().without("V2").renamed("V3", "V2")),
            How::V2BesideABadV3 => needs_signature(good().with_v3("bm90IGEgc2lnbmF0dXJlIG9mIGFueWJvZHkncyBoZXJlISE=")),
            How::V2WhereItProvesNothing => (is_signed && !is_at_ref).then(|| good().without("V3")),
            How::AlteredWords => needs_signature(true_one().saying(evil.clone())),
            How::WordsInAnotherKindOfBody => needs_signature(true_one().saying(evil.clone()).in_json()),
            How::WordsInTheQuery => {
                // What is in the body is signed, and evil stands in the query that is read when there is none.
                let empty = true_one().saying(Params::new());
                needs_signature(empty.at(&format!("{path}?{}", wire::form(evil))))
            }
            How::WordsTwice => {
                let real = true_one();
                let both = if rng.random() {
                    [evil.clone(), real.params.clone()]
                } else {
                    [real.params.clone(), evil.clone()]
                };
                needs_signature(real.saying(both.concat()))
            }
            How::AlteredRef => {
                let at = rng.random_range(5..40);
                let (before, reference) = path.rsplit_once('/')?;
                let mut altered = reference.to_owned();
                (is_at_ref && is_signed).then(|| {
                    altered.replace_range(at..=at, if &reference[at..=at] == "A" { "B" } else { "A" });
                    self.signed(&format!("{before}/{altered}"), words)
                })
            }
            How::RefOfAnotherKind => {
                let reference = path.rsplit_once('/')?.1;
                let doors = ["message", "call", "answer"].into_iter().filter(|door| !path.contains(door));
                let doors: Vec<_> = doors.collect();
                let door = doors[rng.random_range(0..doors.len())];
                (is_at_ref && is_signed).then(|| self.signed(&format!("/plivo/{door}/{reference}"), words))
            }
            How::ClientToken => {
                let door = ["message", "call", "answer"][rng.random_range(0..3)];
                Some(self.signed(&format!("/plivo/{door}/{}", victim.client_token), words))
            }
            How::AnotherSecret => {
                let guess = ["a-guess", &CALLBACK_SECRET[..20], &CALLBACK_SECRET.to_uppercase(), "", "%20"]
                    [rng.random_range(0..5)]
                .to_owned();
                let path = format!("/plivo/{guess}/{}", victim.words().0);
                Some(Wire::of(&path, evil))
            }
            How::FlowWithoutSecret => {
                let told = params(&[
                    ("ref", &victim.flow),
                    ("event", if victim.is_call { "call_busy" } else { "sms_failed" }),
                ]);
                Some(match rng.random_range(0..4) {
                    0 => Wire::of("/plivo/phlo", &told).in_json(),
                    1 => Wire::of(&format!("/plivo/phlo/{}", victim.flow), &told),
                    2 => Wire::of("/plivo/phlo", &told).in_json().bearer("a-guess"),
                    // Plivo does not sign what a flow's nodes send, and so a signature is no proof there.
                    _ => self.signed("/plivo/phlo", &told),
                })
            }
            How::FlowWithoutItsRef => {
                let told = params(&[("ref", victim.reports.rsplit('/').next()?), ("event", "sms_failed")]);
                let token = params(&[("ref", &victim.client_token), ("event", "call_failed")]);
                Some(
                    Wire::of("/plivo/phlo", if rng.random() { &told } else { &token })
                        .in_json()
                        .bearer(CALLBACK_SECRET),
                )
            }
            How::AnotherSpellingOfThePath => {
                let spelt = [format!("{path}/"), path.replace("/plivo/", "//plivo/"), path.replace("plivo", "PLIVO")];
                needs_signature(good().at(&spelt[rng.random_range(0..spelt.len())]))
            }
            _ => None,
        }
    }

    /// Something that Plivo has sent, once more or put to another use.
    pub(super) fn replay(&self, genuine: &[Genuine], rng: &mut StdRng) -> (How, Wire) {
        loop {
            let how = How::AGAIN[rng.random_range(0..How::AGAIN.len())];
            let real = &genuine[rng.random_range(0..genuine.len())];
            let evil = self.victims[real.victim].evil(rng);
            let other = self.other(real.victim, rng);
            if let Some(wire) = self.replayed(how, real, evil, other, rng) {
                return (how, wire);
            }
        }
    }

    fn replayed(&self, how: How, real: &Genuine, evil: Params, other: &Victim, rng: &mut StdRng) -> Option<Wire> {
        let wire = real.wire.clone();
        let (is_by_secret, is_flow) = (wire.path.contains(CALLBACK_SECRET), wire.path.contains("/phlo"));
        // Whoever has read the secret needs no signature, and is as good as Plivo.
        let needs_signature = |made: Wire| (!is_by_secret && !is_flow).then_some(made);
        let is_at_ref = wire.path != wire.fixed();
        match how {
            How::TheSame => Some(wire),
            How::OtherOrder => Some(wire.reversed()),
            How::AsJson => Some(wire.in_json()),
            How::AsGet => Some(wire.get()),
            How::V2Alone => (is_at_ref && !is_flow).then(|| wire.without("V3")),
            How::OtherWords => needs_signature(wire.saying(evil)),
            // V2 does not cover the words: only that the nonce was used does.
            How::OtherWordsInV2 => (!is_flow).then(|| wire.without("V3").saying(evil)),
            How::BordersMoved => {
                // {MessageUUID: m1} and {MessageUUIDm: 1} are signed alike.
                let at = rng.random_range(0..wire.params.len());
                let mut moved = wire.params.clone();
                let (key, value) = moved[at].clone();
                let together = format!("{key}{value}");
                let border = rng.random_range(0..=together.len());
                moved[at] = (together[..border].to_owned(), together[border..].to_owned());
                needs_signature(wire.saying(moved)).filter(|_| border != key.len())
            }
            How::NonceGrown => {
                // What V3 signs ends with a dot and the nonce: cut at a dot of the words, it is signed alike.
                let mut words = wire.params.clone();
                words.sort_unstable();
                let at = words.iter().position(|(_, value)| value.contains('.')).filter(|_| !wire.is_get)?;
                let (before, after) = words[at].1.clone().split_once('.').map(|(b, a)| (b.to_owned(), a.to_owned()))?;
                let rest: String = words.drain(at + 1..).map(|(key, value)| key + &value).collect();
                words[at].1 = before;
                let nonce = format!("{after}{rest}.{}", wire.header("X-Plivo-Signature-V3-Nonce")?);
                needs_signature(wire.without("V2").with_nonce(&nonce).saying(words))
            }
            How::OneMoreWord => {
                let more = [wire.params.clone(), vec![wire.params[0].clone()]].concat();
                needs_signature(if rng.random() { wire.without("V3") } else { wire }.saying(more))
            }
            How::OneMoreInTheQuery => {
                let path = format!("{}?{}", wire.path, wire::form(&evil));
                needs_signature(if rng.random() { wire.without("V3") } else { wire }.at(&path))
            }
            How::AtAnotherVictim => {
                let path = if wire.path.contains("/answer/") { other.answers.clone()? } else { other.reports.clone() };
                (is_at_ref && !is_by_secret && !is_flow).then(|| wire.at(&path))
            }
            How::AtAnotherDoor => {
                let fixed = wire.fixed().to_owned();
                let path = if is_at_ref { fixed } else { self.victims[real.victim].reports.clone() };
                (!is_by_secret && !is_flow && !wire.path.contains("/answer/")).then(|| wire.at(&path))
            }
            _ => None,
        }
    }
}
