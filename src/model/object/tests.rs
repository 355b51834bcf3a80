use kube::core::{ObjectList, WatchEvent};

use super::*;
use crate::model::{DigestKey, Version, workload::Kinds, workload::Workload};

fn metadata() -> Value {
    json!({
        "name": "db", "namespace": "shop", "uid": "u-1", "resourceVersion": "17", "generation": 3,
        "creationTimestamp": "2026-01-01T00:00:00Z", "deletionTimestamp": "2026-03-01T00:00:00Z",
        "labels": { "a": "b" },
        "annotations": { "reroll.dev/restart-on": "auto", "reloader.stakater.com/match": "true" },
        "ownerReferences": [{
            "apiVersion": "v1", "kind": "Owner", "name": "o", "uid": "u-2", "controller": true,
        }],
        "selfLink": null,
        "finalizers": ["a/b"],
        "managedFields": [
            { "manager": "kubectl", "operation": "Update", "apiVersion": "v1", "time": "2026-02-01T00:00:00Z",
              "fieldsType": "FieldsV1", "fieldsV1": { "f:data": { ".": {}, "f:password": {} }, "f:type": {} } },
            { "manager": "later", "operation": "Update", "apiVersion": "v1", "time": "2026-02-09T00:00:00Z",
              "fieldsType": "FieldsV1", "fieldsV1": { "f:metadata": { "f:labels": {} } } },
            { "manager": "bare", "operation": "Update" },
        ],
    })
}

fn key() -> DigestKey {
    DigestKey::new(&[7; 32]).unwrap()
}

#[test]
fn a_source_has_the_version_that_all_of_it_has() {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": metadata(), "type": "Opaque", "immutable": true,
        "data": { "password": "aHVudGVyMg==", "empty": "" },
    });
    let full: Secret = serde_json::from_value(secret.clone()).unwrap();
    let read = Secret::from_object(&secret.to_string()).unwrap();
    assert_eq!(
        Version::of_secret(&key(), "shop", &read),
        Version::of_secret(&key(), "shop", &full)
    );

    let map = json!({
        "metadata": metadata(), "data": { "a": "1" }, "binaryData": { "b": "AAEC" }, "immutable": false,
    });
    let full: ConfigMap = serde_json::from_value(map.clone()).unwrap();
    let read = ConfigMap::from_object(&map.to_string()).unwrap();
    assert_eq!(
        Version::of_config_map(&key(), "shop", &read),
        Version::of_config_map(&key(), "shop", &full)
    );
    assert!(Version::of_config_map(&key(), "shop", &read).written > 1_769_000_000);
}

#[test]
fn who_wrote_the_data_is_kept_and_who_wrote_anything_else_is_not() {
    for field in ["f:data", "f:binaryData", "f:stringData"] {
        let mut meta = metadata();
        let fields = &mut meta["managedFields"][0]["fieldsV1"];
        *fields = json!({ (field): { "f:password": {} } });
        let secret = json!({ "metadata": meta, "data": {} }).to_string();
        let read = Secret::from_object(&secret).unwrap();
        let (manager, at) = crate::model::version::writer(&read.metadata).unwrap();
        assert_eq!(
            (manager, at.to_string().as_str()),
            ("kubectl", "2026-02-01T00:00:00Z")
        );
        let managers = read.metadata.managed_fields.unwrap();
        assert_eq!(managers[1].manager, None);
    }
}

#[test]
fn a_workload_is_read_as_all_of_it_is() {
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata(),
        "spec": { "template": {
            "metadata": { "annotations": { "x": "y" } },
            "spec": { "containers": [{ "envFrom": [{ "secretRef": { "name": "db" } }] }] },
        } },
        "status": { "observedGeneration": 3, "replicas": 0 },
    });
    let full: DynamicObject = serde_json::from_value(deployment.clone()).unwrap();
    let read = DynamicObject::from_object(&deployment.to_string()).unwrap();
    let kinds = Kinds::default();
    let kind = kinds.find("apps", "Deployment").unwrap();
    assert_eq!(Workload::read(kind, &read), Workload::read(kind, &full));
    assert_eq!((&read.types, &read.data), (&full.types, &full.data));
}

#[test]
fn one_that_cannot_be_read_leaves_the_rest_and_its_own_name() {
    let list = json!({
        "apiVersion": "v1", "kind": "SecretList", "metadata": { "resourceVersion": "1" },
        "items": [
            { "metadata": { "name": "good" }, "data": { "k": "dg==" } },
            { "metadata": { "name": "bad", "uid": "u" }, "data": { "k": 7 } },
            { "metadata": { "name": "worse", "labels": 7 }, "data": "none" },
        ],
    });
    let list: ObjectList<Guarded<Secret>> = serde_json::from_str(&list.to_string()).unwrap();
    let [Guarded(Ok(good)), Guarded(Err(bad)), Guarded(Err(worse))] = list.items.as_slice() else {
        panic!("{:?}", list.items);
    };
    assert_eq!(good.metadata.name.as_deref(), Some("good"));
    assert_eq!(bad.uid.as_deref(), Some("u"));
    assert_eq!(worse.name, None);

    // API servers write the type first, always.
    let event = r#"{"type":"MODIFIED","object":{"metadata":{"name":"bad"},"data":{"k":7}}}"#;
    let event: WatchEvent<Guarded<Secret>> = serde_json::from_str(event).unwrap();
    let WatchEvent::Modified(object) = event else {
        panic!("{event:?}");
    };
    assert_eq!(object.meta().name.as_deref(), Some("bad"));
}
