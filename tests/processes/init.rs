//! `init`: the file that it writes is complete, private, and read by the service as it is.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::{Value, json};

use crate::support::client;
use crate::support::redis_server::RedisServer;
use crate::world::{AUTH_ID, AUTH_TOKEN, Directory, Plivo, Process, free_port, plivo_listener, until};

fn command(directory: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_phlo-2fa"));
    command.arg("init").args(args).env_clear().current_dir(directory).stdin(Stdio::null());
    command
}

fn init(directory: &Path, args: &[&str]) -> Output {
    command(directory, args).output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn read(path: &Path) -> Vec<(String, String)> {
    dotenvy::from_path_iter(path).unwrap().map(Result::unwrap).collect()
}

fn value<'a>(env: &'a [(String, String)], name: &str) -> &'a str {
    &env.iter().find(|(known, _)| known == name).unwrap_or_else(|| panic!("{name} is missing")).1
}

#[test]
fn an_existing_file_is_left_as_it_is_unless_told_otherwise() {
    let directory = Directory::create();
    let file = directory.0.join(".env");
    let first = init(&directory.0, &["--yes"]);
    assert!(first.status.success(), "{}", said(&first));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let before = read(&file);
    for (name, secret) in &before {
        assert!(!said(&first).contains(secret.as_str()), "{name} is shown: {}", said(&first));
    }
    assert!(said(&first).contains("PLIVO_AUTH_ID, PLIVO_AUTH_TOKEN, PLIVO_NUMBER, PUBLIC_URL"), "{}", said(&first));

    let second = init(&directory.0, &["--yes"]);
    assert!(!second.status.success() && said(&second).contains("left as it is"), "{}", said(&second));
    assert_eq!(read(&file), before);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(init(&directory.0, &["--yes", "--force"]).status.success());
    assert_ne!(value(&read(&file), "SECRET_KEY"), value(&before, "SECRET_KEY"));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(&directory.0).unwrap().count(), 1, "a part of a file is left");

    let printed = init(&directory.0, &["--yes", "--out", "-"]);
    assert!(said(&printed).contains("\nSECRET_KEY="), "{}", said(&printed));
    let silent = init(&directory.0, &["--out", "other"]);
    assert!(!silent.status.success() && said(&silent).contains("--yes asks nothing"), "{}", said(&silent));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_starts_with_the_file_and_verifies_a_number() {
    let (directory, redis) = (Directory::create(), RedisServer::start());
    assert!(init(&directory.0, &["--yes"]).status.success());
    let file = directory.0.join(".env");
    let (listener, plivo_url) = plivo_listener();
    let url = format!("http://127.0.0.1:{}", free_port());
    let filled = fs::read_to_string(&file)
        .unwrap()
        .replace("#PLIVO_AUTH_ID=MAXXXXXXXXXXXXXXXXXX", &format!("PLIVO_AUTH_ID={AUTH_ID}"))
        .replace("#PLIVO_AUTH_TOKEN=", &format!("PLIVO_AUTH_TOKEN={AUTH_TOKEN}"))
        .replace("#PLIVO_NUMBER=", "PLIVO_NUMBER=")
        .replace("#PUBLIC_URL=https://verify.example.com", &format!("PUBLIC_URL={url}"))
        .replace("#REDIS_URL=redis://127.0.0.1:6379", &format!("REDIS_URL={}", redis.url()))
        .replace("#BIND=127.0.0.1:8080", &format!("BIND={}", url.trim_start_matches("http://")));
    let local = format!("PLIVO_API_URL={plivo_url}\nPLIVO_PHLO_URL={plivo_url}\n");
    fs::write(&file, filled + &local).unwrap();
    let key = value(&read(&file), "API_KEYS").strip_prefix("app:").unwrap().to_owned();

    let plivo = Plivo::serve(listener, &url, 50.0);
    let mut service = Process::start_in(&directory.0, &["serve"]);
    let http = client();
    until("the service is ready", async || {
        assert!(service.ended().is_none(), "{}", service.log());
        http.get(format!("{url}/readyz")).send().await.is_ok_and(|answer| answer.status() == 200)
    })
    .await;
    let post = async |path: &str, body: Value| {
        let answer = http.post(format!("{url}{path}")).bearer_auth(&key).json(&body).send().await.unwrap();
        serde_json::from_slice::<Value>(&answer.bytes().await.unwrap()).unwrap()
    };
    let created = post("/v1/verifications", json!({ "to": "+14155550100" })).await;
    assert_eq!(created["attempts"][0]["via"], "api", "{created}");
    let code = plivo.texted_code("+14155550100").await;
    let checked = post("/v1/checks", json!({ "to": "+14155550100", "code": code })).await;
    assert_eq!(checked["result"], "verified", "{checked}");

    let mut doctor = Process::start_in(&directory.0, &["doctor"]);
    doctor.end().await;
    let report = doctor.output();
    for line in ["ok    settings: complete", "ok    redis scripts: ", "ok    signature: ", "ok    callback secret: "] {
        assert!(report.contains(line), "{line}: {report}");
    }
}

