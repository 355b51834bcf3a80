//! The API server and the Deployment controller, as far as they matter here. Revisions count for each object by itself.

use serde_json::{Value, json};

use crate::{
    intern::Json,
    world::{Live, News, Pod, SOURCES, Set, Source, State, Template, seconds},
};

pub(crate) const NAMESPACE: &str = "shop";
pub(crate) const NAME: &str = "web";
pub(crate) const MARK: &str = "reroll.dev/restarted-for";
pub(crate) const OBSERVED: &str = "reroll.dev/observed";
pub(crate) const RESTART_ON: &str = "reroll.dev/restart-on";

fn time(at: i64) -> String {
    jiff::Timestamp::from_second(at).unwrap().to_string()
}

/// Returns a source as the API server has it.
pub(crate) fn object_of(source: Source, live: Live) -> Option<Value> {
    let data = live.data?;
    let (kind, name, value) = match source {
        Source::A => ("Secret", "a", ["WA==", "WQ=="]),
        Source::B => ("ConfigMap", "b", ["X", "Y"]),
    };
    let written = time(seconds(live.written));
    Some(json!({
        "apiVersion": "v1", "kind": kind,
        "metadata": {
            "name": name, "namespace": NAMESPACE, "uid": format!("{name}-{}", data.uid),
            "resourceVersion": live.revision.to_string(),
            "creationTimestamp": time(seconds(0) - 1000),
            "managedFields": [{ "manager": "kubectl", "time": written, "fieldsV1": { "f:data": {} } }],
        },
        "data": { "k": value[usize::from(data.value)] },
    }))
}

/// Returns the containers of a template.
pub(crate) fn containers(uses: Template) -> Value {
    let env = |source: &Source| match source {
        Source::A => {
            json!({ "name": "A", "valueFrom": { "secretKeyRef": { "name": "a", "key": "k" } } })
        }
        Source::B => {
            json!({ "name": "B", "valueFrom": { "configMapKeyRef": { "name": "b", "key": "k" } } })
        }
    };
    let env: Vec<_> = SOURCES
        .iter()
        .filter(|one| uses.uses(**one))
        .map(env)
        .collect();
    json!([{ "name": "main", "image": "main", "env": env }])
}

/// Returns the manifest of the workload as it is in git.
pub(crate) fn manifest(uses: Template, opt_in: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {
            "name": NAME, "namespace": NAMESPACE, "annotations": { RESTART_ON: opt_in },
        },
        "spec": {
            "replicas": 1, "selector": { "matchLabels": { "app": NAME } },
            "template": {
                "metadata": { "labels": { "app": NAME } },
                "spec": { "containers": containers(uses) },
            },
        },
    })
}

pub(crate) fn uses_of(object: &Value) -> Template {
    let template = object.pointer("/spec/template/spec/containers");
    match template {
        Some(these) if *these == containers(Template::Both) => Template::Both,
        _ => Template::One,
    }
}

pub(crate) fn annotation<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object["metadata"]["annotations"].get(key)?.as_str()
}

pub(crate) fn mark_of(template: &Value) -> &str {
    let mark = template["metadata"]["annotations"].get(MARK);
    mark.and_then(Value::as_str).unwrap_or_default()
}

impl State {
    /// Stores what a write made of the workload, and tells the watches. Nothing is stored where nothing is other.
    pub(crate) fn store(&mut self, mut object: Value) {
        let old = self.workload.map(Json::value);
        let number = |value: &Value| value.as_str().and_then(|text| text.parse::<u64>().ok());
        let (mut revision, mut generation) = (1, 1);
        if let Some(old) = &old {
            if **old == object {
                return;
            }
            revision = number(&old["metadata"]["resourceVersion"]).unwrap() + 1;
            generation = old["metadata"]["generation"].as_u64().unwrap();
            if old["spec"] != object["spec"] {
                generation += 1;
            }
            self.leave_set(old, &object);
        } else {
            object["metadata"]["uid"] = json!(format!("web-{}", self.time));
            object["metadata"]["creationTimestamp"] = json!(time(seconds(self.time)));
        }
        object["metadata"]["resourceVersion"] = json!(revision.to_string());
        object["metadata"]["generation"] = json!(generation);
        if self.seen_at_once && object["status"]["observedGeneration"] != json!(generation) {
            self.scale_up(&object);
            object["status"] = self.status_of(&json!(generation));
        }
        let stored = Json::of(&object);
        self.workload = Some(stored);
        self.tell(News::Workload(stored));
    }

