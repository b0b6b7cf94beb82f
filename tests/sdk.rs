//! Plivo's own SDK for Python against the local Plivo: whoever wrote that client knows nothing of ours.
//!
//! Everything else here talks to the local Plivo through code that we wrote, and a mistake made on both sides
//! shows nowhere. `tests/sdk/drive.py` is the test; this starts what it needs: two processes of the program, a
//! quick one and a slow one, and the Python that `scripts/sdk` sets up. Where there is none it says so and passes.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const AUTH_ID: &str = "MADEMO00000000000000";
const AUTH_TOKEN: &str = "the-auth-token-of-these-tests";

#[test]
fn plivos_own_sdk_finds_the_local_plivo_as_it_knows_the_real_one() {
    let Some(python) = python() else { return };
    let mut command = Command::new(python);
    command.arg(Path::new(ROOT).join("tests/sdk/drive.py")).args([AUTH_ID, AUTH_TOKEN]);
    // No proxy stands between the two, and no byte code is left among the sources.
    command.env("NO_PROXY", "*").env("PYTHONDONTWRITEBYTECODE", "1");
    let mut test = Running::start(command.stdin(Stdio::piped()));

    // Its receiver is what would be typed on the canvas, and it has to know where the local Plivos are.
    let receiver = test.line();
    let quick = Plivo::start(&receiver, &["--speed", "20"]);
    let slow = Plivo::start(&receiver, &["--speed", "0.1", "--terse-runs"]);
    writeln!(test.child.stdin.take().unwrap(), "{}\n{}", quick.url, slow.url).unwrap();

    let said = test.end();
    assert!(test.child.wait().unwrap().success(), "{said}");
}

/// The Python that has the SDK; `None` where there is none and none is required. What `scripts/sdk` says is seen
/// in any case: what a passing test prints is not, what another process does is.
fn python() -> Option<String> {
    let script = Command::new(Path::new(ROOT).join("scripts/sdk")).stderr(Stdio::inherit()).output().unwrap();
    assert!(script.status.success(), "the SDK is missing and required: see the line that begins with \"sdk:\"");
    let python = String::from_utf8(script.stdout).unwrap().trim().to_owned();
    (!python.is_empty()).then_some(python)
}

/// A process, ended with its test.
struct Running {
    child: Child,
    stdout: BufReader<std::process::ChildStdout>,
    stderr: Option<std::thread::JoinHandle<String>>,
}

impl Running {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let mut pipe = child.stderr.take().unwrap();
        // Read all along, lest it fills up.
        let stderr = Some(std::thread::spawn(move || {
            let mut said = Vec::new();
            let _ = pipe.read_to_end(&mut said);
            String::from_utf8_lossy(&said).into_owned()
        }));
        Self { child, stdout, stderr }
    }

    /// The next line of its standard output.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "it ended: {}", self.end());
        line.trim().to_owned()
    }

    /// Waits until it says no more. Gives what it said since.
    fn end(&mut self) -> String {
        let mut said = String::new();
        self.stdout.read_to_string(&mut said).unwrap();
        said + &self.stderr.take().map(|reader| reader.join().unwrap()).unwrap_or_default()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One `phlo-2fa simulate-plivo`.
struct Plivo {
    url: String,
    _running: Running,
}

impl Plivo {
    fn start(canvas: &str, args: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_phlo-2fa"));
        // No `.env` of whoever runs the tests is to be found.
        command.arg("simulate-plivo").args(args).env_clear().current_dir(std::env::temp_dir()).stdin(Stdio::null());
        command.env("BIND", "127.0.0.1:0").env("PUBLIC_URL", canvas);
        command.env("PLIVO_AUTH_ID", AUTH_ID).env("PLIVO_AUTH_TOKEN", AUTH_TOKEN).env("LOG_FORMAT", "json");
        let mut running = Running::start(&mut command);
        let said = running.line();
        // `The local Plivo listens on http://127.0.0.1:40123. Set …`
        let url = said.split_whitespace().find(|word| word.starts_with("http://")).unwrap().trim_end_matches('.');
        Self { url: url.to_owned(), _running: running }
    }
}
