//! What the anonymous visitors of one app do to the calls of another: replayed side by side with a quiet day.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use flate2::read::GzDecoder;
use phlo_2fa::replay::{FinalReport, NEVER, PlayedPolicy, Trace, TraceRow, play};
use phlo_2fa::route_model::Teacher;
use phlo_2fa::verification::CostOverrides;

/// The app that is attacked, and the one whose visitors attack.
const OWN: u32 = 2;
const OTHER: u32 = 1;
const VISITORS: u64 = 100;

#[test]
fn a_hundred_anonymous_visitors_change_no_call_of_another_app() {
    let quiet = training();
    let usual = calls(&quiet);
    // The four busiest routes, attacked where the app has no history yet, some, and much.
    for route in busiest(&quiet, 4) {
        let starts: Vec<u64> = quiet.rows.iter().filter(|row| row.route == route).map(|row| row.t0_ms).collect();
        for at in [0, starts.len() / 10, starts.len() / 2] {
            for is_reported in [true, false] {
                let attacked = with_visitors(&quiet, route, starts[at], is_reported);
                let now = calls(&attacked);
                let later = quiet.rows.iter().filter(|row| row.route == route && row.t0_ms >= starts[at]);
                let of_route: Vec<u64> = later.map(|row| row.id).take(100).collect();
                let changed = of_route.iter().filter(|id| usual[id] != now[id]).count();
                assert_eq!(changed, 0, "route {route}, from row {at}, reported {is_reported}: of {}", of_route.len());
            }
        }
    }
}

/// The training trace, all of one app, with many prefixes and addresses.
fn training() -> Trace {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/traces-train.csv.gz");
    let mut text = String::new();
    GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    let mut trace = Trace::parse(&text).unwrap();
    trace.rows.truncate(4_000);
    trace.rows.iter_mut().for_each(|row| row.teacher = teacher(OWN, row.id));
    trace
}

fn teacher(app: u32, n: u64) -> Teacher {
    Teacher { app, prefix: (n * 7 % 255 + 1) as u8, client: (n * 11 % 255 + 1) as u8 }
}

fn busiest(trace: &Trace, many: usize) -> Vec<u32> {
    let mut rows = BTreeMap::<u32, usize>::new();
    trace.rows.iter().for_each(|row| *rows.entry(row.route).or_default() += 1);
    let mut routes: Vec<u32> = rows.keys().copied().collect();
    routes.sort_by_key(|route| std::cmp::Reverse(rows[route]));
    routes.truncate(many);
    routes
}

/// Adds visitors of the other app, three seconds apart, who enter no code.
fn with_visitors(quiet: &Trace, route: u32, from_ms: u64, is_reported: bool) -> Trace {
    let mut trace = quiet.clone();
    let usual = quiet.rows.iter().find(|row| row.route == route).unwrap();
    trace.rows.extend((0..VISITORS).map(|n| TraceRow {
        id: 1_000_000 + n,
        t0_ms: from_ms + n * 3_000,
        teacher: teacher(OTHER, n),
        intent: false,
        resend_ms: NEVER,
        report: is_reported.then_some(FinalReport::Delivered),
        dlr_ms: if is_reported { 4_000 } else { NEVER },
        ..usual.clone()
    }));
    trace.rows.sort_by_key(|row| (row.t0_ms, row.id));
    trace
}

/// The call of each verification of the attacked app, by its id.
fn calls(trace: &Trace) -> BTreeMap<u64, Option<u64>> {
    let policy = "adaptive".parse::<PlayedPolicy>().unwrap();
    let calls = play(trace, policy.player(&CostOverrides::default()).as_mut());
    let own = trace.rows.iter().zip(calls).filter(|(row, _)| row.teacher.app == OWN);
    own.map(|(row, call)| (row.id, call.map(|call| call.age_ms))).collect()
}
