//! The id that names one request in answers, problems and logs.
//!
//! It is a task-local, so that a problem carries it without every function passing it on. A client's own id is used
//! only if it can stand in a log: it must not be able to hold a phone number or a code.

use actix_web::dev::ServiceRequest;
use actix_web::http::header::HeaderName;
use tracing::Instrument;

/// The header that carries it, in both directions.
pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");

const LENGTH_MAX: usize = 64;
/// Digits of the shortest phone numbers.
const NUMBER_MIN: usize = 7;

tokio::task_local! {
    static REQUEST_ID: String;
}

/// The id of the request being answered; empty outside of one.
pub fn request_id() -> String {
    REQUEST_ID.try_with(Clone::clone).unwrap_or_default()
}

/// Runs `work` as the answer to the request `id`.
pub async fn scope<W: Future>(id: String, work: W) -> W::Output {
    REQUEST_ID.scope(id, work).await
}

/// Keeps the current request's id and log span for work that outlives the request.
pub fn inherit<W: Future>(work: W) -> impl Future<Output = W::Output> {
    scope(request_id(), work).in_current_span()
}

/// The client's own id if it can stand in a log, else a new one.
pub fn choose(request: &ServiceRequest) -> String {
    let given = request.headers().get(HEADER).and_then(|id| id.to_str().ok()).filter(|id| is_loggable(id));
    given.map_or_else(|| uuid::Uuid::new_v4().to_string(), str::to_owned)
}

fn is_loggable(id: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || is_separator(b);
    id.len() <= LENGTH_MAX && id.bytes().all(is_plain) && !may_hold_a_number(id)
}

fn is_separator(b: u8) -> bool {
    matches!(b, b'-' | b'_' | b'.')
}

/// Whether the id may contain a phone number or a code: it has no letters, or as many digits in a row as a number,
/// however they are grouped. Long hexadecimal ids, such as UUIDs and trace ids, have such rows by chance.
fn may_hold_a_number(id: &str) -> bool {
    let bare: Vec<u8> = id.bytes().filter(|b| !is_separator(*b)).collect();
    let letters = bare.iter().filter(|b| b.is_ascii_alphabetic()).count();
    let is_random = bare.len() >= 32 && letters >= 4 && bare.iter().all(u8::is_ascii_hexdigit);
    let longest = bare.split(|b| !b.is_ascii_digit()).map(<[u8]>::len).max().unwrap_or(0);
    letters == 0 || !is_random && longest >= NUMBER_MIN
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_may_hold_a_number_is_refused_and_a_random_one_is_not() {
        for given in [
            "order-17_a.b",
            "1c9f5a30-4f0e-4c1b-9d3e-4155209100ab",
            "4bf92f3577b34da6a3ce929d0e0e4736",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "01ARZ3NDEKTSV4RRFFQ69G5FAV",
        ] {
            assert!(is_loggable(given), "{given}");
        }
        for number in [
            "",
            "-",
            "042917",
            "04-29.17",
            "14155550112",
            "1-415-555-0112",
            "1.415_555.0112",
            "u14155550112",
            "to-1-415-555-0112-b",
            "555-0112x",
            "00000000-0000-0000-0000-014155550112",
            "a0000000-0000-0000-0000-014155550112",
        ] {
            assert!(may_hold_a_number(number), "{number}");
        }
    }
}
