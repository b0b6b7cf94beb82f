//! The guard's limits, as clients see them.

use std::time::Duration;

use futures_util::future::join_all;
use phlo_2fa::engine::Target;
use phlo_2fa::verification::{AttemptIndex, Event, ReportFacts, TextReport};
use serde_json::{Value, json};

use crate::silent::Silent;
use crate::support::{Answer, Setup, TestApp, wrong};

async fn app(env: &[(&'static str, &str)]) -> TestApp {
    let env = env.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    TestApp::spawn_with(Setup { env, ..Setup::default() }).await
}

async fn create(app: &TestApp, to: &str, more: Value) -> Answer {
    let mut body = json!({ "to": to });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    app.post("/v1/verifications", body).await
}

fn assert_limited(answer: &Answer, scope: &str) {
    answer.assert_problem(429, "rate_limited");
    assert_eq!(answer.body["scope"], scope, "{answer:?}");
}

/// How many requests Plivo received for a number; complete once the service has settled.
async fn asked(app: &TestApp, last_four: &str) -> usize {
    app.plivo_log(last_four).await.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_of_a_number_spans_its_verifications() {
    let app = app(&[("LIMIT_NUMBER", "3/10m"), ("RESEND_COOLDOWN", "0"), ("LIMIT_IP", "100/1m")]).await;
    let first = app.create("0100").await;
    assert_eq!(
        app.post(&format!("/v1/verifications/{}/attempts", first.id()), json!({"channel":"sms"})).await.status,
        201
    );
    app.post(&format!("/v1/verifications/{}/cancel", first.id()), json!({})).await;
    let second = app.create("0100").await;
    assert_eq!(second.status, 201);
    let again = app.post(&format!("/v1/verifications/{}/attempts", second.id()), json!({"channel":"sms"})).await;
    assert_limited(&again, "number");
    app.post(&format!("/v1/verifications/{}/cancel", second.id()), json!({})).await;
    let third = app.create("0100").await;
    assert_limited(&third, "number");
    // The limit does not affect another number of the same range.
    assert_eq!(app.create("0101").await.status, 201);
    app.settled().await;
    assert_eq!(asked(&app, "0100").await, 3);
    let wait: f64 = third.header("retry-after").parse().unwrap();
    assert_eq!(wait, 600.0, "the window, although its last step ends later");
    app.advance(wait).await;
    // At most that step is left.
    let late = app.create("0100").await;
    let refusals = if late.status == 201 { 2 } else { 3 };
    if late.status != 201 {
        let rest: f64 = late.header("retry-after").parse().unwrap();
        assert!(rest <= 30.0, "{late:?}");
        app.advance(rest).await;
        assert_eq!(app.create("0100").await.status, 201);
    }
    let metrics = app.keyless("GET", "/metrics").send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains(&format!("phlo2fa_guard_refusals_total{{scope=\"number\"}} {refusals}\n")), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_creations_at_once_for_one_number_one_sends_and_all_are_served() {
    let app = app(&[("LIMIT_NUMBER", "2/10m")]).await;
    let answers = join_all((0..60).map(|_| app.create("0100"))).await;
    let count = |status| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((count(201), count(200)), (1, 15), "others share what the first has sent");
    answers.iter().filter(|answer| answer.status > 201).for_each(|answer| assert_limited(answer, "number"));
    app.settled().await;
    assert_eq!(asked(&app, "0100").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_of_one_range_share_a_limit_and_other_customers_are_served() {
    let keys = "shop:01234567890123456789,bank:98765432109876543210";
    let mut app = app(&[("LIMIT_PREFIX", "7/10m"), ("LIMIT_NUMBER", "5/10m"), ("API_KEYS", keys)]).await;
    let create = async |app: &TestApp, n: u32| create(app, &format!("+1415555{n:04}"), json!({})).await;
    let answers = join_all((2000..2040).map(|n| create(&app, n))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 7);
    answers.iter().filter(|answer| answer.status != 201).for_each(|answer| assert_limited(answer, "prefix"));
    assert_eq!(app.post("/v1/verifications", json!({ "to": "+12125550100" })).await.status, 201, "another range");
    app.key = "98765432109876543210".into();
    assert_eq!(create(&app, 2000).await.status, 201, "another app");
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_countries_apps_and_the_total_have_their_own_limits() {
    for (name, scope) in
        [("LIMIT_IP", "ip"), ("LIMIT_COUNTRY", "country"), ("LIMIT_APP", "app"), ("LIMIT_TOTAL", "total")]
    {
        let app = app(&[(name, "2/10m")]).await;
        let ip = |n: u32| json!({ "client_ip": format!("2001:db8::{n}") });
        for n in [0, 1] {
            assert_eq!(create(&app, &format!("+1415555010{n}"), ip(n)).await.status, 201, "{name}");
        }
        assert_limited(&create(&app, "+14155550102", ip(2)).await, scope);
        if scope == "ip" {
            assert_eq!(
                create(&app, "+14155550102", json!({})).await.status,
                201,
                "a creation without client_ip is not counted"
            );
        }
        if scope == "country" {
            assert_eq!(create(&app, "+447400123456", json!({})).await.status, 201);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_due_call_over_a_limit_is_in_the_timeline_and_next_is_null() {
    let app = app(&[("LIMIT_NUMBER_CALL", "1/10m")]).await;
    let first = create(&app, "+14155550101", json!({})).await;
    app.until(first.id(), "called", |v| v["attempts"].as_array().unwrap().len() == 2).await;
    app.settled().await;
    app.post(&format!("/v1/verifications/{}/cancel", first.id()), json!({})).await;
    app.advance(31.0).await;
    let second = create(&app, "+14155550101", json!({})).await;
    let v = app.until(second.id(), "undelivered", |v| v["attempts"][0]["status"] == "undelivered").await;
    assert_eq!((v["status"].as_str(), v["next"].is_null()), (Some("pending"), true), "{v}");
    assert_eq!(v["attempts"].as_array().unwrap().len(), 1);
    let timeline = app.get(&format!("/v1/verifications/{}/timeline", second.id())).await.body;
    let barred = timeline["entries"].as_array().unwrap().iter().find(|e| e["event"] == "call_barred").unwrap();
    assert_eq!((barred["scope"].as_str(), barred["reason"].as_str()), (Some("number_call"), Some("undelivered")));
    let asked = app.post(&format!("/v1/verifications/{}/attempts", second.id()), json!({"channel":"call"})).await;
    assert_limited(&asked, "number_call");
    app.advance(601.0).await;
    let third = create(&app, "+14155550101", json!({ "channel": "call" })).await;
    assert_eq!(third.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_monitoring_guard_counts_and_admits() {
    let app = app(&[("GUARD", "monitor"), ("LIMIT_NUMBER", "1/10m"), ("LIMIT_PREFIX", "1/10m")]).await;
    for last_four in ["0100", "0103", "0104"] {
        assert_eq!(app.create(last_four).await.status, 201);
    }
    let metrics = app.keyless("GET", "/metrics").send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains(r#"phlo2fa_guard_refusals_total{scope="prefix"} 2"#), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_the_budget_only_open_verifications_continue() {
    let app = app(&[("DAILY_BUDGET", "0.02"), ("GUARD", "monitor")]).await;
    let first = create(&app, "+14155550101", json!({})).await;
    assert_eq!(first.status, 201);
    app.until(first.id(), "called", |v| v["attempts"].as_array().unwrap().len() == 2).await;
    app.settled().await;
    let refused = create(&app, "+14155550100", json!({})).await;
    assert_limited(&refused, "budget");
    assert!(refused.header("retry-after").parse::<u64>().unwrap() > 3600);
    app.advance(91_000.0).await;
    assert_eq!(create(&app, "+14155550100", json!({})).await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_texts_and_unanswered_calls_are_not_spent() {
    // The budget covers two texts, or one text and a call.
    let app = app(&[("DAILY_BUDGET", "0.021"), ("COUNTRIES", "*")]).await;
    for _ in 0..5 {
        let refused = create(&app, "+14155550110", json!({ "channel": "sms" })).await;
        refused.assert_problem(502, "rejected_by_plivo");
        app.settled().await;
    }
    let v = create(&app, "+14155550108", json!({ "channel": "call" })).await;
    let v = app.until(v.id(), "not answered", |v| v["attempts"][0]["status"] == "no_answer").await;
    app.post(&format!("/v1/verifications/{}/cancel", v["id"].as_str().unwrap()), json!({})).await;
    app.settled().await;
    assert_eq!(create(&app, "+14155550103", json!({})).await.status, 201);
    assert_eq!(create(&app, "+14155550104", json!({})).await.status, 201);
    let mut answers = Vec::new();
    for n in 3000..3005 {
        answers.push(create(&app, &format!("+1415555{n}"), json!({ "channel": "sms" })).await);
    }
    assert_limited(answers.last().unwrap(), "budget");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_without_successes_is_stopped_and_one_with_them_is_not() {
    let app = app(&[("LIMIT_UNVERIFIED", "4/1h")]).await;
    for n in 3000..3004 {
        assert_eq!(create(&app, &format!("+1415555{n}"), json!({ "code": "042917" })).await.status, 201);
    }
    assert_limited(&create(&app, "+14155553004", json!({})).await, "unverified");
    // One success offsets five unverified texts.
    let other = create(&app, "+12125553000", json!({ "code": "042917" })).await;
    assert_eq!(app.check(other.id(), "042917").await.body["result"], "verified");
    app.settled().await;
    for n in 3001..3009 {
        let answer = create(&app, &format!("+1212555{n}"), json!({})).await;
        assert_eq!(answer.status, 201, "{n}: {answer:?}");
    }
    assert_limited(&create(&app, "+12125553009", json!({})).await, "unverified");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_was_verified_passes_the_limits_of_its_prefix() {
    let app = app(&[("LIMIT_PREFIX", "3/1d"), ("LIMIT_UNVERIFIED", "4/1d"), ("LIMIT_NUMBER", "100/1d")]).await;
    let known = create(&app, "+14155553000", json!({ "code": "042917" })).await;
    assert_eq!(app.check(known.id(), "042917").await.body["result"], "verified");
    // An attacker pumps the range.
    for n in 3001..3010 {
        create(&app, &format!("+1415555{n}"), json!({})).await;
    }
    assert_limited(&create(&app, "+14155553011", json!({})).await, "prefix");
    let again = create(&app, "+14155553000", json!({})).await;
    assert_eq!(again.status, 201, "{again:?}");
    app.post("/v1/erasures", json!({ "to": "+14155553000" })).await;
    assert_limited(&create(&app, "+14155553000", json!({})).await, "prefix");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_cannot_use_up_the_budget_with_one_sum() {
    // A Plivo that reports nothing by itself: a later report would correct the sum.
    let app = Silent::spawn_with(vec![("DAILY_BUDGET", "50".into())]).await;
    let first = app.open(json!({ "channel": "sms" })).await;
    let facts = ReportFacts { carrier: None, cost_u: Some(99_900_000) };
    let report =
        Event::TextReported { attempt: AttemptIndex::FIRST, report: TextReport::Delivered, provider_id: None, facts };
    // The request to Plivo stays under way.
    let under_way = app.tasks.len();
    app.engine.apply(Target::Proved(first.id().parse().unwrap()), vec![report]).await.unwrap();
    // The sum is added to the budget with the next batch, which is a task.
    while app.tasks.len() > under_way {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let other = app.post("/v1/verifications", json!({ "to": "+14155550104" })).await;
    assert_eq!(other.status, 201, "other verifications go on: {other:?}");
    let metrics = app.keyless("GET", "/metrics").send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("phlo2fa_costs_implausible_total 1\n"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn test_numbers_count_for_their_app_and_for_all() {
    for (name, scope) in [("LIMIT_APP", "app"), ("LIMIT_TOTAL", "total"), ("LIMIT_COUNTRY", "")] {
        let app = app(&[(name, "2/10m"), ("TEST_NUMBERS", "+15555550100:000000"), ("LIMIT_NUMBER", "1/10m")]).await;
        for _ in 0..2 {
            let v = create(&app, "+15555550100", json!({})).await;
            assert_eq!(v.status, 201, "{name}: {v:?}");
            app.post(&format!("/v1/verifications/{}/cancel", v.id()), json!({})).await;
        }
        let third = create(&app, "+15555550100", json!({})).await;
        if scope.is_empty() {
            assert_eq!(third.status, 201, "{third:?}");
        } else {
            assert_limited(&third, scope);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_has_its_own_countries_limits_budget_policy_and_name() {
    let keys = "shop:01234567890123456789,bank-2:98765432109876543210";
    let mut app = app(&[
        ("API_KEYS", keys),
        ("PHLO_ID", ""),
        ("APP_BANK_2_COUNTRIES", "US"),
        ("APP_BANK_2_LIMIT_APP", "2/10m"),
        ("APP_BANK_2_ESCALATION", "never"),
        ("APP_BANK_2_BRAND", "The Bank"),
        ("APP_SHOP_DAILY_BUDGET", "0.001"),
    ])
    .await;
    app.key = "01234567890123456789".into();
    create(&app, "+447400123456", json!({})).await.assert_problem(429, "rate_limited");
    assert_limited(&create(&app, "+14155550100", json!({})).await, "budget");
    app.key = "98765432109876543210".into();
    create(&app, "+447400123456", json!({})).await.assert_problem(403, "country_not_allowed");
    let first = create(&app, "+14155550100", json!({})).await;
    assert_eq!((first.status, &first.body["next"]), (201, &Value::Null), "it never calls");
    let text = app.until_handset("0100", "texted", |h| h["messages"][0]["text"].is_string()).await;
    assert!(text["messages"][0]["text"].as_str().unwrap().contains("The Bank"), "{text}");
    let own = create(&app, "+14155550103", json!({ "escalation": "fixed:30" })).await;
    // Plivo may have reported the text as queued meanwhile.
    let reason = own.body["next"]["reason"].as_str();
    assert!(matches!(reason, Some("no_report" | "stuck_queued")), "the creation's own policy calls: {own:?}");
    assert_limited(&create(&app, "+14155550104", json!({})).await, "app");
}

#[tokio::test(flavor = "multi_thread")]
async fn revenue_share_ranges_are_refused_unless_allowed() {
    let refusing = app(&[("GUARD", "monitor"), ("BLOCKED_RANGES", "premium,+1415555")]).await;
    for (to, detail) in [
        ("+19002345678", "This kind of number (premium rate) cannot be verified. Ask for a mobile number."),
        ("+14155550100", "Numbers that begin like this one cannot be verified. Ask for another number."),
    ] {
        let refused = create(&refusing, to, json!({})).await;
        refused.assert_problem(403, "destination_blocked");
        assert_eq!(refused.body["detail"], detail);
    }
    assert_eq!(create(&refusing, "+881612345678", json!({})).await.status, 201);
    let usual = app(&[]).await;
    for to in ["+881612345678", "+61147101234", "+8613491234567"] {
        create(&usual, to, json!({})).await.assert_problem(403, "destination_blocked");
    }
    // Numbers of internet telephony are refused only where they are listed.
    assert_eq!(create(&usual, "+445612345678", json!({})).await.status, 201);
    let without_voip = app(&[("BLOCKED_RANGES", "voip")]).await;
    let refused = create(&without_voip, "+445612345678", json!({})).await;
    refused.assert_problem(403, "destination_blocked");
    assert!(refused.body["detail"].as_str().unwrap().contains("internet telephony"));
    assert_eq!(create(&without_voip, "+61147101234", json!({})).await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_argentine_mobile_is_one_number_with_and_without_its_9() {
    let app = app(&[("LIMIT_NUMBER", "2/10m")]).await;
    let (with, without) = ("+5491123456789", "+541123456789");
    let first = create(&app, without, json!({ "code": "042917" })).await;
    assert_eq!(first.body["attempts"][0]["channel"], "sms", "it is not taken for a landline: {first:?}");
    let second = create(&app, with, json!({})).await;
    assert_eq!((second.status, &second.body["joined"]), (200, &json!(true)));
    let found = app.post("/v1/verifications/search", json!({ "to": with })).await;
    assert!(!found.body["verifications"].as_array().unwrap().is_empty(), "{found:?}");
    app.post(&format!("/v1/verifications/{}/cancel", second.id()), json!({})).await;
    let checked = app.post("/v1/checks", json!({ "to": without, "code": "042917" })).await;
    assert_eq!(checked.body["result"], "verified", "{checked:?}");
    assert_eq!(create(&app, with, json!({})).await.status, 201);
    app.post("/v1/erasures", json!({ "to": without })).await;
    assert_limited(&create(&app, without, json!({})).await, "number");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_ip_counts_as_its_address_however_a_proxy_writes_it() {
    let app = app(&[("LIMIT_IP", "1/10m")]).await;
    for (written, n) in [("203.0.113.9:4711", "203.0.113.9"), ("[2001:db8::9]:443", "[2001:db8::9]")].iter().zip(1..) {
        let (first, second) = (json!({ "client_ip": written.0 }), json!({ "client_ip": written.1 }));
        assert_eq!(create(&app, &format!("+1212555210{n}"), first).await.status, 201, "{written:?}");
        assert_limited(&create(&app, &format!("+1212555220{n}"), second).await, "ip");
    }
    for wrong in ["203.0.113.9:", "[2001:db8::9", "2001:db8::9]:443", "203.0.113.9:99999", "203.0.113.9, 10.0.0.1", ""]
    {
        let refused = create(&app, "+12125552301", json!({ "client_ip": wrong })).await;
        refused.assert_problem(422, "invalid_parameter");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_codes_are_counted_for_the_number_over_all_its_verifications() {
    let limits = [("LIMIT_GUESSES", "7/1h,12/1d"), ("GUARD", "monitor"), ("MAX_CHECKS", "3")];
    let app = app(&limits).await;
    let (mut evaluated, mut refused) = (0, 0);
    let mut last = Value::Null;
    for _ in 0..5 {
        let v = create(&app, "+14155550100", json!({ "code": "042917" })).await;
        for _ in 0..3 {
            let answer = app.check(v.id(), &wrong("042917")).await;
            match answer.status {
                200 => evaluated += 1,
                _ => {
                    assert_limited(&answer, "guesses");
                    refused += 1;
                }
            }
        }
        let right = app.check(v.id(), "042917").await;
        last = right.body.clone();
        app.post(&format!("/v1/verifications/{}/cancel", v.id()), json!({})).await;
    }
    assert_eq!((evaluated, refused), (7, 8), "beyond the limit the right code is refused as well");
    let metrics = app.keyless("GET", "/metrics").send().await.unwrap().text().await.unwrap();
    // Three right codes count as well; the first two verifications had ended before theirs.
    let counted = metrics.lines().find_map(|l| l.strip_prefix(r#"phlo2fa_guard_refusals_total{scope="guesses"} "#));
    assert!(counted.is_some_and(|n| n.parse::<u32>().unwrap() >= 8), "{counted:?}");
    assert_eq!(last["scope"], "guesses");
    // The limit does not affect another number. Within the day five more wrong codes are accepted.
    assert_eq!(app.check(create(&app, "+14155550101", json!({})).await.id(), "000000").await.status, 200);
    app.advance(3700.0).await;
    let v = create(&app, "+14155550100", json!({ "code": "042917" })).await;
    assert_eq!(app.check(v.id(), "042917").await.body["result"], "verified");
    for expected in [200, 200, 200, 200, 200, 429] {
        let v = create(&app, "+14155550100", json!({ "code": "042917" })).await;
        assert_eq!(app.check(v.id(), &wrong("042917")).await.status, expected);
        app.post(&format!("/v1/verifications/{}/cancel", v.id()), json!({})).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn guesses_are_kept_longer_than_their_verification() {
    let app = app(&[("LIMIT_GUESSES", "1/1h"), ("RETENTION", "1")]).await;
    let first = create(&app, "+14155550100", json!({ "code": "042917", "ttl": 1 })).await;
    assert_eq!(app.check(first.id(), &wrong("042917")).await.status, 200);
    app.post(&format!("/v1/verifications/{}/cancel", first.id()), json!({})).await;
    for _ in 0..100 {
        if app.get(&format!("/v1/verifications/{}", first.id())).await.status == 404 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    app.get(&format!("/v1/verifications/{}", first.id())).await.assert_problem(404, "verification_not_found");
    let second = create(&app, "+14155550100", json!({ "code": "042917" })).await;
    assert_eq!(second.status, 201);
    assert_limited(&app.check(second.id(), &wrong("042917")).await, "guesses");
}

#[tokio::test(flavor = "multi_thread")]
async fn during_quiet_hours_only_requested_calls_are_made() {
    let app = app(&[("QUIET_HOURS", "00:00-18:00")]).await;
    // 08:00 in New York.
    let start: jiff::Timestamp = "2027-01-15T13:00:00Z".parse().unwrap();
    let begin = phlo_2fa::time::Timestamp::from_millis(start.as_millisecond());
    app.clock.advance(begin.since(app.clock.now().await.unwrap()));
    let v = create(&app, "+12125550101", json!({})).await;
    let v = app.until(v.id(), "undelivered", |v| v["attempts"][0]["status"] == "undelivered").await;
    assert_eq!(v["next"]["reason"], "quiet_hours", "{v}");
    assert!(v["next"]["at"].is_null() && v["next"]["quiet_until"] == "2027-01-15T23:00:00.000Z", "{v}");
    assert_eq!((v["status"].as_str(), v["attempts"].as_array().unwrap().len()), (Some("pending"), 1));
    let id = v["id"].as_str().unwrap();
    let timeline = app.get(&format!("/v1/verifications/{id}/timeline")).await.body.to_string();
    assert!(timeline.contains("quiet_hours"), "{timeline}");
    let asked = app.post(&format!("/v1/verifications/{id}/attempts"), json!({"channel":"call"})).await;
    assert_eq!((asked.status, &asked.body["attempts"][1]["channel"]), (201, &json!("call")));
}

#[tokio::test(flavor = "multi_thread")]
async fn at_night_a_landline_is_called_at_its_creation_and_no_other_call_is_automatic() {
    let london = jiff::tz::TimeZoneDatabase::bundled().get("Europe/London").unwrap();
    let at = |hours: i64| {
        let time = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(hours);
        time.to_zoned_datetime(london.clone()).strftime("%H:%M").to_string()
    };
    let night = format!("{}-{}", at(-2), at(7));
    let app = app(&[("QUIET_HOURS", &night), ("ESCALATION", "fixed+fail:45")]).await;
    let landline = create(&app, "+442079460000", json!({})).await;
    let first = &landline.body["attempts"][0];
    assert_eq!((&first["channel"], &first["reason"]), (&json!("call"), &json!("landline")), "{landline:?}");
    // Undelivered: by day the call follows at once.
    let mobile = create(&app, "+447400120101", json!({})).await;
    let lost = app.until(mobile.id(), "undelivered", |v| v["attempts"][0]["status"] == "undelivered").await;
    assert_eq!(lost["next"]["reason"], "quiet_hours", "{lost}");
    app.advance(60.0).await;
    assert_eq!(app.read(mobile.id()).await["attempts"].as_array().unwrap().len(), 1);
    assert_eq!(app.attempt(mobile.id(), "call").await.status, 201, "a requested call is made");
}
