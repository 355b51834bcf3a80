//! Any client can reach the webhook's port. Whatever it sends gets the right answer, kills nothing, and delays no other
//! client.

use std::{os::unix::fs::symlink, path::Path, time::Duration};

use axum::body::{Body, Bytes};
use futures::{StreamExt as _, future::join_all, stream};
use reroll::{
    state::system_clock,
    webhook::{
        routes::{SOURCES_PATH, WORKLOADS_PATH},
        tls::{Authority, Issued},
    },
};
use reroll_harness::{
    Arena, Https, PATIENCE, Reroll, deployment, eventually, generate::review, secret,
};
use rustls::version::{TLS12, TLS13};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::registration::{cluster, registration};

const LIFETIME: Duration = Duration::from_hours(365 * 24);
const UID: &str = "6f0a4f0e-0000-4000-8000-000000000001";
const PATHS: [&str; 2] = [SOURCES_PATH, WORKLOADS_PATH];

/// The answer echoes the uid, allows, and changes nothing.
#[track_caller]
fn assert_allowed(what: &str, (status, body): &(u16, String)) -> Value {
    assert_eq!(*status, 200, "{what}: {body}");
    let answer: Value = serde_json::from_str(body).unwrap();
    assert_eq!(answer["apiVersion"], "admission.k8s.io/v1", "{what}");
    assert_eq!(answer["kind"], "AdmissionReview", "{what}");
    assert_eq!(answer["response"]["uid"], UID, "{what}");
    assert_eq!(answer["response"]["allowed"], true, "{what}");
    assert_eq!(answer["response"].get("patch"), None, "{what}: {body}");
    answer["response"]["warnings"].clone()
}

/// It works, has not been started anew, and no handler has panicked.
async fn assert_unharmed(reroll: &mut Reroll) {
    reroll.ready().await;
    assert!(!reroll.log().contains("panic"), "{}", reroll.log());
    assert_eq!(reroll.log().matches("serving admission reviews").count(), 1);
}

/// Reviews with a uid that cannot be used.
fn odd_reviews(namespace: &str) -> Vec<Value> {
    let object = deployment("web", "db", "k");
    let mut odd = Vec::new();
    for (field, value) in [
        ("kind", json!("Pod")),
        ("kind", json!(null)),
        ("apiVersion", json!("admission.k8s.io/v9")),
        ("apiVersion", json!(7)),
    ] {
        let mut review = review("CREATE", &object, &Value::Null);
        review[field] = value;
        odd.push(review);
    }
    for (field, value) in [
        (
            "kind",
            json!({ "group": "", "version": "v1", "kind": "Pod" }),
        ),
        ("kind", json!("Secret")),
        ("operation", json!("CONNECT")),
        ("operation", json!(null)),
        ("namespace", json!("")),
        ("userInfo", json!("someone")),
        ("subResource", json!("status")),
        ("dryRun", json!("yes")),
        ("options", json!({ "fieldManager": {} })),
    ] {
        for operation in ["CREATE", "UPDATE", "DELETE"] {
            let mut review = review(operation, &object, &object);
            review["request"][field] = value.clone();
            odd.push(review);
        }
    }
    let kinds = [("", "Secret"), ("", "ConfigMap"), ("apps", "Deployment")];
    for value in [
        json!(null),
        json!(5),
        json!("x"),
        json!([]),
        json!({}),
        json!({ "metadata": 5 }),
        json!({ "metadata": { "name": {} } }),
        json!({ "metadata": { "name": "web", "annotations": { "reroll.dev/restart-on": 5 } } }),
        json!({ "metadata": { "name": "web", "annotations": [] }, "spec": { "template": {} } }),
        json!({ "metadata": { "name": "db" }, "data": [] }),
        json!({ "metadata": { "name": "db" }, "data": { "k": "not base64 !" } }),
        json!({ "metadata": { "name": "db" }, "data": { "k": 5 }, "binaryData": "x" }),
        json!({ "metadata": { "name": "web", "annotations": { "reroll.dev/restart-on": "auto" } }, "spec": { "template": [] } }),
        json!({ "metadata": { "name": "web", "annotations": { "reroll.dev/restart-on": "auto" } }, "spec": 5 }),
        json!({ "metadata": { "annotations": { "reroll.dev/restart-on": "auto" } }, "spec": { "template": {} } }),
    ] {
        for (group, kind) in kinds {
            for operation in ["CREATE", "UPDATE", "DELETE"] {
                let mut review = review(operation, &value, &value);
                review["request"]["namespace"] = json!(namespace);
                review["request"]["kind"] =
                    json!({ "group": group, "version": "v1", "kind": kind });
                odd.push(review);
            }
        }
    }
    odd
}

