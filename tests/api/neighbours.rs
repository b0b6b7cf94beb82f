//! What the anonymous visitors of one app do to the calls of another app on the same route.

use std::time::Duration;

use serde_json::{Value, json};

use crate::stub::Stub;

const OWN: &str = "8675309";
const OTHER: &str = "another-apps-secret-of-thirty-two";
const NETWORK: [(&str, &str); 2] = [("MCC", "310"), ("MNC", "150")];

/// A number with a prefix of its own for each `n`.
fn number(n: u32) -> String {
    format!("+1415{:07}", 2_000_000 + n * 10_007)
}

/// A service with two apps: `demo` and `other`.
async fn two_apps() -> Stub {
    let env = vec![
        ("ESCALATION", "adaptive".to_owned()),
        ("API_KEYS", format!("other:{OTHER}")),
        ("LIMIT_COUNTRY", "none".to_owned()),
    ];
    Stub::direct(env).await
}

/// Creates a verification whose text is reported as delivered after 4 s; returns it as it then is.
async fn delivered(app: &Stub, key: Option<&str>, n: u32) -> Value {
    let body = json!({ "to": number(n), "code": OWN });
    let created = match key {
        None => app.open(body).await,
        Some(key) => app.send(app.keyless("POST", "/v1/verifications").bearer_auth(key).json(&body)).await,
    };
    assert_eq!(created.status, 201, "{created:?}");
    let path = app.callback("message", "url");
    app.settled().await;
    app.clock.advance(Duration::from_secs(4));
    app.plivo_posts(&path, &[&[("MessageUUID", "m"), ("Status", "delivered")], &NETWORK[..]].concat()).await;
    let id = created.id();
    let read = app.keyless("GET", &format!("/v1/verifications/{id}")).bearer_auth(key.unwrap_or("demo"));
    app.send(read).await.body
}

/// When the app's next user is called, in seconds after the creation; `None` for never.
async fn plan_s(app: &Stub, n: u32) -> Option<i64> {
    let v = delivered(app, None, n).await;
    let at = |value: &Value| value.as_str().map(|at| at.parse::<jiff::Timestamp>().unwrap().as_second());
    let planned = at(&v["next"]["at"]).map(|next| next - at(&v["created_at"]).unwrap());
    assert_eq!(app.check(v["id"].as_str().unwrap(), OWN).await.body["result"], "verified");
    planned
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_anonymous_visitors_of_one_app_leave_another_apps_calls_as_they_are() {
    for verified_before in [0, 60] {
        let (quiet, attacked) = (plans(verified_before, 0).await, plans(verified_before, 100).await);
        let changed = quiet.iter().zip(&attacked).filter(|(usual, now)| usual != now).count();
        assert!(changed <= 1, "{changed} of 20 calls, {verified_before} verifications before: {quiet:?} {attacked:?}");
        assert!(quiet.iter().any(|plan| plan.is_none_or(|after_s| after_s >= 30)), "{quiet:?}");
    }
}

/// The planned calls of 20 users of the one app, after so many codes of its users and visitors of the other app.
async fn plans(verified_before: u32, visitors: u32) -> Vec<Option<i64>> {
    let app = two_apps().await;
    for n in 0..verified_before {
        plan_s(&app, n).await;
    }
    for n in 300..300 + visitors {
        delivered(&app, Some(OTHER), n).await;
    }
    // The visitors' codes expire, and what they have taught is known to the service.
    for _ in 0..12 {
        app.settled().await;
        app.advance(60.0).await;
    }
    app.settled().await;
    let mut plans = Vec::new();
    for n in 500..520 {
        plans.push(plan_s(&app, n).await);
    }
    plans
}

#[tokio::test(flavor = "multi_thread")]
async fn one_number_does_not_choose_the_network_of_its_neighbours() {
    let app = two_apps().await;
    let neighbour = |n: u32| format!("+1415555{:04}", 2_000 + n);
    let network_of = async |n: u32| {
        let to = phlo_2fa::phone::PhoneNumber::parse(&neighbour(n)).unwrap();
        app.learner.guess(&to, app.learner.prefix_hash(&to)).await.map(|carrier| carrier.to_string())
    };
    for (n, known) in [(1, None), (1, None), (2, Some("310-150".to_owned()))] {
        let created = app.open(json!({ "to": neighbour(n), "code": OWN })).await;
        let path = app.callback("message", "url");
        app.settled().await;
        app.plivo_posts(&path, &[&[("MessageUUID", "m"), ("Status", "sent")], &NETWORK[..]].concat()).await;
        assert_eq!(app.check(created.id(), OWN).await.body["result"], "verified");
        assert_eq!(network_of(9).await, known, "after a report about neighbour {n}");
        app.clock.advance(Duration::from_secs(40));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_sees_the_routes_as_its_own_verifications_have_found_them() {
    let app = two_apps().await;
    plan_s(&app, 1).await;
    let routes =
        async |key: &str| app.send(app.keyless("GET", "/v1/routes").bearer_auth(key)).await.body["routes"].clone();
    assert_eq!(routes("demo").await[0]["route"], "310-150");
    assert_eq!(routes(OTHER).await, json!([]));
    let metrics = app.keyless("GET", "/metrics").send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("\nphlo2fa_distrust_calls_capped_total 0\n"), "{metrics}");
}
