//! reroll is stopped and another one started while users work: none of their writes fails, and none waits.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures::future::join_all;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration,
};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use reroll_harness::{Arena, deployment, eventually, secret};
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::sleep};

const WRITERS: usize = 8;
/// Between the writes of each: not as fast as a machine can.
const PAUSE: Duration = Duration::from_millis(50);
/// For how long an API server waits for an answer, at most: a busy machine is no error.
const LONGEST: u32 = 30;

/// How every write went.
#[derive(Debug, Default)]
struct Writes {
    errors: Vec<String>,
    /// By kind, of those that a webhook sees and those that none does.
    slowest: BTreeMap<&'static str, Duration>,
    count: usize,
}

/// People who write Secrets and what uses them.
struct Crowd {
    stop: Arc<AtomicBool>,
    writes: Arc<Mutex<Writes>>,
    people: JoinSet<()>,
}

impl Crowd {
    async fn gather(arena: &Arena) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let writes: Arc<Mutex<Writes>> = Arc::default();
        let mut people = JoinSet::new();
        for number in 0..WRITERS {
            let name = format!("w{number}");
            arena.secret(&name, &[("k", "0")]).await;
            arena.create(&deployment(&name, &name, "k")).await;
            let pod = json!({ "metadata": { "name": name }, "kind": "Pod", "apiVersion": "v1",
                "spec": { "nodeSelector": { "no": "node" }, "containers": [{ "name": "c", "image": "i" }] } });
            arena.create(&pod).await;
            let apis = ["Secret", "Deployment", "Pod"].map(|kind| (kind, arena.api(kind)));
            let (stop, writes) = (Arc::clone(&stop), Arc::clone(&writes));
            people.spawn(async move {
                for turn in 0.. {
                    for (kind, api) in &apis {
                        let patch = Patch::Merge(change(kind, turn));
                        let began = Instant::now();
                        let result = api.patch(&name, &PatchParams::default(), &patch).await;
                        writes
                            .lock()
                            .unwrap()
                            .note(kind, began.elapsed(), result.err());
                    }
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    sleep(PAUSE).await;
                }
            });
        }
        Self {
            stop,
            writes,
            people,
        }
    }

    /// Waits until so many more writes were made.
    async fn writes(&self, more: usize) {
        let count = || self.writes.lock().unwrap().count;
        let enough = count() + more;
        eventually("people write", async || (count() >= enough).then_some(())).await;
    }

    async fn go(mut self) -> Writes {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = self.people.join_next().await {
            ended.unwrap();
        }
        std::mem::take(&mut *self.writes.lock().unwrap())
    }
}

fn change(kind: &str, turn: u64) -> Value {
    let value = turn.to_string();
    let note = json!({ "metadata": { "annotations": { "note": value } } });
    match kind {
        "Secret" => json!({ "stringData": { "k": value } }),
        // A change of the template, which the webhook answers with a patch.
        "Deployment" if turn.is_multiple_of(4) => json!({ "spec": { "template": note } }),
        _ => note,
    }
}

impl Writes {
    fn note(&mut self, kind: &'static str, took: Duration, error: Option<kube::Error>) {
        self.count += 1;
        self.errors
            .extend(error.map(|error| format!("{kind}: {error}")));
        let slowest = self.slowest.entry(kind).or_default();
        *slowest = took.max(*slowest);
    }

    /// Compares each kind of write with itself, because one that a webhook sees takes more of a busy machine than
    /// others. What is rarest in hundreds of writes is not the same twice, hence three times.
    fn waited_no_longer_than(&self, others: &Self) {
        for (kind, took) in &self.slowest {
            let usual = others.slowest[kind];
            let most = 3 * usual + Duration::from_secs(1);
            assert!(
                *took < most,
                "a write of a {kind}: {self:?}, and {others:?}"
            );
        }
    }
}

