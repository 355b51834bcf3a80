//! Everything that the documentation names exists: tests by `file::name`, flags of `reroll run`, metrics, reasons of
//! Events and of held restarts, findings, values of the chart, and the pages and sections that it links to.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use clap::CommandFactory as _;
use reroll::{
    cli::findings::Finding,
    config::Cli,
    model::{
        held::{Held, UnderWay},
        places::KEYS,
    },
};

#[path = "docs/names.rs"]
mod names;

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
            root().join("CONTRIBUTING.md"),
            root().join("CHANGELOG.md"),
            root().join("SECURITY.md"),
            root().join("charts/reroll/README.md"),
            root().join("deploy/README.md"),
            root().join("examples/README.md"),
            root().join("tests/cluster/README.md"),
            root().join("webhook-certs/README.md"),
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
    let page = root().join("docs/settings.md");
    let text = fs::read_to_string(&page).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| `--"));
    let mut named: BTreeSet<&str> = BTreeSet::new();
    for row in rows {
        let first = row.split('|').nth(1).unwrap_or_default();
        named.extend(words(first));
    }
    assert!(named.len() > 30, "{named:?}");
    let unknown: Vec<_> = named.difference(&known).collect();
    assert!(unknown.is_empty(), "docs/settings.md names {unknown:?}");
}

#[test]
fn the_readme_is_short_and_its_commands_exist() {
    let read = |file: &str| fs::read_to_string(root().join(file)).unwrap();
    let (readme, makefile) = (read("README.md"), read("Makefile"));
    let words = readme.split_whitespace().count();
    assert!(words <= 1650, "README.md has {words} words");
    let shown = readme.lines().map(str::trim).chain(quoted(&readme));
    let shown = shown.filter_map(|command| command.strip_prefix("make "));
    let targets: BTreeSet<_> = shown
        .filter_map(|rest| rest.split_whitespace().next())
        .collect();
    assert!(targets.contains("demo") && targets.contains("test"));
    for target in targets {
        assert!(makefile.contains(&format!("\n{target}:")), "make {target}");
    }
}

/// Annotations and labels that the documentation names, and those that the code knows.
#[test]
fn annotations_that_are_named_exist_and_all_are_named() {
    let code = fs::read_to_string(root().join("src/model/annotation.rs")).unwrap();
    let known: BTreeSet<_> = annotations(&code).collect();
    assert!(known.len() > 10, "{known:?}");
    let page = fs::read_to_string(root().join("docs/annotations.md")).unwrap();
    let named: BTreeSet<_> = annotations(&page).collect();
    assert_eq!(named, known, "docs/annotations.md");
    let keys = KEYS.iter().flat_map(|row| annotations(row.key));
    assert_eq!(keys.collect::<BTreeSet<_>>(), known, "src/model/places.rs");
}

/// What begins with `reroll.dev/`.
fn annotations(text: &str) -> impl Iterator<Item = &str> {
    let names = text.split("reroll.dev/").skip(1);
    names
        .filter_map(|rest| {
            rest.split(|letter: char| !letter.is_ascii_lowercase() && letter != '-')
                .next()
        })
        .filter(|name| !name.is_empty())
}

#[test]
fn metrics_that_are_named_exist() {
    let snapshot = "src/ops/metrics/snapshots/reroll__ops__metrics__tests__names_types_and_help_are_stable.snap";
    let snapshot = fs::read_to_string(root().join(snapshot)).unwrap();
    let types = snapshot
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "));
    let known: BTreeMap<_, _> = types.filter_map(|line| line.split_once(' ')).collect();
    let exists = |named: &str| {
        let (name, wants) = ["total", "info", "bucket", "sum", "count"]
            .into_iter()
            .find_map(|end| Some((named.strip_suffix(end)?.strip_suffix('_')?, end)))
            .unwrap_or((named, ""));
        match known.get(name) {
            Some(&"counter") => wants == "total",
            Some(&"info") => wants == "info",
            Some(&"histogram") => wants != "total" && wants != "info",
            Some(_) => wants.is_empty(),
            None => false,
        }
    };
    let mut count = 0;
    for (page, text) in pages() {
        let letters = |letter: char| letter.is_ascii_lowercase() || letter == '_';
        let words = text.split(|letter| !letters(letter));
        for named in words.filter(|word| word.starts_with("reroll_")) {
            assert!(exists(named), "{}: no metric {named}", page.display());
            count += 1;
        }
    }
    assert!(count > 20, "{count} metrics are named");
}

#[test]
fn reasons_that_are_named_exist_and_all_are_named() {
    let read = |file: &str| fs::read_to_string(root().join(file)).unwrap();
    let table = read("docs/troubleshooting.md");
    let held = Held::ALL.into_iter().map(Held::as_str);
    let under_way = UnderWay::ALL.into_iter().map(UnderWay::as_str);
    for reason in held.chain(under_way) {
        assert!(table.contains(&format!("`{reason}`")), "no reason {reason}");
    }

    let code = read("src/model/note.rs");
    let published = |word: &str| code.contains(&format!("\"{word}\""));
    let mut count = 0;
    for row in table.lines().filter(|line| line.starts_with("| `")) {
        let Some(event) = row.split('|').nth(2) else {
            continue;
        };
        for word in quoted(event).filter(|word| word.bytes().all(|b| b.is_ascii_alphabetic())) {
            let is_event = word.starts_with(|letter: char| letter.is_ascii_uppercase());
            assert!(!is_event || published(word), "no Event {word}");
            count += usize::from(is_event);
        }
    }
    assert!(count > 10, "{count} Events are named");
}

