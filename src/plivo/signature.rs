//! Plivo's callback signatures, V2 and V3: computes and verifies them.
//!
//! The signed strings are public functions, because the local Plivo signs with them and the vectors in
//! `tests/data/signatures.json` check them. This module remembers no nonces: neither version has a time stamp, so the
//! caller must reject repeated nonces. It takes the configured public URL instead of a URL from the request, which a proxy
//! or a forged `Host` could change.
//!
//! V2 covers neither query nor body. [`verify`] returns the version, so that a caller can refuse V2 where it is too weak.
//!
//! Sources: plivo-python `plivo/utils/signature_v3.py`, plivo-node `v3Security.js`, plivo-go `utils.go`;
//! plivo.com/docs/voice/concepts/signature-validation, …/messaging/concepts/signature-validation.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};
use url::form_urlencoded;

/// The string that V2 signs: scheme, authority and path as written, then the nonce.
pub fn v2_payload(url: &str, nonce: &str) -> String {
    format!("{}{nonce}", split(url).0)
}

/// The string that V3 signs.
///
/// The URL without query, the sorted query as `k=v&k=v`, the sorted body parameters as `kvkv` without separators, and the
/// nonce. A GET has no body: its `params` count as query, except for keys that the query contains. `{ab: c}` and `{a: bc}`
/// give the same string, so a signature does not prove where a key ends.
pub fn v3_payload(method: &str, url: &str, params: &[(String, String)], nonce: &str) -> String {
    let (base, query) = split(url);
    let mut query: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let mut body: Vec<(String, String)> = Vec::new();
    if method.eq_ignore_ascii_case("GET") {
        let more: Vec<_> = params.iter().filter(|(key, _)| query.iter().all(|(known, _)| known != key)).collect();
        query.extend(more.into_iter().cloned());
    } else {
        body.extend_from_slice(params);
    }
    query.sort_unstable();
    body.sort_unstable();

    let mut payload = base.to_owned();
    if !query.is_empty() || !body.is_empty() {
        payload.push('?');
    }
    for (i, (key, value)) in query.iter().enumerate() {
        payload.extend([if i == 0 { "" } else { "&" }, key, "=", value]);
    }
    if !query.is_empty() && !body.is_empty() {
        payload.push('.');
    }
    for (key, value) in &body {
        payload.extend([key.as_str(), value]);
    }
    payload.extend([".", nonce]);
    payload
}

/// The value of a signature header: base64 of HMAC-SHA256 under an auth token.
pub fn sign(token: &str, payload: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(token.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(payload.as_bytes());
    BASE64.encode(mac.finalize().into_bytes())
}

/// The auth tokens that may have signed a callback; several during a rotation.
#[derive(Clone, Debug, Default)]
pub struct Tokens {
    account: Vec<SecretString>,
    main: Vec<SecretString>,
}

impl Tokens {
    /// Takes the tokens of the sending account, and of its main account if it is a subaccount.
    ///
    /// Leaves out empty tokens, with which any client could sign.
    pub fn new(account: impl IntoIterator<Item = SecretString>, main: impl IntoIterator<Item = SecretString>) -> Self {
        let usable = |token: &SecretString| !token.expose_secret().is_empty();
        Self { account: account.into_iter().filter(usable).collect(), main: main.into_iter().filter(usable).collect() }
    }

    /// Whether the account has signed this payload. Every token is compared, in constant time.
    pub fn have_signed(&self, payload: &str, signature: &str) -> bool {
        let signed = |token: &SecretString| any_equal(&sign(token.expose_secret(), payload), &[signature]);
        bool::from(self.account.iter().fold(Choice::from(0), |found, token| found | signed(token)))
    }
}

/// The signature headers of a request.
#[derive(Clone, Copy, Debug, Default)]
pub struct SignatureHeaders<'a> {
    /// `X-Plivo-Signature-V2`
    pub v2: Option<&'a str>,
    /// `X-Plivo-Signature-Ma-V2`
    pub ma_v2: Option<&'a str>,
    /// `X-Plivo-Signature-V2-Nonce`
    pub v2_nonce: Option<&'a str>,
    /// `X-Plivo-Signature-V3`
    pub v3: Option<&'a str>,
    /// `X-Plivo-Signature-Ma-V3`
    pub ma_v3: Option<&'a str>,
    /// `X-Plivo-Signature-V3-Nonce`
    pub v3_nonce: Option<&'a str>,
}

