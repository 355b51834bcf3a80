//! What must hold for every review: for the fuzz target, and for `tests/fuzz`, which runs its corpus.

use std::sync::{Arc, LazyLock};

use k8s_openapi::api::core::v1::Secret;
use reroll::{
    model::{
        DigestKey, Index, SourceKey, SourceKind, SourceName, Version, WorkloadKey,
        adopted::Adoption,
        index::just_read,
        workload::{KINDS, Workload},
    },
    state::State,
    webhook::{namespaces, off, review::Request, sources, warnings::Told, workloads::Write},
};
use serde_json::{Value, json};

const NAMESPACE: &str = "shop";
const NOW: i64 = 1_800_000_000;

/// A webhook that knows a Secret and a Deployment that uses it.
static STATE: LazyLock<State> = LazyLock::new(|| {
    let mut index = Index::new(key());
    for kind in SourceKind::ALL {
        index.set_synced(kind);
    }
    let secret: Secret = serde_json::from_value(json!({
        "metadata": { "name": "db", "namespace": NAMESPACE, "uid": "db-1", "resourceVersion": "10" },
        "data": { "password": "b25l" },
    }))
    .unwrap();
    let source = SourceKey {
        namespace: NAMESPACE.to_owned(),
        source: SourceName::secret("db"),
    };
    index.apply_source(&source, Version::of_secret(&key(), NAMESPACE, &secret));
    let web = WorkloadKey {
        kind: &KINDS[0],
        namespace: NAMESPACE.to_owned(),
        name: "web".to_owned(),
    };
    let object = json!({
        "metadata": {
            "name": "web", "namespace": NAMESPACE, "uid": "web-1", "resourceVersion": "11", "generation": 1,
            "creationTimestamp": "2026-01-15T08:00:00Z", "annotations": { "reroll.dev/restart-on": "auto" },
        },
        "spec": { "template": { "spec": {
            "containers": [{ "name": "c", "envFrom": [{ "secretRef": { "name": "db" } }] }],
        } } },
    });
    let object = serde_json::from_value(object).unwrap();
    index.apply_workload(&web, Workload::read(&KINDS[0], &object));
    drop(index.judge(&web, &just_read(&[])));
    let clock = Arc::new(|| jiff::Timestamp::from_second(NOW).unwrap());
    State::new(index, clock, "system:reroll".to_owned())
});

fn key() -> DigestKey {
    DigestKey::new(&[7; 32]).unwrap()
}

/// Checks what holds for all bytes sent to the webhook: no panic, and a patch that applies, and that applied twice
/// gives the same as once.
pub(crate) fn check(data: &[u8]) {
    let Ok(request) = Request::parse(data) else {
        return;
    };
    drop(sources::answer(&STATE, &request, Told::All));
    drop(namespaces::answer(&STATE, &request, Told::All));
    drop(off::answer(&STATE, &request, Told::All));
    let patched = mutate(&request);
    // The API server calls again where another webhook changed something.
    if let (Some(object), Ok(mut again)) = (patched, serde_json::from_slice::<Value>(data)) {
        again["request"]["object"] = object.clone();
        let body = again.to_string();
        if let Ok(request) = Request::parse(body.as_bytes()) {
            let twice = mutate(&request);
            assert!(twice.is_none_or(|twice| twice == object), "{body}");
        }
    }
}

/// The object as the patch makes it; `None` where it is left alone.
fn mutate(request: &Request) -> Option<Value> {
    let index = STATE.index();
    let write = Write::read(request, &index, &STATE.setup.own_user)?;
    let admitted = write.answer(&index, &just_read(&[]), &Adoption::None, NOW);
    let mut object: Value = serde_json::from_str(request.object?.get()).ok()?;
    if let Err(error) = json_patch::patch(&mut object, &admitted.patch) {
        panic!("{error}: {} on {object}", json!(admitted.patch));
    }
    Some(object)
}
