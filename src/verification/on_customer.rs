//! What the customer asks for: checks, attempts, joins, activity, cancellation. A phase of `decide`.

use std::time::Duration;

use super::code::Code;
use super::decide::Transition;
use super::decision::{Answer, Refusal};
use super::effect::{Effect, Owed};
use super::event::Join;
use super::id::SessionIndex;
use super::rules::{Barred, TYPING_PAUSE};
use super::session::{Joined, NewSession, SESSIONS_MAX, Session};
use super::timeline::Note;
use super::words::{Activity, Channel, Ending, Mode, Status};
use crate::escalation::Reason;
use crate::guard::Scope;

impl Transition<'_> {
    /// Compares a code, unless the number has used up its guesses.
    pub(super) fn check(&mut self, submitted: &Code) -> Answer {
        if submitted.length() != self.v.code_length {
            return Answer::Refused(Refusal::CodeLength(self.v.code_length));
        }
        let wait = self.v.guesses.wait(&self.rules.guesses, self.now);
        if let Some(retry_after) = wait.filter(|_| !self.v.details.is_test) {
            return Answer::Refused(Refusal::RateLimited { scope: Scope::Guesses, retry_after });
        }
        if self.v.pending().is_some_and(|pending| pending.code.matches(submitted)) {
            self.v.guesses.clear(self.now);
            self.verify(self.context.session);
            return Answer::Correct;
        }
        self.v.guesses.add(&self.rules.guesses, self.now);
        let session = self.context.session;
        if let Some(session) = self.v.session_mut(session) {
            session.checks_used = session.checks_used.saturating_add(1);
        }
        let checks_remaining = self.v.checks_remaining(session);
        self.note_in(session, Note::CodeIncorrect { checks_remaining });
        if checks_remaining == 0 {
            self.end_session(session, Ending::MaxChecksReached);
        }
        Answer::Incorrect
    }

    /// Ends the session on request. Canceling twice is no error.
    pub(super) fn cancel(&mut self) -> Answer {
        let session = self.context.session;
        if self.v.status_of(session) == Status::Canceled {
            return Answer::Noted;
        }
        self.while_open(|open| {
            open.end_session(session, Ending::Canceled);
            Answer::Noted
        })
    }

    /// Sends another text, or calls, on request.
    pub(super) fn request(&mut self, channel: Channel) -> Answer {
        if let Err(refusal) = self.may_request(channel) {
            return Answer::Refused(refusal);
        }
        match channel {
            Channel::Sms => self.trigger(Channel::Sms, None, false),
            Channel::Call => self.place_requested_call(),
        }
        Answer::Noted
    }

    /// Places a requested call. The request outweighs an earlier "received" and a limit that barred the automatic call.
    fn place_requested_call(&mut self) {
        if let Some(pending) = self.v.pending_mut() {
            pending.call_barred = false;
        }
        self.v.sessions.iter_mut().for_each(|session| session.has_text = false);
        self.trigger(Channel::Call, Some(Reason::Requested), false);
    }

    fn may_request(&self, channel: Channel) -> Result<(), Refusal> {
        if channel == Channel::Call && !self.v.calls_allowed {
            return Err(Refusal::ChannelNotAllowed);
        }
        if channel == Channel::Call && self.v.attempts.iter().any(|a| a.is_call_under_way(self.now)) {
            return Err(Refusal::CallInProgress);
        }
        let again_at = self.v.newest(channel).map(|a| a.at + self.rules.resend_cooldown);
        if let Some(at) = again_at.filter(|at| *at > self.now) {
            return Err(Refusal::ResendCooldown { retry_after: at.since(self.now) });
        }
        if self.v.attempts.len() >= usize::from(self.rules.attempts_max) {
            return Err(Refusal::MaxAttempts);
        }
        // A deferred attempt will still be sent: with more of them, all would arrive at once.
        if self.v.owed.iter().any(|owed| self.is_deferred(owed, channel)) {
            return Err(Refusal::ResendCooldown {
                retry_after: self.rules.resend_cooldown.max(Duration::from_secs(1)),
            });
        }
        self.barred(channel).map_or(Ok(()), Err)
    }

    /// The limit that bars an attempt, as a refusal.
    fn barred(&self, channel: Channel) -> Option<Refusal> {
        let Barred { scope, retry_after, .. } = self.context.bar(channel)?;
        Some(Refusal::RateLimited { scope, retry_after })
    }

    fn is_deferred(&self, owed: &Owed, channel: Channel) -> bool {
        let Effect::Trigger { attempt } = owed.effect else { return false };
        !owed.in_flight && self.v.attempt(attempt).is_some_and(|a| a.channel == channel)
    }

    /// Shares this verification with a further creation for the number and purpose, as a session of its own.
    pub(super) fn join(&mut self, join: &Join) -> Answer {
        // A test number's code is public: it must not serve a real verification, nor the reverse.
        if join.is_test != self.v.details.is_test {
            self.end(Ending::Canceled);
            return Answer::Refused(Refusal::Final(Status::Canceled));
        }
        // Decided again after its commit, whose acknowledgement was lost.
        if join.session.as_ref().is_some_and(|new| self.v.session_of(new.id).is_some()) {
            return Answer::Noted;
        }
        let Some(pending) = self.v.pending() else { return Answer::Noted };
        if join.code.as_ref().is_some_and(|code| !pending.code.matches(code)) {
            return Answer::Refused(Refusal::CodeConflict);
        }
        if join.session.is_some() && self.v.sessions.len() >= SESSIONS_MAX {
            let retry_after = pending.expires_at.since(self.now);
            return Answer::Refused(Refusal::TooManySessions { retry_after });
        }
        // A number that cannot receive texts is called by a creation, and so by a join.
        let is_auto = join.channel == Channel::Sms && self.v.mode == Mode::Auto;
        let channel = if is_auto { self.v.first_attempt().0 } else { join.channel };
        // No text while a phone rings.
        let is_called = self.v.attempts.iter().any(|a| a.is_call_under_way(self.now));
        match if is_called { Answer::Noted } else { self.request(channel) } {
            // The attempt under way serves the new creation too.
            Answer::Refused(Refusal::CallInProgress | Refusal::ResendCooldown { .. }) => {}
            refused @ Answer::Refused(_) => return refused,
            Answer::Noted | Answer::Correct | Answer::Incorrect | Answer::Repeated { .. } => {}
        }
        let session = join.session.as_ref().and_then(|new| self.add_session(new));
        session.into_iter().for_each(|session| self.note_in(session, Note::Joined));
        Answer::Noted
    }

    /// Adds a session for a creation that joins.
    fn add_session(&mut self, new: &NewSession) -> Option<SessionIndex> {
        let joined = Some(Joined { id: new.id, at: self.now });
        self.v.sessions.push(Session { joined, metadata: new.metadata.clone(), ..Session::default() });
        self.v.session_indexes().next_back()
    }

    /// Acts on what the person does: typing defers the call, a missing text brings it.
    pub(super) fn activity(&mut self, kind: Activity) -> Answer {
        let session = self.context.session;
        match kind {
            Activity::Typing => {
                let typing_until = self.now + TYPING_PAUSE;
                let Some(session) = self.v.session_mut(session) else { return Answer::Noted };
                let was_typing = session.typing_until.replace(typing_until).is_some_and(|until| until > self.now);
                // One entry for each burst of keystrokes.
                if was_typing {
                    return Answer::Noted;
                }
            }
            Activity::Received => {
                self.v.session_mut(session).into_iter().for_each(|session| session.has_text = true);
            }
            Activity::NotReceived if self.v.mode == Mode::Sms => return Answer::Refused(Refusal::ChannelNotAllowed),
            Activity::NotReceived => match self.may_request(Channel::Call) {
                Err(Refusal::CallInProgress) => {}
                // Escalation has its one call, however many texts were requested.
                Err(Refusal::MaxAttempts) if self.v.newest(Channel::Call).is_none() => {
                    match self.barred(Channel::Call) {
                        Some(refusal) => return Answer::Refused(refusal),
                        None => self.place_requested_call(),
                    }
                }
                Err(refusal) => return Answer::Refused(refusal),
                Ok(()) => self.place_requested_call(),
            },
        }
        self.note_in(session, Note::Activity { kind });
        Answer::Noted
    }
}
