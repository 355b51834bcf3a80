//! Tools beside reroll, as they write: Argo CD in waves, Terraform without reroll's webhook.

use std::time::{Duration, Instant};

use kube::api::{Patch, PatchParams};
use reroll_harness::{
    Arena, KINDS, OBSERVED, Pods, RESTART_ON, RESTARTED_FOR, Recorder, Reroll, deployment, env,
    eventually, running,
};
use serde_json::{Value, json};
use tokio::time::sleep;

/// How long Argo CD waits between two waves of a sync (`ARGOCD_SYNC_WAVE_DELAY`).
const WAVE: Duration = Duration::from_secs(2);

const AUTO: [(&str, &str); 1] = [(RESTART_ON, "auto")];

/// Workloads that are adopted, by a reroll that waits so long after a change.
async fn in_step(name: &str, settle: &str, workloads: &[String]) -> (Arena, Reroll, Recorder) {
    let arena = Arena::new(name).await;
    let reroll = arena.reroll().flag("--settle", settle).start().await;
    for workload in workloads {
        arena.secret(workload, &[("k", "one")]).await;
        arena.create(&deployment(workload, workload, "k")).await;
        arena.adopted("Deployment", workload).await;
    }
    let recorder = arena.record().await;
    (arena, reroll, recorder)
}

/// The first wave of a release: the Secret.
async fn first_wave(arena: &Arena, workload: &str) {
    arena.update_secret(workload, &[("k", "two")]).await;
    sleep(WAVE).await;
}

/// The next wave: the Deployment.
async fn next_wave(arena: &Arena, workload: &str) {
    let image = json!("registry.example/app:2");
    arena
        .edit_container("Deployment", workload, "image", image)
        .await;
}

#[tokio::test]
async fn waves_that_are_longer_than_the_quiet_period_roll_twice() {
    let workloads = ["web".to_owned()];
    let (arena, reroll, recorder) = in_step("neighbours-waves", "1s", &workloads).await;
    first_wave(&arena, "web").await;
    // On a slow machine a second is over later.
    recorder.reaches("Deployment", "web", 1).await;
    next_wave(&arena, "web").await;
    recorder.settle_slowly(&arena, &reroll).await;
    recorder.expect("Deployment", "web", 2);
}

/// What docs/install.md names for Argo CD. A machine that takes longer than that for two writes tries again.
#[tokio::test]
async fn waves_within_the_quiet_period_roll_once() {
    const SETTLE: Duration = Duration::from_secs(5);
    let workloads: Vec<_> = (0..5).map(|number| format!("web-{number}")).collect();
    let (arena, reroll, recorder) = in_step("neighbours-waves-settle", "5s", &workloads).await;
    let mut within = None;
    for workload in &workloads {
        let began = Instant::now();
        first_wave(&arena, workload).await;
        next_wave(&arena, workload).await;
        if began.elapsed() < SETTLE {
            within = Some(workload);
            break;
        }
    }
    let within = within.expect("two writes that are two seconds apart take five for ever");
    recorder.settle_slowly(&arena, &reroll).await;
    recorder.expect("Deployment", within, 1);
}

fn named(kind: &str) -> String {
    kind.to_lowercase()
}

fn manifest(kind: &str) -> Value {
    running(kind, &named(kind), &AUTO, env("db", "k"))
}

/// What of reroll's annotations a tool takes away, for its code has none.
#[derive(Clone, Copy, PartialEq)]
enum Takes {
    /// All of them.
    All,
    /// The mark in the template: it leaves those of the metadata alone.
    Mark,
}

async fn apply(arena: &Arena, takes: Takes) {
    for kind in KINDS {
        match takes {
            Takes::All => {
                let text = manifest(kind).to_string();
                let replace = arena.kubectl_with(&["replace", "-f", "-"], &text);
                replace.await.ok();
            }
            Takes::Mark => {
                let annotations = json!({ RESTARTED_FOR: null });
                let template = json!({ "metadata": { "annotations": annotations } });
                let patch = Patch::Merge(json!({ "spec": { "template": template } }));
                let params = PatchParams::default();
                let api = arena.api(kind);
                api.patch(&named(kind), &params, &patch).await.unwrap();
            }
        }
    }
}

