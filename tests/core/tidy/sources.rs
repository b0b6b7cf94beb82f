//! Reading the sources.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

pub const ROOT: &str = env!("CARGO_MANIFEST_DIR");

pub fn src() -> PathBuf {
    Path::new(ROOT).join("src")
}

/// Every source below `src`, by its path from there, with comment lines blanked.
pub fn sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for path in files_below(&src(), &["rs"]) {
        let code = fs::read_to_string(&path).unwrap();
        let code = code.lines().map(|line| if line.trim_start().starts_with("//") { "" } else { line });
        let code = code.collect::<Vec<_>>().join("\n");
        found.push((path.strip_prefix(src()).unwrap().to_owned(), code));
    }
    assert!(found.len() > 20, "the sources were not found");
    found.sort();
    found
}

/// The paths of all files with one of these extensions below a folder.
pub fn files_below(folder: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    let (mut folders, mut found) = (vec![folder.to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let extension = path.extension().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                folders.push(path);
            } else if extensions.contains(&extension.as_str()) {
                found.push(path);
            }
        }
    }
    found
}

/// The first part of a path: `store` for `store/redis/pool.rs`.
pub fn module_of(path: &Path) -> String {
    let first = path.components().next().unwrap().as_os_str().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

/// The modules that a source names after `crate::` (the program's after `phlo_2fa::`).
pub fn imports(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let code = squeezed(code);
    for after in code.split("crate::").skip(1).chain(code.split("phlo_2fa::").skip(1)) {
        let listed = match after.strip_prefix('{') {
            Some(list) => first_level(list),
            None => vec![after],
        };
        for name in listed {
            let end = name.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(name.len());
            found.insert(name[..end].to_owned());
        }
    }
    found
}

/// The parts of a list in braces, up to the brace that closes it; inner lists are left whole.
pub fn first_level(list: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                parts.push(&list[start..at]);
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&list[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts
}

/// Code on one line, without the blanks that formatting adds.
pub fn squeezed(code: &str) -> String {
    code.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace(", ", ",")
        .replace("( ", "(")
        .replace(" )", ")")
        .replace("{ ", "{")
}
