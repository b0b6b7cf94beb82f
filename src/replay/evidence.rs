//! What all rows of a service's own trace say together: how its calls went and what Plivo billed.

use std::collections::BTreeMap;

use super::columns::TraceColumn;
use super::draw::Draw;
use super::impute::list_price_u;
use super::observed::{Ending, ObservedEnd};
use super::trace::{CallResult, NEVER, TraceRow};

/// Fewer calls than this say little about calls that were not made.
const CALLS_MIN: usize = 20;

/// The calls and prices that a trace knows, and how many of its verifications it saw end.
pub(super) struct Evidence {
    /// Result and ringing time of each call with a known result.
    calls: Vec<(CallResult, u64)>,
    /// Sum and number of the known prices.
    prices: BTreeMap<(TraceColumn, [u8; 2]), (u64, u64)>,
    pub(super) ended: usize,
    pub(super) canceled: usize,
}

impl Evidence {
    pub(super) fn of(rows: &[TraceRow], observed: &[Option<ObservedEnd>]) -> Self {
        let mut evidence = Self { calls: Vec::new(), prices: BTreeMap::new(), ended: 0, canceled: 0 };
        for (row, observed) in rows.iter().zip(observed) {
            if let Some(observed) = observed {
                evidence.ended += 1;
                evidence.canceled += usize::from(observed.ending == Ending::Canceled);
                if observed.is_call_known && observed.call_ms != NEVER && row.call_ring_ms != NEVER {
                    evidence.calls.push((row.call_result, row.call_ring_ms));
                }
            }
            let prices = [(TraceColumn::SmsPriceU, row.sms_price_u), (TraceColumn::CallPriceU, row.call_price_u)];
            for (column, price_u) in prices.into_iter().filter(|(_, price_u)| *price_u > 0) {
                let (sum, count) = evidence.prices.entry((column, row.cc)).or_default();
                (*sum, *count) = (*sum + price_u, *count + 1);
            }
        }
        evidence
    }

    /// The billed price; without one the mean of those billed in the country, or else the list price.
    pub(super) fn price_u(&self, column: TraceColumn, cc: [u8; 2], billed_u: u64) -> u64 {
        match self.prices.get(&(column, cc)) {
            _ if billed_u > 0 => billed_u,
            Some((sum, count)) => sum / count,
            None => list_price_u(column, cc),
        }
    }

    /// How many rows have a price in `column`.
    pub(super) fn prices_known(&self, column: TraceColumn) -> u64 {
        self.prices.iter().filter(|((known, _), _)| *known == column).map(|(_, (_, count))| count).sum()
    }

    /// One of the known calls, if there are enough of them. Always takes one draw.
    pub(super) fn draw_call(&self, draw: &mut Draw) -> Option<(CallResult, u64)> {
        let call = self.calls.get((draw.unit() * self.calls.len() as f64) as usize).copied();
        call.filter(|_| self.has_enough_calls())
    }

    pub(super) fn has_enough_calls(&self) -> bool {
        self.calls.len() >= CALLS_MIN
    }

    pub(super) fn calls_known(&self) -> usize {
        self.calls.len()
    }
}
