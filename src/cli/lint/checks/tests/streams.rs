use super::*;

#[test]
fn streams_lists_and_json_have_their_places() {
    let helm = "---\n# Source: web/templates/secret.yaml\napiVersion: v1\nkind: Secret\nmetadata:\n  name: db\ndata:\n  password: aHVudGVyMg==\n---\n# Source: web/templates/empty.yaml\n---\n# Source: web/charts/db/templates/deploy.yaml\n# another comment\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\n  annotations:\n    reroll.dev/restarton: auto\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: cfg, annotations: {reroll.dev/settl: x}}\n";
    let all = check(&objects(helm), &kinds());
    let told: Vec<_> = all
        .iter()
        .map(|one| (one.line, one.origin.as_deref(), one.spoken()))
        .collect();
    let deploy = Some("web/charts/db/templates/deploy.yaml");
    assert_eq!(
        told,
        [
            (19, deploy, "Deployment web".to_owned()),
            (23, None, "ConfigMap cfg".to_owned())
        ]
    );
    assert!(!format!("{all:?}").contains("aHVudGVyMg"));

    let list = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Namespace\n  metadata:\n    name: ns\n    annotations:\n      reroll.dev/restart-on: auto\n- apiVersion: apps/v1\n  kind: DeploymentList\n  items:\n  - metadata: {name: w, namespace: ns, labels: {reroll.dev/restart-on: auto}}\n";
    let told: Vec<_> = check(&objects(list), &kinds())
        .iter()
        .map(|one| (one.line, one.finding.code(), one.spoken()))
        .collect();
    assert_eq!(
        told,
        [
            (9, "RR102", "Namespace ns".to_owned()),
            (13, "RR102", "Deployment ns/w".to_owned())
        ]
    );

    let json = "{\n  \"apiVersion\": \"apps/v1\",\n  \"kind\": \"StatefulSet\",\n  \"metadata\": {\n    \"generateName\": \"w-\",\n    \"labels\": {\n      \"reroll.dev/restart-on\": \"auto\"\n    }\n  }\n}\n";
    let told: Vec<_> = check(&objects(json), &kinds())
        .iter()
        .map(|one| (one.line, one.finding.code(), one.spoken()))
        .collect();
    assert_eq!(told, [(7, "RR102", "StatefulSet w-*".to_owned())]);

    for none in [
        "",
        "---\n---\n",
        "a: b\n",
        "- a\n",
        "apiVersion: v1\n",
        "just text\n",
        "apiVersion: v1\nkind: List\nitems:\n",
    ] {
        assert_eq!(objects(none).len(), 0, "{none}");
    }
    let here = manifests::read(
        "f",
        "{apiVersion: apps/v1, kind: Deployment, metadata: {name: w}}",
        Some("n"),
    )
    .unwrap();
    assert_eq!(here[0].namespace.as_deref(), Some("n"));
}
