//! What the compiler does not check: which way imports point, that the pure modules are pure, that README and
//! OpenAPI name what there is, and that files stay small enough to be read in one go.

#![allow(clippy::unwrap_used, reason = "a source that cannot be read fails the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use phlo_2fa::config::VARIABLES;
use phlo_2fa::http::openapi;
use serde_json::Value;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The modules from left to right, as `lib.rs` has them: nothing imports from its right.
const LAYERS: &[&[&str]] = &[
    &["time", "phone", "keyring"],
    &["prices"],
    &["route_model", "guard"],
    &["escalation"],
    &["verification"],
    &["store", "plivo", "config"],
    &["telemetry", "metrics"],
    &["learner"],
    &["engine"],
    &["http", "sandbox", "replay"],
    &["app", "doctor", "export"],
    &["cli"],
    &["main"],
];

/// Settings are read at the edges alone, whatever the layers allow.
const READ_SETTINGS: &[&str] = &["config", "telemetry", "http", "app", "doctor", "export", "cli", "main"];

/// Modules that know no clock, no chance, no socket and no store.
const PURE: &[&str] = &["time", "phone", "prices", "route_model", "escalation", "guard", "verification"];

const IMPURE: &[&str] = &[
    "async",
    "await",
    "tokio",
    "futures_util",
    "actix_web",
    "reqwest",
    "redis",
    "deadpool",
    "deadpool_redis",
    "tracing",
    "SystemTime",
    "Instant",
    "TcpStream",
    "UdpSocket",
    "Mutex",
    "println",
    "eprintln",
];
const IMPURE_PATHS: &[&str] = &["rand::rng(", "rand::random", "std::env", "std::fs", "std::io", "std::thread", "now()"];

const LINES_MAX: usize = 400;

/// Files that may be longer, and why.
const LONG: &[(&str, &str)] = &[];

