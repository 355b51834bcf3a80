//! The kinds that requests are about, and an object of each.

use serde_json::{Value, json};

/// A kind that requests are about.
pub(crate) struct Kind {
    pub(crate) base: &'static str,
    pub(crate) plural: &'static str,
    pub(crate) make: fn(&str, &str) -> Value,
    /// What a patch changes; null for a kind without a status.
    pub(crate) status: Value,
}

/// All of them.
pub(crate) fn kinds() -> [Kind; 9] {
    let kind = |base, plural, make, status| Kind {
        base,
        plural,
        make,
        status,
    };
    [
        kind("/api/v1", "secrets", secret, Value::Null),
        kind("/api/v1", "configmaps", config_map, Value::Null),
        kind(
            "/apis/apps/v1",
            "deployments",
            deployment,
            json!({ "replicas": 1, "observedGeneration": 1 }),
        ),
        kind(
            "/apis/apps/v1",
            "statefulsets",
            stateful_set,
            json!({ "replicas": 1, "currentRevision": "r" }),
        ),
        kind(
            "/apis/apps/v1",
            "daemonsets",
            daemon_set,
            json!({ "numberReady": 1, "desiredNumberScheduled": 1 }),
        ),
        kind("/apis/coordination.k8s.io/v1", "leases", lease, Value::Null),
        kind(
            "/apis/apps/v1",
            "replicasets",
            replica_set,
            json!({ "replicas": 1, "observedGeneration": 1 }),
        ),
        kind("/apis/batch/v1", "jobs", job, json!({ "active": 1 })),
        kind(
            "/apis/batch/v1",
            "cronjobs",
            cron_job,
            json!({ "lastScheduleTime": "2026-01-01T00:00:00Z" }),
        ),
    ]
}

fn labels(value: &str) -> Value {
    json!({ "v": value, "app": "x" })
}

pub(crate) fn secret(name: &str, value: &str) -> Value {
    json!({ "metadata": { "name": name, "labels": labels(value) }, "stringData": { "k": value, "same": "s" } })
}

fn config_map(name: &str, value: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name, "labels": labels(value) },
        "data": { "k": value, "same": "s", "empty": "" }, "binaryData": { "b": "AAE=" } })
}

pub(crate) fn template(value: &str) -> Value {
    json!({
        "metadata": { "labels": { "app": "x" }, "annotations": { "value": value } },
        "spec": {
            "containers": [
                { "name": "one", "image": "registry.example/app", "env": [
                    { "name": "PLAIN", "value": value }, { "name": "NONE", "value": "" },
                    { "name": "KEY", "valueFrom": { "secretKeyRef": { "name": "a", "key": "k" } } },
                    { "name": "FIELD", "valueFrom": { "fieldRef": { "fieldPath": "metadata.name" } } } ],
                  "ports": [{ "containerPort": 80 }], "readinessProbe": { "httpGet": { "path": "/", "port": 80 } } },
                { "name": "two", "image": "registry.example:5000/app:1", "envFrom": [{ "configMapRef": { "name": "b" } }] },
            ],
            "volumes": [
                { "name": "s", "secret": { "secretName": "a" } }, { "name": "c", "configMap": { "name": "b" } },
                { "name": "e", "emptyDir": {} },
                { "name": "p", "projected": { "sources": [{ "secret": { "name": "a" } }] } } ],
        },
    })
}

pub(crate) fn deployment(name: &str, value: &str) -> Value {
    json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": name, "labels": labels(value) },
        "spec": { "selector": { "matchLabels": { "app": "x" } }, "template": template(value) } })
}

fn stateful_set(name: &str, value: &str) -> Value {
    let mut object = deployment(name, value);
    object["kind"] = json!("StatefulSet");
    object["spec"]["serviceName"] = json!("x");
    object
}

fn daemon_set(name: &str, value: &str) -> Value {
    let mut object = deployment(name, value);
    object["kind"] = json!("DaemonSet");
    object
}

fn cron_job(name: &str, value: &str) -> Value {
    let mut template = template(value);
    template["spec"]["restartPolicy"] = json!("Never");
    json!({ "apiVersion": "batch/v1", "kind": "CronJob", "metadata": { "name": name, "labels": labels(value) },
        "spec": { "schedule": "* * * * *", "jobTemplate": { "spec": { "template": template } } } })
}

fn replica_set(name: &str, value: &str) -> Value {
    let mut object = deployment(name, value);
    object["kind"] = json!("ReplicaSet");
    object
}

fn job(name: &str, value: &str) -> Value {
    let mut template = template(value);
    template["spec"]["restartPolicy"] = json!("Never");
    json!({ "apiVersion": "batch/v1", "kind": "Job", "metadata": { "name": name, "labels": labels(value) },
        "spec": { "template": template } })
}

fn lease(name: &str, value: &str) -> Value {
    json!({ "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": { "name": name, "labels": labels(value) },
        "spec": { "holderIdentity": value, "leaseDurationSeconds": 15, "renewTime": "2026-01-01T00:00:00.123456Z" } })
}
