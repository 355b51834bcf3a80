//! What Kubernetes shows of pods that cannot live with a new value, and of their Deployment.
//!
//! `bad_values.json` has it for each way in which containers fail, in the order in which it comes, as statuses of Pods and
//! Deployments without what differs from run to run. Whoever judges rollouts is tested with that file; the tests here check
//! that a real kubelet shows this, and nothing of another kind. What comes and goes too fast to be seen each time is
//! `sometimes` there; of those that have the same text as `one of`, at least one is shown. A busy machine shows more of what
//! is between two of them, and other warnings.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::StreamExt;
use kube::{
    Api, ResourceExt,
    api::DynamicObject,
    runtime::{WatchStreamExt, watcher},
};
use regex::Regex;
use reroll_harness::{Arena, PATIENCE, running};
use serde_json::{Map, Value, json};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::{
    reads::{KEY, RUN, container, variable},
    stage::{AUTO, arena},
};

const TABLE: &str = include_str!("bad_values.json");
const WEB: &str = "web";
/// The most restarts of a container up to which the table goes. After that all repeats itself, more slowly.
const RESTARTS: u64 = 2;

/// How containers fail.
#[derive(Clone, Copy, PartialEq)]
enum Bad {
    /// They end, this many seconds after their start.
    Ends(u32),
    /// They run and never get ready.
    Hangs,
    /// They run and do not answer the liveness probe.
    HangsAndIsKilled,
    /// They need a key that is not there.
    LacksKey,
    /// A file of their volume is not there.
    CannotMount,
}

impl Bad {
    /// The pod, which is well with the value `good`.
    fn pod(self) -> Value {
        let fails = match self {
            Self::Ends(seconds) => format!("{{ sleep {seconds}; exit 3; }}"),
            _ => "true".to_owned(),
        };
        let script = format!("[ $V = good ] && touch /tmp/well || {fails}\n{RUN}");
        let mut main = container(&script);
        let mut volumes = json!([]);
        let probe =
            json!({ "exec": { "command": ["test", "-e", "/tmp/well"] }, "periodSeconds": 2 });
        match self {
            Self::Ends(_) | Self::LacksKey => {}
            Self::Hangs => main["readinessProbe"] = probe,
            Self::HangsAndIsKilled => main["livenessProbe"] = probe,
            Self::CannotMount => {
                volumes = json!([{ "name": "file", "secret": {
                    "secretName": "db", "items": [{ "key": KEY, "path": KEY }],
                } }]);
                main["volumeMounts"] = json!([{ "name": "file", "mountPath": "/file" }]);
            }
        }
        if self != Self::CannotMount {
            main["env"] = variable("Secret", "db");
        }
        json!({ "hostNetwork": true, "automountServiceAccountToken": false, "containers": [main], "volumes": volumes })
    }

    /// Whether no pod becomes available. What ends counts as available as long as it runs.
    fn is_stuck(self) -> bool {
        matches!(self, Self::Hangs | Self::LacksKey | Self::CannotMount)
    }

    /// Makes the value a bad one, and rolls the pods.
    async fn happen(self, arena: &Arena) {
        match self {
            Self::LacksKey | Self::CannotMount => {
                // reroll restarts nothing into the absence of what it needs. A person may.
                arena.unset("Secret", "db", KEY).await;
                let workload = format!("deployment/{WEB}");
                arena.kubectl(&["rollout", "restart", &workload]).await.ok();
            }
            _ => arena.set("Secret", "db", KEY, "bad").await,
        }
    }
}

#[tokio::test]
async fn containers_that_end_at_once() {
    shows("ends at once", Bad::Ends(0)).await;
}

#[tokio::test]
async fn containers_that_end_after_20_seconds() {
    shows("ends after 20 s", Bad::Ends(20)).await;
}

#[tokio::test]
async fn containers_that_never_get_ready() {
    shows("hangs", Bad::Hangs).await;
}

#[tokio::test]
async fn containers_that_their_probe_kills() {
    shows("hangs and is killed", Bad::HangsAndIsKilled).await;
}

#[tokio::test]
async fn containers_that_lack_a_key() {
    shows("lacks a key", Bad::LacksKey).await;
}

#[tokio::test]
async fn containers_whose_volume_cannot_be_mounted() {
    shows("cannot mount", Bad::CannotMount).await;
}

