//! Draws requests from a seed.

use fastrand::Rng;
use serde_json::{Value, json};

use crate::{
    manifests::{Kind, kinds},
    side::Step,
};

/// Where requests come from.
pub(crate) struct Draw {
    rng: Rng,
    kinds: [Kind; 9],
}

impl Draw {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            rng: Rng::with_seed(seed),
            kinds: kinds(),
        }
    }

    fn one_of<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.rng.usize(..all.len())].clone()
    }

    /// Returns the next requests, mostly one.
    pub(crate) fn next(&mut self) -> Vec<Step> {
        let at = self.rng.usize(..self.kinds.len());
        let namespace = self.one_of(&["same", "same", "same", "same-too"]);
        let collection = format!(
            "{}/namespaces/{namespace}/{}",
            self.kinds[at].base, self.kinds[at].plural
        );
        let name = self.one_of(&["a", "b", "c", "a-b"]);
        let value = self.one_of(&["1", "2", "3"]);
        let object = (self.kinds[at].make)(name, value);
        let status = self.kinds[at].status.clone();
        let one = format!("{collection}/{name}");
        let mut steps = match self.rng.u8(..100) {
            0..22 => vec![self.create(&collection, object)],
            22..38 => vec![self.put(&one, &object)],
            38..52 => vec![self.json_patch(&one)],
            52..64 => vec![self.merge_patch(&one)],
            64..70 if !status.is_null() => vec![self.write_status(&one, &status)],
            64..82 => vec![self.delete(&one)],
            82..84 => vec![self.delete_some(&collection)],
            84..89 => vec![self.read(&one)],
            _ => self.list(at, &collection),
        };
        for step in &mut steps {
            let query = self.one_of(&[
                "",
                "",
                "",
                "fieldManager=one",
                "fieldManager=two",
                "dryRun=All",
            ]);
            if step.method != "GET"
                && !query.is_empty()
                && !(query == "dryRun=All" && self.rng.bool())
            {
                let sign = if step.path.contains('?') { '&' } else { '?' };
                step.path = format!("{}{sign}{query}", step.path);
            }
            step.agent = self.one_of(&["", "agent/1.0", "two"]);
        }
        steps
    }

    fn create(&mut self, path: &str, mut object: Value) -> Step {
        let owner = json!([{ "apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": "6d2d068a-6874-459a-96fa-2b28d1722d85" }]);
        let changes = [
            json!({}),
            json!({}),
            json!({}),
            json!({}),
            json!({ "metadata": { "finalizers": ["example.com/f"] } }),
            json!({ "metadata": { "ownerReferences": owner } }),
            json!({ "metadata": { "annotations": {}, "labels": { "skip": "yes" } } }),
            json!({ "metadata": { "annotations": { "example.com/a": "1" } } }),
            json!({ "metadata": { "name": "Not_A_Name" } }),
            json!({ "metadata": { "name": "" } }),
            json!({ "metadata": { "namespace": "other" } }),
            json!({ "metadata": { "uid": "x", "creationTimestamp": null, "generation": 7, "deletionTimestamp": null } }),
            json!({ "metadata": { "labels": null } }),
            json!({ "immutable": true, "metadata": { "annotations": { "a/b": "" } } }),
            json!({ "kind": "Nonsense" }),
            json!({ "spec": { "selector": { "matchLabels": { "app": "y" } } } }),
            json!({ "spec": { "template": { "spec": { "containers": [] } } } }),
            json!({ "spec": { "replicas": 0, "minReadySeconds": 3, "paused": true } }),
            json!({ "spec": { "updateStrategy": { "type": "OnDelete" }, "strategy": { "type": "Recreate" } } }),
            json!({ "data": { "bad key!": "eA==" } }),
            json!({ "status": { "replicas": 5 } }),
        ];
        let change = self.one_of(&changes);
        json_patch::merge(&mut object, &change);
        Step::post(path, object)
    }

    fn put(&mut self, path: &str, object: &Value) -> Step {
        let changes = [
            object.clone(),
            json!({}),
            json!({ "metadata": { "resourceVersion": "@old" } }),
            json!({ "metadata": { "resourceVersion": null, "annotations": { "n": "1" } } }),
            json!({ "metadata": { "uid": "6d2d068a-6874-459a-96fa-2b28d1722d85" } }),
            json!({ "metadata": { "managedFields": null, "labels": { "v": "2" } } }),
            json!({ "metadata": { "finalizers": null } }),
            json!({ "metadata": { "finalizers": ["example.com/f", "example.com/g"] } }),
            json!({ "metadata": { "name": "another" } }),
            json!({ "metadata": { "annotations": { "n": null, "m": "2" } }, "status": { "replicas": 9 } }),
            json!({ "data": { "k": "Mg==", "new": "Mg==" } }),
            json!({ "data": { "k": null } }),
            json!({ "spec": { "template": { "metadata": { "annotations": { "value": "put" } } } } }),
            json!({ "spec": { "replicas": 2 } }),
            json!({ "spec": { "holderIdentity": "another", "leaseTransitions": 3 } }),
            json!({ "spec": { "holderIdentity": "", "renewTime": null } }),
        ];
        let body = self.one_of(&changes);
        Step {
            on_last: body != *object,
            ..Step::new("PUT", path, body)
        }
    }

    fn json_patch(&mut self, path: &str) -> Step {
        let op =
            |op: &str, path: &str, value: Value| json!({ "op": op, "path": path, "value": value });
        let version = |value: &str| op("test", "/metadata/resourceVersion", json!(value));
        let patches = [
            json!([op("add", "/metadata/annotations/n", json!("json"))]),
            json!([op("add", "/metadata/annotations", json!({ "n": "all" }))]),
            json!([
                op("test", "/metadata/annotations/n", json!("all")),
                op("replace", "/metadata/annotations/n", json!("tested"))
            ]),
            json!([version("@rv"), op("add", "/metadata/labels/v", json!("2"))]),
            json!([version("@old"), op("add", "/metadata/labels/v", json!("1"))]),
            json!([
                op("test", "/metadata/uid", json!("@uid")),
                op("add", "/data/k", json!("anNvbg=="))
            ]),
            json!([op("remove", "/metadata/annotations/n", Value::Null)]),
            json!([op("remove", "/metadata/finalizers", Value::Null)]),
            json!([op("add", "/metadata/finalizers", json!(["example.com/f"]))]),
            json!([op(
                "add",
                "/spec/template/metadata/annotations/value",
                json!("json")
            )]),
            json!([
                op("replace", "/metadata/resourceVersion", json!("@old")),
                op("add", "/metadata/labels/v", json!("3"))
            ]),
            json!([op(
                "replace",
                "/metadata/creationTimestamp",
                json!("2020-01-01T00:00:00Z")
            )]),
            json!([op("replace", "/metadata/generation", json!(99))]),
            json!([op(
                "replace",
                "/metadata/uid",
                json!("6d2d068a-6874-459a-96fa-2b28d1722d85")
            )]),
            json!([op("replace", "/metadata/name", json!("another"))]),
            json!([
                op("test", "/nowhere", Value::Null),
                op("replace", "/metadata/labels/new", json!("n"))
            ]),
            json!([op("replace", "/metadata/annotations/n", json!("replaced"))]),
            json!([op("test", "/nowhere/at/all", Value::Null)]),
            json!([op("remove", "/spec/selector", Value::Null)]),
            json!([op("replace", "/nowhere", json!(1))]),
            json!([op("add", "/spec/progressDeadlineSeconds", json!(5))]),
            json!([op("replace", "/type", json!("other"))]),
            json!([]),
            json!([op("remove", "/data", Value::Null)]),
            json!([op("add", "/metadata/annotations/n", json!(5))]),
        ];
        let chosen = self.one_of(&patches);
        Step::new("PATCH", path, chosen)
    }

    fn merge_patch(&mut self, path: &str) -> Step {
        let patches = [
            json!({ "metadata": { "annotations": { "n": "merge" } } }),
            json!({ "metadata": { "annotations": null } }),
            json!({ "metadata": { "annotations": { "n": null } } }),
            json!({ "metadata": { "labels": { "v": "1", "skip": null } } }),
            json!({ "metadata": { "labels": { "skip": "yes" } } }),
            json!({ "metadata": { "labels": { "v": "9" } } }),
            json!({ "metadata": { "finalizers": [] } }),
            json!({ "metadata": { "resourceVersion": "@old", "labels": { "v": "2" } } }),
            json!({ "metadata": { "resourceVersion": "@rv", "labels": { "v": "2" } } }),
            json!({ "metadata": { "ownerReferences": null } }),
            json!({ "data": { "k": "bWVyZ2U=", "same": null } }),
            json!({ "stringData": { "k": "merge" } }),
            json!({ "data": null }),
            json!({ "immutable": true }),
            json!({ "spec": { "replicas": 3 } }),
            json!({ "spec": { "template": { "metadata": { "annotations": { "value": null } } } } }),
            json!({ "spec": { "template": { "spec": { "nodeSelector": { "a": "b" } } } } }),
            json!({ "spec": { "paused": true, "suspend": true } }),
            json!({ "spec": { "strategy": null, "updateStrategy": null } }),
            json!({ "spec": { "revisionHistoryLimit": null } }),
            json!({ "status": { "replicas": 7 } }),
            json!({}),
        ];
        let chosen = self.one_of(&patches);
        Step::new("PATCH", path, chosen)
    }

    fn write_status(&mut self, path: &str, status: &Value) -> Step {
        let path = format!("{path}/status");
        let mut more = json!({ "status": status });
        let change = self.one_of(&[
            json!({}),
            json!({ "metadata": { "annotations": { "by": "status" } } }),
            json!({ "metadata": { "labels": { "v": "2" } } }),
            json!({ "spec": { "replicas": 9, "suspend": true } }),
            json!({ "metadata": { "resourceVersion": "@old" } }),
            json!({ "metadata": { "finalizers": ["example.com/f"] } }),
        ]);
        json_patch::merge(&mut more, &change);
        if self.rng.bool() {
            Step::new("PATCH", &path, more)
        } else {
            Step {
                on_last: true,
                ..Step::new("PUT", &path, more)
            }
        }
    }

    fn delete(&mut self, path: &str) -> Step {
        let options = self.one_of(&[
            Value::Null,
            Value::Null,
            json!({}),
            json!({ "propagationPolicy": "Orphan" }),
            json!({ "propagationPolicy": "Foreground" }),
            json!({ "propagationPolicy": "Background" }),
            json!({ "preconditions": { "uid": "@uid" } }),
            json!({ "preconditions": { "uid": "6d2d068a-6874-459a-96fa-2b28d1722d85" } }),
            json!({ "preconditions": { "resourceVersion": "@rv" } }),
            json!({ "preconditions": { "resourceVersion": "@old" } }),
            json!({ "dryRun": ["All"] }),
            json!({ "gracePeriodSeconds": 0 }),
            json!({ "propagationPolicy": "Nonsense" }),
        ]);
        Step::new("DELETE", path, options)
    }

    fn delete_some(&mut self, collection: &str) -> Step {
        let selector = self.one_of(&["v%3D3", "v%20in%20(1)", "v"]);
        let options = self.one_of(&[Value::Null, json!({ "propagationPolicy": "Orphan" })]);
        Step::new(
            "DELETE",
            &format!("{collection}?labelSelector={selector}"),
            options,
        )
    }

    fn read(&mut self, path: &str) -> Step {
        match self.rng.u8(..6) {
            0 => Step::get(path).metadata_only(),
            1 => Step::get(&format!("{path}/status")),
            2 => Step::get(&format!("{path}?resourceVersion=@rv")),
            _ => Step::get(path),
        }
    }

    fn list(&mut self, at: usize, collection: &str) -> Vec<Step> {
        // Of these there are some that belong to the cluster.
        let everywhere = match self.kinds[at].plural {
            "leases" | "configmaps" => collection.to_owned(),
            plural => format!("{}/{plural}", self.kinds[at].base),
        };
        let selector = self.one_of(&[
            "v%3D1",
            "v!%3D1",
            "v%20notin%20(1,2)",
            "!skip",
            "app,v%20in%20(2,3)",
            "fieldless",
        ]);
        match self.rng.u8(..12) {
            0 => vec![Step::get(collection)],
            1 => vec![Step::get(&format!("{collection}?labelSelector={selector}"))],
            2 => vec![Step::get(&format!("{everywhere}?limit=1")), Step::get(&format!("{everywhere}?limit=2&continue=@token"))],
            3 => vec![Step::get(&format!("{everywhere}?labelSelector={selector}")).metadata_only()],
            4 => vec![Step::get(&format!("{collection}?fieldSelector=metadata.name%3Da"))],
            5 => vec![Step::get(&format!("{everywhere}?fieldSelector=metadata.name!%3Da,metadata.namespace!%3Dsame-too"))],
            6 => vec![Step::get(&format!("{collection}?fieldSelector=spec.nonsense%3Da"))],
            // The list before makes a real one look at what is stored.
            7 => vec![Step::get(collection), Step::get(&format!("{collection}?resourceVersion=0&limit=1"))],
            8 => vec![
                Step::get(collection),
                Step::get(&format!("{collection}?resourceVersion=@listed&resourceVersionMatch=Exact&limit=1")),
                Step::get(&format!("{collection}?resourceVersion=@listed&resourceVersionMatch=NotOlderThan")),
            ],
            9 => vec![Step::get(&format!("{collection}?limit=1&continue=nonsense")), Step::get(&format!("{collection}?resourceVersion=x"))],
            10 => vec![Step::get(&format!("{collection}?watch=true&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan&labelSelector={selector}"))],
            _ => vec![
                Step::get(&format!("{collection}?watch=true&sendInitialEvents=true&allowWatchBookmarks=true")),
                Step::get(&format!("{collection}?watch=true&resourceVersion=1&resourceVersionMatch=NotOlderThan")),
                Step::get(&format!("{collection}?watch=true&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan")).metadata_only(),
            ],
        }
    }
}
