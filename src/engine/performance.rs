//! [`Performance`]: effects under way, for a caller that waits for their outcomes.
//!
//! They are performed in the task of that caller, which waits for them anyway, and with its thread's connections. A task of
//! their own would cost a creation two switches between threads.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use super::detached::Detached;
use crate::verification::Verification;

/// Effects under way, and the state after each. Dropped, they go on as a task of the process.
pub struct Performance {
    state: watch::Receiver<State>,
    work: Detached<()>,
    rests: TaskTracker,
}

/// The side that performs the effects.
pub(super) struct Progress(watch::Sender<State>);

pub(super) struct State {
    latest: Arc<Verification>,
    /// How many effects are under way.
    count: usize,
    /// Whether the last outcome is known.
    is_done: bool,
}

impl Performance {
    /// Begins with `work`, whose progress `state` receives. `rests` is where the process learns of work that outlasts the
    /// request in the request's runtime.
    pub(super) fn begin(state: watch::Receiver<State>, work: Detached<()>, rests: TaskTracker) -> Self {
        Self { state, work, rests }
    }

    /// Performs the effects up to `limit`, or until the last outcome is known, and returns the state with it.
    ///
    /// What is left, such as the commit of that outcome, goes on in this runtime; or here, if the runtime is about to end.
    pub async fn settled(self, limit: Duration) -> Arc<Verification> {
        let Self { mut state, mut work, rests } = self;
        let known = async {
            tokio::select! {
                biased;
                () = &mut work => {}
                _ = state.wait_for(|state| state.is_done) => {}
            }
        };
        let _ = tokio::time::timeout(limit, known).await;
        let latest = Arc::clone(&state.borrow().latest);
        if !work.is_over() {
            if rests.is_closed() {
                work.await;
            } else {
                work.go_on_here(&rests);
            }
        }
        latest
    }
}

impl Progress {
    /// Of `count` effects.
    pub(super) fn of(latest: Arc<Verification>, count: usize) -> (Self, watch::Receiver<State>) {
        let (sender, receiver) = watch::channel(State { latest, count, is_done: false });
        (Self(sender), receiver)
    }

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
