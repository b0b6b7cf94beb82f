//! Asking Plivo for an attempt: its reply, and what the reply means for the attempt.
//!
//! [`outcome_of`] is the whole table of what may be repeated and what passes from the PHLO to the direct API. It is
//! pure; `engine::outbox` sends the request and brings the outcome back as an event.

use std::time::Duration;

use super::words::{Channel, Via};

/// Plivo's id of a text or call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderId {
    /// Message or call UUID.
    pub uuid: String,
    /// Whether the store already maps the UUID to the attempt. If not, the mapping is owed as an effect.
    pub is_linked: bool,
}

/// Plivo's reply to one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TriggerReply {
    /// Accepted.
    Accepted {
        /// Message or call UUID, if the answer carried one.
        provider_id: Option<ProviderId>,
        /// The PHLO's run, which can be asked for the UUID later.
        run_id: Option<String>,
    },
    /// Refused for good.
    Refused {
        /// HTTP status. A 2xx is a run whose node failed.
        status: u16,
        /// What else will be refused.
        scope: RefusalScope,
    },
    /// Certainly not acted on: no connection, 429 or 503.
    NotNow {
        /// HTTP status, if there was an answer.
        status: Option<u16>,
        /// The pause that Plivo asks for.
        retry_after: Option<Duration>,
    },
    /// Failed, and may have been acted on: 500, 502, 504.
    Failed {
        /// HTTP status.
        status: u16,
    },
    /// No answer in time, and may have been acted on.
    Silent,
}

/// The result of a trigger, as the attempt records it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TriggerOutcome {
    /// Plivo accepted it.
    Accepted {
        /// The part of Plivo that was asked.
        via: Via,
        /// Message or call UUID, if the answer carried one.
        provider_id: Option<ProviderId>,
        /// The PHLO's run, which can be asked for the UUID later.
        run_id: Option<String>,
    },
    /// The PHLO could not run it: the direct API is asked at once.
    PassedOn {
        /// The PHLO's HTTP status, if there was an answer.
        provider_status: Option<u16>,
        /// The round of the owed trigger that made this request.
        round: u16,
    },
    /// Plivo refused it for good.
    Refused {
        /// The part of Plivo that was asked.
        via: Via,
        /// HTTP status.
        provider_status: u16,
        /// What else will be refused.
        scope: RefusalScope,
    },
    /// Perhaps sent, so the request is not repeated.
    TimedOut {
        /// The part of Plivo that was asked, if known.
        via: Option<Via>,
    },
    /// Not requested yet, because the account's rate has no room or the circuit breaker is open.
    Waiting {
        /// How long it has to wait, where that is known; else zero.
        expected: Duration,
        /// The round of the owed trigger that asked for room.
        round: u16,
    },
    /// Certainly not sent, or harmless to send twice: repeated after `retry_after`.
    Deferred {
        /// HTTP status, if there was an answer.
        provider_status: Option<u16>,
        /// The pause before the next request.
        retry_after: Duration,
        /// The round of the owed trigger that made this request.
        round: u16,
    },
}

/// What Plivo's list of sent messages says of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// It has the text.
    Sent(ProviderId),
    /// It is complete, and lacks the text.
    NotSent,
    /// It could not be read, or is not known to be complete.
    Unanswered,
}

/// What a refusal rules out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalScope {
    /// This attempt; another channel may work.
    Attempt,
    /// Every request of this account: credentials, credit, an unknown PHLO.
    Account,
    /// Every attempt to this number (class S).
    Number,
}

/// One request for an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TriggerRequest {
    /// The channel.
    pub channel: Channel,
    /// The part of Plivo that was asked.
    pub via: Via,
    /// How often the owed trigger had been issued again before this request.
    pub round: u16,
    /// The requests for this attempt that Plivo has answered with 429 or 5xx before.
    pub failed: u8,
}

/// The milliseconds before Plivo is asked again, by the requests for the attempt that failed before.
///
/// Few requests are made, so the pauses grow: the first retries come at once, and the last after an outage of two minutes.
const PAUSES_MS: [u64; 4] = [500, 1_000, 25_000, 110_000];

/// Translates Plivo's reply into an outcome: accepted, refused, unknown, passed on to the direct API, or deferred.
///
/// `jitter` scales the pause and lies in `0.9..=1.0`; the engine draws it, so that this stays pure.
pub fn outcome_of(request: TriggerRequest, reply: TriggerReply, jitter: f64) -> TriggerOutcome {
    let TriggerRequest { channel, via, round, failed } = request;
    let deferred = |provider_status, asked: Option<Duration>| {
        // Never sooner than our own back-off: a `Retry-After` of 0 would invite a flood. Jitter on top of the pause
        // in `Retry-After`, because Plivo may have sent the same value to many requests.
        let asked = asked.map(|asked| asked + backoff(0, jitter)).unwrap_or_default();
        let retry_after = asked.max(backoff(failed, jitter));
        TriggerOutcome::Deferred { provider_status, retry_after, round }
    };
    match (via, reply) {
        (_, TriggerReply::Accepted { provider_id, run_id }) => TriggerOutcome::Accepted { via, provider_id, run_id },
        // The direct API may accept what the PHLO runner refuses. It will not with wrong credentials (401), for a
        // barred country (`Number`), or after a node of an accepted run failed (2xx).
        (Via::Phlo, TriggerReply::Refused { status, scope: RefusalScope::Attempt | RefusalScope::Account })
            if (300..500).contains(&status) && status != 401 =>
        {
            TriggerOutcome::PassedOn { provider_status: Some(status), round }
        }
        (_, TriggerReply::Refused { status, scope }) => TriggerOutcome::Refused { via, provider_status: status, scope },
        // Once: after a second failure each request has its pause, because few requests are left.
        (Via::Phlo, TriggerReply::NotNow { status, .. }) if failed == 0 => {
            TriggerOutcome::PassedOn { provider_status: status, round }
        }
        (_, TriggerReply::NotNow { status, retry_after }) => deferred(status, retry_after),
        // Perhaps sent. A doubled text carries the same code; a doubled call rings twice.
        (_, TriggerReply::Failed { status }) => match (channel, via) {
            (Channel::Sms, Via::Phlo) if failed == 0 => {
                TriggerOutcome::PassedOn { provider_status: Some(status), round }
            }
            (Channel::Sms, _) => deferred(Some(status), None),
            (Channel::Call, _) => TriggerOutcome::TimedOut { via: Some(via) },
        },
        (_, TriggerReply::Silent) => TriggerOutcome::TimedOut { via: Some(via) },
    }
}

fn backoff(failed: u8, jitter: f64) -> Duration {
    let pause = PAUSES_MS[usize::from(failed).min(PAUSES_MS.len() - 1)];
    Duration::from_millis(pause).mul_f64(jitter.clamp(0.9, 1.0))
}
