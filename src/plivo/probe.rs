//! The mark on callbacks that `doctor` forges, so that the service refuses them without an alarm.
//!
//! Only a holder of an auth token can make one. It proves nothing about the callback, which stays refused. A client that copies a mark
//! can hide refused forgeries from the alert on them, and gains nothing else.

use uuid::Uuid;

use super::signature::{Tokens, sign};

/// The header that carries the mark.
pub const HEADER: &str = "X-Phlo-2fa-Probe";

/// A mark under an auth token.
pub fn mark(token: &str) -> String {
    let nonce = Uuid::new_v4().simple().to_string();
    let signature = sign(token, &payload(&nonce));
    format!("{nonce} {signature}")
}

/// Whether one of the tokens made this mark.
pub fn is_mark(tokens: &Tokens, text: &str) -> bool {
    text.split_once(' ').is_some_and(|(nonce, signature)| tokens.have_signed(&payload(nonce), signature))
}

/// No callback is signed as this: Plivo signs URLs.
fn payload(nonce: &str) -> String {
    format!("phlo-2fa doctor {nonce}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_token_of_the_account_makes_a_mark() {
        let tokens = Tokens::new(["one".to_owned().into(), "other".to_owned().into()], []);
        assert!(is_mark(&tokens, &mark("one")) && is_mark(&tokens, &mark("other")));
        assert!(!is_mark(&tokens, &mark("third")) && !is_mark(&tokens, &mark("")));
        let (nonce, signature) = mark("one").split_once(' ').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
        assert!(!is_mark(&tokens, &format!("x{nonce} {signature}")) && !is_mark(&tokens, &nonce));
    }
}
