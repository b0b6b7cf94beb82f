//! The settings of the local Plivo and the errors that stop its creation.

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

/// The settings of a local Plivo.
#[derive(Clone, Debug)]
pub struct SandboxConfig {
    /// The auth id of the only account.
    pub auth_id: String,
    /// The account's token: the password of requests and the key of signatures.
    pub auth_token: SecretString,
    /// The service's `PUBLIC_URL`, as typed on the canvas.
    pub public_url: String,
    /// The service's `CALLBACK_SECRET`, as typed on the canvas; no header is sent without one.
    pub callback_secret: Option<SecretString>,
    /// The factor by which its time runs faster, 0.1 to 1000.
    pub speed: f64,
    /// The seed for numbers that have no scenario.
    pub seed: u64,
    /// Whether a run's answer omits the ids of what it sent.
    ///
    /// The run's record still has them. Plivo promises no more, because the answer's message is prose. The answer
    /// names a failed node in either case.
    pub terse_runs: bool,
}

impl SandboxConfig {
    /// The variables that the flow's texts read as `{{canvas.…}}`.
    pub(super) fn canvas(&self) -> Value {
        let secret = self.callback_secret.as_ref().map_or("", |secret| secret.expose_secret());
        json!({ "public_url": self.public_url.trim_end_matches('/'), "callback_secret": secret })
    }
}

/// A reason why the local Plivo could not be created.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The speed is not between 0.1 and 1000.
    #[error("speed must be between 0.1 and 1000, not {0}")]
    Speed(f64),
    /// There is no tokio runtime for the background tasks.
    #[error("the local Plivo must be created inside a tokio runtime")]
    Runtime(#[source] tokio::runtime::TryCurrentError),
    /// The HTTP client for callbacks could not be built.
    #[error("the HTTP client for callbacks could not be built: {0}")]
    Client(#[source] Box<dyn std::error::Error + Send + Sync>),
}
