//! Checks signatures against vectors recorded from Plivo's own SDKs.

use phlo_2fa::plivo::signature::{SignatureHeaders, SignedRequest, Tokens, v2_payload, v3_payload, verify};
use serde::Deserialize;

#[test]
fn every_signature_vector_verifies_as_the_file_says() {
    let file: VectorFile =
        serde_json::from_str(include_str!("../data/signatures.json")).expect("the vectors have the expected shape");
    assert!(!file.vectors.is_empty());
    for v in &file.vectors {
        let params = v.pairs();
        let nonce_header = format!("X-Plivo-Signature-{}-Nonce", v.version);
        let headers = SignatureHeaders::read(|name| match name {
            _ if name.eq_ignore_ascii_case(&v.header) => Some(v.signature.as_str()),
            _ if name.eq_ignore_ascii_case(&nonce_header) => v.nonce.as_deref(),
            _ => None,
        });
        // A vector has one token; the main account's signs a Ma- header.
        let token = || [v.auth_token.clone().into()];
        let tokens = if v.header.contains("-Ma-") { Tokens::new([], token()) } else { Tokens::new(token(), []) };
        let request = SignedRequest { method: &v.method, url: &v.url, params: &params };
        let outcome = verify(&tokens, headers, request);
        assert_eq!(outcome.is_ok(), v.valid, "{}: {outcome:?}", v.name);

        if let (true, Some(signed), Some(nonce)) = (v.valid, &v.signed_string, &v.nonce) {
            let payload = match v.version.as_str() {
                "V2" => v2_payload(&v.url, nonce),
                _ => v3_payload(&v.method, &v.url, &params, nonce),
            };
            assert_eq!(&payload, signed, "{}", v.name);
        }
    }
}

#[derive(Deserialize)]
struct VectorFile {
    vectors: Vec<Vector>,
}

/// The file's `fields` entry explains these.
#[derive(Deserialize)]
struct Vector {
    name: String,
    version: String,
    method: String,
    url: String,
    params: serde_json::Map<String, serde_json::Value>,
    nonce: Option<String>,
    auth_token: String,
    header: String,
    signature: String,
    valid: bool,
    signed_string: Option<String>,
}

impl Vector {
    /// An array stands for a repeated key.
    fn pairs(&self) -> Vec<(String, String)> {
        let text = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let values = |value: &serde_json::Value| match value {
            serde_json::Value::Array(many) => many.iter().map(text).collect(),
            one => vec![text(one)],
        };
        self.params.iter().flat_map(|(key, value)| values(value).into_iter().map(|v| (key.clone(), v))).collect()
    }
}
