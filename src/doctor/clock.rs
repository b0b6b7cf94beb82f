//! Three clocks: Redis', Plivo's and this machine's. How far apart they are, less what the asking took.

use std::time::SystemTime;

use jiff::fmt::rfc2822;

use super::finding::Chart;

const NAME: &str = "clock";
/// Milliseconds apart that are worth a word, and that are wrong.
const WARN_MS: i64 = 2_000;
const WRONG_MS: i64 = 30_000;
/// A `Date` header has whole seconds: it is half of one behind, give or take as much.
const HALF_SECOND_MS: i64 = 500;

/// What another clock showed, against this machine's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    ahead_ms: i64,
    /// Give or take.
    unsure_ms: i64,
}

impl Reading {
    /// `theirs` was read between `asked` and `told`, both of this machine's clock.
    pub(super) fn new(theirs_ms: i64, asked_ms: i64, told_ms: i64) -> Self {
        Self { ahead_ms: theirs_ms - (asked_ms + told_ms) / 2, unsure_ms: (told_ms - asked_ms).abs() / 2 }
    }

    /// The same of a `Date` header.
    pub(super) fn of_date(date: &str, asked_ms: i64, told_ms: i64) -> Option<Self> {
        let at = rfc2822::parse(date).ok()?.timestamp().as_millisecond();
        let Self { ahead_ms, unsure_ms } = Self::new(at + HALF_SECOND_MS, asked_ms, told_ms);
        Some(Self { ahead_ms, unsure_ms: unsure_ms + HALF_SECOND_MS })
    }

    /// Milliseconds they are apart at least.
    fn apart(self, other: Self) -> i64 {
        ((self.ahead_ms - other.ahead_ms).abs() - self.unsure_ms - other.unsure_ms).max(0)
    }
}

/// This machine's clock.
#[expect(clippy::disallowed_methods, reason = "it is this clock that is compared with the store's")]
pub(super) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

pub(super) fn examine(redis: Option<Reading>, plivo: Option<Reading>, chart: &mut Chart<'_>) {
    let here = Reading { ahead_ms: 0, unsure_ms: 0 };
    let clocks: Vec<(&str, Reading)> = [("Redis'", redis), ("Plivo's", plivo)]
        .into_iter()
        .filter_map(|(whose, reading)| Some((whose, reading?)))
        .chain([("this machine's", here)])
        .collect();
    if clocks.len() == 1 {
        return chart.skip(NAME, "neither Redis nor Plivo has told the time");
    }
    let pairs = || clocks.iter().enumerate().flat_map(|(i, a)| clocks[i + 1..].iter().map(move |b| (a, b)));
    let worst = pairs().map(|(a, b)| a.1.apart(b.1)).max().unwrap_or(0);
    if worst <= WARN_MS {
        let all = clocks.iter().map(|(whose, _)| *whose).collect::<Vec<_>>().join(", ");
        return chart.ok(NAME, format!("{all}: no more than 2 s apart"));
    }
    let apart = pairs().filter(|(a, b)| a.1.apart(b.1) > WARN_MS);
    let said = apart.map(|(a, b)| format!("{} and {} {} s", a.0, b.0, a.1.apart(b.1) / 1000)).collect::<Vec<_>>();
    let detail = format!(
        "apart by: {}; codes expire, calls are due and webhooks are dated by Redis' clock, certificates are judged by \
         this machine's",
        said.join(", ")
    );
    // Of three the one that the other two agree against is off; of two either may be.
    let agrees = |one: &Reading| clocks.iter().filter(|(_, other)| one.apart(*other) <= WARN_MS).count() > 1;
    let odd: Vec<&str> = clocks.iter().filter(|(_, one)| !agrees(one)).map(|(whose, _)| *whose).collect();
    let mend = format!("let NTP set the clock of each: {}", odd.join(", "));
    if worst > WRONG_MS { chart.wrong(NAME, detail, mend) } else { chart.warn(NAME, detail, mend) }
}

#[cfg(test)]
mod tests {
    use super::super::finding::{Finding, Verdict};
    use super::*;

    fn examined(redis: i64, plivo: i64) -> Finding {
        let mut found = Vec::new();
        let mut tell = |finding: &Finding| found.push(finding.clone());
        let reading = |ahead| Some(Reading { ahead_ms: ahead, unsure_ms: 10 });
        examine(reading(redis), reading(plivo), &mut Chart::new(&mut tell));
        found.remove(0)
    }

    #[test]
    fn the_clock_that_two_others_agree_against_is_named() {
        assert_eq!(examined(-1500, 400).result, Verdict::Ok);
        let off = examined(-40_000, 300);
        assert_eq!(off.result, Verdict::Wrong);
        assert_eq!(off.mend.as_deref(), Some("let NTP set the clock of each: Redis'"));
        let off = examined(5_000, 5_200);
        assert_eq!(off.result, Verdict::Warn);
        assert_eq!(off.mend.as_deref(), Some("let NTP set the clock of each: this machine's"));
    }

    #[test]
    fn slow_answers_are_not_taken_for_wrong_clocks() {
        let slow = Reading::new(0, 0, 60_000);
        assert_eq!(slow.apart(Reading { ahead_ms: 0, unsure_ms: 0 }), 0);
        let date = Reading::of_date("Tue, 24 Nov 2026 09:30:00 GMT", 1_795_512_600_900, 1_795_512_600_900).unwrap();
        assert_eq!(date.apart(Reading { ahead_ms: 0, unsure_ms: 0 }), 0);
        assert_eq!(Reading::of_date("yesterday", 0, 0), None);
    }
}
