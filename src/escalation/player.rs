//! [`Adaptive`]: the adaptive policy as a [`Player`], so that a replay drives the code that the service runs.

use std::collections::HashMap;

use super::adaptive::{Costs, Kind, Next, plan, start};
use super::book::Book;
use super::hazard::Lesson;
use super::play::{Facts, PlayReason, Player, Seen, Wish};
use super::track::{TTL_MS, Track};

/// Plays verifications, and learns from all of them.
#[derive(Clone, Debug)]
pub struct Adaptive {
    costs: Costs,
    book: Book,
    open: HashMap<u64, Track>,
}

impl Adaptive {
    /// Knows nothing yet.
    pub fn new(costs: Costs) -> Self {
        Self { costs, book: Book::default(), open: HashMap::new() }
    }

    /// What it has learned.
    pub fn book(&self) -> &Book {
        &self.book
    }

    fn learn(&mut self, facts: &Facts, lessons: Vec<Lesson>) {
        for lesson in lessons {
            self.book.apply(facts.country, facts.route, lesson);
        }
    }
}

impl Player for Adaptive {
    fn see(&mut self, id: u64, facts: &Facts, seen: Seen, _at_ms: u64, age_ms: u64) -> Wish {
        if seen == Seen::Sent {
            // That the carrier took a text has never told whether it arrives.
            return Wish::Nothing;
        }
        let age_ms = u32::try_from(age_ms).unwrap_or(TTL_MS).min(TTL_MS);
        let estimates = self.book.estimates(facts.country, facts.route);
        if seen == Seen::Started {
            let (track, lessons) = start(&estimates, facts.call_price_u, &self.costs);
            self.learn(facts, lessons);
            return self.wish(id, facts, track, age_ms);
        }
        let Some(mut track) = self.open.remove(&id) else { return Wish::Nothing };
        let lessons = match seen {
            Seen::Verified => track.verified(age_ms),
            Seen::Delivered => track.delivered(age_ms, &estimates),
            Seen::Failed => track.failed(age_ms),
            Seen::ResendPressed => track.resend(age_ms),
            Seen::CallKnown { .. } => track.call_known(age_ms),
            Seen::Timer if age_ms >= TTL_MS => track.end(),
            Seen::Timer | Seen::Sent | Seen::Started => track.credit(age_ms),
        };
        self.learn(facts, lessons);
        if seen == Seen::Failed && !track.is_called() {
            return Wish::Call { reason: PlayReason::Failed };
        }
        if seen == Seen::Verified || age_ms >= TTL_MS {
            return Wish::Nothing;
        }
        self.wish(id, facts, track, age_ms)
    }
}

impl Adaptive {
    /// Asks the policy, unless it was followed already.
    fn wish(&mut self, id: u64, facts: &Facts, mut track: Track, age_ms: u32) -> Wish {
        let mut wake = track.wake_ms();
        if !track.is_called() {
            let estimates = self.book.estimates(facts.country, facts.route);
            let decision = plan(&estimates, &track, age_ms, facts.call_price_u, &self.costs);
            match decision.next {
                Next::Call => {
                    let lessons = track.called(age_ms, &estimates, Some(&decision));
                    self.learn(facts, lessons);
                    self.open.insert(id, track);
                    let reason = match decision.kind {
                        Kind::Resend => PlayReason::Resend,
                        Kind::Max => PlayReason::Max,
                        Kind::Failed => PlayReason::Failed,
                        Kind::Hazard | Kind::Never => PlayReason::Hazard,
                    };
                    return Wish::Call { reason };
                }
                Next::WakeAt(at) => wake = Some(wake.map_or(at, |wake| wake.min(at))),
                Next::Never => {}
            }
        }
        self.open.insert(id, track);
        match wake {
            Some(at) => Wish::WakeAt { age_ms: u64::from(at) },
            None => Wish::Nothing,
        }
    }
}
