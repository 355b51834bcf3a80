//! `reroll explain`

use std::process::{Command, Stdio};

use regex::Regex;
use reroll_harness::{Arena, binary};
use serde_json::{Value, json};

use super::{arena, ask, ask_until, opted_in, sources, web, web_runs, write_password};

const WEB: [&str; 2] = ["explain", "deploy/web"];

/// Returns what a command shows on a terminal of so many columns.
async fn on_terminal(arena: &Arena, words: &[&str], columns: usize) -> String {
    let line = format!(
        "stty cols {columns}; {} {} --kubeconfig {} -n {} --reroll-namespace {}",
        binary("reroll").unwrap().display(),
        words.join(" "),
        arena.cluster.kubeconfig().display(),
        arena.namespace,
        arena.own_namespace
    );
    let mut script = Command::new("script");
    script
        .args(["-qec", &line, "/dev/null"])
        .env("NO_PROXY", "*")
        .env("TERM", "xterm-256color")
        .env_remove("NO_COLOR")
        .stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || script.output().unwrap());
    String::from_utf8(output.await.unwrap().stdout).unwrap()
}

#[tokio::test]
async fn cli_explains_what_pods_have_and_what_changed() {
    let arena = arena("cli-explain").await;
    let reroll = arena.reroll().start().await;
    sources(&arena).await;
    arena.create(&web(&opted_in())).await;
    let fine = ask_until(&arena, &WEB, "complete, 2 of 2 pods").await;
    insta::assert_snapshot!("explain_fine", fine.said(&arena));
    write_password(&arena, "canary-3").await;
    ask_until(&arena, &WEB, "Last ").await;
    let restarted = ask_until(&arena, &WEB, "complete, 2 of 2 pods").await;
    insta::assert_snapshot!("explain_restarted", restarted.said(&arena));
    let wide = ask(&arena, &["explain", "deployment", "web", "-o", "wide"]).await;
    insta::assert_snapshot!("explain_wide", wide.said(&arena));
    let colours = Regex::new("\u{1b}\\[[0-9;]*m").unwrap();
    let mut words_of = Vec::new();
    for columns in [200, 80, 30] {
        let shown = on_terminal(&arena, &WEB, columns).await;
        assert!(shown.contains("\u{1b}["), "there are colours: {shown}");
        let plain = colours.replace_all(&shown, "").into_owned();
        let longest = plain.lines().map(|line| line.chars().count()).max();
        // Where even single words do not fit beside one another, the terminal wraps.
        assert!(
            longest <= Some(columns) || columns < 80,
            "{columns}: {plain}"
        );
        // What does not fit is wrapped, and neither cut nor broken within a word. (Ages differ.)
        let words = plain.split_whitespace();
        let mut words: Vec<_> = words
            .filter(|word| !word.starts_with(|first: char| first.is_ascii_digit()))
            .map(ToOwned::to_owned)
            .collect();
        words.sort();
        words_of.push(words);
    }
    assert_eq!(words_of[0], words_of[1]);
    assert_eq!(words_of[0], words_of[2]);
    for format in ["json", "yaml", "table", "wide"] {
        let answer = ask(
            &arena,
            &[&WEB[..], &["-o", format, "--color", "always"]].concat(),
        )
        .await;
        assert!(!answer.out.contains("canary"), "{}", answer.out);
        assert_eq!(answer.code, 0, "{}", answer.err);
    }
    drop(reroll);
}

#[tokio::test]
async fn cli_explains_what_is_pending_before_anything_is_annotated() {
    let arena = arena("cli-pending").await;
    let reroll = web_runs(&arena).await;
    let suspended = json!({ "metadata": { "annotations": { "reroll.dev/suspend": "INC-42" } } });
    arena.patch("Deployment", "web", suspended).await;
    write_password(&arena, "canary-3").await;
    let held = ask_until(&arena, &WEB, "INC-42").await;
    insta::assert_snapshot!("explain_suspended", held.said(&arena));
    let coloured = ask(&arena, &[&WEB[..], &["--color", "always"]].concat()).await;
    insta::assert_snapshot!("explain_in_colour", coloured.said(&arena));
    arena.delete("ConfigMap", "cfg").await;
    let missing = ask_until(&arena, &WEB, "exists with all required keys").await;
    insta::assert_snapshot!("explain_missing", missing.said(&arena));
    let json = ask(&arena, &[&WEB[..], &["-o", "json"]].concat()).await;
    let read: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(read["pending"]["reason"], "missing", "{}", json.out);
    assert_eq!(read["verdict"], "cannotRestart", "{}", json.out);
    drop(reroll);
}

#[tokio::test]
async fn cli_explains_who_cannot_restart() {
    let arena = arena("cli-cannot").await;
    sources(&arena).await;
    let rows = [
        ("explain_not_opted_in", json!({})),
        ("explain_off", json!({ "reroll.dev/restart-on": "off" })),
        (
            "explain_unreadable",
            json!({ "reroll.dev/restart-on": "atuo" }),
        ),
    ];
    for (name, annotations) in rows {
        arena.create(&web(&annotations)).await;
        let answer = ask_until(&arena, &WEB, "complete, 2 of 2 pods").await;
        insta::assert_snapshot!(name, answer.said(&arena));
        arena.delete("Deployment", "web").await;
    }
}

#[tokio::test]
async fn cli_says_what_was_typed_wrong() {
    let arena = arena("cli-typed").await;
    for (name, words) in [
        ("typed_no_kind", vec!["explain", "web"]),
        ("typed_unknown_kind", vec!["explain", "pod/web"]),
        ("typed_a_source", vec!["explain", "secret/db"]),
        ("typed_nothing_there", vec!["explain", "deploy/web"]),
        ("typed_a_workload", vec!["status", "deploy/web"]),
        ("typed_nothing", vec!["explain"]),
        ("typed_a_source_to_suspend", vec!["suspend", "secret/db"]),
        (
            "typed_a_word_for_false",
            vec!["suspend", "deploy/web", "--reason", "no"],
        ),
    ] {
        let answer = ask(&arena, &words).await;
        assert_eq!(answer.code, 1, "{words:?}: {}{}", answer.out, answer.err);
        insta::assert_snapshot!(name, answer.said(&arena));
    }
}
