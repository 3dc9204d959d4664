//! The house itself: which crate may lean on what, and words that must not stand in it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The plan of `ARCHITECTURE.md`: a crate, the workspace crates it may lean on, and the
/// outside crates it must not name.
const PLAN: [(&str, &[&str], &[&str]); 5] = [
    ("meter", &[], &["tauri", "rusqlite", "reqwest", "tokio", "hyper", "axum", "hyper-util"]),
    ("gateway", &["meter"], &["tauri", "rusqlite"]),
    ("store", &["meter"], &["tauri", "reqwest", "tokio", "hyper", "axum", "hyper-util", "http"]),
    ("api", &["meter", "store"], &["tauri", "rusqlite", "reqwest"]),
    ("tollgate", &["meter", "gateway", "store", "api"], &["rusqlite"]),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn metadata() -> Value {
    let arguments = ["metadata", "--format-version", "1", "--no-deps", "--offline"];
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(root()).output();
    serde_json::from_slice(&output.expect("cargo runs").stdout).expect("JSON")
}

/// Names that a package depends on outside its tests.
fn dependencies(package: &Value) -> BTreeSet<String> {
    let all = package["dependencies"].as_array().expect("a list");
    let built = all.iter().filter(|d| d["kind"] != "dev");
    built.map(|d| d["name"].as_str().expect("a name").to_owned()).collect()
}

#[test]
fn crates_lean_only_on_what_the_plan_allows() {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().expect("a list");
    let ours: Vec<&str> = packages.iter().filter_map(|p| p["name"].as_str()).collect();
    for (name, may, must_not) in PLAN {
        let package = packages.iter().find(|p| p["name"] == name).expect("a crate of the plan");
        for dependency in dependencies(package) {
            let allowed = !ours.contains(&&*dependency) || may.contains(&&*dependency);
            assert!(allowed, "{name} leans on {dependency}, against the plan");
            assert!(!must_not.contains(&&*dependency), "{name} must never know {dependency}");
        }
    }
}

#[test]
fn every_package_is_in_the_plan_or_in_the_tests() {
    let metadata = metadata();
    for package in metadata["packages"].as_array().expect("a list") {
        let (name, manifest) = (package["name"].as_str(), package["manifest_path"].as_str());
        let planned = PLAN.iter().any(|(known, ..)| Some(*known) == name);
        let in_tests =
            manifest.is_some_and(|m| m.starts_with(&*root().join("tests").to_string_lossy()));
        assert!(planned || in_tests, "{name:?} is a crate without a place in the plan");
    }
}

/// Files under version control, as far as they are text.
fn tracked() -> Vec<(PathBuf, String)> {
    let output = Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output();
    let Ok(output) = output else { return Vec::new() };
    let names = String::from_utf8(output.stdout).expect("names are text");
    let paths = names.split('\0').filter(|name| !name.is_empty()).map(PathBuf::from);
    paths
        .filter_map(|path| Some((path.clone(), fs::read_to_string(root().join(&path)).ok()?)))
        .collect()
}

/// Whether the file is only built into tests.
fn is_test(path: &Path) -> bool {
    path.ends_with("tests.rs") || path.components().any(|part| part.as_os_str() == "tests")
}

/// The part of a Rust file that is built into the product.
fn product(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod ").next().unwrap_or_default()
}

#[test]
fn no_rust_code_names_a_provider() {
    let folder = root().join("src-tauri/crates/meter/providers");
    let ids: Vec<String> = fs::read_dir(folder)
        .expect("the folder")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter_map(|name| name.strip_suffix(".toml").map(str::to_owned))
        // `openai` is the documented default, `demo` is built in, and files with an
        // underscore are no providers.
        .filter(|id| !id.starts_with('_') && !["demo", "openai"].contains(&id.as_str()))
        .collect();
    assert!(ids.len() > 5, "{ids:?}");
    for (path, text) in tracked() {
        let in_product = path.starts_with("src-tauri") && !is_test(&path);
        if !in_product || path.extension().is_none_or(|e| e != "rs") {
            continue;
        }
        for id in &ids {
            for (number, line) in product(&text).lines().enumerate() {
                let code = line.split("//").next().unwrap_or_default();
                let named = code.contains(&format!("\"{id}\""));
                assert!(!named, "{}:{}: names the provider `{id}`", path.display(), number + 1);
            }
        }
    }
}

#[test]
fn no_rust_code_names_a_model() {
    let families =
        ["\"gpt-", "\"claude-", "\"gemini-", "\"grok-", "\"o1-", "\"o3-", "\"llama", "\"deepseek-"];
    // The names of formats begin like models.
    let formats = ["\"gemini-generate", "\"gemini-embed", "\"llamacpp"];
    for (path, text) in tracked() {
        let in_product = path.starts_with("src-tauri") && !is_test(&path);
        if !in_product || path.extension().is_none_or(|e| e != "rs") {
            continue;
        }
        for line in product(&text).lines() {
            let code = line.split("//").next().unwrap_or_default();
            let named = families.iter().any(|family| code.contains(family));
            let is_format = formats.iter().any(|format| code.contains(format));
            let is_example = code.contains("| tollgate ");
            assert!(!named || is_format || is_example, "{}: {line}", path.display());
        }
    }
}

#[test]
fn no_drawer_is_called_by_a_name_that_says_nothing() {
    let nothing =
        ["utils", "util", "helpers", "helper", "common", "services", "service", "misc", "manager"];
    for (path, _) in tracked() {
        for part in path.with_extension("").components() {
            let name = part.as_os_str().to_string_lossy().to_lowercase();
            assert!(!nothing.contains(&&*name), "{}", path.display());
        }
    }
}

#[test]
fn sql_stands_only_in_the_store() {
    for (path, text) in tracked() {
        let outside = path.starts_with("src-tauri") && !path.starts_with("src-tauri/crates/store");
        if !outside || path.extension().is_none_or(|e| e != "rs") {
            continue;
        }
        for statement in ["\"SELECT ", "\"INSERT ", "\"UPDATE ", "\"DELETE FROM", "\"CREATE TABLE"]
        {
            assert!(!text.contains(statement), "{} holds {statement}", path.display());
        }
    }
}

/// Names of types that hold a wiped secret, with the attributes before them.
fn holders(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("Zeroizing<") {
        let before = &text[..at];
        let Some(start) = before.rfind("struct ").max(before.rfind("enum ")) else { continue };
        // Inside that type: nothing has closed it yet, and no function began.
        if before[start..].contains('}') || before[start..].contains("fn ") {
            continue;
        }
        let name = before[start..].split_whitespace().nth(1).unwrap_or_default();
        let above = before[..start].rsplit("\n\n").next().unwrap_or_default();
        found.push((name.trim_end_matches(['(', '{', '<']).to_owned(), above.to_owned()));
    }
    found
}

#[test]
fn what_holds_a_secret_prints_no_debug_text_by_itself() {
    let mut seen = BTreeSet::new();
    for (path, text) in tracked() {
        if path.extension().is_some_and(|ending| ending == "rs") && !is_test(&path) {
            for (name, above) in holders(&text) {
                let derives =
                    above.lines().any(|l| l.starts_with("#[derive") && l.contains("Debug"));
                assert!(!derives, "{name} in {} derives Debug", path.display());
                seen.insert(name);
            }
        }
    }
    for known in ["StoredKey", "BoundKey", "Held", "Shown", "PassSecret"] {
        assert!(seen.iter().any(|name| name.starts_with(known)), "{known} among {seen:?}");
    }
}

#[test]
fn processes_are_started_in_one_place() {
    for (path, text) in tracked() {
        if path.starts_with("src-tauri/src") && !path.ends_with("child.rs") {
            assert!(
                !product(&text).contains("Command::new("),
                "{}: use `child::command`",
                path.display()
            );
        }
    }
}
