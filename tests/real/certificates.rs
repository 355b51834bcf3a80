//! Certificates that reroll keeps for itself: they are renewed without a failed request, and repaired when a user
//! spoils them.
//!
//! The configurations of these tests say `failurePolicy: Fail`, so that each call that the API server cannot make is a
//! failed request of the user's.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use jiff::Timestamp;
use k8s_openapi::{
    ByteString,
    api::{
        admissionregistration::v1::{MutatingWebhookConfiguration, ValidatingWebhookConfiguration},
        core::v1::Secret,
    },
};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams},
};
use reroll::{state::system_clock, webhook::tls::Authority};
use reroll_harness::{Arena, Https, PATIENCE, Reroll, RerollBuilder, eventually};
use rustls::version::TLS13;
use serde_json::json;
use tokio::task::JoinHandle;

use crate::registration::{cluster, registration};

const SECRET: &str = "webhook-tls";

fn keeping(arena: &Arena, leaf: &str, authority: &str) -> RerollBuilder {
    let reroll = arena
        .reroll()
        .without("--webhook-url")
        .without("--webhook-name");
    reroll
        .flag("--certificates-secret", SECRET)
        .flag("--webhook-hosts", "127.0.0.1,reroll.reroll.svc")
        .flag("--webhook-configurations", &arena.namespace)
        .flag("--certificate-lifetime", leaf)
        .flag("--authority-lifetime", authority)
        .flag("--tls-poll-interval", "200ms")
}

fn secrets(arena: &Arena) -> Api<Secret> {
    Api::namespaced(arena.client.clone(), &arena.own_namespace)
}

/// Creates what a chart would: configurations that trust nothing yet. They insist on an answer once they trust an
/// authority.
async fn register(arena: &Arena, reroll: &mut Reroll) {
    let stranger = Authority::new(system_clock()(), Duration::from_hours(1)).unwrap();
    let address = reroll.webhook_address().await;
    let registration = registration(arena, &address, &stranger);
    registration.apply(&cluster(arena)).await.unwrap();
    let before = stranger.pem().as_bytes().to_vec();
    eventually("the configurations trust it", async || {
        (bundle(arena).await != before).then_some(())
    })
    .await;
    eventually("the API server calls it", async || {
        reroll_is_called(arena, reroll).await.then_some(())
    })
    .await;
    // A call that takes long on a busy machine is none that cannot be made.
    let lines = |number| {
        [("failurePolicy", json!("Fail")), ("timeoutSeconds", json!(30))].map(|(field, value)| {
            json!({ "op": "replace", "path": format!("/webhooks/{number}/{field}"), "value": value })
        })
    };
    let fail = |count: usize| {
        Patch::<()>::Json(serde_json::from_value((0..count).flat_map(lines).collect()).unwrap())
    };
    let params = PatchParams::default();
    validating(arena)
        .patch(&arena.namespace, &params, &fail(1))
        .await
        .unwrap();
    let mutating = Api::<MutatingWebhookConfiguration>::all(arena.client.clone());
    mutating
        .patch(&arena.namespace, &params, &fail(2))
        .await
        .unwrap();
}

async fn reroll_is_called(arena: &Arena, reroll: &Reroll) -> bool {
    let seen = async || {
        let (_, body) = reroll.http("/metrics").await.unwrap();
        let lines = body
            .lines()
            .filter(|line| line.starts_with("reroll_admission_requests_total"));
        lines
            .map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap())
            .sum::<f64>()
    };
    let before = seen().await;
    let probe = format!("probe-{}", fastrand::u32(..));
    arena.config_map(&probe, &[]).await;
    seen().await > before
}

fn validating(arena: &Arena) -> Api<ValidatingWebhookConfiguration> {
    Api::all(arena.client.clone())
}

/// What API servers trust.
async fn bundle(arena: &Arena) -> Vec<u8> {
    let configuration = validating(arena).get(&arena.namespace).await.unwrap();
    let entry = configuration.webhooks.unwrap().remove(0);
    entry.client_config.ca_bundle.unwrap_or_default().0
}

