//! Output and exit codes of the program's commands.

use std::time::Duration;

use serde_json::Value;

use crate::support::redis_server::RedisServer;
use crate::world::{Process, Service, defaults, free_port};

/// Runs a command to its end. Returns exit code, standard output and standard error.
pub async fn run(args: &[&str], env: &[(String, String)]) -> (Option<i32>, String, String) {
    let (mut process, lines) = Process::start_and_read(args, env);
    let status = process.end().await;
    let out = lines.iter().collect::<Vec<_>>().join("\n");
    // The thread that reads standard error may lag.
    tokio::time::sleep(Duration::from_millis(100)).await;
    (status.code(), out, process.log())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_faulty_setting_is_named_in_a_line_without_its_value() {
    let (code, _, said) = run(&["serve"], &[]).await;
    assert_eq!(code, Some(1));
    let missing = ["PLIVO_AUTH_ID", "PLIVO_AUTH_TOKEN", "PLIVO_NUMBER", "PUBLIC_URL", "API_KEYS", "SECRET_KEY"];
    assert_eq!(said.lines().count(), missing.len(), "{said}");
    for variable in missing {
        assert!(said.lines().any(|line| line.starts_with(&format!("{variable} is missing"))), "{variable}: {said}");
    }

    let wrong = [
        ("PLIVO_NUMBER", "wrong-0001"),
        ("PUBLIC_URL", "wrong-0002"),
        ("SECRET_KEY", "wrong-0003"),
        ("API_KEYS", "wrong-0004"),
        ("MAX_CHECKS", "wrong-0005"),
        ("ESCALATION", "wrong-0006"),
        ("REDIS_URL", "wrong-0007://user:password@host"),
        ("BIND", "wrong-0008"),
    ];
    let mut env = defaults();
    env.push(("PUBLIC_URL".into(), "http://127.0.0.1:8080".into()));
    env.retain(|(name, _)| wrong.iter().all(|(set, _)| set != name));
    env.extend(wrong.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let (code, _, said) = run(&["serve"], &env).await;
    assert_eq!(code, Some(1));
    assert_eq!(said.lines().count(), wrong.len(), "{said}");
    for (variable, _) in wrong {
        assert!(said.lines().any(|line| line.starts_with(variable) && line.contains("for example")), "{said}");
    }
    for secret in [crate::world::AUTH_TOKEN, crate::world::CALLBACK_SECRET, "wrong-000", "password"] {
        assert!(!said.contains(secret), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_is_the_default_command_and_refuses_a_taken_address() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut env = defaults();
    env.push(("BIND".into(), taken.local_addr().unwrap().to_string()));
    env.push(("PUBLIC_URL".into(), "http://127.0.0.1:8080".into()));
    let (code, _, said) = run(&[], &env).await;
    assert_eq!(code, Some(1));
    assert!(said.lines().last().unwrap().starts_with("BIND: cannot listen on 127.0.0.1:"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_exit_code_of_health_says_whether_the_service_is_ready() {
    let redis = RedisServer::start();
    let service = Service::start(&[("REDIS_URL", &redis.url())]).await;
    service.until_ready().await;
    let bind = |address: &str| [("BIND".to_owned(), address.to_owned())];
    let (code, ..) = run(&["health"], &bind(service.url.trim_start_matches("http://"))).await;
    assert_eq!(code, Some(0));

    let (code, _, said) = run(&["health"], &bind(&format!("127.0.0.1:{}", free_port()))).await;
    assert_eq!((code, said.contains("does not answer")), (Some(1), true), "{said}");

    // Live but not ready is not healthy.
    drop(redis);
    let (code, _, said) = run(&["health"], &bind(service.url.trim_start_matches("http://"))).await;
    assert_eq!((code, said.contains("503")), (Some(1), true), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_openapi_document_is_printed_without_any_setting() {
    let (code, out, said) = run(&["openapi"], &[]).await;
    assert_eq!((code, said.as_str()), (Some(0), ""));
    let document: Value = serde_json::from_str(&out).unwrap();
    assert!(document["openapi"].is_string() && document["paths"]["/v1/verifications"]["post"].is_object());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_does_not_exist_is_refused() {
    let (code, _, said) = run(&["sing"], &[]).await;
    assert_eq!((code, said.contains("sing")), (Some(2), true), "{said}");
}