async fn shows(name: &str, bad: Bad) {
    let table: Value = serde_json::from_str(TABLE).unwrap();
    let arena = arena(&format!("bad-{}", name.replace(' ', "-"))).await;
    let _reroll = arena.reroll().start().await;
    arena.secret("db", &[(KEY, "good")]).await;
    let mut manifest = running("Deployment", WEB, &AUTO, bad.pod());
    manifest["spec"]["replicas"] = json!(1);
    if bad.is_stuck() {
        manifest["spec"]["progressDeadlineSeconds"] = json!(15);
    }
    arena.create(&manifest).await;
    arena.complete("Deployment", WEB).await;
    arena.adopted("Deployment", WEB).await;
    let shown = Shown::watch(&arena).await;
    bad.happen(&arena).await;
    shown.expect(name, &table[name]).await;
    // The right value ends it, also where reroll has to replace what is stuck.
    if !matches!(bad, Bad::CannotMount) {
        arena.set("Secret", "db", KEY, "good").await;
        arena.complete("Deployment", WEB).await;
    }
}

/// What was shown since the value became a bad one, each once, in the order in which it was first shown.
struct Shown {
    all: Arc<Mutex<[Vec<Value>; 3]>>,
    _watches: JoinSet<()>,
}

/// What is shown, by the names in the table.
const PARTS: [&str; 3] = ["pods", "deployment", "events"];

impl Shown {
    /// Watches from now on. Pods that are there are not looked at.
    async fn watch(arena: &Arena) -> Self {
        let all: Arc<Mutex<[Vec<Value>; 3]>> = Arc::default();
        let old = arena.pod_uids(WEB).await;
        let mut watches = JoinSet::new();
        let namespace = arena.namespace.clone();
        for (part, kind) in ["Pod", "Deployment", "Event"].into_iter().enumerate() {
            let api: Api<DynamicObject> = arena.api(kind);
            let (all, old, namespace) = (Arc::clone(&all), old.clone(), namespace.clone());
            watches.spawn(async move {
                let mut objects = watcher(api, watcher::Config::default())
                    .default_backoff()
                    .applied_objects()
                    .boxed();
                while let Some(object) = objects.next().await {
                    let shown = object.ok().and_then(|object| look(&object, &old));
                    let Some(shown) = shown else { continue };
                    let shown = without_names(&shown, &namespace);
                    let part = &mut all.lock().unwrap()[part];
                    if !part.contains(&shown) {
                        part.push(shown);
                    }
                }
            });
        }
        Self {
            all,
            _watches: watches,
        }
    }

    /// Waits until all has been shown that this row has. Checks that nothing else was.
    async fn expect(&self, name: &str, row: &Value) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let shown = self.all.lock().unwrap().clone();
            let differs = PARTS
                .iter()
                .zip(&shown)
                .filter_map(|(part, shown)| differs(part, &row[part], shown))
                .collect::<Vec<_>>();
            if differs.is_empty() {
                return;
            }
            if Instant::now() > deadline || differs.iter().any(|differs| differs.surely) {
                let shown: Map<_, _> = PARTS
                    .iter()
                    .zip(shown)
                    .map(|(part, shown)| ((*part).to_owned(), json!(shown)))
                    .collect();
                panic!("{name}: {differs:#?}\nshown: {:#}", json!(shown));
            }
            sleep(Duration::from_millis(100)).await;
        }
    }
}

/// How what was shown is not what the table has.
#[derive(Debug)]
struct Differs {
    /// Waiting cannot help.
    surely: bool,
    #[expect(dead_code, reason = "it is printed")]
    what: String,
}

fn differs(part: &str, table: &Value, shown: &[Value]) -> Option<Differs> {
    let differs = |surely, what| Some(Differs { surely, what });
    let Some(table) = table.as_array() else {
        return differs(false, "the table has nothing of it".to_owned());
    };
    let known: BTreeSet<_> = table
        .iter()
        .flat_map(|entry| kinds(part, &entry["shown"]))
        .collect();
    let is_other = |shown: &&Value| !kinds(part, shown).is_subset(&known);
    if let Some(other) = shown.iter().find(is_other) {
        return differs(true, format!("not in the table: {other}"));
    }
    let is_shown = |entry: &Value| shown.contains(&entry["shown"]);
    let missing = table.iter().find(|entry| {
        let of = |other: &&Value| other["one of"] == entry["one of"];
        let instead = entry.get("one of").is_some() && table.iter().filter(of).any(is_shown);
        entry["sometimes"] != true && !instead && !is_shown(entry)
    })?;
    differs(false, format!("not shown: {missing}"))
}

