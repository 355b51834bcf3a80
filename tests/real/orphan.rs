//! Workloads that are created again over older pods: after `kubectl delete --cascade=orphan`, or by a restore.
//!
//! They adopt the pods. If a Secret changed in between, the pods are replaced, once. If nothing changed, none is.

use std::{collections::BTreeSet, time::Duration};

use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::{ResourceExt, api::DeleteParams};
use reroll_harness::{
    Arena, KINDS, Pods, RESTART_ON, Recorder, env, eventually,
    proxy::{Fault, FaultProxy, Matcher, Rule},
    running,
};
use serde_json::{Value, json};

/// Where the manifest comes from that a workload is made of again.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Manifest {
    /// As it was written first.
    Git,
    /// As it was in the cluster, with all annotations.
    Export,
}

/// What happens to the Secret in between.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Change {
    None,
    Updated,
    Recreated,
    /// A label, by the one who wrote the data: a time that is later, of the same data.
    Labelled,
}

/// One workload's story.
#[derive(Clone, Copy)]
struct Story {
    name: &'static str,
    manifest: Manifest,
    change: Change,
    /// reroll had restarted it before.
    earlier: bool,
    /// Its template is another when it is made again.
    edited: bool,
    annotations: &'static [(&'static str, &'static str)],
}

const AUTO: &[(&str, &str)] = &[(RESTART_ON, "auto")];
const ON_ADOPT: &[(&str, &str)] = &[(RESTART_ON, "auto"), ("reroll.dev/on-adopt", "restart")];
const MARKED: &[(&str, &str)] = &[(RESTART_ON, "auto"), ("reroll.dev/mark", "restartedAt")];
const SUSPENDED: &[(&str, &str)] = &[(RESTART_ON, "auto"), ("reroll.dev/suspend", "true")];

const fn story(name: &'static str, manifest: Manifest, change: Change, earlier: bool) -> Story {
    Story {
        name,
        manifest,
        change,
        earlier,
        edited: false,
        annotations: AUTO,
    }
}

impl Story {
    const fn edited(self) -> Self {
        Self {
            edited: true,
            ..self
        }
    }

    const fn asks(self, annotations: &'static [(&'static str, &'static str)]) -> Self {
        Self {
            annotations,
            ..self
        }
    }

    /// What it asks for from the beginning.
    fn asks_first(&self) -> &'static [(&'static str, &'static str)] {
        if self.annotations == MARKED {
            MARKED
        } else {
            AUTO
        }
    }

    fn is_held(&self) -> bool {
        self.annotations == SUSPENDED
    }

    fn named(&self, kind: &str) -> String {
        format!("{}-{}", self.name, kind.to_lowercase())
    }
}

use Change::{Labelled, None as Nothing, Recreated, Updated};
use Manifest::{Export, Git};

/// A story; how often the template of a Deployment or `StatefulSet` changes after the creation, and that of a
/// `DaemonSet`; and how often the pods are replaced.
///
/// A `DaemonSet` may be as many templates old as the pods say that they are, because it counts from 1 again. Then
/// Kubernetes keeps the pods whatever the template is, unless the webhook lets it begin above them (`numbers`).
type Row = (Story, usize, usize, usize);

/// The webhook finds the pods, and changes the very write that creates the workload.
const WITH_THE_WEBHOOK: [Row; 21] = [
    (story("git", Git, Nothing, false), 0, 0, 0),
    (story("git-upd", Git, Updated, false), 0, 0, 1),
    (story("git-rec", Git, Recreated, false), 0, 0, 1),
    (story("git-old", Git, Nothing, true), 0, 0, 0),
    (story("git-old-upd", Git, Updated, true), 0, 0, 1),
    (story("git-old-label", Git, Labelled, true), 0, 0, 0),
    (story("exp", Export, Nothing, false), 0, 0, 0),
    (story("exp-upd", Export, Updated, false), 0, 0, 1),
    (story("exp-old", Export, Nothing, true), 0, 0, 0),
    (story("exp-old-rec", Export, Recreated, true), 0, 0, 1),
    (story("edit-upd", Git, Updated, false).edited(), 0, 0, 1),
    (
        story("adopt-old", Git, Nothing, true).asks(ON_ADOPT),
        0,
        0,
        0,
    ),
    (
        story("adopt-upd", Git, Updated, false).asks(ON_ADOPT),
        0,
        0,
        1,
    ),
    (
        story("held-upd", Git, Updated, false).asks(SUSPENDED),
        0,
        0,
        0,
    ),
    (
        story("held-old-rec", Git, Recreated, true).asks(SUSPENDED),
        0,
        0,
        0,
    ),
    (story("time-upd", Git, Updated, false).asks(MARKED), 0, 0, 1),
    (story("time-old", Git, Nothing, true).asks(MARKED), 0, 0, 0),
    (
        story("time-old-upd", Git, Updated, true).asks(MARKED),
        0,
        0,
        1,
    ),
    (
        story("time-old-label", Git, Labelled, true).asks(MARKED),
        0,
        0,
        0,
    ),
    (
        story("time-exp-old", Export, Nothing, true).asks(MARKED),
        0,
        0,
        0,
    ),
    (
        story("time-exp-rec", Export, Recreated, true).asks(MARKED),
        0,
        0,
        1,
    ),
];

