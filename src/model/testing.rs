//! What the tests of the core share: sources in a line, and a workload with the world around it.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::{
    ByteString,
    api::core::v1::{ConfigMap, Secret},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

use litemap::LiteMap;

use super::{
    decide::{
        Ages, Decision, Doubt, Known, Lookup, Pods, Restart, Subject, Undecided, decide, meanwhile,
    },
    digest::DigestKey,
    observed::{Before, Entry, Formers, Observed, Templates},
    policy::{Defaults, OnDelete, OnRecreate, Policy},
    source::{Need, References, SourceKind, SourceName, Usage},
    version::Version,
    workload::OlderPods,
};

/// The namespace of everything.
pub(crate) const NAMESPACE: &str = "n";
/// The uid of the workload in [`World`].
pub(crate) const WORKLOAD: &str = "workload-uid";
/// Its creation.
pub(crate) const CREATED: i64 = 1_700_000_000;

/// What a decision is, without what it carries: what the tables of tests expect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    NewerFormat,
    UnknownKey,
    Unreadable,
    Undecided(Doubt),
    Keep,
    Record,
    Wait,
    Restart,
}

impl Outcome {
    /// The decision's own word, as [`Decision::outcome`] checks.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::NewerFormat => "undecided_newer_format",
            Self::UnknownKey => "undecided_unknown_key",
            Self::Unreadable => "undecided_unreadable",
            Self::Undecided(Doubt::Unsynced) => "undecided_unsynced",
            Self::Undecided(Doubt::Behind) => "undecided_behind",
            Self::Undecided(Doubt::AskPods) => "undecided_ask_pods",
            Self::Undecided(Doubt::AskAges) => "undecided_ask_ages",
            Self::Keep => "keep",
            Self::Record => "record",
            Self::Wait => "wait",
            Self::Restart => "restart",
        }
    }
}

impl Decision {
    pub(crate) fn outcome(&self) -> Outcome {
        let outcome = match self {
            Self::Undecided(Undecided::NewerFormat) => Outcome::NewerFormat,
            Self::Undecided(Undecided::UnknownKey) => Outcome::UnknownKey,
            Self::Undecided(Undecided::Unreadable) => Outcome::Unreadable,
            Self::Undecided(Undecided::Doubt(doubt, _)) => Outcome::Undecided(*doubt),
            Self::Keep(_) => Outcome::Keep,
            Self::Record(_) => Outcome::Record,
            Self::Wait { .. } => Outcome::Wait,
            Self::Restart(_) => Outcome::Restart,
        };
        assert_eq!(outcome.as_str(), self.as_str());
        outcome
    }

    /// The sources that it is about because they are absent, or in doubt.
    pub(crate) fn missing(&self) -> &[SourceName] {
        match self {
            Self::Undecided(Undecided::Doubt(_, missing))
            | Self::Wait { missing, .. }
            | Self::Restart(Restart { missing, .. }) => missing,
            Self::Undecided(_) | Self::Keep(_) | Self::Record(_) => &[],
        }
    }
}

pub(crate) fn key() -> DigestKey {
    DigestKey::new(&[7; 32]).unwrap()
}

pub(crate) fn other_key() -> DigestKey {
    DigestKey::new(&[8; 32]).unwrap()
}

/// A version of a source: of `source` in [`NAMESPACE`], under [`key`].
pub(crate) fn version(source: &SourceName, uid: &str, rv: u64, data: &[(&str, &str)]) -> Version {
    version_under(&key(), source, uid, rv, data)
}

pub(crate) fn version_under(
    key: &DigestKey,
    source: &SourceName,
    uid: &str,
    rv: u64,
    data: &[(&str, &str)],
) -> Version {
    let metadata = ObjectMeta {
        name: Some(source.name.clone()),
        uid: Some(uid.to_owned()),
        resource_version: Some(rv.to_string()),
        ..ObjectMeta::default()
    };
    let objects = data;
    let data = data.iter().map(|(k, v)| ((*k).to_owned(), *v));
    match source.kind {
        SourceKind::SecretProviderClass => {
            let objects = objects.iter().copied();
            Version::of_objects(key, NAMESPACE, &source.name, &metadata, objects)
        }
        SourceKind::Secret => {
            let data = data.map(|(k, v)| (k, ByteString(v.as_bytes().to_vec())));
            let secret = Secret {
                metadata,
                data: Some(data.collect()),
                ..Secret::default()
            };
            Version::of_secret(key, NAMESPACE, &secret)
        }
        SourceKind::ConfigMap => {
            let map = ConfigMap {
                metadata,
                data: Some(data.map(|(k, v)| (k, v.to_owned())).collect()),
                ..ConfigMap::default()
            };
            Version::of_config_map(key, NAMESPACE, &map)
        }
    }
}

