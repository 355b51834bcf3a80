//! The arrows of the map in `lib.rs`, and the sizes of files.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// What the core may name: no runtime, no client, no clock, no environment.
const CORE: [&str; 15] = [
    "crate",
    "self",
    "super",
    "std",
    "serde",
    "litemap",
    "serde_json",
    "k8s_openapi",
    "json_patch",
    "sha2",
    "hmac",
    "jiff",
    "regex",
    "wildmatch",
    "thiserror",
];
/// What of the standard library would be a clock, the environment, or somebody else's machine.
const NOT_PURE: [&str; 9] = [
    "std::env",
    "std::fs",
    "std::net",
    "std::process",
    "std::thread",
    "SystemTime",
    "Instant",
    "Timestamp::now",
    "Zoned::now",
];
/// The most lines of a file without its tests.
const LINES: usize = 400;

fn sources(under: &str) -> BTreeMap<PathBuf, String> {
    fn walk(folder: &Path, found: &mut BTreeMap<PathBuf, String>) {
        for entry in fs::read_dir(folder).expect("src can be read") {
            let path = entry.expect("src can be read").path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("src can be read");
                found.insert(path, text);
            }
        }
    }
    let mut found = BTreeMap::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    walk(&root.join(under), &mut found);
    let sibling = root.join(format!("{under}.rs"));
    if sibling.is_file() {
        found.insert(
            sibling.clone(),
            fs::read_to_string(sibling).expect("src can be read"),
        );
    }
    assert!(!found.is_empty(), "there is no src/{under}");
    found
}

fn is_test(path: &Path) -> bool {
    let named =
        |name: &std::ffi::OsStr| name == "tests" || name == "tests.rs" || name == "testing.rs";
    path.iter().any(named)
}

/// The code of a file without comments and without its tests at the end.
fn code(text: &str) -> String {
    let text = text
        .split("#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or_default();
    let comments = |line: &&str| !line.trim_start().starts_with("//");
    text.lines().filter(comments).collect::<Vec<_>>().join("\n")
}

/// What paths begin with: `a` of `use a::b` and of `a::b` in the code, but not what a `use` brought in.
fn roots(code: &str) -> BTreeSet<String> {
    let mut roots = BTreeSet::new();
    for statement in code.split(';') {
        let Some((_, used)) = statement.rsplit_once("use ") else {
            continue;
        };
        let begins = statement.lines().any(|line| {
            let line = line.trim_start();
            line.starts_with("use ") || line.starts_with("pub use ")
        });
        if begins {
            let root = used.split([':', ' ', '{', '\n']).next().unwrap_or_default();
            roots.insert(root.to_owned());
        }
    }
    roots
}

/// Whether the code names a path, not merely something that ends like it.
fn names(code: &str, path: &str) -> bool {
    code.match_indices(path).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + path.len()..].chars().next();
        let word = |letter: Option<char>| {
            letter.is_some_and(|letter| letter.is_alphanumeric() || letter == '_')
        };
        !word(before) && !word(after)
    })
}

#[test]
fn the_core_names_nothing_but_what_is_pure() {
    let mut offences = Vec::new();
    let files = sources("model");
    // `mod a;` and `use a::b;` side by side.
    let own: BTreeSet<_> = files
        .keys()
        .filter_map(|path| path.file_stem()?.to_str())
        .collect();
    for (path, text) in &files {
        if is_test(path) {
            continue;
        }
        let code = code(text);
        for root in roots(&code) {
            let of_kube = root == "kube" && !code.replace("kube::core::", "").contains("kube::");
            // `use fmt::Write` where `std::fmt` is in scope.
            let of_std = code
                .split(';')
                .any(|statement| statement.contains("use std::") && names(statement, &root));
            if !of_std && !CORE.contains(&root.as_str()) && !own.contains(root.as_str()) && !of_kube
            {
                offences.push(format!("{}: use {root}", path.display()));
            }
        }
        let elsewhere = [
            "adoptable",
            "config",
            "controller",
            "ops",
            "run",
            "sources",
            "state",
            "webhook",
        ];
        let others = elsewhere.map(|module| format!("crate::{module}"));
        let outside =
            ["tokio", "tracing", "axum", "hyper", "rustls"].map(|name| format!("{name}::"));
        let paths = others
            .iter()
            .chain(&outside)
            .map(String::as_str)
            .chain(NOT_PURE);
        for path_named in paths {
            if names(&code, path_named.trim_end_matches(':')) {
                offences.push(format!("{}: {path_named}", path.display()));
            }
        }
    }
    assert!(offences.is_empty(), "{offences:#?}");
}

#[test]
fn webhook_and_controller_do_not_know_each_other() {
    let mut offences = Vec::new();
    for (layer, other) in [("webhook", "controller"), ("controller", "webhook")] {
        for (path, text) in sources(layer) {
            let grouped = text.contains("use crate::{") && names(&text, &format!("{other}::"));
            if names(&code(&text), &format!("crate::{other}")) || grouped {
                offences.push(path);
            }
        }
    }
    assert!(offences.is_empty(), "{offences:#?}");
}

#[test]
fn what_everybody_uses_uses_nobody() {
    let mut offences = Vec::new();
    for (path, text) in sources("ops") {
        for other in ["webhook", "controller"] {
            if names(&code(&text), &format!("crate::{other}")) {
                offences.push(format!("{}: {other}", path.display()));
            }
        }
    }
    assert!(offences.is_empty(), "{offences:#?}");
}

#[test]
fn files_are_short() {
    let offenders: Vec<_> = sources("")
        .into_iter()
        .filter(|(path, _)| !is_test(path))
        .map(|(path, text)| {
            let lines = text
                .split("#[cfg(test)]\nmod tests {")
                .next()
                .unwrap_or_default()
                .lines()
                .count();
            (path, lines)
        })
        .filter(|(_, lines)| *lines > LINES)
        .collect();
    assert!(
        offenders.is_empty(),
        "more than {LINES} lines without their tests: {offenders:#?}"
    );
}

#[test]
fn the_guard_sees_what_it_should() {
    assert_eq!(
        roots("use std::{fmt, str};\npub use a_b::c;\nuse super::{\n    x::y,\n};\nlet user = 1;"),
        ["std", "a_b", "super"].map(str::to_owned).into()
    );
    assert!(names("let t = Instant::now();", "Instant"));
    assert!(!names("let t = Instantly::now();", "Instant"));
    assert!(
        !code(
            "//! tokio::spawn\nlet x = 1;\n#[cfg(test)]\nmod tests {\n    use tokio::spawn;\n}\n"
        )
        .contains("tokio")
    );
}
