//! Argo Rollouts that are aborted, and those that have the template of a Deployment. No Argo runs here: the tests write
//! what it would write into the status.

use kube::{
    Api, ResourceExt,
    api::{DynamicObject, Patch, PatchParams, PostParams},
};
use reroll_harness::{
    Arena, OBSERVED, RESTART_ON, RESTARTED_FOR, Recorder, Reroll, env, eventually, workload,
};
use serde_json::{Value, json};

use crate::kinds::{Changes, Custom, RESTARTED_AT, followed_rollouts};

/// What is counted of one Rollout.
struct Watched {
    api: Api<DynamicObject>,
    templates: Changes,
    /// `spec.restartAt`
    times: Changes,
}

impl Watched {
    async fn of(arena: &Arena, rollout: &Custom, name: &str) -> Self {
        let api = rollout.api(arena);
        let template = |object: &DynamicObject| object.data["spec"]["template"].clone();
        let time = |object: &DynamicObject| object.data["spec"]["restartAt"].clone();
        Self {
            templates: Changes::of(api.clone(), name, template).await,
            times: Changes::of(api.clone(), name, time).await,
            api,
        }
    }

    async fn are(&self, arena: &Arena, recorder: &Recorder, templates: usize, times: usize) {
        self.times.are(arena, recorder, times).await;
        self.templates.are(arena, recorder, templates).await;
    }

    /// Writes its status, as Argo does.
    async fn status(&self, name: &str, status: Value) {
        let patch = Patch::Merge(json!({ "status": status }));
        let params = PatchParams::default();
        self.api.patch_status(name, &params, &patch).await.unwrap();
    }
}

/// A Rollout `web`, adopted by a reroll that follows Rollouts.
async fn adopted_web(name: &str) -> (Arena, Custom, Reroll) {
    let arena = Arena::new(name).await;
    let (rollout, reroll) = followed_rollouts(&arena).await;
    arena.secret("db", &[("k", "0")]).await;
    rollout.create(&arena, "web", &[]).await;
    rollout.adopted(&arena, "web").await;
    (arena, rollout, reroll)
}

#[tokio::test]
async fn an_abort_goes_on_whatever_changes() {
    let (arena, rollout, _reroll) = adopted_web("argo-abort").await;
    let recorder = arena.record().await;
    let web = Watched::of(&arena, &rollout, "web").await;
    // By the template as long as nothing is aborted, whatever the status says of that.
    let statuses = [
        None,
        Some(json!({ "replicas": 2 })),
        Some(json!({ "abort": false })),
    ];
    for (round, status) in (1..).zip(statuses) {
        if let Some(status) = status {
            web.status("web", status).await;
        }
        let value = format!("before {round}");
        arena.update_secret("db", &[("k", &value)]).await;
        web.are(&arena, &recorder, round, 0).await;
    }

    web.status(
        "web",
        json!({ "abort": true, "replicas": 2, "updatedReplicas": 0 }),
    )
    .await;
    arena.update_secret("db", &[("k", "aborted")]).await;
    web.are(&arena, &recorder, 3, 1).await;
    arena.recreate_secret("db", &[("k", "aborted")]).await;
    web.are(&arena, &recorder, 3, 2).await;
    let object = web.api.get("web").await.unwrap();
    assert_eq!(object.data["status"]["abort"], json!(true));
    let (mark, at) = object.annotations()[RESTARTED_AT].split_once('@').unwrap();
    let observed: Value = serde_json::from_str(&object.annotations()[OBSERVED]).unwrap();
    assert_eq!(observed["rf"], mark);
    assert_eq!(object.data["spec"]["restartAt"], at);

    // Who writes the manifest again does not end the abort either: the mark in the template stays.
    let drop = json!({ "metadata": { "annotations": null } });
    let edited = rollout.edit_template(&arena, "web", drop).await;
    let marked = &rollout.template_of(&edited)["metadata"]["annotations"][RESTARTED_FOR];
    assert!(marked.is_string(), "{edited:?}");
    web.are(&arena, &recorder, 3, 2).await;

    // Argo has carried it out; somebody tries the template again. The next change follows its steps.
    web.status("web", json!({ "abort": false, "restartedAt": at }))
        .await;
    web.are(&arena, &recorder, 3, 2).await;
    arena.update_secret("db", &[("k", "after")]).await;
    web.are(&arena, &recorder, 4, 2).await;
}

