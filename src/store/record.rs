//! A verification as bytes: a format number, then fields and variants by their position, all of it sealed.
//!
//! Two versions of the service run side by side during a deployment. So a field or variant is only ever added at the end
//! of its type, a field with `#[serde(default)]`, and unknown fields are ignored. Another change of shape needs another
//! format number; once a version is released, the one before is still read.

use serde::Serialize;

use super::error::StoreError;
use super::records::StoredRecord;
use crate::keyring::Keyring;
use crate::verification::{Verification, VerificationId};

/// The number of the format. Records of format 1, whose checks and metadata were not of a session, and of the one before it
/// are not read: no version that wrote them was released.
const FORMAT: u8 = 2;

/// What a record usually needs, so that writing it allocates once.
const USUAL_SIZE: usize = 1024;

/// Seals a verification for the store.
///
/// # Errors
/// [`StoreError::Unreadable`] if it cannot be serialized, which no value of the type should cause.
pub fn encode(verification: &Verification, keys: &Keyring) -> Result<Vec<u8>, StoreError> {
    Ok(keys.seal(&plain(verification)?, &verification.id.to_bytes()))
}

/// Serializes a verification without sealing it.
///
/// # Errors
/// As for [`encode`].
pub fn plain(verification: &Verification) -> Result<Vec<u8>, StoreError> {
    let mut plain = Vec::with_capacity(USUAL_SIZE);
    plain.push(FORMAT);
    let mut writer = serde_brief::Serializer::new(plain).use_indices(true);
    verification.serialize(&mut writer).map_err(|_| StoreError::Unreadable("cannot be written"))?;
    Ok(writer.into_output())
}

/// Opens a stored verification.
///
/// # Errors
/// [`StoreError::Unreadable`] if it was sealed with another key, for another id, or is damaged.
pub fn decode(id: VerificationId, stored: &StoredRecord, keys: &Keyring) -> Result<Verification, StoreError> {
    let plain =
        keys.open(&stored.sealed, &id.to_bytes()).map_err(|_| StoreError::Unreadable("no SECRET_KEY opens it"))?;
    parse(id, &plain).ok_or(StoreError::Unreadable("is of a shape this version does not know"))
}

fn parse(id: VerificationId, plain: &[u8]) -> Option<Verification> {
    let rest = plain.strip_prefix(&[FORMAT])?;
    let verification: Verification = serde_brief::from_slice(rest).ok()?;
    // Nothing else looks for a first session that is not there.
    (!verification.sessions.is_empty()).then_some(Verification { id, ..verification })
}

/// Spends the time of one [`decode`] on a record that is not secret.
///
/// Without it the response time for an unknown id would differ from that for another app's id.
pub fn spend_decode_time(plain: &[u8], keys: &Keyring) {
    // Sealing takes as long as opening.
    let sealed = keys.seal(plain, &[]);
    std::hint::black_box((sealed, parse(VerificationId::default(), plain).is_some()));
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use base64::Engine;

    use super::*;
    use crate::phone::PhoneNumber;
    use crate::route_model::Insight;
    use crate::time::Timestamp;
    use crate::verification::{
        AttemptIndex, Channel, Code, Context, Event, Join, NewSession, ProviderId, ReportFacts, Request, Rules,
        SessionIndex, TextReport, TriggerOutcome, Via, decide, open,
    };

    /// A verification after each of its events.
    fn lives() -> Vec<Verification> {
        let (rules, insight) = (Rules::default(), Insight::default());
        let start = Timestamp::from_millis(1_700_000_000_000);
        let request = Request::new(
            VerificationId::new(7, 1 << 100),
            "shop",
            PhoneNumber::parse("+14155550112").unwrap(),
            Code::parse("042917").unwrap(),
        );
        let attempt = AttemptIndex::FIRST;
        let id = |is_linked| Some(ProviderId { uuid: "5b40a428-bfc7-4daf-9d06-726c558bf3b8".to_owned(), is_linked });
        let accepted = TriggerOutcome::Accepted { via: Via::Phlo, provider_id: id(true), run_id: None };
        let reported =
            |report| Event::TextReported { attempt, report, provider_id: id(true), facts: ReportFacts::default() };
        let code = |code| Event::CodeSubmitted(Code::parse(code).unwrap());
        let events = [
            Event::Triggered { attempt, outcome: accepted },
            reported(TextReport::Queued),
            reported(TextReport::Sent),
            code("111111"),
            code("222222"),
            code("333333"),
            reported(TextReport::Delivered),
            code("042917"),
        ];
        let context = |n: u64| Context {
            now: start + Duration::from_millis(700 * n),
            insight: &insight,
            barred: &[],
            session: SessionIndex::FIRST,
        };
        let mut lives = vec![open(request, &rules, &context(0)).after];
        for (n, event) in (1..).zip(events) {
            let after = decide(&lives[lives.len() - 1], &[event], &rules, &context(n)).after;
            lives.push(after);
        }
        let new = NewSession { id: VerificationId::new(7, 2 << 100), metadata: [("a".into(), "b".into())].into() };
        let join = Join { channel: Channel::Sms, is_test: false, code: None, session: Some(new) };
        let joined = decide(&lives[7], &[Event::Joined(join)], &rules, &context(9)).after;
        let verified = decide(&joined, &[code("042917")], &rules, &context(10)).after;
        lives.extend([joined, verified]);
        lives
    }

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        for v in lives() {
            assert_eq!(parse(v.id, &plain(&v).unwrap()), Some(v));
        }
        for damaged in [&b""[..], &[FORMAT], &[FORMAT, 17, 18], &[FORMAT + 1, 17, 18]] {
            assert_eq!(parse(VerificationId::default(), damaged), None);
        }
    }

    /// Fails when a field or variant has moved: add at the end, or give the format another number.
    #[test]
    fn records_that_were_written_before_are_read() {
        const WRITTEN: &str = include_str!("../../tests/data/records.txt");
        let read: Vec<_> = WRITTEN
            .lines()
            .map(|line| {
                let plain = base64::engine::general_purpose::STANDARD.decode(line).unwrap();
                parse(lives()[0].id, &plain).unwrap()
            })
            .collect();
        assert_eq!(read, lives());
    }

    #[test]
    fn records_are_small() {
        let size = |v: &Verification| plain(v).unwrap().len();
        let sizes: Vec<usize> = lives().iter().map(size).collect();
        let (created, pending, finished) = (sizes[0], sizes[7], sizes[8]);
        assert!(created <= 300 && pending <= 520 && finished <= 515, "{sizes:?}");
    }
}
