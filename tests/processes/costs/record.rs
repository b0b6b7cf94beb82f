//! The recorded figures: `tests/data/costs.txt`.

use std::fmt::Write;
use std::path::PathBuf;

use super::ledger::Cost;

const HEAD: &str = "\
# What each operation costs, compared by tests/processes/costs.rs, which says how it counts.
# Regenerate with `BLESS=1 cargo test --test processes costs`, and read the difference before you commit it.
";

/// Measured or recorded figures, by name.
#[derive(Default)]
pub(super) struct Figures(Vec<(String, usize)>);

impl Figures {
    /// The recorded ones.
    pub(super) fn recorded() -> Self {
        let text = std::fs::read_to_string(path()).unwrap_or_default();
        let figure = |line: &str| {
            let (name, figure) = line.rsplit_once(' ')?;
            Some((name.trim_end().to_owned(), figure.parse().ok()?))
        };
        Self(text.lines().filter(|line| !line.starts_with('#')).filter_map(figure).collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<usize> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, figure)| *figure)
    }

    /// The exchanges and commands of an operation.
    pub(super) fn cost(&self, operation: &str) -> Option<Cost> {
        let exchanges = self.get(&format!("{operation}: exchanges"))?;
        Some(Cost { exchanges, commands: self.get(&format!("{operation}: commands"))? })
    }

    pub(super) fn add(&mut self, name: impl Into<String>, figure: usize) {
        let name = name.into();
        println!("{name}: {figure}");
        self.0.push((name, figure));
    }

    pub(super) fn add_cost(&mut self, operation: &str, cost: Cost) {
        self.add(format!("{operation}: exchanges"), cost.exchanges);
        self.add(format!("{operation}: commands"), cost.commands);
    }

    /// Fails if any figure differs from the recorded one; with `BLESS`, records them instead.
    pub(super) fn assert_recorded(&self, recorded: &Self) {
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(path(), self.to_string()).unwrap();
            return;
        }
        let (mut grown, mut others) = (String::new(), String::new());
        for (name, figure) in &self.0 {
            match recorded.get(name) {
                Some(before) if before == *figure => {}
                Some(before) if before < *figure => writeln!(grown, "  {name}: {before}, now {figure}").unwrap(),
                Some(before) => writeln!(others, "  {name}: {before}, now {figure}").unwrap(),
                None => writeln!(others, "  {name}: not recorded, now {figure}").unwrap(),
            }
        }
        for (name, before) in recorded.0.iter().filter(|(name, _)| self.get(name).is_none()) {
            writeln!(others, "  {name}: {before}, no longer measured").unwrap();
        }
        assert!(grown.is_empty(), "operations cost more than recorded:\n{grown}{others}");
        assert!(
            others.is_empty(),
            "operations cost less: record it with `BLESS=1 cargo test --test processes costs`\n{others}"
        );
    }
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let width = self.0.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
        write!(f, "{HEAD}")?;
        self.0.iter().try_for_each(|(name, figure)| writeln!(f, "{name:width$} {figure}"))
    }
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/costs.txt")
}
