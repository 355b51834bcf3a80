//! Secrets of types that are neither listed nor watched: Helm's releases by default.

use reroll_harness::{
    Arena, RESTART_ON, Recorder, Reroll, RerollBuilder, deployment, env_optional, eventually,
    proxy::{Answer, Fault, FaultProxy, Matcher, RequestLine, Rule},
    workload,
};
use serde_json::json;

/// The name of a release of Helm's, and one that tells nothing.
const NAMES: [&str; 2] = ["sh.helm.release.v1.app.v1", "app"];
const RELEASES: usize = 20;
const BYTES: usize = 200 << 10;

/// Creates or replaces a Secret of this type.
async fn secret(arena: &Arena, name: &str, of: &str, data: &str) {
    let manifest = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name },
        "type": of, "stringData": { "release": data },
    });
    let apply = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
    arena.kubectl_with(&apply, &manifest.to_string()).await.ok();
}

async fn release(arena: &Arena, name: &str, data: &str) {
    secret(arena, name, "helm.sh/release.v1", data).await;
}

/// Somebody writes the workload, and neither its template nor its opt-in.
async fn write(arena: &Arena, name: &str) {
    let value = fastrand::u64(..).to_string();
    arena
        .annotate("Deployment", name, "example.com/owner", Some(&value))
        .await;
}

async fn expect(arena: &Arena, recorder: &Recorder, name: &str, rollouts: usize) {
    recorder.reaches("Deployment", name, rollouts).await;
    recorder.settle(arena).await;
    recorder.expect("Deployment", name, rollouts);
}

/// Whether a request lists or watches Secrets.
fn lists(request: &RequestLine) -> bool {
    request.method == "GET" && request.path.ends_with("/secrets")
}

/// Returns how many bytes lists and watches of Secrets brought.
fn brought(proxy: &FaultProxy) -> usize {
    let all = proxy.requests();
    let bytes = all
        .iter()
        .filter(|request| lists(request))
        .map(|request| request.received);
    usize::try_from(bytes.sum::<u64>()).unwrap()
}

#[tokio::test]
async fn releases_are_not_sent() {
    let arena = Arena::new("releases").await;
    let names = (0..RELEASES).map(|number| format!("sh.helm.release.v1.app.v{number}"));
    let names: Vec<_> = names.collect();
    for name in &names {
        release(&arena, name, &"x".repeat(BYTES)).await;
    }
    let start = async |proxy: &FaultProxy, builder: RerollBuilder, data: &str| {
        let reroll = builder.kubeconfig(proxy.kubeconfig()).start().await;
        let recorder = arena.record().await;
        for name in &names {
            release(&arena, name, &data.repeat(BYTES)).await;
        }
        recorder.settle(&arena).await;
        drop(reroll);
    };
    let proxy = FaultProxy::start(arena.cluster.kubeconfig()).await.unwrap();
    start(&proxy, arena.reroll(), "y").await;
    let selects = "fieldSelector=type%21%3Dhelm.sh%2Frelease.v1";
    let without = proxy.count(|request| lists(request) && !request.query.contains(selects));
    assert_eq!(without, 0, "{:#?}", proxy.requests());
    assert!(proxy.count(lists) > 0);
    let sent = brought(&proxy);
    assert!(sent < BYTES, "{sent} bytes");
    // That they would be.
    let proxy = FaultProxy::start(arena.cluster.kubeconfig()).await.unwrap();
    start(&proxy, arena.reroll().flag("--skip-secret-types", ""), "z").await;
    let sent = brought(&proxy);
    assert!(sent > 2 * RELEASES * BYTES, "{sent} bytes");
}

#[tokio::test]
async fn a_workload_that_names_one_restarts_once_when_it_is_written() {
    for webhook in [true, false] {
        let arena = Arena::new("names-release").await;
        let builder = arena.reroll();
        let builder = if webhook {
            builder
        } else {
            builder.without_webhook()
        };
        let _reroll = builder.start().await;
        let recorder = arena.record().await;
        for (number, secret) in NAMES.into_iter().enumerate() {
            let web = format!("web-{number}");
            release(&arena, secret, "one").await;
            arena.create(&deployment(&web, secret, "release")).await;
            let source = format!("secret/{secret}");
            let is_seen = |entry: &serde_json::Value| entry["u"].is_string();
            arena.observes("Deployment", &web, &source, is_seen).await;
            expect(&arena, &recorder, &web, 0).await;
            // Nobody is told.
            release(&arena, secret, "two").await;
            expect(&arena, &recorder, &web, 0).await;
            write(&arena, &web).await;
            expect(&arena, &recorder, &web, 1).await;
            write(&arena, &web).await;
            expect(&arena, &recorder, &web, 1).await;
            // The template's own rollout has it already, where the webhook sees the write.
            release(&arena, secret, "three").await;
            arena
                .edit_container("Deployment", &web, "image", json!("registry.example/app:2"))
                .await;
            let rollouts = if webhook { 2 } else { 3 };
            expect(&arena, &recorder, &web, rollouts).await;
            arena.delete("Secret", secret).await;
            write(&arena, &web).await;
            expect(&arena, &recorder, &web, rollouts).await;
            release(&arena, secret, "three").await;
            write(&arena, &web).await;
            expect(&arena, &recorder, &web, rollouts + 1).await;
        }
    }
}