impl<'a> SignatureHeaders<'a> {
    /// Reads them with `header`, which must ignore the case of names.
    pub fn read(mut header: impl FnMut(&'static str) -> Option<&'a str>) -> Self {
        Self {
            v2: header("X-Plivo-Signature-V2"),
            ma_v2: header("X-Plivo-Signature-Ma-V2"),
            v2_nonce: header("X-Plivo-Signature-V2-Nonce"),
            v3: header("X-Plivo-Signature-V3"),
            ma_v3: header("X-Plivo-Signature-Ma-V3"),
            v3_nonce: header("X-Plivo-Signature-V3-Nonce"),
        }
    }

    /// Whether there is any signature.
    pub fn has_signature(&self) -> bool {
        self.v2.or(self.ma_v2).or(self.v3).or(self.ma_v3).is_some()
    }
}

/// The parts of a request that a signature covers.
#[derive(Clone, Copy, Debug)]
pub struct SignedRequest<'a> {
    /// The HTTP method.
    pub method: &'a str,
    /// The public URL as configured at Plivo, with the received query.
    pub url: &'a str,
    /// The decoded form parameters of the body, repeated keys included. Empty for a GET.
    pub params: &'a [(String, String)],
}

/// The version of a valid signature, and so what it proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Only scheme, host, path and nonce.
    V2,
    /// Also query and body.
    V3,
}

/// Why a request proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// There is no signature.
    #[error("no signature")]
    Missing,
    /// A signature without a nonce.
    #[error("no nonce")]
    NoNonce,
    /// A nonce with a dot, so that it may contain a part of the signed words.
    #[error("nonce with a dot")]
    ImproperNonce,
    /// No known token made any of the signatures over this request.
    #[error("no matching signature")]
    Mismatch,
}

/// Verifies a request's signatures.
///
/// If any V3 header is present, only V3 is checked: V2 proves less. Plain headers are signed by the (sub)account that owns
/// the request, `Ma-` headers by its main account. A main account is its own main account, so its tokens count for both.
///
/// A V3 nonce must not contain a dot, because the last dot separates the words from the nonce. Otherwise an
/// attacker could cut the words of a known callback at a dot, pass the rest as a fresh nonce, and keep the signature.
///
/// Every token is compared with every signature, in constant time.
///
/// # Errors
/// [`SignatureError`], for logs; the sender gets 401 for all of them.
pub fn verify(
    tokens: &Tokens,
    headers: SignatureHeaders<'_>,
    request: SignedRequest<'_>,
) -> Result<Proof, SignatureError> {
    let (proof, payload, plain, ma) = if headers.v3.or(headers.ma_v3).or(headers.v3_nonce).is_some() {
        let nonce = nonce(headers.v3_nonce)?;
        if nonce.contains('.') {
            return Err(SignatureError::ImproperNonce);
        }
        let payload = v3_payload(request.method, request.url, request.params, nonce);
        (Proof::V3, payload, listed(headers.v3), listed(headers.ma_v3))
    } else if headers.v2.or(headers.ma_v2).or(headers.v2_nonce).is_some() {
        let payload = v2_payload(request.url, nonce(headers.v2_nonce)?);
        (Proof::V2, payload, Vec::from_iter(headers.v2), Vec::from_iter(headers.ma_v2))
    } else {
        return Err(SignatureError::Missing);
    };
    let mut found = Choice::from(0);
    for token in &tokens.account {
        let expected = sign(token.expose_secret(), &payload);
        found |= any_equal(&expected, &plain) | any_equal(&expected, &ma);
    }
    for token in &tokens.main {
        found |= any_equal(&sign(token.expose_secret(), &payload), &ma);
    }
    if bool::from(found) { Ok(proof) } else { Err(SignatureError::Mismatch) }
}

fn nonce(header: Option<&str>) -> Result<&str, SignatureError> {
    header.filter(|nonce| !nonce.is_empty()).ok_or(SignatureError::NoNonce)
}

/// A V3 header may contain several comma-separated signatures, one per live token; one match suffices.
fn listed(header: Option<&str>) -> Vec<&str> {
    header.map(|list| list.split(',').map(str::trim).collect()).unwrap_or_default()
}

fn any_equal(expected: &str, given: &[&str]) -> Choice {
    given.iter().fold(Choice::from(0), |found, one| found | expected.as_bytes().ct_eq(one.as_bytes()))
}

