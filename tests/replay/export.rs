//! `export`: a service's verifications as a trace, and what a replay makes of them.

use std::fmt::Write;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::support::{Setup, TestApp};
use flate2::read::GzDecoder;
use phlo_2fa::export::{COLUMNS, ExportOptions, export};
use phlo_2fa::keyring::Keyring;
use phlo_2fa::phone::PhoneNumber;
use phlo_2fa::replay::{
    CallResult, FinalReport, NEVER, PlayedCall, PlayedOutcome, PlayedPolicy, PolicyFigures, TTL_MS, Trace, TraceRow,
    play,
};
use phlo_2fa::route_model::{Costs, Insight};
use phlo_2fa::store::{Commit, CommitMode, CommitOutcome, Memory, PurposeKey, Records, Store, record};
use phlo_2fa::verification::{
    Code, Context, CostOverrides, Event, Request, Rules, SessionIndex, Status, VerificationId, decide, open,
};
use secrecy::SecretSlice;
use serde_json::{Value, json};

// ---- a trace as a service would have exported it, replayed

#[test]
fn under_the_policy_that_ran_every_verification_ends_the_same_way() {
    let truth = training(5_000);
    for policy in ["never", "fail", "fixed:20", "fixed+fail:30"] {
        let calls = played(&truth, policy);
        let again = Trace::parse(&exported(&truth, &calls)).unwrap();
        assert!(!again.notes.iter().any(|note| note.contains("could not be reconstructed")), "{:?}", again.notes);
        for ((row, call), anew) in truth.rows.iter().zip(&calls).zip(&again.rows) {
            let was = PlayedOutcome::of(row, call.map(|call| call.age_ms));
            let is = PlayedOutcome::of(anew, call.map(|call| call.age_ms));
            assert_eq!((is.verified_ms, is.is_placed), (was.verified_ms, was.is_placed), "{policy} {row:?} {anew:?}");
        }
        let (was, is) = (summary(&truth, policy), summary(&again, policy));
        assert_eq!(was.calls_k, is.calls_k, "{policy}");
        assert!((was.v_med - is.v_med).abs() < 1e-9, "{policy}");
    }
}

