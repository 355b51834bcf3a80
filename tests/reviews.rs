//! Whole `AdmissionReview`s as an API server v1.36 sends them (`tests/data`), and the whole answers to them with
//! decoded patches. Then the same reviews with some of their bytes changed: the webhook answers or refuses each, and
//! never breaks.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed step fails the test"
)]

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{Request, Response},
};
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use reroll::{
    cluster::Cluster,
    model::{
        DigestKey, Index, SourceKey, SourceKind, SourceName, Version, WorkloadKey,
        annotation::FIELD_MANAGER,
        gate::{suspend::Place, window::Window},
        index::{gates, windows},
        workload::{KINDS, Workload},
    },
    ops::metrics::Metrics,
    state::State,
    webhook::{
        routes::{Admission, SOURCES_PATH, WORKLOADS_PATH, router},
        server::{BodyLimits, BodyReader},
    },
};
use serde::Deserialize;
use serde_json::{Value, json};
use tower::ServiceExt as _;

const NAMESPACE: &str = "shop";
const OWN_USER: &str = "system:serviceaccount:reroll:reroll";
/// When the reviews of `tests/data` were sent.
const NOW: &str = "2026-11-22T00:03:52Z";
/// One for each file of `tests/data`.
const REVIEWS: [(&str, &str); 14] = [
    ("secret-create", SOURCES_PATH),
    ("secret-update", SOURCES_PATH),
    ("secret-delete", SOURCES_PATH),
    ("secret-delete-dry-run", SOURCES_PATH),
    ("secret-deletecollection", SOURCES_PATH),
    ("configmap-create", SOURCES_PATH),
    ("configmap-label", SOURCES_PATH),
    ("deployment-create", WORKLOADS_PATH),
    ("deployment-create-dry-run", WORKLOADS_PATH),
    ("deployment-generate-name", WORKLOADS_PATH),
    ("deployment-update", WORKLOADS_PATH),
    ("deployment-opt-out", WORKLOADS_PATH),
    ("statefulset-create", WORKLOADS_PATH),
    ("daemonset-create", WORKLOADS_PATH),
];

