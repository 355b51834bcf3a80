//! What a release offers for download: the files that the workflow builds, those in krew's manifest, and those that
//! `scripts/archives` makes are the same.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;
use tempfile::TempDir;

const VERSION: &str = "1.2.3";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn yaml(path: &str) -> Value {
    serde_saphyr::from_str(&fs::read_to_string(root().join(path)).unwrap()).unwrap()
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    let found = value.pointer(pointer).and_then(Value::as_str);
    found.unwrap_or_else(|| unreachable!("no {pointer} in {value}"))
}

/// Returns the platforms that the workflow builds for.
fn built() -> BTreeSet<String> {
    let workflow = yaml(".github/workflows/release.yml");
    let rows = workflow
        .pointer("/jobs/binaries/strategy/matrix/include")
        .and_then(Value::as_array)
        .unwrap();
    rows.iter()
        .map(|row| text(row, "/platform").to_owned())
        .collect()
}

/// Makes the archives of some binaries.
fn archives(folder: &Path) -> PathBuf {
    let (binaries, out) = (folder.join("built"), folder.join("out"));
    fs::create_dir(&out).unwrap();
    for platform in built() {
        let files = binaries.join(&platform);
        let end = if platform.starts_with("windows") {
            ".exe"
        } else {
            ""
        };
        for (name, text) in [
            (format!("kubectl-reroll{end}"), platform.as_str()),
            ("man/kubectl-reroll.1".to_owned(), "a page"),
            ("completions/kubectl-reroll.bash".to_owned(), "a script"),
        ] {
            let path = files.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }
    let made = Command::new(root().join("scripts/archives"))
        .arg(VERSION)
        .args([&binaries, &out])
        .output()
        .unwrap();
    succeeded(&made);
    out
}

fn succeeded(made: &Output) {
    let said = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "{said}");
}

/// What krew asks of a manifest, by its documentation of `v1alpha2`.
fn check(plugin: &Value) {
    assert_eq!(
        text(plugin, "/apiVersion"),
        "krew.googlecontainertools.github.com/v1alpha2"
    );
    assert_eq!(text(plugin, "/kind"), "Plugin");
    assert_eq!(text(plugin, "/metadata/name"), "reroll");
    assert!(text(plugin, "/spec/version").starts_with('v'));
    let short = text(plugin, "/spec/shortDescription");
    assert!(short.len() <= 50 && !short.ends_with('.'), "{short}");
    assert!(text(plugin, "/spec/homepage").starts_with("https://"));
    let description = text(plugin, "/spec/description");
    assert!(
        description.lines().all(|line| line.len() <= 80),
        "{description}"
    );
    let known = [
        "version",
        "homepage",
        "shortDescription",
        "description",
        "caveats",
        "platforms",
    ];
    let fields = plugin["spec"].as_object().unwrap().keys();
    assert!(
        fields.clone().all(|field| known.contains(&field.as_str())),
        "{fields:?}"
    );
    for platform in platforms(plugin) {
        let fields: BTreeSet<_> = platform
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(fields, BTreeSet::from(["selector", "uri", "sha256", "bin"]));
    }
}

fn platforms(plugin: &Value) -> &Vec<Value> {
    plugin["spec"]["platforms"].as_array().unwrap()
}

fn sha256(path: &Path) -> String {
    let said = Command::new("sha256sum").arg(path).output().unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    said.split(' ').next().unwrap().to_owned()
}

#[test]
fn krew_has_an_entry_for_each_platform_that_is_built() {
    let plugin = yaml("deploy/krew/reroll.yaml");
    check(&plugin);
    let mut entries = BTreeSet::new();
    for platform in platforms(&plugin) {
        let [os, arch] =
            ["os", "arch"].map(|label| text(platform, &format!("/selector/matchLabels/{label}")));
        let place = format!("{os}_{arch}");
        let (file, bin) = if os == "windows" {
            (format!("reroll-VERSION-{place}.zip"), "kubectl-reroll.exe")
        } else {
            (format!("reroll-VERSION-{place}.tar.gz"), "kubectl-reroll")
        };
        assert_eq!(
            text(platform, "/uri"),
            format!("https://github.com/reroll-dev/reroll/releases/download/vVERSION/{file}")
        );
        assert_eq!(text(platform, "/sha256"), format!("SHA256_{place}"));
        assert_eq!(text(platform, "/bin"), bin);
        assert!(entries.insert(place));
    }
    assert_eq!(entries, built());
    assert_eq!(entries.len(), 6);
}

