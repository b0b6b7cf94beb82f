//! Writes `NAME=value` so that a shell, a `.env` file and Compose read the same value.

/// `NAME=value`, quoted where one of the three readers would change the value.
pub(super) fn assignment(name: &str, value: &str) -> String {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./:+,=@".contains(&b);
    if value.bytes().all(is_plain) {
        format!("{name}={value}")
    } else if !value.contains('\'') {
        format!("{name}='{value}'")
    } else {
        let escaped: String =
            value.chars().flat_map(|c| "\\\"$`".contains(c).then_some('\\').into_iter().chain([c])).collect();
        format!("{name}=\"{escaped}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_read_back_as_it_was() {
        for value in
            ["", "c2VjcmV0+/==", "Example Shop", r#"{"en":{"text":"{code} is"}}"#, "a#b", "$HOME", r#"it's "$1"\"#]
        {
            let line = assignment("NAME", value);
            let read: Vec<_> = dotenvy::from_read_iter(line.as_bytes()).map(Result::unwrap).collect();
            assert_eq!(read, [("NAME".to_owned(), value.to_owned())], "{line}");
            let shell = std::process::Command::new("sh").args(["-c", &format!("{line}; printf %s \"$NAME\"")]).output();
            assert_eq!(String::from_utf8(shell.unwrap().stdout).unwrap(), value, "{line}");
        }
    }
}
