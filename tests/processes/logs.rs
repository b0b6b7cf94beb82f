//! Logs and metrics contain no code, key or full number, at the most verbose levels.

use serde_json::{Value, json};

use crate::support::redis_server::RedisServer;
use crate::support::{client, wrong};
use crate::world::{
    API_KEY, AUTH_ID, AUTH_TOKEN, CALLBACK_SECRET, NUMBER, SECRET_KEY, handset, service_and_plivo, until,
};

async fn assert_nothing_secret_is_logged(log: &str) {
    let redis = RedisServer::start_with(&["--requirepass", "the-redis-password"]);
    let redis_url = format!("redis://:the-redis-password@127.0.0.1:{}", redis.port);
    let (mut service, plivo, plivo_url) =
        service_and_plivo("50", &[("REDIS_URL", &redis_url), ("PLIVO_TIMEOUT", "1"), ("RUST_LOG", log)]).await;
    service.until_ready().await;
    let http = client();
    let mut secrets: Vec<String> = [API_KEY, SECRET_KEY, AUTH_TOKEN, CALLBACK_SECRET].map(str::to_owned).into();
    let mut numbers = vec![NUMBER.to_owned()];

    // The customer's own codes have ten digits, which no timestamp, port or UUID contains by chance.
    let scenarios = ["0100", "0101", "0107", "0110", "0111", "0112", "0113", "0116", "0118", "0190"];
    for (n, last_four) in scenarios.into_iter().enumerate() {
        let (to, code) = (format!("+1415555{last_four}"), format!("90715348{n:02}"));
        let answer = service.create(&to, json!({ "code": code, "escalation": "fixed+fail:1" })).await;
        let id = answer.id().to_owned();
        service.check(&id, &wrong(&code)).await;
        let malformed = format!("/v1/verifications/{id}/checks");
        service.send("POST", &malformed, json!({ "code": 9_071_534_826_u64 })).await;
        service.send("POST", &malformed, json!({ "code": code, "9071534826": code })).await;
        service.send("POST", "/v1/verifications/search", json!({ "to": to })).await;
        service.send("GET", &format!("/checkcode/{to}/{code}"), Value::Null).await;
        if !matches!(last_four, "0107" | "0112" | "0116" | "0190") {
            let has_code = async || {
                let h = handset(&http, &plivo_url, &to).await;
                h["messages"][0]["code"] == code.as_str()
                    || h["calls"].as_array().unwrap().iter().any(|call| call["code"] == code.as_str())
            };
            until(last_four, has_code).await;
            let checked = service.send("POST", "/v1/checks", json!({ "to": to, "code": code })).await;
            assert_eq!(checked.body["result"], "verified", "{last_four}: {checked:?}");
        }
        secrets.extend([code.clone(), wrong(&code)]);
        numbers.push(to);
    }
    secrets.push("9071534826".into());
    // An invalid number, an invalid body, and an unknown key.
    service.send("POST", "/v1/verifications", json!({ "to": "+10005550134" })).await;
    service.send("POST", "/v1/verifications", json!({ "to": 14_155_550_134_u64 })).await;
    numbers.extend(["+10005550134".into(), "+14155550134".into()]);
    let foreign = http.get(format!("{}/v1/verifications", service.url)).bearer_auth("an-unknown-api-key-7351");
    assert_eq!(foreign.send().await.unwrap().status(), 401);
    let path = format!("{}/plivo/{CALLBACK_SECRET}/call", service.url);
    http.post(path).form(&[("CallUUID", "none"), ("To", "14155550100")]).send().await.unwrap();
    secrets.extend(["an-unknown-api-key-7351".into(), "the-redis-password".into()]);
    // The credentials as Basic authentication sends them.
    secrets.push(base64_of(&format!("{AUTH_ID}:{AUTH_TOKEN}")));

    let metrics = service.get("/metrics").await;
    let metrics = metrics.body.as_str().unwrap().to_owned();
    service.process.terminate();
    service.process.end().await;
    let texts = [("the log", service.process.log()), ("the metrics", metrics), ("the local Plivo", plivo.log())];
    assert!(texts[0].1.contains("\"event\":\"verification_ended\"") && texts[1].1.contains("phlo2fa_"));
    for (where_, text) in &texts {
        for secret in &secrets {
            assert_absent(where_, text, secret);
        }
        for number in &numbers {
            // Found with or without its country code.
            assert_absent(where_, text, &number[2..]);
        }
    }
}

fn assert_absent(where_: &str, text: &str, secret: &str) {
    let line = text.lines().find(|line| line.contains(secret));
    assert!(line.is_none(), "{secret} is in {where_}: {}", line.unwrap_or_default());
}

fn base64_of(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_secret_is_logged_at_debug() {
    assert_nothing_secret_is_logged("debug,phlo_2fa=trace").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_secret_is_logged_at_trace() {
    assert_nothing_secret_is_logged("trace").await;
}
