//! A failover of Redis ends every open verification whose record may lack commits.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::redis_server::RedisServer;
use crate::support::{Answer, Setup, TestApp};

const SECRET_KEY: &str = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
const CODE: &str = "042917";
const WRONG: &str = "111111";

async fn app(redis: &RedisServer) -> TestApp {
    let env = vec![
        ("REDIS_URL", redis.url()),
        ("SECRET_KEY", SECRET_KEY.to_owned()),
        ("LIMIT_GUESSES", "7/1h".to_owned()),
        ("ESCALATION", "fixed:35".to_owned()),
    ];
    TestApp::spawn_with(Setup { env, ..Setup::default() }).await
}

/// A primary and a replica that is promoted before it has received the last commits.
///
/// A service runs on each of them.
struct Split {
    primary: RedisServer,
    replica: RedisServer,
    before: TestApp,
}

impl Split {
    async fn start() -> Self {
        let (primary, replica) = (RedisServer::start(), RedisServer::start());
        replica.command(&["REPLICAOF", "127.0.0.1", &primary.port.to_string()]);
        let start = Instant::now();
        while !replica.command(&["INFO", "replication"]).contains("master_link_status:up") {
            assert!(start.elapsed() < Duration::from_secs(30), "the replica does not connect to its primary");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let before = app(&primary).await;
        Self { primary, replica, before }
    }

    async fn create(&self, last_four: &str) -> String {
        let to = format!("+1415555{last_four}");
        let created = insist(&self.before, "/v1/verifications", json!({ "to": to, "code": CODE })).await;
        assert!(matches!(created.status, 200 | 201), "{created:?}");
        created.id().to_owned()
    }

    /// Stops the replication and promotes the replica.
    async fn part(&self) {
        self.before.settled().await;
        let offset = |server: &RedisServer, name: &str| {
            let info = server.command(&["INFO", "replication"]);
            info.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned).expect("an offset")
        };
        let start = Instant::now();
        while offset(&self.primary, "master_repl_offset:") != offset(&self.replica, "slave_repl_offset:") {
            assert!(start.elapsed() < Duration::from_secs(30), "the replica does not catch up");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.replica.command(&["REPLICAOF", "NO", "ONE"]);
    }

    /// A service whose primary is the promoted replica.
    async fn failover(&self) -> TestApp {
        app(&self.replica).await
    }
}

/// Posts until the answer is not 503: a primary that has lost its replica acknowledges nothing for a while, and a process that
/// knows nothing of the old primary waits for the proof of another one.
async fn insist(app: &TestApp, path: &str, body: Value) -> Answer {
    let start = Instant::now();
    loop {
        let answer = app.post(path, body.clone()).await;
        if answer.status != 503 {
            return answer;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "unavailable for a minute: {answer:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn check(app: &TestApp, id: &str, code: &str) -> Answer {
    insist(app, &format!("/v1/verifications/{id}/checks"), json!({ "code": code })).await
}

/// Asserts that the timeline ends once, as lost.
async fn assert_lost(app: &TestApp, id: &str) {
    let timeline = app.get(&format!("/v1/verifications/{id}/timeline")).await.body;
    let ends: Vec<_> = timeline["entries"].as_array().unwrap().iter().filter(|e| e["event"] == "ended").collect();
    let by = &ends[0]["ended_by"];
    assert_eq!((ends.len(), by, &ends[0]["status"]), (1, &json!("storage_failover"), &json!("expired")), "{timeline}");
    let v = app.read(id).await;
    assert_eq!((&v["ended_by"], &v["checks_remaining"]), (&json!("storage_failover"), &json!(0)), "{v}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_used_before_a_failover_is_refused_after_it() {
    let split = Split::start().await;
    let (used, open, over) = (split.create("0100").await, split.create("0103").await, split.create("0104").await);
    assert_eq!(split.before.check(&over, CODE).await.body["result"], "verified");
    split.part().await;
    // The first try took effect, but was not acknowledged.
    let answer = check(&split.before, &used, CODE).await;
    assert!(answer.body["result"] == "verified" || answer.code() == "already_verified", "{answer:?}");

    let after = split.failover().await;
    for id in [&used, &open] {
        for code in [CODE, WRONG, CODE] {
            check(&after, id, code).await.assert_problem(410, "verification_lost");
        }
        for (way, body) in [("attempts", json!({ "channel": "call" })), ("cancel", json!({}))] {
            let answer = after.post(&format!("/v1/verifications/{id}/{way}"), body).await;
            answer.assert_problem(410, "verification_lost");
        }
        let v = after.read(id).await;
        assert_eq!((&v["status"], &v["next"]), (&json!("expired"), &Value::Null), "{v}");
        assert_lost(&after, id).await;
    }
    // A verification that had ended is unchanged.
    assert_eq!(after.read(&over).await["status"], "verified");
    after.check(&over, CODE).await.assert_problem(409, "already_verified");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_gives_no_guesses_back() {
    let split = Split::start().await;
    let ids = [("0103", split.create("0103").await), ("0104", split.create("0104").await)];
    let guess = async |app: &TestApp, id: &str| app.check(id, WRONG).await;
    for (_, id) in &ids {
        assert_eq!(guess(&split.before, id).await.body["checks_remaining"], 4);
    }
    split.part().await;
    // Tries that are not acknowledged count too.
    for (_, id) in &ids {
        while check(&split.before, id, WRONG).await.body["checks_remaining"].as_u64().is_some_and(|left| left > 1) {}
    }

    let after = split.failover().await;
    check(&after, &ids[0].1, WRONG).await.assert_problem(410, "verification_lost");
    // One of them gets no request before it expires.
    after.advance(301.0).await;
    for (last_four, id) in &ids {
        after.check(id, CODE).await.assert_problem(410, "verification_lost");
        // All five checks it allowed count as used; two more reach the limit of seven an hour.
        let to = format!("+1415555{last_four}");
        let next = after.post("/v1/verifications", json!({ "to": to, "code": CODE })).await;
        assert_eq!((next.status, &next.body["joined"]), (201, &json!(false)), "{next:?}");
        for _ in 0..2 {
            assert_eq!(guess(&after, next.id()).await.body["result"], "incorrect");
        }
        let refused = guess(&after, next.id()).await;
        refused.assert_problem(429, "rate_limited");
        assert_eq!(refused.body["scope"], "guesses");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failover_lost_verifications_are_not_called_and_new_ones_work() {
    let split = Split::start().await;
    let (due, joined) = (split.create("0103").await, split.create("0104").await);
    split.part().await;

    let after = split.failover().await;
    let created = insist(&after, "/v1/verifications", json!({ "to": "+14155550104", "code": CODE })).await;
    assert_eq!((created.status, &created.body["joined"]), (201, &json!(false)), "{created:?}");
    // The other ends without any request, at the next turn of the timers.
    after.advance(2.0).await;
    let v = after.until(&due, "given up", |v| v["status"] == "expired").await;
    let time = |name: &str| v[name].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert!(time("expires_at").duration_since(time("created_at")).as_secs() < 200, "its code no longer counts: {v}");
    after.advance(38.0).await;
    for id in [&due, &joined] {
        let v = after.until(id, "given up", |v| v["status"] == "expired").await;
        assert_eq!(v["attempts"].as_array().unwrap().len(), 1, "{v}");
        assert_lost(&after, id).await;
    }
    after.settled().await;
    assert_eq!(after.plivo_log("0103").await, [] as [Value; 0], "a call was made");
    // A verification created after the failover works normally.
    after.until(created.id(), "called", |v| v["attempts"].as_array().unwrap().len() == 2).await;
    assert_eq!(after.check(created.id(), CODE).await.body["result"], "verified");
    let metrics = after.keyless("GET", "/metrics").send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains(r#"phlo2fa_verifications_total{status="expired",channel="auto"} 2"#), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_redis_with_persistence_loses_nothing() {
    let mut redis = RedisServer::start_with(&["--appendonly", "yes"]);
    let app = app(&redis).await;
    let created = app.post("/v1/verifications", json!({ "to": "+14155550103", "code": CODE })).await;
    assert_eq!(app.check(created.id(), WRONG).await.body["checks_remaining"], 4);
    app.settled().await;
    redis.restart();
    let mut answer = app.check(created.id(), WRONG).await;
    // The first request may find the connections closed.
    for _ in 0..50 {
        if answer.status == 200 {
            break;
        }
        answer.assert_problem(503, "storage_unavailable");
        answer = app.check(created.id(), WRONG).await;
    }
    assert_eq!(answer.body["checks_remaining"], 3, "{answer:?}");
    assert_eq!(app.check(created.id(), CODE).await.body["result"], "verified");
}