/// If the mark is lost, Kubernetes replaces the pods, and nothing is left to do. Otherwise reroll restarts.
const WITHOUT: [Row; 20] = [
    (story("git", Git, Nothing, false), 0, 0, 0),
    (story("git-upd", Git, Updated, false), 1, 1, 1),
    (story("git-rec", Git, Recreated, false), 1, 1, 1),
    (story("git-old", Git, Nothing, true), 0, 0, 1),
    (story("git-old-upd", Git, Updated, true), 0, 0, 1),
    (story("git-old-rec", Git, Recreated, true), 0, 0, 1),
    (story("exp", Export, Nothing, false), 0, 0, 0),
    (story("exp-upd", Export, Updated, false), 1, 1, 1),
    (story("exp-old", Export, Nothing, true), 0, 0, 0),
    (story("exp-old-label", Export, Labelled, true), 0, 0, 0),
    (story("exp-old-rec", Export, Recreated, true), 1, 1, 1),
    (story("edit-upd", Git, Updated, false).edited(), 0, 1, 1),
    (story("edit-exp", Export, Updated, true).edited(), 0, 1, 1),
    (
        story("adopt-old", Git, Nothing, true).asks(ON_ADOPT),
        0,
        0,
        1,
    ),
    (
        story("adopt-upd", Git, Updated, false).asks(ON_ADOPT),
        1,
        1,
        1,
    ),
    (
        story("held-upd", Export, Updated, false).asks(SUSPENDED),
        0,
        0,
        0,
    ),
    (story("time-upd", Git, Updated, false).asks(MARKED), 1, 1, 1),
    (story("time-old", Git, Nothing, true).asks(MARKED), 0, 0, 1),
    (
        story("time-exp-old", Export, Nothing, true).asks(MARKED),
        0,
        0,
        0,
    ),
    (
        story("time-exp-rec", Export, Recreated, true).asks(MARKED),
        1,
        1,
        1,
    ),
];

#[tokio::test]
async fn with_the_webhook() {
    let arena = Arena::new("orphan-webhook").await;
    let reroll = arena.reroll().start().await;
    let pods = Pods::watch(&arena).await;
    let (before, recorder) = leave_pods(&arena, &WITH_THE_WEBHOOK, &pods).await;
    make_again(&arena, &before).await;
    expect_rows(&arena, &WITH_THE_WEBHOOK, &before, &pods, &recorder).await;
    drop(reroll);
}

#[tokio::test]
async fn without_webhook() {
    let arena = Arena::new("orphan-alone").await;
    let reroll = arena.reroll().without_webhook().start().await;
    let pods = Pods::watch(&arena).await;
    let (before, recorder) = leave_pods(&arena, &WITHOUT, &pods).await;
    make_again(&arena, &before).await;
    expect_rows(&arena, &WITHOUT, &before, &pods, &recorder).await;
    drop(reroll);
}

#[tokio::test]
async fn while_it_is_away() {
    let arena = Arena::new("orphan-away").await;
    // Its webhook's registration stays behind, as that of a chart would.
    let reroll = arena.reroll().start().await;
    let pods = Pods::watch(&arena).await;
    let before = run_all(&arena, &WITHOUT, &pods).await;
    let builder = reroll.builder();
    reroll.kill();
    leave_all(&arena, &WITHOUT).await;
    make_again(&arena, &before).await;
    // Before the start: what is restarted at once is counted too.
    let recorder = arena.record().await;
    let reroll = builder.start().await;
    expect_rows(&arena, &WITHOUT, &before, &pods, &recorder).await;
    drop(reroll);
}