#[test]
fn other_policies_reach_about_the_figures_that_they_would_have_reached() {
    let truth = training(6_000);
    let again = Trace::parse(&exported(&truth, &played(&truth, "adaptive"))).unwrap();
    let mut costs = Vec::new();
    for policy in ["fixed+fail:30", "adaptive", "fixed:15", "fixed:60", "never"] {
        let (was, is) = (summary(&truth, policy), summary(&again, policy));
        assert!((was.verified_pct - is.verified_pct).abs() < 4.0, "{policy}: {was:?} {is:?}");
        assert!((was.calls_k - is.calls_k).abs() <= 0.15 * was.calls_k, "{policy}: {was:?} {is:?}");
        costs.push(((was.ctrl_pv * 1e6) as u64, (is.ctrl_pv * 1e6) as u64, policy));
    }
    // The best and the worst of the static policies stay the best and the worst.
    let order = |by: fn(&(u64, u64, &'static str)) -> u64| {
        let mut sorted: Vec<_> = costs.iter().filter(|(.., policy)| *policy != "adaptive").collect();
        sorted.sort_by_key(|cost| by(cost));
        sorted.iter().map(|(.., policy)| *policy).collect::<Vec<_>>()
    };
    assert_eq!(order(|cost| cost.0)[0], order(|cost| cost.1)[0], "{costs:?}");
    assert_eq!(order(|cost| cost.0)[3], order(|cost| cost.1)[3], "{costs:?}");
}

#[test]
fn an_outage_of_the_service_is_an_outage_in_the_replay() {
    // Forty texts reported, forty lost silently and followed by a call, forty reported again.
    let mut text = header();
    for id in 1..=120 {
        let start = id * 10_000;
        text += &match id {
            41..=80 => format!("{id},{start},US,310260,,12000,500,,,,,answered,10000,30000,call,52000\n"),
            _ => format!("{id},{start},US,310260,8000,,500,4000,delivered,,,,,,sms,14000\n"),
        };
    }
    let trace = Trace::parse(&text).unwrap();
    let arrived = |rows: &[TraceRow]| rows.iter().filter(|row| row.arrive_ms != NEVER).count();
    assert_eq!(arrived(&trace.rows[..40]), 40);
    assert!(arrived(&trace.rows[44..76]) <= 8, "{}", arrived(&trace.rows[44..76]));
    assert_eq!(trace.rows[50].sms_price_u, 8_000, "the mean of the country");
    assert!(trace.rows[..40].iter().all(|row| row.call_price_u == 12_000));
}

#[test]
fn an_impossible_end_is_refused() {
    let fault =
        |rest: &str| Trace::parse(&format!("{}1,0,US,310260,,,,,,,,{rest}\n", header())).unwrap_err().to_string();
    for (rest, expected) in [
        (",,,,9000", "line 2: seen_end is \"\", not sms, call, expired, canceled, max_checks_reached or undeliverable"),
        (",,,sms,", "line 2: seen_end is set, but seen_end_ms is empty"),
        (",,,call,9000", "line 2: seen_end is call, but seen_call_ms is empty"),
        (",,9000,sms,9000", "line 2: seen_call_ms is not before seen_end_ms"),
    ] {
        assert_eq!(fault(rest), expected);
    }
}

// ---- a whole service

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_exported_without_personal_data_and_replayed() {
    let key = "bm90LWEtc2VjcmV0LW9mLWFueWJvZHktYnV0LXRlc3Q=";
    let store: Arc<dyn Store> = Arc::new(Memory::default());
    let env = vec![("SECRET_KEY", key.to_owned()), ("TEST_NUMBERS", "+15555550100:000000".to_owned())];
    let app = TestApp::spawn_with(Setup { env, store: Some(Arc::clone(&store)), ..Setup::default() }).await;
    let start = app.clock.now().await.unwrap();
    let create = async |body: Value| app.post("/v1/verifications", body).await.id().to_owned();
    let with_metadata = |four: &str| json!({"to": format!("+1415555{four}"), "metadata": {"who": "Rumpelstilzchen"}});

    // Verified by text after 23 s.
    let text = create(with_metadata("0100")).await;
    let code = app.texted_code("0100").await;
    app.until(&text, "delivered", |v| v["attempts"][0]["status"] == "delivered").await;
    app.advance(23.0).await;
    assert_eq!(app.check(&text, &code).await.body["result"], "verified");
    // The text is lost: verified by call.
    let lost = create(with_metadata("0101")).await;
    app.until(&lost, "called", |v| {
        v["attempts"][1]["status"] == "answered" || v["attempts"][1]["status"] == "completed"
    })
    .await;
    let spoken = app.spoken_code("0101").await;
    app.settled().await;
    app.advance(19.0).await;
    assert_eq!(app.check(&lost, &spoken).await.body["channel"], "call");
    // Canceled, and those that are left out.
    let canceled = create(with_metadata("0103")).await;
    app.until(&canceled, "sent", |v| v["attempts"][0]["status"] == "sent").await;
    app.advance(12.0).await;
    app.post(&format!("/v1/verifications/{canceled}/cancel"), Value::Null).await;
    create(json!({"to": "+14155550104", "channel": "sms"})).await;
    create(json!({"to": "+14155550105", "channel": "call"})).await;
    create(json!({"to": "+15555550100"})).await;
    app.settled().await;
    app.advance(700.0).await;
    app.settled().await;
    create(json!({"to": "+14155550118"})).await;

    let secret = base64_key(key);
    let keys = Keyring::new(&secret, &[]);
    let apps = ["demo".to_owned(), "legacy".to_owned()];
    let exported = export(&*store, &keys, &apps, &ExportOptions::default()).await.unwrap();
    assert_eq!(exported, export(&*store, &keys, &apps, &ExportOptions::default()).await.unwrap());
    let lines: Vec<Vec<&str>> = exported.csv.lines().map(|line| line.split(',').collect()).collect();
    let field = |line: usize, name: &str| lines[line][lines[0].iter().position(|column| *column == name).unwrap()];
    assert_eq!(lines.len(), 4, "{}", exported.csv);
    assert_eq!([1, 2, 3].map(|line| field(line, "id")), ["1", "2", "3"]);
    assert_eq!([1, 2, 3].map(|line| field(line, "t0_ms")), ["0", "23000", "42000"]);
    assert_eq!([1, 2, 3].map(|line| field(line, "cc")), ["US"; 3]);
    assert!(field(1, "route").starts_with("310"), "{}", exported.csv);
    assert_eq!((field(1, "dlr_status"), field(1, "seen_end"), field(1, "seen_end_ms")), ("delivered", "sms", "23000"));
    assert_eq!((field(2, "dlr_status"), field(2, "dlr_code")), ("undelivered", "30"));
    assert_eq!((field(2, "call_result"), field(2, "seen_end"), field(2, "seen_end_ms")), ("answered", "call", "19000"));
    assert_eq!((field(3, "dlr_status"), field(3, "seen_end"), field(3, "seen_end_ms")), ("", "canceled", "12000"));
    let notes = exported.notes.join("\n");
    for said in
        ["3 verifications", "1 not over yet", "1 that began with a call", "1 for text only", "1 of test numbers"]
    {
        assert!(notes.contains(said), "{said}: {notes}");
    }
    for secret in ["4155550", "vrf_", "demo", "Rumpel", &code, &spoken, &text[4..], &lost[4..]] {
        assert!(!exported.csv.contains(secret) && !notes.contains(secret), "{secret}: {}", exported.csv);
    }

    let rows =
        async |options: ExportOptions| export(&*store, &keys, &apps, &options).await.unwrap().csv.lines().count() - 1;
    let after = |seconds: u64| Some(start + Duration::from_secs(seconds));
    assert_eq!(rows(ExportOptions { since: after(20), ..ExportOptions::default() }).await, 2);
    assert_eq!(rows(ExportOptions { until: after(20), ..ExportOptions::default() }).await, 1);
    let other = Keyring::new(&vec![7; 32].into(), &[]);
    let sealed = export(&*store, &other, &apps, &ExportOptions::default()).await.unwrap();
    assert_eq!(sealed.csv, header());
    assert!(sealed.notes[1].starts_with("left out: 7 that SECRET_KEY does not open"), "{:?}", sealed.notes);

    let again = Trace::parse(&exported.csv).unwrap();
    let played = summary(&again, "fixed+fail:35");
    assert_eq!((played.calls_k * 3.0).round(), 2000.0, "a replay has no cancel: {played:?}");
    assert!(again.rows[0].intent && again.rows[1].intent && again.rows[2].patience_ms == 12_000);
    assert_eq!((played.v_med * 1000.0).round(), 21_000.0, "at 19 and 23 s, as in the service");
    for column in ["arrive_ms", "intent", "read_ms", "patience_ms", "call_hear_ms"] {
        assert!(
            again.notes.iter().any(|note| note.starts_with(&format!("{column} is unknown; assumed: "))),
            "{column}"
        );
    }
    assert!(!again.notes.iter().any(|note| note.contains("is unknown and was ignored")), "{:?}", again.notes);
}

#[tokio::test]
async fn every_page_of_a_list_is_exported_in_the_order_of_starts() {
    let (store, keys) = (Memory::default(), Keyring::new(&vec![7; 32].into(), &[]));
    let (now, rules, insight) = (store.now().await.unwrap(), Rules::default(), Insight::default());
    let to = PhoneNumber::parse("+14155550112").unwrap();
    let number = keys.number_keys("shop", &to)[0];
    let mut previous = None;
    for nth in 0..450_u64 {
        // Seven in each millisecond, so that pages end within one.
        let at = now + Duration::from_millis(nth / 7);
        let id = VerificationId::new(number.shard(), nth.into());
        let request = Request::new(id, "shop", to.clone(), Code::parse("042917").unwrap());
        let context = |now| Context { now, insight: &insight, barred: &[], session: SessionIndex::FIRST };
        let opened = open(request, &rules, &context(at)).after;
        let v = decide(&opened, &[Event::Cancel], &rules, &context(at + Duration::from_secs(1))).after;
        let commit = Commit {
            id,
            app: "shop".into(),
            number,
            purpose: PurposeKey::default(),
            mode: CommitMode::Create { previous },
            sealed: record::encode(&v, &keys).unwrap(),
            created_at: at,
            due: None,
            ttl: Duration::from_secs(600),
            guesses: None,
            index_ttl: Some(Duration::from_secs(600)),
            session: None,
            status: Status::Canceled,
            ended: Vec::new(),
            verified_ttl: None,
            increments: Vec::new(),
            links: Vec::new(),
            longest_ttl: Duration::from_secs(600),
            now: at,
        };
        assert_eq!(store.commit(&commit).await.unwrap(), CommitOutcome::Committed);
        previous = Some(id);
    }
    let apps = ["shop".to_owned()];
    let all = export(&store, &keys, &apps, &ExportOptions::default()).await.unwrap();
    let starts: Vec<(u64, u64)> = (all.csv.lines().skip(1))
        .map(|line| line.split(',').take(2).map(|n| n.parse().unwrap()).collect::<Vec<u64>>())
        .map(|numbers| (numbers[0], numbers[1]))
        .collect();
    assert_eq!(starts, (0..450).map(|nth| (nth + 1, nth / 7)).collect::<Vec<_>>());
    let since = Some(now + Duration::from_millis(60));
    let some = export(&store, &keys, &apps, &ExportOptions { since, ..ExportOptions::default() }).await.unwrap();
    assert_eq!(some.csv.lines().count(), 1 + 450 - 420);
}

// ---- helpers

fn header() -> String {
    COLUMNS.map(|column| column.to_string()).join(",") + "\n"
}

fn base64_key(text: &str) -> SecretSlice<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).unwrap().into()
}