#[test]
fn the_archives_are_those_that_krew_looks_for() {
    let folder = TempDir::new().unwrap();
    let out = archives(folder.path());
    let plugin = fs::read_to_string(out.join("reroll.yaml")).unwrap();
    assert!(
        !plugin.contains("VERSION") && !plugin.contains("SHA256_"),
        "{plugin}"
    );
    let plugin: Value = serde_saphyr::from_str(&plugin).unwrap();
    check(&plugin);
    assert_eq!(text(&plugin, "/spec/version"), format!("v{VERSION}"));
    let sums = fs::read_to_string(out.join("checksums.txt")).unwrap();
    let mut files = BTreeSet::new();
    for platform in platforms(&plugin) {
        let (_, file) = text(platform, "/uri").rsplit_once('/').unwrap();
        let path = out.join(file);
        let sum = text(platform, "/sha256");
        assert_eq!(sum, sha256(&path), "{file}");
        assert!(sums.contains(&format!("{sum}  {file}\n")), "{sums}");
        let (program, words) = if path.extension().is_some_and(|end| end == "zip") {
            ("unzip", ["-Z1"].as_slice())
        } else {
            ("tar", ["--list", "--file"].as_slice())
        };
        let listed = Command::new(program)
            .args(words)
            .arg(&path)
            .output()
            .unwrap();
        let listed = String::from_utf8(listed.stdout).unwrap();
        for part in [
            text(platform, "/bin"),
            "LICENSE",
            "man/kubectl-reroll.1",
            "completions/kubectl-reroll.bash",
        ] {
            let has = listed
                .lines()
                .any(|line| line.trim_start_matches("./") == part);
            assert!(has, "{file} has no {part}: {listed}");
        }
        files.insert(file.to_owned());
    }
    assert_eq!(sums.lines().count(), files.len());
}

#[test]
fn the_same_files_give_the_same_archives() {
    let (one, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let sums = [&one, &other]
        .map(|folder| fs::read_to_string(archives(folder.path()).join("checksums.txt")).unwrap());
    assert_eq!(sums[0], sums[1]);
}

#[test]
fn each_command_has_a_man_page() {
    let folder = TempDir::new().unwrap();
    let reroll = env!("CARGO_BIN_EXE_reroll");
    let made = Command::new(reroll)
        .arg("man")
        .arg(folder.path())
        .output()
        .unwrap();
    succeeded(&made);
    let help = Command::new(reroll).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let commands = commands.take_while(|line| !line.is_empty());
    let mut count = 0;
    // What is said of one may go on in the next line, which is further in.
    let named = commands.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    for command in named.filter(|name| !name.is_empty()) {
        if command == "help" {
            continue;
        }
        let page = folder.path().join(format!("reroll-{command}.1"));
        let page =
            fs::read_to_string(&page).unwrap_or_else(|_| unreachable!("no {}", page.display()));
        assert!(page.contains(".SH OPTIONS"), "{command}");
        count += 1;
    }
    assert!(count >= 10, "{count} commands");
    // A folder that is not there is made. What is no folder stays what it is.
    let into = |place: &Path| {
        let mut command = Command::new(reroll);
        command.arg("man").arg(place).output().unwrap()
    };
    let absent = folder.path().join("a/b");
    succeeded(&into(&absent));
    let pages = fs::read_dir(&absent).unwrap().count();
    assert!(pages > count, "{pages} pages");
    let failed = into(&folder.path().join("reroll-status.1"));
    assert_eq!(failed.status.code(), Some(1));
}

#[test]
fn the_notes_are_the_releases_section_of_the_changelog() {
    let folder = TempDir::new().unwrap();
    let changelog = folder.path().join("CHANGELOG.md");
    let text = "# Changelog\n\n## [Unreleased]\n\n- Later.\n\n## [1.2.3] - 2026-12-01\n\n### Added\n\n- A thing\n  in two lines: \
                [how](docs/cli.md#a).\n- Another.\n\n## [1.2.2]\n\n- Before.\n\n## [1.2.1]\n";
    fs::write(&changelog, text).unwrap();
    let notes = |version| {
        let mut script = Command::new(root().join("scripts/notes"));
        script.arg(version).arg(&changelog).output().unwrap()
    };
    let made = notes(VERSION);
    succeeded(&made);
    let page = "https://github.com/reroll-dev/reroll/blob/v1.2.3/docs";
    let expected = format!(
        "### Added\n\n- A thing in two lines: [how]({page}/cli.md#a).\n- Another.\n\n\
         [Install and upgrade]({page}/install.md) · [what stays as it is]({page}/stability.md)\n"
    );
    assert_eq!(String::from_utf8_lossy(&made.stdout), expected);
    // One that is not there, one of which nothing is said, and one that merely begins like another.
    for version in ["9.9.9", "1.2.1", "1.2"] {
        let refused = notes(version);
        assert_eq!(refused.status.code(), Some(1), "{version}");
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(
            said.contains(&format!("name its section \"## [{version}]\"")),
            "{said}"
        );
    }
    let workflow = fs::read_to_string(root().join(".github/workflows/release.yml")).unwrap();
    assert!(workflow.contains("scripts/notes \"${GITHUB_REF_NAME#v}\" >notes.md"));
    assert!(workflow.contains("--notes-file notes.md"));
}
