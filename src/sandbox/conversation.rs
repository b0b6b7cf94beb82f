//! What happens on an answered call of the Call API: the customer's XML is fetched and performed.
//!
//! The person at the phone listens until a code was said. Asked for a key before that, they press it;
//! afterwards they wait for the rest. A machine presses nothing.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::call::Line;
use super::callbacks::Target;
use super::code::code_in;
use super::ending::Ending;
use super::provider::Provider;
use super::scenario::Pickup;
use super::speech::{self, Verb};

/// XML may redirect to itself for ever; nobody stays on such a call.
const VERBS_MAX: usize = 100;
const KEYS_MAX: usize = 5;
/// How long somebody who is asked for a key takes to press it.
const PRESSED_AFTER: Duration = Duration::from_secs(1);

/// What the Call API was told to do once somebody picks up.
#[derive(Debug)]
pub(super) struct Script {
    pub(super) answer: Target,
    pub(super) fallback: Option<Target>,
    pub(super) machine: Machines,
}

/// What to do when a machine picks up.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Machines {
    /// Nobody looks: it is spoken to as a person would be.
    Ignored,
    /// The answer URL is told (`Machine=true`).
    Reported,
    /// Told by a callback of its own.
    ReportedTo(Target),
    /// The call ends.
    HungUp,
}

/// One call of the Call API, from the first ring to its end.
pub(super) async fn hold(provider: &Arc<Provider>, line: &Line, script: &Script) {
    let Some(pickup) = line.ring(provider).await else { return };
    if line.ending().is_some() {
        return;
    }
    if pickup == Pickup::Machine {
        match &script.machine {
            Machines::HungUp => return line.end(provider, Ending::MACHINE),
            Machines::ReportedTo(target) => {
                provider.notify_later(line.callback(target, "MachineDetection", "in-progress"));
            }
            Machines::Ignored | Machines::Reported => {}
        }
    }
    let ending = tokio::select! {
        ending = converse(provider, line, script) => ending,
        () = line.was_cut() => Ending::HUNG_UP,
    };
    line.end(provider, ending);
}

async fn converse(provider: &Provider, line: &Line, script: &Script) -> Ending {
    let mut verbs = match fetch(provider, line, &script.answer, None).await {
        Ok(verbs) => verbs,
        Err(ending) => match &script.fallback {
            None => return ending,
            Some(fallback) => match fetch(provider, line, fallback, None).await {
                Ok(verbs) => verbs,
                Err(ending) => return ending,
            },
        },
    };
    let mut keys = 0;
    for _ in 0..VERBS_MAX {
        let next = match verbs.pop_front() {
            None => break,
            Some(Verb::Hangup) => return Ending::XML_HUNG_UP,
            Some(Verb::Redirect(target)) => Some(fetch(provider, line, &target, None).await),
            Some(Verb::Gather { prompt, action, key, redirect }) => {
                let heard = async {
                    for verb in &prompt {
                        listen(provider, line, verb).await;
                    }
                };
                keys += 1;
                // Whoever is asked for a key does not hear out the question.
                if line.is_machine() || prompt.iter().any(has_a_code) {
                    heard.await;
                } else {
                    let _ = tokio::time::timeout(provider.pace.real(PRESSED_AFTER), heard).await;
                }
                match action {
                    Some(action) if !line.code_heard() && !line.is_machine() && keys <= KEYS_MAX => {
                        let answer = fetch(provider, line, &action, Some(key)).await;
                        redirect.then_some(answer)
                    }
                    _ => None,
                }
            }
            Some(verb @ (Verb::Speak(_) | Verb::Wait(_))) => {
                listen(provider, line, &verb).await;
                None
            }
        };
        match next {
            None => {}
            Some(Ok(following)) => verbs = following,
            Some(Err(ending)) => return ending,
        }
    }
    Ending::COMPLETED
}

fn has_a_code(verb: &Verb) -> bool {
    matches!(verb, Verb::Speak(text) if code_in(text).is_some())
}

async fn listen(provider: &Provider, line: &Line, verb: &Verb) {
    match verb {
        Verb::Speak(text) => line.say(provider, text).await,
        Verb::Wait(pause) => provider.pace.pass((*pause).min(Duration::from_secs(30))).await,
        Verb::Gather { .. } | Verb::Redirect(_) | Verb::Hangup => {}
    }
}

/// Asks the customer what to do: at the start, or after a key. Tried twice when nobody answers, as by
/// default; an error is not. Source: plivo.com/docs/voice/concepts/callback-configurations.
async fn fetch(provider: &Provider, line: &Line, target: &Target, key: Option<char>) -> Result<VecDeque<Verb>, Ending> {
    let mut callback = line.callback(target, if key.is_some() { "Redirect" } else { "StartApp" }, "in-progress");
    callback.params.extend(key.map(|key| ("Digits".to_owned(), key.to_string())));
    let reply = match provider.callbacks.attempt(&callback).await {
        Some(reply) => Some(reply),
        None => provider.callbacks.attempt(&callback).await,
    };
    match reply {
        Some(reply) if reply.status == 200 => speech::parse(&reply.body).map(VecDeque::from).ok_or(Ending::XML_INVALID),
        _ => Err(Ending::URL_UNREACHABLE),
    }
}
