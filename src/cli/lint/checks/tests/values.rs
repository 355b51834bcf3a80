use super::*;

#[test]
fn values_are_the_models_to_complain_of() {
    let expected = "auto, secrets, configmaps, secretproviderclasses, [!]secret/NAME[#KEY] (or another kind), env, volume or off";
    let restart_on = |value: &str, shown: &str, instead: &str| {
        let instead = match instead {
            "" => String::new(),
            word => format!(" → reroll.dev/restart-on: {word}"),
        };
        (
            deployment(&format!("reroll.dev/restart-on: {value}")),
            vec![format!(
                "RR103 6 reroll.dev/restart-on: \"{shown}\" is not {expected}{instead}"
            )],
        )
    };
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
        (
            deployment(&format!("reroll.dev/restart-on: {written}")),
            vec![format!(
                "RR103 6 reroll.dev/restart-on: \"{value}\" is not an opt-in: did you mean {word}? Nothing restarts until then → reroll.dev/restart-on: {word}"
            )],
        )
    };
    let rows = [
        meant("\"true\"", "true", "auto"),
        restart_on("\"false\"", "false", "\"off\""),
        meant("secret", "secret", "secrets"),
        meant("aut", "aut", "auto"),
        restart_on("auto,Secrets/db", "Secrets/db", "\"secret/db\""),
        restart_on("auto,!cm/cfg", "!cm/cfg", "\"!configmap/cfg\""),
        restart_on("\"secret:db\"", "secret:db", "\"secret/db\""),
        restart_on("something-else", "something-else", ""),
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
