//! The defaults of a pod's spec.

use serde_json::{Map, Value, json};

use super::{fill, map};

/// Sets what admission plugins set of a pod that is not a template. The volume with the token is left out.
pub(super) fn admit(spec: &mut Map<String, Value>) {
    let tolerates = |key: &str| json!({ "key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300 });
    fill(
        spec,
        json!({
            "enableServiceLinks": true, "preemptionPolicy": "PreemptLowerPriority", "priority": 0,
            "serviceAccountName": "default",
            "tolerations": [tolerates("node.kubernetes.io/not-ready"), tolerates("node.kubernetes.io/unreachable")],
        }),
    );
}

/// Sets what was left out of the spec of a pod.
pub(super) fn pod_spec(spec: &mut Value) {
    let Some(spec) = spec.as_object_mut() else {
        return;
    };
    fill(
        spec,
        json!({
            "restartPolicy": "Always", "terminationGracePeriodSeconds": 30, "dnsPolicy": "ClusterFirst",
            "securityContext": {}, "schedulerName": "default-scheduler",
        }),
    );
    let account = spec
        .get("serviceAccountName")
        .or_else(|| spec.get("serviceAccount"))
        .cloned();
    if let Some(account) = account {
        fill(
            spec,
            json!({ "serviceAccountName": account, "serviceAccount": account }),
        );
    }
    for field in ["containers", "initContainers"] {
        let containers = spec.get_mut(field).and_then(Value::as_array_mut);
        containers.into_iter().flatten().for_each(container);
    }
    let volumes = spec.get_mut("volumes").and_then(Value::as_array_mut);
    for volume in volumes.into_iter().flatten() {
        for field in ["secret", "configMap", "projected", "downwardAPI"] {
            if let Some(source) = map(volume, field) {
                fill(source, json!({ "defaultMode": 420 }));
            }
        }
    }
}

fn container(container: &mut Value) {
    let image = container["image"].as_str().unwrap_or_default();
    let tag = image.rsplit_once('/').map_or(image, |(_, last)| last);
    let pull = match tag.split_once(':') {
        _ if tag.contains('@') => "IfNotPresent",
        None | Some((_, "latest")) => "Always",
        Some(_) => "IfNotPresent",
    };
    let Some(map) = container.as_object_mut() else {
        return;
    };
    fill(
        map,
        json!({
            "resources": {}, "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
            "imagePullPolicy": pull,
        }),
    );
    let ports = map.get_mut("ports").and_then(Value::as_array_mut);
    for port in ports.into_iter().flatten() {
        if let Some(port) = port.as_object_mut() {
            fill(port, json!({ "protocol": "TCP" }));
        }
    }
    for field in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = map.get_mut(field).and_then(Value::as_object_mut) {
            if let Some(get) = probe.get_mut("httpGet").and_then(Value::as_object_mut) {
                fill(get, json!({ "scheme": "HTTP" }));
            }
            fill(
                probe,
                json!({ "timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3 }),
            );
        }
    }
    let env = map.get_mut("env").and_then(Value::as_array_mut);
    for one in env.into_iter().flatten() {
        if let Some(reference) = one
            .pointer_mut("/valueFrom/fieldRef")
            .and_then(Value::as_object_mut)
        {
            fill(reference, json!({ "apiVersion": "v1" }));
        }
    }
}