#[tokio::test]
async fn an_abort_while_reroll_is_away_is_seen_at_its_start() {
    let arena = Arena::new("argo-away").await;
    let (rollout, reroll) = followed_rollouts(&arena).await;
    arena.secret("db", &[("k", "one")]).await;
    rollout.create(&arena, "web", &[]).await;
    rollout.adopted(&arena, "web").await;
    let recorder = arena.record().await;
    let web = Watched::of(&arena, &rollout, "web").await;
    let builder = reroll.builder();
    assert!(reroll.stop().await);
    web.status("web", json!({ "abort": true })).await;
    arena.update_secret("db", &[("k", "two")]).await;
    let _reroll = builder.start().await;
    web.are(&arena, &recorder, 0, 1).await;
}

/// The API server applies a patch to the whole object, with its status, also where that has an endpoint of its own.
#[tokio::test]
async fn a_write_fails_where_an_abort_began_meanwhile() {
    let arena = Arena::new("argo-race").await;
    let rollout = Custom::rollout();
    rollout
        .install(
            &arena,
            json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true }),
        )
        .await;
    rollout.create(&arena, "web", &[]).await;
    let web = Watched::of(&arena, &rollout, "web").await;
    let write = async |test: Value| {
        let label = json!({ "op": "add", "path": "/metadata/labels", "value": { "a": "b" } });
        let patch: Patch<()> = Patch::Json(serde_json::from_value(json!([test, label])).unwrap());
        let params = PatchParams::default();
        web.api.patch("web", &params, &patch).await.is_ok()
    };
    let no_status = json!({ "op": "test", "path": "/status", "value": null });
    let unsaid = json!({ "op": "test", "path": "/status/abort", "value": null });
    let retried = json!({ "op": "test", "path": "/status/abort", "value": false });
    let aborted = json!({ "op": "test", "path": "/status/abort", "value": true });
    let tests = [&no_status, &unsaid, &retried, &aborted];
    let rows = [
        (None, [true, false, false, false]),
        (Some(json!({ "replicas": 1 })), [false, true, false, false]),
        (Some(json!({ "abort": true })), [false, false, false, true]),
        (Some(json!({ "abort": false })), [false, false, true, false]),
    ];
    for (status, expected) in rows {
        if let Some(status) = &status {
            web.status("web", status.clone()).await;
        }
        for (test, passes) in tests.iter().zip(expected) {
            let passed = write((*test).clone()).await;
            assert_eq!(passed, passes, "{status:?} {test}");
        }
    }
}

#[tokio::test]
async fn what_only_the_stable_template_uses_counts_during_an_abort() {
    let arena = Arena::new("argo-stable").await;
    let (rollout, _reroll) = followed_rollouts(&arena).await;
    for name in ["db", "new"] {
        arena.secret(name, &[("k", "one")]).await;
    }
    let made = rollout.create(&arena, "web", &[]).await;
    rollout.adopted(&arena, "web").await;
    let stable = rollout.template_of(&made).clone();
    let recorder = arena.record().await;
    let web = Watched::of(&arena, &rollout, "web").await;
    let complete = json!({ "replicas": 2, "updatedReplicas": 2, "observedGeneration": "1" });
    web.status("web", complete).await;
    web.are(&arena, &recorder, 0, 0).await;
    // A canary that uses another Secret, and is aborted.
    let mut pod = env("new", "k");
    pod["containers"][0]["name"] = json!("c");
    pod["containers"][0]["image"] = json!("registry.example/app:2");
    rollout
        .edit_template(&arena, "web", json!({ "spec": pod }))
        .await;
    web.are(&arena, &recorder, 1, 0).await;
    let generation = web.api.get("web").await.unwrap().metadata.generation;
    let seen = generation.unwrap().to_string();
    let running = json!({ "replicas": 2, "updatedReplicas": 1, "observedGeneration": seen });
    web.status("web", running).await;
    // It is not aborted yet: what only older pods use restarts nothing.
    arena.update_secret("db", &[("k", "two")]).await;
    web.are(&arena, &recorder, 1, 0).await;
    web.status("web", json!({ "abort": true, "updatedReplicas": 0 }))
        .await;
    // Now those serve, and are behind.
    web.are(&arena, &recorder, 1, 1).await;
    arena.update_secret("db", &[("k", "three")]).await;
    web.are(&arena, &recorder, 1, 2).await;
    // While it is away, nothing restarts: they could not start again.
    arena.delete("Secret", "db").await;
    arena.update_secret("new", &[("k", "two")]).await;
    web.are(&arena, &recorder, 1, 2).await;
    arena.secret("db", &[("k", "four")]).await;
    web.are(&arena, &recorder, 1, 3).await;
    // Back to the stable template. Argo has restarted its pods: nothing is to be done but that.
    let at = web.api.get("web").await.unwrap().data["spec"]["restartAt"].clone();
    web.status("web", json!({ "restartedAt": at })).await;
    let undone = rollout.edit_template(&arena, "web", stable.clone()).await;
    let now = rollout.template_of(&undone);
    assert_eq!(now["metadata"].get("annotations"), None, "{undone:?}");
    web.status("web", json!({ "abort": false, "updatedReplicas": 2 }))
        .await;
    web.are(&arena, &recorder, 2, 3).await;
}

