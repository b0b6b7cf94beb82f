//! What the compiler does not check: the direction of imports, the purity of the core, the size and words of files,
//! and that the pages and OpenAPI name everything.

mod circles;
mod docs;
mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use phlo_2fa::http::{openapi, twilio};
use serde_json::Value;
use sources::{ROOT, files_below, imports, module_of, sources, squeezed, src};

/// The modules from left to right, as `lib.rs` has them: nothing imports from its right.
const LAYERS: &[&[&str]] = &[
    &["time", "phone", "keyring", "per_thread"],
    &["prices"],
    &["route_model", "guard"],
    &["escalation"],
    &["verification"],
    &["store", "plivo", "webhook", "config"],
    &["telemetry", "metrics"],
    &["learner", "pacing"],
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

const LINES_MAX: usize = 300;

/// Files that may be longer, and why.
const LONG: &[(&str, &str)] = &[];

/// Words that name no actor. Written in halves, so that this list does not forbid itself.
const VAGUE: &[(&str, &str)] = &[("no", "body"), ("who", "ever"), ("some", "body"), ("any", "body")];

#[test]
fn imports_point_to_the_left() {
    let layer = |module: &str| LAYERS.iter().position(|layer| layer.contains(&module));
    let mut wrong = Vec::new();
    for (path, code) in sources() {
        let module = module_of(&path);
        if module == "lib" {
            continue;
        }
        let own = layer(&module)
            .unwrap_or_else(|| panic!("{module} has no place in the layers of tests/core/tidy and lib.rs"));
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
    // Twilio's API has a document of its own, as Plivo's callbacks have.
    let twilio = serde_json::to_value(twilio::document()).unwrap();
    let documents = [openapi::document(), openapi::callbacks(), twilio];
    let paths = documents.iter().flat_map(|document| document["paths"].as_object().unwrap());
    let documented: BTreeMap<String, BTreeSet<String>> =
        paths.map(|(path, item)| (path.clone(), methods(item))).collect();
    let routes = routes();
    // The demo's page, the widget and the documentation are not part of the documented API.
    let is_undocumented = |path: &str| {
        matches!(path, "/" | "/demo" | "/demo/forget" | "/widget.js")
            || path.starts_with("/openapi")
            || path.starts_with("/docs")
    };
    let served = routes.keys().filter(|path| !is_undocumented(path));
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
    // A callback's route names its handler once, and `fn callback` gives it both methods.
    let callback = code.split("fn callback<").nth(1).and_then(|rest| rest.split('}').next()).unwrap();
    assert!(callback.contains("route(get()") && callback.contains("route(post()"), "{callback}");
    let code = code.replace("callback(at(\"", "at(\"callback:");
    for route in code.split("at(\"").skip(1) {
        let route = route.split("app.service").next().unwrap();
        let (path, rest) = route.split_once("\",\"").unwrap();
        let (allow, handlers) = rest.split_once('"').unwrap();
        let is_handled = |method: &&str| match path.strip_prefix("callback:") {
            Some(_) => ["GET", "POST"].contains(method),
            None => handlers.contains(&format!("route({}()", method.to_lowercase())),
        };
        let handled = ["GET", "HEAD", "POST"].into_iter().filter(is_handled);
        assert_eq!(allow.split(',').collect::<Vec<_>>(), handled.collect::<Vec<_>>(), "{path}");
    }
}

#[test]
fn security_names_tests_that_there_are() {
    let text = fs::read_to_string(Path::new(ROOT).join("SECURITY.md")).unwrap();
    let mut code: String = sources().into_iter().map(|(_, code)| code).collect();
    code += &files_below(&Path::new(ROOT).join("tests"), &["rs"])
        .into_iter()
        .map(|path| fs::read_to_string(path).unwrap())
        .collect::<String>();
    let named = text
        .split('`')
        .filter(|word| word.matches('_').count() >= 3 && word.bytes().all(|b| b == b'_' || b.is_ascii_lowercase()));
    let named: BTreeSet<_> = named.collect();
    assert!(named.len() > 30, "the names of the tests were not found");
    let missing = named.into_iter().filter(|name| !code.contains(&format!("fn {name}(")));
    assert_eq!(missing.collect::<Vec<_>>(), Vec::<&str>::new(), "tests that SECURITY.md names and that are none");
}

#[test]
fn files_hold_one_idea() {
    let mut long = BTreeSet::new();
    for (path, code) in sources() {
        if code.lines().count() > LINES_MAX {
            long.insert(path.to_string_lossy().replace('\\', "/"));
        }
    }
    let excused = BTreeSet::from_iter(LONG.iter().map(|(path, _)| (*path).to_owned()));
    assert_eq!(long, excused, "files over {LINES_MAX} lines; those that must be are listed here with the reason");
}

#[test]
fn files_import_each_other_in_no_circle() {
    assert_eq!(circles::circles(), Vec::<Vec<String>>::new());
}

#[test]
fn public_types_have_one_name_each() {
    let mut files_of: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (path, code) in sources() {
        for line in code.lines().map(str::trim_start) {
            let Some((kind, rest)) = line.strip_prefix("pub ").and_then(|rest| rest.split_once(' ')) else { continue };
            if matches!(kind, "struct" | "enum" | "trait" | "type" | "union") {
                let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
                files_of.entry(rest[..end].to_owned()).or_default().push(path.display().to_string());
            }
        }
    }
    assert!(files_of.len() > 100, "the public types were not found");
    files_of.retain(|_, files| files.len() > 1);
    assert_eq!(files_of, BTreeMap::new(), "one public type name, one meaning");
}

#[test]
fn sentences_name_who_acts() {
    let vague: Vec<String> = VAGUE.iter().map(|(first, second)| format!("{first}{second}")).collect();
    let mut wrong = Vec::new();
    for folder in ["src", "tests", "benches", "fuzz", "scripts", "phlo", "docs"] {
        for path in files_below(&Path::new(ROOT).join(folder), &["rs", "lua", "py", "md", "html", "toml", ""]) {
            if path.components().any(|part| part.as_os_str() == "target") {
                continue;
            }
            let Ok(text) = fs::read_to_string(&path) else { continue };
            for (line, text) in text.lines().enumerate() {
                let lower = text.to_lowercase();
                if let Some(word) = vague.iter().find(|word| lower.contains(word.as_str())) {
                    wrong.push(format!("{}:{}: {word}", path.strip_prefix(ROOT).unwrap().display(), line + 1));
                }
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new(), "name the client, the replica, the setting");
}

// ---- the routes

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
    assert!(found.len() > 10, "the routes were not found");
    found
}

fn methods(item: &Value) -> BTreeSet<String> {
    let known = ["get", "post", "put", "patch", "delete", "head"];
    known.into_iter().filter(|method| item.get(method).is_some()).map(str::to_uppercase).collect()
}
