//! A workload whose own pods write a Secret that they use.

use reroll_harness::{Arena, Recorder, deployment};

#[tokio::test]
async fn a_workload_that_writes_its_own_source_restarts_itself() {
    let arena = Arena::new("restarts-itself").await;
    let _reroll = arena.reroll().start().await;
    let account = format!("{}:default", arena.namespace);
    let binding = format!("--serviceaccount={account}");
    let bind = [
        "create",
        "rolebinding",
        "writes",
        "--clusterrole=edit",
        &binding,
    ];
    arena.kubectl(&bind).await.ok();
    // The pods of one may have written its Secret, those of the other have another account.
    let all = [("web", "db"), ("other", "queue")];
    for (name, secret) in all {
        arena.secret(secret, &[("k", "0")]).await;
        let mut manifest = deployment(name, secret, "k");
        if name == "other" {
            manifest["spec"]["template"]["spec"]["serviceAccountName"] = "another".into();
        }
        arena.create(&manifest).await;
        arena.adopted("Deployment", name).await;
    }
    let recorder = Recorder::start(&arena).await;
    let user = format!("--as=system:serviceaccount:{account}");
    for number in 1..=5 {
        let patch = format!(r#"{{"stringData":{{"k":"{number}"}}}}"#);
        for (name, secret) in all {
            let write = ["patch", "secret", secret, &user, "-p", &patch];
            arena.kubectl(&write).await.ok();
            recorder.reaches("Deployment", name, number).await;
        }
    }
    for (name, itself) in [("web", true), ("other", false)] {
        let said = arena.event(name, "SourceRewritten: ").await;
        assert_eq!(said.contains("it restarts itself"), itself, "{said}");
    }
}
