//! The published verifiers of Standard Webhooks, for Python and for Node, accept this service's webhooks.
//!
//! The scripts read requests, one JSON object a line, and print `accepted` or `refused` for each. Where a language or its
//! package is missing, that part passes, and its script below `scripts/` says so.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::sdk::{ROOT, python, set_up};
use crate::support::receiver::{Receiver, SECRET};
use crate::world::Service;

const OTHER_SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";

#[tokio::test(flavor = "multi_thread")]
async fn the_published_verifiers_accept_webhooks_and_nothing_else() {
    let receiver = Receiver::start();
    let secrets = format!("{OTHER_SECRET},{SECRET}");
    let service = Service::start(&[
        ("REDIS_URL", "memory://"),
        ("WEBHOOK_URL", &receiver.url),
        ("WEBHOOK_SECRETS", &secrets),
        ("WEBHOOK_ALLOW_PRIVATE", "true"),
    ])
    .await;
    let tested = service.try_send("POST", "/v1/webhooks/test", json!({})).await.unwrap();
    assert_eq!(tested.body["delivered"], true, "{tested:?}");
    let genuine = receiver.taken()[0].request();
    let with = |name: &str, value: Value| {
        let mut request = genuine.clone();
        request[name] = value;
        request["secret"] = request["secret"].as_str().unwrap_or(SECRET).into();
        request.to_string()
    };
    let lines = [
        with("secret", SECRET.into()),
        with("secret", OTHER_SECRET.into()),
        with("secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSx".into()),
        with("body", "{}".into()),
    ];
    let verdicts = |mut command: Command| {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(lines.join("\n").as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let expected = "accepted\naccepted\nrefused\nrefused\n";
    if let Some(python) = python() {
        let mut command = Command::new(python);
        command.arg(Path::new(ROOT).join("tests/sdk/verify.py")).env("PYTHONDONTWRITEBYTECODE", "1");
        assert_eq!(verdicts(command), expected, "Python");
    }
    if let Some(modules) = set_up("scripts/sdk-node") {
        let mut command = Command::new("node");
        command.arg(Path::new(ROOT).join("tests/sdk/verify.cjs")).env("NODE_PATH", modules);
        assert_eq!(verdicts(command), expected, "Node");
    }
}
