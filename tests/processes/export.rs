//! `export` beside a running service, and a replay of the exported trace.

use serde_json::json;

use crate::commands::run;
use crate::support::redis_server::RedisServer;
use crate::world::{API_KEY, Plivo, SECRET_KEY, Service, plivo_listener};

fn env(settings: &[(&str, &str)]) -> Vec<(String, String)> {
    settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn export_reports_each_fault_of_its_settings_in_a_line() {
    let (code, out, said) = run(&["export"], &[]).await;
    let faults = [said.contains("SECRET_KEY is missing"), said.contains("API_KEYS is missing")];
    assert_eq!((code, out.as_str(), said.lines().count(), faults), (Some(1), "", 2, [true; 2]), "{said}");

    let wrong = env(&[
        ("REDIS_URL", "memory://"),
        ("SECRET_KEY", "too-short-0001"),
        // `export` does not read these.
        ("PLIVO_NUMBER", "wrong"),
        ("PLIVO_AUTH_TOKEN_FILE", "/nowhere"),
    ]);
    let (code, _, said) = run(&["export", "--app", "shop"], &wrong).await;
    assert_eq!((code, said.lines().count(), said.contains("0001")), (Some(1), 2, false), "{said}");
    assert!(said.contains("REDIS_URL is memory://: that store lives in the serving process"), "{said}");

    let (code, _, said) = run(&["export", "--since", "yesterday"], &[]).await;
    assert!(code == Some(2) && said.contains("must be a time such as 2026-11-24T09:30:00Z"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_service_is_exported_and_replayed() {
    let redis = RedisServer::start();
    let (listener, plivo_url) = plivo_listener();
    let settings = [
        ("REDIS_URL", redis.url()),
        ("PLIVO_API_URL", plivo_url.clone()),
        ("PLIVO_PHLO_URL", plivo_url.clone()),
        ("COUNTRIES", "US".to_owned()),
    ];
    let service = Service::start(&settings.each_ref().map(|(name, value)| (*name, value.as_str()))).await;
    let plivo = Plivo::serve(listener, &service.url, 100.0);
    service.until_ready().await;
    for nth in 0..3 {
        let to = format!("+1415555{nth}100");
        let answer = service.create(&to, json!({"metadata": {"who": "Rumpelstilzchen"}})).await;
        let code = plivo.texted_code(&to).await;
        assert_eq!(service.check(answer.id(), &code).await.status, 200);
    }

    let redis_url = redis.url();
    let settings =
        env(&[("REDIS_URL", &redis_url), ("SECRET_KEY", SECRET_KEY), ("API_KEYS", &format!("shop:{API_KEY}"))]);
    let (code, out, said) = run(&["export"], &settings).await;
    assert_eq!((code, out.lines().count()), (Some(0), 4), "{out}{said}");
    assert_eq!(said, "note: 3 verifications\n");
    assert!(!out.contains("4155550") && !out.contains("Rumpel") && !out.contains("shop"), "{out}");

    let path = std::env::temp_dir().join(format!("phlo2fa-export-{}.csv", std::process::id()));
    let file = path.to_str().unwrap();
    let (code, nothing, said) = run(&["export", "--out", file, "--app", "shop"], &settings[..2]).await;
    assert_eq!((code, nothing.as_str()), (Some(0), ""), "{said}");
    assert_eq!(std::fs::read_to_string(&path).unwrap().trim_end(), out);
    let (code, table, said) = run(&["replay", "--trace", file, "--policy", "fixed+fail:35"], &[]).await;
    std::fs::remove_file(&path).unwrap();
    assert_eq!((code, table.contains("fixed+fail:35        100.00")), (Some(0), true), "{table}");
    assert!(said.contains("note: 3 of 3 verifications have a recorded end"), "{said}");
    assert!(said.contains("note: arrive_ms is unknown; assumed: "), "{said}");
}
