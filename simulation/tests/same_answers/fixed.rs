//! Requests that are made each time.

use serde_json::{Value, json};

use crate::{
    hooks::LABEL,
    manifests::{kinds, secret, template},
    side::Step,
};

/// The watches that are open all the time.
pub(crate) fn watches() -> Vec<String> {
    let mut all: Vec<String> = kinds()
        .iter()
        .map(|kind| {
            format!(
                "{}/{}?watch=true&allowWatchBookmarks=true&fieldSelector=metadata.namespace%3Dsame",
                kind.base, kind.plural
            )
        })
        .collect();
    for kind in kinds() {
        all.push(format!(
            "{}/namespaces/same/{}?watch=true&resourceVersion=0&labelSelector=v%20in%20(1,2),!skip",
            kind.base, kind.plural
        ));
    }
    all.push(format!(
        "{SECRETS}?watch=true&resourceVersion=0&{NO_RELEASES}"
    ));
    all
}

const SECRETS: &str = "/api/v1/namespaces/same/secrets";
/// As reroll lists and watches Secrets.
const NO_RELEASES: &str = "fieldSelector=metadata.namespace!%3Dother,type!%3Dhelm.sh%2Frelease.v1";

/// Secrets by their type.
pub(crate) fn types() -> Vec<Step> {
    let typed = |name: &str, of: &str| {
        let mut object = secret(name, "1");
        object["type"] = json!(of);
        object
    };
    let one = |name: &str| format!("{SECRETS}/{name}");
    let label = json!({ "metadata": { "labels": { "v": "2" } } });
    let mut steps = vec![
        Step::post(SECRETS, typed("release", "helm.sh/release.v1")),
        Step::post(SECRETS, typed("large", "example.com/large")),
        Step::post(SECRETS, secret("plain", "1")),
        Step::get(&format!("{SECRETS}?{NO_RELEASES}")),
        Step::get(&format!("/api/v1/secrets?{NO_RELEASES}")).metadata_only(),
        Step::get(&format!(
            "{SECRETS}?fieldSelector=type%3Dhelm.sh/release.v1"
        )),
        Step::get(&format!("{SECRETS}?fieldSelector=type%3DOpaque")),
    ];
    for name in ["release", "large", "plain"] {
        steps.push(Step::new("PATCH", &one(name), label.clone()));
        steps.push(Step::new("DELETE", &one(name), Value::Null));
    }
    // The same name with another type.
    for (name, of) in [("large", "helm.sh/release.v1"), ("release", "Opaque")] {
        steps.push(Step::post(SECRETS, typed(name, of)));
        steps.push(Step::get(&format!("{SECRETS}?{NO_RELEASES}")));
        steps.push(Step::new("DELETE", &one(name), Value::Null));
    }
    steps
}

/// Annotations as large as they may be, and one byte larger: of the object, and of its template.
pub(crate) fn sizes() -> Vec<Step> {
    let notes = |bytes: usize| json!({ "n": "n".repeat(bytes - 1) });
    let limit = 262_144;
    let mut steps = Vec::new();
    for kind in kinds() {
        let path = format!("{}/namespaces/same/{}", kind.base, kind.plural);
        for bytes in [limit, limit + 1] {
            let mut object = (kind.make)("full", "1");
            object["metadata"]["annotations"] = notes(bytes);
            steps.push(Step::post(&path, object));
        }
        let one = format!("{path}/full");
        let more = json!({ "metadata": { "annotations": { "m": "1" } } });
        steps.push(Step::new("PATCH", &one, more));
        let of_template = json!({ "metadata": { "annotations": notes(limit + 1) } });
        let template = json!({ "spec": { "template": of_template } });
        steps.push(Step::new("PATCH", &one, template));
        steps.push(Step::new("DELETE", &one, Value::Null));
    }
    steps
}

/// Ends the watches: an object that all of them see goes.
pub(crate) fn last() -> Vec<Step> {
    let steps = kinds().into_iter().flat_map(|kind| {
        let path = format!("{}/namespaces/same/{}", kind.base, kind.plural);
        let made = Step::post(&path, (kind.make)("last", "1"));
        [
            made,
            Step::new(
                "DELETE",
                &format!("{path}/last"),
                json!({ "propagationPolicy": "Background" }),
            ),
        ]
    });
    steps.collect()
}

