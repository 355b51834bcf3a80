//! `kubernetes.io/change-cause`: what `kubectl rollout history` tells of reroll's revisions, and of others'.

use reroll_harness::{
    Arena, KINDS, RESTART_ON, Recorder, RerollBuilder, deployment, env, eventually,
    proxy::FaultProxy, workload,
};
use serde_json::{Value, json};

const CHANGE_CAUSE: &str = "kubernetes.io/change-cause";
const ASKS: &str = "reroll.dev/change-cause";
const UPDATED: &str = "reroll: Secret db was updated (key k)";
const NONE: &str = "<none>";

fn asking(arena: &Arena) -> RerollBuilder {
    arena.reroll().flag("--change-cause", "on")
}

/// What the history of a workload tells of each revision, oldest first.
async fn history(arena: &Arena, kind: &str, name: &str) -> Vec<String> {
    let workload = format!("{}/{name}", kind.to_lowercase());
    let said = arena.kubectl(&["rollout", "history", &workload]).await.ok();
    let rows = said
        .out
        .lines()
        .skip(2)
        .filter(|line| !line.trim().is_empty());
    let cause = |row: &str| {
        let (_, cause) = row.trim_start().split_once(char::is_whitespace)?;
        Some(cause.trim().to_owned())
    };
    rows.filter_map(cause).collect()
}

/// Waits until the history tells this.
async fn tells(arena: &Arena, kind: &str, name: &str, expected: &[&str]) {
    let what = format!("the history of {kind} {name} tells {expected:?}");
    eventually(&what, async || {
        let now = history(arena, kind, name).await;
        (now == expected).then_some(())
    })
    .await;
}

/// Another image, which is a deploy.
fn deployed(mut manifest: Value, image: &str, cause: Option<&str>) -> Value {
    manifest["spec"]["template"]["spec"]["containers"][0]["image"] = json!(image);
    if let Some(cause) = cause {
        manifest["metadata"]["annotations"][CHANGE_CAUSE] = json!(cause);
    }
    manifest
}

async fn apply(arena: &Arena, manifest: &Value) {
    let input = manifest.to_string();
    arena.kubectl_with(&["apply", "-f", "-"], &input).await.ok();
}

/// Has Deployment `web` adopted with Secret `db`, as kubectl applied it.
async fn web(arena: &Arena, manifest: &Value) -> Recorder {
    arena.secret("db", &[("k", "one")]).await;
    apply(arena, manifest).await;
    arena.adopted("Deployment", "web").await;
    arena.record().await
}

async fn cause(arena: &Arena, name: &str) -> Option<String> {
    arena.annotation("Deployment", name, CHANGE_CAUSE).await
}

#[tokio::test]
async fn the_history_tells_restarts_from_deploys() {
    let arena = Arena::new("cause-history").await;
    let _reroll = asking(&arena).start().await;
    arena.secret("db", &[("k", "one")]).await;
    for kind in KINDS {
        let manifest = workload(kind, "web", &[(RESTART_ON, "auto")], env("db", "k"));
        apply(&arena, &manifest).await;
    }
    for kind in KINDS {
        arena.adopted(kind, "web").await;
    }
    let recorder = arena.record().await;
    arena.update_secret("db", &[("k", "two")]).await;
    for kind in KINDS {
        recorder.reaches(kind, "web", 1).await;
        tells(&arena, kind, "web", &[NONE, UPDATED]).await;
    }
    // A later deploy that says nothing of it, as from CI.
    for kind in KINDS {
        let manifest = workload(kind, "web", &[(RESTART_ON, "auto")], env("db", "k"));
        apply(&arena, &deployed(manifest, "registry.example/app:2", None)).await;
        tells(&arena, kind, "web", &[NONE, UPDATED, NONE]).await;
        let annotation = arena.annotation(kind, "web", CHANGE_CAUSE).await;
        assert_eq!(annotation, None, "{kind}");
    }
    // And one by kubectl alone.
    arena.update_secret("db", &[("k", "three")]).await;
    for kind in KINDS {
        recorder.reaches(kind, "web", 3).await;
        tells(&arena, kind, "web", &[NONE, UPDATED, NONE, UPDATED]).await;
        let workload = format!("{}/web", kind.to_lowercase());
        arena.kubectl(&["rollout", "restart", &workload]).await.ok();
        let all = [NONE, UPDATED, NONE, UPDATED, NONE];
        tells(&arena, kind, "web", &all).await;
    }
    recorder.settle(&arena).await;
    for kind in KINDS {
        recorder.expect(kind, "web", 4);
    }
}

