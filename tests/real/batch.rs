//! CronJobs and Jobs: without `reroll.dev/on-change` nothing happens; with it a change gives one run, or one successor.
//!
//! Pods of Jobs run on simulated nodes and complete there at once; those that must not complete find no node.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use futures::StreamExt;
use k8s_openapi::api::{batch::v1::Job, core::v1::Secret};
use kube::{
    Api, ResourceExt,
    api::{DynamicObject, ListParams, Patch, PatchParams},
    runtime::{WatchStreamExt, watcher},
};
use reroll_harness::{
    Arena, LAST_RESTART, OBSERVED, Policy, RELOADER_AUTO, RESTART_ON, RESTARTED_FOR, Recorder,
    Reroll, RerollBuilder, deployment, env, eventually, secret,
};
use serde_json::{Value, json};
use tokio::{sync::Notify, task::JoinHandle};

const ON_CHANGE: &str = "reroll.dev/on-change";
pub const RUNS: [(&str, &str); 2] = [(RESTART_ON, "auto"), (ON_CHANGE, "run-now")];
const RECREATES: [(&str, &str); 2] = [(RESTART_ON, "auto"), (ON_CHANGE, "recreate")];

/// With the kinds that are not watched by default.
fn with(reroll: RerollBuilder) -> RerollBuilder {
    reroll.flag("--optional-kinds", "cronjobs,jobs")
}

fn crashing(reroll: RerollBuilder, moment: &str) -> RerollBuilder {
    with(reroll).surroundings("UNDER_TEST_CRASH", moment)
}

/// The spec of a Job whose pod reads `k` of Secret `db`, and completes at once.
pub fn job_spec() -> Value {
    let mut pod = env("db", "k");
    pod["restartPolicy"] = json!("Never");
    pod["containers"][0]["name"] = json!("c");
    pod["containers"][0]["image"] = json!("registry.example/app:1");
    json!({ "template": { "spec": pod } })
}

/// The same, which never completes by itself.
fn lasting() -> Value {
    let mut spec = job_spec();
    spec["template"]["spec"]["nodeSelector"] = json!({ "no": "node" });
    spec
}

/// One that is not on schedule while a test runs.
pub fn cron_job(name: &str, annotations: &[(&str, &str)], job: &Value) -> Value {
    let annotations: BTreeMap<_, _> = annotations.iter().copied().collect();
    json!({
        "apiVersion": "batch/v1", "kind": "CronJob",
        "metadata": { "name": name, "annotations": annotations },
        "spec": {
            "schedule": "0 0 29 2 *",
            "jobTemplate": { "metadata": { "labels": { "of": name } }, "spec": job },
        },
    })
}

fn job(name: &str, annotations: &[(&str, &str)], spec: &Value) -> Value {
    let annotations: BTreeMap<_, _> = annotations.iter().copied().collect();
    json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": { "name": name, "annotations": annotations, "labels": { "app": name } },
        "spec": spec,
    })
}

/// Records every Job that was ever created, by uid: its name, in the order of creation.
pub struct Jobs {
    seen: Arc<Mutex<Vec<(String, String)>>>,
    listed: Arc<Mutex<u64>>,
    api: Api<DynamicObject>,
    watch: JoinHandle<()>,
}

impl Jobs {
    pub async fn watch(arena: &Arena) -> Self {
        let (seen, listed): (Arc<Mutex<Vec<_>>>, Arc<Mutex<u64>>) = Default::default();
        let complete = Arc::new(Notify::new());
        let all = Arc::clone(&complete);
        let api = arena.api("Job");
        let (notes, until, watched) = (Arc::clone(&seen), Arc::clone(&listed), api.clone());
        let watch = tokio::spawn(async move {
            let mut events = watcher(watched, watcher::Config::default())
                .default_backoff()
                .boxed();
            while let Some(event) = events.next().await {
                if let Ok(watcher::Event::InitDone) = event {
                    all.notify_one();
                }
                if let Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object)) = event
                {
                    let one = (object.uid().unwrap(), object.name_any());
                    let version = object.resource_version().unwrap().parse().unwrap();
                    let mut notes = notes.lock().unwrap();
                    if !notes.contains(&one) {
                        notes.push(one);
                    }
                    *until.lock().unwrap() = version;
                }
            }
        });
        complete.notified().await;
        Self {
            seen,
            listed,
            api,
            watch,
        }
    }

    /// How many were created, by the beginning of their names.
    fn count(&self, name: &str) -> usize {
        let seen = self.seen.lock().unwrap();
        let of_name = |known: &str| {
            let rest = known.strip_prefix(name);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        };
        seen.iter().filter(|(_, known)| of_name(known)).count()
    }

    /// Waits for this many, waits until everything has taken effect, and checks that there are no more.
    pub async fn are(&self, arena: &Arena, recorder: &Recorder, name: &str, count: usize) {
        eventually(&format!("there were {count} Jobs {name}"), async || {
            (self.count(name) >= count).then_some(())
        })
        .await;
        recorder.settle(arena).await;
        let newest = self.api.list(&ListParams::default()).await.unwrap();
        let newest = newest
            .items
            .iter()
            .filter_map(ResourceExt::resource_version);
        let newest: u64 = newest.map(|text| text.parse().unwrap()).max().unwrap_or(0);
        eventually("all Jobs were seen", async || {
            (*self.listed.lock().unwrap() >= newest).then_some(())
        })
        .await;
        let seen = self.seen.lock().unwrap().clone();
        assert_eq!(self.count(name), count, "Jobs {name}: {seen:#?}");
    }
}

