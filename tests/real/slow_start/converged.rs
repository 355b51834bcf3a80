//! Who has a version: told once, and not before the last pod with an older value is gone.

mod many;

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt};
use reroll_harness::{Reroll, env, eventually, workload};
use serde_json::{Value, json};

use super::{Stage, slowly};

/// What keeps a pod that is deleted.
const HOLD: &str = "example.com/hold";
/// A Secret that only one workload uses, and that is looked at after all others.
const LAST: &str = "last";

impl Stage {
    /// Returns how often it was told that everybody has the Secret's version, and that others may not.
    async fn told(&self) -> (i32, i32) {
        let count = async |reason| self.arena.event_count("db", reason).await;
        (count("Converged").await, count("NotConverged").await)
    }

    /// Waits until the pods of the namespace were listed, and everything was told that there was to tell: the same is told of
    /// another Secret, which changes now.
    async fn all_is_told(&self) {
        let arena = &self.arena;
        let before = arena.event_count(LAST, "Converged").await;
        if before == 0 {
            arena.secret(LAST, &[("k", "good")]).await;
            let annotations = [(super::RESTART_ON, "auto")];
            let manifest = workload("Deployment", LAST, &annotations, env(LAST, "k"));
            self.create(&manifest, 1).await;
            arena.pods_are(LAST, 1, "Running").await;
            arena.adopted("Deployment", LAST).await;
        }
        let value = format!("good {before}");
        arena.later_second().await;
        arena.update_secret(LAST, &[("k", &value)]).await;
        eventually("it is told of another Secret", async || {
            (arena.event_count(LAST, "Converged").await > before).then_some(())
        })
        .await;
    }

    /// Waits until all are restarted and complete.
    async fn all_are_complete(&self) {
        self.are_restarted(self.users.len()).await;
        for (kind, name) in &self.users {
            self.arena.complete(kind, name).await;
        }
    }

    fn pod_api(&self) -> Api<Pod> {
        Api::namespaced(self.arena.client.clone(), &self.arena.namespace)
    }

    /// Has one of a workload's pods stay when it is deleted. Returns its name.
    async fn hold_pod(&self, app: &str) -> String {
        let name = self.arena.pods(app).await[0].name_any();
        let finalizers = json!({ "metadata": { "finalizers": [HOLD] } });
        self.arena.patch("Pod", &name, finalizers).await;
        name
    }
}

#[tokio::test]
async fn it_is_told_once_whoever_many_use_it() {
    for users in [1, 4] {
        let stage = Stage::of(&format!("converged-{users}"), users).await;
        let reroll = stage.start().await;
        stage.change("new").await;
        let said = stage.arena.event("db", "Converged: ").await;
        stage.all_are_complete().await;
        let run = match users {
            1 => "1 workload runs this version, after ",
            _ => "4 workloads run this version, the last after ",
        };
        assert!(
            said.contains(run) && said.contains("Deployment web-00"),
            "{said}"
        );
        stage.all_is_told().await;
        assert_eq!(stage.told().await, (1, 0));
        // Each version has its own.
        stage.arena.later_second().await;
        stage.change("newer").await;
        stage.are_restarted_often(users, 2).await;
        eventually("the other version is told", async || {
            (stage.told().await.0 == 2).then_some(())
        })
        .await;
        stage.all_is_told().await;
        assert_eq!(stage.told().await, (2, 0));
        // One for each version, and those of the other Secret.
        let others = stage.arena.event_count(LAST, "Converged").await;
        let measured = reroll.metric("reroll_convergence_seconds_count").await;
        assert!(measured >= f64::from(2 + others), "{measured}, {others}");
    }
}

#[tokio::test]
async fn a_pod_that_is_being_deleted_still_has_the_old_value() {
    let stage = Stage::of("converged-going", 2).await;
    let pod = stage.hold_pod("web-01").await;
    let _reroll = stage.start().await;
    stage.change("new").await;
    stage.are_restarted(2).await;
    eventually("its pod is being deleted", async || {
        let pod = stage.pod_api().get(&pod).await.unwrap();
        pod.metadata.deletion_timestamp
    })
    .await;
    eventually("all are complete", async || {
        for (kind, name) in &stage.users {
            let status = stage.arena.get(kind, name).await.data["status"].clone();
            let complete = status["updatedReplicas"] == 1 && status["availableReplicas"] == 1;
            (complete && status["replicas"] == 1).then_some(())?;
        }
        Some(())
    })
    .await;
    stage.all_is_told().await;
    assert_eq!(stage.told().await.0, 0);
    let free = json!({ "metadata": { "finalizers": Value::Null } });
    stage.arena.patch("Pod", &pod, free).await;
    stage.arena.event("db", "Converged: ").await;
    let left = stage.pod_api().get_opt(&pod).await.unwrap();
    assert!(left.is_none(), "{left:?}");
    stage.all_is_told().await;
    assert_eq!(stage.told().await.0, 1);
}

#[tokio::test]
async fn pods_of_others_are_named_until_they_are_gone() {
    let stage = Stage::of("converged-others", 1).await;
    let arena = &stage.arena;
    stage
        .beside(&workload("Deployment", "other", &[], env("db", "k")), 1)
        .await;
    let mut job = json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": { "name": "report" },
        "spec": { "template": { "metadata": { "labels": { "app": "report" } }, "spec": env("db", "k") } },
    });
    let spec = &mut job["spec"]["template"]["spec"];
    spec["restartPolicy"] = json!("Never");
    spec["nodeName"] = json!(stage.kubelet.node);
    spec["terminationGracePeriodSeconds"] = json!(0);
    spec["containers"][0]["name"] = json!("containers-0");
    spec["containers"][0]["image"] = json!("registry.example/app:1");
    arena.create(&job).await;
    arena.pods_are("report", 1, "Running").await;
    let _reroll = stage.start().await;
    stage.change("new").await;
    stage.all_are_complete().await;
    let said = arena.event("db", "NotConverged: ").await;
    for (app, of) in [
        ("other", "of Deployment other"),
        ("report", "of Job report"),
    ] {
        let pod = arena.pods(app).await[0].name_any();
        assert!(said.contains(&format!("{pod} ({of})")), "{said}");
    }
    assert!(
        said.contains("1 workload runs this version, but 2 pods"),
        "{said}"
    );
    // Of one of them it is told again.
    arena.kubectl(&["delete", "job", "report"]).await.ok();
    arena.event("db", "but 1 pod that is older may have").await;
    arena
        .kubectl(&["rollout", "restart", "deployment/other"])
        .await
        .ok();
    arena
        .event("db", ": 1 workload runs this version, after")
        .await;
    stage.all_is_told().await;
    assert_eq!(stage.told().await, (1, 2));
    stage.recorder.expect("Deployment", "web-00", 1);
}

#[tokio::test]
async fn who_is_killed_in_the_middle_tells_it_once_all_the_same() {
    let stage = Stage::of("converged-killed", 3).await;
    let again = async |reroll: Reroll| {
        reroll.kill();
        slowly(&stage.arena).start().await
    };
    let reroll = stage.start().await;
    stage.change("new").await;
    stage.are_restarted(1).await;
    let reroll = again(reroll).await;
    stage.are_restarted(2).await;
    let reroll = again(reroll).await;
    stage.all_are_complete().await;
    stage.arena.event("db", "Converged: ").await;
    // Others find it complete.
    let reroll = again(reroll).await;
    stage.all_is_told().await;
    let _reroll = again(reroll).await;
    stage.all_is_told().await;
    assert_eq!(stage.told().await, (1, 0));
}