#[tokio::test]
async fn it_is_a_part_of_the_restarts_own_write() {
    let arena = Arena::new("cause-write").await;
    let proxy = FaultProxy::start(arena.cluster.kubeconfig()).await.unwrap();
    let _reroll = asking(&arena).kubeconfig(proxy.kubeconfig()).start().await;
    let recorder = web(&arena, &deployment("web", "db", "k")).await;
    let writes =
        || proxy.count(|line| line.method == "PATCH" && line.path.ends_with("/deployments/web"));
    let before = writes();
    for (number, value) in ["two", "three"].into_iter().enumerate() {
        arena.update_secret("db", &[("k", value)]).await;
        recorder.reaches("Deployment", "web", number + 1).await;
        assert_eq!(cause(&arena, "web").await.as_deref(), Some(UPDATED));
    }
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 2);
    assert_eq!(writes() - before, 2);
    tells(&arena, "Deployment", "web", &[NONE, UPDATED, UPDATED]).await;
}

#[tokio::test]
async fn a_deploy_that_sets_its_own_keeps_it() {
    let arena = Arena::new("cause-own").await;
    let _reroll = asking(&arena).start().await;
    let manifest = deployed(
        deployment("web", "db", "k"),
        "registry.example/app:1",
        Some("deploy 1"),
    );
    let recorder = web(&arena, &manifest).await;
    tells(&arena, "Deployment", "web", &["deploy 1"]).await;
    arena.update_secret("db", &[("k", "two")]).await;
    recorder.reaches("Deployment", "web", 1).await;
    tells(&arena, "Deployment", "web", &["deploy 1", UPDATED]).await;
    // The same words as before, and others.
    for (number, own) in ["deploy 1", "deploy 3"].into_iter().enumerate() {
        let image = format!("registry.example/app:{}", number + 2);
        apply(&arena, &deployed(manifest.clone(), &image, Some(own))).await;
        assert_eq!(cause(&arena, "web").await.as_deref(), Some(own));
    }
    let all = ["deploy 1", UPDATED, "deploy 1", "deploy 3"];
    tells(&arena, "Deployment", "web", &all).await;
    // What is no change of the template takes nothing away.
    arena.update_secret("db", &[("k", "three")]).await;
    recorder.reaches("Deployment", "web", 4).await;
    arena
        .kubectl(&["scale", "deployment/web", "--replicas=3"])
        .await
        .ok();
    arena
        .kubectl(&["label", "deployment/web", "a=b"])
        .await
        .ok();
    assert_eq!(cause(&arena, "web").await.as_deref(), Some(UPDATED));
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 4);
}

#[tokio::test]
async fn what_another_manager_owns_is_not_touched() {
    let arena = Arena::new("cause-owned").await;
    let _reroll = asking(&arena).start().await;
    arena.secret("db", &[("k", "one")]).await;
    let rows = [
        (
            "argo",
            &[
                "apply",
                "--server-side",
                "--field-manager=argocd",
                "-f",
                "-",
            ][..],
        ),
        ("applied", &["apply", "--server-side", "-f", "-"]),
        ("helm", &["create", "--field-manager=helm", "-f", "-"]),
        // They say nothing of it.
        (
            "free",
            &[
                "apply",
                "--server-side",
                "--field-manager=argocd",
                "-f",
                "-",
            ],
        ),
    ];
    let manifest = |name: &str, image: &str| {
        let own = (name != "free").then_some("from Git");
        deployed(deployment(name, "db", "k"), image, own)
    };
    for (name, by) in rows {
        let input = manifest(name, "registry.example/app:1").to_string();
        arena.kubectl_with(by, &input).await.ok();
        arena.adopted("Deployment", name).await;
    }
    let recorder = arena.record().await;
    arena.update_secret("db", &[("k", "two")]).await;
    for (name, _) in rows {
        recorder.reaches("Deployment", name, 1).await;
        let expected = if name == "free" { UPDATED } else { "from Git" };
        assert_eq!(
            cause(&arena, name).await.as_deref(),
            Some(expected),
            "{name}"
        );
    }
    // Whoever applies again meets no conflict; where reroll had set it, the next deploy is shown without.
    for (name, by) in rows.into_iter().filter(|(name, _)| *name != "helm") {
        let input = manifest(name, "registry.example/app:2").to_string();
        arena.kubectl_with(by, &input).await.ok();
        let expected = (name != "free").then_some("from Git");
        assert_eq!(cause(&arena, name).await.as_deref(), expected, "{name}");
    }
    tells(&arena, "Deployment", "free", &[NONE, UPDATED, NONE]).await;
    recorder.settle(&arena).await;
    for (name, _) in rows {
        recorder.expect("Deployment", name, if name == "helm" { 1 } else { 2 });
    }
}

