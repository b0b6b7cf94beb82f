//! The list of sent messages, which says whether a text was sent whose request was not answered.
//!
//! Source: plivo.com/docs/messaging/api/message/list-all-messages. Accounts may read it 20 times a minute.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::Plivo;
use super::client::{LookupResponse, is_id};
use crate::phone::PhoneNumber;
use crate::time::Timestamp;

/// How often this process reads the list within [`WINDOW`]: Plivo's limit. Replicas find by a 429 that they share it.
const READS_MAX: usize = 20;
const WINDOW: Duration = Duration::from_secs(60);
/// The largest page. More texts to one number within two minutes are not read.
const PAGE: usize = 20;

/// When this process has read the list lately.
#[derive(Debug, Default)]
pub(super) struct Reads(Mutex<VecDeque<Instant>>);

impl Reads {
    fn admit(&self, now: Instant) -> bool {
        let mut reads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while reads.front().is_some_and(|at| now.saturating_duration_since(*at) >= WINDOW) {
            reads.pop_front();
        }
        let is_admitted = reads.len() < READS_MAX;
        if is_admitted {
            reads.push_back(now);
        }
        is_admitted
    }

    /// Reads no more within the window, because other replicas have used the limit up.
    fn use_up(&self, now: Instant) {
        let mut reads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reads.clear();
        reads.resize(READS_MAX, now);
    }
}

impl Plivo {
    /// The UUIDs of the texts that were sent to a number since a moment, the newest first.
    ///
    /// `None` if the list could not be read, is not complete, or was read too often.
    pub async fn texts_since(&self, to: &PhoneNumber, since: Timestamp) -> Option<Vec<String>> {
        if !self.list_reads.admit(Instant::now()) {
            return None;
        }
        let since =
            jiff::Timestamp::from_millisecond(since.as_millis()).ok()?.strftime("%Y-%m-%d %H:%M:%S").to_string();
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("to_number", to.e164())
            .append_pair("message_direction", "outbound")
            .append_pair("message_time__gte", &since)
            .append_pair("limit", &PAGE.to_string())
            .finish();
        let LookupResponse { status, body, .. } =
            self.client.get(&format!("{}?{query}", self.client.account_url("Message/"))).await.ok()?;
        if status == 429 {
            self.list_reads.use_up(Instant::now());
        }
        if status == 200 { uuids(&body, to.e164(), &since) } else { None }
    }
}

/// The UUIDs in a page of the list. `None` if it shows texts to other numbers: then it was not filtered.
fn uuids(page: &Value, to: &str, since: &str) -> Option<Vec<String>> {
    let texts = page.get("objects")?.as_array()?;
    let is_whole = texts.len() < PAGE;
    let mut uuids = Vec::new();
    for text in texts {
        let is_ours = text.get("to_number")?.as_str()?.trim_start_matches('+') == to.trim_start_matches('+');
        let uuid = text.get("message_uuid")?.as_str().filter(|uuid| is_ours && is_id(uuid))?;
        let is_since = text.get("message_time").and_then(Value::as_str).is_none_or(|at| at >= since);
        uuids.extend(is_since.then(|| uuid.to_owned()));
    }
    is_whole.then_some(uuids)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const TO: &str = "+14155550100";
    const SINCE: &str = "2026-12-01 09:30:00";

    fn text(uuid: &str, to: &str, at: &str) -> Value {
        json!({ "message_uuid": uuid, "to_number": to, "message_time": at })
    }

    #[test]
    fn a_page_yields_the_texts_to_the_number_since_then() {
        let texts = [text("b", "14155550100", "2026-12-01 09:30:02+00:00"), text("a", TO, "2026-12-01 09:29:59+00:00")];
        assert_eq!(uuids(&json!({ "objects": texts }), TO, SINCE), Some(vec!["b".to_owned()]));
        assert_eq!(uuids(&json!({ "objects": [] }), TO, SINCE), Some(Vec::new()));
    }

    #[test]
    fn a_page_that_may_lack_texts_says_nothing() {
        let other = text("a", "14155550101", "2026-12-01 09:30:02+00:00");
        assert_eq!(uuids(&json!({ "objects": [other] }), TO, SINCE), None, "it is not filtered");
        let many = vec![text("a", TO, "2026-12-01 09:30:02+00:00"); PAGE];
        assert_eq!(uuids(&json!({ "objects": many }), TO, SINCE), None, "there may be a second page");
        for page in
            [json!({}), json!({ "objects": [{}] }), json!({ "objects": [text("../x", TO, SINCE)] }), Value::Null]
        {
            assert_eq!(uuids(&page, TO, SINCE), None, "{page}");
        }
    }

    #[test]
    fn the_list_is_read_as_often_as_plivo_allows() {
        let (reads, now) = (Reads::default(), Instant::now());
        assert_eq!((0..30).filter(|_| reads.admit(now)).count(), READS_MAX);
        assert!(reads.admit(now + WINDOW));
        reads.use_up(now + WINDOW);
        assert!(!reads.admit(now + WINDOW) && reads.admit(now + 2 * WINDOW));
    }
}