/// Checks that each has rolled so often, and that no pod is older than the Secret.
async fn expect(
    arena: &Arena,
    (reroll, recorder): (&Reroll, &Recorder),
    pods: &Pods,
    rollouts: usize,
) {
    recorder.settle_slowly(arena, reroll).await;
    let version = arena.version("Secret", "db").await;
    for kind in KINDS {
        pods.are_later(arena, kind, &named(kind), version).await;
    }
    recorder.settle_slowly(arena, reroll).await;
    for kind in KINDS {
        recorder.expect(kind, &named(kind), rollouts);
    }
}

/// A workload of each kind, whose pods run, and a reroll without its webhook that has adopted them.
async fn without_webhook(name: &str) -> (Arena, Pods, Reroll, Recorder) {
    let arena = Arena::new(name).await;
    let pods = Pods::watch(&arena).await;
    let reroll = arena.reroll().without_webhook().start().await;
    arena.secret("db", &[("k", "one")]).await;
    for kind in KINDS {
        arena.create(&manifest(kind)).await;
    }
    for kind in KINDS {
        pods.oldest(&arena, kind, &named(kind)).await;
        arena.adopted(kind, &named(kind)).await;
    }
    let recorder = arena.record().await;
    (arena, pods, reroll, recorder)
}

/// Each apply after a restart rolls once, which is the tool's own doing. An apply after that changes nothing.
async fn terraform(name: &str, takes: Takes) {
    let (arena, pods, reroll, recorder) = without_webhook(name).await;
    let both = (&reroll, &recorder);
    for round in 0..2 {
        arena
            .update_secret("db", &[("k", &format!("round {round}"))])
            .await;
        expect(&arena, both, &pods, 2 * round + 1).await;
        // Nobody applies within the second of a restart.
        arena.later_second().await;
        apply(&arena, takes).await;
        expect(&arena, both, &pods, 2 * round + 2).await;
        for kind in KINDS {
            let what = format!("{kind}: what its pods have is recorded");
            eventually(&what, async || {
                let observed = arena.observed(kind, &named(kind)).await?;
                let mark = observed["rf"].as_str().unwrap_or_default();
                mark.is_empty().then_some(())
            })
            .await;
        }
        apply(&arena, takes).await;
        expect(&arena, both, &pods, 2 * round + 2).await;
    }
    for kind in KINDS {
        assert!(
            arena
                .annotation(kind, &named(kind), OBSERVED)
                .await
                .is_some()
        );
    }
}

#[tokio::test]
async fn terraform_that_takes_all_away_rolls_once_an_apply() {
    terraform("neighbours-terraform", Takes::All).await;
}

#[tokio::test]
async fn terraform_that_takes_the_mark_away_rolls_once_an_apply() {
    terraform("neighbours-terraform-mark", Takes::Mark).await;
}

/// An apply in the middle of a restart brings pods of before back, which have the old value.
#[tokio::test]
async fn an_apply_in_the_middle_of_a_restart_is_restarted_again() {
    let (arena, pods, reroll, recorder) = without_webhook("neighbours-terraform-mid").await;
    arena.hold_rollouts().await;
    arena.update_secret("db", &[("k", "two")]).await;
    for kind in KINDS {
        recorder.reaches(kind, &named(kind), 1).await;
        arena.in_the_middle(kind, &named(kind), 2).await;
    }
    arena.later_second().await;
    apply(&arena, Takes::Mark).await;
    for kind in KINDS {
        recorder.reaches(kind, &named(kind), 3).await;
    }
    arena.release_rollouts().await;
    expect(&arena, (&reroll, &recorder), &pods, 3).await;
}