#[test]
fn imports_point_to_the_left() {
    let layer = |module: &str| LAYERS.iter().position(|layer| layer.contains(&module));
    let mut wrong = Vec::new();
    for (path, code) in sources() {
        let module = module_of(&path);
        if module == "lib" {
            continue;
        }
        let own =
            layer(&module).unwrap_or_else(|| panic!("{module} has no place in the layers of tests/tidy.rs and lib.rs"));
        for import in imports(&code) {
            let Some(imported) = layer(&import) else { continue };
            let may_read = import != "config" || READ_SETTINGS.contains(&module.as_str());
            if imported > own || !may_read {
                wrong.push(format!("{} imports {import}", path.display()));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn every_module_has_its_layer_and_every_layer_its_modules() {
    let there: BTreeSet<String> = sources().iter().map(|(path, _)| module_of(path)).filter(|m| m != "lib").collect();
    let named = LAYERS.iter().flat_map(|layer| layer.iter().map(|module| (*module).to_owned())).collect();
    assert_eq!(there, named);
    let pure = BTreeSet::from_iter(PURE.iter().map(|module| (*module).to_owned()));
    assert!(pure.is_subset(&there));
}

#[test]
fn pure_modules_import_nothing_impure() {
    let mut wrong = Vec::new();
    for (path, code) in sources().into_iter().filter(|(path, _)| PURE.contains(&module_of(path).as_str())) {
        let words: BTreeSet<&str> = code.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
        let found = IMPURE.iter().filter(|word| words.contains(*word));
        let found = found.chain(IMPURE_PATHS.iter().filter(|name| code.contains(*name)));
        wrong.extend(found.map(|word| format!("{}: {word}", path.display())));
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn openapi_names_every_route_and_no_other() {
    let document = serde_json::to_value(openapi::document()).unwrap();
    let documented: BTreeMap<String, BTreeSet<String>> =
        document["paths"].as_object().unwrap().iter().map(|(path, item)| (path.clone(), methods(item))).collect();
    let routes = routes();
    // The page of the demo and the documents themselves are for eyes.
    let is_for_eyes = |path: &str| matches!(path, "/" | "/demo" | "/openapi.json") || path.starts_with("/docs");
    let served = routes.keys().filter(|path| !is_for_eyes(path));
    assert_eq!(served.collect::<Vec<_>>(), documented.keys().collect::<Vec<_>>());
    for (path, documented) in &documented {
        if path.starts_with("/plivo") {
            // Plivo may be told to use GET; the document has the method it uses by itself.
            assert!(documented.is_subset(&routes[path]), "{path}");
        } else {
            assert_eq!(documented, &routes[path], "{path}");
        }
    }
}

#[test]
fn a_route_allows_what_it_says_it_allows() {
    let code = squeezed(&fs::read_to_string(src().join("http/mod.rs")).unwrap());
    for route in code.split("at(\"").skip(1) {
        let route = route.split("app.service").next().unwrap();
        let (path, rest) = route.split_once("\",\"").unwrap();
        let (allow, handlers) = rest.split_once('"').unwrap();
        let handled =
            ["GET", "HEAD", "POST"].into_iter().filter(|m| handlers.contains(&format!("route({}()", m.to_lowercase())));
        assert_eq!(allow.split(',').collect::<Vec<_>>(), handled.collect::<Vec<_>>(), "{path}");
    }
}

#[test]
fn readme_names_every_variable() {
    let readme = fs::read_to_string(Path::new(ROOT).join("README.md"))
        .expect("README.md, which explains every variable of config::VARIABLES");
    let missing = VARIABLES.iter().map(|(name, ..)| *name).filter(|name| !readme.contains(&format!("`{name}`")));
    assert_eq!(missing.collect::<Vec<_>>(), Vec::<&str>::new(), "variables that README.md does not explain");
}

#[test]
fn security_names_tests_that_there_are() {
    let text = fs::read_to_string(Path::new(ROOT).join("SECURITY.md")).unwrap();
    let mut code: String = sources().into_iter().map(|(_, code)| code).collect();
    code += &below(Path::new(ROOT).join("tests"))
        .into_iter()
        .map(|path| fs::read_to_string(path).unwrap())
        .collect::<String>();
    let named = text
        .split('`')
        .filter(|word| word.matches('_').count() >= 3 && word.bytes().all(|b| b == b'_' || b.is_ascii_lowercase()));
    let named: BTreeSet<_> = named.collect();
    assert!(named.len() > 30, "where are the tests?");
    let missing = named.into_iter().filter(|name| !code.contains(&format!("fn {name}(")));
    assert_eq!(missing.collect::<Vec<_>>(), Vec::<&str>::new(), "tests that SECURITY.md names and that are none");
}

#[test]
fn files_can_be_read_in_one_go() {
    let mut long = BTreeSet::new();
    for (path, code) in sources() {
        if code.lines().count() > LINES_MAX {
            long.insert(path.to_string_lossy().replace('\\', "/"));
        }
    }
    let excused = BTreeSet::from_iter(LONG.iter().map(|(path, _)| (*path).to_owned()));
    assert_eq!(long, excused, "files over {LINES_MAX} lines; those that must be are listed here with the reason");
}

// ---- reading sources

fn src() -> PathBuf {
    Path::new(ROOT).join("src")
}

/// Every source below `src`, by its path from there, comments blanked.
fn sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for path in below(src()) {
        let code = fs::read_to_string(&path).unwrap();
        let code = code.lines().map(|line| if line.trim_start().starts_with("//") { "" } else { line });
        let code = code.collect::<Vec<_>>().join("\n");
        found.push((path.strip_prefix(src()).unwrap().to_owned(), code));
    }
    assert!(found.len() > 20, "where are the sources?");
    found.sort();
    found
}

/// The paths of all Rust files below a folder.
fn below(folder: PathBuf) -> Vec<PathBuf> {
    let (mut folders, mut found) = (vec![folder], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found
}

/// The first part of its path: `store` for `store/redis/pool.rs`.
fn module_of(path: &Path) -> String {
    let first = path.components().next().unwrap().as_os_str().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

/// The modules that a source names after `crate::` (the program's after `phlo_2fa::`).
fn imports(code: &str) -> BTreeSet<String> {
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
fn first_level(list: &str) -> Vec<&str> {
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

/// Path and methods of each route in `src/http/mod.rs`, as its own `at("/path", "GET, POST")` say.
fn routes() -> BTreeMap<String, BTreeSet<String>> {
    let code = squeezed(&fs::read_to_string(src().join("http/mod.rs")).unwrap());
    let mut found = BTreeMap::new();
    for route in code.split("at(\"").skip(1) {
        let (path, rest) = route.split_once("\",\"").expect("at(path, methods)");
        let (allow, _) = rest.split_once('"').unwrap();
        // HEAD is what GET would say, and needs no documentation of its own.
        let methods = allow.split(',').filter(|method| *method != "HEAD");
        found.insert(path.to_owned(), methods.map(str::to_owned).collect());
    }
    assert!(found.len() > 10, "where are the routes?");
    found
}

fn methods(item: &Value) -> BTreeSet<String> {
    let known = ["get", "post", "put", "patch", "delete", "head"];
    known.into_iter().filter(|method| item.get(method).is_some()).map(str::to_uppercase).collect()
}

fn squeezed(code: &str) -> String {
    code.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace(", ", ",")
        .replace("( ", "(")
        .replace(" )", ")")
        .replace("{ ", "{")
}
