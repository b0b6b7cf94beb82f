//! [`Adaptive`]: the adaptive policy as a [`Player`], so that a replay drives the code that the service runs.

use std::collections::HashMap;

use super::book::Book;
use super::player::{PlayReason, PlayedEvent, Player, RouteFacts, Wish};
use crate::route_model::{
    self, AdviceReason, Costs, Estimates, Lesson, Next, Observation, Observer, RouteKnowledge, TTL_MS,
};

/// Plays verifications, and learns from all of them.
#[derive(Clone, Debug)]
pub struct Adaptive {
    costs: Costs,
    book: Book,
    open: HashMap<u64, Observer>,
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
}

impl Player for Adaptive {
    fn see(&mut self, id: u64, facts: &RouteFacts, seen: PlayedEvent, _at_ms: u64, age_ms: u64) -> Wish {
        let age_ms = u32::try_from(age_ms).unwrap_or(TTL_MS).min(TTL_MS);
        let mut learned = Page { book: &mut self.book, facts };
        let news = match seen {
            // That the carrier took a text has never told whether it arrives.
            PlayedEvent::Sent => return Wish::Nothing,
            PlayedEvent::Started => {
                self.open.insert(id, route_model::begin(&mut learned, &self.costs));
                Observation::Time
            }
            PlayedEvent::Verified => Observation::Verified,
            PlayedEvent::Delivered => Observation::Delivered,
            PlayedEvent::Failed => Observation::Lost,
            PlayedEvent::ResendPressed => Observation::AskedAgain,
            PlayedEvent::CallKnown { .. } => Observation::CallKnown,
            PlayedEvent::Timer => Observation::Time,
        };
        let Some(track) = self.open.get_mut(&id) else { return Wish::Nothing };
        if seen != PlayedEvent::Started {
            route_model::see(track, news, age_ms, &mut learned);
        }
        if seen == PlayedEvent::Verified || age_ms >= TTL_MS {
            self.open.remove(&id);
            return Wish::Nothing;
        }
        let decision = route_model::ask(track, news, age_ms, &learned, &self.costs);
        let planned_ms = match decision.map(|decision| (decision.next, decision.kind)) {
            Some((Next::Call, kind)) => {
                route_model::called(track, news == Observation::Lost, age_ms, &mut learned, &self.costs);
                let reason = match kind {
                    AdviceReason::Resend => PlayReason::Resend,
                    AdviceReason::Max => PlayReason::Max,
                    AdviceReason::Failed => PlayReason::Failed,
                    AdviceReason::Hazard | AdviceReason::Never => PlayReason::Hazard,
                };
                return Wish::Call { reason, wake_ms: track.wake_ms().map(u64::from) };
            }
            Some((Next::WakeAt(at), _)) => Some(at),
            Some((Next::Never, _)) | None => None,
        };
        let wake_ms = track.wake_ms().into_iter().chain(planned_ms).min();
        Wish::WakeAt { age_ms: wake_ms.map_or(u64::MAX, u64::from) }
    }
}

/// What the book says of one verification's route.
struct Page<'a> {
    book: &'a mut Book,
    facts: &'a RouteFacts,
}

impl RouteKnowledge for Page<'_> {
    fn estimates(&self) -> Estimates {
        self.book.estimates(self.facts.country, self.facts.route)
    }

    fn call_price_u(&self) -> u64 {
        self.facts.call_price_u
    }

    fn learn(&mut self, lessons: &[Lesson]) {
        for lesson in lessons {
            self.book.apply(self.facts.country, self.facts.route, *lesson);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRICE: u64 = 25_000;

    #[test]
    fn a_player_calls_for_a_lost_text_at_once_and_plays_the_same_twice() {
        let facts = RouteFacts { country: *b"US", route: 310_150, call_price_u: PRICE, sms_price_u: 7_000 };
        let play = || {
            let mut player = Adaptive::new(Costs::BALANCED);
            let mut wishes = Vec::new();
            for id in 0..200_u64 {
                let t0 = id * 30_000;
                wishes.push(player.see(id, &facts, PlayedEvent::Started, t0, 0));
                if id % 9 == 0 {
                    wishes.push(player.see(id, &facts, PlayedEvent::Failed, t0 + 2_000, 2_000));
                } else if id % 2 == 0 {
                    wishes.push(player.see(id, &facts, PlayedEvent::Delivered, t0 + 4_000, 4_000));
                }
                wishes.push(player.see(id, &facts, PlayedEvent::Verified, t0 + 11_000 + id, 11_000 + id));
            }
            wishes
        };
        let wishes = play();
        assert_eq!(wishes[1], Wish::Call { reason: PlayReason::Failed, wake_ms: None });
        assert_eq!(wishes, play());
    }
}
