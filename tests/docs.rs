//! What the documentation names exists: tests by `file::name`, and flags of `reroll run`.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn pages() -> Vec<(PathBuf, String)> {
    let docs = fs::read_dir(root().join("docs")).expect("docs is a folder");
    let docs = docs.map(|entry| entry.expect("docs can be listed").path());
    let pages = docs.filter(|path| path.extension().is_some_and(|end| end == "md"));
    pages
        .chain([
            root().join("README.md"),
            root().join("charts/reroll/README.md"),
        ])
        .map(|path| {
            (
                path.clone(),
                fs::read_to_string(path).expect("pages are text"),
            )
        })
        .collect()
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .flat_map(|line| line.split('`').skip(1).step_by(2))
}

#[test]
fn tests_that_are_named_exist() {
    let mut count = 0;
    for (page, text) in pages() {
        for named in quoted(&text) {
            let Some((file, name)) = named.split_once("::") else {
                continue;
            };
            let simple = |part: &str| part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            if !simple(file) || !simple(name) {
                continue;
            }
            let function = format!("async fn {name}()");
            let defined = ["real", "faults"].iter().any(|program| {
                let path = root().join(format!("tests/{program}/{file}.rs"));
                fs::read_to_string(path).is_ok_and(|text| text.contains(&function))
            });
            assert!(defined, "{}: no test {named}", page.display());
            count += 1;
        }
    }
    assert!(count > 40, "{count} tests are named");
}

#[test]
fn flags_that_are_named_exist() {
    let help = Command::new(env!("CARGO_BIN_EXE_reroll"))
        .args(["run", "--help"])
        .output()
        .unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let known: BTreeSet<_> = words(&help).collect();
    assert!(known.len() > 30, "{known:?}");
    let readme = root().join("README.md");
    let text = fs::read_to_string(&readme).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| `--"));
    let mut named: BTreeSet<&str> = BTreeSet::new();
    for row in rows {
        let first = row.split('|').nth(1).unwrap_or_default();
        named.extend(words(first));
    }
    assert!(!named.is_empty());
    let unknown: Vec<_> = named.difference(&known).collect();
    assert!(unknown.is_empty(), "README.md names {unknown:?}");
}

/// `--flag`
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-')
        .filter(|word| word.starts_with("--") && word.len() > 2)
}
