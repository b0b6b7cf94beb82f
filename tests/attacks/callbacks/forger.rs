//! The attacker's alterations: callbacks that Plivo did not send, and genuine ones replayed or put to another use.

use rand::RngExt;
use rand::rngs::StdRng;

use super::wire::{self, Params, Wire, params};
use super::{Genuine, Stage, Victim};
use crate::world::CALLBACK_SECRET;

/// A way to alter a genuine callback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alteration {
    // Forged.
    AnotherToken,
    AnotherHost,
    AnotherPath,
    AnotherNonce,
    NoSignature,
    NoNonce,
    NoHeaders,
    V3NamedV2,
    V2BesideABadV3,
    V2WhereItProvesNothing,
    AlteredContent,
    ContentInAnotherBodyType,
    ContentInTheQuery,
    ContentTwice,
    AlteredRef,
    RefOfAnotherKind,
    ClientToken,
    AnotherSecret,
    FlowWithoutSecret,
    FlowWithoutItsRef,
    AnotherSpellingOfThePath,
    // Replayed.
    Unchanged,
    Reordered,
    AsJson,
    AsGet,
    V2Alone,
    OtherContent,
    OtherContentUnderV2,
    MovedBoundaries,
    ExtendedNonce,
    OneMoreParameter,
    OneMoreQueryParameter,
    AtAnotherVictim,
    AtAnotherUrl,
}

impl std::fmt::Display for Alteration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self, f)
    }
}

impl Alteration {
    const FORGED: [Self; 21] = [
        Self::AnotherToken,
        Self::AnotherHost,
        Self::AnotherPath,
        Self::AnotherNonce,
        Self::NoSignature,
        Self::NoNonce,
        Self::NoHeaders,
        Self::V3NamedV2,
        Self::V2BesideABadV3,
        Self::V2WhereItProvesNothing,
        Self::AlteredContent,
        Self::ContentInAnotherBodyType,
        Self::ContentInTheQuery,
        Self::ContentTwice,
        Self::AlteredRef,
        Self::RefOfAnotherKind,
        Self::ClientToken,
        Self::AnotherSecret,
        Self::FlowWithoutSecret,
        Self::FlowWithoutItsRef,
        Self::AnotherSpellingOfThePath,
    ];
    const REPLAYED: [Self; 13] = [
        Self::Unchanged,
        Self::Reordered,
        Self::AsJson,
        Self::AsGet,
        Self::V2Alone,
        Self::OtherContent,
        Self::OtherContentUnderV2,
        Self::MovedBoundaries,
        Self::ExtendedNonce,
        Self::OneMoreParameter,
        Self::OneMoreQueryParameter,
        Self::AtAnotherVictim,
        Self::AtAnotherUrl,
    ];

    /// Whether its content differs from what Plivo sent, so that it must be refused.
    pub(super) fn changes_content(self) -> bool {
        !matches!(self, Self::Unchanged | Self::Reordered | Self::AsJson | Self::AsGet | Self::V2Alone)
    }
}

