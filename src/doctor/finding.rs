//! [`Finding`]: one line of the report; and [`Chart`], which hands each out as it is made and counts.

use std::fmt;

use serde::Serialize;

/// How one check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// It works, or may work; worth a look.
    Warn,
    /// It does not work, or will not for long.
    Wrong,
    /// Not looked at, and why.
    Skip,
}

/// What one check found. Holds no secret, no code and no full number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which check.
    pub name: &'static str,
    /// How it came out.
    pub result: Verdict,
    /// What is so.
    pub detail: String,
    /// What to do about it.
    pub mend: Option<String>,
}

/// A line, and under it how to mend what it says.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.result {
            Verdict::Ok => "ok   ",
            Verdict::Warn => "warn ",
            Verdict::Wrong => "WRONG",
            Verdict::Skip => "skip ",
        };
        write!(f, "{word} {}: {}", self.name, self.detail)?;
        match &self.mend {
            Some(mend) => write!(f, "\n      mend: {mend}"),
            None => Ok(()),
        }
    }
}

/// What all checks found together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// How many are wrong.
    pub wrong: usize,
    /// How many are worth a look.
    pub warn: usize,
    /// How many were not made.
    pub skipped: usize,
}

impl Summary {
    /// Whether nothing is wrong.
    pub fn is_well(self) -> bool {
        self.wrong == 0
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = [(self.wrong, "wrong"), (self.warn, "to look at"), (self.skipped, "skipped")];
        let said: Vec<_> = counts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
        if said.is_empty() { f.write_str("all well") } else { f.write_str(&said.join(", ")) }
    }
}

/// Takes findings one by one.
pub(super) struct Chart<'a> {
    tell: &'a mut dyn FnMut(&Finding),
    summary: Summary,
}

impl<'a> Chart<'a> {
    pub(super) fn new(tell: &'a mut dyn FnMut(&Finding)) -> Self {
        Self { tell, summary: Summary::default() }
    }

    pub(super) fn ok(&mut self, name: &'static str, detail: impl Into<String>) {
        self.note(Finding { name, result: Verdict::Ok, detail: detail.into(), mend: None });
    }

    pub(super) fn warn(&mut self, name: &'static str, detail: impl Into<String>, mend: impl Into<String>) {
        self.note(Finding { name, result: Verdict::Warn, detail: detail.into(), mend: Some(mend.into()) });
    }

    pub(super) fn wrong(&mut self, name: &'static str, detail: impl Into<String>, mend: impl Into<String>) {
        self.note(Finding { name, result: Verdict::Wrong, detail: detail.into(), mend: Some(mend.into()) });
    }

    pub(super) fn skip(&mut self, name: &'static str, why: impl Into<String>) {
        self.note(Finding { name, result: Verdict::Skip, detail: why.into(), mend: None });
    }

    pub(super) fn note(&mut self, finding: Finding) {
        match finding.result {
            Verdict::Ok => {}
            Verdict::Warn => self.summary.warn += 1,
            Verdict::Wrong => self.summary.wrong += 1,
            Verdict::Skip => self.summary.skipped += 1,
        }
        (self.tell)(&finding);
    }

    pub(super) fn summary(&self) -> Summary {
        self.summary
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_counts_what_is_not_well() {
        assert_eq!(Summary::default().to_string(), "all well");
        assert_eq!(Summary { wrong: 2, warn: 1, skipped: 0 }.to_string(), "2 wrong, 1 to look at");
        assert!(Summary { wrong: 0, warn: 1, skipped: 3 }.is_well());
    }

    #[test]
    fn a_finding_is_a_line_and_how_to_mend_it() {
        let mut said = String::new();
        let mut tell = |finding: &Finding| said += &format!("{finding}\n");
        let mut chart = Chart::new(&mut tell);
        chart.ok("redis", "answers");
        chart.wrong("clock", "is 40 s off", "set it");
        chart.skip("phlo", "no network");
        assert_eq!(chart.summary(), Summary { wrong: 1, warn: 0, skipped: 1 });
        assert_eq!(
            said,
            "ok    redis: answers\nWRONG clock: is 40 s off\n      mend: set it\nskip  phlo: no network\n"
        );
    }
}
