//! The parsers of untrusted bytes: requests to the service, and records in the store. On any input they must not panic,
//! and what they accept must satisfy the same assertions as good input.

use phlo_2fa::keyring::Keyring;
use phlo_2fa::phone::PhoneNumber;
use phlo_2fa::plivo::callback::{AnswerCallback, CallCallback, Params, PhloCallback, TextCallback};
use phlo_2fa::plivo::reference::{self, Purpose};
use phlo_2fa::plivo::signature::{self, Proof, SignatureError, SignatureHeaders, SignedRequest, Tokens};
use phlo_2fa::store::{StoredRecord, record};
use phlo_2fa::verification::VerificationId;
use secrecy::SecretSlice;

/// A callback's body, parsed as a form and as JSON into every kind of callback, and as a ref.
pub fn callback(data: &[u8]) {
    for params in [Some(Params::from_form(data)), Params::from_json(data)].into_iter().flatten() {
        let text = TextCallback::read(&params);
        let call = CallCallback::read(&params);
        let answer = AnswerCallback::read(&params);
        let phlo = PhloCallback::read(&params);
        // What is kept of them stands in the store's keys.
        let ids = [text.message_uuid, call.request_uuid, answer.call_uuid];
        assert!(
            ids.into_iter().flatten().chain(call.uuids).all(|id| !id.is_empty() && id.len() <= 64),
            "an id too long"
        );
        let _ = phlo.event;
    }
    let text = String::from_utf8_lossy(data);
    for purpose in [Purpose::Phlo, Purpose::Message, Purpose::Call, Purpose::Answer, Purpose::Client] {
        assert_eq!(reference::read(&keys(), &text, purpose), None, "accepted without a signature");
    }
}

/// A request's signature: the parts are lines.
pub fn signature(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.split('\n');
    let mut line = || lines.next().unwrap_or_default();
    let (method, url) = (line(), line());
    let headers = [line(), line(), line(), line(), line(), line()].map(|value| (!value.is_empty()).then_some(value));
    let [v2, ma_v2, v2_nonce, v3, ma_v3, v3_nonce] = headers;
    let params: Vec<_> = lines.map(|line| line.split_once('=').unwrap_or((line, ""))).collect();
    let params: Vec<_> = params.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    let tokens = Tokens::new(["a-token".into(), "another".into()], ["the-main-one".into()]);
    let request = SignedRequest { method, url, params: &params };
    let headers = SignatureHeaders { v2, ma_v2, v2_nonce, v3, ma_v3, v3_nonce };
    assert!(signature::verify(&tokens, headers, request).is_err(), "accepted without a signature");
    // Any request is accepted once it is signed, unless its nonce may hold a part of the payload.
    let nonce = v3_nonce.unwrap_or("n");
    let signed = signature::sign("another", &signature::v3_payload(method, url, &params, nonce));
    let headers = SignatureHeaders { v3: Some(&signed), v3_nonce: Some(nonce), ..SignatureHeaders::default() };
    let expected = if nonce.contains('.') { Err(SignatureError::ImproperNonce) } else { Ok(Proof::V3) };
    assert_eq!(signature::verify(&tokens, headers, request), expected);
}

/// A number.
pub fn phone(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for number in [PhoneNumber::parse(&text), PhoneNumber::fictional(&text)].into_iter().flatten() {
        let digits = number.e164().strip_prefix('+').expect("a plus");
        assert!(
            (7..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0')
        );
        assert_eq!(number.e164(), text, "one spelling");
        assert!(!number.to_string().contains(&digits[..digits.len() - 2]), "masked");
    }
}

/// A record as the store holds it, and the plain bytes of a valid seal.
pub fn record(data: &[u8]) {
    let (keys, id) = (keys(), VerificationId::new(1, 2));
    let stored = |sealed| StoredRecord { sealed, revision: 1 };
    assert!(record::decode(id, &stored(data.to_vec()), &keys).is_err(), "an unsealed record is decoded");
    if let Ok(v) = record::decode(id, &stored(keys.seal(data, &id.to_bytes())), &keys) {
        let again = record::encode(&v, &keys).expect("what can be read can be written");
        assert!(record::decode(v.id, &stored(again), &keys).expect("and read again") == v);
    }
}

fn keys() -> Keyring {
    Keyring::new(&SecretSlice::from(vec![7; 32]), &[SecretSlice::from(vec![8; 32])])
}