/// Writes that webhooks act on.
pub(crate) fn for_webhooks() -> Vec<Step> {
    let mut steps = Vec::new();
    for kind in kinds() {
        for (number, label) in ["add", "tear", "deny", "teapot", "fail", "break", "other"]
            .into_iter()
            .enumerate()
        {
            let path = format!("{}/namespaces/same/{}", kind.base, kind.plural);
            let name = format!("hooked-{number}");
            let mut object = (kind.make)(&name, "1");
            object["metadata"]["labels"][LABEL] = json!(label);
            let one = format!("{path}/{name}");
            let relabel = |value: &str| json!({ "metadata": { "labels": { LABEL: value } } });
            steps.extend([
                Step::post(&format!("{path}?dryRun=All"), object.clone()),
                Step::post(&path, object.clone()),
                Step::new("PATCH", &format!("{one}?fieldManager=m"), relabel("add")),
                Step::new("PATCH", &one, relabel(label)),
                Step::new("DELETE", &format!("{one}?dryRun=All"), Value::Null),
                Step::new("DELETE", &one, json!({ "propagationPolicy": "Background" })),
            ]);
            let mut generated = object.clone();
            generated["metadata"]["name"] = Value::Null;
            generated["metadata"]["generateName"] = json!("generated-");
            generated["metadata"]["labels"]["skip"] = json!("yes");
            steps.push(Step::post(
                &format!("/{path}?dryRun=All").replace("//", "/"),
                generated,
            ));
        }
    }
    steps
}

/// The life of pods, as scheduler and kubelet make it.
pub(crate) fn pods() -> Vec<Step> {
    let (core, phase) = (
        "/api/v1/namespaces/same",
        |phase: &str| json!({ "status": { "phase": phase } }),
    );
    let pod = |name: &str, node: Value| {
        let mut spec = template("1")["spec"].clone();
        spec["nodeName"] = node;
        spec["automountServiceAccountToken"] = json!(false);
        json!({ "metadata": { "name": name, "labels": { "app": "x" } }, "spec": spec })
    };
    let one = |name: &str| format!("{core}/pods/{name}");
    let delete = |name: &str, options: Value| Step::new("DELETE", &one(name), options);
    vec![
        Step::post(
            &format!("{core}/serviceaccounts"),
            json!({ "metadata": { "name": "default" } }),
        ),
        Step::post(&format!("{core}/pods"), pod("runs", json!("node"))),
        Step::post(&format!("{core}/pods"), pod("waits", Value::Null)),
        Step::post(&format!("{core}/pods"), pod("fails", json!("node"))),
        Step::new(
            "PATCH",
            &format!("{}/status", one("runs")),
            phase("Running"),
        ),
        Step::new(
            "PATCH",
            &format!("{}/status", one("fails")),
            phase("Failed"),
        ),
        Step::new(
            "PATCH",
            &one("runs"),
            json!({ "metadata": { "annotations": { "a": "b" } } }),
        ),
        Step::new("PATCH", &one("runs"), phase("Failed")),
        Step::get(&format!(
            "{core}/pods?fieldSelector=status.phase!%3DSucceeded,status.phase!%3DFailed&labelSelector=app%3Dx"
        )),
        Step::get(&format!("{core}/pods?fieldSelector=spec.nodeName%3D")).metadata_only(),
        Step::get(&format!("{core}/pods")),
        delete("runs", Value::Null),
        delete("waits", Value::Null),
        delete("fails", Value::Null),
        delete("runs", json!({ "gracePeriodSeconds": 5 })),
        delete(
            "runs",
            json!({ "gracePeriodSeconds": 0, "preconditions": { "uid": "@uid" } }),
        ),
        Step::get(&one("runs")),
        Step::get(&format!(
            "{core}/pods?watch=true&resourceVersion=@listed&timeoutSeconds=1"
        )),
    ]
}