/// A user who writes a ConfigMap again and again, through the webhook.
struct Writer {
    task: JoinHandle<()>,
    written: Arc<AtomicUsize>,
    failed: Arc<Mutex<Vec<String>>>,
}

impl Writer {
    async fn start(arena: &Arena) -> Self {
        arena.config_map("steady", &[("k", "0")]).await;
        let (written, failed) = (
            Arc::<AtomicUsize>::default(),
            Arc::<Mutex<Vec<_>>>::default(),
        );
        let api = arena.api("ConfigMap");
        let (count, errors) = (Arc::clone(&written), Arc::clone(&failed));
        let task = tokio::spawn(async move {
            for number in 0.. {
                let patch = Patch::Merge(json!({ "data": { "k": format!("{number}") } }));
                match api.patch("steady", &PatchParams::default(), &patch).await {
                    Ok(_) => _ = count.fetch_add(1, Ordering::Relaxed),
                    Err(error) => errors.lock().unwrap().push(error.to_string()),
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        Self {
            task,
            written,
            failed,
        }
    }

    /// No request has failed.
    async fn end(self) {
        eventually("enough was written", async || {
            (self.written.load(Ordering::Relaxed) > 20).then_some(())
        })
        .await;
        self.task.abort();
        assert_eq!(*self.failed.lock().unwrap(), Vec::<String>::new());
    }
}

/// A certificate that was served, and the authorities that were trusted then.
async fn handshake(arena: &Arena, address: &str) -> Vec<u8> {
    let https = Https::new(address.to_owned(), &bundle(arena).await);
    let stream = https
        .connect(&[&TLS13])
        .await
        .expect("what is trusted is served");
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

#[tokio::test]
async fn both_are_renewed_without_a_failed_request() {
    let arena = Arena::new("certificates-renewed").await;
    // Half a minute and a minute: a grace of three seconds, leaves after twenty, authorities after forty.
    let mut reroll = keeping(&arena, "30s", "1m").start().await;
    register(&arena, &mut reroll).await;
    let second = keeping(&arena, "30s", "1m")
        .flag("--instance", "second")
        .start()
        .await;
    let mut second = second;
    let addresses = [
        reroll.webhook_address().await,
        second.webhook_address().await,
    ];
    let writer = Writer::start(&arena).await;
    let first = bundle(&arena).await;
    let began = Instant::now();
    let mut leaves: [Vec<Vec<u8>>; 2] = Default::default();
    let mut bundles = vec![first.clone()];
    // Until the first authority is trusted no more.
    let gone =
        |now: &[u8]| !String::from_utf8_lossy(now).contains(&*String::from_utf8_lossy(&first));
    let served_by_both = |leaves: &[Vec<Vec<u8>>; 2]| leaves[0].last() == leaves[1].last();
    while !gone(bundles.last().unwrap()) || !served_by_both(&leaves) {
        assert!(began.elapsed() < PATIENCE, "the authority is never renewed");
        for (address, served) in addresses.iter().zip(&mut leaves) {
            let leaf = handshake(&arena, address).await;
            if served.last() != Some(&leaf) {
                served.push(leaf);
            }
        }
        let now = bundle(&arena).await;
        if *bundles.last().unwrap() != now {
            bundles.push(now);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    writer.end().await;
    // The old one, both, and the new one alone.
    assert_eq!(bundles.len(), 3, "after {:?}", began.elapsed());
    // One in time, and one by the new authority; each replica serves the same.
    assert!(leaves[0].len() >= 3, "{} leaves", leaves[0].len());
    assert_eq!(leaves[0].len(), leaves[1].len());
    let (_, metrics) = reroll.http("/metrics").await.unwrap();
    let mut repairs = metrics
        .lines()
        .filter(|line| line.starts_with("reroll_certificate_repairs_total"));
    assert!(
        repairs.all(|line| line.ends_with(" 0")),
        "nothing was put right"
    );
}

async fn repaired(reroll: &Reroll, why: &str) {
    let counter = format!("reroll_certificate_repairs_total{{reason=\"{why}\"}}");
    eventually(&format!("it is counted: {why}"), async || {
        (reroll.count(&counter).await > 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_is_deleted_or_changed_is_put_right() {
    let arena = Arena::new("certificates-spoilt").await;
    let mut reroll = keeping(&arena, "2160h", "87600h").start().await;
    register(&arena, &mut reroll).await;
    let address = reroll.webhook_address().await;
    let kept = secrets(&arena).get(SECRET).await.unwrap().data;
    let writer = Writer::start(&arena).await;

    // Deleted: reroll writes it again as it was, and no request fails.
    secrets(&arena)
        .delete(SECRET, &DeleteParams::default())
        .await
        .unwrap();
    repaired(&reroll, "deleted").await;
    assert_eq!(secrets(&arena).get(SECRET).await.unwrap().data, kept);
    handshake(&arena, &address).await;
    writer.end().await;

    // caBundle is put right.
    let trusted = bundle(&arena).await;
    let stranger = Authority::new(system_clock()(), Duration::from_hours(1)).unwrap();
    let wrong = json!([{ "op": "replace", "path": "/webhooks/0/clientConfig/caBundle", "value": ByteString(stranger.pem().as_bytes().to_vec()) }]);
    let patch = Patch::<()>::Json(serde_json::from_value(wrong).unwrap());
    validating(&arena)
        .patch(&arena.namespace, &PatchParams::default(), &patch)
        .await
        .unwrap();
    eventually("it trusts what it did", async || {
        (bundle(&arena).await == trusted).then_some(())
    })
    .await;
    repaired(&reroll, "ca_bundle").await;

    // A leaf that has expired is issued again, by the same authority.
    let text = |field: &str| String::from_utf8(kept.as_ref().unwrap()[field].0.clone()).unwrap();
    let authority = Authority::from_pem(text("ca.crt"), &text("ca.key")).unwrap();
    let past: Timestamp = system_clock()() - Duration::from_hours(10);
    let expired = authority.issue(
        &["127.0.0.1", "reroll.reroll.svc"],
        past,
        Duration::from_hours(1),
    );
    let expired = expired.unwrap();
    write(
        &arena,
        json!({ "tls.crt": expired.certificate_pem(), "tls.key": expired.key_pem() }),
    )
    .await;
    repaired(&reroll, "leaf_expired").await;
    assert_eq!(bundle(&arena).await, trusted);
    handshake(&arena, &address).await;

    // Garbage, the authority's key included: everything anew.
    write(&arena, json!({ "ca.crt": "garbage", "ca.key": "garbage" })).await;
    repaired(&reroll, "unusable").await;
    eventually("another authority is trusted", async || {
        (bundle(&arena).await != trusted).then_some(())
    })
    .await;
    eventually("what is served is trusted", async || {
        let https = Https::new(address.clone(), &bundle(&arena).await);
        https.connect(&[&TLS13]).await.ok()
    })
    .await;
    eventually("the API server calls it", async || {
        reroll_is_called(&arena, &reroll).await.then_some(())
    })
    .await;
    let log = reroll.log();
    assert!(!log.contains("PRIVATE KEY"), "no key in the log");
}

async fn write(arena: &Arena, data: serde_json::Value) {
    let patch = Patch::Merge(json!({ "stringData": data }));
    secrets(arena)
        .patch(SECRET, &PatchParams::default(), &patch)
        .await
        .unwrap();
}

#[tokio::test]
async fn certificates_have_one_source() {
    let arena = Arena::new("certificates-flags").await;
    let keeping = || keeping(&arena, "1h", "2h");
    for (builder, names) in [
        (
            keeping().flag("--webhook-url", "https://127.0.0.1:0"),
            "--webhook-url",
        ),
        (keeping().without("--webhook-hosts"), "--webhook-hosts"),
        (
            keeping().without("--webhook-configurations"),
            "--webhook-configurations",
        ),
        (keeping().flag("--client-ca", "/nonexistent"), "--client-ca"),
    ] {
        let said = builder.end().await;
        assert!(
            !said.ok && said.err.contains(names),
            "{names}: {}",
            said.err
        );
    }
}
