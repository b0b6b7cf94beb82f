//! Every end: of one session, or of the verification with all that are open. A phase of `decide`.

use super::decide::Transition;
use super::decision::Answer;
use super::effect::{Effect, Owed};
use super::id::{AttemptIndex, SessionIndex};
use super::session::SessionEnd;
use super::state::{Ended, State};
use super::timeline::Note;
use super::words::Ending;

impl Transition<'_> {
    /// Refuses the event after the end of the session, with the reason for the end.
    pub(super) fn while_open(&mut self, apply: impl FnOnce(&mut Self) -> Answer) -> Answer {
        match self.v.end_of(self.context.session) {
            None => apply(self),
            Some(end) => Answer::Refused(end.how.into()),
        }
    }

    /// Verifies one session. The others were not proved by this code.
    pub(super) fn verify(&mut self, session: SessionIndex) {
        let others: Vec<_> = self.v.open_sessions().filter(|other| *other != session).collect();
        others.into_iter().for_each(|other| self.end_alone(other, Ending::VerifiedElsewhere));
        self.end(Ending::Verified);
    }

    /// Ends one session, and with the last one that is open the verification.
    pub(super) fn end_session(&mut self, session: SessionIndex, how: Ending) {
        if self.v.open_sessions().any(|other| other != session) {
            self.end_alone(session, how);
        } else {
            self.end(how);
        }
    }

    fn end_alone(&mut self, session: SessionIndex, how: Ending) {
        let end = SessionEnd { at: self.now, how };
        self.v.session_mut(session).into_iter().for_each(|session| session.ended = Some(end));
        self.note_in(session, Note::Ended { how });
    }

    /// Ends a verification with its open sessions: erases the code and every owed trigger. A request under way cannot be
    /// recalled.
    pub(super) fn end(&mut self, how: Ending) {
        let Some(pending) = self.v.pending() else { return };
        let open: Vec<_> = self.v.open_sessions().collect();
        // Nothing is known of what was lost, so nothing of it may look alive.
        let is_lost = how == Ending::LostInFailover;
        let expires_at = if is_lost { pending.expires_at.min(self.now) } else { pending.expires_at };
        self.v.state = State::Ended(Ended { at: self.now, how, expires_at });
        let is_trigger = |effect: &Effect| matches!(effect, Effect::Trigger { .. });
        let dropped: Vec<AttemptIndex> = self.v.owed.iter().filter_map(waiting_attempt).collect();
        self.v.owed.retain(|owed| !is_trigger(&owed.effect));
        self.effects.retain(|effect| !is_trigger(effect));
        for attempt in dropped {
            self.note(Note::Dropped { attempt });
        }
        open.into_iter().for_each(|session| self.note_in(session, Note::Ended { how }));
    }
}

/// The attempt of an owed trigger that waits for a retry: no replica performs it now.
fn waiting_attempt(owed: &Owed) -> Option<AttemptIndex> {
    match owed.effect {
        Effect::Trigger { attempt } if !owed.in_flight => Some(attempt),
        Effect::Trigger { .. }
        | Effect::HangUp { .. }
        | Effect::Identify { .. }
        | Effect::LookUp { .. }
        | Effect::Link { .. }
        | Effect::Tell { .. } => None,
    }
}