#[tokio::test]
async fn a_name_may_change_its_type() {
    let arena = Arena::new("changes-type").await;
    let _reroll = arena.reroll().start().await;
    let recorder = arena.record().await;
    release(&arena, "app", "one").await;
    arena.create(&deployment("web", "app", "release")).await;
    arena.adopted("Deployment", "web").await;
    // From here on a watch shows it.
    arena.delete("Secret", "app").await;
    secret(&arena, "app", "Opaque", "one").await;
    expect(&arena, &recorder, "web", 1).await;
    secret(&arena, "app", "Opaque", "two").await;
    expect(&arena, &recorder, "web", 2).await;
    arena.delete("Secret", "app").await;
    release(&arena, "app", "two").await;
    write(&arena, "web").await;
    expect(&arena, &recorder, "web", 3).await;
}

#[tokio::test]
async fn a_sweep_sees_what_changed() {
    let arena = Arena::new("sweeps-release").await;
    let _reroll = arena.reroll().flag("--sweep-interval", "1s").start().await;
    let recorder = arena.record().await;
    for (number, secret) in NAMES.into_iter().enumerate() {
        let web = format!("web-{number}");
        release(&arena, secret, "one").await;
        arena.create(&deployment(&web, secret, "release")).await;
        arena.adopted("Deployment", &web).await;
        for (rollouts, data) in [(1, "two"), (2, "three")] {
            release(&arena, secret, data).await;
            expect(&arena, &recorder, &web, rollouts).await;
        }
    }
}

/// What is absent when reroll starts may be deleted, of an optional reference. It restarts workloads that ask for that.
#[tokio::test]
async fn a_start_takes_none_for_deleted() {
    let arena = Arena::new("starts-release").await;
    let reroll = arena.reroll().start().await;
    let asks = [(RESTART_ON, "auto"), ("reroll.dev/on-delete", "restart")];
    let of = |web: &str, secret: &str| {
        workload("Deployment", web, &asks, env_optional(secret, "release"))
    };
    for (number, secret) in NAMES.into_iter().enumerate() {
        release(&arena, secret, "one").await;
        arena.create(&of(&format!("web-{number}"), secret)).await;
        arena.adopted("Deployment", &format!("web-{number}")).await;
    }
    let recorder = arena.record().await;
    let each = |rollouts| (0..NAMES.len()).map(move |number| (format!("web-{number}"), rollouts));
    // It is not read: nothing is known of it.
    let proxy = FaultProxy::start(arena.cluster.kubeconfig()).await.unwrap();
    let reads = Matcher::any()
        .method("GET")
        .when(|request| request.path.contains("/secrets/"));
    let refused = reads.when(|request| {
        NAMES
            .iter()
            .any(|name| request.path.ends_with(&format!("/{name}")))
    });
    let refused = proxy.add(Rule::new(
        refused,
        Fault::Answer(Answer::status(403, "Forbidden", "no")),
    ));
    let builder = reroll.builder().kubeconfig(proxy.kubeconfig());
    assert!(reroll.stop().await);
    let reroll = builder.start().await;
    let log = "cannot read a source to decide about a workload";
    eventually("it says so", async || {
        reroll.log().contains(log).then_some(())
    })
    .await;
    recorder.settle(&arena).await;
    recorder.expect_each("Deployment", each(0));
    proxy.remove(refused);
    recorder.settle(&arena).await;
    recorder.expect_each("Deployment", each(0));
    // It changes while reroll is away.
    let reroll = restarted(reroll, async || {
        for name in NAMES {
            release(&arena, name, "two").await;
        }
    })
    .await;
    for (web, rollouts) in each(1) {
        expect(&arena, &recorder, &web, rollouts).await;
    }
    // Nothing changes; then it is deleted.
    let reroll = restarted(reroll, async || ()).await;
    recorder.settle(&arena).await;
    recorder.expect_each("Deployment", each(1));
    let _reroll = restarted(reroll, async || {
        for name in NAMES {
            arena.delete("Secret", name).await;
        }
    })
    .await;
    for (web, rollouts) in each(2) {
        expect(&arena, &recorder, &web, rollouts).await;
    }
}

async fn restarted(reroll: Reroll, meanwhile: impl AsyncFnOnce()) -> Reroll {
    let builder = reroll.builder();
    assert!(reroll.stop().await);
    meanwhile().await;
    builder.start().await
}

/// What nobody observed yet is not adopted as absent: when it is read then, it would seem to be created.
#[tokio::test]
async fn an_adoption_takes_none_for_absent() {
    let arena = Arena::new("adopts-release").await;
    let pod = |secret| env_optional(secret, "release");
    for (number, secret) in NAMES.into_iter().enumerate() {
        release(&arena, secret, "one").await;
        let web = format!("web-{number}");
        let asks = [(RESTART_ON, "auto")];
        arena
            .create(&workload("Deployment", &web, &asks, pod(secret)))
            .await;
    }
    let _reroll = arena.reroll().without_webhook().start().await;
    let recorder = arena.record().await;
    let is_seen = |entry: &serde_json::Value| entry["u"].is_string();
    for (number, secret) in NAMES.into_iter().enumerate() {
        let (web, source) = (format!("web-{number}"), format!("secret/{secret}"));
        arena.observes("Deployment", &web, &source, is_seen).await;
        expect(&arena, &recorder, &web, 0).await;
    }
}