fn read(name: &str) -> Value {
    let path = format!("{}/tests/data/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn key() -> DigestKey {
    DigestKey::new(&[7; 32]).unwrap()
}

/// Secret `db` as it was before the reviews of `tests/data`.
fn db() -> Value {
    read("secret-update")["request"]["oldObject"].clone()
}

/// Secret `db` as it is now, which no watch has brought yet.
fn db_now() -> Value {
    let mut secret = read("secret-update")["request"]["object"].clone();
    secret["metadata"]["resourceVersion"] = json!("1000");
    secret
}

/// A webhook that knows Secret `db` as it was, and Deployment `web`, which uses it.
struct Webhook {
    router: Router,
    state: Arc<State>,
}

impl Webhook {
    fn new() -> Self {
        Self::that_knows(db())
    }

    fn that_knows(db: Value) -> Self {
        let mut index = Index::new(key());
        for kind in SourceKind::ALL {
            index.set_synced(kind);
        }
        let secret: Secret = serde_json::from_value(db).unwrap();
        index.apply_source(
            &source("db"),
            Version::of_secret(&key(), NAMESPACE, &secret),
        );
        let web = read("deployment-update")["request"]["oldObject"].clone();
        let deployment = WorkloadKey {
            kind: &KINDS[0],
            namespace: NAMESPACE.to_owned(),
            name: "web".to_owned(),
        };
        let web = Workload::read(&KINDS[0], &serde_json::from_value(web).unwrap());
        index.apply_workload(&deployment, web);
        // Adopted, as it is as soon as a watch brings it.
        drop(index.judge(&deployment, &std::collections::BTreeMap::new()));
        let clock = Arc::new(|| NOW.parse().unwrap());
        let state = Arc::new(State::new(index, clock, OWN_USER.to_owned()));
        let router = router(Admission {
            state: Arc::clone(&state),
            metrics: Arc::new(Metrics::new()),
            cluster: Cluster::new(
                Client::new(tower::service_fn(api_server), NAMESPACE),
                Duration::from_secs(5),
            ),
            get_budget: Duration::from_secs(5),
            told: reroll::webhook::warnings::Told::All,
            bodies: BodyReader::new(BodyLimits::default()),
        });
        Self { router, state }
    }

    async fn post(&self, path: &str, body: Vec<u8>) -> (u16, Vec<u8>) {
        let request = Request::post(path).body(Body::from(body)).unwrap();
        let answer = self.router.clone().oneshot(request).await.unwrap();
        let status = answer.status().as_u16();
        let body = axum::body::to_bytes(answer.into_body(), usize::MAX).await;
        (status, body.unwrap().to_vec())
    }

    /// The answer with its patch decoded.
    async fn answer(&self, path: &str, review: &Value) -> Value {
        let (status, body) = self.post(path, review.to_string().into_bytes()).await;
        assert_eq!(status, 200);
        let mut answer: Value = serde_json::from_slice(&body).unwrap();
        if let Some(patch) = answer["response"].get_mut("patch") {
            *patch = decoded(patch);
        }
        answer
    }
}

fn source(name: &str) -> SourceKey {
    SourceKey {
        namespace: NAMESPACE.to_owned(),
        source: SourceName::secret(name),
    }
}

/// Has Secret `db`, and nothing else: no pods either.
async fn api_server(
    request: Request<kube::client::Body>,
) -> Result<Response<Body>, std::convert::Infallible> {
    let found = request.uri().path() == format!("/api/v1/namespaces/{NAMESPACE}/secrets/db");
    let lists = ["/replicasets", "/pods"];
    let lists = lists
        .iter()
        .any(|kind| request.uri().path().ends_with(kind));
    let (status, body) = if found {
        (200, db_now())
    } else if lists {
        (200, json!({ "metadata": {}, "items": [] }))
    } else {
        (
            404,
            json!({ "kind": "Status", "status": "Failure", "code": 404, "reason": "NotFound" }),
        )
    };
    let body = Body::from(body.to_string());
    Ok(Response::builder().status(status).body(body).unwrap())
}

/// The operations of a base64 patch.
fn decoded(patch: &Value) -> Value {
    let bytes: k8s_openapi::ByteString = serde_json::from_value(patch.clone()).unwrap();
    serde_json::from_slice(&bytes.0).unwrap()
}

/// The object as the API server goes on with it.
fn patched(review: &Value, answer: &Value) -> Value {
    let mut object = review["request"]["object"].clone();
    if let Some(patch) = answer["response"].get("patch") {
        let patch: json_patch::Patch = serde_json::from_value(patch.clone()).unwrap();
        json_patch::patch(&mut object, &patch).unwrap();
    }
    object
}

// === answers ===

#[tokio::test]
async fn answers() {
    for (name, path) in REVIEWS {
        let webhook = if name == "secret-create" {
            let mut before = db();
            before["metadata"]["uid"] = json!("the one before");
            let webhook = Webhook::that_knows(before);
            let mut index = webhook.state.index_mut();
            index.delete_source(&source("db"), u64::MAX, 0);
            drop(index);
            webhook
        } else {
            Webhook::new()
        };
        let answer = webhook.answer(path, &read(name)).await;
        insta::assert_snapshot!(name, format!("{answer:#}"));
    }
}

#[test]
fn every_review_is_answered() {
    let folder = format!("{}/tests/data", env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    let mut known: Vec<_> = REVIEWS.map(|(name, _)| format!("{name}.json")).into();
    files.sort();
    known.sort();
    assert_eq!(files, known);
}

/// A user writes again what is stored already, without reroll's annotations or with others in their place.
#[tokio::test]
async fn own_annotations_are_kept() {
    let webhook = Webhook::new();
    let review = read("deployment-update");
    let answer = webhook.answer(WORKLOADS_PATH, &review).await;
    let stored = patched(&review, &answer);
    let mut again = review.clone();
    again["request"]["oldObject"] = stored.clone();
    for (name, change) in [
        ("deployment-replace", Value::Null),
        ("deployment-pinned", json!("forged")),
    ] {
        let mut object = stored.clone();
        for (map, key) in [
            ("/metadata/annotations", "reroll.dev/observed"),
            (
                "/spec/template/metadata/annotations",
                "reroll.dev/restarted-for",
            ),
        ] {
            let map = object.pointer_mut(map).unwrap().as_object_mut().unwrap();
            assert!(map.remove(key).is_some());
            if !change.is_null() {
                map.insert(key.to_owned(), change.clone());
            }
        }
        again["request"]["object"] = object;
        let answer = webhook.answer(WORKLOADS_PATH, &again).await;
        assert_eq!(patched(&again, &answer), stored, "{name}");
        insta::assert_snapshot!(name, format!("{answer:#}"));
    }
    // Nothing is left to be done.
    again["request"]["object"] = stored;
    let answer = webhook.answer(WORKLOADS_PATH, &again).await;
    assert_eq!(
        answer["response"],
        json!({ "uid": review["request"]["uid"], "allowed": true })
    );
}

#[tokio::test]
async fn own_writes_pass_untouched() {
    let webhook = Webhook::new();
    let review = read("deployment-update");
    let own = |user: &str, manager: &str| {
        let mut own = review.clone();
        own["request"]["userInfo"]["username"] = json!(user);
        own["request"]["options"]["fieldManager"] = json!(manager);
        own
    };
    let answer = webhook
        .answer(WORKLOADS_PATH, &own(OWN_USER, FIELD_MANAGER))
        .await;
    assert_eq!(
        answer["response"],
        json!({ "uid": review["request"]["uid"], "allowed": true })
    );
    // A user who has reroll's kubeconfig, or whose tool calls itself reroll, is not reroll.
    for (user, manager) in [(OWN_USER, "kubectl"), ("someone", FIELD_MANAGER)] {
        let answer = webhook.answer(WORKLOADS_PATH, &own(user, manager)).await;
        assert!(answer["response"]["patch"].is_array(), "{user} {manager}");
    }
}

#[tokio::test]
async fn a_deletion_says_when_the_same_data_restarts_nothing() {
    let mut db = db();
    let mut deletes = read("secret-delete");
    let owner = json!([{ "apiVersion": "v1", "kind": "ConfigMap", "name": "boss", "uid": "b" }]);
    for (owners, when) in [
        (Value::Null, "it restarts when the Secret is back"),
        (
            owner,
            "it restarts if the Secret comes back with other data",
        ),
    ] {
        db["metadata"]["ownerReferences"] = owners;
        deletes["request"]["oldObject"] = db.clone();
        let answer = Webhook::that_knows(db.clone())
            .answer(SOURCES_PATH, &deletes)
            .await;
        let said = answer["response"]["warnings"].to_string();
        assert!(said.contains(when), "{said}");
    }
}

#[tokio::test]
async fn a_change_of_what_people_hold_says_who_holds_it() {
    let (webhook, review) = (Webhook::new(), read("secret-update"));
    let says = "says reroll.dev/suspend: INC-42: Secret db does not restart Deployment web yet";
    let said = || Some("INC-42".to_owned());
    let set = |place: Place, said| {
        let index = &mut webhook.state.index_mut();
        match place {
            Place::Namespace => gates::set_namespace_stop(index, NAMESPACE, said),
            _ => gates::set_stop(index, said),
        }
    };
    for (place, who) in [
        (Place::Lease, "reroll's Lease".to_owned()),
        (Place::Namespace, format!("Namespace {NAMESPACE}")),
    ] {
        // The nearer one is named.
        assert!(set(place, said()));
        let answer = webhook.answer(SOURCES_PATH, &review).await;
        let warnings = &answer["response"]["warnings"];
        assert_eq!(*warnings, json!([format!("reroll: {who} {says}")]));
    }
    set(Place::Lease, None);
    set(Place::Namespace, None);
    let answer = webhook.answer(SOURCES_PATH, &review).await;
    let restarts = "reroll: Secret db restarts Deployment web";
    assert_eq!(answer["response"]["warnings"], json!([restarts]));
    // What nobody can read holds as well.
    let window = Some(Window::read("at night"));
    windows::set_namespace(&mut webhook.state.index_mut(), NAMESPACE, window);
    let answer = webhook.answer(SOURCES_PATH, &review).await;
    let unread =
        "reroll: correct reroll.dev/window, which cannot be read, and holds: Deployment web";
    assert_eq!(answer["response"]["warnings"], json!([unread, restarts]));
}

#[tokio::test]
async fn a_dry_run_leaves_no_trace() {
    let webhook = Webhook::new();
    let real = [
        ("secret-update", 1),
        ("secret-delete", 1),
        ("secret-delete-dry-run", 0),
    ];
    for (name, claims) in real {
        webhook.answer(SOURCES_PATH, &read(name)).await;
        let due = webhook
            .state
            .provisional()
            .take_due(Duration::ZERO, tokio::time::Instant::now());
        assert_eq!(due.len(), claims, "{name}");
    }
    let mut dry = read("secret-update");
    dry["request"]["dryRun"] = json!(true);
    // It warns all the same: this is how a person asks what would happen.
    let answer = webhook.answer(SOURCES_PATH, &dry).await;
    let wet = webhook.answer(SOURCES_PATH, &read("secret-update")).await;
    assert_eq!(answer, wet);
    assert!(answer["response"]["warnings"].is_array());
}

// === bytes ===

const ROUNDS: u64 = 20_000;

/// What counts of a review; everything else in it may be anything that looks like JSON.
#[derive(Deserialize)]
struct Sent {
    request: SentRequest,
}

#[derive(Deserialize)]
struct SentRequest {
    #[serde(default)]
    uid: Value,
    #[serde(default)]
    object: Value,
}

/// Changes a few bytes of a body, in ways that keep many of them readable.
fn mutate(body: &mut Vec<u8>, random: &mut fastrand::Rng) {
    const BYTES: &[u8] = b"{}[]\",:\\/~0159-+.eE \n\0\x7f\xff\xc3\xf0unftTA";
    for _ in 0..random.u8(1..=4) {
        let length = body.len();
        if length == 0 {
            return;
        }
        let at = random.usize(0..length);
        let end = length.min(at + random.usize(1..40));
        match random.u8(0..8) {
            0 => body[at] = random.u8(..),
            1 => body[at] = BYTES[random.usize(0..BYTES.len())],
            2 => body.insert(at, BYTES[random.usize(0..BYTES.len())]),
            3 => drop(body.drain(at..end)),
            4 => {
                let part = body[at..end].to_vec();
                let to = random.usize(0..length);
                body.splice(to..to, part);
            }
            5 if random.u8(0..4) == 0 => body.truncate(at),
            // A whole value becomes another one: what follows a colon up to the next comma.
            _ => {
                let from = body[at..].iter().position(|byte| *byte == b':');
                let Some(from) = from.map(|from| at + from + 1) else {
                    continue;
                };
                let to = body[from..].iter().position(|byte| b",}]".contains(byte));
                let to = to.map_or(length, |to| from + to);
                let values: [&[u8]; 8] = [
                    b"null",
                    b"5",
                    b"\"x\"",
                    b"{}",
                    b"[]",
                    b"true",
                    b"1e999",
                    b"{\"a\":{\"b\":[null]}}",
                ];
                let value = values[random.usize(0..values.len())];
                body.splice(from..to, value.iter().copied());
            }
        }
    }
}

#[tokio::test]
async fn mutated_reviews_are_answered_or_refused() {
    let webhook = Webhook::new();
    let bodies = REVIEWS.map(|(name, path)| (path, read(name).to_string().into_bytes()));
    let (mut refused, mut broken, mut patched) = (0, 0, 0);
    for round in 0..ROUNDS {
        let mut random = fastrand::Rng::with_seed(round);
        let (path, mut body) = bodies[random.usize(0..bodies.len())].clone();
        mutate(&mut body, &mut random);
        let (status, answer) = webhook.post(path, body.clone()).await;
        let sent: Option<Sent> = serde_json::from_slice(&body).ok();
        let sent_uid = sent
            .as_ref()
            .and_then(|review| review.request.uid.as_str())
            .filter(|uid| !uid.is_empty());
        if status == 400 {
            assert_eq!(
                sent_uid, None,
                "round {round}: refused although it has a uid"
            );
            refused += 1;
            continue;
        }
        assert_eq!(status, 200, "round {round}");
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        let response = &answer["response"];
        assert_eq!(response["allowed"], true, "round {round}");
        let uid = response["uid"].as_str().unwrap();
        assert!(!uid.is_empty(), "round {round}");
        if let Some(sent_uid) = sent_uid {
            assert_eq!(uid, sent_uid, "round {round}");
        }
        broken += u32::from(sent.is_none());
        if let Some(patch) = response.get("patch") {
            let operations: json_patch::Patch = serde_json::from_value(decoded(patch)).unwrap();
            // Fields that reroll does not read may hold what this test cannot, such as a number beyond all bounds.
            let Some(sent) = sent else { continue };
            let mut object = sent.request.object;
            json_patch::patch(&mut object, &operations)
                .unwrap_or_else(|error| panic!("round {round}: {error}"));
            patched += 1;
        }
    }
    // All of these ways were taken.
    let least = ROUNDS / 100;
    for count in [refused, broken, patched] {
        assert!(u64::from(count) > least, "{refused} {broken} {patched}");
    }
}
