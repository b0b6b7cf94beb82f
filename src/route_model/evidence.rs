//! [`RouteEvidence`]: the texts behind the doubt about a route, so that a sentence about the route can name them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// Texts that a doubt needs before a sentence calls the route bad.
const TEXTS_MIN: u16 = 20;

/// The results of one test since the doubt began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteEvidence {
    /// Texts that failed the test.
    pub missed: u16,
    /// Texts that were tested.
    pub of: u16,
    /// When the first of them failed it, in seconds since 1970.
    pub since_s: u32,
}

impl RouteEvidence {
    /// Bytes of the packed form.
    pub(super) const PACKED: usize = 8;

    /// Counts a result; `is_doubted` says whether any doubt is left after it.
    pub(super) fn count(&mut self, hit: bool, at_s: u32, is_doubted: bool) {
        if !is_doubted {
            *self = Self::default();
            return;
        }
        if self.of == 0 {
            self.since_s = at_s;
        }
        self.of = self.of.saturating_add(1);
        self.missed = self.missed.saturating_add(u16::from(!hit));
    }

    /// Whether there are enough texts to call the route bad.
    pub fn is_enough(&self) -> bool {
        self.of >= TEXTS_MIN
    }

    /// The time of the first text that failed the test.
    pub(super) fn since(self) -> Timestamp {
        Timestamp::from_millis(0) + Duration::from_secs(self.since_s.into())
    }

    pub(super) fn to_bytes(self) -> [u8; Self::PACKED] {
        let ([a, b, c, d], [e, f], [g, h]) =
            (self.since_s.to_le_bytes(), self.missed.to_le_bytes(), self.of.to_le_bytes());
        [a, b, c, d, e, f, g, h]
    }

    pub(super) fn from_bytes([a, b, c, d, e, f, g, h]: [u8; Self::PACKED]) -> Self {
        Self {
            since_s: u32::from_le_bytes([a, b, c, d]),
            missed: u16::from_le_bytes([e, f]),
            of: u16::from_le_bytes([g, h]),
        }
    }
}