/// The webhook has no answer in time, and leaves it to the housekeeper; the template keeps what it came with.
const TOO_LATE: [Row; 4] = [
    (story("git", Git, Nothing, false), 0, 0, 0),
    (story("git-upd", Git, Updated, false), 1, 1, 1),
    (story("exp-old", Export, Nothing, true), 0, 0, 0),
    (story("exp-old-upd", Export, Updated, true), 1, 1, 1),
];

#[tokio::test]
async fn with_a_webhook_that_cannot_look_in_time() {
    let arena = Arena::new("orphan-late").await;
    let proxy = FaultProxy::start(arena.cluster.kubeconfig()).await.unwrap();
    let builder = arena.reroll().kubeconfig(proxy.kubeconfig());
    let reroll = builder.impatient().start().await;
    let pods = Pods::watch(&arena).await;
    let (before, recorder) = leave_pods(&arena, &TOO_LATE, &pods).await;
    for list in ["/pods", "/replicasets"] {
        let slow = Fault::DelayRequest(Duration::from_secs(1));
        proxy.add(Rule::new(Matcher::any().path_contains(list), slow));
    }
    make_again(&arena, &before).await;
    expect_rows(&arena, &TOO_LATE, &before, &pods, &recorder).await;
    drop(reroll);
}

/// Runs every workload, and restarts those once that are to have been restarted before. Returns the manifests to create
/// them from again.
async fn run_all(arena: &Arena, rows: &[Row], pods: &Pods) -> Vec<Before> {
    let all = || {
        rows.iter()
            .flat_map(|(story, ..)| KINDS.map(|kind| (story, kind)))
    };
    for (story, kind) in all() {
        let name = story.named(kind);
        arena.secret(&name, &[("k", "one")]).await;
        arena
            .create(&manifest(kind, &name, story.asks_first()))
            .await;
    }
    let mut oldest = Vec::new();
    for (story, kind) in all() {
        let name = story.named(kind);
        oldest.push(pods.oldest(arena, kind, &name).await);
        arena.adopted(kind, &name).await;
    }
    arena.later_second().await;
    for (story, kind) in all().filter(|(story, _)| story.earlier) {
        arena
            .update_secret(&story.named(kind), &[("k", "zero")])
            .await;
    }
    let mut before = Vec::new();
    for ((story, kind), oldest) in all().zip(oldest) {
        let name = story.named(kind);
        if story.earlier {
            eventually(&format!("{kind} {name} has restarted"), async || {
                (pods.oldest(arena, kind, &name).await > oldest).then_some(())
            })
            .await;
        }
        before.push(remembered(arena, story, kind, pods).await);
    }
    arena.later_second().await;
    before
}

async fn remembered(arena: &Arena, story: &Story, kind: &str, pods: &Pods) -> Before {
    let name = story.named(kind);
    let mut again = match story.manifest {
        Git => manifest(kind, &name, story.asks_first()),
        Export => exported(serde_json::to_value(arena.get(kind, &name).await).unwrap()),
    };
    for (key, value) in story.annotations {
        again["metadata"]["annotations"][*key] = json!(value);
    }
    if story.edited {
        again["spec"]["template"]["spec"]["containers"][0]["image"] =
            json!("registry.example/app:2");
    }
    Before {
        manifest: again,
        uids: arena.pod_uids(&name).await,
        revisions: revisions(arena, &name).await,
        ever: pods.ever(&name),
    }
}

/// [`run_all`] and [`leave_all`], with a recorder of what comes then.
async fn leave_pods(arena: &Arena, rows: &[Row], pods: &Pods) -> (Vec<Before>, Recorder) {
    let before = run_all(arena, rows, pods).await;
    leave_all(arena, rows).await;
    (before, arena.record().await)
}

/// Every workload is deleted without its pods, and its Secret changes as its story tells.
async fn leave_all(arena: &Arena, rows: &[Row]) {
    for (story, ..) in rows {
        for kind in KINDS {
            orphan(arena, kind, &story.named(kind)).await;
        }
    }
    for (story, ..) in rows {
        for name in KINDS.map(|kind| story.named(kind)) {
            match story.change {
                Nothing => {}
                Updated => arena.update_secret(&name, &[("k", "two")]).await,
                Recreated => arena.recreate_secret(&name, &[("k", "one")]).await,
                Labelled => {
                    let label = json!({ "metadata": { "labels": { "l": "1" } } });
                    arena.patch("Secret", &name, label).await;
                }
            }
        }
    }
}