#[tokio::test]
async fn a_template_that_changes_before_a_restart_was_carried_out_bears_a_mark() {
    let arena = Arena::new("argo-given-up").await;
    let (rollout, _reroll) = followed_rollouts(&arena).await;
    arena.secret("db", &[("k", "one")]).await;
    let recorder = arena.record().await;
    for (name, done) in [("late", false), ("done", true)] {
        rollout.create(&arena, name, &[]).await;
        rollout.adopted(&arena, name).await;
        let web = Watched::of(&arena, &rollout, name).await;
        web.status(name, json!({ "abort": true })).await;
        arena.update_secret("db", &[("k", name)]).await;
        web.are(&arena, &recorder, 0, 1).await;
        if done {
            let at = web.api.get(name).await.unwrap().data["spec"]["restartAt"].clone();
            web.status(name, json!({ "restartedAt": at })).await;
        }
        let edit = json!({ "spec": { "hostNetwork": true } });
        let edited = rollout.edit_template(&arena, name, edit).await;
        let marked = &rollout.template_of(&edited)["metadata"]["annotations"][RESTARTED_FOR];
        assert_eq!(marked.is_string(), !done, "{name}: {edited:?}");
        assert_eq!(edited.annotations().contains_key(RESTARTED_AT), done);
        // Argo ends the abort, and notes the restart as carried out.
        let at = edited.data["spec"]["restartAt"].clone();
        web.status(name, json!({ "abort": false, "restartedAt": at }))
            .await;
        web.are(&arena, &recorder, 1, 1).await;
    }
}

/// A Rollout `web` with the template of Deployment `lender`, of which only the namespace says anything.
async fn lent(arena: &Arena) -> (Custom, Reroll) {
    arena.label_namespace(RESTART_ON, "auto").await;
    let (rollout, reroll) = followed_rollouts(arena).await;
    arena.secret("db", &[("k", "one")]).await;
    let manifest = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": { "name": "web" },
        "spec": { "workloadRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "lender" } },
    });
    let object = serde_json::from_value(manifest).unwrap();
    let api = rollout.api(arena);
    api.create(&PostParams::default(), &object).await.unwrap();
    arena
        .create(&workload("Deployment", "lender", &[], env("db", "k")))
        .await;
    arena.adopted("Deployment", "lender").await;
    (rollout, reroll)
}

#[tokio::test]
async fn a_template_that_two_have_changes_once() {
    let arena = Arena::new("argo-lent").await;
    let (rollout, _reroll) = lent(&arena).await;
    let recorder = arena.record().await;
    let web = Watched::of(&arena, &rollout, "web").await;
    arena.update_secret("db", &[("k", "two")]).await;
    recorder.reaches("Deployment", "lender", 1).await;
    arena.recreate_secret("db", &[("k", "two")]).await;
    recorder.reaches("Deployment", "lender", 2).await;
    // Argo scales the Deployment to zero when the Rollout has its pods.
    let zero = json!({ "spec": { "replicas": 0 } });
    arena.patch("Deployment", "lender", zero).await;
    arena.update_secret("db", &[("k", "three")]).await;
    recorder.reaches("Deployment", "lender", 3).await;
    web.are(&arena, &recorder, 0, 0).await;
    recorder.expect("Deployment", "lender", 3);
    let object = web.api.get("web").await.unwrap();
    assert_eq!(object.annotations().get(OBSERVED), None, "it needs none");

    // Only the Rollout, and both again.
    let opt = async |value: &str| {
        let patch = json!({ "metadata": { "annotations": { RESTART_ON: value } } });
        arena.patch("Deployment", "lender", patch).await;
    };
    opt("off").await;
    rollout.adopted(&arena, "web").await;
    arena.update_secret("db", &[("k", "four")]).await;
    web.are(&arena, &recorder, 0, 1).await;
    opt("auto").await;
    arena.adopted("Deployment", "lender").await;
    eventually("the Rollout is led again", async || {
        let object = web.api.get("web").await.ok()?;
        let own = [OBSERVED, RESTARTED_AT];
        own.iter()
            .all(|key| !object.annotations().contains_key(*key))
            .then_some(())
    })
    .await;
    arena.update_secret("db", &[("k", "five")]).await;
    recorder.reaches("Deployment", "lender", 4).await;
    web.are(&arena, &recorder, 0, 1).await;
    recorder.expect("Deployment", "lender", 4);
}

