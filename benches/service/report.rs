//! The tables: medians of all rounds, and the ratios beside the goals.

use crate::round::Figures;
use crate::target::Target;

/// All figures of one target.
pub struct Measured {
    pub target: Target,
    pub rounds: Vec<Figures>,
}

/// A ratio to the minimal handler: what, the figure, and the goals (must, aim).
const RATIOS: [(&str, &str, &str, &str); 7] = [
    ("create, requests/s", "create, a second", "≥ 0.70 (as shipped 0.60)", "≥ 1.0 (0.9)"),
    ("right check, requests/s", "right check, a second", "≥ 0.90 (as shipped 0.75)", "≥ 1.6 (1.3)"),
    ("create, processor", "create, processor s / 10,000", "≤ 1.8", "≤ 1.2"),
    ("right check, processor", "right check, processor s / 10,000", "≤ 1.5", "≤ 0.9"),
    ("create, p50", "create, p50 ms", "≤ 2", "≤ 1.2"),
    ("right check, p50", "right check, p50 ms", "≤ 2", "≤ 1.2"),
    ("start", "start, ms", "≤ 2", "≤ 1.3"),
];

/// A figure of the service itself.
const FIGURES: [(&str, &str, &str); 5] = [
    ("create, Redis exchanges", "≤ 3", "2"),
    ("right check, Redis exchanges", "≤ 2", "1"),
    ("create, Redis commands", "≤ 24", "≤ 16"),
    ("right check, Redis commands", "≤ 8", "≤ 6"),
    ("RSS, MiB", "≤ 40", "≤ 24"),
];

/// A ratio of the service to another server.
const PEERS: [(&str, &str, &str); 2] =
    [("create, a second", "≥ 1.6", "≥ 2.4"), ("right check, a second", "≥ 2.2", "≥ 4")];

impl Measured {
    /// All values of a figure, sorted; empty if it was not measured.
    fn values(&self, figure: &str) -> Vec<f64> {
        let found = self.rounds.iter().flat_map(|round| round.iter().filter(|(name, _)| name == figure));
        let mut values: Vec<f64> = found.map(|(_, value)| *value).collect();
        values.sort_by(f64::total_cmp);
        values
    }

    fn median(&self, figure: &str) -> Option<f64> {
        let values = self.values(figure);
        let (low, high) = (values.get(values.len().checked_sub(1)? / 2)?, values.get(values.len() / 2)?);
        Some((low + high) / 2.0)
    }

    fn cell(&self, figure: &str) -> String {
        let (values, median) = (self.values(figure), self.median(figure));
        median.map_or("–".into(), |m| {
            format!("{} ({}–{})", short(m), short(values[0]), short(values[values.len() - 1]))
        })
    }
}

/// Prints every figure of every target: the median (least–most).
pub fn print_figures(all: &[Measured]) {
    let names = all.iter().max_by_key(|measured| measured.rounds[0].len()).map(|measured| &measured.rounds[0]);
    let mut rows = vec![heading("median (least–most)", all.iter().map(|measured| measured.target.name()))];
    for (name, _) in names.into_iter().flatten() {
        rows.push([name.clone()].into_iter().chain(all.iter().map(|measured| measured.cell(name))).collect());
    }
    print_table(&rows);
}

/// Prints the ratios of medians, beside the goals.
pub fn print_ratios(all: &[Measured]) {
    let find = |wanted: fn(&Target) -> bool| all.iter().find(|measured| wanted(&measured.target));
    let minimal = find(|target| matches!(target, Target::Minimal));
    let service = find(|target| matches!(target, Target::Service));
    let shipped = find(|target| matches!(target, Target::AsShipped));
    let (Some(minimal), Some(service), Some(shipped)) = (minimal, service, shipped) else { return };
    let ratio = |one: &Measured, other: &Measured, figure: &str| {
        let ratio = one.median(figure).zip(other.median(figure)).map(|(one, other)| format!("{:.2}", one / other));
        ratio.unwrap_or("–".into())
    };
    let mut rows = vec![heading("ratio to minimal", ["service", "as shipped", "must", "aim"])];
    for (what, figure, must, aim) in RATIOS {
        let (warn, usual) = (ratio(service, minimal, figure), ratio(shipped, minimal, figure));
        rows.push(vec![what.into(), warn, usual, must.into(), aim.into()]);
    }
    rows.push(heading("figure", ["service", "as shipped", "must", "aim"]));
    for (figure, must, aim) in FIGURES {
        let of = |measured: &Measured| measured.median(figure).map_or("–".into(), short);
        rows.push(vec![figure.into(), of(service), of(shipped), must.into(), aim.into()]);
    }
    for other in all.iter().filter(|measured| matches!(measured.target, Target::Other(_))) {
        rows.push(heading(&format!("ratio to {}", other.target.name()), ["service", "as shipped", "must", "aim"]));
        for (figure, must, aim) in PEERS {
            let (warn, usual) = (ratio(service, other, figure), ratio(shipped, other, figure));
            rows.push(vec![figure.into(), warn, usual, must.into(), aim.into()]);
        }
    }
    print_table(&rows);
}

fn heading<'a>(first: &'a str, others: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    [first].into_iter().chain(others).map(str::to_owned).collect()
}

fn print_table(rows: &[Vec<String>]) {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or_default()).collect();
    println!();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        println!("| {} |", cells.collect::<Vec<_>>().join(" | "));
    }
}

/// Three digits or so.
fn short(value: f64) -> String {
    match value {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
