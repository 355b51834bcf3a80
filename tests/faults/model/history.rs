//! Every version of every source, by the resourceVersion at which it came. All objects of a cluster share one count of
//! resourceVersions, so the test compares exactly what a workload's pods could read.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use futures::StreamExt as _;
use kube::{
    ResourceExt as _,
    api::{DynamicObject, ListParams},
    runtime::{WatchStreamExt as _, watcher},
};
use reroll_harness::{Arena, SOURCES, eventually};
use serde_json::Value;
use tokio::task::JoinSet;

use super::rules::{Policy, Usage};

/// A source as it was: its uid and its data; `None` while it was absent.
type Version = Option<(String, Value)>;

type Versions = BTreeMap<String, BTreeMap<u64, Version>>;

/// Watches all sources, from its start on.
pub struct History {
    seen: Arc<Mutex<Versions>>,
    _watches: JoinSet<()>,
}

impl History {
    pub fn start(arena: &Arena) -> Self {
        let seen: Arc<Mutex<Versions>> = Arc::default();
        let mut watches = JoinSet::new();
        for kind in SOURCES {
            let (api, seen) = (arena.api(kind), Arc::clone(&seen));
            watches.spawn(async move {
                let mut events = watcher(api, watcher::Config::default())
                    .default_backoff()
                    .boxed();
                while let Some(event) = events.next().await {
                    let (object, there) = match event {
                        Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object)) => {
                            (object, true)
                        }
                        Ok(watcher::Event::Delete(object)) => (object, false),
                        _ => continue,
                    };
                    let version = there.then(|| {
                        let data = object.data["data"].clone();
                        (object.uid().unwrap(), data)
                    });
                    let mut seen = seen.lock().unwrap();
                    let versions = seen.entry(named(kind, &object.name_any())).or_default();
                    versions.insert(resource_version(&object), version);
                }
            });
        }
        Self {
            seen,
            _watches: watches,
        }
    }

    /// Waits until the watches have shown what there is now.
    pub async fn catch_up(&self, arena: &Arena) {
        for kind in SOURCES {
            for object in arena.api(kind).list(&ListParams::default()).await.unwrap() {
                let (key, version) = (named(kind, &object.name_any()), resource_version(&object));
                eventually(&format!("the history has {key}"), async || {
                    let seen = self.seen.lock().unwrap();
                    let last = *seen.get(&key)?.last_key_value()?.0;
                    (last >= version).then_some(())
                })
                .await;
            }
        }
    }

    /// Returns what is wrong if pods that use a source like this were made at this resourceVersion and never since: the
    /// source is another one now than it was then.
    ///
    /// By the contract it is not wrong if a required source was absent then: the pods start with it when it comes.
    pub fn outdated(
        &self,
        source: (&str, &str),
        usage: &Usage,
        policy: Policy,
        made: u64,
    ) -> Option<String> {
        let seen = self.seen.lock().unwrap();
        let versions = seen.get(&named(source.0, source.1))?;
        let then = versions.range(..=made).next_back();
        let then = then.and_then(|(_, version)| version.as_ref());
        let (at, now) = versions.last_key_value()?;
        let now = now.as_ref();
        let waited = usage.required && then.is_none_or(|then| lacks(usage, &then.1));
        if waited || *at <= made || used(usage, policy, then) == used(usage, policy, now) {
            return None;
        }
        let lives: Vec<_> = versions
            .iter()
            .map(|(at, version)| (at, version.as_ref().map(|(uid, _)| uid)))
            .collect();
        Some(format!(
            "made at {made} with {then:?} of {source:?}, which is {now:?} since {at}; its lives: {lives:?}"
        ))
    }
}

fn lacks(usage: &Usage, data: &Value) -> bool {
    let mut parts = usage.parts.iter();
    parts.any(|(part, required)| *required && part.is_some_and(|key| data.get(key).is_none()))
}

/// What of a version counts.
fn used(usage: &Usage, policy: Policy, version: Option<&(String, Value)>) -> Option<Value> {
    let (uid, data) = version?;
    let parts = usage.parts.keys().map(|part| match part {
        None => data.clone(),
        Some(key) => data.get(key).cloned().unwrap_or_default(),
    });
    let uid = (!policy.content).then(|| Value::from(uid.as_str()));
    Some(parts.chain(uid).collect())
}

fn named(kind: &str, name: &str) -> String {
    format!("{kind} {name}")
}

fn resource_version(object: &DynamicObject) -> u64 {
    object.resource_version().unwrap().parse().unwrap()
}
