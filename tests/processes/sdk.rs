//! Plivo's own SDK for Python against the local Plivo.
//!
//! Every other test reaches the local Plivo through this project's client, where one mistake on both sides would stay
//! hidden. `tests/sdk/drive.py` is the test. This file starts its two local Plivos, a quick and a slow one, and the
//! Python that `scripts/sdk` sets up. Without Python or SDK the test passes and `scripts/sdk` says so.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

pub const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const AUTH_ID: &str = "MADEMO00000000000000";
const AUTH_TOKEN: &str = "the-auth-token-of-these-tests";

#[test]
fn plivos_own_sdk_works_with_the_local_plivo() {
    let Some(python) = python() else { return };
    let mut command = Command::new(python);
    command.arg(Path::new(ROOT).join("tests/sdk/drive.py")).args([AUTH_ID, AUTH_TOKEN]);
    // No proxy between the two, and no byte code among the sources.
    command.env("NO_PROXY", "*").env("PYTHONDONTWRITEBYTECODE", "1");
    let mut test = Running::start(command.stdin(Stdio::piped()));

    // The script prints the URL of its receiver, which the canvas would hold, and reads those of the local Plivos.
    let receiver = test.read_line();
    let quick = Plivo::start(&receiver, &["--speed", "20"]);
    let slow = Plivo::start(&receiver, &["--speed", "0.1", "--terse-runs"]);
    writeln!(test.child.stdin.take().unwrap(), "{}\n{}", quick.url, slow.url).unwrap();

    let output = test.read_to_end();
    assert!(test.child.wait().unwrap().success(), "{output}");
}

/// The Python that has the SDK; `None` when it is missing and not required.
///
/// The script writes to the inherited stderr, which also a passing test shows.
pub fn python() -> Option<String> {
    set_up("scripts/sdk")
}

/// What a script that sets up a package prints; `None` when the package is missing and not required.
pub fn set_up(script: &str) -> Option<String> {
    let script = Command::new(Path::new(ROOT).join(script)).stderr(Stdio::inherit()).output().unwrap();
    assert!(script.status.success(), "a package is missing and required: see the line that begins with \"sdk\"");
    let printed = String::from_utf8(script.stdout).unwrap().trim().to_owned();
    (!printed.is_empty()).then_some(printed)
}

/// A process that is killed when its test ends.
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
        // Read in a thread, so that a full pipe cannot block the process.
        let stderr = Some(std::thread::spawn(move || {
            let mut output = Vec::new();
            let _ = pipe.read_to_end(&mut output);
            String::from_utf8_lossy(&output).into_owned()
        }));
        Self { child, stdout, stderr }
    }

    /// The next line of standard output.
    fn read_line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "the process ended: {}", self.read_to_end());
        line.trim().to_owned()
    }

    /// Waits until the process ends and returns the rest of its output.
    fn read_to_end(&mut self) -> String {
        let mut output = String::new();
        self.stdout.read_to_string(&mut output).unwrap();
        output + &self.stderr.take().map(|reader| reader.join().unwrap()).unwrap_or_default()
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
        // The directory has no `.env` of the developer.
        command.arg("simulate-plivo").args(args).env_clear().current_dir(std::env::temp_dir()).stdin(Stdio::null());
        command.env("BIND", "127.0.0.1:0").env("PUBLIC_URL", canvas);
        command.env("PLIVO_AUTH_ID", AUTH_ID).env("PLIVO_AUTH_TOKEN", AUTH_TOKEN).env("LOG_FORMAT", "json");
        let mut running = Running::start(&mut command);
        let line = running.read_line();
        // `The local Plivo listens on http://127.0.0.1:40123. Set …`
        let url = line.split_whitespace().find(|word| word.starts_with("http://")).unwrap().trim_end_matches('.');
        Self { url: url.to_owned(), _running: running }
    }
}