/// A usage of everything in a source.
pub(crate) fn whole(need: Need) -> Usage {
    Usage {
        need,
        whole: true,
        keys: LiteMap::new(),
        held: None,
        left_out: None,
        env: true,
        volume: false,
        mixed: false,
        if_matched: false,
    }
}

/// A usage of some keys, each as needed.
pub(crate) fn keyed(keys: &[(&str, Need)]) -> Usage {
    Usage {
        need: keys
            .iter()
            .map(|(_, need)| *need)
            .max()
            .unwrap_or(Need::Optional),
        whole: false,
        keys: keys.iter().map(|(k, n)| ((*k).to_owned(), *n)).collect(),
        held: None,
        left_out: None,
        env: true,
        volume: false,
        mixed: false,
        if_matched: false,
    }
}

/// What a source is at the moment.
#[derive(Clone, Debug)]
pub(crate) enum Live {
    Unsynced,
    Unseen,
    Absent { last: Option<Version>, since: u64 },
    Present(Version),
    Fresh(Version),
}

impl Live {
    pub(crate) fn lookup(&self) -> Lookup<'_> {
        match self {
            Self::Unsynced => Lookup::Unsynced,
            Self::Unseen => Lookup::Unseen,
            Self::Absent { last, since } => Lookup::Absent {
                last: last.as_ref(),
                since: *since,
            },
            Self::Present(version) => Lookup::Present {
                version,
                fresh: false,
            },
            Self::Fresh(version) => Lookup::Present {
                version,
                fresh: true,
            },
        }
    }
}

/// Never seen, as far as the watch knows.
pub(crate) const NEVER: Live = Live::Absent {
    last: None,
    since: 0,
};
/// The API server was asked just now: it is not there.
pub(crate) const GONE: Live = Live::Absent {
    last: None,
    since: u64::MAX,
};

/// One workload with all that is looked at.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) uses: References,
    pub(crate) live: BTreeMap<SourceName, Live>,
    pub(crate) policy: Policy,
    pub(crate) started: Option<bool>,
    pub(crate) restarted_for: String,
    pub(crate) generation: i64,
    /// What the template refers to, where that is not what is used.
    pub(crate) template: Option<References>,
    pub(crate) template_before: Option<References>,
    /// What counted of that, where that is not all of it.
    pub(crate) used_before: Option<References>,
    pub(crate) widened: Option<BTreeSet<SourceName>>,
    /// By default somebody looked, and no pod uses anything that the template gained.
    pub(crate) ages: Option<Ages>,
    pub(crate) older: OlderPods,
    pub(crate) formers_gone: bool,
    pub(crate) unseen: bool,
    /// Sources that took the place of an object that a machine had made.
    pub(crate) after_machines: BTreeSet<SourceName>,
    /// It is an aborted Argo Rollout.
    pub(crate) aborted: bool,
}

impl World {
    pub(crate) fn new() -> Self {
        let opt_in = LiteMap::from_iter([("reroll.dev/restart-on".to_owned(), "auto".to_owned())]);
        Self {
            uses: References::new(),
            live: BTreeMap::new(),
            policy: Policy::read(&opt_in, Defaults::default()).0,
            started: Some(true),
            restarted_for: "rf-0".to_owned(),
            generation: 1,
            template: None,
            template_before: None,
            used_before: None,
            widened: None,
            ages: Some(Ages::new()),
            older: OlderPods::Gone,
            formers_gone: false,
            unseen: false,
            after_machines: BTreeSet::new(),
            aborted: false,
        }
    }

