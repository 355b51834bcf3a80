//! Argo Rollouts under slow start. No Argo runs here: the test writes what it would write into the status.

use std::{collections::BTreeMap, time::SystemTime};

use futures::StreamExt;
use jiff::Timestamp;
use kube::{
    Api, ResourceExt,
    api::{DynamicObject, Patch, PatchParams, PostParams},
    runtime::{WatchStreamExt, watcher},
};
use reroll_harness::eventually;
use serde_json::json;
use tokio::{task::JoinSet, time::sleep};

use super::{Stage, held, slowly};
use crate::kinds::{Changes, Custom, anything, follows};

const USERS: [&str; 4] = ["r-1", "r-2", "r-3", "r-4"];

/// Plays Argo: each template is rolled out at once, and aborted where the Secret's value is bad. A restart by time makes a pod on
/// this node.
async fn play_argo(
    rollouts: Api<DynamicObject>,
    secrets: Api<DynamicObject>,
    pods: Api<DynamicObject>,
    node: String,
) {
    let mut events = watcher(rollouts.clone(), watcher::Config::default())
        .default_backoff()
        .boxed();
    while let Some(event) = events.next().await {
        let Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object)) = event else {
            continue;
        };
        let seen = object.metadata.generation.unwrap_or(0).to_string();
        if object.data["status"]["observedGeneration"] == json!(seen) {
            continue;
        }
        let template = object.data["spec"]["template"].clone();
        let by_time = object.data["spec"]["restartAt"] != object.data["status"]["restartedAt"];
        let status = if by_time {
            // What is aborted stays so. Argo begins when it is time, which is a second later at most.
            let at = object.data["spec"]["restartAt"].as_str().unwrap();
            until(at.parse().unwrap()).await;
            let mut pod = template.clone();
            pod["metadata"]["name"] = json!(format!("{}-{seen}", object.name_any()));
            pod["spec"]["nodeName"] = json!(node);
            pod["spec"]["terminationGracePeriodSeconds"] = json!(0);
            let pod = serde_json::from_value(pod).unwrap();
            pods.create(&PostParams::default(), &pod).await.unwrap();
            json!({ "observedGeneration": seen, "restartedAt": object.data["spec"]["restartAt"] })
        } else {
            let secret = secrets.get("db").await.unwrap();
            // `bad`
            let aborts = secret.data["data"]["k"] == json!("YmFk");
            json!({
                "observedGeneration": seen, "abort": aborts, "replicas": 1, "availableReplicas": 1,
                "updatedReplicas": i32::from(!aborts),
                "phase": if aborts { "Degraded" } else { "Healthy" },
            })
        };
        let patch = Patch::Merge(json!({ "status": status }));
        let (name, params) = (object.name_any(), PatchParams::default());
        rollouts.patch_status(&name, &params, &patch).await.unwrap();
    }
}

#[expect(clippy::disallowed_methods, reason = "a controller has a clock")]
async fn until(at: Timestamp) {
    let left = SystemTime::from(at).duration_since(SystemTime::now());
    sleep(left.unwrap_or_default()).await;
}

/// What is counted of one Rollout: changes of its template, and of its time.
struct Counted {
    templates: Changes,
    times: Changes,
}

#[tokio::test]
async fn an_abort_holds_the_others() {
    let stage = Stage::set("slow-abort").await;
    let arena = &stage.arena;
    let rollout = Custom::rollout();
    rollout.install(arena, anything()).await;
    let mut argo = JoinSet::new();
    argo.spawn(play_argo(
        rollout.api(arena),
        arena.api("Secret"),
        arena.api("Pod"),
        stage.kubelet.node.clone(),
    ));
    for name in USERS {
        rollout.create(arena, name, &[]).await;
        let selector = json!({ "spec": { "selector": { "matchLabels": { "app": name } } } });
        rollout.patch(arena, name, selector).await;
        eventually("it has a status", async || {
            let object = rollout.api(arena).get(name).await.unwrap();
            (object.data["status"]["phase"] == "Healthy").then_some(())
        })
        .await;
    }
    // No Argo runs here, so that nothing becomes of a restart by its time: that is told after the deadline.
    let builder = slowly(arena)
        .flag("--discovery-interval", "200ms")
        .flag("--rollout-deadline", "10m");
    let reroll = stage.start_as(builder).await;
    follows(&reroll, &rollout, 1).await;
    let mut counted = BTreeMap::new();
    for name in USERS {
        rollout.adopted(arena, name).await;
        let api = rollout.api(arena);
        let template = |object: &DynamicObject| object.data["spec"]["template"].clone();
        let time = |object: &DynamicObject| object.data["spec"]["restartAt"].clone();
        let one = Counted {
            templates: Changes::of(api.clone(), name, template).await,
            times: Changes::of(api, name, time).await,
        };
        counted.insert(name, one);
    }
    let restarted = || {
        let one = counted.iter().filter(|(_, one)| one.templates.count() > 0);
        one.map(|(name, _)| *name).collect::<Vec<_>>()
    };
    stage.change("bad").await;
    held(&reroll, USERS.len() - 1).await;
    let broken = eventually("one is restarted", async || restarted().first().copied()).await;
    let said = stage.stuck(broken).await;
    assert!(said.contains("the Rollout aborted it"), "{said}");
    stage.recorder.settle(arena).await;
    assert_eq!(restarted(), [broken]);
    // The broken one is restarted by its time: the abort goes on.
    stage.change("good again").await;
    for (name, one) in &counted {
        one.times
            .are(arena, &stage.recorder, usize::from(*name == broken))
            .await;
        one.templates.are(arena, &stage.recorder, 1).await;
    }
    // The abort is of the template, not of this restart.
    assert_eq!(arena.event_count(broken, "RestartStuck").await, 1);
}
