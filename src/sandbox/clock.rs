//! The local Plivo's clock, and the formats in which it writes a moment.

use serde::Serializer;

use crate::time::Timestamp;

#[expect(clippy::disallowed_methods, reason = "Plivo is another party: it does not share the store's clock")]
pub(super) fn now() -> Timestamp {
    Timestamp::from_millis(jiff::Timestamp::now().as_millisecond())
}

/// The format of callbacks: `YYYY-mm-dd HH:MM:SS.ffffff`, in UTC.
pub(super) fn callback_time(at: Timestamp) -> String {
    formatted(at, "%Y-%m-%d %H:%M:%S%.6f")
}

/// The format of API records, to the second and with the zone.
/// Source: plivo-python, fixtures `messageGetResponse.json` and `callGetResponse.json`.
pub(super) fn record_time(at: Timestamp) -> String {
    formatted(at, "%Y-%m-%d %H:%M:%S+00:00")
}

fn formatted(at: Timestamp, format: &str) -> String {
    jiff::Timestamp::from_millisecond(at.as_millis()).map(|at| at.strftime(format).to_string()).unwrap_or_default()
}

/// The format of the control routes, for `#[serde(serialize_with)]`.
pub(super) fn rfc3339<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(at)
}
