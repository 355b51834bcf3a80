//! An independent count of restarts: a watch of every workload that counts changes of `.spec.template`.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use futures::StreamExt;
use kube::{
    ResourceExt,
    api::{DynamicObject, ListParams},
    runtime::{WatchStreamExt, watcher},
};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::{Arena, KINDS, OBSERVED, ROLLOUT, Reroll, deployment, eventually};

/// The workload whose Secret is changed after the act.
const SENTINEL: &str = "sentinel";

/// Counts changes of pod templates, from its start on. By `Kind name`.
pub struct Recorder {
    seen: Arc<Mutex<BTreeMap<String, Seen>>>,
    _watches: JoinSet<()>,
}

#[derive(Default)]
struct Seen {
    uid: String,
    resource_version: u64,
    /// At which resourceVersion the template became what it is.
    changed_at: u64,
    templates: Vec<Value>,
    /// Every `restarted-for` that the template has had.
    restarted_for: Vec<String>,
    /// Every `observed` that it has had.
    observed: Vec<String>,
    /// Every `rollout` that it has had.
    opened: Vec<String>,
}

impl Recorder {
    /// Starts, and waits until everything that exists was seen. Creates the sentinel where there is none.
    pub async fn start(arena: &Arena) -> Self {
        let sentinel = arena.api("Deployment").get_opt(SENTINEL).await.unwrap();
        if sentinel.is_none() {
            arena.secret(SENTINEL, &[("key", "0")]).await;
            arena.create(&deployment(SENTINEL, SENTINEL, "key")).await;
        }
        let seen: Arc<Mutex<BTreeMap<String, Seen>>> = Arc::default();
        let listed = Arc::new(Mutex::new(0));
        let mut watches = JoinSet::new();
        for kind in KINDS {
            let (api, seen, listed) = (arena.api(kind), Arc::clone(&seen), Arc::clone(&listed));
            watches.spawn(async move {
                let mut events = watcher(api, watcher::Config::default())
                    .default_backoff()
                    .boxed();
                while let Some(event) = events.next().await {
                    match event {
                        Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object)) => {
                            note(&mut seen.lock().unwrap(), kind, &object);
                        }
                        Ok(watcher::Event::InitDone) => *listed.lock().unwrap() += 1,
                        _ => {}
                    }
                }
            });
        }
        eventually("the recorder has seen everything", async || {
            (*listed.lock().unwrap() == KINDS.len()).then_some(())
        })
        .await;
        Self {
            seen,
            _watches: watches,
        }
    }

    /// How often the workload's template has changed since the start, whoever changed it.
    pub fn rollouts(&self, kind: &str, name: &str) -> usize {
        let seen = self.seen.lock().unwrap();
        seen.get(&format!("{kind} {name}"))
            .map_or(0, |seen| seen.templates.len() - 1)
    }

    /// Every `restarted-for` that the workload has had, in order.
    pub fn restarted_for(&self, kind: &str, name: &str) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        seen.get(&format!("{kind} {name}"))
            .map_or_else(Vec::new, |seen| seen.restarted_for.clone())
    }

    /// Every `observed` that the workload has had, in order.
    pub fn observed(&self, kind: &str, name: &str) -> Vec<Value> {
        let seen = self.seen.lock().unwrap();
        let all = seen.get(&format!("{kind} {name}"));
        all.into_iter()
            .flat_map(|seen| &seen.observed)
            .map(|text| serde_json::from_str(text).unwrap())
            .collect()
    }

    /// Every `rollout` that the workload has had, in order.
    pub fn opened(&self, kind: &str, name: &str) -> Vec<Value> {
        let seen = self.seen.lock().unwrap();
        let all = seen.get(&format!("{kind} {name}"));
        all.into_iter()
            .flat_map(|seen| &seen.opened)
            .map(|text| serde_json::from_str(text).unwrap())
            .collect()
    }

    /// The resourceVersion at which the workload's template became what it is, or at which it was first seen.
    pub fn changed_at(&self, kind: &str, name: &str) -> u64 {
        let seen = self.seen.lock().unwrap();
        seen[&format!("{kind} {name}")].changed_at
    }

    /// Waits until a template has changed this often.
    pub async fn reaches(&self, kind: &str, name: &str, rollouts: usize) {
        let what = format!("{kind} {name} has rolled {rollouts} times");
        eventually(&what, async || {
            (self.rollouts(kind, name) >= rollouts).then_some(())
        })
        .await;
    }

    /// Waits until everything that was done so far has taken effect. Changes the sentinel's Secret, waits until the
    /// sentinel has rolled, and repeats that until nothing else rolls meanwhile. One round is not enough: restarts take
    /// turns, so the sentinel's may come before others that were due earlier, and a restart that met another writer is
    /// tried again.
    pub async fn settle(&self, arena: &Arena) {
        let (mut quiet, mut rolled) = (0, self.rolled());
        while quiet < 3 {
            let before = self.rollouts("Deployment", SENTINEL);
            let value = format!("{before}-{}", fastrand::u64(..));
            arena.update_secret(SENTINEL, &[("key", &value)]).await;
            self.reaches("Deployment", SENTINEL, before + 1).await;
            let now = self.rolled();
            quiet = if now == rolled { quiet + 1 } else { 0 };
            rolled = now;
        }
        self.catch_up(arena).await;
    }

    /// Gives the sentinel a short quiet period of its own, where that of others is long.
    pub async fn hurries(&self, arena: &Arena) {
        let own = "reroll.dev/settle";
        arena
            .annotate("Deployment", SENTINEL, own, Some("100ms"))
            .await;
    }

    /// [`Self::settle`] for a quiet period so long that a busy machine's writes fall within it. The sentinel has a
    /// short period of its own, and this waits for what is pending when `leader` has seen everything.
    pub async fn settle_slowly(&self, arena: &Arena, leader: &Reroll) {
        self.hurries(arena).await;
        self.settle(arena).await;
        eventually("no restart is pending", async || {
            (leader.count("reroll_intents_pending").await == 0).then_some(())
        })
        .await;
        self.settle(arena).await;
    }

    /// A resourceVersion that is later than all that was done before the last [`Self::settle`].
    pub async fn settled_at(&self, arena: &Arena) -> u64 {
        arena.version("Secret", SENTINEL).await
    }

    /// How often templates have changed, the sentinel's left out.
    fn rolled(&self) -> usize {
        let seen = self.seen.lock().unwrap();
        let others = seen
            .iter()
            .filter(|(name, _)| !name.ends_with(&format!(" {SENTINEL}")));
        others.map(|(_, seen)| seen.templates.len()).sum()
    }

    /// Waits until the watches have shown what the API server has now. Each kind has a watch of its own, and only one
    /// of them shows the sentinel.
    async fn catch_up(&self, arena: &Arena) {
        for kind in KINDS {
            for object in arena.api(kind).list(&ListParams::default()).await.unwrap() {
                let key = format!("{kind} {}", object.name_any());
                eventually(&format!("the recorder has seen {key}"), async || {
                    let seen = self.seen.lock().unwrap();
                    let shown = seen.get(&key).map_or(0, |seen| seen.resource_version);
                    (shown >= resource_version(&object)).then_some(())
                })
                .await;
            }
        }
    }

    /// Checks the exact counts of many workloads of a kind, after [`Self::settle`]. Names all that differ.
    #[track_caller]
    pub fn expect_each<N: AsRef<str>>(
        &self,
        kind: &str,
        expected: impl IntoIterator<Item = (N, usize)>,
    ) {
        let expected: BTreeMap<_, _> = expected
            .into_iter()
            .map(|(name, rollouts)| (name.as_ref().to_owned(), rollouts))
            .collect();
        let found: BTreeMap<_, _> = expected
            .keys()
            .map(|name| (name.clone(), self.rollouts(kind, name)))
            .collect();
        let differ: Vec<_> = expected
            .iter()
            .filter(|(name, rollouts)| found[*name] != **rollouts)
            .map(|(name, rollouts)| format!("{name}: {} instead of {rollouts}", found[name]))
            .collect();
        assert!(differ.is_empty(), "rollouts of {kind}s: {differ:#?}");
    }

    /// [`Self::settle`], then the exact count of one workload.
    #[track_caller]
    pub fn expect(&self, kind: &str, name: &str, rollouts: usize) {
        assert_eq!(
            self.rollouts(kind, name),
            rollouts,
            "rollouts of {kind} {name}"
        );
    }
}

