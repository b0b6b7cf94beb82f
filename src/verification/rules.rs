//! What a decision knows besides the verification and the events: the operator's [`Rules`] and the [`Context`].

use std::time::Duration;

use super::id::SessionIndex;
use super::words::Channel;
use crate::escalation::Policy;
use crate::guard::{GuessRules, QuietHours, Scope};
use crate::route_model::{CostPreset, Costs, Insight};
use crate::time::Timestamp;

/// The longest life of a code, whatever is configured or asked for (NIST SP 800-63B-4, 3.1.3.2).
pub const LIFETIME_MAX: Duration = Duration::from_secs(600);

/// The shortest life of a code after an escalated call, so that there is time to hear and type it.
pub const LIFETIME_AFTER_CALL: Duration = Duration::from_secs(120);

/// No automatic call for this long after a keystroke.
pub const TYPING_PAUSE: Duration = Duration::from_secs(10);

/// The pause before Plivo is asked again to hang up a call.
pub const HANG_UP_RETRY: Duration = Duration::from_secs(2);

/// The pause before a PHLO's run is asked what it created; it grows by the same amount each time.
pub const IDENTIFY_AFTER: Duration = Duration::from_secs(2);

/// The number of times a PHLO's run is asked.
pub const IDENTIFY_TIMES: u16 = 4;

/// The time for which a replica keeps an outcome that the store does not accept.
pub const OUTCOME_HOLD: Duration = Duration::from_secs(12);

/// The operator's settings for verifications. The same for every decision while the process runs.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Digits of a code, unless the creation says otherwise.
    pub code_length: u8,
    /// The life of a code, unless the creation says otherwise.
    pub ttl: Duration,
    /// Wrong codes that end a session.
    pub checks_max: u8,
    /// Attempts after which no further one can be requested.
    pub attempts_max: u8,
    /// The pause between two requested attempts on one channel.
    pub resend_cooldown: Duration,
    /// When to call, unless the creation says otherwise.
    pub policy: Policy,
    /// The operator's prices, where they differ from the preset's.
    pub cost_overrides: CostOverrides,
    /// Whether a key must be pressed before a call of the Call API speaks the code.
    pub voice_confirm: bool,
    /// Wrong codes that a number takes over all its verifications.
    pub guesses: GuessRules,
    /// Hours without automatic calls, by the clock at the number's place.
    pub quiet_hours: Option<QuietHours>,
    /// The lease of an effect: how long a replica has before another takes it over.
    ///
    /// Longer than the longest request to Plivo.
    pub effect_lease: Duration,
}

/// What holds for one decision only.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The store's time.
    pub now: Timestamp,
    /// What is learned of the number's route.
    pub insight: &'a Insight,
    /// Attempts that a limit does not allow now.
    pub barred: &'a [Barred],
    /// The session whose the customer's requests are.
    pub session: SessionIndex,
}

impl Context<'_> {
    /// The limit that bars an attempt on this channel.
    pub(super) fn bar(&self, channel: Channel) -> Option<Barred> {
        self.barred.iter().find(|barred| barred.channel == channel).copied()
    }
}

/// An attempt that a limit does not allow now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Barred {
    /// Text or call.
    pub channel: Channel,
    /// The limit.
    pub scope: Scope,
    /// The time until there is room.
    pub retry_after: Duration,
}

impl Rules {
    /// The lease of hanging a call up, which may need a request for each of the call's two UUIDs.
    pub(super) fn hang_up_lease(&self) -> Duration {
        self.effect_lease * 2
    }

    /// The lease of a request to Plivo.
    ///
    /// A call's also covers [`OUTCOME_HOLD`], in which the outcome may be known and not committed: a doubled text
    /// carries the same code, a doubled call rings twice.
    pub(super) fn trigger_lease(&self, channel: Channel) -> Duration {
        match channel {
            Channel::Sms => self.effect_lease,
            Channel::Call => self.effect_lease + OUTCOME_HOLD,
        }
    }
}

/// The operator's prices in micro-dollars (waiting: per millisecond). `None` leaves a price to the preset.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CostOverrides {
    /// A call.
    pub call: Option<f64>,
    /// A millisecond without a code.
    pub wait: Option<f64>,
    /// A lost user.
    pub lost: Option<f64>,
    /// A needless call.
    pub nuisance: Option<f64>,
}

impl CostOverrides {
    /// The prices under a preset.
    pub fn costs(&self, preset: CostPreset) -> Costs {
        let usual = Costs::of(preset);
        Costs {
            call: self.call.or(usual.call),
            wait: self.wait.unwrap_or(usual.wait),
            lost: self.lost.unwrap_or(usual.lost),
            nuisance: self.nuisance.unwrap_or(usual.nuisance),
        }
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            code_length: 6,
            ttl: Duration::from_secs(300),
            checks_max: 5,
            attempts_max: 5,
            resend_cooldown: Duration::from_secs(30),
            policy: Policy::FixedOrFail(Duration::from_secs(35)),
            cost_overrides: CostOverrides::default(),
            voice_confirm: false,
            guesses: GuessRules::default(),
            quiet_hours: None,
            effect_lease: Duration::from_secs(15),
        }
    }
}
