//! `DaemonSet`s that are created again over older pods, and count their templates anew.
//!
//! Their controller takes a pod that carries the number of the template for one of that template, whatever it was made of.

use kube::ResourceExt as _;
use reroll_harness::{
    Arena, Pods, RESTART_ON, RESTARTED_FOR, Recorder, Reroll, env, eventually, running,
};
use serde_json::{Value, json};

use crate::orphan::{Before, exported, orphan, replaced, revisions};

const KIND: &str = "DaemonSet";
const NUMBER: &str = "deprecated.daemonset.template.generation";

/// What happened before it is deleted without its pods.
#[derive(Clone, Copy)]
enum First {
    /// It was made, and its template was edited so often.
    Edits(u8),
    /// reroll restarted it, and its pods were not replaced yet.
    Hangs,
}

/// What it is made of again.
#[derive(Clone, Copy, PartialEq)]
enum Again {
    /// As it is in Git, with this edition.
    Git(u8),
    /// As it was in the cluster, with all annotations.
    Export,
}

/// What happens when it was made again, and has come to rest.
#[derive(Clone, Copy, PartialEq)]
enum Then {
    Nothing,
    Change,
    Undo,
    Edit,
}

use self::{
    Again::{Export, Git},
    First::{Edits, Hangs},
    Then::{Change, Edit, Nothing, Undo},
};

/// How often its template changes after it was made again, and how often its pods are replaced.
type Counts = (usize, usize);

