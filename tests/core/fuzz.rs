//! Runs the targets of `fuzz/` without a fuzzer, on random bytes and on damaged valid input.

#[path = "../../fuzz/src/lib.rs"]
mod targets;

use phlo_2fa::escalation::Policy;
use phlo_2fa::phone::PhoneNumber;
use phlo_2fa::route_model::Insight;
use phlo_2fa::store::record;
use phlo_2fa::time::Timestamp;
use phlo_2fa::verification::{Code, Context, Details, Mode, Request, Rules, SessionIndex, VerificationId, open};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

const CASES: u32 = 3_000;

/// Fragments that are inserted into valid input.
const PIECES: &[&str] = &[
    "",
    "\0",
    "%",
    "%00",
    "%ff",
    "&",
    "=",
    "\"",
    "{",
    "}",
    "[",
    "\\u0000",
    "\\ud800",
    "+",
    "-1",
    "1e999",
    "\n",
    "\n\n",
    "\u{202e}",
    "\u{ff10}",
    "\u{0663}",
    "📞",
    "00000000000000000000000000000000",
    ";ext=5",
    "null",
];

/// A sample with a few fragments inserted, or random bytes.
fn damaged(samples: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![4 => select(PIECES).prop_map(|text| text.as_bytes().to_vec()), 1 => vec(any::<u8>(), 1..6)];
    let wrong = vec((any::<Index>(), 0..8usize, piece), 0..5);
    let mutated = (select(samples), wrong).prop_map(|(mut sample, wrong)| {
        for (at, length, piece) in wrong {
            let at = at.index(sample.len() + 1);
            let end = sample.len().min(at + length);
            sample.splice(at..end, piece);
        }
        sample
    });
    prop_oneof![3 => mutated, 1 => vec(any::<u8>(), 0..400)]
}

fn texts(samples: &[&str]) -> Vec<Vec<u8>> {
    samples.iter().map(|sample| sample.as_bytes().to_vec()).collect()
}

fn records() -> Vec<Vec<u8>> {
    let opened = |mode, policy: &str, locale: &str| {
        let request = Request {
            mode,
            policy: Some(policy.parse::<Policy>().unwrap()),
            details: Details { locale: locale.into(), ..Details::default() },
            ..Request::new(
                VerificationId::new(1, 2),
                "shop",
                PhoneNumber::parse("+14155550112").unwrap(),
                Code::parse("042917").unwrap(),
            )
        };
        let now = Timestamp::from_millis(1_700_000_000_000);
        let context = Context { now, insight: &Insight::default(), barred: &[], session: SessionIndex::FIRST };
        record::plain(&open(request, &Rules::default(), &context).after).unwrap()
    };
    vec![
        opened(Mode::Auto, "adaptive", "en-US"),
        opened(Mode::Call, "never", ""),
        opened(Mode::Sms, "fixed+fail:45", "de"),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_callback_makes_a_parser_panic(data in damaged(texts(&[
        "MessageUUID=0936ec98-7c4c-11ed-9bd8-0242ac110003&Status=delivered&ErrorCode=000&MCC=310&MNC=150&TotalAmount=0.0055",
        "CallUUID=x&CallStatus=completed&Event=Hangup&HangupCauseCode=4010&Duration=20&Machine=true&Digits=1",
        r#"{"ref":"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","event":"call_busy","cause":"USER_BUSY","call_uuid":"x"}"#,
        r#"{"MessageUUID":"x","Status":"undelivered","ErrorCode":30,"TotalAmount":0.00550}"#,
    ]))) {
        targets::callback(&data);
    }

    #[test]
    fn no_unsigned_request_is_accepted_and_none_panics(data in damaged(texts(&[
        "POST\nhttps://otp.example.test/plivo/message\n\n\n\nAAAA,BBBB\n\nnonce\nMessageUUID=x\nStatus=delivered",
        "GET\nhttps://otp.example.test/plivo/call/ref?a=b&c=d#e\nAAAA\nBBBB\nnonce\n\n\n\na=b",
    ]))) {
        targets::signature(&data);
    }

    #[test]
    fn every_accepted_number_has_one_spelling_and_none_panics(data in damaged(texts(&[
        "+14155550112", "+442079460000", "+919876543210", "+33612345678", "+819012345678", "tel:+14155550112", "0014155550112",
    ]))) {
        targets::phone(&data);
    }

    #[test]
    fn no_unsealed_record_is_decoded_and_none_panics(data in damaged(records())) {
        targets::record(&data);
    }
}
