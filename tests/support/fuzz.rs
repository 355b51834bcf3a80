//! What must hold for every input: shared by the fuzz targets and by `tests/fuzz.rs`, which runs their corpora.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::panic,
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "what does not hold, panics"
)]

use std::sync::{Arc, LazyLock};

use k8s_openapi::api::core::v1::Secret;
use reroll::{
    model::{
        DigestKey, Index, Observed, Policy, SourceKey, SourceKind, SourceName, Version,
        WorkloadKey,
        adopted::Adoption,
        annotation::RESTART_ON,
        index::just_read,
        observed::Reading,
        policy::{Defaults, Selection},
        workload::{Asks, KINDS, Workload},
    },
    state::State,
    webhook::{review::Request, sources, workloads::Write},
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

/// Bytes that somebody sends to the webhook: no panic, and the patch applies, twice as well as once.
pub fn review(data: &[u8]) {
    let Ok(request) = Request::parse(data) else {
        return;
    };
    drop(sources::answer(&STATE, &request));
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

/// A text in an annotation: read and printed again it is the same, whichever it is for.
pub fn annotations(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    observed(text);
    if let Ok(source) = text.parse::<SourceName>() {
        assert_eq!(source.to_string().parse(), Ok(source));
    }
    let read = |text: &str| {
        let annotations = Asks::from_iter([(RESTART_ON.to_owned(), text.to_owned())]);
        Policy::read(&annotations, Defaults::default())
    };
    let (policy, complaints) = read(text);
    for complaint in complaints {
        let told = complaint.to_string();
        assert!(
            !told.contains(char::is_control) && told.len() < 400,
            "{told}"
        );
    }
    if let Selection::Some(rules) = &policy.selection {
        let printed = rules.to_string();
        let (again, complaints) = read(&printed);
        assert_eq!(again, policy, "{printed}");
        assert_eq!(complaints, [], "{printed}");
    }
    for name in [
        "reroll.dev/settle",
        "reroll.dev/suspend",
        "reroll.dev/on-recreate",
        "reroll.dev/on-delete",
        "reroll.dev/on-adopt",
    ] {
        drop(Policy::read(
            &Asks::from_iter([(name.to_owned(), text.to_owned())]),
            Defaults {
                namespace: Some(text),
                ..Defaults::default()
            },
        ));
    }
}

fn observed(text: &str) {
    let reading = Observed::read(text, &key());
    if let Reading::Genuine(observed) | Reading::OtherKey(observed) = reading
        && observed.format <= key().newest_format()
    {
        let ours = observed.key_id == key().id();
        let printed = observed.print(&key());
        if ours {
            assert_eq!(printed, text);
        }
        let next = Observed {
            key_id: key().id().to_owned(),
            ..observed
        };
        let printed = next.print(&key());
        assert_eq!(Observed::read(&printed, &key()), Reading::Genuine(next));
    }
}
