//! Policies as points in a plot: cost per verified user against the 90th percentile of the wait for a code.
//!
//! One SVG file with its own colours for light and dark, which loads nothing. Set timers from 5 to 120 seconds are a
//! curve: a policy below and to the left of it is better than every set timer. Time has a logarithmic scale, because a
//! policy that never calls may be twenty times slower.

use std::fmt::Write;

use super::figures::PolicyFigures;

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 560.0;
const LEFT: f64 = 72.0;
const RIGHT: f64 = 32.0;
const TOP: f64 = 64.0;
const BOTTOM: f64 = 64.0;
/// Approximate width of one letter of a label.
const LETTER_WIDTH: f64 = 7.0;
const LINE_HEIGHT: f64 = 14.0;

const STYLE: &str = "
  svg { color-scheme: light dark; font: 13px system-ui, sans-serif }
  .paper { fill: #ffffff } .ink { fill: #1f2328 } .faint { fill: #59636e }
  .grid { stroke: #d8dee4 } .curve { fill: none; stroke: #8c959f; stroke-width: 2 } .stop { fill: #8c959f }
  .point { fill: #0969da } .learns { fill: #bc4c00 } .lead { stroke: #59636e }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #0d1117 } .ink { fill: #e6edf3 } .faint { fill: #9198a1 }
    .grid { stroke: #30363d } .curve { stroke: #6e7681 } .stop { fill: #6e7681 }
    .point { fill: #58a6ff } .learns { fill: #f0883e } .lead { stroke: #9198a1 }
  }";

/// The ranges of cost and of the logarithm of time that the plot shows.
struct Scale {
    cost: (f64, f64),
    log_time: (f64, f64),
}

impl Scale {
    fn around(all: &[&PolicyFigures]) -> Self {
        let span = |of: fn(&PolicyFigures) -> f64, least: f64| {
            let known = || all.iter().map(|figures| of(figures));
            let (low, high) = (known().fold(f64::INFINITY, f64::min), known().fold(f64::NEG_INFINITY, f64::max));
            let room = ((high - low) * 0.08).max(least);
            (low - room, high + room)
        };
        Self { cost: span(|s| s.cost_pv, 1e-4), log_time: span(|s| s.c_p90.max(0.5).ln(), 0.05) }
    }

    fn x(&self, cost: f64) -> f64 {
        LEFT + (cost - self.cost.0) / (self.cost.1 - self.cost.0) * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, seconds: f64) -> f64 {
        let share = (seconds.max(0.5).ln() - self.log_time.0) / (self.log_time.1 - self.log_time.0);
        HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)
    }

    fn at(&self, figures: &PolicyFigures) -> (f64, f64) {
        (self.x(figures.cost_pv), self.y(figures.c_p90))
    }
}

/// Draws the policies as labelled points, and set timers as a curve with some labels.
pub fn svg(policies: &[PolicyFigures], curve: &[PolicyFigures]) -> String {
    let is_known = |figures: &&PolicyFigures| figures.cost_pv.is_finite() && figures.c_p90.is_finite();
    let points: Vec<&PolicyFigures> = policies.iter().filter(is_known).collect();
    let curve: Vec<&PolicyFigures> = curve.iter().filter(is_known).collect();
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" \
         height=\"{HEIGHT}\" role=\"img\" aria-label=\"Cost per verified person against the wait for a code\">\n\
         <style>{STYLE}\n</style>\n<rect class=\"paper\" width=\"{WIDTH}\" height=\"{HEIGHT}\"/>\n"
    );
    write_text(
        &mut svg,
        20.0,
        28.0,
        "ink",
        "start",
        "What a verified person costs, and how long the unlucky tenth waits",
    );
    let all: Vec<&PolicyFigures> = points.iter().chain(&curve).copied().collect();
    if all.is_empty() {
        write_text(&mut svg, WIDTH / 2.0, HEIGHT / 2.0, "faint", "middle", "no verification succeeded");
        return svg + "</svg>\n";
    }
    let scale = Scale::around(&all);
    axes(&mut svg, &scale);
    let mut labels = Labels::default();
    labels.taken.extend(all.iter().map(|figures| Area::around(scale.at(figures), 5.0)));
    for two in curve.windows(2) {
        let ((x, y), (to_x, to_y)) = (scale.at(two[0]), scale.at(two[1]));
        let part = |nth: u8, from: f64, to: f64| from + (to - from) * f64::from(nth) / 24.0;
        labels.taken.extend((0..24).map(|nth| Area::around((part(nth, x, to_x), part(nth, y, to_y)), 2.0)));
    }
    draw_curve(&mut svg, &scale, &curve);
    for figures in &points {
        let (x, y) = scale.at(figures);
        let class = if figures.policy.starts_with("adaptive") { "learns" } else { "point" };
        let _ = writeln!(svg, "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5\"/>");
        labels.put(&mut svg, (x, y), "ink", &figures.policy);
    }
    for figures in curve.iter().filter(|stop| points.iter().all(|point| point.policy != stop.policy)) {
        let seconds = figures.policy.trim_start_matches("fixed:");
        if ["5", "15", "60", "120"].contains(&seconds) {
            labels.put(&mut svg, scale.at(figures), "faint", &figures.policy);
        }
    }
    svg + "</svg>\n"
}

fn axes(svg: &mut String, scale: &Scale) {
    let step = round_step((scale.cost.1 - scale.cost.0) / 7.0);
    let decimals = if step < 0.001 { 4 } else { 3 };
    let mut cost = (scale.cost.0 / step).ceil() * step;
    while cost <= scale.cost.1 {
        let x = scale.x(cost);
        let _ = writeln!(
            svg,
            "<line class=\"grid\" x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{:.1}\"/>",
            HEIGHT - BOTTOM
        );
        write_text(svg, x, HEIGHT - BOTTOM + 20.0, "faint", "middle", &format!("${cost:.decimals$}"));
        cost += step;
    }
    let mut above = f64::INFINITY;
    for seconds in [1, 2, 3, 5, 7, 10, 15, 20, 25, 30, 35, 40, 45, 50, 60, 70, 80, 90, 120, 180, 240, 300, 420, 600] {
        let y = scale.y(f64::from(seconds));
        if !(TOP..=HEIGHT - BOTTOM).contains(&y) || above - y < 24.0 {
            continue;
        }
        above = y;
        let _ = writeln!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{:.1}\" y2=\"{y:.1}\"/>",
            WIDTH - RIGHT
        );
        write_text(svg, LEFT - 8.0, y + 4.0, "faint", "end", &format!("{seconds} s"));
    }
    let middle = LEFT + (WIDTH - LEFT - RIGHT) / 2.0;
    write_text(svg, middle, HEIGHT - 18.0, "faint", "middle", "USD per verified person (cost_pv); less is better");
    write_text(svg, 20.0, TOP - 14.0, "faint", "start", "nine in ten have the code by (c_p90); sooner is better");
}

/// Rounds up to 1, 2 or 5 times a power of ten.
fn round_step(at_least: f64) -> f64 {
    let power = 10f64.powf(at_least.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|step| step * power).find(|step| *step >= at_least).unwrap_or(at_least)
}

fn draw_curve(svg: &mut String, scale: &Scale, curve: &[&PolicyFigures]) {
    let at = curve.iter().map(|figures| scale.at(figures));
    let line: Vec<String> = at.clone().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let _ = writeln!(svg, "<polyline class=\"curve\" points=\"{}\"/>", line.join(" "));
    for (x, y) in at {
        let _ = writeln!(svg, "<circle class=\"stop\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\"/>");
    }
}

/// A rectangle of the plot.
#[derive(Clone, Copy)]
struct Area {
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
}

impl Area {
    fn around((x, y): (f64, f64), reach: f64) -> Self {
        Self { left: x - reach, top: y - reach, right: x + reach, bottom: y + reach }
    }

    fn overlaps(&self, other: &Self) -> bool {
        self.left < other.right && other.left < self.right && self.top < other.bottom && other.top < self.bottom
    }

    fn is_on_paper(&self) -> bool {
        self.left >= LEFT && self.right <= WIDTH - 4.0 && self.top >= TOP - 8.0 && self.bottom <= HEIGHT - BOTTOM
    }
}

/// Places each label where it covers neither a point, the curve nor another label.
#[derive(Default)]
struct Labels {
    taken: Vec<Area>,
}

impl Labels {
    fn put(&mut self, svg: &mut String, (x, y): (f64, f64), class: &str, text: &str) {
        let width = text.len() as f64 * LETTER_WIDTH;
        let mut places = Vec::new();
        for away in [10.0, 22.0, 36.0, 52.0, 70.0] {
            for (left, middle) in [
                (x + away, y),
                (x - away - width, y),
                (x - width / 2.0, y - away - 4.0),
                (x - width / 2.0, y + away + 4.0),
                (x + away, y - away),
                (x + away, y + away),
                (x - away - width, y - away),
                (x - away - width, y + away),
            ] {
                let half = LINE_HEIGHT / 2.0;
                places.push(Area { left, top: middle - half, right: left + width, bottom: middle + half });
            }
        }
        let is_free = |place: &&Area| place.is_on_paper() && !self.taken.iter().any(|taken| taken.overlaps(place));
        let Some(place) = places.iter().find(is_free).or(places.first()).copied() else { return };
        self.taken.push(place);
        draw_lead(svg, (x, y), &place);
        write_text(svg, place.left, place.bottom - 3.0, class, "start", text);
    }
}

/// Draws a line from a point to its label when the label is some way off.
fn draw_lead(svg: &mut String, (x, y): (f64, f64), label: &Area) {
    let (to_x, to_y) = (x.clamp(label.left, label.right), y.clamp(label.top, label.bottom));
    let (along, up) = (to_x - x, to_y - y);
    let away = along.hypot(up);
    if away > 12.0 {
        let at = |distance: f64| (x + along * distance / away, y + up * distance / away);
        let ((x1, y1), (x2, y2)) = (at(6.0), at(away - 2.0));
        let _ = writeln!(svg, "<line class=\"lead\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>");
    }
}

/// Writes a text without escaping: no name of a policy needs it.
fn write_text(svg: &mut String, x: f64, y: f64, class: &str, anchor: &str, text: &str) {
    let _ = writeln!(svg, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>");
}
