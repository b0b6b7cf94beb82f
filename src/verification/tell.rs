//! Owes the deliveries of webhooks, one at a time, and records their results. A phase of `decide`.

use std::time::Duration;

use super::decide::Transition;
use super::effect::{Effect, Owed};
use super::state::Verification;
use super::telling::{DeliveryOutcome, TELL_FOR, TELL_LEASE, UNTOLD_KEPT, Untold};
use super::timeline::Entry;
use super::webhook_id::WebhookId;
use crate::time::Timestamp;

impl Verification {
    /// The entry of the timeline that the receiver is told of next.
    pub fn next_to_tell(&self) -> Option<u16> {
        self.untold().next().map(|(entry, _)| entry)
    }

    /// Events that the receiver has not taken yet, oldest first.
    fn untold(&self) -> impl DoubleEndedIterator<Item = (u16, &Entry)> {
        let from = self.told.as_ref().map_or(self.timeline.len(), |told| told.until.into());
        let entries = self.timeline.iter().enumerate().skip(from);
        let events = entries.filter(|(_, entry)| entry.note.webhook_event().is_some());
        events.filter_map(|(position, entry)| Some((u16::try_from(position).ok()?, entry)))
    }

    /// Until when its record is needed for its webhooks; `None` if it is not.
    pub fn needed_for_webhooks_until(&self) -> Option<Timestamp> {
        let told = self.told.as_ref()?;
        // The last try may be late by its lease, and by a while in which no replica runs.
        let untold = self.untold().next_back().map(|(_, entry)| entry.at + TELL_FOR + TELL_LEASE * 180);
        let replayed = self.owed.iter().filter_map(|owed| match owed.effect {
            Effect::Tell { entry } if entry < told.until => Some(owed.due + UNTOLD_KEPT),
            _ => None,
        });
        untold.max(told.failed.last().map(|failed| failed.at + UNTOLD_KEPT)).max(replayed.max())
    }

    /// The id of the event of an entry.
    pub fn webhook_id(&self, entry: u16) -> WebhookId {
        WebhookId { id: self.id, entry }
    }

    /// Whether an event is given up if it fails at `now` and would be tried again after `pause`.
    pub fn is_given_up(&self, entry: u16, now: Timestamp, pause: Duration) -> bool {
        self.timeline.get(usize::from(entry)).is_none_or(|entry| now + pause > entry.at + TELL_FOR)
    }
}

impl Transition<'_> {
    /// Owes the delivery of the next event, if there is one.
    pub(super) fn tell(&mut self) {
        let Some(entry) = self.v.next_to_tell() else { return };
        let effect = Effect::Tell { entry };
        if self.v.owed.iter().all(|owed| owed.effect != effect) {
            self.owe(effect.clone(), TELL_LEASE);
            self.effects.push(effect);
        }
    }

    /// Owes the delivery of an event that was given up.
    pub(super) fn replay(&mut self, entry: u16) {
        let Some(told) = &mut self.v.told else { return };
        let count = told.failed.len();
        told.failed.retain(|failed| failed.entry != entry);
        if told.failed.len() < count {
            let effect = Effect::Tell { entry };
            self.owe(effect.clone(), TELL_LEASE);
            self.effects.push(effect);
        }
    }

    /// Records the result of a delivery.
    pub(super) fn delivered(&mut self, entry: u16, round: u16, outcome: DeliveryOutcome) {
        let (now, effect) = (self.now, Effect::Tell { entry });
        // What an earlier round came to must not free a newer delivery, unless the receiver has taken the event.
        let is_current = |owed: &Owed| owed.effect == effect && owed.in_flight && owed.round == round;
        let mut failed = None;
        match outcome {
            DeliveryOutcome::Delivered => {}
            DeliveryOutcome::Failed { retry_after } => {
                let owed = self.v.owed.iter_mut().find(|owed| is_current(owed));
                return owed.into_iter().for_each(|owed| (owed.due, owed.in_flight) = (now + retry_after, false));
            }
            DeliveryOutcome::GivenUp => {
                if !self.v.owed.iter().any(is_current) {
                    return;
                }
                failed = Some(Untold { entry, at: now });
            }
        }
        // A repeated outcome finds nothing owed.
        if self.v.owed.iter().all(|owed| owed.effect != effect) {
            return;
        }
        self.remove_owed(&effect);
        if let Some(told) = &mut self.v.told {
            // A replayed one lies before.
            told.until = told.until.max(entry.saturating_add(1));
            told.failed.extend(failed);
        }
    }
}
