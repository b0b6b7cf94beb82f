//! Chance with a seed: the same seed always draws the same, and nothing else is asked.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// A seeded source.
pub(super) struct Draw(StdRng);

impl Draw {
    pub(super) fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    /// From 0 up to but not 1.
    pub(super) fn unit(&mut self) -> f64 {
        self.0.random()
    }

    /// True in `share` of all cases.
    pub(super) fn chance(&mut self, share: f64) -> bool {
        self.unit() < share
    }

    /// One of these, by weight.
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

    /// Log-normal around `median_ms`, by Box and Muller.
    pub(super) fn log_normal(&mut self, median_ms: f64, sigma: f64) -> u64 {
        let (u, v) = (1.0 - self.unit(), self.unit());
        let normal = (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos();
        whole_ms(median_ms * (sigma * normal).exp())
    }

    /// The time to the next of events that come `mean_ms` apart.
    pub(super) fn gap(&mut self, mean_ms: f64) -> u64 {
        whole_ms(-mean_ms * (1.0 - self.unit()).ln())
    }
}

/// From nothing to a day, so that what is drawn can be added up.
fn whole_ms(ms: f64) -> u64 {
    ms.round().clamp(0.0, 86_400_000.0) as u64
}
