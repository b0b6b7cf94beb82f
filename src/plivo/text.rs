//! The finished message, as it stands on the handset.

use crate::verification::Code;
use crate::verification::state::Details;

/// The text that carries a code, in English.
///
/// Its last line is what phones look for to fill the code in: WebOTP's `@origin #code`, or the hash that
/// Android's SMS Retriever wants at the very end.
pub fn message(code: &Code, brand: Option<&str>, details: &Details) -> String {
    let digits = code.reveal();
    let mut text = match brand {
        Some(brand) => format!("{digits} is your {brand} verification code. Do not share it with anyone."),
        None => format!("{digits} is your verification code. Do not share it with anyone."),
    };
    if let Some(origin) = &details.web_origin {
        text.push_str(&format!("\n\n@{origin} #{digits}"));
    } else if let Some(hash) = &details.app_hash {
        text.push_str(&format!("\n\n{hash}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_comes_first_and_what_phones_look_for_last() {
        let code = Code::parse("042917").unwrap();
        let mut details = Details::default();
        let text = message(&code, Some("Acme"), &details);
        assert_eq!(text, "042917 is your Acme verification code. Do not share it with anyone.");
        details.app_hash = Some("FA+9qCX9VSu".into());
        assert!(message(&code, None, &details).ends_with("\n\nFA+9qCX9VSu"));
        details.web_origin = Some("shop.example".into());
        assert!(message(&code, None, &details).ends_with("\n\n@shop.example #042917"));
    }
}
