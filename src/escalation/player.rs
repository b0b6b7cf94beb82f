//! [`Adaptive`]: the adaptive policy as a [`Player`], so that a replay drives the code that the service runs.

use std::collections::HashMap;

use super::adaptive::{Costs, Kind, Next};
use super::book::Book;
use super::estimates::Estimates;
use super::follow::{self, Learned, News};
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
}

impl Player for Adaptive {
    fn see(&mut self, id: u64, facts: &Facts, seen: Seen, _at_ms: u64, age_ms: u64) -> Wish {
        let age_ms = u32::try_from(age_ms).unwrap_or(TTL_MS).min(TTL_MS);
        let mut learned = Page { book: &mut self.book, facts };
        let news = match seen {
            // That the carrier took a text has never told whether it arrives.
            Seen::Sent => return Wish::Nothing,
            Seen::Started => {
                self.open.insert(id, follow::begin(&mut learned, &self.costs));
                News::Time
            }
            Seen::Verified => News::Verified,
            Seen::Delivered => News::Delivered,
            Seen::Failed => News::Lost,
            Seen::ResendPressed => News::AskedAgain,
            Seen::CallKnown { .. } => News::CallKnown,
            Seen::Timer => News::Time,
        };
        let Some(track) = self.open.get_mut(&id) else { return Wish::Nothing };
        if seen != Seen::Started {
            follow::see(track, news, age_ms, &mut learned);
        }
        if seen == Seen::Verified || age_ms >= TTL_MS {
            self.open.remove(&id);
            return Wish::Nothing;
        }
        let decision = follow::ask(track, news, age_ms, &learned, &self.costs);
        let planned_ms = match decision.map(|decision| (decision.next, decision.kind)) {
            Some((Next::Call, kind)) => {
                follow::called(track, news == News::Lost, age_ms, &mut learned, &self.costs);
                let reason = match kind {
                    Kind::Resend => PlayReason::Resend,
                    Kind::Max => PlayReason::Max,
                    Kind::Failed => PlayReason::Failed,
                    Kind::Hazard | Kind::Never => PlayReason::Hazard,
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
    facts: &'a Facts,
}

impl Learned for Page<'_> {
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
