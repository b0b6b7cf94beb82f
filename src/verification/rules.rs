//! [`Rules`]: lifetimes, check limits and policy; all that `decide` may know besides its arguments.

use std::time::Duration;

use crate::escalation::Policy;

/// The longest a code may live, whatever is configured or asked for (NIST SP 800-63B-4, 3.1.3.2).
pub const LIFETIME_MAX: Duration = Duration::from_secs(600);

/// How long a code lives at least after a text gave way to a call, so that there is time to hear and type it.
pub const LIFETIME_AFTER_CALL: Duration = Duration::from_secs(120);

/// For how long after a keystroke nobody is rung.
pub const TYPING_PAUSE: Duration = Duration::from_secs(10);

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
    /// How long whoever owes an effect has for it before another replica takes it over. Longer than the
    /// longest request to Plivo.
    pub effect_lease: Duration,
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
            effect_lease: Duration::from_secs(15),
        }
    }
}