/// `init` on a terminal of its own.
struct Dialogue {
    terminal: File,
    shown: Arc<Mutex<String>>,
    child: Child,
}

impl Dialogue {
    fn start(directory: &Path) -> Self {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap();
        let theirs = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
        let mut command = command(directory, &[]);
        command.stdin(theirs.try_clone().unwrap()).stdout(theirs.try_clone().unwrap()).stderr(theirs);
        let child = command.spawn().unwrap();
        drop(command);
        let terminal = File::from(ours);
        let (mut reader, shown) = (terminal.try_clone().unwrap(), Arc::<Mutex<String>>::default());
        let written = Arc::clone(&shown);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(n @ 1..) = reader.read(&mut bytes) {
                written.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..n]));
            }
        });
        Self { terminal, shown, child }
    }

    fn shown(&self) -> String {
        self.shown.lock().unwrap().clone()
    }

    async fn until_shown(&self, text: &str) {
        until(&format!("{text:?} is shown"), async || self.shown().contains(text)).await;
    }

    async fn answer(&mut self, question: &str, answer: &str) {
        self.until_shown(question).await;
        writeln!(self.terminal, "{answer}").unwrap();
    }
}

impl Drop for Dialogue {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_terminal_it_asks_checks_and_hides_the_token() {
    let directory = Directory::create();
    let mut dialogue = Dialogue::start(&directory.0);
    dialogue.answer("PLIVO_AUTH_ID, ", AUTH_ID).await;
    dialogue.answer("PLIVO_AUTH_TOKEN, ", AUTH_TOKEN).await;
    dialogue.answer("PLIVO_NUMBER, ", "4155550123").await;
    dialogue.answer("  PLIVO_NUMBER ", "+14155550123").await;
    dialogue.answer("PHLO_ID, ", "").await;
    dialogue.answer("PUBLIC_URL, ", "https://verify.example.com").await;
    dialogue.until_shown("phlo-2fa doctor").await;
    assert!(dialogue.child.wait().unwrap().success());
    let shown = dialogue.shown();
    let env = read(&directory.0.join(".env"));
    let answers = ["PLIVO_AUTH_ID", "PLIVO_AUTH_TOKEN", "PLIVO_NUMBER", "PUBLIC_URL"].map(|name| value(&env, name));
    assert_eq!(answers, [AUTH_ID, AUTH_TOKEN, "+14155550123", "https://verify.example.com"]);
    assert!(shown.contains(AUTH_ID), "other answers are echoed: {shown}");
    for name in ["PLIVO_AUTH_TOKEN", "API_KEYS", "SECRET_KEY", "CALLBACK_SECRET"] {
        assert!(!shown.contains(value(&env, name)), "{name} is shown: {shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_dialogue_writes_nothing_and_leaves_the_terminal_as_it_was() {
    let directory = Directory::create();
    let mut dialogue = Dialogue::start(&directory.0);
    dialogue.answer("PLIVO_AUTH_ID, ", AUTH_ID).await;
    dialogue.until_shown("PLIVO_AUTH_TOKEN, ").await;
    let is_silent = || {
        let modes = rustix::termios::tcgetattr(&dialogue.terminal).unwrap().local_modes;
        !modes.contains(rustix::termios::LocalModes::ECHO)
    };
    until("the terminal is silent", async || is_silent()).await;
    let pid = dialogue.child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    dialogue.until_shown("nothing is written").await;
    assert!(!is_silent());
    assert!(!dialogue.child.wait().unwrap().success());
    assert_eq!(fs::read_dir(&directory.0).unwrap().count(), 0);
}