fn note(seen: &mut BTreeMap<String, Seen>, kind: &str, object: &DynamicObject) {
    let entry = seen
        .entry(format!("{kind} {}", object.name_any()))
        .or_default();
    let uid = object.uid().unwrap_or_default();
    if entry.uid != uid {
        *entry = Seen {
            uid,
            ..Seen::default()
        };
    }
    entry.resource_version = resource_version(object);
    if let Some(observed) = object.annotations().get(OBSERVED)
        && entry.observed.last() != Some(observed)
    {
        entry.observed.push(observed.clone());
    }
    if let Some(opened) = object.annotations().get(ROLLOUT)
        && entry.opened.last() != Some(opened)
    {
        entry.opened.push(opened.clone());
    }
    let template = object.data["spec"]["template"].clone();
    if entry.templates.last() != Some(&template) {
        let restarted_for =
            template["metadata"]["annotations"]["reroll.dev/restarted-for"].as_str();
        if let Some(text) =
            restarted_for.filter(|text| entry.restarted_for.last().is_none_or(|last| last != text))
        {
            entry.restarted_for.push(text.to_owned());
        }
        entry.changed_at = entry.resource_version;
        entry.templates.push(template);
    }
}

fn resource_version(object: &DynamicObject) -> u64 {
    let text = object.resource_version();
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}
