//! Rate limits, wrong codes and quiet hours: what an attempt must pass before it is made.
//!
//! Pure. The store holds the counters; a [`Charge`] names one of them, the amount to add and the limits on it. The
//! engine sends all charges of an attempt to the store in one exchange. A refusal names the [`Scope`] that is full.
//! Narrow scopes come first: a client that floods one number is refused for that number and uses up no shared limit.
//!
//! Counters of numbers, prefixes and addresses are kept per app: traffic of one app never uses up another app's limit.
//! Counters of countries, the total and the budget are shared by all apps. A charge for an attempt that is not made after
//! all is not returned, except in the budget.

mod charge;
pub mod guesses;
pub mod limit;
pub mod quiet;
mod scope;

pub use charge::{AppLimits, Charge, Guard, LimitPair, ProposedAttempt, SENDS_PER_SUCCESS};
pub use guesses::{GuessRules, Guesses};
pub use limit::{Limit, Limits};
pub use quiet::QuietHours;
pub use scope::Scope;