#[tokio::test]
async fn garbage_is_answered_and_harms_nobody() {
    let arena = Arena::new("hostile-garbage").await;
    let mut reroll = arena.reroll().start().await;
    arena.secret("db", &[("k", "one")]).await;
    arena.create(&deployment("web", "db", "k")).await;
    let recorder = arena.record().await;
    let https = Https::to(&mut reroll, &arena).await;

    let mut plain = TcpStream::connect(&https.address).await.unwrap();
    plain
        .write_all(b"POST /admit/sources HTTP/1.1\r\nHost: reroll\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    let end = tokio::time::timeout(PATIENCE, plain.read_to_end(&mut answer)).await;
    assert!(end.is_ok(), "a client without TLS is not hung up on");
    assert!(!answer.starts_with(b"HTTP"), "served without TLS");
    eventually("the failed handshake is counted", async || {
        let failed = reroll.metric("reroll_tls_handshake_failures_total").await;
        (failed >= 1.0).then_some(())
    })
    .await;

    let deep = "[".repeat(1 << 20);
    let no_reviews: [&[u8]; 12] = [
        b"",
        b"no JSON",
        b"null",
        b"5",
        b"[]",
        b"{}",
        b"\xff\xfe{}",
        b"{\"request\":null}",
        b"{\"request\":{}}",
        b"{\"request\":{\"uid\":\"\"}}",
        b"{\"kind\":\"AdmissionReview\",\"request\":{\"uid\":5,\"kind\":{}}}",
        deep.as_bytes(),
    ];
    for path in PATHS {
        for body in no_reviews {
            let (status, text) = https.post(path, body.to_vec()).await;
            assert_eq!(status, 400, "{:?}: {text}", String::from_utf8_lossy(body));
        }
        assert_eq!(https.request("GET", path, Body::empty()).await.0, 405);
    }
    assert_eq!(https.post("/admit/nobody", "{}").await.0, 404);

    for review in odd_reviews(&arena.namespace) {
        for path in PATHS {
            let what = format!("{path}: {review}");
            assert_allowed(&what, &https.post(path, review.to_string()).await);
        }
    }
    // It breaks off, or is no text, after the uid.
    let whole = review("CREATE", &Value::Null, &Value::Null).to_string();
    let at = whole.find(UID).unwrap() + UID.len() + 1;
    let sorted = format!(
        "{{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\",\"request\":{{\"uid\":\"{UID}\","
    );
    for body in [
        whole.as_bytes()[..at].to_vec(),
        [sorted.as_bytes(), b"\"object\":{\"\xff\":"].concat(),
        [sorted.as_bytes(), deep.as_bytes()].concat(),
    ] {
        let what = String::from_utf8_lossy(&body[..200.min(body.len())]).into_owned();
        let warnings = assert_allowed(&what, &https.post(WORKLOADS_PATH, body).await);
        assert!(warnings[0].as_str().unwrap().contains("could not read"));
    }

    arena.update_secret("db", &[("k", "two")]).await;
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 1);
    assert_unharmed(&mut reroll).await;
    let (_, metrics) = reroll.http("/metrics").await.unwrap();
    for outcome in ["not_a_review", "undecodable", "allowed", "ignored"] {
        let label = format!("outcome=\"{outcome}\"");
        assert!(metrics.contains(&label), "{outcome}: {metrics}");
    }
}

