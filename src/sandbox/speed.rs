//! [`Speed`]: converts between simulated time and real time.
//!
//! Only the local Plivo's own delays are simulated: ringing, reports, a hanging answer, the gaps between retries.
//! Time-outs for others, such as eight seconds for an answer to a callback, stay real, because the service under
//! test has its own clock.

use std::time::Duration;

/// The factor by which simulated time runs faster than real time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Speed(f64);

impl Speed {
    /// `None` outside 0.1 to 1000.
    pub(super) fn new(factor: f64) -> Option<Self> {
        (0.1..=1000.0).contains(&factor).then_some(Self(factor))
    }

    pub(super) fn to_real(self, simulated: Duration) -> Duration {
        simulated.div_f64(self.0)
    }

    pub(super) fn to_simulated(self, real: Duration) -> Duration {
        real.mul_f64(self.0)
    }

    pub(super) async fn sleep(self, simulated: Duration) {
        tokio::time::sleep(self.to_real(simulated)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speed_divides_delays_and_has_bounds() {
        let real = Speed::new(20.0).map(|speed| speed.to_real(Duration::from_secs(30)));
        assert_eq!(real, Some(Duration::from_millis(1500)));
        for wrong in [0.0, -1.0, 1001.0, f64::NAN, f64::INFINITY] {
            assert!(Speed::new(wrong).is_none(), "{wrong}");
        }
    }
}