/// What else reroll asks for, each once.
pub(crate) fn others() -> Vec<Step> {
    let (core, events) = (
        "/api/v1/namespaces/same",
        "/apis/events.k8s.io/v1/namespaces/same/events",
    );
    let event = json!({
        "metadata": { "name": "e", "namespace": "same" }, "eventTime": "2026-01-01T00:00:00.000001Z", "type": "Normal",
        "action": "Restart", "reason": "Restarted", "note": "a note", "reportingController": "reroll.dev",
        "reportingInstance": "one", "regarding": { "kind": "Deployment", "namespace": "same", "name": "a", "apiVersion": "apps/v1" },
    });
    let series =
        json!({ "series": { "count": 2, "lastObservedTime": "2026-01-01T00:00:01.000001Z" } });
    let old_event = json!({
        "metadata": { "name": "f", "namespace": "same" }, "type": "Warning", "reason": "Old", "message": "a message",
        "involvedObject": { "kind": "Pod", "namespace": "same", "name": "p" }, "source": { "component": "x" },
        "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-01T00:00:00Z", "count": 1,
    });
    let revision = json!({
        "metadata": { "name": "r", "labels": { "app": "x" } }, "revision": 1,
        "data": { "spec": { "template": { "metadata": { "annotations": {} }, "nothing": null, "list": [] } } },
    });
    let one = |name: &str| format!("/api/v1/namespaces/{name}");
    let delete = |path: &str| Step::new("DELETE", path, Value::Null);
    vec![
        Step::post(events, event.clone()),
        Step::post(events, event),
        Step::new("PATCH", &format!("{events}/e"), series),
        Step::get(&format!("{events}/e")),
        Step::get(&format!("{core}/events/e")),
        Step::post(&format!("{core}/events"), old_event),
        Step::get(&format!("{events}/f")),
        Step::get(&format!(
            "{core}/events?fieldSelector=involvedObject.name%3Dp,reason%3DOld"
        )),
        Step::get(&format!(
            "{core}/events?fieldSelector=involvedObject.kind%3DDeployment"
        )),
        Step::get(&format!("{events}?fieldSelector=regarding.name%3Da")),
        delete(&format!("{events}/e")),
        delete(&format!("{core}/events/f")),
        Step::post(
            "/apis/apps/v1/namespaces/same/controllerrevisions",
            revision,
        ),
        Step::get("/apis/apps/v1/namespaces/same/controllerrevisions?labelSelector=app%3Dx"),
        delete("/apis/apps/v1/namespaces/same/controllerrevisions/r"),
        Step::get("/apis/argoproj.io"),
        Step::get("/apis/argoproj.io/v1alpha1/namespaces/same/rollouts"),
        Step::get("/api/v1/namespaces/none/secrets"),
        Step::post("/api/v1/namespaces/none/secrets", secret("a", "1")),
        Step::post(
            "/api/v1/namespaces",
            json!({ "metadata": { "name": "goes", "labels": { "a": "b" } } }),
        ),
        Step::post("/api/v1/namespaces/goes/secrets", secret("a", "1")),
        Step::new(
            "PATCH",
            &one("goes"),
            json!({ "metadata": { "labels": { "a": "c", "kubernetes.io/metadata.name": null } } }),
        ),
        Step::get("/api/v1/namespaces?fieldSelector=metadata.name%3Dgoes").metadata_only(),
        Step::get("/api/v1/namespaces?labelSelector=a%3Dc"),
        delete(&one("goes")),
        Step::post("/api/v1/namespaces/goes/secrets", secret("b", "1")),
        Step::new(
            "PATCH",
            "/api/v1/namespaces/goes/secrets/a",
            json!({ "metadata": { "labels": { "v": "2" } } }),
        ),
        delete("/api/v1/namespaces/goes/secrets/a"),
        Step {
            on_last: true,
            ..Step::new(
                "PUT",
                "/api/v1/namespaces/goes/finalize",
                json!({ "spec": { "finalizers": null } }),
            )
        },
        Step::get(&one("goes")),
        Step::new("PATCH", "/api/v1/namespaces/same/secrets/none", json!({})),
        Step::new("POST", "/api/v1/namespaces/same/secrets/none", json!({})),
        Step::new("DELETE", "/api/v1/namespaces", Value::Null),
    ]
}