/// The alert, the dashboard and the runbook name the reasons that need a user, and no other.
#[test]
fn reasons_that_need_a_user_are_the_same_everywhere() {
    let read = |file: &str| fs::read_to_string(root().join(file)).unwrap();
    let needs = Held::ALL.into_iter().filter(|held| held.needs_a_user());
    let all: BTreeSet<_> = needs.map(Held::as_str).collect();
    // It has an alert of its own.
    let needs: BTreeSet<_> = all
        .iter()
        .copied()
        .filter(|one| *one != "missing")
        .collect();
    for (file, needs) in [
        ("charts/reroll/alerts.yaml", &needs),
        ("charts/reroll/dashboards/reroll.json", &all),
    ] {
        let text = read(file).replace("\\\"", "\"");
        let lists = text.split("reason=~\"").skip(1);
        let lists = lists.filter_map(|rest| Some(rest.split_once('"')?.0));
        let named = lists.map(|list| list.split('|').collect::<BTreeSet<_>>());
        let named: Vec<_> = named.filter(|list| list.contains("unreadable")).collect();
        assert_eq!(named, std::slice::from_ref(needs), "{file}");
    }
    let runbook = read("docs/runbook.md");
    let section = runbook
        .split("\n## ")
        .find(|section| section.starts_with("RerollWorkloadsHeld"));
    let rows = section
        .unwrap()
        .lines()
        .filter_map(|line| line.strip_prefix("| `"));
    let rows: BTreeSet<_> = rows.filter_map(|row| row.split('`').next()).collect();
    assert_eq!(rows, needs, "docs/runbook.md");
}

/// Each finding has its section, of which the first example has it, and the second has not.
#[test]
fn findings_have_sections_and_examples() {
    let page = fs::read_to_string(root().join("docs/findings.md")).unwrap();
    let sections: Vec<_> = page.split("\n## ").skip(1).collect();
    assert_eq!(sections.len(), Finding::ALL.len());
    for (section, finding) in sections.into_iter().zip(Finding::ALL) {
        let code = finding.code();
        let (heading, text) = section.split_once('\n').unwrap();
        assert_eq!(heading, format!("{code} {}", finding.title()));
        assert_eq!(anchor(heading), finding.anchor());
        let severity = text.trim_start().split(['*', '.']).nth(1).unwrap();
        assert_eq!(
            severity.to_lowercase(),
            finding.severity().as_str(),
            "{code}"
        );
        if !code.starts_with("RR1") {
            continue;
        }
        let examples = text.split("```yaml\n").skip(1);
        let examples: Vec<_> = examples
            .filter_map(|rest| rest.split("```").next())
            .collect();
        let found = examples.iter().map(|example| linted(example));
        let [with, without] = found.collect::<Vec<_>>().try_into().unwrap();
        assert_eq!(with, [code], "{code}: the first example");
        assert_eq!(without, Vec::<String>::new(), "{code}: the second example");
    }
}

