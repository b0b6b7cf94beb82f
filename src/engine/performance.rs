//! [`Performance`]: effects under way, for a caller that waits for their outcomes.

use std::time::Duration;

use tokio::sync::watch;

use crate::verification::Verification;

/// Effects under way, and the state after each.
pub struct Performance(watch::Receiver<State>);

/// The side that performs the effects.
pub(super) struct Progress(watch::Sender<State>);

struct State {
    latest: Verification,
    is_done: bool,
}

impl Performance {
    pub(super) fn begin(latest: Verification) -> (Progress, Self) {
        let (sender, receiver) = watch::channel(State { latest, is_done: false });
        (Progress(sender), Self(receiver))
    }

    /// Waits up to `limit` until no effect is under way, and returns the state as it is then.
    pub async fn settled(mut self, limit: Duration) -> Verification {
        let _ = tokio::time::timeout(limit, self.0.wait_for(|state| state.is_done)).await;
        self.0.borrow().latest.clone()
    }
}

impl Progress {
    /// Reports the state after an outcome.
    pub(super) fn update(&self, latest: Verification) {
        self.0.send_modify(|state| state.latest = latest);
    }

    /// Reports that no effect is under way any more.
    pub(super) fn finish(&self) {
        self.0.send_modify(|state| state.is_done = true);
    }
}
