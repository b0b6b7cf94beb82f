//! `doctor`: checks a deployment from outside, and prints one line per check, with a remedy where one is needed.
//!
//! It runs beside the service, with the same settings, and sends Redis, Plivo and `PUBLIC_URL` the requests that the
//! service will exchange with them. It repairs nothing. It sends a text only with `--send`, calls only with `--call`, runs the
//! PHLO only with `--run`, and its records in Redis expire within seconds.
//!
//! Only a server that accepts a signed callback and refuses a forged one gets the callback secret and an API key: it has
//! proved that it knows the auth token.

mod account;
mod callbacks;
mod clock;
mod finding;
mod number;
mod phlo;
mod public;
mod redis;
mod settings;
mod trial;
mod web;

use std::time::Duration;

pub use finding::{Finding, FindingCounts, Verdict};

use crate::plivo::client::Client;
use crate::verification::Channel;
use finding::Reporter;
use trial::Trial;

/// The checks that go beyond reading.
#[derive(Clone)]
pub struct DoctorOptions {
    /// Runs the PHLO once, in a way that reaches no user.
    pub run: bool,
    /// Verifies this number by a real text.
    pub send: Option<String>,
    /// Verifies this number by a real call.
    pub call: Option<String>,
    /// How long to watch that verification.
    pub watch: Duration,
}

/// The deployment has a fault, which the report has described.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UnhealthyDeployment(pub FindingCounts);

/// Makes every check that these settings allow, and passes each finding to `print`.
pub async fn examine(
    env: impl IntoIterator<Item = (String, String)>,
    options: &DoctorOptions,
    print: &mut dyn FnMut(&Finding),
) -> FindingCounts {
    let report = &mut Reporter::new(print);
    let Some(config) = settings::examine(env, report) else { return report.counts() };
    let token = config.plivo_auth_tokens.first().cloned().unwrap_or_default();
    let (url, id) = (config.plivo_api_url.clone(), config.plivo_auth_id.clone());
    let plivo = Client::new(url, id, token, config.plivo_timeout, &config.plivo_proxy);
    let web = web::WebClient::new(&config.public_url);
    let (plivo, web) = match (plivo, web) {
        (Ok(plivo), Ok(web)) => (plivo, web),
        (Err(error), _) | (_, Err(error)) => {
            report.wrong("tls", format!("cannot be set up: {error}"), "report this as a bug");
            return report.counts();
        }
    };

    let redis = redis::examine(&config, report).await;
    let account = account::examine(&config, &plivo, report).await;
    clock::examine(redis, account.clock, report);
    number::examine(&config, &plivo, &account, report).await;
    phlo::examine(&config, &plivo, &account, options.run, report).await;

    public::examine_address(&config, report).await;
    let is_there = public::examine_service(&config, &web, report).await;
    let is_ours = callbacks::examine(&config, &web, is_there, report).await;
    for (channel, to) in [(Channel::Sms, &options.send), (Channel::Call, &options.call)] {
        if let Some(to) = to {
            let trial = Trial { channel, to, watch: options.watch };
            trial::examine(&config, &web, &trial, is_ours, report).await;
        }
    }
    report.counts()
}