/// The codes of what is found in a manifest.
fn linted(manifest: &str) -> Vec<String> {
    let mut lint = Command::new(env!("CARGO_BIN_EXE_reroll"))
        .args(["lint", "-f", "-", "-o", "json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("reroll starts");
    let stdin = lint.stdin.take();
    let mut stdin = stdin.expect("it has an input");
    let written = stdin.write_all(manifest.as_bytes());
    written.expect("it reads its input");
    drop(stdin);
    let output = lint.wait_with_output().expect("it ends");
    let report: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("the answer is JSON");
    let findings = report["findings"].as_array().into_iter().flatten();
    let codes = findings.map(|one| one["code"].as_str().expect("a finding has a code"));
    codes.map(ToOwned::to_owned).collect()
}

#[test]
fn links_lead_somewhere() {
    let mut count = 0;
    for (page, text) in pages() {
        let folder = page.parent().unwrap();
        for target in text.split("](").skip(1) {
            let target = target.split(')').next().unwrap_or_default();
            if target.contains("://") {
                continue;
            }
            let (file, section) = target.split_once('#').unwrap_or((target, ""));
            let path = if file.is_empty() {
                page.clone()
            } else {
                folder.join(file)
            };
            assert!(path.exists(), "{}: no {target}", page.display());
            count += 1;
            if section.is_empty() {
                continue;
            }
            let text = fs::read_to_string(&path).expect("sections are of pages");
            let mut anchors = text
                .lines()
                .filter(|line| line.starts_with('#'))
                .map(anchor);
            assert!(
                anchors.any(|anchor| anchor == section),
                "{}: no section {target}",
                page.display()
            );
        }
    }
    assert!(count > 40, "{count} links");
}

/// The paths of all values of the chart.
fn values() -> BTreeSet<String> {
    fn below(above: &str, value: &serde_json::Value) -> Vec<String> {
        let entries = value.as_object().into_iter().flatten();
        let paths = entries.flat_map(|(key, value)| {
            let path = format!("{above}{key}");
            let deeper = below(&format!("{path}."), value);
            [path].into_iter().chain(deeper)
        });
        paths.collect()
    }
    let values = fs::read_to_string(root().join("charts/reroll/values.yaml"));
    let values = values.expect("it is there");
    let values = serde_saphyr::from_str(&values).expect("it is YAML");
    below("", &values).into_iter().collect()
}

#[test]
fn values_that_are_named_exist() {
    let known = values();
    let tops: BTreeSet<_> = known
        .iter()
        .filter_map(|path| path.split('.').next())
        .collect();
    let mut count = 0;
    for (page, text) in pages() {
        // The table of all values comes from the schema, which also has what values.yaml leaves out.
        let written = text.split("<!-- charts/table").next().unwrap_or_default();
        for named in quoted(written) {
            let path = named.split([':', '=']).next().unwrap_or_default();
            let simple = path.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.');
            let Some((top, _)) = path.split_once('.').filter(|_| simple) else {
                continue;
            };
            if !tops.contains(top) || path.ends_with("yaml") {
                continue;
            }
            // `optIn.annotations.auto` and the like are in values.yaml as a comment.
            let exists = known.contains(path) || path.starts_with("optIn.annotations.");
            assert!(exists, "{}: no value {path}", page.display());
            count += 1;
        }
    }
    assert!(count > 40, "{count} values are named");
}

/// What a heading can be linked by.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text
        .chars()
        .filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
    kept.map(|letter| if letter == ' ' { '-' } else { letter })
        .collect()
}

/// `--flag`
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-')
        .filter(|word| word.starts_with("--") && word.len() > 2)
}

/// Returns the commands of the plugin in a text: in a line of code, and between backticks.
fn commands(text: &str) -> impl Iterator<Item = &str> {
    let in_lines = text.lines().filter(|line| line.starts_with("  "));
    let all = in_lines.chain(quoted(text));
    all.filter_map(|line| {
        let (_, command) = line.split_once("kubectl reroll ")?;
        let ends = [" #", " |", " &&", "`", ";", " \\"];
        let end = ends.iter().filter_map(|end| command.find(end)).min();
        Some(command[..end.unwrap_or(command.len())].trim())
    })
}

/// Returns the words of a command, as a shell takes it apart.
fn taken_apart(command: &str) -> Vec<String> {
    let script = format!("printf '%s\\n' {command}");
    let output = Command::new("bash").args(["-c", &script]).output();
    let output = output.expect("bash runs");
    assert!(output.status.success(), "{command}");
    let text = String::from_utf8(output.stdout).expect("words are text");
    text.lines().map(ToOwned::to_owned).collect()
}

#[test]
fn commands_that_are_named_can_be_typed() {
    let mut count = 0;
    let help = Cli::command();
    let examples = help.get_subcommands().filter_map(|it| it.get_after_help());
    let examples = examples.map(|text| (PathBuf::from("--help"), text.to_string()));
    for (page, text) in pages().into_iter().chain(examples) {
        for command in commands(&text).filter(|command| !command.contains('…')) {
            let typed = [vec!["reroll".to_owned()], taken_apart(command)].concat();
            let is_there = help.find_subcommand(&typed[1]).is_some();
            assert!(is_there, "{}: {command}", page.display());
            count += 1;
            // A name alone stands for the command, whatever it takes.
            if typed.len() == 2 {
                continue;
            }
            let read = Cli::command().try_get_matches_from(typed);
            let error = read.err().map(|error| error.to_string());
            assert_eq!(error, None, "{}: {command}", page.display());
        }
    }
    assert!(count > 50, "{count}: are they read?");
}