#[tokio::test]
async fn a_body_too_large_is_allowed_by_the_uid_at_its_start() {
    const LARGE: usize = 20 << 20;
    let arena = Arena::new("hostile-large").await;
    let mut reroll = arena.reroll().start().await;
    arena.secret("db", &[("k", "one")]).await;
    arena.create(&deployment("web", "db", "k")).await;
    let recorder = arena.record().await;
    let https = Https::to(&mut reroll, &arena).await;
    let start = format!(
        "{{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1\",\"request\":{{\"uid\":\"{UID}\",\"object\":\""
    );
    let large = Bytes::from([start.as_bytes(), &vec![b'x'; LARGE]].concat());
    let chunks = |body: &Bytes| {
        let pieces: Vec<_> = body.chunks(100_000).map(Bytes::copy_from_slice).collect();
        Body::from_stream(stream::iter(pieces).map(Ok::<_, std::io::Error>))
    };
    for path in PATHS {
        for body in [Body::from(large.clone()), chunks(&large)] {
            let warnings = assert_allowed(path, &https.post(path, body).await);
            assert!(warnings[0].as_str().unwrap().contains("could not read"));
        }
        let nameless = Bytes::from(vec![b' '; LARGE]);
        for body in [Body::from(nameless.clone()), chunks(&nameless)] {
            assert_eq!(https.post(path, body).await.0, 413);
        }
    }
    // Many at once do not keep small ones out.
    let crowd = join_all((0..8).map(|_| https.post(WORKLOADS_PATH, large.clone())));
    let (crowd, ()) = tokio::join!(crowd, arena.update_secret("db", &[("k", "two")]));
    for answer in &crowd {
        assert_allowed("one of a crowd", answer);
    }
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 1);
    assert_unharmed(&mut reroll).await;
}

#[tokio::test]
async fn slow_and_silent_clients_are_cut_and_in_nobodys_way() {
    let arena = Arena::new("hostile-slow").await;
    let mut reroll = arena.reroll().start().await;
    arena.secret("db", &[("k", "one")]).await;
    arena.create(&deployment("web", "db", "k")).await;
    let recorder = arena.record().await;
    let https = Https::to(&mut reroll, &arena).await;

    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(TcpStream::connect(&https.address).await.unwrap());
    }
    let mut slow_header = https.connect(&[&TLS13]).await.unwrap();
    slow_header
        .write_all(b"POST /admit/sources HTTP/1.1\r\nHos")
        .await
        .unwrap();
    let mut slow_body = https.connect(&[&TLS13]).await.unwrap();
    slow_body
        .write_all(b"POST /admit/sources HTTP/1.1\r\nHost: reroll\r\nContent-Length: 100000\r\n\r\n{\"kind\":")
        .await
        .unwrap();

    // Meanwhile people work, and their writes are seen.
    let answered = "reroll_admission_requests_total{webhook=\"sources\",operation=\"UPDATE\",outcome=\"allowed\"}";
    let before = reroll.metric(answered).await;
    let edit = json!({ "stringData": { "k": "two" } }).to_string();
    let patch = arena.kubectl(&["patch", "secret", "db", "-p", &edit]).await;
    assert!(
        patch
            .ok()
            .err
            .contains("reroll: Secret db restarts Deployment web")
    );
    assert!(reroll.metric(answered).await > before);
    recorder.reaches("Deployment", "web", 1).await;

    // Nothing else would ever end them.
    let mut answer = String::new();
    let read = slow_body.read_to_string(&mut answer);
    // The connection may be reset after the answer.
    drop(tokio::time::timeout(PATIENCE, read).await.unwrap());
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    let ends = async |stream: &mut (dyn tokio::io::AsyncRead + Unpin + Send)| {
        let mut rest = Vec::new();
        drop(
            tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest))
                .await
                .unwrap(),
        );
    };
    ends(&mut slow_header).await;
    for stream in &mut silent {
        ends(stream).await;
    }

    arena.update_secret("db", &[("k", "three")]).await;
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 2);
    assert_unharmed(&mut reroll).await;
}

