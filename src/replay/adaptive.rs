//! [`AdaptivePlayer`]: the adaptive policy as a [`Player`], so that a replay runs the code of the live service.

use std::collections::HashMap;

use super::book::StatsBook;
use super::player::{PlayReason, PlayedEvent, Player, PlayerRequest, RouteFacts};
use crate::route_model::{
    self, AdviceReason, Costs, Estimates, Lesson, Next, Observation, Observer, RouteKnowledge, TTL_MS, Teacher,
};

/// Plays verifications under the adaptive policy and learns from each.
#[derive(Clone, Debug)]
pub struct AdaptivePlayer {
    costs: Costs,
    book: StatsBook,
    open: HashMap<u64, Observer>,
    /// The start of the trace, in milliseconds since 1970.
    start_ms: u64,
}

impl AdaptivePlayer {
    /// A player that has learned nothing.
    pub fn new(costs: Costs) -> Self {
        Self { costs, book: StatsBook::default(), open: HashMap::new(), start_ms: 0 }
    }

    /// The same player, for a trace that starts at this time, in milliseconds since 1970.
    pub fn starting_at(self, start_ms: u64) -> Self {
        Self { start_ms, ..self }
    }

    /// What it has learned.
    pub fn book(&self) -> &StatsBook {
        &self.book
    }
}

impl Player for AdaptivePlayer {
    fn on_event(&mut self, id: u64, facts: &RouteFacts, event: PlayedEvent, at_ms: u64, age_ms: u64) -> PlayerRequest {
        let age_ms = u32::try_from(age_ms).unwrap_or(TTL_MS).min(TTL_MS);
        let now_s = u32::try_from((self.start_ms + at_ms) / 1000).unwrap_or(u32::MAX);
        let mut learned = KnownRoute { book: &mut self.book, facts, now_s };
        let mut first_advice = None;
        let news = match event {
            // The live service teaches nothing from it either: it does not tell whether the text arrives.
            PlayedEvent::Sent => return PlayerRequest::Nothing,
            PlayedEvent::Started => {
                let (observer, advice) = route_model::begin(&mut learned, &self.costs);
                self.open.insert(id, observer);
                first_advice = Some(advice);
                Observation::Time
            }
            PlayedEvent::Verified => Observation::Verified,
            PlayedEvent::Delivered => Observation::Delivered,
            PlayedEvent::Failed => Observation::Lost,
            PlayedEvent::ResendRequested => Observation::AskedAgain,
            PlayedEvent::CallKnown { .. } => Observation::CallKnown,
            PlayedEvent::Timer => Observation::Time,
        };
        let Some(track) = self.open.get_mut(&id) else { return PlayerRequest::Nothing };
        if event != PlayedEvent::Started {
            route_model::see(track, news, age_ms, &mut learned);
        }
        if event == PlayedEvent::Verified || age_ms >= TTL_MS {
            self.open.remove(&id);
            return PlayerRequest::Nothing;
        }
        let decision = first_advice.or_else(|| route_model::ask(track, news, age_ms, &learned, &self.costs));
        let planned_ms = match decision.map(|decision| (decision.next, decision.kind)) {
            Some((Next::Call, kind)) => {
                route_model::called(track, news == Observation::Lost, age_ms, &mut learned, &self.costs);
                let reason = match kind {
                    AdviceReason::Resend => PlayReason::Resend,
                    AdviceReason::Max => PlayReason::Max,
                    AdviceReason::Failed => PlayReason::Failed,
                    AdviceReason::Hazard | AdviceReason::Never => PlayReason::Hazard,
                };
                return PlayerRequest::Call { reason, wake_ms: track.wake_ms().map(u64::from) };
            }
            Some((Next::WakeAt(at), _)) => Some(at),
            Some((Next::Never, _)) | None => None,
        };
        let wake_ms = track.wake_ms().into_iter().chain(planned_ms).min();
        PlayerRequest::WakeAt { age_ms: wake_ms.map_or(u64::MAX, u64::from) }
    }
}

/// One verification's route as the book knows it.
struct KnownRoute<'a> {
    book: &'a mut StatsBook,
    facts: &'a RouteFacts,
    now_s: u32,
}

impl RouteKnowledge for KnownRoute<'_> {
    fn estimates(&self) -> Estimates {
        self.book.estimates(self.facts.teacher.app, self.facts.country, self.facts.route)
    }

    fn teacher(&self) -> Teacher {
        self.facts.teacher
    }

    fn call_price_u(&self) -> u64 {
        self.facts.call_price_u
    }

    fn learn(&mut self, lessons: &[Lesson]) {
        for lesson in lessons {
            let lesson = lesson.at_s(self.now_s);
            self.book.learn(self.facts.teacher.app, self.facts.country, self.facts.route, lesson);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRICE_U: u64 = 25_000;

    #[test]
    fn a_lost_text_is_followed_by_a_call_at_once_and_every_play_is_the_same() {
        let facts = RouteFacts {
            country: *b"US",
            route: 310_150,
            call_price_u: PRICE_U,
            sms_price_u: 7_000,
            teacher: Teacher::default(),
        };
        let play = || {
            let mut player = AdaptivePlayer::new(Costs::BALANCED);
            let mut requests = Vec::new();
            for id in 0..200_u64 {
                let t0 = id * 30_000;
                requests.push(player.on_event(id, &facts, PlayedEvent::Started, t0, 0));
                if id % 9 == 0 {
                    requests.push(player.on_event(id, &facts, PlayedEvent::Failed, t0 + 2_000, 2_000));
                } else if id % 2 == 0 {
                    requests.push(player.on_event(id, &facts, PlayedEvent::Delivered, t0 + 4_000, 4_000));
                }
                requests.push(player.on_event(id, &facts, PlayedEvent::Verified, t0 + 11_000 + id, 11_000 + id));
            }
            requests
        };
        let requests = play();
        assert_eq!(requests[1], PlayerRequest::Call { reason: PlayReason::Failed, wake_ms: None });
        assert_eq!(requests, play());
    }
}
