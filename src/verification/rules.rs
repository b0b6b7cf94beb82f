//! [`Rules`]: lifetimes, check limits and policy; all that `decide` may know besides its arguments.

use std::time::Duration;

use super::state::Channel;
use crate::escalation::Policy;
use crate::guard::{GuessRules, QuietHours, Scope};
use crate::route_model::Costs;
use crate::route_model::{CostPreset, Insight};

/// The longest a code may live, whatever is configured or asked for (NIST SP 800-63B-4, 3.1.3.2).
pub const LIFETIME_MAX: Duration = Duration::from_secs(600);

/// How long a code lives at least after a text gave way to a call, so that there is time to hear and type it.
pub const LIFETIME_AFTER_CALL: Duration = Duration::from_secs(120);

/// For how long after a keystroke nobody is rung.
pub const TYPING_PAUSE: Duration = Duration::from_secs(10);

/// How long after Plivo could not be asked to take a call back it is asked again.
pub const HANG_UP_AGAIN: Duration = Duration::from_secs(2);

/// How long after a run of the PHLO it is asked what it made, if nothing has said so by then.
pub const IDENTIFY_AFTER: Duration = Duration::from_secs(2);

/// How often it is asked, each time after a longer pause.
pub const IDENTIFY_TIMES: u16 = 4;

/// For how long the outcome of an effect is held on to while the store does not take it.
pub const OUTCOME_HOLD: Duration = Duration::from_secs(12);

/// The operator's settings for new verifications and the timing of what they owe.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Digits of a code, where the creation does not say.
    pub code_length: u8,
    /// How long a code lives, where the creation does not say.
    pub ttl: Duration,
    /// Wrong codes a verification takes before it ends.
    pub checks_max: u8,
    /// Attempts after which no further one can be asked for.
    pub attempts_max: u8,
    /// Pause between two attempts on one channel that are asked for.
    pub resend_cooldown: Duration,
    /// When to call, where the creation does not say.
    pub policy: Policy,
    /// What the adaptive policy weighs with, by its mood, where the operator says otherwise.
    pub worth: Worth,
    /// What has been learned of the number's route by now.
    pub insight: Insight,
    /// Whether a key must be pressed before a call of the Call API speaks the code.
    pub voice_confirm: bool,
    /// Wrong codes that a number takes, over all its verifications.
    pub guesses: GuessRules,
    /// When nobody is rung who has not asked for it, by the clock at the number's place.
    pub quiet_hours: Option<QuietHours>,
    /// Attempts that the guard has refused, now and for this event.
    pub barred: Vec<Barred>,
    /// How long whoever owes an effect has for it before another replica takes it over. Longer than the
    /// longest request to Plivo.
    pub effect_lease: Duration,
}

/// An attempt that the guard does not allow now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Barred {
    /// Text or call.
    pub channel: Channel,
    /// Which limit.
    pub scope: Scope,
    /// How long until there is room.
    pub retry_after: Duration,
}

impl Rules {
    /// Whether an attempt of this kind is refused by the guard.
    pub(super) fn bar(&self, channel: Channel) -> Option<Barred> {
        self.barred.iter().find(|barred| barred.channel == channel).copied()
    }

    /// The lease of taking a call back, which may be asked for under each of its two ids.
    pub(super) fn hang_up_lease(&self) -> Duration {
        self.effect_lease * 2
    }

    /// The lease of a request to Plivo. That of a call also covers the time for which its outcome may be known
    /// and not written down: a doubled text carries the same code, a doubled call rings twice.
    pub(super) fn trigger_lease(&self, channel: Channel) -> Duration {
        match channel {
            Channel::Sms => self.effect_lease,
            Channel::Call => self.effect_lease + OUTCOME_HOLD,
        }
    }
}

/// What things are worth to the operator, in micro-dollars (a millisecond's, for waiting), where that is not left to
/// the mood.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Worth {
    /// A call.
    pub call: Option<f64>,
    /// A millisecond without a code.
    pub wait: Option<f64>,
    /// A lost user.
    pub lost: Option<f64>,
    /// A needless call.
    pub nuisance: Option<f64>,
}

impl Worth {
    /// In this mood.
    pub fn costs(&self, mood: CostPreset) -> Costs {
        let usual = Costs::of(mood);
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
            worth: Worth::default(),
            insight: Insight::default(),
            voice_confirm: false,
            guesses: GuessRules::default(),
            quiet_hours: None,
            barred: Vec::new(),
            effect_lease: Duration::from_secs(15),
        }
    }
}
