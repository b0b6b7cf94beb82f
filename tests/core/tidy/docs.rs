//! The pages: the README is short, every link leads somewhere, and the pages name what the code has.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use actix_web::http::StatusCode;
use phlo_2fa::config::VARIABLES;

use super::routes;
use super::sources::{ROOT, files_below, src};

/// Words of the README at most.
const README_WORDS_MAX: usize = 900;
/// Pages outside `docs`.
const OTHER_PAGES: [&str; 5] = ["README.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md", "phlo/README.md"];
/// Routes that `docs/legacy.md` explains, and pages of the demo.
const NOT_IN_API: [&str; 7] = [
    "/",
    "/demo",
    "/demo/forget",
    "/verify/{number}",
    "/verify_voice/{number}",
    "/checkcode/{number}/{code}",
    "/docs/{file:.*}",
];

fn page(path: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(path)).unwrap_or_else(|why| panic!("{path}: {why}"))
}

/// Every page, by its path.
fn pages() -> Vec<PathBuf> {
    let mut pages = files_below(&Path::new(ROOT).join("docs"), &["md"]);
    pages.extend(OTHER_PAGES.map(|path| Path::new(ROOT).join(path)));
    pages
}

/// The lines of a page outside its fenced code blocks.
fn prose(page: &str) -> Vec<&str> {
    let mut is_code = false;
    let mut lines = page.lines().collect::<Vec<_>>();
    lines.retain(|line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_fence && !is_code
    });
    assert!(!is_code, "a code block has no end");
    lines
}

/// Words are what blanks separate, outside fenced code blocks.
#[test]
fn the_readme_is_short() {
    let readme = page("README.md");
    let words = prose(&readme).iter().flat_map(|line| line.split_whitespace()).count();
    assert!((300..=README_WORDS_MAX).contains(&words), "README.md has {words} words");
}

#[test]
fn every_link_leads_somewhere() {
    let (mut wrong, mut followed) = (Vec::new(), 0);
    for path in pages() {
        let text = fs::read_to_string(&path).unwrap();
        for line in prose(&text) {
            for link in line.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
                if link.contains("://") || link.starts_with("mailto:") {
                    continue;
                }
                followed += 1;
                let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
                let target = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
                let is_there = match fs::read_to_string(&target) {
                    Ok(page) => anchor.is_empty() || anchors(&page).contains(anchor),
                    // An image is no text.
                    Err(_) => target.is_file() && anchor.is_empty(),
                };
                if !is_there {
                    wrong.push(format!("{}: {link}", path.strip_prefix(ROOT).unwrap().display()));
                }
            }
        }
    }
    assert!(followed > 50, "the links were not found");
    assert_eq!(wrong, Vec::<String>::new(), "links that lead nowhere");
}

/// The anchors of a page's headings, as GitHub makes them.
fn anchors(page: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for heading in prose(page).into_iter().filter(|line| line.starts_with('#')) {
        let kept = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = kept.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        let anchor: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
        let twin = (1..).map(|n| format!("{anchor}-{n}")).find(|twin| !found.contains(twin));
        let is_new = found.insert(anchor);
        found.extend(twin.filter(|_| !is_new));
    }
    found
}

#[test]
fn the_index_has_every_page() {
    let index = page("docs/README.md");
    let pages = files_below(&Path::new(ROOT).join("docs"), &["md"]);
    let names =
        pages.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).filter(|name| *name != "README.md");
    let missing: Vec<&str> = names.filter(|name| !index.contains(&format!("]({name})"))).collect();
    assert_eq!(missing, Vec::<&str>::new(), "pages that docs/README.md does not list");
}

/// Each example can be copied alone, so each has a page of its own.
#[test]
fn the_web_examples_show_one_page() {
    let [flask, fastapi, express] = ["flask", "fastapi", "express"].map(|of| page(&format!("examples/{of}/page.html")));
    assert!(flask == fastapi && fastapi == express);
}

#[test]
fn settings_explains_every_variable() {
    let text = page("docs/settings.md");
    let missing = VARIABLES.iter().map(|(name, ..)| *name).filter(|name| !text.contains(&format!("`{name}`")));
    assert_eq!(missing.collect::<Vec<_>>(), Vec::<&str>::new(), "variables that docs/settings.md does not explain");
}

