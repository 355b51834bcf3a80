//! The webhook is gone, or accepts calls and never answers: users and controllers go on, and reroll catches up.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::{
    Api,
    api::{DeleteParams, PostParams},
};
use reroll_harness::{Arena, Recorder, deployment, eventually, secret};
use serde_json::{Value, json};

/// `timeoutSeconds` of the webhooks.
const TIMEOUT: Duration = Duration::from_secs(1);
/// How far apart the medians of the same calls of kubectl may be on a busy machine; less than the timeout that is the
/// default, 10 s.
const SLACK: Duration = Duration::from_secs(4);

#[tokio::test]
async fn a_killed_process_is_in_nobodys_way() {
    let arena = Arena::new("gone-killed").await;
    let reroll = arena.reroll().impatient().start().await;
    let recorder = before(&arena).await;
    let builder = reroll.builder();
    reroll.kill();
    let configurations = arena
        .kubectl(&[
            "get",
            "mutatingwebhookconfigurations,validatingwebhookconfigurations",
            "-o",
            "name",
        ])
        .await
        .ok();
    assert_eq!(
        configurations.out.matches(&arena.namespace).count(),
        2,
        "they are left behind"
    );
    let (took, free) = change(&arena).await;
    // The connection is refused, and no user waits.
    assert!(median(&took) < median(&free) + SLACK, "{took:?} {free:?}");
    let _reroll = builder.start().await;
    expect(&arena, &recorder).await;
}

#[tokio::test]
async fn a_process_that_never_answers_costs_a_timeout_per_write() {
    let arena = Arena::new("gone-stopped").await;
    let reroll = arena.reroll().impatient().start().await;
    let recorder = before(&arena).await;
    reroll.signal("STOP");
    let (took, free) = change(&arena).await;
    assert!(
        took.iter().all(|took| *took >= TIMEOUT),
        "every one of these writes is the webhook's business: {took:?}"
    );
    assert!(
        median(&took) < median(&free) + TIMEOUT + SLACK,
        "{took:?} {free:?}"
    );
    reroll.signal("CONT");
    expect(&arena, &recorder).await;
}

#[tokio::test]
async fn a_namespace_goes_away_without_waiting_for_one_that_never_answers() {
    const SECRETS: u32 = 60;
    let arena = Arena::new("gone-namespace").await;
    let covered = Other::new(&arena, "covered", SECRETS).await;
    // What a namespace's end takes here and now, without any webhook.
    let free = Other::new(&arena, "free", SECRETS).await;
    let both = format!("{},{}", arena.namespace, covered.name);
    let reroll = arena
        .reroll()
        .impatient()
        .flag("--namespaces", &both)
        .start()
        .await;
    reroll.signal("STOP");
    // The webhook is there for it: a person's write waits.
    let began = Instant::now();
    covered.create_secret("one-more").await;
    assert!(began.elapsed() >= TIMEOUT);
    let (covered, free) = tokio::join!(covered.end(), free.end());
    // In series, and one timeout each, they would be twice as far apart.
    assert!(
        covered < free + SECRETS / 2 * TIMEOUT,
        "{covered:?}, and {free:?} without a webhook"
    );
}

/// Another namespace.
struct Other {
    name: String,
    namespaces: Api<Namespace>,
    secrets: Api<Secret>,
}

impl Other {
    async fn new(arena: &Arena, name: &str, secrets: u32) -> Self {
        let name = format!("{}-{name}", arena.namespace);
        let other = Self {
            namespaces: Api::all(arena.client.clone()),
            secrets: Api::namespaced(arena.client.clone(), &name),
            name,
        };
        let object = json!({ "metadata": { "name": other.name } });
        let object = serde_json::from_value(object).unwrap();
        let params = PostParams::default();
        other.namespaces.create(&params, &object).await.unwrap();
        for number in 0..secrets {
            other.create_secret(&format!("s{number}")).await;
        }
        other
    }

    async fn create_secret(&self, name: &str) {
        let object = serde_json::from_value(secret(name, &[("k", "one")])).unwrap();
        self.secrets
            .create(&PostParams::default(), &object)
            .await
            .unwrap();
    }

    /// Deletes it. Returns how long it took to go.
    async fn end(self) -> Duration {
        let began = Instant::now();
        let params = DeleteParams::default();
        self.namespaces.delete(&self.name, &params).await.unwrap();
        eventually("the namespace is gone", async || {
            let found = self.namespaces.get_opt(&self.name).await.unwrap();
            found.is_none().then_some(())
        })
        .await;
        began.elapsed()
    }
}

/// What [`change`] works on.
async fn prepare(arena: &Arena) {
    for name in ["updated", "recreated", "untouched"] {
        arena.secret(name, &[("k", "one")]).await;
        arena.create(&deployment(name, name, "k")).await;
    }
    arena.secret("spare", &[("k", "one")]).await;
}

async fn before(arena: &Arena) -> Recorder {
    prepare(arena).await;
    let recorder = arena.record().await;
    arena.all_adopted("Deployment").await;
    recorder
}

/// Creates, applies and deletes. Returns how long each took, and how long the same took where no webhook sees it.
async fn change(arena: &Arena) -> (Vec<Duration>, Vec<Duration>) {
    let unseen = Arena::new("gone-unseen").await;
    prepare(&unseen).await;
    let user = deployment("fresh", "fresh", "k");
    let mut labelled = user.clone();
    labelled["metadata"]["labels"] = json!({ "team": "a" });
    let writes = [
        ("create -f -", secret("fresh", &[("k", "one")])),
        ("create -f -", user),
        ("apply -f -", secret("updated", &[("k", "two")])),
        ("delete secret recreated", Value::Null),
        ("create -f -", secret("recreated", &[("k", "one")])),
        ("delete secret spare", Value::Null),
        ("apply -f -", labelled),
    ];
    let (mut took, mut free) = (Vec::new(), Vec::new());
    for (arguments, input) in writes {
        took.push(timed(arena, arguments, &input).await);
        free.push(timed(&unseen, arguments, &input).await);
    }
    (took, free)
}

async fn timed(arena: &Arena, arguments: &str, input: &Value) -> Duration {
    let words: Vec<_> = arguments.split(' ').collect();
    let began = Instant::now();
    arena.kubectl_with(&words, &input.to_string()).await.ok();
    began.elapsed()
}

fn median(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort_unstable();
    times[times.len() / 2]
}

/// Everything that happened meanwhile is caught, once.
async fn expect(arena: &Arena, recorder: &Recorder) {
    recorder.settle(arena).await;
    arena.all_adopted("Deployment").await;
    recorder.settle(arena).await;
    recorder.expect("Deployment", "updated", 1);
    recorder.expect("Deployment", "recreated", 1);
    recorder.expect("Deployment", "untouched", 0);
    recorder.expect("Deployment", "fresh", 0);
    // And all is well again, for what is new as well.
    for name in ["updated", "recreated", "untouched", "fresh"] {
        arena.update_secret(name, &[("k", "three")]).await;
    }
    recorder.settle(arena).await;
    recorder.expect("Deployment", "updated", 2);
    recorder.expect("Deployment", "recreated", 2);
    recorder.expect("Deployment", "untouched", 1);
    recorder.expect("Deployment", "fresh", 1);
}
