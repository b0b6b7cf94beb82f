mod apps;
mod demo;
mod faults;
mod reading;
mod values;

use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};

use super::{Config, ConfigErrors};

const KEY: &str = "c2VhbHMtY29kZXMtYW5kLXNpZ25zLXJlZnMtYWxsLWRheQ";

/// The required settings, and a callback secret, so that there is no warning.
fn required() -> Vec<(String, String)> {
    pairs(&[
        ("PLIVO_AUTH_ID", "MAEXAMPLE0000000000X"),
        ("PLIVO_AUTH_TOKEN", "token"),
        ("PLIVO_NUMBER", "+14155550100"),
        ("PHLO_ID", "2b1c7f0e-0000-4000-8000-000000000001"),
        ("PUBLIC_URL", "https://otp.example.com/2fa/"),
        ("CALLBACK_SECRET", "a-secret-of-twenty-characters"),
        ("API_KEYS", "shop:0123456789abcdef0123"),
        ("SECRET_KEY", KEY),
    ])
}

fn serve(set: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    Config::serve(required().into_iter().chain(pairs(set)))
}

fn faults(set: &[(&str, &str)]) -> Vec<String> {
    serve(set).unwrap_err().0.into_iter().map(|fault| fault.variable).collect()
}

fn pairs(set: &[(&str, &str)]) -> Vec<(String, String)> {
    set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn exposed(secrets: &[SecretString]) -> Vec<&str> {
    secrets.iter().map(ExposeSecret::expose_secret).collect()
}

/// A temporary file that is removed with the test.
struct File(PathBuf);

impl File {
    fn with(text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("phlo-2fa-{}", uuid::Uuid::new_v4()));
        std::fs::write(&path, text).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