/// Reviews that no API server sent: the webhook answers them like any other, and what they claim never happened.
#[tokio::test]
async fn forged_reviews_restart_nothing() {
    let arena = Arena::new("hostile-forged").await;
    let mut reroll = arena.reroll().start().await;
    arena.secret("db", &[("k", "one")]).await;
    arena.create(&deployment("web", "db", "k")).await;
    let recorder = arena.record().await;
    arena.adopted("Deployment", "web").await;
    let https = Https::to(&mut reroll, &arena).await;

    let forged = |operation: &str, object: &Value, old: &Value| {
        let mut review = review(operation, object, old);
        review["request"]["namespace"] = json!(arena.namespace);
        review
    };
    let source = |uid: &str, value: &str| {
        let mut object = secret("db", &[]);
        object["metadata"]["uid"] = json!(uid);
        object["data"] = json!({ "k": value });
        object
    };
    let (old, new) = (source("old", "b25l"), source("new", "dHdv"));
    for review in [
        forged("UPDATE", &source("old", "dHdv"), &old),
        forged("DELETE", &Value::Null, &old),
        forged("CREATE", &new, &Value::Null),
    ] {
        let answer = https.review(SOURCES_PATH, &review).await;
        assert_eq!(answer["allowed"], true);
    }
    // More than the table of provisional intents holds would be slow here; a few hundred names show that it holds up.
    let names = (0..300).map(|number| {
        let mut object = source("some", "b25l");
        object["metadata"]["name"] = json!(format!("s{number}"));
        forged("CREATE", &object, &Value::Null)
    });
    let reviews = names.map(|review| {
        let https = https.clone();
        async move { https.review(SOURCES_PATH, &review).await }
    });
    stream::iter(reviews)
        .buffer_unordered(8)
        .for_each(async |answer| assert_eq!(answer["allowed"], true))
        .await;
    // An update of the workload that never was.
    let live = serde_json::to_value(arena.get("Deployment", "web").await).unwrap();
    let mut other = live.clone();
    other["spec"]["template"]["spec"]["containers"][0]["image"] = json!("evil");
    https
        .review(WORKLOADS_PATH, &forged("UPDATE", &other, &live))
        .await;

    eventually("what was claimed is found to be untrue", async || {
        let expired = reroll
            .metric("reroll_provisional_intents_expired_total")
            .await;
        (expired >= 1.0).then_some(())
    })
    .await;
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 0);
    arena.update_secret("db", &[("k", "two")]).await;
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 1);
    assert_unharmed(&mut reroll).await;
}

// === TLS ===

#[tokio::test]
async fn tls_1_2_is_refused_unless_asked_for() {
    let arena = Arena::new("hostile-tls12").await;
    let mut strict = arena.reroll().start().await;
    let https = Https::to(&mut strict, &arena).await;
    https.connect(&[&TLS13]).await.unwrap();
    let error = https.connect(&[&TLS12]).await.unwrap_err();
    assert!(error.to_string().contains("ProtocolVersion"), "{error}");
    let builder = strict.builder();
    assert!(strict.stop().await);

    let mut lenient = builder.flag("--tls-min-version", "1.2").start().await;
    let https = Https::to(&mut lenient, &arena).await;
    https.connect(&[&TLS13]).await.unwrap();
    let stream = https.connect(&[&TLS12]).await.unwrap();
    assert_eq!(
        stream.get_ref().1.protocol_version(),
        Some(rustls::ProtocolVersion::TLSv1_2)
    );
}

/// A mounted Secret, as a kubelet writes it: `tls.crt -> ..data/tls.crt`, `..data -> ..some-generation`.
struct Volume(tempfile::TempDir);

impl Volume {
    fn with(issued: &Issued) -> Self {
        let volume = Self(tempfile::tempdir().unwrap());
        volume.swap(issued.certificate_pem(), issued.key_pem());
        for name in ["tls.crt", "tls.key"] {
            symlink(Path::new("..data").join(name), volume.0.path().join(name)).unwrap();
        }
        volume
    }