impl Stage<'_> {
    /// A random forged callback.
    pub(super) fn forge(&self, genuine: &[Genuine], rng: &mut StdRng) -> (Alteration, Wire) {
        loop {
            let alteration = Alteration::FORGED[rng.random_range(0..Alteration::FORGED.len())];
            let real = &genuine[rng.random_range(0..genuine.len())];
            let malicious = self.victims[real.victim].malicious(rng);
            let other = self.other(real.victim, rng);
            if let Some(wire) = self.forged(alteration, real, &malicious, other, rng) {
                return (alteration, wire);
            }
        }
    }

    /// Another victim of the same kind.
    fn other(&self, than: usize, rng: &mut StdRng) -> &Victim {
        &self.victims[(than + 2 * rng.random_range(1..self.victims.len() / 2)) % self.victims.len()]
    }

    /// `None` where the alteration does not apply: a URL with the secret needs no signature.
    fn forged(
        &self,
        alteration: Alteration,
        real: &Genuine,
        malicious: &Params,
        other: &Victim,
        rng: &mut StdRng,
    ) -> Option<Wire> {
        let (wire, victim) = (&real.wire, &self.victims[real.victim]);
        let path = &wire.path;
        let (is_signed, is_at_ref) =
            (!path.contains(CALLBACK_SECRET) && !path.contains("/phlo"), path != wire.fixed_path());
        let content = if path.contains("/answer/") { &wire.params } else { malicious };
        let request_with =
            |content: &Params| if wire.is_get { Wire::of(path, content).get() } else { Wire::of(path, content) };
        let plain = || request_with(content);
        let genuine = || request_with(&wire.params).signed(self.public_url, path, &wire.params);
        let signed = || plain().signed(self.public_url, path, content);
        let needs_signature = |made: Wire| is_signed.then_some(made);
        match alteration {
            Alteration::AnotherToken => needs_signature(plain().signed_by("a-guess", self.public_url, path, content)),
            Alteration::AnotherHost => needs_signature(plain().signed("https://shop.example", path, content)),
            Alteration::AnotherPath => needs_signature(plain().signed(self.public_url, &other.reports, content)),
            Alteration::AnotherNonce => needs_signature(signed().with_nonce(&wire::nonce())),
            Alteration::NoSignature => needs_signature(signed().without("V3").without("V2")),
            Alteration::NoNonce => needs_signature(signed().without("Nonce")),
            Alteration::NoHeaders => needs_signature(plain()),
            Alteration::V3NamedV2 => needs_signature(signed().without("V2").renamed("V3", "V2")),
            Alteration::V2BesideABadV3 => {
                needs_signature(signed().with_v3("bm90IGEgc2lnbmF0dXJlIG9mIGFueWJvZHkncyBoZXJlISE="))
            }
            Alteration::V2WhereItProvesNothing => (is_signed && !is_at_ref).then(|| signed().without("V3")),
            Alteration::AlteredContent => needs_signature(genuine().with_params(malicious.clone())),
            Alteration::ContentInAnotherBodyType => needs_signature(genuine().with_params(malicious.clone()).in_json()),
            Alteration::ContentInTheQuery => {
                // The signature covers the genuine body. The service reads the query if the body is empty.
                let empty = genuine().with_params(Params::new());
                needs_signature(empty.at(&format!("{path}?{}", wire::form(malicious))))
            }
            Alteration::ContentTwice => {
                let real = genuine();
                let both = if rng.random() {
                    [malicious.clone(), real.params.clone()]
                } else {
                    [real.params.clone(), malicious.clone()]
                };
                needs_signature(real.with_params(both.concat()))
            }
            Alteration::AlteredRef => {
                let at = rng.random_range(5..40);
                let (before, reference) = path.rsplit_once('/')?;
                let mut altered = reference.to_owned();
                (is_at_ref && is_signed).then(|| {
                    altered.replace_range(at..=at, if &reference[at..=at] == "A" { "B" } else { "A" });
                    self.signed(&format!("{before}/{altered}"), content)
                })
            }
            Alteration::RefOfAnotherKind => {
                let reference = path.rsplit_once('/')?.1;
                let kinds = ["message", "call", "answer"].into_iter().filter(|kind| !path.contains(kind));
                let kinds: Vec<_> = kinds.collect();
                let kind = kinds[rng.random_range(0..kinds.len())];
                (is_at_ref && is_signed).then(|| self.signed(&format!("/plivo/{kind}/{reference}"), content))
            }
            Alteration::ClientToken => {
                let kind = ["message", "call", "answer"][rng.random_range(0..3)];
                Some(self.signed(&format!("/plivo/{kind}/{}", victim.client_token), content))
            }
            Alteration::AnotherSecret => {
                let guess = ["a-guess", &CALLBACK_SECRET[..20], &CALLBACK_SECRET.to_uppercase(), "", "%20"]
                    [rng.random_range(0..5)]
                .to_owned();
                let path = format!("/plivo/{guess}/{}", victim.reports().0);
                Some(Wire::of(&path, malicious))
            }
            Alteration::FlowWithoutSecret => {
                let report = params(&[
                    ("ref", &victim.flow_ref),
                    ("event", if victim.is_call { "call_busy" } else { "sms_failed" }),
                ]);
                Some(match rng.random_range(0..4) {
                    0 => Wire::of("/plivo/phlo", &report).in_json(),
                    1 => Wire::of(&format!("/plivo/phlo/{}", victim.flow_ref), &report),
                    2 => Wire::of("/plivo/phlo", &report).in_json().bearer("a-guess"),
                    // Plivo does not sign requests of a flow's nodes, so a signature proves nothing there.
                    _ => self.signed("/plivo/phlo", &report),
                })
            }
            Alteration::FlowWithoutItsRef => {
                let report = params(&[("ref", victim.reports.rsplit('/').next()?), ("event", "sms_failed")]);
                let token = params(&[("ref", &victim.client_token), ("event", "call_failed")]);
                Some(
                    Wire::of("/plivo/phlo", if rng.random() { &report } else { &token })
                        .in_json()
                        .bearer(CALLBACK_SECRET),
                )
            }
            Alteration::AnotherSpellingOfThePath => {
                let spellings =
                    [format!("{path}/"), path.replace("/plivo/", "//plivo/"), path.replace("plivo", "PLIVO")];
                needs_signature(signed().at(&spellings[rng.random_range(0..spellings.len())]))
            }
            _ => None,
        }
    }

    /// A random replayed callback.
    pub(super) fn replay(&self, genuine: &[Genuine], rng: &mut StdRng) -> (Alteration, Wire) {
        loop {
            let alteration = Alteration::REPLAYED[rng.random_range(0..Alteration::REPLAYED.len())];
            let real = &genuine[rng.random_range(0..genuine.len())];
            let malicious = self.victims[real.victim].malicious(rng);
            let other = self.other(real.victim, rng);
            if let Some(wire) = self.replayed(alteration, real, malicious, other, rng) {
                return (alteration, wire);
            }
        }
    }

    fn replayed(
        &self,
        alteration: Alteration,
        real: &Genuine,
        malicious: Params,
        other: &Victim,
        rng: &mut StdRng,
    ) -> Option<Wire> {
        let wire = real.wire.clone();
        let (is_by_secret, is_flow) = (wire.path.contains(CALLBACK_SECRET), wire.path.contains("/phlo"));
        // A client with the callback secret needs no signature, and counts as Plivo.
        let needs_signature = |made: Wire| (!is_by_secret && !is_flow).then_some(made);
        let is_at_ref = wire.path != wire.fixed_path();
        match alteration {
            Alteration::Unchanged => Some(wire),
            Alteration::Reordered => Some(wire.reversed()),
            Alteration::AsJson => Some(wire.in_json()),
            Alteration::AsGet => Some(wire.get()),
            Alteration::V2Alone => (is_at_ref && !is_flow).then(|| wire.without("V3")),
            Alteration::OtherContent => needs_signature(wire.with_params(malicious)),
            // V2 does not sign the parameters: only the used nonce protects them.
            Alteration::OtherContentUnderV2 => (!is_flow).then(|| wire.without("V3").with_params(malicious)),
            Alteration::MovedBoundaries => {
                // {MessageUUID: m1} and {MessageUUIDm: 1} have the same V3 signature.
                let at = rng.random_range(0..wire.params.len());
                let mut moved = wire.params.clone();
                let (key, value) = moved[at].clone();
                let together = format!("{key}{value}");
                let border = rng.random_range(0..=together.len());
                moved[at] = (together[..border].to_owned(), together[border..].to_owned());
                needs_signature(wire.with_params(moved)).filter(|_| border != key.len())
            }
            Alteration::ExtendedNonce => {
                // V3 signs the parameters, a dot and the nonce: a cut at another dot has the same signature.
                let mut params = wire.params.clone();
                params.sort_unstable();
                let at = params.iter().position(|(_, value)| value.contains('.')).filter(|_| !wire.is_get)?;
                let (before, after) =
                    params[at].1.clone().split_once('.').map(|(b, a)| (b.to_owned(), a.to_owned()))?;
                let rest: String = params.drain(at + 1..).map(|(key, value)| key + &value).collect();
                params[at].1 = before;
                let nonce = format!("{after}{rest}.{}", wire.header("X-Plivo-Signature-V3-Nonce")?);
                needs_signature(wire.without("V2").with_nonce(&nonce).with_params(params))
            }
            Alteration::OneMoreParameter => {
                let more = [wire.params.clone(), vec![wire.params[0].clone()]].concat();
                needs_signature(if rng.random() { wire.without("V3") } else { wire }.with_params(more))
            }
            Alteration::OneMoreQueryParameter => {
                let path = format!("{}?{}", wire.path, wire::form(&malicious));
                needs_signature(if rng.random() { wire.without("V3") } else { wire }.at(&path))
            }
            Alteration::AtAnotherVictim => {
                let path = if wire.path.contains("/answer/") { other.answers.clone()? } else { other.reports.clone() };
                (is_at_ref && !is_by_secret && !is_flow).then(|| wire.at(&path))
            }
            Alteration::AtAnotherUrl => {
                let fixed = wire.fixed_path().to_owned();
                let path = if is_at_ref { fixed } else { self.victims[real.victim].reports.clone() };
                (!is_by_secret && !is_flow && !wire.path.contains("/answer/")).then(|| wire.at(&path))
            }
            _ => None,
        }
    }
}
