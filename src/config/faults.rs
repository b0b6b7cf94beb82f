//! [`Faults`]: collects every fault in the settings while they are checked.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::VARIABLES;
use super::assignment::assignment;

/// A fault in one variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The variable.
    pub variable: String,
    /// The fault, worded to follow the variable's name. Never contains the value.
    pub problem: String,
    /// A valid value; empty if the variable is better unset.
    pub example: String,
}

impl Fault {
    /// What to do about it; ends in a line that removes the fault when it is pasted into a shell or a `.env` file.
    pub fn remedy(&self) -> String {
        let line = assignment(&self.variable, &self.example);
        if self.example.is_empty() { format!("for example unset it: {line}") } else { format!("for example {line}") }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}; {}", self.variable, self.problem, self.remedy())
    }
}

/// All faults, displayed as one line each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<Fault>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, fault) in self.0.iter().enumerate() {
            write!(f, "{}{fault}", if i == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// The result of a check; the error is worded to follow the variable's name.
pub(super) type Checked<T> = Result<T, String>;

/// Collects faults. A method returns `None` when it has recorded one, or when the variable is not set.
#[derive(Default)]
pub(super) struct Faults(Vec<Fault>);

impl Faults {
    pub(super) fn add(&mut self, variable: &str, problem: &str, example: &str) {
        self.0.push(Fault { variable: variable.into(), problem: problem.into(), example: example.into() });
    }

    pub(super) fn optional<T>(
        &mut self,
        name: &str,
        given: Option<String>,
        rule: impl FnOnce(&str) -> Checked<T>,
        example: &str,
    ) -> Option<T> {
        rule(&given?).map_err(|problem| self.add(name, &problem, example)).ok()
    }

    pub(super) fn required<T>(
        &mut self,
        name: &str,
        given: Option<String>,
        rule: impl FnOnce(&str) -> Checked<T>,
        example: &str,
    ) -> Option<T> {
        // The fault of an unreadable file is recorded already.
        if given.is_none() && !self.0.iter().any(|fault| fault.variable.strip_suffix("_FILE") == Some(name)) {
            self.add(name, "is missing", example);
        }
        self.optional(name, given, rule, example)
    }

    /// Checks a variable that has a default in [`VARIABLES`].
    pub(super) fn defaulted<T>(
        &mut self,
        name: &str,
        given: Option<String>,
        rule: impl FnOnce(&str) -> Checked<T>,
    ) -> Option<T> {
        let default = VARIABLES.iter().find(|(known, ..)| *known == name).map_or("", |(_, default, _)| default);
        self.optional(name, given.or_else(|| Some(default.into())), rule, default)
    }

    pub(super) fn count<T: TryFrom<u64>>(
        &mut self,
        name: &str,
        given: Option<String>,
        range: RangeInclusive<u64>,
    ) -> Option<T> {
        self.defaulted(name, given, |text| {
            let (least, most) = (*range.start(), *range.end());
            let digits = text.bytes().all(|b| b.is_ascii_digit());
            let value = text.parse().ok().filter(|n| digits && range.contains(n));
            value.and_then(|n| T::try_from(n).ok()).ok_or(format!("must be a whole number from {least} to {most}"))
        })
    }

    pub(super) fn seconds(
        &mut self,
        name: &str,
        given: Option<String>,
        range: RangeInclusive<u64>,
    ) -> Option<Duration> {
        self.count(name, given, range).map(Duration::from_secs)
    }

    /// The result, unless a fault was recorded.
    pub(super) fn unless_any<T>(self, result: Option<T>) -> Result<T, ConfigErrors> {
        match result {
            Some(result) if self.0.is_empty() => Ok(result),
            _ => Err(ConfigErrors(self.0)),
        }
    }
}
