//! The networks of number prefixes and the prices of calls, as commits report them.
//!
//! They let the first decision about a number use its route and price before any report names them. The newest value
//! replaces the older one; a lost value costs accuracy alone.

use std::time::Instant;

use super::prefix::PrefixNetwork;
use super::teachers::PrefixHash;
use super::{FRESH, Learner, State};
use crate::phone::{Carrier, Country, PhoneNumber};
use crate::prices;
use crate::verification::{Channel, Verification};

/// Prefixes whose network is cached in this process.
const PREFIXES_MAX: usize = 10_000;
/// Unwritten facts that are kept; further ones are dropped.
const FACTS_MAX: usize = 1_000;

impl Learner {
    /// Records the networks and prices that a commit reported; they are written with the lessons.
    pub fn note_facts(&self, before: &Verification, after: &Verification) {
        self.note_facts_at(before, after, Instant::now());
    }

    pub(super) fn note_facts_at(&self, before: &Verification, after: &Verification, now: Instant) {
        for (i, attempt) in after.attempts.iter().enumerate() {
            let known = before.attempts.get(i).map(|attempt| attempt.facts).unwrap_or_default();
            if let Some(carrier) = attempt.facts.carrier.filter(|carrier| known.carrier != Some(*carrier)) {
                self.note_carrier_at(&after.to, carrier, now);
            }
            if let (Channel::Call, Some(cost_u), None) = (attempt.channel, attempt.facts.cost_u, known.cost_u) {
                // Beyond that it is an error or a forgery, and would teach that calls are dear.
                if cost_u <= prices::plausible_u(after.to.country(), true) {
                    self.note_price(after.to.country(), cost_u, now);
                }
            }
        }
    }

    /// Guesses a number's network: the last one that two numbers of its prefix have reported, or else the number itself.
    pub async fn guess(&self, to: &PhoneNumber, prefix: PrefixHash) -> Option<Carrier> {
        let name = prefix_name(prefix);
        let cached = self.state().networks.get(&name).copied();
        if let Some((known, at)) = cached {
            let guess = known.of_number(|| self.witness(to));
            if guess.is_some() || at.elapsed() < FRESH {
                return guess;
            }
        }
        let found = self.read_values(std::slice::from_ref(&name)).await.unwrap_or_default().pop().flatten();
        let stored = found.as_deref().map(PrefixNetwork::parse);
        // What this process knows and has not written yet is newer than nothing.
        let known = stored.or(cached.map(|(known, _)| known)).unwrap_or_default();
        self.state().cache_network(name, known);
        known.of_number(|| self.witness(to))
    }

    /// Records the network of a number; a second number of its prefix confirms it for the prefix.
    pub fn note_carrier(&self, to: &PhoneNumber, carrier: Carrier) {
        self.note_carrier_at(to, carrier, Instant::now());
    }

    fn note_carrier_at(&self, to: &PhoneNumber, carrier: Carrier, now: Instant) {
        let name = prefix_name(self.prefix_hash(to));
        let mut state = self.state();
        let before = state.networks.get(&name).map(|(known, _)| *known).unwrap_or_default();
        let after = before.witnessed(carrier, self.witness(to));
        if after != before {
            state.cache_network(name.clone(), after);
            state.queue_fact(name, after.to_text(), now);
        }
    }

    /// Averages prices exponentially with weight 0.1, so that one odd bill has little effect.
    fn note_price(&self, country: &Country, cost_u: u64, now: Instant) {
        let mut state = self.state();
        let new = state.prices.get(country).map_or(cost_u, |old| (9 * old + cost_u) / 10);
        if state.prices.insert(country.clone(), new) != Some(new) {
            state.queue_fact(price_name(country), new.to_string(), now);
        }
    }

    /// Adds the stored witnesses to what this process knows of a prefix's network; `None` for another fact.
    pub(super) fn merge_network(&self, name: &str, stored: Option<&[u8]>) -> Option<String> {
        let mut state = self.state();
        let (known, _) = state.networks.get_mut(name)?;
        *known = known.merged_with(stored.map(PrefixNetwork::parse).unwrap_or_default());
        Some(known.to_text())
    }

    /// A keyed hash of a number that has reported its network.
    fn witness(&self, to: &PhoneNumber) -> u32 {
        let [a, b, c, d, ..] = self.keys.sign(&[b"witness", to.digits().as_bytes()]);
        u32::from_be_bytes([a, b, c, d])
    }
}

impl State {
    fn cache_network(&mut self, name: String, known: PrefixNetwork) {
        if self.networks.len() >= PREFIXES_MAX {
            self.networks.clear();
        }
        self.networks.insert(name, (known, Instant::now()));
    }

    /// Queues a fact; a newer value keeps the age of the one it replaces.
    fn queue_fact(&mut self, name: String, fact: String, now: Instant) {
        let since = self.pending_facts.get(&name).map_or(now, |(_, since)| *since);
        if self.pending_facts.len() < FACTS_MAX || self.pending_facts.contains_key(&name) {
            self.pending_facts.insert(name, (fact, since));
        }
    }
}

/// The value that holds the network of a prefix.
fn prefix_name(prefix: PrefixHash) -> String {
    format!("p:{:032x}", prefix.0)
}

/// The value that holds the price of a call to a country.
pub(super) fn price_name(country: &Country) -> String {
    format!("call:{country}")
}

pub(super) fn parse_number<T: std::str::FromStr>(bytes: &[u8]) -> Option<T> {
    std::str::from_utf8(bytes).ok()?.parse().ok()
}
