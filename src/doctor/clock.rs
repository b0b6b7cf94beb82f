//! Compares three clocks: Redis', Plivo's and this machine's, allowing for the time of the requests.

use std::time::SystemTime;

use jiff::fmt::rfc2822;

use super::finding::Reporter;

const NAME: &str = "clock";
/// Differences in milliseconds above which doctor warns, and reports a fault.
const WARN_MS: i64 = 2_000;
const WRONG_MS: i64 = 30_000;
/// A `Date` header has whole seconds: on average it is half a second behind, with half a second of uncertainty.
const HALF_SECOND_MS: i64 = 500;

/// Another clock, relative to this machine's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ClockReading {
    ahead_ms: i64,
    uncertainty_ms: i64,
}

impl ClockReading {
    /// A time that was read between `sent_ms` and `received_ms` of this machine's clock.
    pub(super) fn new(theirs_ms: i64, sent_ms: i64, received_ms: i64) -> Self {
        let uncertainty_ms = (received_ms - sent_ms).abs() / 2;
        Self { ahead_ms: theirs_ms - (sent_ms + received_ms) / 2, uncertainty_ms }
    }

    /// The time of a `Date` header, likewise.
    pub(super) fn of_date(date: &str, sent_ms: i64, received_ms: i64) -> Option<Self> {
        let at = rfc2822::parse(date).ok()?.timestamp().as_millisecond();
        let Self { ahead_ms, uncertainty_ms } = Self::new(at + HALF_SECOND_MS, sent_ms, received_ms);
        Some(Self { ahead_ms, uncertainty_ms: uncertainty_ms + HALF_SECOND_MS })
    }

    /// The smallest possible difference from another reading.
    fn min_difference_ms(self, other: Self) -> i64 {
        ((self.ahead_ms - other.ahead_ms).abs() - self.uncertainty_ms - other.uncertainty_ms).max(0)
    }
}

/// The time of this machine's clock.
#[expect(clippy::disallowed_methods, reason = "this clock is compared with the store's")]
pub(super) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

pub(super) fn examine(redis: Option<ClockReading>, plivo: Option<ClockReading>, report: &mut Reporter<'_>) {
    let here = ClockReading { ahead_ms: 0, uncertainty_ms: 0 };
    let clocks: Vec<(&str, ClockReading)> = [("Redis'", redis), ("Plivo's", plivo)]
        .into_iter()
        .filter_map(|(whose, reading)| Some((whose, reading?)))
        .chain([("this machine's", here)])
        .collect();
    if clocks.len() == 1 {
        return report.skip(NAME, "neither Redis nor Plivo returned a time");
    }
    let pairs = || clocks.iter().enumerate().flat_map(|(i, a)| clocks[i + 1..].iter().map(move |b| (a, b)));
    let worst = pairs().map(|(a, b)| a.1.min_difference_ms(b.1)).max().unwrap_or(0);
    if worst <= WARN_MS {
        let all = clocks.iter().map(|(whose, _)| *whose).collect::<Vec<_>>().join(", ");
        return report.ok(NAME, format!("{all}: no more than 2 s apart"));
    }
    let distant = pairs().filter(|(a, b)| a.1.min_difference_ms(b.1) > WARN_MS);
    let listed = distant
        .map(|(a, b)| format!("{} and {} {} s", a.0, b.0, a.1.min_difference_ms(b.1) / 1000))
        .collect::<Vec<_>>();
    let detail = format!(
        "these differ: {}; Redis' clock sets the time of expiries, calls and webhooks, this machine's clock judges \
         certificates",
        listed.join(", ")
    );
    // Of three clocks the one that two others contradict is wrong; of two either may be.
    let agrees =
        |one: &ClockReading| clocks.iter().filter(|(_, other)| one.min_difference_ms(*other) <= WARN_MS).count() > 1;
    let odd: Vec<&str> = clocks.iter().filter(|(_, one)| !agrees(one)).map(|(whose, _)| *whose).collect();
    let remedy = format!("set these clocks by NTP: {}", odd.join(", "));
    if worst > WRONG_MS { report.wrong(NAME, detail, remedy) } else { report.warn(NAME, detail, remedy) }
}

#[cfg(test)]
mod tests {
    use super::super::finding::{Finding, Verdict};
    use super::*;

    fn examined(redis: i64, plivo: i64) -> Finding {
        let mut found = Vec::new();
        let mut print = |finding: &Finding| found.push(finding.clone());
        let reading = |ahead| Some(ClockReading { ahead_ms: ahead, uncertainty_ms: 10 });
        examine(reading(redis), reading(plivo), &mut Reporter::new(&mut print));
        found.remove(0)
    }

    #[test]
    fn the_clock_that_two_others_contradict_is_named() {
        assert_eq!(examined(-1500, 400).result, Verdict::Ok);
        let off = examined(-40_000, 300);
        assert_eq!(off.result, Verdict::Wrong);
        assert_eq!(off.remedy.as_deref(), Some("set these clocks by NTP: Redis'"));
        let off = examined(5_000, 5_200);
        assert_eq!(off.result, Verdict::Warn);
        assert_eq!(off.remedy.as_deref(), Some("set these clocks by NTP: this machine's"));
    }

    #[test]
    fn a_slow_answer_is_not_mistaken_for_a_wrong_clock() {
        let slow = ClockReading::new(0, 0, 60_000);
        assert_eq!(slow.min_difference_ms(ClockReading { ahead_ms: 0, uncertainty_ms: 0 }), 0);
        let date =
            ClockReading::of_date("Tue, 24 Nov 2026 09:30:00 GMT", 1_795_512_600_900, 1_795_512_600_900).unwrap();
        assert_eq!(date.min_difference_ms(ClockReading { ahead_ms: 0, uncertainty_ms: 0 }), 0);
        assert_eq!(ClockReading::of_date("yesterday", 0, 0), None);
    }
}
