//! Warnings about variables that look like settings and are not: misspelt ones, and planned ones.

use strsim::damerau_levenshtein;

use super::variables::{IN_FILES, VARIABLES};

/// Planned settings. An operator who sets one relies on it, so it is warned about.
const NOT_READ_YET: &[&str] = &["CONSOLE_KEY"];

/// Prefixes that only this service uses: an unknown variable is misspelt, or planned.
const OUR_PREFIXES: &[&str] = &["PLIVO_", "PHLO_", "LIMIT_", "COST_", "WEBHOOK_"];

/// One warning for each name that is not read, but looks like a setting. Values are never shown.
pub(super) fn warnings<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    names.into_iter().filter(|name| !settings().any(|setting| setting == *name)).filter_map(warning).collect()
}

fn warning(name: &str) -> Option<String> {
    if let Some(setting) = nearest(name).filter(|_| !NOT_READ_YET.contains(&name)) {
        return Some(format!("{name} is set, but is no setting: did you mean {setting}?"));
    }
    let is_ours = NOT_READ_YET.contains(&name) || OUR_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    is_ours.then(|| format!("{name} is set, but this version does not read it"))
}

/// The setting that a name is probably a misspelling of: in other case, or a few letters off.
fn nearest(name: &str) -> Option<String> {
    let name = name.to_ascii_uppercase();
    let distances = settings().map(|setting| (damerau_levenshtein(&name, &setting), setting));
    let (distance, setting) = distances.min_by_key(|(distance, _)| *distance)?;
    (distance <= letters_off(&setting)).then_some(setting)
}

/// Few for a short name, which is close to words that other programs use: `KIND` is not `BIND`.
fn letters_off(setting: &str) -> usize {
    match setting.len() {
        0..=4 => 0,
        5..=7 => 1,
        length => (length / 4).min(3),
    }
}

/// The name of every variable that is read.
fn settings() -> impl Iterator<Item = String> {
    let files = IN_FILES.iter().map(|name| format!("{name}_FILE"));
    VARIABLES.iter().map(|(name, ..)| (*name).to_owned()).chain(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_setting_is_named_with_its_nearest_spelling() {
        for (name, setting) in [
            ("CODE_LENGHT", "CODE_LENGTH"),
            ("ESCALTION", "ESCALATION"),
            ("code_length", "CODE_LENGTH"),
            ("bind", "BIND"),
            ("GAURD", "GUARD"),
            ("API_KEY", "API_KEYS"),
            ("REDIS_URI", "REDIS_URL"),
            ("LIMIT_NUMBR", "LIMIT_NUMBER"),
            ("PLIVO_AUTHTOKEN", "PLIVO_AUTH_TOKEN"),
            ("SECRET_KEY_FLE", "SECRET_KEY_FILE"),
            ("QUIETHOURS", "QUIET_HOURS"),
            ("TRUSTED_PROXY", "TRUSTED_PROXIES"),
        ] {
            assert_eq!(warnings([name]), [format!("{name} is set, but is no setting: did you mean {setting}?")]);
        }
        for name in ["CONSOLE_KEY", "LIMIT_SOMETHING_ELSE"] {
            assert_eq!(warnings([name]), [format!("{name} is set, but this version does not read it")]);
        }
    }

    #[test]
    fn settings_and_other_programs_variables_are_not_warned_about() {
        let others = "PATH HOME LANG TERM PWD USER SHELL KIND PORT HOST BRANCH BOARD COUNTRY RUST_LOG HTTP_PROXY no_proxy \
            HOSTNAME LOGNAME CARGO_HOME SECRET REDIS_HOST AWS_SECRET_KEY CI DEBUG TOKEN KUBERNETES_SERVICE_HOST";
        assert_eq!(warnings(others.split_whitespace()), Vec::<String>::new());
        let own: Vec<String> = settings().collect();
        assert_eq!(warnings(own.iter().map(String::as_str)), Vec::<String>::new());
    }
}
