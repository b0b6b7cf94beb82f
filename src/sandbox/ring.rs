//! Takes a call from its first ring to its end: handset, callbacks and delays.
//!
//! What is spoken comes from the answer URL ([`conversation`](super::conversation)) or from the PHLO
//! ([`walk`](super::walk)).

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::api::Medium;
use super::call::{CallOrder, PlacedCall};
use super::code::code_in;
use super::ending::Ending;
use super::handset::CallStatus;
use super::outage::Loss;
use super::provider::Provider;
use super::scenario::RingResult;
use super::speech;

const RING_TIME: Duration = Duration::from_secs(1);
/// From the beginning of a sentence until the listener has heard its code.
const CODE_HEARD_AFTER: Duration = Duration::from_millis(500);

/// Accepts an order. Nothing rings before [`ring`].
pub(super) fn place(provider: &Provider, order: CallOrder) -> Arc<PlacedCall> {
    let ring_result = provider.carrier.next_ring_result(&order.to);
    let (ring_result, reaches_handset) = match provider.outages.loss(order.api, Medium::Call, &order.to, Instant::now())
    {
        None => (Some(ring_result), true),
        Some(Loss::Silent) => (None, false),
        Some(Loss::Fake) => (Some(RingResult::Answered), false),
    };
    let call = Arc::new(PlacedCall::new(order, ring_result, reaches_handset, provider.speed));
    provider.keep_call(&call);
    if reaches_handset {
        provider.handsets.ring(&call.order.to, &call.uuid);
    }
    call
}

/// Rings until a person or a machine answers, or the call ends unanswered.
///
/// `None` when the customer canceled the call or the network lost it. A lost call never ends.
pub(super) async fn ring(provider: &Arc<Provider>, call: &PlacedCall) -> Option<RingResult> {
    let result = call.ring_result?;
    if let Some(target) = &call.order.on_ring {
        provider.notify_detached(call.callback(target, "Ring", "ringing"));
    }
    tokio::select! {
        () = provider.speed.sleep(RING_TIME) => {}
        () = call.hangup_requested() => {
            end(provider, call, Ending::CANCELED);
            return None;
        }
    }
    match result {
        RingResult::Answered => {
            call.record_answer(false);
            show_status(provider, call, CallStatus::Answered);
        }
        RingResult::Machine => {
            call.record_answer(true);
            show_status(provider, call, CallStatus::Machine);
        }
        RingResult::Busy => end(provider, call, Ending::BUSY),
        RingResult::Rejected => end(provider, call, Ending::REJECTED),
        RingResult::NoAnswer => end(provider, call, Ending::NO_ANSWER),
        RingResult::Failed => end(provider, call, Ending::FAILED),
    }
    Some(result)
}

/// Speaks `text` on an answered call and returns when it has been spoken.
pub(super) async fn speak(provider: &Provider, call: &PlacedCall, text: &str) {
    let duration = speech::duration(text);
    let Some(code) = code_in(text).filter(|_| !call.is_machine()) else {
        return provider.speed.sleep(duration).await;
    };
    provider.speed.sleep(CODE_HEARD_AFTER).await;
    call.record_code_heard();
    if call.reaches_handset {
        provider.handsets.hear_code(&call.order.to, &call.uuid, &code);
    }
    provider.speed.sleep(duration.saturating_sub(CODE_HEARD_AFTER)).await;
}

/// Ends the call and reports the hangup, unless the call has ended before.
pub(super) fn end(provider: &Arc<Provider>, call: &PlacedCall, ending: Ending) {
    if !call.record_end(ending) {
        return;
    }
    // A call that a machine answered keeps the status `machine`.
    if !call.is_machine() {
        show_status(provider, call, ending.handset_status);
    }
    if let Some(target) = &call.order.on_hangup {
        provider.notify_detached(call.callback(target, "Hangup", ending.status));
    }
}

fn show_status(provider: &Provider, call: &PlacedCall, status: CallStatus) {
    if call.reaches_handset {
        provider.handsets.set_call_status(&call.order.to, &call.uuid, status);
    }
}