    pub(crate) fn with(mut self, source: &SourceName, usage: Usage, live: Live) -> Self {
        self.uses.insert(source.clone(), usage);
        self.live.insert(source.clone(), live);
        self
    }

    pub(crate) fn set(&mut self, source: &SourceName, live: Live) {
        self.live.insert(source.clone(), live);
    }

    pub(crate) fn on_delete(mut self, on_delete: OnDelete) -> Self {
        self.policy.on_delete = on_delete;
        self
    }

    pub(crate) fn on_recreate(mut self, on_recreate: OnRecreate) -> Self {
        self.policy.on_recreate = on_recreate;
        self
    }

    pub(crate) fn subject(&self) -> Subject<'_> {
        Subject {
            uid: WORKLOAD,
            created: CREATED,
            generation: self.generation,
            restarted_for: Some(&self.restarted_for),
            uses: &self.uses,
            policy: &self.policy,
            templates: Templates {
                now: self.template.as_ref().unwrap_or(&self.uses),
                before: self.template_before.as_ref().map(|refers| Before {
                    refers,
                    uses: self.used_before.as_ref().unwrap_or(refers),
                }),
            },
            widened: self.widened.as_ref(),
            pods: Pods {
                started: self.started,
                ages: self.ages.as_ref(),
                older: self.older,
                formers_gone: self.formers_gone,
                unseen: self.unseen,
                outlive_marks: self.aborted,
                aborted: self.aborted,
            },
            sequence: 0,
            examined: true,
            stopped: self.policy.suspend.is_some(),
            after_machines: &self.after_machines,
        }
    }

    pub(crate) fn lookup(&self, source: &SourceName) -> Lookup<'_> {
        self.live
            .get(source)
            .map_or(NEVER_SEEN, |live| live.lookup())
    }

    pub(crate) fn decide(&self, known: Known) -> Decision {
        decide(
            &self.subject(),
            known,
            &|source: &SourceName| self.lookup(source),
            &key(),
        )
    }

    /// Returns what is observed once it is known that the restart which is due waits.
    pub(crate) fn meanwhile(&self, observed: Observed) -> Observed {
        let live = |source: &SourceName| self.lookup(source);
        let known = Known::Observed(&observed);
        meanwhile(&self.subject(), known, &live, &key()).unwrap_or(observed)
    }

    /// `observed` of this workload with these entries.
    pub(crate) fn observed(
        &self,
        entries: impl IntoIterator<Item = (SourceName, Entry)>,
    ) -> Observed {
        Observed {
            format: key().format(),
            key_id: key().id().to_owned(),
            workload_uid: WORKLOAD.to_owned(),
            created_at: None,
            sequence: 5,
            restarted_for: self.restarted_for.clone(),
            entries: entries.into_iter().collect(),
            fold: None,
            formers: Formers::none(),
            lists: self.subject().lists(),
        }
    }

    /// Takes over what a decision did, as the patch would: the template rolls where it restarts.
    pub(crate) fn carry_out(&mut self, decision: &Decision) -> Observed {
        let next = decision.next().cloned().unwrap();
        if self.restarted_for != next.restarted_for {
            self.generation += 1;
        }
        if decision.outcome() == Outcome::Restart {
            self.restarted_for.clone_from(&next.restarted_for);
        }
        next
    }
}

const NEVER_SEEN: Lookup<'static> = Lookup::Absent {
    last: None,
    since: 0,
};

/// Workloads as people write them: maps that are missing, null, empty or full, with keys that a JSON pointer escapes.
pub(crate) mod objects {
    use kube::core::DynamicObject;
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    use crate::model::annotation::{LAST_RESTART, OBSERVED, RESTARTED_FOR};

    fn others() -> impl Strategy<Value = Vec<(&'static str, &'static str)>> {
        let keys = vec![
            "a",
            "x/y",
            "x~y",
            "~1",
            "~0/~01",
            "reroll.dev/settle",
            "reroll.dev~1observed",
        ];
        proptest::collection::vec(
            (prop::sample::select(keys), "[a-z]{0,2}".prop_map(|_| "v")),
            0..4,
        )
    }

