//! Runs a call of the Call API: fetches the customer's answer XML and performs it.
//!
//! The person listens until a code has been spoken. Asked for a key before that, the person presses it; afterwards
//! the person waits for the rest. A machine presses nothing.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::call::PlacedCall;
use super::callbacks::CallbackTarget;
use super::code::code_in;
use super::ending::Ending;
use super::provider::Provider;
use super::ring;
use super::scenario::RingResult;
use super::speech::{self, Verb};

/// Ends a call whose XML redirects to itself.
const VERBS_MAX: usize = 100;
const KEY_PRESSES_MAX: usize = 5;
const WAIT_MAX: Duration = Duration::from_secs(30);
/// How long a person who is asked for a key takes to press it.
const KEY_PRESSED_AFTER: Duration = Duration::from_secs(1);

/// What the Call API does once a call is answered.
#[derive(Debug)]
pub(super) struct CallScript {
    pub(super) answer: CallbackTarget,
    pub(super) fallback: Option<CallbackTarget>,
    pub(super) machine: MachinePolicy,
}

/// What happens when a machine answers.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum MachinePolicy {
    /// Detection is off: the call goes on as with a person.
    Ignore,
    /// The request to the answer URL carries `Machine=true`.
    Report,
    /// A callback of its own reports the machine.
    ReportTo(CallbackTarget),
    HangUp,
}

/// Runs a placed call from its first ring to its end.
pub(super) async fn run(provider: &Arc<Provider>, call: &PlacedCall, script: &CallScript) {
    let Some(result) = ring::ring(provider, call).await else { return };
    if call.ending().is_some() {
        return;
    }
    if result == RingResult::Machine {
        match &script.machine {
            MachinePolicy::HangUp => return ring::end(provider, call, Ending::MACHINE),
            MachinePolicy::ReportTo(target) => {
                provider.notify_detached(call.callback(target, "MachineDetection", "in-progress"));
            }
            MachinePolicy::Ignore | MachinePolicy::Report => {}
        }
    }
    let ending = tokio::select! {
        ending = perform_script(provider, call, script) => ending,
        () = call.hangup_requested() => Ending::HUNG_UP,
    };
    ring::end(provider, call, ending);
}

async fn perform_script(provider: &Provider, call: &PlacedCall, script: &CallScript) -> Ending {
    let mut verbs = match fetch_verbs(provider, call, &script.answer, None).await {
        Ok(verbs) => verbs,
        Err(ending) => match &script.fallback {
            None => return ending,
            Some(fallback) => match fetch_verbs(provider, call, fallback, None).await {
                Ok(verbs) => verbs,
                Err(ending) => return ending,
            },
        },
    };
    let mut key_presses = 0;
    for _ in 0..VERBS_MAX {
        let fetched = match verbs.pop_front() {
            None => break,
            Some(Verb::Hangup) => return Ending::XML_HUNG_UP,
            Some(Verb::Redirect(target)) => Some(fetch_verbs(provider, call, &target, None).await),
            Some(Verb::Gather { prompt, action, key, redirect }) => {
                listen_to_prompt(provider, call, &prompt).await;
                key_presses += 1;
                match action {
                    Some(action) if !call.is_code_heard() && !call.is_machine() && key_presses <= KEY_PRESSES_MAX => {
                        let answer = fetch_verbs(provider, call, &action, Some(key)).await;
                        redirect.then_some(answer)
                    }
                    _ => None,
                }
            }
            Some(verb @ (Verb::Speak(_) | Verb::Wait(_))) => {
                listen(provider, call, &verb).await;
                None
            }
        };
        match fetched {
            None => {}
            Some(Ok(following)) => verbs = following,
            Some(Err(ending)) => return ending,
        }
    }
    Ending::COMPLETED
}

/// A person presses the key before the prompt ends, unless the prompt speaks a code.
async fn listen_to_prompt(provider: &Provider, call: &PlacedCall, prompt: &[Verb]) {
    let whole_prompt = async {
        for verb in prompt {
            listen(provider, call, verb).await;
        }
    };
    if call.is_machine() || prompt.iter().any(has_code) {
        whole_prompt.await;
    } else {
        let _ = tokio::time::timeout(provider.speed.to_real(KEY_PRESSED_AFTER), whole_prompt).await;
    }
}

fn has_code(verb: &Verb) -> bool {
    matches!(verb, Verb::Speak(text) if code_in(text).is_some())
}

async fn listen(provider: &Provider, call: &PlacedCall, verb: &Verb) {
    match verb {
        Verb::Speak(text) => ring::speak(provider, call, text).await,
        Verb::Wait(pause) => provider.speed.sleep((*pause).min(WAIT_MAX)).await,
        Verb::Gather { .. } | Verb::Redirect(_) | Verb::Hangup => {}
    }
}

/// Fetches XML from the customer: at the start, for a redirect, or after a key.
///
/// As by default at Plivo, a request without an answer is repeated once, an error is not.
/// Source: plivo.com/docs/voice/concepts/callback-configurations.
async fn fetch_verbs(
    provider: &Provider,
    call: &PlacedCall,
    target: &CallbackTarget,
    key: Option<char>,
) -> Result<VecDeque<Verb>, Ending> {
    let mut callback = call.callback(target, if key.is_some() { "Redirect" } else { "StartApp" }, "in-progress");
    callback.params.extend(key.map(|key| ("Digits".to_owned(), key.to_string())));
    let reply = match provider.callbacks.try_once(&callback).await {
        Some(reply) => Some(reply),
        None => provider.callbacks.try_once(&callback).await,
    };
    match reply {
        Some(reply) if reply.status == 200 => {
            speech::parse_xml(&reply.body).map(VecDeque::from).ok_or(Ending::XML_INVALID)
        }
        _ => Err(Ending::URL_UNREACHABLE),
    }
}
