//! Seeded random draws: the same seed always gives the same values.
//!
//! The distributions are written out here although `rand_distr` has them: it samples by other methods (a ziggurat for
//! the normal), so the same seed would give another generated day, and recorded figures would change.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// A seeded source of draws.
pub(super) struct Draw(StdRng);

impl Draw {
    pub(super) fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    /// Uniform in [0, 1).
    pub(super) fn unit(&mut self) -> f64 {
        self.0.random()
    }

    /// True with this probability.
    pub(super) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// One of the choices by weight; `otherwise` only where rounding leaves none.
    pub(super) fn one_of<T: Copy>(&mut self, choices: &[(f64, T)], otherwise: T) -> T {
        let mut left = self.unit() * choices.iter().map(|(weight, _)| weight).sum::<f64>();
        for (weight, choice) in choices {
            if left < *weight {
                return *choice;
            }
            left -= weight;
        }
        otherwise
    }

    /// Log-normal in ms, by the Box-Muller transform.
    pub(super) fn log_normal(&mut self, median_ms: f64, sigma: f64) -> u64 {
        let (u, v) = (1.0 - self.unit(), self.unit());
        let normal = (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos();
        whole_ms(median_ms * (sigma * normal).exp())
    }

    /// Exponential in ms: the gap between events of a Poisson process.
    pub(super) fn exponential(&mut self, mean_ms: f64) -> u64 {
        whole_ms(-mean_ms * (1.0 - self.unit()).ln())
    }
}

/// Between 0 and a day, so that sums of draws do not overflow.
fn whole_ms(ms: f64) -> u64 {
    ms.round().clamp(0.0, 86_400_000.0) as u64
}
