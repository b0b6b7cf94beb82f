//! [`Pace`]: how fast the local Plivo's time runs.
//!
//! Only its own delays are divided (ringing, reports, a hanging answer, the gaps between retries). What
//! it waits for others, such as eight seconds for an answer to a callback, stays real: the service under
//! test has its own clock and does not run faster because we do.

use std::time::Duration;

/// The factor by which the local Plivo's time is faster than ours.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace(f64);

impl Pace {
    /// `None` for anything outside 0.1 to 1000.
    pub(super) fn new(speed: f64) -> Option<Self> {
        (0.1..=1000.0).contains(&speed).then_some(Self(speed))
    }

    /// How long `its` time takes in ours.
    pub(super) fn real(self, its: Duration) -> Duration {
        its.div_f64(self.0)
    }

    /// How much of its time passes in `real` time.
    pub(super) fn its(self, real: Duration) -> Duration {
        real.mul_f64(self.0)
    }

    /// Waits until `its` time has passed.
    pub(super) async fn pass(self, its: Duration) {
        tokio::time::sleep(self.real(its)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speed_divides_delays_and_has_bounds() {
        let real = Pace::new(20.0).map(|pace| pace.real(Duration::from_secs(30)));
        assert_eq!(real, Some(Duration::from_millis(1500)));
        for wrong in [0.0, -1.0, 1001.0, f64::NAN, f64::INFINITY] {
            assert!(Pace::new(wrong).is_none(), "{wrong}");
        }
    }
}