    fn swap(&self, chain: &str, key: &str) {
        let folder = self.0.path();
        let generation = tempfile::Builder::new().prefix("..").tempdir_in(folder);
        let generation = generation.unwrap().keep();
        std::fs::write(generation.join("tls.crt"), chain).unwrap();
        std::fs::write(generation.join("tls.key"), key).unwrap();
        symlink(generation.file_name().unwrap(), folder.join("..data_tmp")).unwrap();
        std::fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
    }

    fn file(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn a_certificate_from_files_is_replaced_while_running() {
    let arena = Arena::new("hostile-certificate").await;
    let now = system_clock()();
    let authority = Authority::new(now, LIFETIME).unwrap();
    let issue = || authority.issue(&["127.0.0.1"], now, LIFETIME).unwrap();
    let (first, second, third) = (issue(), issue(), issue());
    let volume = Volume::with(&first);
    let mut reroll = arena
        .reroll()
        .without("--webhook-url")
        .without("--webhook-name")
        .flag("--tls-cert", &volume.file("tls.crt"))
        .flag("--tls-key", &volume.file("tls.key"))
        .flag("--tls-poll-interval", "200ms")
        .start()
        .await;
    let https = Https::new(reroll.webhook_address().await, authority.pem().as_bytes());
    let registration = registration(&arena, &https.address, &authority);
    registration.apply(&cluster(&arena)).await.unwrap();
    arena.secret("db", &[("k", "0")]).await;
    arena.create(&deployment("web", "db", "k")).await;
    let recorder = arena.record().await;
    let mut number = 0;
    // kubectl's write is seen by the webhook, which warns.
    let mut write = async || {
        number += 1;
        let edit = json!({ "stringData": { "k": number.to_string() } }).to_string();
        let patch = arena.kubectl(&["patch", "secret", "db", "-p", &edit]).await;
        let said = patch.ok().err;
        recorder.reaches("Deployment", "web", number).await;
        arena.adopted("Deployment", "web").await;
        said.contains("reroll: Secret db restarts Deployment web")
    };
    eventually("the API server calls the webhook", async || {
        write().await.then_some(())
    })
    .await;

    assert_eq!(https.certificate().await, der(&first));
    let open = https.connect(&[&TLS13]).await.unwrap();
    volume.swap(second.certificate_pem(), second.key_pem());
    served(&https, &second).await;
    assert!(write().await);
    // Who is connected stays so, with the certificate of then.
    assert_eq!(
        open.get_ref().1.peer_certificates().unwrap()[0],
        der(&first)
    );

    let failures = "reroll_certificate_reload_failures_total";
    assert!(reroll.metric(failures).await < 1.0);
    let broken = [
        (third.certificate_pem(), second.key_pem()),
        ("garbage", "garbage"),
    ];
    for (count, (chain, key)) in (1_i32..).zip(broken) {
        volume.swap(chain, key);
        eventually("the broken pair is counted", async || {
            (reroll.metric(failures).await >= f64::from(count)).then_some(())
        })
        .await;
        assert_eq!(https.certificate().await, der(&second));
        assert!(write().await);
    }
    volume.swap(third.certificate_pem(), third.key_pem());
    served(&https, &third).await;
    assert!(reroll.metric(failures).await < 3.0);
    assert!(write().await);
    assert!(!reroll.log().contains("PRIVATE KEY"));

    let rollouts = recorder.rollouts("Deployment", "web");
    recorder.settle(&arena).await;
    assert_eq!(rollouts, number);
    recorder.expect("Deployment", "web", number);
    registration.remove(&cluster(&arena)).await.unwrap();
    assert_unharmed(&mut reroll).await;
}

fn der(issued: &Issued) -> rustls::pki_types::CertificateDer<'static> {
    use rustls::pki_types::pem::PemObject;
    PemObject::from_pem_slice(issued.certificate_pem().as_bytes()).unwrap()
}

async fn served(https: &Https, issued: &Issued) {
    eventually(
        "new connections are given the new certificate",
        async || (https.certificate().await == der(issued)).then_some(()),
    )
    .await;
}
