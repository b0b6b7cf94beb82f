//! `doctor`: looks at a deployment from outside, one check a line, each with how to mend what is wrong.
//!
//! It is meant to run beside the service, with the same settings: it asks Redis, Plivo and `PUBLIC_URL` what
//! the service will ask them, or be asked. Nothing is sent to anybody unless `--send` names a number, the PHLO
//! is run only with `--run`, and what is written to Redis is gone in seconds. It repairs nothing.
//!
//! Secrets travel only where they belong: the callback secret and an API key go to `PUBLIC_URL` only after
//! whatever answers there has told a signed callback from a forged one, which proves that it has the token.

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

pub use finding::{Finding, Summary, Verdict};

use crate::plivo::client::Client;
use finding::Chart;

/// What is done beyond looking.
#[derive(Clone)]
pub struct Options {
    /// Run the PHLO once, in a way that reaches nobody.
    pub run: bool,
    /// Verify this number for real, and watch.
    pub send: Option<String>,
    /// For how long to watch it.
    pub watch: Duration,
}

/// Something is wrong, and the report has said what.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unwell(pub Summary);

/// Makes every check that can be made with these settings, and hands each finding to `tell`.
pub async fn examine(
    env: impl IntoIterator<Item = (String, String)>,
    options: &Options,
    tell: &mut dyn FnMut(&Finding),
) -> Summary {
    let chart = &mut Chart::new(tell);
    let Some(config) = settings::examine(env, chart) else { return chart.summary() };
    let token = config.plivo_auth_tokens.first().cloned().unwrap_or_default();
    let plivo = Client::new(config.plivo_api_url.clone(), config.plivo_auth_id.clone(), token, config.plivo_timeout);
    let web = web::Web::new(&config.public_url);
    let (plivo, web) = match (plivo, web) {
        (Ok(plivo), Ok(web)) => (plivo, web),
        (Err(error), _) | (_, Err(error)) => {
            chart.wrong("tls", format!("cannot be set up: {error}"), "report this as a bug");
            return chart.summary();
        }
    };

    let redis = redis::examine(&config, chart).await;
    let account = account::examine(&config, &plivo, chart).await;
    clock::examine(redis, account.clock, chart);
    number::examine(&config, &plivo, &account, chart).await;
    phlo::examine(&config, &plivo, &account, options.run, chart).await;

    public::examine_address(&config, chart).await;
    let is_there = public::examine_service(&config, &web, chart).await;
    let is_ours = callbacks::examine(&config, &web, is_there, chart).await;
    if let Some(to) = &options.send {
        trial::examine(&config, &web, to, options.watch, is_ours, chart).await;
    }
    chart.summary()
}
