//! What reroll does not read because it would cost too much, and how people are told.

use reroll_harness::{Arena, RESTART_ON, env, workload};
use serde_json::json;

const SECRET_RELOAD: &str = "secret.reloader.stakater.com/reload";

#[tokio::test]
async fn what_patterns_may_cost_is_told_at_the_prompt_and_by_an_event() {
    let arena = Arena::new("bounds").await;
    let _reroll = arena.reroll().start().await;
    let globs: Vec<_> = (0..1000)
        .map(|at| format!("secret/{at}{}", "*a".repeat(60)))
        .collect();
    let lists = [".{60}"; 1024].join(",");
    let rows = [
        (
            "globs",
            (RESTART_ON, globs.join(",")),
            "reroll.dev/restart-on: \"secret/0*a*a*a*a*a*a*a*a*a*a*a*…\" is not short enough: all globs together have at most 2048 bytes",
        ),
        (
            "expressions",
            (SECRET_RELOAD, lists),
            "secret.reloader.stakater.com/reload: \".{60},.{60},.{60},.{60},.{60},.…\" is not short enough: all expressions together have at most 2048 bytes",
        ),
        (
            "program",
            (SECRET_RELOAD, "(((a{99}){99}){99})".to_owned()),
            "secret.reloader.stakater.com/reload: \"(((a{99}){99}){99})\" is not simple enough: all expressions together become at most 128 KiB of program",
        ),
    ];
    for (name, (key, value), expected) in rows {
        let object = workload("Deployment", name, &[(key, &value)], env("creds", "k"));
        let object = object.to_string();
        let created = arena.kubectl_with(&["create", "-f", "-"], &object);
        let said = created.await.ok().err;
        assert!(said.contains(&expected[..100]), "{said}");
        arena.event(name, expected).await;
    }
}

#[tokio::test]
async fn how_many_references_there_may_be_is_told() {
    let arena = Arena::new("bounds-references").await;
    let _reroll = arena.reroll().start().await;
    let mut object = workload(
        "Deployment",
        "references",
        &[(RESTART_ON, "auto")],
        env("creds", "k"),
    );
    let sources: Vec<_> = (0..1100)
        .map(|at| json!({"secret": {"name": format!("s{at}"), "optional": true}}))
        .collect();
    let spec = &mut object["spec"]["template"]["spec"];
    spec["volumes"] = json!([{"name": "many", "projected": {"sources": sources}}]);
    spec["containers"][0]["volumeMounts"] = json!([{"name": "many", "mountPath": "/many"}]);
    let object = object.to_string();
    let created = arena.kubectl_with(&["create", "-f", "-"], &object);
    let said = created.await.ok().err;
    let expected = "spec.template: \"1101 sources\" is not within 1024 sources and 4096 keys: reroll does not follow this workload";
    assert!(said.contains(&expected[..100]), "{said}");
    arena.event("references", expected).await;
}
