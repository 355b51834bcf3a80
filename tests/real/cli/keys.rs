//! Opt-ins that name keys: `explain` and `plan` say which count, and what is named in vain.

use std::io::Write as _;

use reroll_harness::{RESTART_ON, env, env_from, secret, workload};
use tempfile::NamedTempFile;

use super::{arena, ask, ask_until};

#[tokio::test]
async fn cli_names_the_keys_that_count() {
    let arena = arena("cli-keys").await;
    arena
        .secret("uber", &[("db_32", "canary-1"), ("legacy", "canary-2")])
        .await;
    let _reroll = arena.reroll().start().await;
    let deployment = |name, list, pod| workload("Deployment", name, &[(RESTART_ON, list)], pod);
    for manifest in [
        deployment("one", "secret/uber#db_32", env_from("uber")),
        deployment("but", "!secret/uber#legacy", env_from("uber")),
        deployment("typo", "secret/uber#db_23", env_from("uber")),
        deployment("unread", "auto,secret/uber#legacy", env("uber", "db_32")),
    ] {
        arena.create(&manifest).await;
    }
    for (name, parts) in [
        ("one", ["Secret uber", "key db_32"]),
        ("but", ["Secret uber", "keys all but legacy"]),
        (
            "typo",
            [
                "key db_23",
                "No effect   add a key db_23 to Secret uber, or name another: reroll.dev/restart-on names it, and Secret uber has none",
            ],
        ),
        (
            "unread",
            [
                "no key",
                "No effect   name a key that pods read: no container reads a key legacy of Secret uber, which reroll.dev/restart-on names",
            ],
        ),
    ] {
        let object = format!("deploy/{name}");
        let words = ["explain", object.as_str()];
        for part in parts {
            ask_until(&arena, &words, part).await;
        }
    }
    arena.adopted("Deployment", "one").await;
    arena.adopted("Deployment", "but").await;
    let mut file = NamedTempFile::with_suffix(".json").unwrap();
    let next = secret("uber", &[("db_32", "canary-1"), ("legacy", "canary-3")]);
    file.write_all(next.to_string().as_bytes()).unwrap();
    let answer = ask(&arena, &["plan", "-f", file.path().to_str().unwrap()]).await;
    let said = answer.said(&arena);
    for part in [
        "of Secret uber it uses key db_32, which stays the same",
        "of Secret uber it uses keys all but legacy, which stay the same",
        "its opt-in takes no key of Secret uber that a container reads",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}
