//! Objects as an API server shows them, made up.

use k8s_openapi::{ByteString, api::core::v1::Secret};
use reroll::model::DigestKey;
use serde_json::{Value, json};

/// Where all of them are.
pub(crate) const NAMESPACE: &str = "shop";

pub(crate) fn key() -> DigestKey {
    DigestKey::new(&[7; 32]).unwrap()
}

/// A Secret with so many keys of so many bytes, none of which repeat.
pub(crate) fn secret(name: &str, keys: usize, bytes: usize) -> Value {
    let mut random = fastrand::Rng::with_seed(1);
    let data = (0..keys).map(|number| {
        let value = ByteString((0..bytes).map(|_| random.u8(..)).collect());
        (format!("key-{number}"), json!(value))
    });
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": {
            "name": name, "namespace": NAMESPACE, "uid": "d2ba14f2-0694-42a8-8bf2-c32f915b69c5",
            "resourceVersion": "1000", "creationTimestamp": "2026-11-22T00:03:48Z",
            "managedFields": [{
                "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": { "f:data": {}, "f:type": {} },
                "manager": "kubectl-create", "operation": "Update", "time": "2026-11-22T00:03:48Z",
            }],
        },
        "data": data.collect::<serde_json::Map<_, _>>(),
    })
}

pub(crate) fn read(secret: &Value) -> Secret {
    serde_json::from_value(secret.clone()).unwrap()
}

/// A pod template: each container takes so many keys of Secrets, all different.
pub(crate) fn template(containers: usize, references: usize) -> Value {
    let variable = |container: usize, number: usize| {
        let from =
            json!({ "secretKeyRef": { "name": format!("s{container}-{number}"), "key": "k" } });
        json!({ "name": format!("V{number}"), "valueFrom": from })
    };
    let containers = (0..containers).map(|container| {
        json!({
            "name": format!("c{container}"), "image": "registry.example/app:1", "resources": {},
            "env": (0..references).map(|number| variable(container, number)).collect::<Vec<_>>(),
        })
    });
    json!({
        "metadata": { "labels": { "app": "web" } },
        "spec": { "containers": containers.collect::<Vec<_>>(), "restartPolicy": "Always" },
    })
}
