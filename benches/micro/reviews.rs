//! The bytes of an `AdmissionReview`, to the bytes of the answer: all that the webhook does between HTTP and HTTP.
//!
//! There is no API server. Where the webhook would read a source from it, the read fails at once, and the webhook
//! answers from memory.

use std::{collections::BTreeMap, hint::black_box, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    http::{Request, Response},
};
use criterion::{BenchmarkId, Criterion, Throughput};
use kube::Client;
use reroll::{
    cluster::Cluster,
    model::{
        Index, SourceKey, SourceKind, SourceName, Version, WorkloadKey,
        workload::{KINDS, Workload},
    },
    ops::metrics::Metrics,
    state::{State, system_clock},
    webhook::{
        routes::{Admission, SOURCES_PATH, WORKLOADS_PATH, router},
        server::{BodyLimits, BodyReader},
    },
};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::made::{NAMESPACE, key, read, secret};

pub(crate) fn measure(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("review");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    // A client has a task.
    let _within = runtime.enter();
    let webhook = webhook();
    for (name, path, review, field) in [
        (
            "secret-2KiB",
            SOURCES_PATH,
            secret_update(2 << 10),
            "warnings",
        ),
        (
            "secret-1MiB",
            SOURCES_PATH,
            secret_update(1 << 20),
            "warnings",
        ),
        (
            "deployment-not-opted-in",
            WORKLOADS_PATH,
            deployment_update(false),
            "allowed",
        ),
        (
            "deployment-template-changed",
            WORKLOADS_PATH,
            deployment_update(true),
            "patch",
        ),
    ] {
        let body = Bytes::from(review.to_string());
        let answer = runtime.block_on(post(&webhook, path, body.clone()));
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        // What is answered says which way was taken.
        let last = ["patch", "warnings", "allowed"]
            .into_iter()
            .find(|field| answer["response"].get(field).is_some());
        assert_eq!(last, Some(field), "{name}: {answer}");
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            bencher.iter(|| runtime.block_on(post(&webhook, path, black_box(body.clone()))));
        });
    }
    group.finish();
}

async fn post(webhook: &Router, path: &str, body: Bytes) -> Bytes {
    let request = Request::post(path).body(Body::from(body)).unwrap();
    let answer = webhook.clone().oneshot(request).await.unwrap();
    assert_eq!(answer.status(), 200);
    axum::body::to_bytes(answer.into_body(), usize::MAX)
        .await
        .unwrap()
}

/// A webhook that knows Deployment `web` and Secret `db`, which it uses.
fn webhook() -> Router {
    let mut index = Index::new(key());
    for kind in SourceKind::ALL {
        index.set_synced(kind);
    }
    let source = SourceKey {
        namespace: NAMESPACE.to_owned(),
        source: SourceName::secret("db"),
    };
    let before = read(&secret_update(32)["request"]["oldObject"]);
    index.apply_source(&source, Version::of_secret(&key(), NAMESPACE, &before));
    let web = WorkloadKey {
        kind: &KINDS[0],
        namespace: NAMESPACE.to_owned(),
        name: "web".to_owned(),
    };
    let object = deployment_update(true)["request"]["oldObject"].clone();
    let object = Workload::read(web.kind, &serde_json::from_value(object).unwrap());
    index.apply_workload(&web, object);
    // Adopted, as soon as a watch brings it, so a Secret that changes has a workload to restart.
    drop(index.judge(&web, &BTreeMap::new()));
    let metrics = Arc::new(Metrics::new());
    let own_user = "system:serviceaccount:reroll:reroll".to_owned();
    router(Admission {
        state: Arc::new(State::new(index, system_clock(), own_user)),
        metrics,
        cluster: Cluster::new(
            Client::new(tower::service_fn(nobody), NAMESPACE),
            Duration::from_millis(250),
        ),
        get_budget: Duration::from_millis(250),
        told: reroll::webhook::warnings::Told::All,
        bodies: BodyReader::new(BodyLimits::default()),
    })
}

async fn nobody(_: Request<kube::client::Body>) -> Result<Response<Body>, std::io::Error> {
    Err(std::io::ErrorKind::ConnectionRefused.into())
}

/// A review as an API server sent it.
fn sent(name: &str) -> Value {
    let path = format!("{}/tests/data/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Both objects have a value of about this many bytes, and not the same.
fn secret_update(bytes: usize) -> Value {
    let mut review = sent("secret-update");
    for (object, bytes) in [("object", bytes), ("oldObject", bytes - 1)] {
        let value = secret("db", 1, bytes)["data"]["key-0"].take();
        review["request"][object]["data"]["password"] = value;
    }
    review
}

/// Another image.
fn deployment_update(opted_in: bool) -> Value {
    let mut review = sent("deployment-update");
    for object in ["object", "oldObject"] {
        let annotations = &mut review["request"][object]["metadata"]["annotations"];
        let asked = annotations
            .as_object_mut()
            .unwrap()
            .remove("reroll.dev/restart-on");
        if opted_in {
            annotations["reroll.dev/restart-on"] = asked.unwrap_or_else(|| json!("auto"));
        }
    }
    review
}
