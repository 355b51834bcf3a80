//! More names in pages that have to exist: alerts, variables of the environment, flags, annotations. And what the code has
//! that pages have to name: metrics, alerts, flags. And commands that can be pasted.

use std::{collections::BTreeSet, fs};

use clap::{Command, CommandFactory as _};
use reroll::config::Cli;

use super::{annotations, pages, quoted, root, values, words};

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).expect("files are text")
}

/// The words of a text that consist of these letters and begin so.
fn beginning<'a>(
    text: &'a str,
    start: &'a str,
    letter: fn(char) -> bool,
) -> impl Iterator<Item = &'a str> {
    text.split(move |other: char| !letter(other))
        .filter(move |word| word.starts_with(start) && word.len() > start.len())
}

/// The flags of reroll and of all its commands.
fn flags(command: &Command) -> BTreeSet<String> {
    let own = command.get_arguments().flat_map(|argument| {
        let names = argument.get_long_and_visible_aliases().unwrap_or_default();
        let hidden = argument.get_all_aliases().unwrap_or_default();
        names
            .into_iter()
            .chain(hidden)
            .map(|name| format!("--{name}"))
    });
    let below = command.get_subcommands().flat_map(flags);
    own.chain(below).collect()
}

#[test]
fn every_metric_has_its_row() {
    let snapshot = "src/ops/metrics/snapshots/reroll__ops__metrics__tests__names_types_and_help_are_stable.snap";
    let (snapshot, page) = (read(snapshot), read("docs/metrics.md"));
    let lines = |start| {
        snapshot
            .lines()
            .filter_map(move |line| line.strip_prefix(start)?.split_once(' '))
    };
    let mut rows = BTreeSet::new();
    for ((name, help), (_, kind)) in lines("# HELP ").zip(lines("# TYPE ")) {
        let end = match kind {
            "counter" => "_total",
            "info" => "_info",
            _ => "",
        };
        rows.insert(format!("| `{name}{end}` | {kind} | {help} |"));
    }
    assert!(rows.len() > 30, "{rows:?}");
    let there = page.lines().filter(|line| line.starts_with("| `reroll_"));
    let there: BTreeSet<_> = there.map(str::to_owned).collect();
    assert_eq!(there, rows, "docs/metrics.md");
}

#[test]
fn alerts_that_are_named_exist_and_each_has_its_section() {
    let alerts = read("charts/reroll/alerts.yaml");
    let known = alerts
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "));
    let known: BTreeSet<_> = known.collect();
    assert!(known.len() > 10, "{known:?}");
    let runbook = read("docs/runbook.md");
    let sections = runbook
        .lines()
        .filter_map(|line| line.strip_prefix("## Reroll"));
    let sections: Vec<_> = sections.map(|rest| format!("Reroll{rest}")).collect();
    assert_eq!(
        sections.iter().map(String::as_str).collect::<BTreeSet<_>>(),
        known,
        "docs/runbook.md"
    );
    for (page, text) in pages() {
        for named in beginning(&text, "Reroll", |letter| letter.is_ascii_alphanumeric()) {
            assert!(
                known.contains(named),
                "{}: no alert {named}",
                page.display()
            );
        }
    }
}

/// Those of flags, and those that the code, the tests or the Makefile read.
#[test]
fn variables_that_are_named_exist() {
    let letter = |letter: char| letter.is_ascii_uppercase() || letter == '_';
    let mut known: BTreeSet<_> = flags(&Cli::command())
        .iter()
        .map(|flag| {
            flag.replace("--", "REROLL_")
                .replace('-', "_")
                .to_uppercase()
        })
        .collect();
    for file in sources() {
        known.extend(beginning(&read(&file), "REROLL_", letter).map(str::to_owned));
    }
    let mut count = 0;
    for (page, text) in pages() {
        for named in beginning(&text, "REROLL_", letter) {
            assert!(
                known.contains(named),
                "{}: no variable {named}",
                page.display()
            );
            count += 1;
        }
    }
    assert!(count > 5, "{count} variables are named");
}

/// Where a variable is read that is no flag's.
fn sources() -> Vec<String> {
    let folders = [
        "src",
        "tests",
        "benches",
        "schedules",
        "build.rs",
        "Makefile",
    ];
    let output = std::process::Command::new("git")
        .args(["ls-files", "--"])
        .args(folders)
        .args([":!*.md", ":!*.snap", ":!tests/docs*"])
        .current_dir(root())
        .output()
        .expect("git runs");
    let names = String::from_utf8(output.stdout).expect("names are text");
    names.lines().map(str::to_owned).collect()
}