/// A story, and the counts by the time when it has come to rest, and in the end.
type Row = (&'static str, First, Again, Then, [Counts; 2]);

/// It begins above the numbers of its pods.
const WITH_THE_WEBHOOK: [Row; 9] = [
    ("same", Edits(1), Git(1), Nothing, [(0, 0); 2]),
    ("other", Edits(0), Git(1), Nothing, [(0, 1); 2]),
    ("git-hangs", Hangs, Git(0), Nothing, [(0, 1); 2]),
    ("exp-hangs", Hangs, Export, Nothing, [(0, 1); 2]),
    ("changes", Edits(1), Git(1), Change, [(0, 0), (1, 1)]),
    ("undone", Edits(1), Git(1), Undo, [(0, 0), (1, 1)]),
    ("edited", Edits(1), Git(1), Edit, [(0, 0), (1, 1)]),
    ("exp-changes", Edits(1), Export, Change, [(0, 0), (1, 1)]),
    ("far-changes", Edits(2), Git(2), Change, [(0, 0), (1, 1)]),
];

/// A restart passes the number that its pods carry.
const WITHOUT: [Row; 6] = [
    ("same", Edits(1), Git(1), Nothing, [(0, 0); 2]),
    ("git-hangs", Hangs, Git(0), Nothing, [(1, 1); 2]),
    ("exp-hangs", Hangs, Export, Nothing, [(0, 1); 2]),
    ("changes", Edits(1), Git(1), Change, [(0, 0), (2, 1)]),
    ("exp-changes", Edits(1), Export, Change, [(0, 0), (1, 1)]),
    ("far-changes", Edits(2), Git(2), Change, [(0, 0), (1, 1)]),
];

#[tokio::test]
async fn a_new_one_begins_above_its_pods() {
    let arena = Arena::new("numbers-webhook").await;
    let reroll = arena.reroll().start().await;
    tell(&arena, &WITH_THE_WEBHOOK, reroll).await;
}

#[tokio::test]
async fn a_restart_passes_the_number_of_the_pods() {
    let arena = Arena::new("numbers-alone").await;
    let reroll = arena.reroll().without_webhook().start().await;
    tell(&arena, &WITHOUT, reroll).await;
}

async fn tell(arena: &Arena, rows: &[Row], reroll: Reroll) {
    let pods = Pods::watch(arena).await;
    for (name, first, ..) in rows {
        arena.secret(name, &[("k", "one")]).await;
        arena
            .create(&manifest(name, 0, matches!(first, Hangs)))
            .await;
    }
    for (name, ..) in rows {
        pods.oldest(arena, KIND, name).await;
        arena.adopted(KIND, name).await;
    }
    arena.later_second().await;
    let mut before = Vec::new();
    for row in rows {
        before.push(leave(arena, row, &pods).await);
    }
    arena.later_second().await;
    let recorder = arena.record().await;
    for before in &before {
        arena.create(&before.manifest).await;
    }
    let mut wrong = wrong(arena, rows, 0, &before, &pods, &recorder).await;
    arena.later_second().await;
    for (name, .., then, _) in rows {
        match then {
            Nothing => {}
            Change => arena.update_secret(name, &[("k", "then")]).await,
            Edit => edit(arena, name, 9).await,
            Undo => {
                let workload = format!("{KIND}/{name}");
                arena.kubectl(&["rollout", "undo", &workload]).await.ok();
            }
        }
    }
    wrong.extend(self::wrong(arena, rows, 1, &before, &pods, &recorder).await);
    assert!(wrong.is_empty(), "{wrong:#?}");
    drop(reroll);
}

/// Lets happen what comes first, and deletes it without its pods.
async fn leave(arena: &Arena, (name, first, again, ..): &Row, pods: &Pods) -> Before {
    match first {
        Edits(editions) => {
            for edition in 1..=*editions {
                edit(arena, name, edition).await;
                pods.oldest(arena, KIND, name).await;
            }
        }
        Hangs => {
            arena.update_secret(name, &[("k", "two")]).await;
            eventually(&format!("{name} is restarted"), async || {
                let object = arena.get(KIND, name).await;
                object
                    .data
                    .pointer("/spec/template/metadata/annotations")?
                    .get(RESTARTED_FOR)
                    .map(|_| ())
            })
            .await;
        }
    }
    let mut manifest = match again {
        Git(edition) => manifest(name, *edition, false),
        Export => exported(serde_json::to_value(arena.get(KIND, name).await).unwrap()),
    };
    manifest["spec"]["updateStrategy"] = json!({ "type": "RollingUpdate" });
    let before = Before {
        manifest,
        uids: arena.pod_uids(name).await,
        revisions: revisions(arena, name).await,
        ever: pods.ever(name),
    };
    orphan(arena, KIND, name).await;
    before
}

/// Waits until all has come to rest. Returns which counts by then are not as expected.
async fn wrong(
    arena: &Arena,
    rows: &[Row],
    time: usize,
    before: &[Before],
    pods: &Pods,
    recorder: &Recorder,
) -> Vec<String> {
    for (name, ..) in rows {
        arena.adopted(KIND, name).await;
    }
    recorder.settle(arena).await;
    for (name, ..) in rows {
        pods.oldest(arena, KIND, name).await;
    }
    recorder.settle(arena).await;
    let mut wrong = Vec::new();
    for ((name, .., counts), before) in rows.iter().zip(before) {
        pods.oldest(arena, KIND, name).await;
        let templates = recorder.rollouts(KIND, name);
        let rollouts = replaced(arena, KIND, name, before, pods).await;
        let (expected, expected_rollouts) = counts[time];
        if (templates, rollouts) != (expected, Some(expected_rollouts)) {
            let object = arena.get(KIND, name).await;
            let number = object.annotations().get(NUMBER).cloned();
            wrong.push(format!(
                "{time}: {name}: (template, pods) {:?}, not {:?}; its number is {number:?}",
                (templates, rollouts),
                counts[time],
            ));
        }
    }
    wrong
}

async fn edit(arena: &Arena, name: &str, edition: u8) {
    let image = json!([{ "name": "containers-0", "image": image(edition) }]);
    let spec = json!({ "spec": { "template": { "spec": { "containers": image } } } });
    let patch = serde_json::to_string(&spec).unwrap();
    let workload = format!("{KIND}/{name}");
    arena
        .kubectl(&["patch", &workload, "--type=strategic", "-p", &patch])
        .await
        .ok();
}

fn image(edition: u8) -> String {
    format!("registry.example/app:{edition}")
}

/// It runs; its pods are not replaced where rollouts hang.
fn manifest(name: &str, edition: u8, hangs: bool) -> Value {
    let mut manifest = running(KIND, name, &[(RESTART_ON, "auto")], env(name, "k"));
    manifest["spec"]["template"]["spec"]["containers"][0]["image"] = json!(image(edition));
    if hangs {
        manifest["spec"]["updateStrategy"] = json!({ "type": "OnDelete" });
    }
    manifest
}
