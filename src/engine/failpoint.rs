//! [`Failpoint`]: the moments at which a test ends the process, as a crash would.
//!
//! Only debug builds have them. `FAILPOINT=committed:2` ends the process when a change has been committed for the second
//! time.

/// A moment between two steps of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::EnumString)]
#[strum(serialize_all = "snake_case")]
pub(super) enum Failpoint {
    /// A change is decided, and not in the store.
    Decided,
    /// It is in the store, and its effects have not begun.
    Committed,
    /// Plivo has answered, and the store does not know.
    Answered,
    /// Due verifications are claimed, and none has had its tick.
    Claimed,
    /// A receiver has taken a webhook, and the store does not know.
    Told,
}

impl Failpoint {
    /// Ends the process, if a test wants it to end here.
    pub(super) fn reached(self) {
        #[cfg(debug_assertions)]
        armed::count(self);
    }
}

#[cfg(debug_assertions)]
mod armed {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::Failpoint;

    /// The moment at which the process ends, and how many times it is still to be reached, the last one included.
    static ARMED: LazyLock<Option<(Failpoint, AtomicUsize)>> = LazyLock::new(|| {
        let text = std::env::var("FAILPOINT").ok()?;
        let (point, time) = text.split_once(':')?;
        Some((point.parse().ok()?, AtomicUsize::new(time.parse().ok()?)))
    });

    pub(super) fn count(point: Failpoint) {
        if let Some((armed, left)) = &*ARMED
            && *armed == point
            && left.fetch_sub(1, Ordering::Relaxed) == 1
        {
            std::process::abort();
        }
    }
}