/// Returns of what kinds that is which is shown: of a pod its phase with the states of its containers and what ended
/// before, of a Deployment each condition. Of warnings there may be any.
fn kinds(part: &str, shown: &Value) -> BTreeSet<String> {
    let conditions = shown["conditions"].as_array().into_iter().flatten();
    match part {
        "deployment" => conditions.map(ToString::to_string).collect(),
        "pods" => {
            let containers = shown["containerStatuses"].as_array().into_iter().flatten();
            let of = |container: &Value| {
                json!([state(container, "state"), state(container, "lastState")])
            };
            let states: Vec<_> = containers.map(of).collect();
            BTreeSet::from([json!([shown["phase"], states]).to_string()])
        }
        _ => BTreeSet::new(),
    }
}

/// Returns which state of a container that is, and why.
fn state(container: &Value, field: &str) -> Vec<[String; 2]> {
    let states = container[field].as_object().into_iter().flatten();
    let of = |(name, state): (&String, &Value)| [name.clone(), state["reason"].to_string()];
    states.map(of).collect()
}

/// Returns what an object shows, without what differs from run to run.
fn look(object: &DynamicObject, old: &BTreeSet<String>) -> Option<Value> {
    match object.types.as_ref()?.kind.as_str() {
        "Pod" => pod_look(object, old),
        "Deployment" if object.name_any() == WEB => Some(json!({
            "conditions": conditions(&object.data["status"], &["Available", "Progressing"]),
        })),
        "Event" => event_look(object, old),
        _ => None,
    }
}

fn pod_look(object: &DynamicObject, old: &BTreeSet<String>) -> Option<Value> {
    let own = object.labels().get("app").is_some_and(|app| app == WEB);
    let goes = object.metadata.deletion_timestamp.is_some();
    if !own || goes || old.contains(&object.uid()?) {
        return None;
    }
    let status = &object.data["status"];
    let mut shown = json!({
        "phase": status["phase"],
        "conditions": conditions(status, &["Ready"]),
    });
    if let Some(containers) = status["containerStatuses"].as_array() {
        let restarts = |container: &Value| container["restartCount"].as_u64();
        if containers
            .iter()
            .filter_map(restarts)
            .any(|count| count > RESTARTS)
        {
            return None;
        }
        shown["containerStatuses"] = containers.iter().map(container_look).collect();
    }
    Some(shown)
}

fn container_look(status: &Value) -> Value {
    let mut shown = json!({});
    for field in ["name", "ready", "started", "restartCount"] {
        shown[field] = status[field].clone();
    }
    for field in ["state", "lastState"] {
        let mut state = status[field].clone();
        for (_, of) in state.as_object_mut().into_iter().flatten() {
            for varying in ["startedAt", "finishedAt", "containerID"] {
                of.as_object_mut().unwrap().remove(varying);
            }
        }
        shown[field] = state;
    }
    shown
}

fn conditions(status: &Value, types: &[&str]) -> Value {
    let of = |kind: &&str| {
        let mut all = status["conditions"].as_array()?.iter();
        let found = all.find(|condition| condition["type"] == **kind)?;
        let mut shown = json!({});
        for field in ["type", "status", "reason"] {
            if let Some(value) = found.get(field) {
                shown[field] = value.clone();
            }
        }
        Some(shown)
    };
    types.iter().filter_map(of).collect()
}

/// Warnings of the kubelet on new pods.
fn event_look(object: &DynamicObject, old: &BTreeSet<String>) -> Option<Value> {
    let about = &object.data["involvedObject"];
    let new = about["kind"] == "Pod" && !old.contains(about["uid"].as_str()?);
    let warns = object.data["type"] == "Warning" && object.data["reportingComponent"] == "kubelet";
    (new && warns)
        .then(|| json!({ "reason": object.data["reason"], "message": object.data["message"] }))
}

/// The same without the names of this run.
fn without_names(shown: &Value, namespace: &str) -> Value {
    let named = [
        (namespace.to_owned(), "NAMESPACE"),
        (format!(r"{WEB}-[0-9a-f]+-[0-9a-z]{{5}}"), "POD"),
        (
            r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}".to_owned(),
            "UID",
        ),
    ];
    let mut text = shown.to_string();
    for (pattern, name) in named {
        let pattern = Regex::new(&pattern).unwrap();
        text = pattern.replace_all(&text, name).into_owned();
    }
    serde_json::from_str(&text).unwrap()
}
