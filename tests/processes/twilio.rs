//! Twilio's own SDKs for Python and Node against the service.
//!
//! They are unmodified but for the base URL, so what they send and raise is what a program written for Twilio sees.
//! `tests/sdk/drive_twilio.py` and `.js` are the tests; this file starts what they talk to. Without Python, Node or an SDK a
//! test passes, and `scripts/sdk` or `scripts/sdk-node` says so.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::world::{API_KEY, Process, Service, service_and_plivo};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

#[tokio::test(flavor = "multi_thread")]
async fn twilios_sdk_for_python_works_with_the_service() {
    let Some(python) = installed_by("sdk") else { return };
    let mut command = Command::new(python);
    command.arg(Path::new(ROOT).join("tests/sdk/drive_twilio.py")).env("PYTHONDONTWRITEBYTECODE", "1");
    World::start().await.drive(command).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twilios_sdk_for_node_works_with_the_service() {
    let Some(modules) = installed_by("sdk-node") else { return };
    let mut command = Command::new("node");
    command.arg(Path::new(ROOT).join("tests/sdk/drive_twilio.js")).env("NODE_PATH", modules);
    World::start().await.drive(command).await;
}

/// A service, one whose codes expire after a second, and their local Plivo.
struct World {
    service: Service,
    brief: Service,
    plivo_url: String,
    _plivo: Process,
}

impl World {
    async fn start() -> Self {
        let settings = [("REDIS_URL", "memory://"), ("RESEND_COOLDOWN", "0"), ("MAX_ATTEMPTS", "3")];
        let (service, plivo, plivo_url) = service_and_plivo("20", &settings).await;
        let urls = [("PLIVO_API_URL", plivo_url.as_str()), ("PLIVO_PHLO_URL", &plivo_url)];
        let brief = Service::start(&[&urls[..], &[("REDIS_URL", "memory://"), ("CODE_TTL", "1")]].concat()).await;
        service.until_ready().await;
        brief.until_ready().await;
        Self { service, brief, plivo_url, _plivo: plivo }
    }

    /// Runs a script to its end. It fails if one of its tests does.
    async fn drive(&self, mut command: Command) {
        command.args(["shop", API_KEY, &self.service.url, &self.brief.url, &self.plivo_url]);
        // No proxy between the SDK and the service, and no account of the developer.
        for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"] {
            command.env_remove(name);
        }
        for name in ["TWILIO_EDGE", "TWILIO_REGION", "TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN"] {
            command.env_remove(name);
        }
        command.env("NO_PROXY", "*").stdin(Stdio::null());
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let said = [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat();
        assert!(output.status.success(), "{said}");
    }
}

/// What a script prints after it has installed an SDK; `None` when the SDK is missing and not required.
///
/// The script writes to the inherited stderr, which also a passing test shows.
fn installed_by(script: &str) -> Option<String> {
    let script = Command::new(Path::new(ROOT).join("scripts").join(script)).stderr(Stdio::inherit()).output().unwrap();
    assert!(script.status.success(), "an SDK is missing and required: see the line that begins with \"sdk\"");
    let path = String::from_utf8(script.stdout).unwrap().trim().to_owned();
    (!path.is_empty()).then_some(path)
}
