//! Import cycles: an edge leads from a file to the file that defines an imported name.

use std::collections::{BTreeMap, BTreeSet};

use super::sources::{first_level, sources, squeezed};

type Module = Vec<String>;

/// Every circle of files, each as the sorted list of its modules. A face (`mod.rs`) re-exports and is no part of one.
pub fn circles() -> Vec<Vec<String>> {
    let arrows = arrows();
    let mut circles = BTreeSet::new();
    for start in arrows.keys() {
        let reached = reachable(&arrows, start);
        if reached.contains(start) {
            let back = reached.iter().filter(|module| reachable(&arrows, module).contains(start));
            circles.insert(back.map(|module| module.join("::")).collect::<Vec<_>>());
        }
    }
    circles.into_iter().collect()
}

fn reachable(arrows: &BTreeMap<Module, BTreeSet<Module>>, start: &Module) -> BTreeSet<Module> {
    let (mut open, mut reached) = (vec![start], BTreeSet::new());
    while let Some(module) = open.pop() {
        for next in arrows.get(module).into_iter().flatten() {
            if reached.insert(next.clone()) {
                open.push(next);
            }
        }
    }
    reached
}

fn arrows() -> BTreeMap<Module, BTreeSet<Module>> {
    let mut files = BTreeMap::new();
    for (path, code) in sources() {
        let path = path.to_string_lossy().replace('\\', "/");
        if path.ends_with("tests.rs") || path.contains("/tests/") || matches!(path.as_str(), "lib.rs" | "main.rs") {
            continue;
        }
        // What a test module imports leads nowhere in the program.
        let code = code.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned();
        let is_face = path.ends_with("/mod.rs");
        let module: Module =
            path.trim_end_matches(".rs").split('/').filter(|part| *part != "mod").map(str::to_owned).collect();
        files.insert(module, (is_face, squeezed(&code)));
    }
    // What a face re-exports: (face, name) -> path.
    let mut exports: BTreeMap<(Module, String), Module> = BTreeMap::new();
    for (module, (_, code)) in files.iter().filter(|(_, (is_face, _))| *is_face) {
        for path in uses(code).iter().filter_map(|path| absolute(path, module, true, &files)) {
            if let Some((target, name)) = target(&path, &files).filter(|(target, _)| target != module) {
                exports.insert((module.clone(), name), target);
            }
        }
    }
    let mut arrows: BTreeMap<Module, BTreeSet<Module>> = BTreeMap::new();
    for (module, (_, code)) in files.iter().filter(|(_, (is_face, _))| !*is_face) {
        for path in uses(code).iter().filter_map(|path| absolute(path, module, false, &files)) {
            let Some((mut to, name)) = target(&path, &files) else { continue };
            if let Some(exported) = exports.get(&(to.clone(), name)) {
                to = exported.clone();
            }
            if to != *module && !files[&to].0 {
                arrows.entry(module.clone()).or_default().insert(to);
            }
        }
    }
    arrows
}

/// The paths of all `use` declarations, with their lists expanded.
fn uses(code: &str) -> Vec<Vec<String>> {
    let declarations = code.split("use ").skip(1).filter_map(|rest| rest.split_once(';'));
    declarations.flat_map(|(path, _)| expand(path)).map(|path| path.split("::").map(str::to_owned).collect()).collect()
}

fn expand(path: &str) -> Vec<String> {
    let path = path.trim();
    let Some((head, list)) = path.split_once('{') else {
        return vec![path.split(" as ").next().unwrap_or_default().trim().to_owned()];
    };
    first_level(list).into_iter().flat_map(expand).map(|part| format!("{head}{part}")).collect()
}

/// A path from the root of the crate; `None` for another crate's.
fn absolute(
    path: &[String],
    module: &Module,
    is_face: bool,
    files: &BTreeMap<Module, (bool, String)>,
) -> Option<Vec<String>> {
    let (first, rest) = path.split_first()?;
    match first.as_str() {
        "crate" => Some(rest.to_vec()),
        "self" => Some([module, rest].concat()),
        "super" => {
            let ups = path.iter().take_while(|part| *part == "super").count();
            Some([&module[..module.len().checked_sub(ups)?], &path[ups..]].concat())
        }
        child if is_face && files.contains_key(&[&module[..], &[child.to_owned()]].concat()) => {
            Some([module, path].concat())
        }
        _ => None,
    }
}

/// The file that a path leads to, and the first name after it.
fn target(path: &[String], files: &BTreeMap<Module, (bool, String)>) -> Option<(Module, String)> {
    (1..=path.len())
        .rev()
        .find(|length| files.contains_key(&path[..*length]))
        .map(|length| (path[..length].to_vec(), path.get(length).cloned().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_use_list_expands_to_its_paths() {
        let code = squeezed("use super::a::{self, B, c::{D, E as F}};");
        let paths: Vec<_> = uses(&code).iter().map(|path| path.join("::")).collect();
        assert_eq!(paths, ["super::a::self", "super::a::B", "super::a::c::D", "super::a::c::E"]);
    }
}
