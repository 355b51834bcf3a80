//! The distance between restarts of one workload, and the bound of how many roll at the same time.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use reroll_harness::{
    Arena, Kubelet, RESTARTED_FOR, Recorder, deployment, eventually, every_second,
};
use tokio::time::timeout;

use super::{Stage, behaviour, slowly};

/// The mark of a pod, by name.
type Marks = BTreeMap<String, Option<String>>;

/// Waits until a pod is of any restart. Returns how all are at that moment.
async fn replaced(stage: &Stage, name: &str) -> Marks {
    eventually(&format!("{name} is replaced"), async || {
        let pods = stage.arena.pods("web").await;
        let mark = |pod: &Pod| pod.annotations().get(RESTARTED_FOR).cloned();
        let marks: Marks = pods.iter().map(|pod| (pod.name_any(), mark(pod))).collect();
        marks.get(name)?.is_some().then_some(marks)
    })
    .await
}

/// A pod is ready after 12 s, so the whole rollout takes a minute and more, longer than the longest distance. The first new pod may
/// have to wait for one of the rollout before, and is good within that distance all the same. The Secret changes every second.
/// Were each rollout overtaken, the first pod would never be replaced.
#[tokio::test]
async fn the_lowest_ordinal_gets_a_new_version_whatever_changes() {
    let mut stage = Stage::set("slow-rewritten-set").await;
    stage.add("StatefulSet", "web", 5).await;
    let builder = slowly(&stage.arena)
        .flag("--max-distance", "40s")
        .flag("--rollout-deadline", "90s");
    let _reroll = stage.start_as(builder).await;
    let writes = every_second(async |value| stage.change(&format!("slow {value}")).await);
    // What is written later might be taken by the next restart, or not any more.
    tokio::select! {
        () = writes => {}
        _ = replaced(&stage, "web-1") => {}
    }
    let marks = replaced(&stage, "web-0").await;
    // All pods are of one version: none was overtaken in between.
    let different: BTreeSet<_> = marks.values().collect();
    assert_eq!(different.len(), 1, "{marks:#?}");
    // The last value wins.
    let of_all = marks["web-0"].as_ref();
    let all = stage.recorder.restarted_for("StatefulSet", "web");
    let number = 2 + all.iter().position(|mark| Some(mark) == of_all).unwrap();
    stage.recorder.reaches("StatefulSet", "web", number).await;
    eventually("all pods have the last value", async || {
        let last = stage.recorder.restarted_for("StatefulSet", "web").pop();
        let marks = replaced(&stage, "web-0").await;
        let all = marks.len() == 5 && marks.values().all(|mark| *mark == last);
        all.then_some(())
    })
    .await;
    stage.recorder.settle(&stage.arena).await;
    stage.recorder.expect("StatefulSet", "web", number);
}

/// Another namespace, with a Deployment of its own.
async fn beside(name: &str) -> (Arena, Kubelet, Recorder) {
    let other = Arena::new(name).await;
    let kubelet = Kubelet::join(&other, behaviour).await;
    other.secret("db", &[("k", "good")]).await;
    let manifest = kubelet.runs(deployment("web", "db", "k"), 1);
    other.create(&manifest).await;
    let recorder = Recorder::start(&other).await;
    (other, kubelet, recorder)
}

/// Nothing else shows of one that failed: its status stays as it is.
#[tokio::test]
async fn one_that_failed_takes_no_place() {
    let stage = Stage::of("limit-failed", 1).await;
    let (other, _kubelet, recorder) = beside("limit-failed-other").await;
    let both = format!("{},{}", stage.arena.namespace, other.namespace);
    let builder = slowly(&stage.arena).flag("--namespaces", &both);
    let reroll = stage.start_as(builder.flag("--rolling-limit", "1")).await;
    other.adopted("Deployment", "web").await;
    stage.change("bad").await;
    let broken = stage.first().await;
    stage.stuck(&broken).await;
    other.update_secret("db", &[("k", "good too")]).await;
    recorder.reaches("Deployment", "web", 1).await;
    stage.change("good again").await;
    stage.recorder.reaches("Deployment", &broken, 2).await;
    eventually("nothing rolls", async || {
        let rolling = "reroll_workloads_pending{reason=\"rolling\"}";
        (reroll.count(rolling).await == 0).then_some(())
    })
    .await;
    recorder.settle(&other).await;
    recorder.expect("Deployment", "web", 1);
    stage.recorder.expect("Deployment", &broken, 2);
}

#[tokio::test]
async fn rollouts_that_hang_in_one_namespace_hold_up_no_other() {
    let stage = Stage::of("limit-hangs", 3).await;
    let (other, _kubelet, recorder) = beside("limit-other").await;
    let both = format!("{},{}", stage.arena.namespace, other.namespace);
    let builder = stage.arena.reroll();
    let builder = builder.flag("--namespaces", &both);
    let reroll = stage.start_as(builder.flag("--rolling-limit", "3")).await;
    other.adopted("Deployment", "web").await;
    stage.change("never ready").await;
    stage.are_restarted(2).await;
    // The third place is not for the third one.
    eventually("one waits for a place", async || {
        let rolling = "reroll_workloads_pending{reason=\"rolling\"}";
        let waits = reroll.count("reroll_intents_pending").await == 1;
        (waits && reroll.count(rolling).await == 2).then_some(())
    })
    .await;
    other.update_secret("db", &[("k", "good too")]).await;
    // Sooner than one that hangs could make room.
    let restarted = recorder.reaches("Deployment", "web", 1);
    timeout(Duration::from_mins(1), restarted).await.unwrap();
    recorder.settle(&other).await;
    recorder.expect("Deployment", "web", 1);
    assert_eq!(stage.restarted().len(), 2);
}