#[tokio::test]
async fn it_is_off_unless_asked_for() {
    let arena = Arena::new("cause-off").await;
    let _reroll = arena.reroll().start().await;
    let recorder = web(&arena, &deployment("web", "db", "k")).await;
    let mut asks = deployment("asks", "db", "k");
    asks["metadata"]["annotations"][ASKS] = json!("true");
    apply(&arena, &asks).await;
    arena.adopted("Deployment", "asks").await;
    arena.update_secret("db", &[("k", "two")]).await;
    for name in ["web", "asks"] {
        recorder.reaches("Deployment", name, 1).await;
    }
    assert_eq!(cause(&arena, "web").await, None);
    assert_eq!(cause(&arena, "asks").await.as_deref(), Some(UPDATED));
    tells(&arena, "Deployment", "asks", &[NONE, UPDATED]).await;
    tells(&arena, "Deployment", "web", &[NONE, NONE]).await;
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 1);
    recorder.expect("Deployment", "asks", 1);
}

/// For a Deployment kubectl brings the annotations of the old revision back, and for the others the template alone.
#[tokio::test]
async fn an_undo_tells_what_the_revision_is() {
    let arena = Arena::new("cause-undo").await;
    let _reroll = asking(&arena).start().await;
    arena.secret("db", &[("k", "one")]).await;
    let manifest = |kind: &str, number: u32| {
        let manifest = workload(kind, "web", &[(RESTART_ON, "auto")], env("db", "k"));
        let image = format!("registry.example/app:{number}");
        deployed(manifest, &image, Some(&format!("deploy {number}")))
    };
    for kind in KINDS {
        apply(&arena, &manifest(kind, 1)).await;
    }
    for kind in KINDS {
        arena.adopted(kind, "web").await;
        tells(&arena, kind, "web", &["deploy 1"]).await;
    }
    let recorder = arena.record().await;
    let undo = async |kind: &str| {
        let workload = format!("{}/web", kind.to_lowercase());
        arena.kubectl(&["rollout", "undo", &workload]).await.ok();
    };
    arena.update_secret("db", &[("k", "two")]).await;
    for kind in KINDS {
        recorder.reaches(kind, "web", 1).await;
        tells(&arena, kind, "web", &["deploy 1", UPDATED]).await;
        // Of a restart there is nothing to undo: its mark stays, and so does what is told of it.
        undo(kind).await;
        let now = arena.annotation(kind, "web", CHANGE_CAUSE).await;
        assert_eq!(now.as_deref(), Some(UPDATED), "{kind}");
    }
    recorder.settle(&arena).await;
    for kind in KINDS {
        recorder.expect(kind, "web", 1);
        tells(&arena, kind, "web", &["deploy 1", UPDATED]).await;
        apply(&arena, &manifest(kind, 2)).await;
        tells(&arena, kind, "web", &["deploy 1", UPDATED, "deploy 2"]).await;
        // Back to the revision of the restart.
        undo(kind).await;
        recorder.reaches(kind, "web", 3).await;
        let now = arena.annotation(kind, "web", CHANGE_CAUSE).await;
        let expected = if kind == "Deployment" {
            UPDATED
        } else {
            "deploy 2"
        };
        assert_eq!(now.as_deref(), Some(expected), "{kind}");
        tells(&arena, kind, "web", &["deploy 1", "deploy 2", UPDATED]).await;
        // A deploy that keeps it is not told as a restart, whoever brought it there.
        let image = [
            "set",
            "image",
            &format!("{}/web", kind.to_lowercase()),
            "*=registry.example/app:3",
        ];
        arena.kubectl(&image).await.ok();
        recorder.reaches(kind, "web", 4).await;
        let last = if kind == "Deployment" {
            NONE
        } else {
            "deploy 2"
        };
        tells(
            &arena,
            kind,
            "web",
            &["deploy 1", "deploy 2", UPDATED, last],
        )
        .await;
    }
    recorder.settle(&arena).await;
    for kind in KINDS {
        recorder.expect(kind, "web", 4);
    }
}
