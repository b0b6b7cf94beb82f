//! `--send` and `--call`: one real verification through the running service, and the reports about it.
//!
//! Each reaches only the number that the operator names, once: the verification is canceled at the end, before the service
//! would repeat anything. Which reports arrive, and through which callback URL, answers what Plivo's documentation leaves open
//! (`phlo/README.md`).

mod call;
mod counts;
mod flow;
mod text;
mod watch;

use std::time::Duration;

use super::finding::Reporter;
use super::web::WebClient;
use crate::config::Config;
use crate::verification::Channel;

use counts::CallbackCounts;
use watch::Service;

/// What a trial sends, and to whom.
pub(super) struct Trial<'a> {
    pub(super) channel: Channel,
    pub(super) to: &'a str,
    /// How long to watch it.
    pub(super) watch: Duration,
}

pub(super) async fn examine(
    config: &Config,
    web: &WebClient,
    trial: &Trial<'_>,
    is_ours: bool,
    report: &mut Reporter<'_>,
) {
    let name = match trial.channel {
        Channel::Sms => "send",
        Channel::Call => "call",
    };
    let number = match config.test_numbers.read(trial.to) {
        Ok((number, None)) => number,
        Ok((_, Some(_))) => {
            return report.wrong(name, "the number is in TEST_NUMBERS, which are never sent to", "name another number");
        }
        Err(why) => return report.wrong(name, format!("the number {why}"), "correct it, or quote the +"),
    };
    if !is_ours {
        return report.skip(name, "the server at PUBLIC_URL does not verify our signatures, so it gets no API key");
    }
    let Some(key) = config.api_keys.first() else { return };
    let service = Service { config, web, key };
    let before = CallbackCounts::read(config, web).await;
    let id = match service.create(number.e164(), trial.channel).await {
        Ok(id) => id,
        Err((detail, remedy)) => return report.wrong(name, format!("{number}: {detail}"), remedy),
    };
    let seconds = trial.watch.as_secs();
    report.ok(
        name,
        match trial.channel {
            Channel::Sms => format!("a text to {number} is requested, and watched for up to {seconds} s"),
            Channel::Call => {
                format!("a call to {number} is requested, and watched for up to {seconds} s: answer it, and listen to its end")
            }
        },
    );
    let observed = service.follow(&id, trial.watch, name, report).await;
    let is_canceled = service.cancel(&id).await;
    let after = CallbackCounts::read(config, web).await;
    let new_counts = before.zip(after).map(|(before, after)| after.since(&before));
    match trial.channel {
        Channel::Sms => text::conclude(&observed, new_counts.as_ref(), trial.watch, report),
        Channel::Call => call::conclude(&observed, new_counts.as_ref(), trial.watch, report),
    }
    if !is_canceled {
        report.warn(name, "the verification could not be canceled", "nothing: it expires by itself");
    }
}