/// The trace that a service would have exported after these calls.
fn exported(trace: &Trace, calls: &[Option<PlayedCall>]) -> String {
    let mut text = header();
    for (row, call) in trace.rows.iter().zip(calls) {
        text += &line(row, call.map(|call| call.age_ms));
    }
    text
}

fn line(row: &TraceRow, call_ms: Option<u64>) -> String {
    let outcome = PlayedOutcome::of(row, call_ms);
    let call_ms = call_ms.filter(|_| outcome.is_placed);
    let known = call_ms.filter(|_| !outcome.is_hung_up);
    let result = match row.call_result {
        CallResult::Answered => "answered",
        CallResult::Voicemail => "voicemail",
        CallResult::Unanswered => "noanswer",
    };
    let is_answered = known.is_some_and(|at| result == "answered" && at + row.call_ring_ms < outcome.verified_ms);
    let (end, end_ms) = match outcome.verified_ms {
        NEVER => ("expired", TTL_MS),
        at if is_answered => ("call", at),
        at => ("sms", at),
    };
    let report =
        row.report.map_or("", |report| if report == FinalReport::Delivered { "delivered" } else { "undelivered" });
    let number = |of: Option<u64>| of.filter(|n| *n != NEVER).map(|n| n.to_string()).unwrap_or_default();
    let mut line = format!("{},{},{}{}", row.id, row.t0_ms, char::from(row.cc[0]), char::from(row.cc[1]));
    let billed = Some(row.call_price_u).filter(|_| outcome.is_billed);
    for field in [
        row.route.to_string(),
        row.sms_price_u.to_string(),
        number(billed),
        number(Some(row.sent_ms)),
        number(Some(row.dlr_ms)),
        report.to_owned(),
        String::new(),
        number(Some(row.resend_ms).filter(|_| outcome.is_resend_requested)),
        known.map_or("", |_| result).to_owned(),
        number(known.map(|_| row.call_ring_ms)),
        number(call_ms),
        end.to_owned(),
        number(Some(end_ms)),
    ] {
        write!(line, ",{field}").unwrap();
    }
    line + "\n"
}

fn training(rows: usize) -> Trace {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/traces-train.csv.gz");
    let mut text = String::new();
    GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    let mut trace = Trace::parse(&text).unwrap();
    trace.rows.truncate(rows);
    trace
}

fn played(trace: &Trace, policy: &str) -> Vec<Option<PlayedCall>> {
    play(trace, policy.parse::<PlayedPolicy>().unwrap().player(&CostOverrides::default()).as_mut())
}

fn summary(trace: &Trace, policy: &str) -> PolicyFigures {
    let ages: Vec<Option<u64>> = played(trace, policy).iter().map(|call| call.map(|call| call.age_ms)).collect();
    PolicyFigures::of(policy, trace, &ages, &Costs::BALANCED)
}