    /// The set of a template that is left keeps the annotations of then.
    fn leave_set(&mut self, old: &Value, new: &Value) {
        let templates = [old, new].map(|object| Json::of(&object["spec"]["template"]));
        if templates[0] == templates[1] {
            return;
        }
        for set in &mut self.sets {
            if set.template == templates[0] {
                set.copied = Some(Json::of(&old["metadata"]["annotations"]));
            }
            if set.template == templates[1] {
                set.copied = None;
            }
        }
    }

    /// Whether the controller of the workload has something to see.
    pub(crate) fn is_unseen(&self) -> bool {
        self.workload.is_some_and(|object| {
            let object = object.value();
            object["status"]["observedGeneration"] != object["metadata"]["generation"]
        })
    }

    /// The controller sees the workload: the set of its template is scaled up.
    pub(crate) fn see(&mut self) {
        let Some(object) = self.workload.map(Json::value) else {
            return;
        };
        self.scale_up(&object);
        self.status(true);
    }

    fn scale_up(&mut self, object: &Value) {
        let template = Json::of(&object["spec"]["template"]);
        let known = self.sets.iter().position(|set| set.template == template);
        let mut set = match known {
            Some(at) => self.sets.remove(at),
            None => Set {
                uses: uses_of(object),
                template,
                copied: None,
                wanted: true,
                pod: None,
            },
        };
        set.wanted = true;
        self.sets.push(set);
    }

    /// Whether a pod of this set could be made now, and start.
    pub(crate) fn can_start(&self, at: usize) -> bool {
        let set = &self.sets[at];
        let there = |source: &Source| !set.uses.uses(*source) || self.live(*source).is_some();
        set.wanted && set.pod.is_none() && SOURCES.iter().all(there)
    }

    /// A pod of this set starts, with what there is now.
    pub(crate) fn start(&mut self, at: usize) {
        let uses = self.sets[at].uses;
        let has = SOURCES.map(|source| self.live(source).filter(|_| uses.uses(source)));
        self.sets[at].pod = Some(Pod {
            made: self.time,
            has,
            excused: [false; 2],
        });
        self.status(false);
    }

    /// Whether this set is to be scaled down: it is an older one, and the newest has its pod.
    pub(crate) fn can_retire(&self, at: usize) -> bool {
        let Some(newest) = self.sets.last() else {
            return false;
        };
        let older = at + 1 < self.sets.len() && self.sets[at].wanted;
        older && newest.pod.is_some() && !self.is_unseen()
    }

    pub(crate) fn retire(&mut self, at: usize) {
        self.sets[at].wanted = false;
        self.sets[at].pod = None;
        self.status(false);
    }

    /// Writes the workload's status. `seen`: its generation as it is now was seen.
    fn status(&mut self, seen: bool) {
        let Some(object) = self.workload.map(Json::value) else {
            return;
        };
        let mut object = (*object).clone();
        let generation = if seen {
            object["metadata"]["generation"].clone()
        } else {
            object["status"]["observedGeneration"].clone()
        };
        object["status"] = self.status_of(&generation);
        self.store(object);
    }

    fn status_of(&self, generation: &Value) -> Value {
        let all = self.sets.iter().filter(|set| set.pod.is_some()).count();
        let updated = self.sets.last().is_some_and(|set| set.pod.is_some());
        json!({
            "observedGeneration": generation, "replicas": all, "updatedReplicas": u8::from(updated),
        })
    }
}
