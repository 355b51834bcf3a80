//! A bad value that something copied into many namespaces.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ConfigMap, Namespace},
};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
    runtime::{WatchStreamExt, watcher},
};
use reroll_harness::{RESTART_ON, ROLLOUT, Reroll, at_once, eventually, workload};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{PENDING, Stage, slowly};

/// So many namespaces have a copy.
const NAMESPACES: usize = 60;
/// So many of them have two users.
const TWO_USERS: usize = 10;
/// In so many restarts may be under way at first.
const FIRST: usize = 50;

/// Deployments of many namespaces, by `namespace/name`.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<BTreeMap<String, One>>>);

/// What one Deployment has had.
#[derive(Default)]
struct One {
    /// Every template.
    templates: Vec<Value>,
    /// Every `rollout`.
    opened: Vec<String>,
}

impl Seen {
    async fn watch(self, deployments: Api<Deployment>, label: String) {
        let config = watcher::Config::default().labels(&label);
        let mut events = watcher(deployments, config).default_backoff().boxed();
        while let Some(event) = events.next().await {
            let Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object)) = event
            else {
                continue;
            };
            let key = format!("{}/{}", object.namespace().unwrap(), object.name_any());
            let mut seen = self.0.lock().unwrap();
            let One { templates, opened } = seen.entry(key).or_default();
            let template = serde_json::to_value(object.spec.as_ref().unwrap()).unwrap();
            let template = template["template"].clone();
            if templates.last() != Some(&template) {
                templates.push(template);
            }
            if let Some(rollout) = object.annotations().get(ROLLOUT)
                && opened.last() != Some(rollout)
            {
                opened.push(rollout.clone());
            }
        }
    }

    /// How often each was restarted.
    fn rollouts(&self) -> BTreeMap<String, usize> {
        let seen = self.0.lock().unwrap();
        let all = seen.iter();
        all.map(|(key, one)| (key.clone(), one.templates.len() - 1))
            .collect()
    }

    /// How many were restarted at all.
    fn restarted(&self) -> usize {
        self.rollouts().values().filter(|times| **times > 0).count()
    }

    /// When restarts were made, in order.
    fn times(&self) -> Vec<Timestamp> {
        let seen = self.0.lock().unwrap();
        let opened = seen.values().flat_map(|one| &one.opened);
        let mut times: Vec<Timestamp> = opened
            .map(|text| {
                let opened: Value = serde_json::from_str(text).unwrap();
                opened["at"].as_str().unwrap().parse().unwrap()
            })
            .collect();
        times.sort();
        times
    }
}

/// Many namespaces, removed at the end.
struct Many {
    client: Client,
    names: Vec<String>,
    /// How many users there are.
    users: usize,
    label: String,
}

impl Many {
    /// So many, each with a ConfigMap and its user, so many with two. Their pods run on the stage's node.
    async fn set(stage: &Stage, namespaces: usize, two_users: usize) -> Self {
        let arena = &stage.arena;
        let of = |number| format!("{}-{number:02}", arena.namespace);
        let many = Self {
            client: arena.client.clone(),
            names: (0..namespaces).map(of).collect(),
            users: namespaces + two_users,
            label: format!("of={}", arena.namespace),
        };
        at_once(many.names.iter().enumerate(), async |(number, name)| {
            let object = json!({ "metadata": { "name": name } });
            let object = serde_json::from_value(object).unwrap();
            let spaces = Api::<Namespace>::all(many.client.clone());
            spaces
                .create(&PostParams::default(), &object)
                .await
                .unwrap();
            let object =
                serde_json::from_value(reroll_harness::config_map("app", &[("k", "good")]));
            let maps = Api::<ConfigMap>::namespaced(many.client.clone(), name);
            maps.create(&PostParams::default(), &object.unwrap())
                .await
                .unwrap();
            let deployments = Api::<Deployment>::namespaced(many.client.clone(), name);
            for user in 0..=usize::from(number < two_users) {
                let object = many.user(stage, user);
                deployments
                    .create(&PostParams::default(), &object)
                    .await
                    .unwrap();
            }
        })
        .await;
        many
    }

    fn user(&self, stage: &Stage, number: usize) -> Deployment {
        let from = json!({ "configMapKeyRef": { "name": "app", "key": "k" } });
        let pod = json!({ "containers": [{ "env": [{ "name": "V", "valueFrom": from }] }] });
        let asks = [(RESTART_ON, "auto")];
        let manifest = workload("Deployment", &format!("web-{number}"), &asks, pod);
        let mut manifest = stage.kubelet.runs(manifest, 1);
        let (key, value) = self.label.split_once('=').unwrap();
        manifest["metadata"]["labels"] = json!({ key: value });
        serde_json::from_value(manifest).unwrap()
    }

    async fn change(&self, value: &str) {
        self.change_in(&self.names, value).await;
    }

    async fn change_in(&self, names: &[String], value: &str) {
        at_once(names, async |name| {
            let maps = Api::<ConfigMap>::namespaced(self.client.clone(), name);
            let patch = Patch::Merge(json!({ "data": { "k": value } }));
            let params = PatchParams::default();
            maps.patch("app", &params, &patch).await.unwrap();
        })
        .await;
    }

