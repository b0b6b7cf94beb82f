//! [`Performance`]: effects under way, for a caller that waits for their outcomes.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::verification::Verification;

/// Effects under way, and the state after each.
pub struct Performance(watch::Receiver<State>);

/// The side that performs the effects.
pub(super) struct Progress(watch::Sender<State>);

struct State {
    latest: Arc<Verification>,
    /// How many effects are under way.
    count: usize,
    /// Whether the last outcome is known.
    is_done: bool,
}

impl Performance {
    /// Begins with `count` effects.
    pub(super) fn begin(latest: Arc<Verification>, count: usize) -> (Progress, Self) {
        let (sender, receiver) = watch::channel(State { latest, count, is_done: false });
        (Progress(sender), Self(receiver))
    }

    /// Waits up to `limit` until the last outcome is known, and returns the state with it.
    pub async fn settled(mut self, limit: Duration) -> Arc<Verification> {
        let _ = tokio::time::timeout(limit, self.0.wait_for(|state| state.is_done)).await;
        Arc::clone(&self.0.borrow().latest)
    }
}

impl Progress {
    /// Reports the state that an outcome is about to be committed with, and how many effects follow from it.
    ///
    /// The caller does not wait for that commit: its own change is in the store.
    pub(super) fn decided(&self, latest: &Arc<Verification>, further: usize) {
        self.0.send_modify(|state| {
            state.latest = Arc::clone(latest);
            state.is_done |= state.count + further == 1;
        });
    }

    /// Reports that an effect is over, and how many followed from it.
    pub(super) fn ended(&self, further: usize) {
        self.0.send_modify(|state| {
            state.count = (state.count + further).saturating_sub(1);
            state.is_done |= state.count == 0;
        });
    }
}
