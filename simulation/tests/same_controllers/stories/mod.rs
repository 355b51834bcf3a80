//! The stories. Each step is followed by a rest.

mod deletions;
mod deployments;
mod jobs;
mod sets;

use serde_json::{Value, json};

use crate::step::{Kind, Step};

/// A story about one workload, in a namespace of its own.
pub(crate) struct Story {
    pub(crate) name: String,
    pub(crate) steps: Vec<Step>,
    kind: Kind,
}

/// All stories.
pub(crate) fn all() -> Vec<Story> {
    let all = [
        deployments::all(),
        deletions::all(),
        sets::stateful(),
        sets::daemons(),
        jobs::all(),
    ];
    all.into_iter().flatten().collect()
}

/// What pods of a template wait for.
fn gate() -> Value {
    json!([{ "name": "example.com/never" }])
}

/// Returns a workload with this spec, but for what all have.
fn workload(name: &str, spec: &Value) -> Value {
    let container = json!({ "name": "app", "image": "app:1" });
    let mut object = json!({
        "metadata": { "name": name, "annotations": { "note": "one" } },
        "spec": {
            "selector": { "matchLabels": { "app": name } },
            "template": {
                "metadata": { "labels": { "app": name } },
                "spec": { "containers": [container], "terminationGracePeriodSeconds": 1 },
            },
        },
    });
    json_patch::merge(&mut object["spec"], spec);
    object
}

/// Returns a patch of the template's annotation.
fn template(value: &str) -> Value {
    json!({ "spec": { "template": { "metadata": { "annotations": { "v": value } } } } })
}

impl Story {
    /// Begins a story. The workload has the name of its kind.
    fn of(kind: Kind, name: &str) -> Self {
        Self {
            name: format!("story-{name}"),
            steps: Vec::new(),
            kind,
        }
    }

    fn workload(&self) -> &'static str {
        match self.kind {
            Kind::Deployment => "d",
            Kind::StatefulSet => "s",
            Kind::DaemonSet => "a",
            Kind::CronJob => "c",
            _ => "j",
        }
    }

    /// Something is done, and the next thing at once.
    fn quickly(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// Something is done, and it comes to rest.
    fn then(mut self, step: Step) -> Self {
        let rest = format!("after step {}: {step:?}", self.steps.len());
        self.steps.push(step);
        self.steps.push(Step::Rest(rest));
        self
    }

    fn path(&self) -> String {
        format!("{}/{}", self.kind.path(), self.workload())
    }

    fn patch(&self, patch: Value) -> Step {
        Step::Ask("PATCH", self.path(), patch)
    }

    /// It is made.
    fn make(self, spec: &Value) -> Self {
        let object = workload(self.workload(), spec);
        let step = Step::Ask("POST", self.kind.path().to_owned(), object);
        self.then(step)
    }

    /// Something of it is changed.
    fn change(self, change: Value) -> Self {
        let step = self.patch(change);
        self.then(step)
    }

    /// The same, without a rest.
    fn change_quickly(self, change: Value) -> Self {
        let step = self.patch(change);
        self.quickly(step)
    }

    /// Its template becomes this.
    fn roll(self, value: &str) -> Self {
        self.change(template(value))
    }

    /// Pods of its template are never ready from now on, or are again.
    fn hang(self, hangs: bool) -> Self {
        let gates = if hangs { gate() } else { Value::Null };
        self.change(json!({ "spec": { "template": { "spec": { "schedulingGates": gates } } } }))
    }

    fn scale(self, replicas: u32) -> Self {
        self.change(json!({ "spec": { "replicas": replicas } }))
    }

    fn annotate(self, value: &str) -> Self {
        self.change(json!({ "metadata": { "annotations": { "note": value } } }))
    }

    fn pause(self, paused: bool) -> Self {
        self.change(json!({ "spec": { "paused": paused } }))
    }

    fn undo(self, to: Option<i64>) -> Self {
        let step = Step::Undo(self.kind, self.workload(), to);
        self.then(step)
    }

    fn delete_pods(self, count: usize) -> Self {
        let step = Step::DeletePods(self.workload(), count);
        self.then(step)
    }

    fn delete(self, policy: &str) -> Self {
        let options =
            json!({ "kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": policy });
        let step = Step::Ask("DELETE", self.path(), options);
        self.then(step)
    }
}