impl Drop for Jobs {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

/// The Jobs that are there, of a CronJob.
async fn runs(arena: &Arena, of: &str) -> Vec<DynamicObject> {
    let params = ListParams::default().labels(&format!("of={of}"));
    arena.api("Job").list(&params).await.unwrap().items
}

/// How many manifests are kept in reroll's namespace.
async fn kept(arena: &Arena) -> usize {
    let params = ListParams::default().labels("reroll.dev/kept=job");
    let secrets = Api::<Secret>::namespaced(arena.client.clone(), &arena.own_namespace);
    secrets.list(&params).await.unwrap().items.len()
}

async fn nothing_is_kept(arena: &Arena) {
    eventually("nothing is kept", async || {
        (kept(arena).await == 0).then_some(())
    })
    .await;
}

/// Lets the pod of a Job that found no node succeed.
async fn complete(arena: &Arena, name: &str) {
    let params = ListParams::default().labels(&format!("batch.kubernetes.io/job-name={name}"));
    let pods = arena.api("Pod");
    let pod = eventually("the Job has a pod", async || {
        pods.list(&params).await.unwrap().items.pop()
    })
    .await;
    let done = Patch::Merge(json!({ "status": { "phase": "Succeeded" } }));
    pods.patch_status(&pod.name_any(), &PatchParams::default(), &done)
        .await
        .unwrap();
    is_complete(arena, name).await;
}

async fn is_complete(arena: &Arena, name: &str) {
    let jobs = Api::<Job>::namespaced(arena.client.clone(), &arena.namespace);
    eventually(&format!("Job {name} is complete"), async || {
        let status = jobs.get(name).await.unwrap().status?;
        let conditions = status.conditions.unwrap_or_default();
        let so = |condition: &k8s_openapi::api::batch::v1::JobCondition| {
            condition.type_ == "Complete" && condition.status == "True"
        };
        conditions.iter().any(so).then_some(())
    })
    .await;
}

async fn uid(arena: &Arena, kind: &str, name: &str) -> String {
    arena.get(kind, name).await.uid().unwrap()
}

/// Starts two replicas, of which the first aborts at this moment of acting on a change of what `asks` uses. Returns the
/// second.
async fn taken_over(arena: &Arena, moment: &str, asks: &Value) -> (Reroll, Jobs) {
    let first = crashing(arena.reroll(), moment);
    let mut first = arena.replica(first, "first").await;
    first.leads().await;
    let second = with(arena.reroll()).without_webhook();
    let second = arena.replica(second, "second").await;
    arena.secret("db", &[("k", "one")]).await;
    arena.create(asks).await;
    let kind = asks["kind"].as_str().unwrap();
    arena.adopted(kind, "asks").await;
    let jobs = Jobs::watch(arena).await;
    arena.update_secret("db", &[("k", "two")]).await;
    assert!(!first.ended().await, "it aborts");
    (second, jobs)
}

// === CronJobs ===

#[tokio::test]
async fn a_cron_job_runs_for_a_change_only_where_it_asks_for_that() {
    let arena = Arena::new("batch-cron").await;
    arena.secret("db", &[("k", "0")]).await;
    for (way, reroll) in arena.both_ways() {
        let reroll = with(reroll).start().await;
        let name = |what: &str| format!("{what}.{way}");
        let mut held = cron_job(&name("held"), &RUNS, &job_spec());
        held["spec"]["suspend"] = json!(true);
        let all = [
            cron_job(&name("asks"), &RUNS, &job_spec()),
            cron_job(&name("auto"), &[(RESTART_ON, "auto")], &job_spec()),
            cron_job(&name("alone"), &[(ON_CHANGE, "run-now")], &job_spec()),
            cron_job(&name("wrong"), &RECREATES, &job_spec()),
            cron_job(&name("theirs"), &[(RELOADER_AUTO, "true")], &job_spec()),
            held,
        ];
        for manifest in &all {
            arena.create(manifest).await;
        }
        arena.adopted("CronJob", &name("asks")).await;
        let recorder = arena.record().await;
        let jobs = Jobs::watch(&arena).await;
        let of = |what: &str| format!("{what}-{way}");
        arena.update_secret("db", &[("k", way)]).await;
        jobs.are(&arena, &recorder, &of("asks"), 1).await;

        let cron_job = arena.get("CronJob", &name("asks")).await;
        let observed = arena.observed("CronJob", &name("asks")).await.unwrap();
        let run = runs(&arena, &name("asks")).await.pop().unwrap();
        let owner = &run.owner_references()[0];
        assert_eq!(owner.uid, cron_job.uid().unwrap());
        assert_eq!(owner.controller, Some(true));
        assert_eq!(
            run.annotations()["cronjob.kubernetes.io/instantiate"],
            "manual"
        );
        assert!(!run.annotations().contains_key(OBSERVED));
        let template = &run.data["spec"]["template"];
        assert_eq!(
            template["metadata"]["annotations"][RESTARTED_FOR],
            observed["rf"]
        );
        let template = &cron_job.data["spec"]["jobTemplate"]["spec"]["template"];
        assert_eq!(
            template["metadata"]["annotations"],
            json!(null),
            "it is as it was"
        );
        assert!(cron_job.annotations()[LAST_RESTART].contains("Secret db was updated"));
        arena
            .event(
                &name("asks"),
                &format!("ran Job {}: Secret db was updated", run.name_any()),
            )
            .await;
        arena.event(&name("wrong"), "is not run-now").await;
        let theirs = "is not enough: Reloader runs a CronJob for a change";
        arena.event(&name("theirs"), theirs).await;

        arena.recreate_secret("db", &[("k", way)]).await;
        jobs.are(&arena, &recorder, &of("asks"), 2).await;

        // What changed while it was suspended is read by the next run.
        let resume = json!({ "spec": { "suspend": false } });
        arena.patch("CronJob", &name("held"), resume).await;
        arena.adopted("CronJob", &name("held")).await;
        recorder.settle(&arena).await;
        arena.update_secret("db", &[("k", "last")]).await;
        jobs.are(&arena, &recorder, &of("held"), 1).await;
        jobs.are(&arena, &recorder, &of("asks"), 3).await;
        for what in ["auto", "alone", "wrong", "theirs"] {
            jobs.are(&arena, &recorder, &of(what), 0).await;
            let observed = arena.annotation("CronJob", &name(what), OBSERVED).await;
            assert_eq!(observed, None, "{what} is not opted in");
        }
        // Another start runs nothing.
        let builder = reroll.builder();
        assert!(reroll.stop().await);
        let reroll = builder.start().await;
        jobs.are(&arena, &recorder, &of("asks"), 3).await;
        for manifest in &all {
            arena
                .delete("CronJob", manifest["metadata"]["name"].as_str().unwrap())
                .await;
        }
        assert!(reroll.stop().await);
    }
}

#[tokio::test]
async fn a_crash_between_the_run_and_the_commit_is_one_run() {
    let arena = Arena::new("batch-cron-crash").await;
    let mut reroll = crashing(arena.reroll(), "before-patch").start().await;
    arena.secret("db", &[("k", "one")]).await;
    arena.create(&cron_job("asks", &RUNS, &job_spec())).await;
    arena.adopted("CronJob", "asks").await;
    let before = arena.annotation("CronJob", "asks", OBSERVED).await;
    let jobs = Jobs::watch(&arena).await;
    arena.update_secret("db", &[("k", "two")]).await;
    assert!(!reroll.ended().await, "it aborts");
    assert_eq!(runs(&arena, "asks").await.len(), 1);
    assert_eq!(arena.annotation("CronJob", "asks", OBSERVED).await, before);
    // Neither is a change of what it runs for.
    arena
        .patch(
            "CronJob",
            "asks",
            json!({ "spec": { "schedule": "0 1 29 2 *" } }),
        )
        .await;
    let label = json!({ "metadata": { "labels": { "x": "y" } } });
    arena.patch("Secret", "db", label).await;
    let _again = reroll.builder().plain().start().await;
    eventually("the run is committed", async || {
        let now = arena.annotation("CronJob", "asks", OBSERVED).await;
        (now != before).then_some(())
    })
    .await;
    let recorder = arena.record().await;
    jobs.are(&arena, &recorder, "asks", 1).await;
    arena.update_secret("db", &[("k", "three")]).await;
    jobs.are(&arena, &recorder, "asks", 2).await;
}

#[tokio::test]
async fn another_replica_that_takes_over_runs_it_once() {
    let arena = Arena::new("batch-cron-two").await;
    let asks = cron_job("asks", &RUNS, &job_spec());
    let (_second, jobs) = taken_over(&arena, "before-patch", &asks).await;
    let recorder = arena.record().await;
    jobs.are(&arena, &recorder, "asks", 1).await;
    arena.event("asks", "ran Job asks-").await;
}

#[tokio::test]
async fn nobody_makes_a_cron_job_run_by_its_annotations() {
    let arena = Arena::new("batch-cron-pinned").await;
    arena.secret("db", &[("k", "0")]).await;
    for (way, reroll) in arena.both_ways() {
        let reroll = with(reroll).start().await;
        arena.create(&cron_job(way, &RUNS, &job_spec())).await;
        arena.adopted("CronJob", way).await;
        let recorder = arena.record().await;
        let jobs = Jobs::watch(&arena).await;
        let old = arena.annotation("CronJob", way, OBSERVED).await.unwrap();
        arena.update_secret("db", &[("k", way)]).await;
        jobs.are(&arena, &recorder, way, 1).await;
        let pin = json!({ "spec": { "template": { "metadata": { "annotations": { RESTARTED_FOR: "pinned" } } } } });
        let edits = [
            json!({ "metadata": { "annotations": { OBSERVED: old } } }),
            json!({ "metadata": { "annotations": { OBSERVED: null, LAST_RESTART: null } } }),
            json!({ "spec": { "jobTemplate": pin } }),
        ];
        for edit in edits {
            arena.patch("CronJob", way, edit).await;
            jobs.are(&arena, &recorder, way, 1).await;
        }
        eventually("observed is there again", async || {
            let observed = arena.annotation("CronJob", way, OBSERVED).await?;
            (observed != old).then_some(())
        })
        .await;
        // Nor by a change of what it runs.
        let image =
            json!({ "spec": { "jobTemplate": { "spec": { "activeDeadlineSeconds": 60 } } } });
        arena.patch("CronJob", way, image).await;
        jobs.are(&arena, &recorder, way, 1).await;
        arena.update_secret("db", &[("k", "last")]).await;
        jobs.are(&arena, &recorder, way, 2).await;
        arena.delete("CronJob", way).await;
        assert!(reroll.stop().await);
    }
}

#[tokio::test]
async fn a_secret_and_a_cron_job_that_change_together_run_once() {
    let arena = Arena::new("batch-cron-together").await;
    let _reroll = with(arena.reroll()).start().await;
    arena.secret("db", &[("k", "one")]).await;
    // A busy machine takes some time for the two writes.
    let asks = [&RUNS[..], &[("reroll.dev/settle", "8s")]].concat();
    arena.create(&cron_job("asks", &asks, &job_spec())).await;
    arena.adopted("CronJob", "asks").await;
    let recorder = arena.record().await;
    let jobs = Jobs::watch(&arena).await;
    let mut job = job_spec();
    job["template"]["spec"]["containers"][0]["image"] = json!("registry.example/app:2");
    // kubectl 1.30 takes no JSON documents behind one another.
    let both = [secret("db", &[("k", "two")]), cron_job("asks", &asks, &job)];
    let both = json!({ "apiVersion": "v1", "kind": "List", "items": both });
    let apply = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
    arena.kubectl_with(&apply, &both.to_string()).await.ok();
    jobs.are(&arena, &recorder, "asks", 1).await;
    let run = runs(&arena, "asks").await.pop().unwrap();
    assert_eq!(
        run.data["spec"]["template"]["spec"]["containers"][0]["image"],
        "registry.example/app:2"
    );
}

#[tokio::test]
async fn a_run_waits_for_another_where_only_one_may_be() {
    let arena = Arena::new("batch-cron-alone").await;
    let _reroll = with(arena.reroll()).start().await;
    arena.secret("db", &[("k", "one")]).await;
    for (name, policy) in [("alone", "Forbid"), ("many", "Allow")] {
        let mut manifest = cron_job(name, &RUNS, &lasting());
        manifest["spec"]["concurrencyPolicy"] = json!(policy);
        arena.create(&manifest).await;
        arena.adopted("CronJob", name).await;
    }
    let recorder = arena.record().await;
    let jobs = Jobs::watch(&arena).await;
    arena.update_secret("db", &[("k", "two")]).await;
    for name in ["alone", "many"] {
        jobs.are(&arena, &recorder, name, 1).await;
    }
    arena.update_secret("db", &[("k", "three")]).await;
    jobs.are(&arena, &recorder, "many", 2).await;
    arena
        .event("alone", "the CronJob runs again when that run ends")
        .await;
    jobs.are(&arena, &recorder, "alone", 1).await;
    let first = runs(&arena, "alone").await.pop().unwrap().name_any();
    complete(&arena, &first).await;
    jobs.are(&arena, &recorder, "alone", 2).await;
}

#[tokio::test]
async fn whoever_asks_in_vain_is_told_at_the_prompt() {
    let arena = Arena::new("batch-prompt").await;
    let _reroll = with(arena.reroll()).start().await;
    arena.secret("db", &[("k", "one")]).await;
    let create = async |manifest: Value| {
        let create = ["create", "-f", "-"];
        arena
            .kubectl_with(&create, &manifest.to_string())
            .await
            .ok()
            .err
    };
    let said = create(job("job", &RUNS, &lasting())).await;
    assert!(said.contains("\"run-now\" is not recreate"), "{said}");
    let said = create(cron_job("cron-job", &RECREATES, &job_spec())).await;
    assert!(said.contains("\"recreate\" is not run-now"), "{said}");
    let mut deployment = reroll_harness::deployment("web", "db", "k");
    deployment["metadata"]["annotations"][ON_CHANGE] = json!("recreate");
    let said = create(deployment).await;
    assert!(said.contains("is not known for this kind"), "{said}");
    let said = create(job("fine", &RECREATES, &lasting())).await;
    assert!(!said.contains("reroll"), "{said}");
}

// === Jobs ===

/// What a person wrote of a Job.
fn written(job: &DynamicObject) -> Value {
    let mut manifest = serde_json::to_value(job).unwrap();
    for field in [
        "uid",
        "resourceVersion",
        "creationTimestamp",
        "generation",
        "managedFields",
    ] {
        manifest["metadata"].as_object_mut().unwrap().remove(field);
    }
    for key in [OBSERVED, LAST_RESTART] {
        manifest["metadata"]["annotations"]
            .as_object_mut()
            .unwrap()
            .remove(key);
    }
    manifest["spec"].as_object_mut().unwrap().remove("selector");
    let template = manifest["spec"]["template"]["metadata"]
        .as_object_mut()
        .unwrap();
    template.remove("annotations");
    let labels = template["labels"].as_object_mut().unwrap();
    labels.retain(|key, _| !key.contains("controller-uid"));
    manifest["metadata"]["labels"]
        .as_object_mut()
        .unwrap()
        .retain(|key, _| !key.contains("controller-uid"));
    manifest.as_object_mut().unwrap().remove("status");
    manifest
}

/// A CronJob or Job does not run again because another workload of the same Secret is refused again and again.
#[tokio::test]
async fn a_neighbour_that_is_refused_makes_it_run_no_second_time() {
    let arena = Arena::new("batch-neighbour").await;
    let reroll = with(arena.reroll()).start().await;
    arena.secret("db", &[("k", "one")]).await;
    arena.create(&cron_job("asks", &RUNS, &job_spec())).await;
    let mut neighbour = deployment("neighbour", "db", "k");
    neighbour["metadata"]["labels"] = json!({ "refuse": "true" });
    arena.create(&neighbour).await;
    arena.adopted("CronJob", "asks").await;
    arena.adopted("Deployment", "neighbour").await;
    let policy = refuse(&arena).await;
    let recorder = arena.record().await;
    let jobs = Jobs::watch(&arena).await;
    arena.update_secret("db", &[("k", "two")]).await;
    let refused = r#"reroll_restart_failures_total{kind="Deployment",reason="conflict"}"#;
    eventually("it was refused many times", async || {
        (reroll.count(refused).await > 6).then_some(())
    })
    .await;
    jobs.are(&arena, &recorder, "asks", 1).await;
    policy.lift(&arena).await;
    recorder.reaches("Deployment", "neighbour", 1).await;
    jobs.are(&arena, &recorder, "asks", 1).await;
}

#[tokio::test]
async fn a_job_is_created_again_only_where_it_asks_for_that() {
    let arena = Arena::new("batch-job").await;
    arena.secret("db", &[("k", "0")]).await;
    for (way, reroll) in arena.both_ways() {
        let reroll = with(reroll).start().await;
        let name = |what: &str| format!("{what}-{way}");
        let mut held = lasting();
        held["suspend"] = json!(true);
        let mut asks = lasting();
        asks["template"]["metadata"] = json!({ "labels": { "mine": "x" } });
        let all = [
            job(&name("asks"), &RECREATES, &asks),
            job(&name("auto"), &[(RESTART_ON, "auto")], &lasting()),
            job(&name("held"), &RECREATES, &held),
            job(&name("done"), &RECREATES, &job_spec()),
        ];
        for manifest in &all {
            arena.create(manifest).await;
        }
        is_complete(&arena, &name("done")).await;
        arena.adopted("Job", &name("asks")).await;
        let recorder = arena.record().await;
        let before = arena.get("Job", &name("asks")).await;
        let jobs = Jobs::watch(&arena).await;
        arena.update_secret("db", &[("k", way)]).await;
        jobs.are(&arena, &recorder, &name("asks"), 2).await;
        arena.adopted("Job", &name("asks")).await;
        let after = arena.get("Job", &name("asks")).await;
        assert_ne!(before.uid(), after.uid());
        assert_eq!(written(&before), written(&after));
        let observed = arena.observed("Job", &name("asks")).await.unwrap();
        let mark = &after.data["spec"]["template"]["metadata"]["annotations"][RESTARTED_FOR];
        assert_eq!(*mark, observed["rf"]);
        assert!(after.annotations()[LAST_RESTART].contains("Secret db was updated"));
        arena
            .event(&name("asks"), "Restarted: Secret db was updated")
            .await;
        nothing_is_kept(&arena).await;

        arena.recreate_secret("db", &[("k", way)]).await;
        jobs.are(&arena, &recorder, &name("asks"), 3).await;
        // Another start does nothing.
        let builder = reroll.builder();
        assert!(reroll.stop().await);
        let reroll = builder.start().await;
        jobs.are(&arena, &recorder, &name("asks"), 3).await;
        for what in ["auto", "held", "done"] {
            jobs.are(&arena, &recorder, &name(what), 1).await;
        }

        // What a user deletes stays away.
        arena.delete("Job", &name("asks")).await;
        arena.update_secret("db", &[("k", "after")]).await;
        jobs.are(&arena, &recorder, &name("asks"), 3).await;
        // One that is resumed has pods of then.
        let resume = json!({ "spec": { "suspend": false } });
        arena.patch("Job", &name("held"), resume).await;
        arena.adopted("Job", &name("held")).await;
        jobs.are(&arena, &recorder, &name("held"), 1).await;
        arena.update_secret("db", &[("k", "resumed")]).await;
        jobs.are(&arena, &recorder, &name("held"), 2).await;
        assert!(reroll.stop().await);
        for manifest in &all[1..] {
            let (name, foreground) = (
                manifest["metadata"]["name"].as_str().unwrap(),
                kube::api::DeleteParams::foreground(),
            );
            arena.api("Job").delete(name, &foreground).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_crash_at_any_step_loses_no_job_and_makes_no_second() {
    for moment in ["kept", "deleted", "created"] {
        let arena = Arena::new(&format!("batch-job-crash-{moment}")).await;
        let mut reroll = crashing(arena.reroll(), moment).start().await;
        arena.secret("db", &[("k", "one")]).await;
        arena.create(&job("asks", &RECREATES, &lasting())).await;
        arena.adopted("Job", "asks").await;
        let jobs = Jobs::watch(&arena).await;
        arena.update_secret("db", &[("k", "two")]).await;
        assert!(!reroll.ended().await, "it aborts at {moment}");
        assert_eq!(kept(&arena).await, 1, "{moment}");
        let _again = reroll.builder().plain().start().await;
        nothing_is_kept(&arena).await;
        arena.adopted("Job", "asks").await;
        let recorder = arena.record().await;
        jobs.are(&arena, &recorder, "asks", 2).await;
        nothing_is_kept(&arena).await;
    }
}

#[tokio::test]
async fn another_replica_brings_the_job_back() {
    let arena = Arena::new("batch-job-two").await;
    let asks = job("asks", &RECREATES, &lasting());
    let (_second, jobs) = taken_over(&arena, "deleted", &asks).await;
    let recorder = arena.record().await;
    jobs.are(&arena, &recorder, "asks", 2).await;
    nothing_is_kept(&arena).await;
    arena.event("asks", "Secret db was updated").await;
}

#[tokio::test]
async fn one_that_completes_before_it_is_deleted_stays() {
    let arena = Arena::new("batch-job-completes").await;
    let mut reroll = crashing(arena.reroll(), "kept").start().await;
    arena.secret("db", &[("k", "one")]).await;
    arena.create(&job("asks", &RECREATES, &lasting())).await;
    arena.adopted("Job", "asks").await;
    let before = uid(&arena, "Job", "asks").await;
    arena.update_secret("db", &[("k", "two")]).await;
    assert!(!reroll.ended().await, "it aborts");
    complete(&arena, "asks").await;
    let _again = reroll.builder().plain().start().await;
    nothing_is_kept(&arena).await;
    let recorder = arena.record().await;
    recorder.settle(&arena).await;
    assert_eq!(uid(&arena, "Job", "asks").await, before);
}

#[tokio::test]
async fn one_whose_successor_is_refused_stays_until_it_is_not() {
    let arena = Arena::new("batch-job-refused").await;
    let _reroll = with(arena.reroll()).start().await;
    arena.secret("db", &[("k", "one")]).await;
    let mut manifest = job("asks", &RECREATES, &lasting());
    manifest["metadata"]["labels"] = json!({ "refuse": "true" });
    arena.create(&manifest).await;
    arena.adopted("Job", "asks").await;
    let before = uid(&arena, "Job", "asks").await;
    let policy = refuse(&arena).await;
    let recorder = arena.record().await;
    let jobs = Jobs::watch(&arena).await;
    arena.update_secret("db", &[("k", "two")]).await;
    arena
        .event("asks", "RestartFailed: could not restart it")
        .await;
    recorder.settle(&arena).await;
    assert_eq!(uid(&arena, "Job", "asks").await, before);
    assert_eq!(kept(&arena).await, 0);
    policy.lift(&arena).await;
    jobs.are(&arena, &recorder, "asks", 2).await;
}

#[tokio::test]
async fn one_that_cannot_be_created_any_more_is_kept_until_it_can() {
    let arena = Arena::new("batch-job-kept").await;
    let reroll = with(arena.reroll()).start().await;
    arena.secret("db", &[("k", "one")]).await;
    let mut manifest = job("asks", &RECREATES, &lasting());
    manifest["metadata"]["labels"] = json!({ "refuse": "true" });
    manifest["metadata"]["finalizers"] = json!(["example.com/hold"]);
    arena.create(&manifest).await;
    arena.adopted("Job", "asks").await;
    let jobs = Jobs::watch(&arena).await;
    arena.update_secret("db", &[("k", "two")]).await;
    eventually("it is being deleted", async || {
        arena.get("Job", "asks").await.metadata.deletion_timestamp
    })
    .await;
    // Another controller's finalizer holds the old Job until the policy is there.
    eventually("its pods are gone", async || {
        let finalizers = arena.get("Job", "asks").await.metadata.finalizers?;
        (finalizers == ["example.com/hold"]).then_some(())
    })
    .await;
    let policy = Policy::enforce(&arena, &["deployments", "jobs"], "!has(object.metadata.labels) || !('refuse' in object.metadata.labels) || has(object.metadata.deletionTimestamp)").await;
    let let_go = json!({ "metadata": { "finalizers": null } });
    arena.patch("Job", "asks", let_go).await;
    arena.event("asks", "cannot create it again yet").await;
    assert_eq!(kept(&arena).await, 1);
    assert!(
        reroll
            .metric("reroll_workloads_pending{reason=\"recreating\"}")
            .await
            > 0.0
    );
    // A start in between changes nothing about that.
    let builder = reroll.builder();
    assert!(reroll.stop().await);
    let _again = builder.start().await;
    policy.lift(&arena).await;
    let recorder = arena.record().await;
    jobs.are(&arena, &recorder, "asks", 2).await;
    nothing_is_kept(&arena).await;
}

async fn refuse(arena: &Arena) -> Policy {
    let expression = "!has(object.metadata.labels) || !('refuse' in object.metadata.labels)";
    Policy::enforce(arena, &["deployments", "jobs"], expression).await
}

// === both ===

/// A kubeconfig of an account that has what the chart grants, for both kinds, in the arena's namespace.
async fn with_rights_of_the_chart(arena: &Arena) -> PathBuf {
    let chart = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/reroll");
    let (name, own) = (&arena.namespace, &arena.own_namespace);
    let set = format!(
        "kinds.optional={{cronjobs,jobs}},watch.namespaces={{{name}}},namespaceOverride={own}"
    );
    let template = [
        "template",
        name,
        chart,
        "--set",
        &set,
        "--set",
        "fullnameOverride=reroll",
    ];
    let only = [
        "--show-only",
        "templates/rbac.yaml",
        "--show-only",
        "templates/serviceaccount.yaml",
    ];
    let rendered = arena.helm(&[&template[..], &only].concat()).await.ok().out;
    // Each test has a cluster role of its own.
    let rendered = rendered.replace(
        "kind: ClusterRole\nmetadata:\n  name: reroll",
        &format!("kind: ClusterRole\nmetadata:\n  name: {name}"),
    );
    let rendered = rendered.replace(
        "kind: ClusterRole\n  name: reroll",
        &format!("kind: ClusterRole\n  name: {name}"),
    );
    let rendered = rendered.replace(
        "kind: ClusterRoleBinding\nmetadata:\n  name: reroll",
        &format!("kind: ClusterRoleBinding\nmetadata:\n  name: {name}"),
    );
    // Objects of two namespaces.
    let mut apply = arena.cluster.kubectl();
    let manifest = std::env::temp_dir().join(format!("{name}.yaml"));
    std::fs::write(&manifest, rendered).unwrap();
    let applied = apply.args(["apply", "-f"]).arg(&manifest).output().unwrap();
    assert!(applied.status.success(), "{applied:?}");
    std::fs::remove_file(&manifest).unwrap();
    let said = arena
        .kubectl(&["create", "token", "reroll", "--namespace", own])
        .await
        .ok();
    let kubeconfig = std::env::temp_dir().join(format!("{name}.kubeconfig"));
    std::fs::copy(arena.cluster.kubeconfig(), &kubeconfig).unwrap();
    let token = format!("--token={}", said.out.trim());
    let steps: [&[&str]; 2] = [
        &["config", "set-credentials", "account", &token],
        &["config", "set-context", "--current", "--user", "account"],
    ];
    for step in steps {
        let mut kubectl = std::process::Command::new(arena.tool("kubectl"));
        let kubectl = kubectl.arg("--kubeconfig").arg(&kubeconfig).args(step);
        assert!(kubectl.output().unwrap().status.success());
    }
    kubeconfig
}

#[tokio::test]
async fn the_rights_that_the_chart_grants_are_enough() {
    let arena = Arena::new("batch-rights").await;
    let kubeconfig = with_rights_of_the_chart(&arena).await;
    let reroll = with(arena.reroll())
        .kubeconfig(kubeconfig.clone())
        .flag("--digest-key-secret", "reroll-digest-key")
        .without_webhook();
    let reroll = reroll.start().await;
    arena.secret("db", &[("k", "one")]).await;
    let mut alone = cron_job("alone", &RUNS, &lasting());
    alone["spec"]["concurrencyPolicy"] = json!("Forbid");
    arena.create(&alone).await;
    arena.create(&job("asks", &RECREATES, &lasting())).await;
    arena.adopted("CronJob", "alone").await;
    arena.adopted("Job", "asks").await;
    let recorder = arena.record().await;
    let jobs = Jobs::watch(&arena).await;
    arena.update_secret("db", &[("k", "two")]).await;
    jobs.are(&arena, &recorder, "alone", 1).await;
    jobs.are(&arena, &recorder, "asks", 2).await;
    arena.update_secret("db", &[("k", "three")]).await;
    arena
        .event("alone", "the CronJob runs again when that run ends")
        .await;
    jobs.are(&arena, &recorder, "asks", 3).await;
    nothing_is_kept(&arena).await;
    let log = reroll.log();
    assert!(
        !log.contains("forbidden") && !log.contains("\"code\":403"),
        "{log}"
    );
    assert!(reroll.stop().await);
    std::fs::remove_file(kubeconfig).unwrap();
}