/// Between backticks, a flag alone is reroll's. What belongs to another program is named with it, or stands here.
#[test]
fn flags_that_are_named_are_reroll_s_and_each_of_run_has_its_row() {
    let all = flags(&Cli::command());
    let (mut count, mut unknown) = (0, Vec::new());
    for (page, text) in pages() {
        if OF_OTHERS.iter().any(|other| page.ends_with(other)) {
            continue;
        }
        for named in quoted(&text).filter(|named| named.starts_with("--")) {
            let flag = words(named).next().unwrap_or_default();
            if !all.contains(flag) && !OTHERS.contains(&flag) {
                unknown.push(format!("{}: {flag}", page.display()));
            }
            count += 1;
        }
    }
    assert!(unknown.is_empty(), "no such flags: {unknown:#?}");
    assert!(count > 50, "{count} flags are named");

    let run = Cli::command();
    let run = run.find_subcommand("run").unwrap();
    let shown = run
        .get_arguments()
        .filter(|argument| !argument.is_hide_set());
    let page = read("docs/settings.md");
    let named: BTreeSet<_> = words(&page).collect();
    let flags = shown.filter_map(|argument| Some(format!("--{}", argument.get_long()?)));
    let lacking: Vec<_> = flags
        .filter(|flag| !named.contains(flag.as_str()))
        .collect();
    assert!(
        lacking.is_empty(),
        "docs/settings.md has no row for {lacking:?}"
    );
}

/// Pages about flags of others: of Reloader, of the benchmarks, of releases before.
const OF_OTHERS: [&str; 4] = [
    "docs/reloader.md",
    "docs/comparison.md",
    "docs/benchmarks.md",
    "CHANGELOG.md",
];

/// Flags of other programs that pages name alone.
const OTHERS: [&str; 9] = [
    "--egress-selector-mode",
    "--help",
    "--renew-before",
    "--reset-then-reuse-values",
    "--reuse-values",
    "--runtime-config",
    "--set",
    "--to-revision",
    "--trace",
];

#[test]
fn annotations_that_any_page_names_exist() {
    // The second has those of reroll's own Secrets, which are nobody's to set.
    let code = read("src/model/annotation.rs") + &read("src/cluster/own/stored_jobs.rs");
    let known: BTreeSet<_> = annotations(&code).collect();
    let mut unknown = Vec::new();
    for (page, text) in pages() {
        // `kubectl annotate` takes one away by a dash at its end.
        let of_page = annotations(&text).map(|named| named.trim_end_matches('-'));
        let of_page = of_page.filter(|named| !known.contains(named) && !NO_KEYS.contains(named));
        unknown.extend(of_page.map(|named| format!("{}: reroll.dev/{named}", page.display())));
    }
    assert!(unknown.is_empty(), "{unknown:#?}");
}

/// Two that are shown because they are misspelt, and the group of reroll's own formats, `reroll.dev/v1`.
const NO_KEYS: [&str; 3] = ["restart", "setle", "v"];

/// A line of code that leaves something out cannot be pasted.
#[test]
fn commands_can_be_pasted() {
    let (mut count, mut cut) = (0, Vec::new());
    for (page, text) in pages() {
        let mut fenced = false;
        for line in text.lines() {
            fenced ^= line.trim_start().starts_with("```");
            let is_code = fenced || line.starts_with("    ");
            let command = line.trim_start().trim_start_matches("$ ");
            let program = command.split(' ').next().unwrap_or_default();
            if is_code && PROGRAMS.contains(&program) {
                let command = command.split(" #").next().unwrap_or_default();
                if command.contains('…') || command.contains("...") {
                    cut.push(format!("{}: {line}", page.display()));
                }
                count += 1;
            }
        }
    }
    assert!(cut.is_empty(), "{cut:#?}");
    assert!(count > 100, "{count} commands");
}

const PROGRAMS: [&str; 16] = [
    "aws",
    "cargo",
    "cosign",
    "crane",
    "curl",
    "docker",
    "etcdutl",
    "gcloud",
    "helm",
    "kind",
    "kube-apiserver",
    "kubectl",
    "make",
    "openssl",
    "reroll",
    "webhook-certs/issue",
];

#[test]
fn values_that_helm_is_told_exist() {
    let known = values();
    let mut count = 0;
    for (page, text) in pages() {
        let told = text
            .split("--set ")
            .chain(text.split("--set-string "))
            .skip(1);
        for told in told.filter_map(|rest| rest.split_whitespace().next()) {
            // Below a map of the user's own, such as annotations, a path has an escaped dot.
            let path = told.trim_matches(['\'', '`']).split(['=', '[']).next();
            let path = path.unwrap_or_default();
            let path = path.split_once('\\').map_or(path, |(map, _)| {
                map.rsplit_once('.').map_or(map, |(map, _)| map)
            });
            let starts = path.starts_with(|letter: char| letter.is_ascii_lowercase());
            if starts && told.contains('=') {
                assert!(known.contains(path), "{}: no value {path}", page.display());
                count += 1;
            }
        }
    }
    assert!(count > 10, "{count} values are told");
}

#[test]
fn targets_that_are_named_exist() {
    let makefile = read("Makefile");
    let mut count = 0;
    for (page, text) in pages() {
        let lines = text.lines().filter_map(|line| line.strip_prefix("    "));
        for command in lines.chain(quoted(&text)) {
            let Some(target) = command.strip_prefix("make ") else {
                continue;
            };
            let target = target.split(' ').next().unwrap_or_default();
            let is_there = makefile.contains(&format!("\n{target}:"));
            assert!(is_there, "{}: no make {target}", page.display());
            count += 1;
        }
    }
    assert!(count > 10, "{count} targets are named");
}