#[tokio::test]
async fn a_template_that_an_aborted_rollout_has_waits() {
    let arena = Arena::new("argo-lent-abort").await;
    let (rollout, _reroll) = lent(&arena).await;
    let recorder = arena.record().await;
    let web = Watched::of(&arena, &rollout, "web").await;
    web.status("web", json!({ "abort": true })).await;
    rollout.adopted(&arena, "web").await;
    arena.update_secret("db", &[("k", "two")]).await;
    web.are(&arena, &recorder, 0, 1).await;
    arena.event("lender", "RestartAborted").await;
    recorder.expect("Deployment", "lender", 0);
    web.status("web", json!({ "abort": false })).await;
    recorder.reaches("Deployment", "lender", 1).await;
    web.are(&arena, &recorder, 0, 1).await;
    recorder.expect("Deployment", "lender", 1);

    // One that did not opt in is not restarted at all; its abort goes on all the same.
    let off = json!({ "metadata": { "annotations": { RESTART_ON: "off" } } });
    rollout.patch(&arena, "web", off).await;
    web.status("web", json!({ "abort": true })).await;
    recorder.settle(&arena).await;
    arena.update_secret("db", &[("k", "three")]).await;
    web.are(&arena, &recorder, 0, 1).await;
    recorder.expect("Deployment", "lender", 1);
}

/// A restart that stands in a step without an end, or before a switch that nothing makes, is told; others' deploys are not.
async fn waits(name: &str, spec: Value, reason: Option<&str>) {
    let (arena, rollout, reroll) = adopted_web(name).await;
    let recorder = arena.record().await;
    let web = Watched::of(&arena, &rollout, "web").await;
    let patch = Patch::Merge(json!({ "spec": spec }));
    let params = PatchParams::default();
    web.api.patch("web", &params, &patch).await.unwrap();
    let shows = async |updated: u32| {
        let seen = web.api.get("web").await.unwrap().metadata.generation;
        let pauses = reason.filter(|_| updated < 2);
        let pauses = pauses.map(|reason| json!([{ "reason": reason }]));
        let status = json!({
            "observedGeneration": seen.unwrap().to_string(), "replicas": 2, "updatedReplicas": updated,
            "currentStepIndex": 1, "pauseConditions": pauses,
        });
        web.status("web", status).await;
    };
    let counts = async |paused: u64| {
        let labels = format!(
            "workload_namespace=\"{}\",reason=\"paused\"",
            arena.namespace
        );
        let metric = format!("reroll_workloads_pending{{{labels}}}");
        eventually(&format!("{paused} count as paused"), async || {
            (reroll.count(&metric).await == paused).then_some(())
        })
        .await;
    };
    // A deploy of others waits to be promoted.
    let label = json!({ "metadata": { "labels": { "version": "2" } } });
    rollout.edit_template(&arena, "web", label).await;
    shows(0).await;
    recorder.settle(&arena).await;
    assert_eq!(arena.event_count("web", "NotRolling").await, 0);
    shows(2).await;

    arena.update_secret("db", &[("k", "two")]).await;
    web.are(&arena, &recorder, 2, 0).await;
    shows(0).await;
    counts(1).await;
    arena
        .event("web", "NotRolling: it was restarted, but it is paused")
        .await;
    shows(2).await;
    counts(0).await;
}

#[tokio::test]
async fn a_restart_in_a_step_without_an_end_is_told() {
    let steps = json!([{ "setWeight": 20 }, { "pause": {} }]);
    let spec = json!({ "strategy": { "canary": { "steps": steps } } });
    waits("argo-waits-step", spec, Some("CanaryPauseStep")).await;
}

#[tokio::test]
async fn a_restart_before_a_switch_that_nobody_makes_is_told() {
    let spec = json!({ "strategy": { "blueGreen": { "autoPromotionEnabled": false } } });
    waits("argo-waits-switch", spec, Some("BlueGreenPause")).await;
}

#[tokio::test]
async fn a_restart_of_a_paused_rollout_is_told() {
    waits("argo-waits-paused", json!({ "paused": true }), None).await;
}
