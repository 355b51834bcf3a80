use super::*;

#[test]
#[expect(clippy::too_many_lines, reason = "it is a list")]
fn values_are_the_models_to_complain_of() {
    let expected = "auto, secrets, configmaps, secretproviderclasses, [!]secret/NAME[#KEY] (or another kind), env, volume or off";
    let unreadable = |value: &str| {
        let words = format!("RR103 6 reroll.dev/restart-on: \"{value}\" is not {expected}");
        (
            deployment(&format!("reroll.dev/restart-on: {value}")),
            vec![words],
        )
    };
    let bare = |value: &str| {
        let words = "an entry: say its kind, as in secret/NAME or configmap/NAME";
        let words = format!("RR103 6 reroll.dev/restart-on: \"{value}\" is not {words}");
        (
            deployment(&format!("reroll.dev/restart-on: {value}")),
            vec![words],
        )
    };
    let entry = |written: &str, value: &str, meant: &str| {
        let words = format!(
            "RR103 6 reroll.dev/restart-on: \"{value}\" is not an entry: did you mean {meant}? → reroll.dev/restart-on: \"{meant}\""
        );
        (
            deployment(&format!("reroll.dev/restart-on: {written}")),
            vec![words],
        )
    };
    let long = "a".repeat(60);
    let off = (
        deployment("reroll.dev/restart-on: \"false\""),
        vec!["RR103 6 reroll.dev/restart-on: \"false\" is not an opt-in: did you mean off? → reroll.dev/restart-on: \"off\"".to_owned()],
    );
    let other = |key: &str, value: &str, words: &str| {
        (
            deployment(&format!(
                "reroll.dev/restart-on: auto\nreroll.dev/{key}: {value}"
            )),
            vec![format!(
                "RR103 7 reroll.dev/{key}: \"{}\" is not {words}",
                value.trim_matches('"')
            )],
        )
    };
    let meant = |written: &str, value: &str, word: &str| {
        let quote = if word.contains('/') { "\"" } else { "" };
        (
            deployment(&format!("reroll.dev/restart-on: {written}")),
            vec![format!(
                "RR103 6 reroll.dev/restart-on: \"{value}\" is not an opt-in: did you mean {word}? Nothing restarts until then → reroll.dev/restart-on: {quote}{word}{quote}"
            )],
        )
    };
    let rows = [
        meant("\"true\"", "true", "auto"),
        off,
        meant("secret", "secret", "secrets"),
        meant("aut", "aut", "auto"),
        entry("auto,Secrets/db", "Secrets/db", "secret/db"),
        entry("auto,!cm/cfg", "!cm/cfg", "!configmap/cfg"),
        meant("\"secret:db\"", "secret:db", "secret/db"),
        meant("db", "db", "secret/db"),
        meant("auto !secret/db", "auto !secret/db", "auto,!secret/db"),
        entry(
            &format!("auto,secrets/{long}"),
            &format!("secrets/{}…", &long[..23]),
            &format!("secret/{long}"),
        ),
        bare("something-else"),
        unreadable("secret/shop/db"),
        other(
            "settle",
            "soon",
            "a duration such as 500ms, 5s or 2m, up to 1h",
        ),
        other("on-delete", "never", "wait or restart"),
        other(
            "on-change",
            "run-now",
            "known for this kind (CronJobs: run-now; Jobs: recreate)",
        ),
        other("wave", "first", "a whole number such as -1, 0 or 5"),
        other(
            "together",
            "secret/db",
            "two values at least, such as \"secret/user, secret/pass#password\": nothing is held for it",
        ),
        other(
            "together-latest",
            "25h",
            "a duration such as 10m, up to 24h",
        ),
    ];
    for (text, expected) in rows {
        assert_eq!(found(&text), expected, "{text}");
    }
    let source = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\n  annotations:\n    reroll.dev/on-recreate: never\n    reroll.dev/slow-start: \"no\"\n    reroll.dev/ignore: \"yes\"\n";
    assert_eq!(
        found(source),
        [
            "RR103 6 reroll.dev/on-recreate of Secret s is not auto, restart or content",
            "RR103 7 reroll.dev/slow-start of Secret s is not on or off",
            "RR103 8 reroll.dev/ignore: \"yes\" is not true or false → reroll.dev/ignore: \"true\"",
        ]
    );
    let namespace = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: ns\n  labels:\n    reroll.dev/restart-on: atuo\n  annotations:\n    reroll.dev/slow-start: \"no\"\n    reroll.dev/window: sometimes\n";
    let told = found(namespace);
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told[0].starts_with("RR103 6 the Namespace's label reroll.dev/restart-on: \"atuo\" is not an opt-in: did you mean auto?"));
    assert!(told[1].starts_with("RR103 8 reroll.dev/slow-start: \"no\" is not on or off"));
    assert!(told[2].starts_with("RR103 9 reroll.dev/window: \"sometimes\" is not "));
    let list = namespace
        .replace("atuo", "\"auto,!secret/db\"")
        .replace("sometimes", "Sun");
    let label = "RR103 6 reroll.dev/restart-on: \"auto,!secret/db\" is no value that a label can have → one word; a list is an annotation of each workload";
    assert!(
        found(&list).contains(&label.to_owned()),
        "{:?}",
        found(&list)
    );
}
