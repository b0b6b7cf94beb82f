//! Plays a trace in virtual time: gives a player every event in order and records its calls.
//!
//! The order is that of `docs/replay.md`: by time, then the smaller id, then the order of `Kind`. A player sees no
//! latent fact and no event before its time. Its calls change what follows: a call may bring the code forward or replace
//! a resend.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::outcome::{PlayedOutcome, TTL_MS, requests_resend};
use super::player::{PlayReason, PlayedEvent, Player, PlayerRequest, RouteFacts};
use super::trace::{CallResult, FinalReport, NEVER, Trace, TraceRow};

/// The call of one verification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlayedCall {
    /// Age of the verification when the call was placed.
    pub age_ms: u64,
    /// Why the player requested it.
    pub reason: PlayReason,
}

/// The kinds of events, in their order at equal times.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Started,
    Verified,
    Reported,
    Sent,
    Resend,
    CallKnown,
    Timer,
    /// The code was entered in the same ms in which the resend was requested. It comes last, because a timer in that
    /// ms may still call, and then neither happens (rule 1).
    VerifiedAtOnce,
}

/// An event in the queue; its fields are in the order of the queue.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct QueuedEvent {
    at_ms: u64,
    id: u64,
    kind: Kind,
    place: usize,
}

/// The state of one verification.
struct Progress {
    call: Option<PlayedCall>,
    verified_ms: u64,
    wake_ms: u64,
    is_over: bool,
}

/// Plays the whole trace and returns the call of each row, `None` where the player requested none.
pub fn play(trace: &Trace, player: &mut dyn Player) -> Vec<Option<PlayedCall>> {
    let mut playback = Playback { rows: &trace.rows, progress: Vec::new(), queue: BinaryHeap::new() };
    for (place, row) in trace.rows.iter().enumerate() {
        let verified_ms = PlayedOutcome::of(row, None).verified_ms;
        playback.progress.push(Progress { call: None, verified_ms, wake_ms: NEVER, is_over: false });
        playback.schedule(place, Kind::Started, 0);
    }
    while let Some(Reverse(next)) = playback.queue.pop() {
        playback.deliver(&next, player);
    }
    playback.progress.into_iter().map(|progress| progress.call).collect()
}

struct Playback<'a> {
    rows: &'a [TraceRow],
    progress: Vec<Progress>,
    queue: BinaryHeap<Reverse<QueuedEvent>>,
}

impl Playback<'_> {
    /// Queues an event, unless it lies after the end of the code's lifetime.
    fn schedule(&mut self, place: usize, kind: Kind, age_ms: u64) {
        if age_ms <= TTL_MS {
            let row = &self.rows[place];
            self.queue.push(Reverse(QueuedEvent { at_ms: row.t0_ms + age_ms, id: row.id, kind, place }));
        }
    }

    /// Gives the player one event, if it happens at all, and carries out its request.
    fn deliver(&mut self, next: &QueuedEvent, player: &mut dyn Player) {
        let row = &self.rows[next.place];
        let age_ms = next.at_ms - row.t0_ms;
        let Some(event) = self.event(next, row, age_ms) else { return };
        let facts = RouteFacts {
            country: row.cc,
            route: row.route,
            call_price_u: row.call_price_u,
            sms_price_u: row.sms_price_u,
            teacher: row.teacher,
        };
        let request = player.on_event(row.id, &facts, event, next.at_ms, age_ms);
        let progress = &mut self.progress[next.place];
        if progress.is_over {
            return;
        }
        let wake_ms = match request {
            PlayerRequest::Nothing => return,
            PlayerRequest::WakeAt { age_ms } => age_ms,
            PlayerRequest::Call { reason, wake_ms } => {
                if progress.call.is_none() {
                    self.place_call(next.place, PlayedCall { age_ms, reason });
                }
                wake_ms.unwrap_or(NEVER)
            }
        };
        // A timer that requests a timer at its own age would repeat forever.
        let wake_ms = wake_ms.max(age_ms + u64::from(event == PlayedEvent::Timer));
        let progress = &mut self.progress[next.place];
        if wake_ms != progress.wake_ms {
            progress.wake_ms = wake_ms;
            if wake_ms < TTL_MS {
                self.schedule(next.place, Kind::Timer, wake_ms);
            }
        }
    }

    /// The event for the player, or `None` if a call or the end has made it void. A start queues what follows from it.
    fn event(&mut self, next: &QueuedEvent, row: &TraceRow, age_ms: u64) -> Option<PlayedEvent> {
        let progress = &mut self.progress[next.place];
        if progress.is_over {
            return None;
        }
        match next.kind {
            Kind::Started => {
                let verified_ms = progress.verified_ms;
                let has_resend = requests_resend(row, NEVER);
                let is_at_once = has_resend && verified_ms == row.resend_ms;
                let verified = if is_at_once { Kind::VerifiedAtOnce } else { Kind::Verified };
                self.schedule(next.place, verified, verified_ms);
                self.schedule(next.place, Kind::Reported, row.dlr_ms);
                self.schedule(next.place, Kind::Sent, row.sent_ms);
                if has_resend {
                    self.schedule(next.place, Kind::Resend, row.resend_ms);
                }
                self.schedule(next.place, Kind::Timer, TTL_MS);
                Some(PlayedEvent::Started)
            }
            Kind::Verified | Kind::VerifiedAtOnce => {
                // A call may have moved it to another age.
                progress.is_over = age_ms == progress.verified_ms;
                progress.is_over.then_some(PlayedEvent::Verified)
            }
            Kind::Reported => row.report.map(|report| match report {
                FinalReport::Delivered => PlayedEvent::Delivered,
                FinalReport::Failed => PlayedEvent::Failed,
            }),
            Kind::Sent => Some(PlayedEvent::Sent),
            Kind::Resend => progress.call.is_none().then_some(PlayedEvent::ResendRequested),
            Kind::CallKnown => Some(PlayedEvent::CallKnown { is_answered: row.call_result == CallResult::Answered }),
            Kind::Timer if age_ms == TTL_MS => {
                progress.is_over = true;
                Some(PlayedEvent::Timer)
            }
            Kind::Timer => {
                let is_due = progress.wake_ms == age_ms;
                if is_due {
                    progress.wake_ms = NEVER;
                }
                is_due.then_some(PlayedEvent::Timer)
            }
        }
    }

    fn place_call(&mut self, place: usize, call: PlayedCall) {
        let row = &self.rows[place];
        let outcome = PlayedOutcome::of(row, Some(call.age_ms));
        let progress = &mut self.progress[place];
        progress.call = Some(call);
        let is_moved = progress.verified_ms != outcome.verified_ms;
        progress.verified_ms = outcome.verified_ms;
        if is_moved {
            self.schedule(place, Kind::Verified, outcome.verified_ms);
        }
        if outcome.is_placed && !outcome.is_hung_up {
            self.schedule(place, Kind::CallKnown, call.age_ms.saturating_add(row.call_ring_ms));
        }
    }
}
