//! [`Detached`]: work that goes on when its caller goes away.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

/// Runs work in the caller's task. If the caller is dropped, for example because its client has disconnected, the rest of
/// the work runs as a task of `runtime`, so that a commit is followed by its effects.
///
/// A task from the start would cost two switches between threads for each request. The timers of the work belong to the
/// caller's runtime: if that ends too, while the process stops, the work may be cut off as by a kill. Then its effects are
/// owed, and issued again when their lease expires.
pub(super) struct Detached<T: Send + 'static> {
    work: Option<Pin<Box<dyn Future<Output = T> + Send>>>,
    runtime: Handle,
    tasks: TaskTracker,
}

impl<T: Send + 'static> Detached<T> {
    pub(super) fn new(work: impl Future<Output = T> + Send + 'static, runtime: &Handle, tasks: &TaskTracker) -> Self {
        Self { work: Some(Box::pin(work)), runtime: runtime.clone(), tasks: tasks.clone() }
    }

    /// Whether the work is done.
    pub(super) fn is_over(&self) -> bool {
        self.work.is_none()
    }

    /// Goes on as a task of the caller's runtime, which has opened what the work waits for. `rests` counts it.
    pub(super) fn go_on_here(self, rests: &TaskTracker) {
        let rest = self.tasks.clone().track_future(rests.track_future(self));
        tokio::spawn(rest.in_current_span());
    }
}

impl<T: Send + 'static> Future for Detached<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        // Taken out meanwhile: work that panics is over, and must not be polled again.
        let Some(mut work) = self.work.take() else { return Poll::Pending };
        let polled = work.as_mut().poll(context);
        if polled.is_pending() {
            self.work = Some(work);
        }
        polled
    }
}

impl<T: Send + 'static> Drop for Detached<T> {
    fn drop(&mut self) {
        if let Some(work) = self.work.take() {
            let rest = async move {
                let _ = work.await;
            };
            self.tasks.spawn_on(rest.in_current_span(), &self.runtime);
        }
    }
}
