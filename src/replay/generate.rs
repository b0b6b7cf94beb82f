//! A generated trace, for a replay before there are verifications to export.
//!
//! One day on seven routes: most do well, one is slow, one has no reports, one loses every text silently for three hours,
//! and one falsely reports delivery for three hours. The magnitudes are assumed: a policy that does well here works, but
//! the figures do not forecast savings.

use super::draw::Draw;
use super::impute::CALLS;
use super::trace::{CallResult, FinalReport, NEVER, Trace, TraceRow};
use crate::route_model::Teacher;

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: f64 = 86_400_000.0;

/// The regimes, as [`TraceRow::regime`] numbers them.
const REGIMES: [&str; 3] = ["ok", "dead", "dead_fake"];

/// How a route behaves.
struct Route {
    cc: [u8; 2],
    route: u32,
    /// Its part of the traffic.
    weight: f64,
    sms_price_u: u64,
    call_price_u: u64,
    /// Time to the handset: median in ms, and sigma.
    arrive: (f64, f64),
    lost: f64,
    /// Probability that an arrived text is reported.
    reported: f64,
    /// A regime, and the hours of the day in which it lasts.
    trouble: Option<(usize, u64, u64)>,
}

const fn route(cc: [u8; 2], route: u32, weight: f64, prices: (u64, u64), arrive: (f64, f64)) -> Route {
    let (sms_price_u, call_price_u) = prices;
    Route { cc, route, weight, sms_price_u, call_price_u, arrive, lost: 0.02, reported: 0.95, trouble: None }
}

const ROUTES: [Route; 7] = [
    route(*b"US", 310_260, 5.0, (8_000, 12_000), (3_000.0, 0.6)),
    route(*b"GB", 23_415, 3.0, (40_000, 16_000), (3_500.0, 0.7)),
    Route { lost: 0.04, ..route(*b"DE", 26_201, 2.0, (80_000, 40_000), (4_000.0, 0.7)) },
    // Slow and lossy.
    Route { lost: 0.12, reported: 0.8, ..route(*b"ID", 51_010, 2.0, (130_000, 60_000), (14_000.0, 1.0)) },
    // No reports.
    Route { lost: 0.05, reported: 0.0, ..route(*b"EG", 60_202, 1.0, (120_000, 100_000), (7_000.0, 0.9)) },
    // Loses every text for three hours, without reports.
    Route { trouble: Some((1, 9, 12)), ..route(*b"BR", 72_405, 2.0, (40_000, 30_000), (5_000.0, 0.8)) },
    // Loses every text for three hours, and reports it as delivered.
    Route { trouble: Some((2, 15, 18)), ..route(*b"IN", 40_410, 2.0, (4_000, 25_000), (5_000.0, 0.8)) },
];

/// Generates a day of `rows` verifications; the same seed gives the same trace.
pub fn generate(seed: u64, rows: usize) -> Trace {
    let draw = &mut Draw::new(seed);
    let routes: Vec<(f64, &Route)> = ROUTES.iter().map(|route| (route.weight, route)).collect();
    let mean_ms = DAY_MS / rows.max(1) as f64;
    let mut t0_ms = 0;
    let rows = (1..)
        .take(rows)
        .map(|id| {
            t0_ms += draw.exponential(mean_ms);
            verification(draw, draw_route(&routes, id, seed), id, t0_ms)
        })
        .collect();
    let notes = vec![format!("no --trace: a generated day of verifications, seed {seed}")];
    Trace { rows, regimes: REGIMES.map(str::to_owned).to_vec(), notes }
}

/// Draws the route from a seed of its own, so that it does not depend on the draws of other rows.
fn draw_route<'a>(routes: &[(f64, &'a Route)], id: u64, seed: u64) -> &'a Route {
    Draw::new(seed.rotate_left(32) ^ id).one_of(routes, &ROUTES[0])
}

fn verification(draw: &mut Draw, route: &Route, id: u64, t0_ms: u64) -> TraceRow {
    let trouble = route.trouble.filter(|(_, from, to)| (from * HOUR_MS..to * HOUR_MS).contains(&t0_ms));
    let regime = trouble.map_or(0, |(regime, ..)| regime);
    let (median_ms, sigma) = route.arrive;
    let delay_ms = draw.log_normal(median_ms, sigma);
    let (is_lost, is_loss_reported) = (draw.chance(route.lost), draw.chance(0.6));
    let (is_reported, report_after_ms) = (draw.chance(route.reported), draw.log_normal(600.0, 0.5));
    let (arrive_ms, report) = match regime {
        1 => (NEVER, None),
        2 => (NEVER, Some(FinalReport::Delivered)),
        _ if is_lost => (NEVER, (is_loss_reported && route.reported > 0.0).then_some(FinalReport::Failed)),
        _ => (delay_ms, is_reported.then_some(FinalReport::Delivered)),
    };
    let call_result = draw.one_of(&CALLS, CallResult::Unanswered);
    TraceRow {
        id,
        t0_ms,
        cc: route.cc,
        route: route.route,
        sms_price_u: route.sms_price_u,
        call_price_u: route.call_price_u,
        sent_ms: draw.log_normal(500.0, 0.4),
        dlr_ms: if report.is_some() { delay_ms + report_after_ms } else { NEVER },
        report,
        arrive_ms,
        intent: draw.chance(0.95),
        read_ms: draw.log_normal(9_000.0, 0.6),
        patience_ms: draw.log_normal(50_000.0, 0.8),
        resend_ms: if draw.chance(0.35) { draw.log_normal(25_000.0, 0.5) } else { NEVER },
        resend_arrive_ms: if regime == 0 && !draw.chance(0.3) { draw.log_normal(median_ms, sigma) } else { NEVER },
        call_result,
        call_ring_ms: if call_result == CallResult::Unanswered { 30_000 } else { draw.log_normal(10_000.0, 0.4) },
        call_hear_ms: draw.log_normal(8_000.0, 0.25),
        call_type_ms: draw.log_normal(4_000.0, 0.4),
        regime,
        teacher: Teacher::default(),
    }
}