    /// `None`: the member is missing.
    fn annotations(own: &'static [&'static str]) -> impl Strategy<Value = Option<Value>> {
        let own =
            proptest::collection::vec((prop::sample::select(own.to_vec()), "[a-c]{1,2}"), 0..3);
        let map = (others(), own).prop_map(|(others, own)| {
            let mut map = Map::new();
            map.extend(others.into_iter().map(|(k, v)| (k.to_owned(), json!(v))));
            map.extend(own.into_iter().map(|(k, v)| (k.to_owned(), json!(v))));
            Some(Value::Object(map))
        });
        prop_oneof![1 => Just(None), 1 => Just(Some(Value::Null)), 4 => map]
    }

    fn with(mut map: Value, key: &str, value: Option<Value>) -> Value {
        if let (Some(map), Some(value)) = (map.as_object_mut(), value) {
            map.insert(key.to_owned(), value);
        }
        map
    }

    /// `metadata` of a pod template.
    fn template_metadata() -> impl Strategy<Value = Option<Value>> {
        let full = annotations(&[RESTARTED_FOR]).prop_map(|annotations| {
            Some(with(
                json!({"labels": {"app": "web"}}),
                "annotations",
                annotations,
            ))
        });
        let bare = annotations(&[RESTARTED_FOR]).prop_map(|annotations| {
            Some(with(
                json!({"creationTimestamp": null}),
                "annotations",
                annotations,
            ))
        });
        prop_oneof![1 => Just(None), 1 => Just(Some(Value::Null)), 1 => Just(Some(json!({}))), 3 => full, 3 => bare]
    }

    /// A Deployment.
    pub(crate) fn object() -> impl Strategy<Value = Value> {
        (annotations(&[OBSERVED, LAST_RESTART]), template_metadata(), 0..3usize).prop_map(
            |(annotations, template, secrets)| {
                let names = &["s", "t"][..secrets.min(2)];
                let volumes: Vec<_> = names
                    .iter()
                    .map(|name| json!({"name": name, "secret": {"secretName": name}}))
                    .collect();
                let mounts: Vec<_> = names
                    .iter()
                    .map(|name| json!({"name": name, "mountPath": format!("/{name}")}))
                    .collect();
                let spec = json!({"containers": [{"volumeMounts": mounts}], "volumes": volumes});
                let template = with(json!({"spec": spec}), "metadata", template);
                let metadata = json!({
                    "name": "web", "namespace": super::NAMESPACE, "uid": super::WORKLOAD,
                    "resourceVersion": "1", "generation": 3, "creationTimestamp": "2023-11-14T22:13:20Z",
                });
                json!({
                    "apiVersion": "apps/v1", "kind": "Deployment",
                    "metadata": with(metadata, "annotations", annotations),
                    "spec": {"replicas": 2, "template": template},
                    "status": {"unknown/field~": [null, 1]},
                })
            },
        )
    }

    pub(crate) fn read(object: &Value) -> DynamicObject {
        serde_json::from_value(object.clone()).unwrap()
    }

    /// The object without reroll's annotations, and without the difference between missing, null and empty maps of
    /// annotations and template metadata: what nobody but its owner may change.
    pub(crate) fn bare(object: &Value) -> Value {
        let mut object = object.clone();
        for (pointer, own) in [
            ("/metadata", [OBSERVED, LAST_RESTART].as_slice()),
            ("/spec/template/metadata", &[RESTARTED_FOR]),
        ] {
            let Some(metadata) = object.pointer_mut(pointer).and_then(Value::as_object_mut) else {
                continue;
            };
            if let Some(annotations) = metadata
                .get_mut("annotations")
                .and_then(Value::as_object_mut)
            {
                for key in own {
                    annotations.remove(*key);
                }
            }
            metadata.retain(|key, value| {
                key != "annotations" || value.as_object().is_some_and(|map| !map.is_empty())
            });
        }
        if let Some(template) = object
            .pointer_mut("/spec/template")
            .and_then(Value::as_object_mut)
        {
            template.retain(|key, value| {
                key != "metadata" || value.as_object().is_some_and(|map| !map.is_empty())
            });
        }
        object
    }
}
