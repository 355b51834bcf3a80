//! Everything from other projects is pinned, and to the same version wherever it is named: GitHub's actions by digest,
//! Rust and what reroll is tested beside by version.

use std::{collections::BTreeMap, fs, path::Path};

use regex::Regex;

fn read(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    fs::read_to_string(path).expect(file)
}

/// The actions of a workflow, as `owner/name` and digest; or the first line that does not pin one.
fn actions(workflow: &str) -> Result<Vec<(&str, &str)>, &str> {
    // A tag can be moved. The version is for people, and for what proposes newer ones.
    let pinned = Regex::new(r"^(?:- )?uses: ([\w./-]+)@([0-9a-f]{40}) # v\d+\.\d+\.\d+$");
    let pinned = pinned.expect("a pattern");
    let code = workflow.lines().map(str::trim);
    let code = code.filter(|line| !line.starts_with('#') && line.contains("uses:"));
    code.map(|line| {
        let found = pinned.captures(line).ok_or(line)?;
        let part = |number| found.get(number).map_or("", |part| part.as_str());
        Ok((part(1), part(2)))
    })
    .collect()
}

/// The only match of a pattern's group in a file.
fn only(file: &str, pattern: &str) -> String {
    let (text, pattern) = (read(file), Regex::new(pattern).expect("a pattern"));
    let found: Vec<_> = pattern.captures_iter(&text).collect();
    assert_eq!(found.len(), 1, "{file}: {pattern}");
    found[0][1].to_owned()
}

#[test]
fn actions_are_pinned_by_digest_and_each_has_one() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(".github/workflows");
    let mut digests = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("there are workflows") {
        let path = entry.expect("they can be listed").path();
        let workflow = fs::read_to_string(&path).expect("workflows are text");
        let actions =
            actions(&workflow).unwrap_or_else(|line| panic!("{}: {line}", path.display()));
        for (action, digest) in actions {
            let before = digests.insert(action.to_owned(), digest.to_owned());
            assert!(
                before.is_none_or(|before| before == digest),
                "{action} has two"
            );
        }
    }
    assert!(digests.len() > 5, "{digests:?}");
}

#[test]
fn an_action_by_tag_is_found() {
    let digest = "0123456789abcdef0123456789abcdef01234567";
    let pinned = format!("  - uses: some/action/part@{digest} # v1.20.3\n");
    assert_eq!(actions(&pinned), Ok(vec![("some/action/part", digest)]));
    for offence in [
        "uses: some/action@v1",
        "- uses: some/action@main # v1.0.0",
        "- {uses: some/action@v1}",
        &format!("uses: some/action@{digest}"),
        &format!("uses: some/action@{digest} # v1"),
        &format!("uses: some/action@{} # v1.0.0", &digest[1..]),
    ] {
        let workflow = format!("{pinned}  # uses: other/action@v1\n      {offence}\n");
        assert_eq!(actions(&workflow), Err(offence));
    }
}

#[test]
fn the_image_is_compiled_by_the_rust_of_the_tests() {
    let tests = only(
        "rust-toolchain.toml",
        r#"(?m)^channel = "(\d+\.\d+\.\d+)"$"#,
    );
    let image = only(
        "Dockerfile",
        r"(?m)^ARG RUST_IMAGE=\S+/rust:(\d+\.\d+\.\d+)-",
    );
    assert_eq!(image, tests);
    let oldest = only("Cargo.toml", r#"(?m)^rust-version = "(\d+\.\d+)"$"#);
    let number = |version: &str| -> Vec<u32> {
        let parts = version.split('.').map(str::parse);
        parts.map(|part| part.expect("a number")).collect()
    };
    assert!(number(&oldest) <= number(&tests), "{oldest}, {tests}");
}

#[test]
fn the_build_of_the_image_does_not_see_what_rustup_would_download_for() {
    let ignored = read(".dockerignore");
    let mut lines = ignored.lines();
    assert!(
        lines.any(|line| line == "*"),
        "all is left out, but for what is named"
    );
    assert!(!ignored.contains("!rust-toolchain"));
}

#[test]
fn the_page_on_compatibility_names_the_versions_that_tests_run() {
    let page = "docs/compatibility.md";
    for (module, manifest) in [
        (
            "github.com/argoproj/argo-cd/gitops-engine",
            "tests/gitops/go.mod",
        ),
        ("github.com/fluxcd/pkg/ssa", "tests/gitops/go.mod"),
        ("k8s.io/kubernetes", "tests/cluster/kubernetes/go.mod"),
    ] {
        let module = regex::escape(module);
        let linked = only(
            manifest,
            &format!(r"(?m)^\t{module} (v\S+)(?: // indirect)?$"),
        );
        let told = only(page, &format!(r"(?m)^\|[^|]*\| `{module}` \| (v\S+) \|"));
        assert_eq!(told, linked, "{page}: {module}");
    }
}

/// The versions that `tests/cluster` has, as v1.36.3, in their order.
fn kubernetes() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cluster");
    let folders = fs::read_dir(folder).expect("a folder").flatten();
    let names = folders.filter_map(|entry| entry.file_name().into_string().ok());
    let modules = names.filter(|name| name.starts_with("kubernetes"));
    let version = |module: String| {
        let manifest = format!("tests/cluster/{module}/go.mod");
        only(
            &manifest,
            r"(?m)^\tk8s\.io/kubernetes (v\S+)(?: // indirect)?$",
        )
    };
    let mut versions: Vec<_> = modules.map(version).collect();
    versions.sort();
    versions
}

#[test]
fn each_version_of_kubernetes_has_its_row_and_is_run_at_night() {
    let versions = kubernetes();
    let page = read("docs/compatibility.md");
    let row = Regex::new(r"(?m)^\| (v1\.\d+\.\d+) \| [^|]+ \|").expect("a pattern");
    let told: Vec<_> = row
        .captures_iter(&page)
        .map(|row| row[1].to_owned())
        .collect();
    assert_eq!(told, versions);
    let minors: Vec<_> = told
        .iter()
        .filter_map(|version| version[1..].rsplit_once('.'))
        .map(|(minor, _)| format!("\"{minor}\""))
        .collect();
    let nightly = only(
        ".github/workflows/nightly.yml",
        r"(?m)^ +kubernetes: \[(.+)\]$",
    );
    assert_eq!(nightly, minors.join(", "));
}
