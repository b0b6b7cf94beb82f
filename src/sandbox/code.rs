//! Finds the code in a text, as a person would who reads or hears it.

/// Our codes have six to nine digits; a customer's own code may be a little shorter or longer.
const DIGITS: std::ops::RangeInclusive<usize> = 4..=10;

/// The code in a text message or in spoken text.
///
/// Digits may stand apart (`482 913`, `4, 8, 2, 9, 1, 3`): blanks and light punctuation do not end a code, letters
/// do. Of several candidates the first with at least six digits wins, so that a brand such as `Shop2030` does not.
/// A code that is spoken twice in a row is one code.
pub(super) fn code_in(text: &str) -> Option<String> {
    let runs: Vec<String> = text.split(|c: char| !is_digit(c) && !is_separator(c)).filter_map(code_in_run).collect();
    let long = runs.iter().find(|run| run.len() >= 6);
    long.or(runs.first()).cloned()
}

fn is_digit(c: char) -> bool {
    c.is_ascii_digit()
}

fn is_separator(c: char) -> bool {
    c.is_whitespace() || matches!(c, ',' | '.' | '-' | '–' | '…' | ';')
}

/// A group that is long enough is the code by itself (`482913. 482913.`); shorter groups are joined.
fn code_in_run(run: &str) -> Option<String> {
    let mut groups = run.split(is_separator).filter(|group| !group.is_empty());
    if let Some(whole) = groups.clone().find(|group| DIGITS.contains(&group.len())) {
        return Some(whole.to_owned());
    }
    let mut joined: String = groups.by_ref().collect();
    let (first, second) = joined.split_at(joined.len() / 2);
    // The half must be a code by itself: `1 2 3 1 2 3` is one code of six digits.
    if first == second && DIGITS.contains(&first.len()) {
        joined.truncate(joined.len() / 2);
    }
    DIGITS.contains(&joined.len()).then_some(joined)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_found_however_it_is_written() {
        for (text, code) in [
            ("Your code is 482913. Valid for 5 minutes.", Some("482913")),
            ("482 913 is your Shop code", Some("482913")),
            ("Your code is 4, 8, 2, 9, 1, 3. Again: 4, 8, 2, 9, 1, 3.", Some("482913")),
            ("4 8 2 9 1 3   4 8 2 9 1 3", Some("482913")),
            ("482913 482913", Some("482913")),
            ("1 2 3 1 2 3", Some("123123")),
            ("Shop2030: 482913", Some("482913")),
            ("012345678", Some("012345678")),
            ("Your code is 4829", Some("4829")),
            ("<#> 042917 is your code\n@shop.example #042917", Some("042917")),
            ("Press 1 to hear your code.", None),
            ("", None),
        ] {
            assert_eq!(code_in(text).as_deref(), code, "{text:?}");
        }
    }
}
