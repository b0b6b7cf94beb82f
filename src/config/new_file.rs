//! The settings file that `init` writes: `.env.example` with fresh secrets and a person's answers in place.
//!
//! One text is the example, the documentation of the file and its template, so none of them can lag behind.

use std::collections::BTreeMap;

use super::assignment::assignment;
use super::faults::Checked;
use super::{check, fresh};

const TEMPLATE: &str = include_str!("../../.env.example");
/// The app of the fresh API key.
const APP: &str = "app";

/// A setting that only the person who sets the service up knows.
pub struct Question {
    /// The variable.
    pub variable: &'static str,
    /// What to ask, in a line.
    pub text: &'static str,
    /// Whether the answer is a secret, which must not be shown.
    pub is_secret: bool,
    /// Whether the service starts without an answer.
    pub is_optional: bool,
    rule: fn(&str) -> Checked<()>,
}

impl Question {
    /// Checks an answer as the start of the service does.
    ///
    /// # Errors
    /// What is wrong, worded to follow the variable's name. It never contains the answer.
    pub fn check(&self, answer: &str) -> Result<(), String> {
        (self.rule)(answer)
    }
}

/// The questions, in the order of the file.
pub const QUESTIONS: &[Question] = &[
    Question {
        variable: "PLIVO_AUTH_ID",
        text: "Auth ID, from the overview of Plivo's console",
        is_secret: false,
        is_optional: false,
        rule: |text| check::word(text).map(drop),
    },
    Question {
        variable: "PLIVO_AUTH_TOKEN",
        text: "Auth Token, from the same page (not shown)",
        is_secret: true,
        is_optional: false,
        rule: |text| check::secrets(text).map(drop),
    },
    Question {
        variable: "PLIVO_NUMBER",
        text: "your Plivo number for texts and calls, such as +14155550123",
        is_secret: false,
        is_optional: false,
        rule: |text| check::number(text).map(drop),
    },
    Question {
        variable: "PHLO_ID",
        text: "id of your 2FA PHLO; Enter for none: the Message and Call APIs are used",
        is_secret: false,
        is_optional: true,
        rule: |text| check::word(text).map(drop),
    },
    Question {
        variable: "PUBLIC_URL",
        text: "https URL at which Plivo reaches the service, such as https://verify.example.com",
        is_secret: false,
        is_optional: false,
        rule: |text| check::public_url(text).map(drop),
    },
];

/// The secrets that [`settings_file`] makes.
pub const FRESH_SECRETS: [&str; 4] = ["CALLBACK_SECRET", "API_KEYS", "SECRET_KEY", "WEBHOOK_SECRETS"];

/// The text of a complete settings file, with secrets that are made for it.
///
/// A required setting without an answer stays a comment below the line `# To fill in:`.
pub fn settings_file(answers: &BTreeMap<&'static str, String>) -> String {
    let secrets = FRESH_SECRETS.map(|name| {
        let secret = match name {
            "API_KEYS" => format!("{APP}:{}", fresh::token()),
            "SECRET_KEY" => fresh::key(),
            "WEBHOOK_SECRETS" => fresh::webhook_secret(),
            _ => fresh::token(),
        };
        (name, secret)
    });
    let given = |name: &str| {
        let fresh = secrets.iter().find(|(known, _)| *known == name).map(|(_, secret)| secret);
        answers.get(name).or(fresh)
    };
    let mut file = String::new();
    for line in TEMPLATE.lines() {
        let name = line.strip_prefix('#').and_then(|rest| rest.split_once('=')).map_or("", |(name, _)| name);
        match given(name) {
            Some(value) => file += &assignment(name, value),
            None if QUESTIONS.iter().any(|question| question.variable == name && !question.is_optional) => {
                file += "# To fill in:\n";
                file += line;
            }
            None => file += line,
        }
        file.push('\n');
    }
    file
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;
    use secrecy::ExposeSecret;

    fn read(file: &str) -> Vec<(String, String)> {
        dotenvy::from_read_iter(file.as_bytes()).map(Result::unwrap).collect()
    }

    fn answers() -> BTreeMap<&'static str, String> {
        let given = [
            ("PLIVO_AUTH_ID", "MAEXAMPLE0000000000X"),
            ("PLIVO_AUTH_TOKEN", "it's #1 $token"),
            ("PLIVO_NUMBER", "+14155550123"),
            ("PHLO_ID", check::PHLO_ID_EXAMPLE),
            ("PUBLIC_URL", "https://verify.example.com"),
        ];
        given.map(|(name, value)| (name, value.replace(' ', "-"))).into()
    }

    #[test]
    fn a_file_with_all_answers_is_complete_and_without_warnings() {
        let file = settings_file(&answers());
        let config = Config::serve(read(&file)).unwrap();
        assert_eq!(config.warnings(), Vec::<String>::new());
        assert_eq!(config.plivo_auth_tokens[0].expose_secret(), "it's-#1-$token");
        assert_eq!((config.api_keys[0].app.as_str(), config.callback_secrets.len()), ("app", 1));
        assert_eq!((config.webhook_secrets.len(), file.contains("To fill in")), (1, false));
    }

    #[test]
    fn a_file_without_answers_lacks_only_what_a_person_knows() {
        let file = settings_file(&BTreeMap::new());
        let faults = Config::serve(read(&file)).unwrap_err().0;
        let missing: Vec<&str> = faults.iter().map(|fault| fault.variable.as_str()).collect();
        let required = QUESTIONS.iter().filter(|question| !question.is_optional).map(|question| question.variable);
        assert_eq!(missing, required.collect::<Vec<_>>());
        assert_eq!(file.matches("# To fill in:\n#").count(), missing.len());
        assert!(Config::demo(read(&file)).is_ok());
    }

    #[test]
    fn each_file_has_secrets_of_its_own() {
        let [one, other] = [(), ()].map(|()| read(&settings_file(&BTreeMap::new())));
        let names: Vec<&str> = one.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, FRESH_SECRETS);
        assert!(one.iter().zip(&other).all(|(one, other)| one.0 == other.0 && one.1 != other.1));
    }

    #[test]
    fn an_answer_is_checked_as_at_the_start() {
        let check = |name: &str, answer: &str| {
            QUESTIONS.iter().find(|question| question.variable == name).unwrap().check(answer)
        };
        assert_eq!(check("PLIVO_NUMBER", "+14155550123"), Ok(()));
        assert!(check("PLIVO_NUMBER", "4155550123").is_err() && check("PUBLIC_URL", "verify.example.com").is_err());
    }
}
