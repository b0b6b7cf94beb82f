//! [`Finding`]: one line of output; and [`Reporter`], which passes each on as it is made and counts them.

use std::fmt;

use serde::Serialize;

/// The result of one check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Correct.
    Ok,
    /// Works, or may work; the operator should look at it.
    Warn,
    /// Does not work, or will not for long.
    Wrong,
    /// Not checked, with the reason.
    Skip,
}

/// The finding of one check. Contains no secret, no code and no full number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The name of the check.
    pub name: &'static str,
    /// The result.
    pub result: Verdict,
    /// The observed state.
    pub detail: String,
    /// What to do about it.
    pub remedy: Option<String>,
}

/// A line, and below it the remedy.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.result {
            Verdict::Ok => "ok   ",
            Verdict::Warn => "warn ",
            Verdict::Wrong => "WRONG",
            Verdict::Skip => "skip ",
        };
        write!(f, "{word} {}: {}", self.name, self.detail)?;
        match &self.remedy {
            Some(remedy) => write!(f, "\n      remedy: {remedy}"),
            None => Ok(()),
        }
    }
}

/// The number of findings, by result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FindingCounts {
    /// Faults.
    pub wrong: usize,
    /// Findings to look at.
    pub warn: usize,
    /// Checks that were not made.
    pub skipped: usize,
}

impl FindingCounts {
    /// Whether there is no fault.
    pub fn is_healthy(self) -> bool {
        self.wrong == 0
    }
}

impl fmt::Display for FindingCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = [(self.wrong, "wrong"), (self.warn, "to look at"), (self.skipped, "skipped")];
        let parts: Vec<_> = counts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
        if parts.is_empty() { f.write_str("all well") } else { f.write_str(&parts.join(", ")) }
    }
}

/// Passes findings on and counts them.
pub(super) struct Reporter<'a> {
    print: &'a mut dyn FnMut(&Finding),
    counts: FindingCounts,
}

impl<'a> Reporter<'a> {
    pub(super) fn new(print: &'a mut dyn FnMut(&Finding)) -> Self {
        Self { print, counts: FindingCounts::default() }
    }

    pub(super) fn ok(&mut self, name: &'static str, detail: impl Into<String>) {
        self.note(Finding { name, result: Verdict::Ok, detail: detail.into(), remedy: None });
    }

    pub(super) fn warn(&mut self, name: &'static str, detail: impl Into<String>, remedy: impl Into<String>) {
        self.note(Finding { name, result: Verdict::Warn, detail: detail.into(), remedy: Some(remedy.into()) });
    }

    pub(super) fn wrong(&mut self, name: &'static str, detail: impl Into<String>, remedy: impl Into<String>) {
        self.note(Finding { name, result: Verdict::Wrong, detail: detail.into(), remedy: Some(remedy.into()) });
    }

    pub(super) fn skip(&mut self, name: &'static str, why: impl Into<String>) {
        self.note(Finding { name, result: Verdict::Skip, detail: why.into(), remedy: None });
    }

    pub(super) fn note(&mut self, finding: Finding) {
        match finding.result {
            Verdict::Ok => {}
            Verdict::Warn => self.counts.warn += 1,
            Verdict::Wrong => self.counts.wrong += 1,
            Verdict::Skip => self.counts.skipped += 1,
        }
        (self.print)(&finding);
    }

    pub(super) fn counts(&self) -> FindingCounts {
        self.counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_counts_the_findings_to_act_on() {
        assert_eq!(FindingCounts::default().to_string(), "all well");
        assert_eq!(FindingCounts { wrong: 2, warn: 1, skipped: 0 }.to_string(), "2 wrong, 1 to look at");
        assert!(FindingCounts { wrong: 0, warn: 1, skipped: 3 }.is_healthy());
    }

    #[test]
    fn a_finding_is_a_line_with_its_remedy_below() {
        let mut said = String::new();
        let mut print = |finding: &Finding| said += &format!("{finding}\n");
        let mut report = Reporter::new(&mut print);
        report.ok("redis", "answers");
        report.wrong("clock", "is 40 s off", "set it");
        report.skip("phlo", "no network");
        assert_eq!(report.counts(), FindingCounts { wrong: 1, warn: 0, skipped: 1 });
        assert_eq!(
            said,
            "ok    redis: answers\nWRONG clock: is 40 s off\n      remedy: set it\nskip  phlo: no network\n"
        );
    }
}