#[test]
fn errors_explains_every_code_with_its_status() {
    let (page, table) = (page("docs/errors.md"), fs::read_to_string(src().join("http/error_code.rs")).unwrap());
    let statuses: Vec<StatusCode> = (400..=599).filter_map(|code| StatusCode::from_u16(code).ok()).collect();
    let rows = table.lines().filter_map(|line| line.trim().strip_prefix("Self::")?.split_once(" => (S::"));
    let mut missing = Vec::new();
    let mut seen = 0;
    for (variant, rest) in rows {
        let constant = rest.split(',').next().unwrap();
        let named = |status: &&StatusCode| {
            status.canonical_reason().is_some_and(|reason| reason.to_uppercase().replace([' ', '-'], "_") == constant)
        };
        let status = statuses.iter().find(named).unwrap_or_else(|| panic!("{constant} is no status"));
        let row = format!("| `{}` | {} | ", snake_case(variant), status.as_u16());
        seen += 1;
        if !page.contains(&row) {
            missing.push(row);
        }
    }
    assert!(seen > 25, "the table of error codes was not found");
    assert_eq!(missing, Vec::<String>::new(), "rows that docs/errors.md does not have");
}

fn snake_case(variant: &str) -> String {
    let mut name = String::new();
    for c in variant.chars() {
        if c.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.extend(c.to_lowercase());
    }
    name
}

#[test]
fn api_has_every_route() {
    let text = page("docs/api.md");
    let routes = routes();
    let missing = routes.keys().filter(|path| !NOT_IN_API.contains(&path.as_str()) && !text.contains(path.as_str()));
    assert_eq!(missing.collect::<Vec<_>>(), Vec::<&String>::new(), "routes that docs/api.md does not have");
}

#[test]
fn operate_names_every_metric_and_only_events_that_there_are() {
    let files = files_below(&src().join("metrics"), &["rs"]).into_iter().chain([src().join("metrics.rs")]);
    let metrics: String = files.map(|path| fs::read_to_string(path).unwrap()).collect();
    let squeezed = metrics.split_whitespace().collect::<String>();
    let registered = squeezed.split("register(\"").chain(squeezed.split("encode_descriptor(\"")).skip(1);
    let registered: BTreeSet<&str> = registered.filter_map(|rest| rest.split('"').next()).filter(is_name).collect();
    assert!(registered.len() > 12, "the metrics were not found: {registered:?}");

    let operate = page("docs/operate.md");
    for text in [&operate, &page("deploy/alerts.yml"), &page("deploy/dashboard.json")] {
        for rest in text.split("phlo2fa_").skip(1) {
            let name = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap();
            let is_registered = ["", "_total", "_count", "_bucket", "_sum"]
                .iter()
                .any(|suffix| name.strip_suffix(suffix).is_some_and(|name| registered.contains(name)));
            assert!(is_registered, "phlo2fa_{name} is no metric");
        }
    }
    let missing = registered.iter().filter(|name| !operate.contains(&format!("phlo2fa_{name}")));
    assert_eq!(missing.collect::<Vec<_>>(), Vec::<&&str>::new(), "metrics that docs/operate.md does not have");

    let code: String = files_below(&src(), &["rs"]).iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    let events = section(&operate, "## Log events").lines().filter(|line| line.starts_with("| `"));
    let events = events.filter_map(|line| line.split('|').nth(1)).flat_map(|cell| cell.split('`').skip(1).step_by(2));
    let events: Vec<&str> = events.collect();
    assert!(events.len() > 20, "the events were not found");
    let unknown = events.into_iter().filter(|event| !code.contains(&format!("event = \"{event}\"")));
    assert_eq!(unknown.collect::<Vec<_>>(), Vec::<&str>::new(), "events that are not logged");
}

#[test]
fn deploy_quotes_the_life_of_every_key() {
    let table = phlo_2fa::store::lives::KeyLife::table();
    assert!(page("docs/deploy.md").contains(&table), "docs/deploy.md lacks this table:\n{table}");
}

fn is_name(text: &&str) -> bool {
    text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}

/// The part of a page from a heading to the next one of its level.
fn section<'a>(page: &'a str, heading: &str) -> &'a str {
    let from = page.split_once(&format!("{heading}\n")).unwrap_or_else(|| panic!("{heading} is missing")).1;
    from.split("\n## ").next().unwrap()
}

#[test]
fn the_files_of_a_deployment_set_only_variables_that_there_are() {
    let known: BTreeSet<&str> = VARIABLES.iter().map(|(name, ..)| *name).collect();
    let mut found = 0;
    for path in files_below(&Path::new(ROOT).join("deploy"), &["yml", "service"]) {
        for line in fs::read_to_string(&path).unwrap().lines() {
            let line = line.trim().trim_start_matches("Environment=");
            let Some((name, _)) = line.split_once([':', '=']) else { continue };
            let is_variable = name.contains('_') && name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
            if is_variable {
                found += 1;
                let is_known =
                    known.contains(name) || name.strip_suffix("_FILE").is_some_and(|name| known.contains(name));
                assert!(is_known, "{}: {name} is no setting", path.display());
            }
        }
    }
    assert!(found > 10, "the settings were not found");
}
