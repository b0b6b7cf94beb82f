//! Virtual time: tells a player what happens to every verification of a trace, in order, and takes down its calls.
//!
//! The order is that of `docs/replay.md`: by time, then the smaller id, then within one verification its start, the
//! code entered, the report, `sent`, a resend, the call's result, and the player's own timers. A player is told no
//! latent fact, and nothing before it has happened; what it is told depends on what it has decided so far. The code
//! entered, or the timer at the end of the lifetime, is the last it hears of a verification.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::outcome::{Outcome, TTL_MS, presses};
use super::trace::{CallResult, NEVER, Report, Row, Trace};
use crate::replay::player::{PlayReason, PlayedEvent, Player, RouteFacts, Wish};

/// When the call of one verification was placed, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// The age.
    pub age_ms: u64,
    /// The player's word.
    pub reason: PlayReason,
}

/// What may happen, in the order in which it is told at equal times.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Started,
    Verified,
    Reported,
    Sent,
    Resend,
    CallKnown,
    Timer,
    /// The code entered in the very ms in which the text was asked for: a timer of that ms may still call, which
    /// forestalls both (rule 1).
    VerifiedAtOnce,
}

/// Ordered by its fields, from the first to the last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Next {
    at_ms: u64,
    id: u64,
    kind: Kind,
    place: usize,
}

/// Where one verification stands.
struct Life {
    call: Option<Call>,
    verified_ms: u64,
    wake_ms: u64,
    is_over: bool,
}

/// Plays the whole trace; one answer per row, `None` where no call was placed.
pub fn play(trace: &Trace, player: &mut dyn Player) -> Vec<Option<Call>> {
    let mut game = Game { rows: &trace.rows, lives: Vec::new(), queue: BinaryHeap::new() };
    for (place, row) in trace.rows.iter().enumerate() {
        let verified_ms = Outcome::of(row, None).verified_ms;
        game.lives.push(Life { call: None, verified_ms, wake_ms: NEVER, is_over: false });
        game.put(place, Kind::Started, 0);
    }
    while let Some(Reverse(next)) = game.queue.pop() {
        game.tell(&next, player);
    }
    game.lives.into_iter().map(|life| life.call).collect()
}

struct Game<'a> {
    rows: &'a [Row],
    lives: Vec<Life>,
    queue: BinaryHeap<Reverse<Next>>,
}

impl Game<'_> {
    /// After the end of the lifetime nothing happens.
    fn put(&mut self, place: usize, kind: Kind, age_ms: u64) {
        if age_ms <= TTL_MS {
            let row = &self.rows[place];
            self.queue.push(Reverse(Next { at_ms: row.t0_ms + age_ms, id: row.id, kind, place }));
        }
    }

    fn tell(&mut self, next: &Next, player: &mut dyn Player) {
        let row = &self.rows[next.place];
        let age_ms = next.at_ms - row.t0_ms;
        let Some(seen) = self.seen(next, row, age_ms) else { return };
        let facts = RouteFacts {
            country: row.cc,
            route: row.route,
            call_price_u: row.call_price_u,
            sms_price_u: row.sms_price_u,
        };
        let wish = player.see(row.id, &facts, seen, next.at_ms, age_ms);
        let life = &mut self.lives[next.place];
        if life.is_over {
            return;
        }
        let wake_ms = match wish {
            Wish::Nothing => return,
            Wish::WakeAt { age_ms } => age_ms,
            Wish::Call { reason, wake_ms } => {
                if life.call.is_none() {
                    self.call(next.place, Call { age_ms, reason });
                }
                wake_ms.unwrap_or(NEVER)
            }
        };
        // A player that is woken and wants to be woken at once would stop the clock.
        let wake_ms = wake_ms.max(age_ms + u64::from(seen == PlayedEvent::Timer));
        let life = &mut self.lives[next.place];
        if wake_ms != life.wake_ms {
            life.wake_ms = wake_ms;
            if wake_ms < TTL_MS {
                self.put(next.place, Kind::Timer, wake_ms);
            }
        }
    }

    /// What the player is told of this, if it comes to pass at all; what follows from it is put into the queue.
    fn seen(&mut self, next: &Next, row: &Row, age_ms: u64) -> Option<PlayedEvent> {
        let life = &mut self.lives[next.place];
        if life.is_over {
            return None;
        }
        match next.kind {
            Kind::Started => {
                let verified_ms = life.verified_ms;
                let is_at_once = presses(row, NEVER) && verified_ms == row.resend_ms;
                let verified = if is_at_once { Kind::VerifiedAtOnce } else { Kind::Verified };
                self.put(next.place, verified, verified_ms);
                self.put(next.place, Kind::Reported, row.dlr_ms);
                self.put(next.place, Kind::Sent, row.sent_ms);
                if presses(row, NEVER) {
                    self.put(next.place, Kind::Resend, row.resend_ms);
                }
                self.put(next.place, Kind::Timer, TTL_MS);
                Some(PlayedEvent::Started)
            }
            Kind::Verified | Kind::VerifiedAtOnce => {
                // A call may have moved it.
                life.is_over = age_ms == life.verified_ms;
                life.is_over.then_some(PlayedEvent::Verified)
            }
            Kind::Reported => row.report.map(|report| match report {
                Report::Delivered => PlayedEvent::Delivered,
                Report::Failed => PlayedEvent::Failed,
            }),
            Kind::Sent => Some(PlayedEvent::Sent),
            Kind::Resend => life.call.is_none().then_some(PlayedEvent::ResendPressed),
            Kind::CallKnown => Some(PlayedEvent::CallKnown { answered: row.call_result == CallResult::Answered }),
            Kind::Timer if age_ms == TTL_MS => {
                life.is_over = true;
                Some(PlayedEvent::Timer)
            }
            Kind::Timer => {
                let is_due = life.wake_ms == age_ms;
                if is_due {
                    life.wake_ms = NEVER;
                }
                is_due.then_some(PlayedEvent::Timer)
            }
        }
    }

    fn call(&mut self, place: usize, call: Call) {
        let row = &self.rows[place];
        let outcome = Outcome::of(row, Some(call.age_ms));
        let life = &mut self.lives[place];
        life.call = Some(call);
        let moved = life.verified_ms != outcome.verified_ms;
        life.verified_ms = outcome.verified_ms;
        if moved {
            self.put(place, Kind::Verified, outcome.verified_ms);
        }
        if outcome.placed && !outcome.cancelled {
            self.put(place, Kind::CallKnown, call.age_ms.saturating_add(row.call_ring_ms));
        }
    }
}