/// A few at once: of a crowd the last would have an answer when the webhook's time is over, however long that is.
async fn make_again(arena: &Arena, before: &[Before]) {
    stream::iter(before)
        .for_each_concurrent(4, async |before| {
            arena.create(&before.manifest).await;
        })
        .await;
}

/// Every row: its template has changed so often since it was made again, and its pods were replaced so often.
async fn expect_rows(
    arena: &Arena,
    rows: &[Row],
    before: &[Before],
    pods: &Pods,
    recorder: &Recorder,
) {
    let all = || rows.iter().flat_map(|row| KINDS.map(|kind| (row, kind)));
    // What is held stays as the webhook wrote it, before there was a uid.
    for ((story, ..), kind) in all().filter(|((story, ..), _)| !story.is_held()) {
        arena.adopted(kind, &story.named(kind)).await;
    }
    recorder.settle(arena).await;
    for ((story, ..), kind) in all() {
        pods.oldest(arena, kind, &story.named(kind)).await;
    }
    recorder.settle(arena).await;
    let mut wrong = Vec::new();
    for (((story, others, of_daemon_set, rollouts), kind), before) in all().zip(before) {
        let name = story.named(kind);
        let templates = if kind == "DaemonSet" {
            of_daemon_set
        } else {
            others
        };
        let found = (
            recorder.rollouts(kind, &name),
            replaced(arena, kind, &name, before, pods).await,
        );
        if found != (*templates, Some(*rollouts)) {
            wrong.push(format!(
                "{name}: (template, pods) {found:?}, not {templates} and {rollouts}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// How often all pods were replaced; `None` where that is no number. By uid, each of them; but for `StatefulSet`s by
/// revision: a simulated node that is busy deletes a pod again when another has its name by then.
pub async fn replaced(
    arena: &Arena,
    kind: &str,
    name: &str,
    before: &Before,
    pods: &Pods,
) -> Option<usize> {
    let ever = pods.ever(name);
    if kind == "StatefulSet" {
        let new: BTreeSet<_> = ever
            .iter()
            .filter(|one| !before.ever.contains(*one))
            .collect();
        let now = revisions(arena, name).await;
        let another = now != before.revisions;
        // A lost mark leads back to the first revision.
        let once = now.len() == 1 && new.len() <= usize::from(another);
        return once.then_some(usize::from(another));
    }
    let kept = arena
        .pod_uids(name)
        .await
        .intersection(&before.uids)
        .count();
    let (had, made) = (before.uids.len(), ever.len() - before.ever.len());
    match (kept, made % had) {
        (0, 0) if made > 0 => Some(made / had),
        _ if kept == had && made == 0 => Some(0),
        _ => None,
    }
}

pub async fn revisions(arena: &Arena, app: &str) -> BTreeSet<String> {
    let pods = arena.pods(app).await;
    let revision = |pod: &Pod| pod.labels().get("controller-revision-hash").cloned();
    pods.iter().filter_map(revision).collect()
}

/// `kubectl delete --cascade=orphan`
pub async fn orphan(arena: &Arena, kind: &str, name: &str) {
    let api = arena.api(kind);
    api.delete(name, &DeleteParams::orphan()).await.unwrap();
    eventually(&format!("{kind} {name} is gone"), async || {
        api.get_opt(name).await.unwrap().is_none().then_some(())
    })
    .await;
}

/// What a workload is made of again, and its pods until then.
pub struct Before {
    /// The manifest.
    pub manifest: Value,
    /// Its pods.
    pub uids: BTreeSet<String>,
    /// Their revisions, but for a Deployment's.
    pub revisions: BTreeSet<String>,
    /// The revisions of all pods that there had been by then.
    pub ever: Vec<String>,
}

/// A workload that runs.
fn manifest(kind: &str, name: &str, asks: &[(&str, &str)]) -> Value {
    running(kind, name, asks, env(name, "k"))
}

/// As it is kept outside of the cluster.
pub fn exported(mut object: Value) -> Value {
    for field in [
        "uid",
        "resourceVersion",
        "creationTimestamp",
        "generation",
        "managedFields",
        "ownerReferences",
    ] {
        object["metadata"].as_object_mut().unwrap().remove(field);
    }
    object.as_object_mut().unwrap().remove("status");
    object
}