/// Makes the API server refuse what it cannot ask reroll about, so that every call that finds no webhook is a user's
/// error. Makes it wait so long that a busy machine causes none.
async fn must_be_asked(arena: &Arena, seconds: u32) {
    let policy = |count: usize| {
        let lines = |number| {
            let at = |field| format!("/webhooks/{number}/{field}");
            [
                json!({ "op": "replace", "path": at("failurePolicy"), "value": "Fail" }),
                json!({ "op": "replace", "path": at("timeoutSeconds"), "value": seconds }),
            ]
        };
        let patch = (0..count).flat_map(lines).collect();
        Patch::<()>::Json(serde_json::from_value(patch).unwrap())
    };
    let (params, name) = (PatchParams::default(), &arena.namespace);
    let (mutating, validating) = configurations(arena);
    mutating.patch(name, &params, &policy(2)).await.unwrap();
    validating.patch(name, &params, &policy(1)).await.unwrap();
}

fn configurations(
    arena: &Arena,
) -> (
    Api<MutatingWebhookConfiguration>,
    Api<ValidatingWebhookConfiguration>,
) {
    (
        Api::all(arena.client.clone()),
        Api::all(arena.client.clone()),
    )
}

#[tokio::test]
async fn one_takes_over_from_another_and_no_write_fails_or_waits() {
    let arena = Arena::new("drain").await;
    let mut reroll = arena.reroll().flag("--settle", "2s").start().await;
    let builder = reroll.builder();
    // The same users at the same time, with a reroll that is not stopped.
    let calm = Arena::new("drain-calm").await;
    let _stays = calm.reroll().flag("--settle", "2s").start().await;
    must_be_asked(&calm, LONGEST).await;
    let (crowd, beside) = (Crowd::gather(&arena).await, Crowd::gather(&calm).await);
    for _ in 0..3 {
        must_be_asked(&arena, LONGEST).await;
        crowd.writes(120).await;
        assert!(reroll.stop().await);
        reroll = builder.clone().start().await;
    }
    must_be_asked(&arena, LONGEST).await;
    crowd.writes(120).await;
    let (writes, beside) = tokio::join!(crowd.go(), beside.go());
    for writes in [&writes, &beside] {
        assert!(writes.errors.is_empty(), "{:#?}", writes.errors);
    }
    writes.waited_no_longer_than(&beside);

    // That it must be asked is no empty word.
    reroll.kill();
    let secrets = arena.api("Secret");
    let patch = Patch::Merge(json!({ "stringData": { "k": "last" } }));
    let refused = secrets.patch("w0", &PatchParams::default(), &patch).await;
    let (mutating, validating) = configurations(&arena);
    let params = DeleteParams::default();
    mutating.delete(&arena.namespace, &params).await.unwrap();
    validating.delete(&arena.namespace, &params).await.unwrap();
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains("failed calling webhook")
    );
}

/// A process stands still for a while, as one does whose CPU quota is used up. The API server gives up calls meanwhile.
/// These must not take along later calls on the same connection that can still be answered.
#[tokio::test]
async fn calls_that_were_given_up_cost_the_others_nothing() {
    // Those that come later have three quarters of this once the early ones were given up, which a busy machine does
    // not do with all of them at the same time.
    const SECONDS: u32 = 24;
    let arena = Arena::new("drain-still").await;
    let reroll = arena.reroll().start().await;
    must_be_asked(&arena, SECONDS).await;
    arena.secret("calm", &[("k", "one")]).await;
    let secrets = arena.api("Secret");
    let create = async |name: String| {
        let manifest = serde_json::from_value(secret(&name, &[("k", "one")])).unwrap();
        let params = PostParams::default();
        secrets.create(&params, &manifest).await.map(drop)
    };
    // They all go by one connection.
    reroll.signal("STOP");
    let given_up = async {
        let all = (0..60).map(|number| create(format!("early-{number}")));
        let failed = join_all(all).await;
        assert!(failed.iter().all(Result::is_err));
        reroll.signal("CONT");
    };
    let later = async {
        sleep(Duration::from_secs(SECONDS.into()) * 3 / 4).await;
        join_all((0..20).map(|number| create(format!("late-{number}")))).await
    };
    let ((), later) = tokio::join!(given_up, later);
    for result in later {
        result.unwrap();
    }
}
