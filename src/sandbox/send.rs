//! Sends a text: takes it through the steps of its scenario, on the local Plivo's time.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::api::Medium;
use super::outage::Loss;
use super::provider::Provider;
use super::scenario::{Scenario, Step, StepAction, delivered_after};
use super::text::{SentText, TextOrder};

/// How long a text waits for an answered call: real time, because the service decides when to call.
const CALL_WAIT_MAX: Duration = Duration::from_secs(90);
/// How many steps of scenario 0118 come before the API's answer.
const STEPS_BEFORE_ANSWER: usize = 2;

/// Accepts a text and takes it through its steps in a detached task.
///
/// Returns at once, except for scenario 0118: there the first reports are delivered before the API answers.
pub(super) async fn send(provider: &Arc<Provider>, order: TextOrder) -> Arc<SentText> {
    let scenario_steps = provider.carrier.next_text_steps(&order.to);
    let steps = match provider.outages.loss(order.api, Medium::Text, &order.to, Instant::now()) {
        None => scenario_steps,
        Some(Loss::Silent) => Vec::new(),
        Some(Loss::Fake) => {
            let mut steps = delivered_after(Duration::from_secs(1));
            steps.retain(|step| step.action != StepAction::Arrive);
            steps
        }
    };
    let callbacks_first = Scenario::of(&order.to) == Scenario::CallbackFirst;
    let text = Arc::new(SentText::new(order));
    provider.keep_text(&text);

    let (before, after) = steps.split_at(if callbacks_first { STEPS_BEFORE_ANSWER.min(steps.len()) } else { 0 });
    for step in before {
        perform(provider, &text, step).await;
    }
    let (task_provider, task_text, after) = (Arc::clone(provider), Arc::clone(&text), after.to_vec());
    provider.runtime.spawn(async move {
        for step in after {
            perform(&task_provider, &task_text, &step).await;
        }
    });
    text
}

async fn perform(provider: &Arc<Provider>, text: &SentText, step: &Step) {
    provider.speed.sleep(step.after).await;
    match step.action {
        StepAction::Arrive => provider.handsets.receive_text(&text.order.to, &text.order.text),
        StepAction::AwaitCall => {
            let mut handset = provider.handsets.watch(&text.order.to);
            let answered = handset.wait_for(|handset| handset.has_answered_since(text.accepted));
            let _ = tokio::time::timeout(CALL_WAIT_MAX, answered).await;
        }
        StepAction::Report { state, error, sequence } => {
            text.record_report(state, error);
            if let Some(callback) = text.status_callback(state, error, sequence) {
                provider.notify(callback).await;
            }
        }
    }
}
