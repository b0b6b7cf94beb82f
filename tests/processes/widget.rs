//! The widget in a real Chromium, on a page of another origin, before two replicas of which one is killed.
//!
//! `tests/browser/widget.mjs` is the test, and needs no package; this file starts what it talks to. Without Chromium or Node
//! the test passes and says so, unless `REQUIRE_CHROMIUM` is 1.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::docs::start_demo;
use crate::support::redis_server::RedisServer;
use crate::world::{API_KEY, Plivo, Service, plivo_listener};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

#[tokio::test(flavor = "multi_thread")]
async fn the_widget_verifies_on_another_sites_page_and_survives_a_replicas_death() {
    let Some(browser) = browser() else { return };
    let mut test = Command::new("node")
        .arg(Path::new(ROOT).join("tests/browser/widget.mjs"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    // It prints the URL before the replicas, which Plivo calls back.
    let mut said = BufReader::new(test.stdout.take().unwrap());
    let mut public_url = String::new();
    said.read_line(&mut public_url).unwrap();
    let public_url = public_url.trim();

    let redis = RedisServer::start();
    let (listener, plivo_url) = plivo_listener();
    let plivo = Plivo::serve(listener, public_url, 1.0);
    let redis_url = redis.url();
    let settings = [
        ("REDIS_URL", redis_url.as_str()),
        ("PUBLIC_URL", public_url),
        ("PLIVO_API_URL", &plivo_url),
        ("PLIVO_PHLO_URL", &plivo_url),
        ("ESCALATION", "fixed+fail:8"),
    ];
    let (first, second) = (Service::start(&settings).await, Service::start(&settings).await);
    first.until_ready().await;
    second.until_ready().await;
    let replicas = [&first, &second].map(|replica| json!({ "url": replica.url, "pid": replica.process.id() }));
    let world = json!({ "browser": browser, "replicas": replicas, "plivo": plivo.url, "key": API_KEY });
    writeln!(test.stdin.take().unwrap(), "{world}").unwrap();

    let (succeeded, said) = tokio::task::spawn_blocking(move || {
        let mut rest = String::new();
        said.read_to_string(&mut rest).unwrap();
        (test.wait().unwrap().success(), rest)
    })
    .await
    .unwrap();
    println!("{said}");
    assert!(succeeded, "{said}");
    assert_eq!(said.matches("ok desktop").count(), said.matches("ok phone").count(), "{said}");
    assert!(said.matches("ok phone").count() >= 6, "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_page_uses_the_widget_and_shows_why() {
    let Some(browser) = browser() else { return };
    let (_demo, address) = start_demo().await;
    let mut test = Command::new("node");
    test.arg(Path::new(ROOT).join("tests/browser/demo.mjs")).args([&browser, &format!("http://{address}")]);
    let output = tokio::task::spawn_blocking(move || test.stdin(Stdio::null()).output().unwrap()).await.unwrap();
    let said = [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat();
    assert!(output.status.success(), "{said}");
    assert_eq!(said.matches("ok ").count(), 2, "{said}");
}

/// The browser's program; `None` where it or Node is missing and not required.
fn browser() -> Option<String> {
    let is_there =
        |program: &str| Command::new(program).arg("--version").output().is_ok_and(|out| out.status.success());
    let given = std::env::var("CHROMIUM").ok();
    let browser = given.or_else(|| BROWSERS.iter().find(|name| is_there(name)).map(|name| (*name).to_owned()));
    if browser.is_some() && is_there("node") {
        return browser;
    }
    let is_required = std::env::var("REQUIRE_CHROMIUM").is_ok_and(|value| value == "1");
    assert!(!is_required, "Chromium or Node is missing and required");
    println!("widget: Chromium or Node is missing, so the widget is not tested in a browser");
    None
}
