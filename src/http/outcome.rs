//! From what the engine returns to what the client sees.

use std::sync::Arc;
use std::time::Duration;

use super::error::ApiError;
use super::state::Shared;
use super::user_message::Wording;
use super::view::VerificationView;
use crate::engine::{Applied, Found, Target};
use crate::verification::{Answer, AttemptStatus, Status, Verification};

/// How long a request waits for Plivo while requests to Plivo fail.
const WAIT_IN_OUTAGE: Duration = Duration::from_millis(500);

/// Turns a refusal of the event into a problem.
pub fn accepted(applied: Applied) -> Result<Applied, ApiError> {
    match applied.answer {
        Answer::Refused(refusal) => {
            Err(ApiError::from(refusal).worded(Wording::of_verification(&applied.verification)))
        }
        Answer::Noted | Answer::Correct | Answer::Incorrect | Answer::Repeated { .. } => Ok(applied),
    }
}

/// Waits for Plivo's answer to an attempt, at most `PLIVO_WAIT`.
///
/// # Errors
/// 502 when Plivo has left the verification without a channel.
pub async fn triggered(shared: &Shared, applied: Applied, is_async: bool) -> Result<Found, ApiError> {
    let Applied { verification, session, performance, .. } = applied;
    let is_failing = shared.plivo.is_failing(&verification.app, verification.mode.first_channel());
    let wait = if is_failing { shared.plivo_wait.min(WAIT_IN_OUTAGE) } else { shared.plivo_wait };
    let v = match performance {
        Some(performance) if !is_async => with_reports(shared, performance.settled(wait).await).await,
        _ => verification,
    };
    match v.attempts.iter().rev().find_map(|a| a.refused) {
        Some(status) if v.status() == Status::Undeliverable => {
            Err(ApiError::rejected_by_plivo(v.id_of(session), status).worded(Wording::of_verification(&v)))
        }
        _ => Ok(Found { verification: v, session }),
    }
}

/// Reads the verification again if Plivo did not answer in time: its reports may have arrived meanwhile.
async fn with_reports(shared: &Shared, v: Arc<Verification>) -> Arc<Verification> {
    let is_waiting = v.attempts.iter().any(|a| a.status == AttemptStatus::Triggering);
    let found = if is_waiting { shared.engine.read(Target::Proved(v.id)).await.ok() } else { None };
    found.map_or(v, |found| found.verification)
}

/// The verification as the client sees it now.
pub async fn view(shared: &Shared, found: &Found) -> Result<VerificationView, ApiError> {
    Ok(VerificationView::of(found, &shared.rules, shared.clock.now().await?))
}