    /// Starts reroll for all of them, and waits until all users run and are adopted.
    async fn start(&self, stage: &Stage) -> Reroll {
        let spaces = format!("{},{}", stage.arena.namespace, self.names.join(","));
        let builder = slowly(&stage.arena).flag("--namespaces", &spaces);
        let reroll = stage.start_as(builder).await;
        self.are_adopted().await;
        reroll
    }

    /// Watches all users, until what it returns is dropped.
    async fn watch(&self) -> (Seen, JoinSet<()>) {
        let (seen, mut watch) = (Seen::default(), JoinSet::new());
        let deployments = Api::<Deployment>::all(self.client.clone());
        watch.spawn(seen.clone().watch(deployments, self.label.clone()));
        eventually("all are watched", async || {
            (seen.rollouts().len() == self.users).then_some(())
        })
        .await;
        (seen, watch)
    }

    /// Waits until all users run and are adopted.
    async fn are_adopted(&self) {
        let all = Api::<Deployment>::all(self.client.clone());
        eventually("all run and are adopted", async || {
            let params = ListParams::default().labels(&self.label);
            let all = all.list(&params).await.unwrap().items;
            let ready = |object: &Deployment| {
                let status = object.status.as_ref();
                object.annotations().contains_key(reroll_harness::OBSERVED)
                    && status.and_then(|status| status.available_replicas) == Some(1)
            };
            (all.len() == self.users && all.iter().all(ready)).then_some(())
        })
        .await;
    }

    async fn remove(self) {
        let spaces = Api::<Namespace>::all(self.client.clone());
        at_once(&self.names, async |name| {
            let params = DeleteParams::default();
            spaces.delete(name, &params).await.unwrap();
        })
        .await;
    }
}

#[tokio::test]
async fn a_bad_value_in_many_namespaces_breaks_some_and_then_one_at_a_time() {
    let stage = Stage::set("slow-spread").await;
    let many = Many::set(&stage, NAMESPACES, TWO_USERS).await;
    let _reroll = many.start(&stage).await;
    let (seen, _watch) = many.watch().await;

    many.change("bad").await;
    eventually("one more goes, and one more", async || {
        (seen.restarted() >= FIRST + 2).then_some(())
    })
    .await;
    let broken = seen.rollouts();
    let mut spaces: Vec<_> = broken
        .iter()
        .filter(|(_, times)| **times > 0)
        .map(|(key, times)| {
            assert_eq!(*times, 1, "{key}");
            key.split_once('/').unwrap().0
        })
        .collect();
    spaces.dedup();
    assert_eq!(spaces.len(), FIRST + 2, "one user of each namespace");
    let times = seen.times();
    // Pods are looked at 20 s after their restart; so long nobody knows that it failed.
    let between = |before: usize| times[before + 1].duration_since(times[before]).as_secs();
    for last in [FIRST - 1, FIRST] {
        assert!(between(last) >= 19, "one at a time: {times:?}");
    }

    many.change("good again").await;
    eventually("all are restarted for it", async || {
        let mut now = seen.rollouts().into_iter();
        now.all(|(key, times)| times > broken[&key]).then_some(())
    })
    .await;
    stage.recorder.settle(&stage.arena).await;
    for (key, times) in seen.rollouts() {
        assert_eq!(times, broken[&key] + 1, "{key}");
    }
    many.remove().await;
}

/// A tenant's six namespaces fail, and a rollout in his seventh hangs for as long as he asks: another one's restart waits for that for
/// a while, says so, and is made.
#[tokio::test]
async fn one_that_hangs_beside_many_that_failed_holds_up_nobody_for_long() {
    let stage = Stage::set("slow-tenant").await;
    let many = Many::set(&stage, 8, 0).await;
    let ([fail @ .., hangs, _], [.., other]) = (&many.names[..], &many.names[..]) else {
        panic!("{:?}", many.names);
    };
    let asks = "reroll.dev/rollout-deadline=1h";
    let asks = ["annotate", "deployment/web-0", "-n", hangs, asks];
    stage.arena.kubectl(&asks).await.ok();
    let reroll = many.start(&stage).await;
    let (seen, _watch) = many.watch().await;
    many.change_in(fail, "bad").await;
    eventually("six fail", async || {
        (reroll.count("reroll_restarts_stuck_total").await == 6).then_some(())
    })
    .await;
    many.change_in(std::slice::from_ref(hangs), "never ready")
        .await;
    eventually("one hangs", async || (seen.restarted() == 7).then_some(())).await;
    many.change_in(std::slice::from_ref(other), "good too")
        .await;
    let users = Api::<Deployment>::namespaced(many.client.clone(), other);
    let shown = eventually("another one says why it waits", async || {
        let user = users.get("web-0").await.unwrap();
        user.annotations().get(PENDING).cloned()
    })
    .await;
    assert!(shown.contains(r#""reason":"spread""#), "{shown}");
    assert_eq!(seen.restarted(), 7);
    eventually("and is made", async || {
        (seen.restarted() == 8).then_some(())
    })
    .await;
    let times = seen.times();
    let waited = times[7].duration_since(times[6]).as_secs();
    assert!(waited >= 119, "two minutes: {times:?}");
    stage.recorder.settle(&stage.arena).await;
    assert!(seen.rollouts().values().all(|times| *times == 1));
    many.remove().await;
}