/// The URL up to its query, and the query; the fragment is dropped.
fn split(url: &str) -> (&str, &str) {
    let url = url.split_once('#').map_or(url, |(before, _)| before);
    url.split_once('?').unwrap_or((url, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://otp.example.test/plivo/call/r_1";

    fn tokens() -> Tokens {
        Tokens::new(["new".into(), "old".into()], ["main".into()])
    }

    fn check(headers: SignatureHeaders<'_>) -> Result<Proof, SignatureError> {
        verify(&tokens(), headers, SignedRequest { method: "POST", url: URL, params: &[] })
    }

    #[test]
    fn every_live_token_is_accepted_and_the_main_token_only_in_the_main_header() {
        let signed = |token| sign(token, &v3_payload("POST", URL, &[], "n"));
        let (new, old, main) = (signed("new"), signed("old"), signed("main"));
        let list = format!("AAAA , {old} ");
        let plain = |v3| check(SignatureHeaders { v3: Some(v3), v3_nonce: Some("n"), ..Default::default() });
        let ma = |ma_v3| check(SignatureHeaders { ma_v3: Some(ma_v3), v3_nonce: Some("n"), ..Default::default() });
        assert_eq!([plain(&new), plain(&old), ma(&new), ma(&main)], [Ok(Proof::V3); 4]);
        assert_eq!(plain(&main), Err(SignatureError::Mismatch));
        assert_eq!(plain(&list), Ok(Proof::V3));
        assert_eq!(plain(""), Err(SignatureError::Mismatch));
    }

    #[test]
    fn words_cannot_be_cut_at_a_dot_for_another_nonce() {
        let words = [("Duration".to_owned(), "12".to_owned()), ("TotalAmount".to_owned(), "0.0085".to_owned())];
        let (cut, rest) = ([words[0].clone(), ("TotalAmount".to_owned(), "0".to_owned())], "0085.123");
        let signature = sign("new", &v3_payload("POST", URL, &words, "123"));
        assert_eq!(signature, sign("new", &v3_payload("POST", URL, &cut, rest)), "the two sign alike");
        let sent = |params, nonce| {
            let headers = SignatureHeaders { v3: Some(&signature), v3_nonce: Some(nonce), ..Default::default() };
            verify(&tokens(), headers, SignedRequest { method: "POST", url: URL, params })
        };
        assert_eq!(sent(&words, "123"), Ok(Proof::V3));
        assert_eq!(sent(&cut, rest), Err(SignatureError::ImproperNonce));
    }

    #[test]
    fn a_valid_v2_signature_never_replaces_an_invalid_v3_one() {
        let v2 = sign("new", &v2_payload(URL, "n"));
        let good = SignatureHeaders { v2: Some(&v2), v2_nonce: Some("n"), ..Default::default() };
        assert_eq!(check(good), Ok(Proof::V2));
        assert_eq!(check(SignatureHeaders { v3_nonce: Some("n"), ..good }), Err(SignatureError::Mismatch));
        assert_eq!(check(SignatureHeaders { v3_nonce: Some(""), ..good }), Err(SignatureError::NoNonce));
        assert_eq!(check(SignatureHeaders { v3: Some("x"), ..good }), Err(SignatureError::NoNonce));
        let twice = format!("{v2},{v2}");
        assert_eq!(check(SignatureHeaders { v2: Some(&twice), ..good }), Err(SignatureError::Mismatch));
    }

    #[test]
    fn without_a_signature_a_nonce_and_a_token_nothing_is_proved() {
        assert_eq!(check(SignatureHeaders::default()), Err(SignatureError::Missing));
        let v2 = sign("new", &v2_payload(URL, ""));
        let empty_nonce = SignatureHeaders { v2: Some(&v2), v2_nonce: Some(""), ..Default::default() };
        assert_eq!(check(empty_nonce), Err(SignatureError::NoNonce));
        let by_empty_token = sign("", &v2_payload(URL, "n"));
        let headers = SignatureHeaders { v2: Some(&by_empty_token), v2_nonce: Some("n"), ..Default::default() };
        let request = SignedRequest { method: "POST", url: URL, params: &[] };
        let empty = Tokens::new([String::new().into()], [String::new().into()]);
        assert_eq!(verify(&empty, headers, request), Err(SignatureError::Mismatch));
    }

    #[test]
    fn parameters_of_a_get_give_the_same_string_in_the_query_and_beside_it() {
        let params = [("b".to_owned(), "2".to_owned()), ("a".to_owned(), "1".to_owned())];
        let beside = v3_payload("GET", "https://h/x", &params, "n");
        assert_eq!(beside, "https://h/x?a=1&b=2.n");
        assert_eq!(v3_payload("get", "https://h/x?b=2&a=1", &params, "n"), beside);
        assert_eq!(v3_payload("GET", "https://h/x?b=&a#rc=2?", &[], "n"), "https://h/x?a=&b=.n");
        assert_eq!(v3_payload("POST", "https://h/x?", &[], "n"), "https://h/x.n");
    }
}
