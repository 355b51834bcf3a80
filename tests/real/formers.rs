//! A template drops a reference, its rollout hangs, and a user goes back. The old pods never stopped, so what they have
//! counts. Also: what a template gains while reroll is down, if its pods may be older than the last write of that.

use futures::future::join_all;
use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::apis::meta::v1::Time};
use kube::ResourceExt as _;
use reroll_harness::{
    Arena, Pods, RESTART_ON, Recorder, Reroll, RerollBuilder, env, eventually, running,
};
use serde_json::{Value, json};

const AUTO: [(&str, &str); 1] = [(RESTART_ON, "auto")];

/// How a user goes back.
#[derive(Clone, Copy, PartialEq)]
enum Back {
    Undo,
    /// The old manifest is applied again.
    Apply,
}

/// What happens to the dropped source meanwhile.
#[derive(Clone, Copy, PartialEq)]
enum Change {
    Update,
    Recreate,
    /// It is deleted, and made again with other data when the old template is back.
    Away,
    None,
}

struct Case {
    name: &'static str,
    kind: &'static str,
    back: Back,
    change: Change,
    /// The new template uses another key of the same Secret, and not another Secret.
    key: bool,
    paused: bool,
    partition: bool,
}

const fn case(name: &'static str, kind: &'static str, back: Back, change: Change) -> Case {
    Case {
        name,
        kind,
        back,
        change,
        key: false,
        paused: false,
        partition: false,
    }
}

const CASES: [Case; 10] = [
    case("undo", "Deployment", Back::Undo, Change::Update),
    case("undo-recreated", "Deployment", Back::Undo, Change::Recreate),
    case("undo-same", "Deployment", Back::Undo, Change::None),
    case("undo-away", "Deployment", Back::Undo, Change::Away),
    case("apply", "Deployment", Back::Apply, Change::Update),
    Case {
        paused: true,
        ..case("paused", "Deployment", Back::Apply, Change::Update)
    },
    Case {
        key: true,
        ..case("key", "Deployment", Back::Undo, Change::Update)
    },
    case("set", "StatefulSet", Back::Undo, Change::Update),
    Case {
        partition: true,
        ..case("parted", "StatefulSet", Back::Undo, Change::Recreate)
    },
    case("daemons", "DaemonSet", Back::Undo, Change::Update),
];

impl Case {
    fn dropped(&self) -> String {
        format!("{}-a", self.name)
    }

    fn env(&self, new: bool) -> Value {
        let pod = match (new, self.key) {
            (false, _) => env(&self.dropped(), "k"),
            (true, true) => env(&self.dropped(), "l"),
            (true, false) => env(&format!("{}-b", self.name), "k"),
        };
        pod["containers"][0]["env"].clone()
    }

    async fn create(&self, arena: &Arena, pods: &Pods) {
        for name in [self.dropped(), format!("{}-b", self.name)] {
            arena.secret(&name, &[("k", "one"), ("l", "one")]).await;
        }
        let mut manifest = running(self.kind, self.name, &AUTO, env(&self.dropped(), "k"));
        if self.partition {
            manifest["spec"]["updateStrategy"] =
                json!({ "type": "RollingUpdate", "rollingUpdate": { "partition": 1 } });
        }
        arena.create(&manifest).await;
        pods.oldest(arena, self.kind, self.name).await;
        arena.adopted(self.kind, self.name).await;
    }

    /// A new template, whose pods do not start.
    async fn deploy(&self, arena: &Arena, recorder: &Recorder) {
        if self.paused {
            rollout(arena, "pause", self).await;
        }
        arena
            .edit_container(self.kind, self.name, "env", self.env(true))
            .await;
        recorder.reaches(self.kind, self.name, 1).await;
        if !self.paused {
            arena.in_the_middle(self.kind, self.name, 2).await;
        }
    }

    async fn change(&self, arena: &Arena) {
        let (name, data) = (self.dropped(), [("k", "two"), ("l", "one")]);
        match self.change {
            Change::Update => arena.update_secret(&name, &data[..1]).await,
            Change::Recreate => arena.recreate_secret(&name, &data).await,
            Change::Away => arena.delete("Secret", &name).await,
            Change::None => {}
        }
    }

    async fn go_back(&self, arena: &Arena) {
        match self.back {
            Back::Undo => rollout(arena, "undo", self).await,
            Back::Apply => {
                arena
                    .edit_container(self.kind, self.name, "env", self.env(false))
                    .await;
            }
        }
    }

    async fn release(&self, arena: &Arena) {
        if self.paused {
            rollout(arena, "resume", self).await;
        }
        if self.partition {
            let all =
                json!({ "spec": { "updateStrategy": { "rollingUpdate": { "partition": 0 } } } });
            arena.patch(self.kind, self.name, all).await;
        }
    }
}

async fn rollout(arena: &Arena, what: &str, case: &Case) {
    let target = format!("{}/{}", case.kind.to_lowercase(), case.name);
    arena.kubectl(&["rollout", what, &target]).await.ok();
}

/// Where reroll is while a user goes back.
#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Webhook,
    Alone,
    /// Away from the change on, until the old template is back.
    Away,
}

impl Mode {
    /// What it does needs all reviews, also on a busy machine.
    async fn start(self, arena: &Arena) -> Reroll {
        match self {
            Self::Webhook | Self::Away => arena.reroll().start().await,
            Self::Alone => arena.reroll().without_webhook().start().await,
        }
    }

    /// How often the template changes: to the new one, back, and, where the webhook did not see that, for the restart.
    /// What was away comes back later, and is a restart of its own.
    fn rollouts(self, change: Change) -> usize {
        match (self, change) {
            (_, Change::None) | (Self::Webhook, Change::Update | Change::Recreate) => 2,
            (_, _) => 3,
        }
    }
}

async fn goes_back(mode: Mode, name: &str) {
    let arena = Arena::new(name).await;
    let pods = Pods::watch(&arena).await;
    let mut reroll = Some(mode.start(&arena).await);
    join_all(CASES.iter().map(|case| case.create(&arena, &pods))).await;
    let recorder = arena.record().await;
    let first = join_all(CASES.iter().map(|case| arena.pod_uids(case.name))).await;
    arena.hold_rollouts().await;
    join_all(CASES.iter().map(|case| case.deploy(&arena, &recorder))).await;
    recorder.settle(&arena).await;
    let again = away(mode, &mut reroll);
    join_all(CASES.iter().map(|case| case.change(&arena))).await;
    if mode != Mode::Away {
        // Nothing that the template of now uses has changed.
        recorder.settle(&arena).await;
    }
    for case in &CASES {
        recorder.expect(case.kind, case.name, 1);
    }
    join_all(CASES.iter().map(|case| case.go_back(&arena))).await;
    if let Some(again) = again {
        reroll = Some(again.start().await);
    }
    recorder.settle(&arena).await;
    for case in CASES.iter().filter(|case| case.change == Change::Away) {
        recorder.expect(case.kind, case.name, 2);
        arena.secret(&case.dropped(), &[("k", "two")]).await;
    }
    join_all(CASES.iter().map(async |case| {
        let rollouts = mode.rollouts(case.change);
        recorder.reaches(case.kind, case.name, rollouts).await;
        case.release(&arena).await;
    }))
    .await;
    arena.release_rollouts().await;
    for (case, first) in CASES.iter().zip(first) {
        let oldest = pods.oldest(&arena, case.kind, case.name).await;
        if case.change == Change::None {
            assert_eq!(arena.pod_uids(case.name).await, first, "{}", case.name);
            continue;
        }
        let written = arena.version("Secret", &case.dropped()).await;
        assert!(
            oldest > written,
            "{}: a pod of {oldest}, Secret of {written}",
            case.name
        );
    }
    recorder.settle(&arena).await;
    for case in &CASES {
        recorder.expect(case.kind, case.name, mode.rollouts(case.change));
    }
    drop(reroll);
}

fn away(mode: Mode, reroll: &mut Option<Reroll>) -> Option<RerollBuilder> {
    let running = reroll.take_if(|_| mode == Mode::Away)?;
    let again = running.builder();
    running.kill();
    Some(again)
}

#[tokio::test]
async fn going_back_with_the_webhook() {
    goes_back(Mode::Webhook, "formers").await;
}

#[tokio::test]
async fn going_back_without_webhook() {
    goes_back(Mode::Alone, "formers-bare").await;
}

#[tokio::test]
async fn going_back_while_reroll_is_away() {
    goes_back(Mode::Away, "formers-away").await;
}

/// Suspended: the old pods stay, and what changed is pending until the workload is resumed. This goes back by the old
/// manifest, because kubectl's undo removes the suspend too: it replaces all annotations by those of the old
/// `ReplicaSet`.
#[tokio::test]
async fn going_back_while_suspended_rolls_nothing_until_it_is_resumed() {
    let arena = Arena::new("formers-suspended").await;
    let pods = Pods::watch(&arena).await;
    let _reroll = Mode::Webhook.start(&arena).await;
    let case = &CASES[4];
    case.create(&arena, &pods).await;
    let recorder = arena.record().await;
    let first = arena.pod_uids(case.name).await;
    arena.hold_rollouts().await;
    case.deploy(&arena, &recorder).await;
    let suspend = async |value| {
        arena
            .annotate(case.kind, case.name, "reroll.dev/suspend", value)
            .await;
    };
    suspend(Some("true")).await;
    case.change(&arena).await;
    case.go_back(&arena).await;
    arena.release_rollouts().await;
    pods.oldest(&arena, case.kind, case.name).await;
    recorder.settle(&arena).await;
    recorder.expect(case.kind, case.name, 2);
    assert_eq!(arena.pod_uids(case.name).await, first);
    arena.event(case.name, "Suspended").await;
    suspend(None).await;
    recorder.settle(&arena).await;
    recorder.expect(case.kind, case.name, 3);
    let written = arena.version("Secret", &case.dropped()).await;
    assert!(pods.oldest(&arena, case.kind, case.name).await > written);
}

/// How a workload comes to be opted in while its rollout hangs.
#[derive(Clone, Copy)]
enum OptsIn {
    First,
    Again,
    ByNamespace,
}

/// A workload is opted in while its rollout hangs: nothing recorded what only the old template uses, so changes from
/// then on count.
async fn opted_in_while_it_hangs(name: &str, webhook: bool) {
    for how in [OptsIn::First, OptsIn::Again, OptsIn::ByNamespace] {
        let arena = Arena::new(name).await;
        let pods = Pods::watch(&arena).await;
        let (mode, restarts) = if webhook {
            (Mode::Webhook, 0)
        } else {
            (Mode::Alone, 1)
        };
        let _reroll = mode.start(&arena).await;
        let case = &CASES[0];
        for secret in [case.dropped(), format!("{}-b", case.name)] {
            arena.secret(&secret, &[("k", "one")]).await;
        }
        let asks = match how {
            OptsIn::Again => AUTO.as_slice(),
            OptsIn::First | OptsIn::ByNamespace => &[],
        };
        let manifest = running(case.kind, case.name, asks, env(&case.dropped(), "k"));
        arena.create(&manifest).await;
        pods.oldest(&arena, case.kind, case.name).await;
        let recorder = arena.record().await;
        arena.hold_rollouts().await;
        case.deploy(&arena, &recorder).await;
        let opt = async |value| {
            arena
                .annotate(case.kind, case.name, RESTART_ON, Some(value))
                .await;
        };
        match how {
            OptsIn::First => opt("auto").await,
            OptsIn::Again => {
                opt("off").await;
                recorder.settle(&arena).await;
                opt("auto").await;
            }
            OptsIn::ByNamespace => arena.label_namespace(RESTART_ON, "auto").await,
        }
        arena.adopted(case.kind, case.name).await;
        recorder.settle(&arena).await;
        written_later(&arena, case.name, &case.dropped(), "k").await;
        // The old manifest: kubectl's undo would take the opt-in along.
        arena
            .edit_container(case.kind, case.name, "env", case.env(false))
            .await;
        recorder.reaches(case.kind, case.name, 2 + restarts).await;
        arena.release_rollouts().await;
        let written = arena.version("Secret", &case.dropped()).await;
        assert!(pods.oldest(&arena, case.kind, case.name).await > written);
        recorder.settle(&arena).await;
        recorder.expect(case.kind, case.name, 2 + restarts);
    }
}

#[tokio::test]
async fn what_opts_in_while_its_rollout_hangs_is_followed_with_the_webhook() {
    opted_in_while_it_hangs("formers-opt", true).await;
}

#[tokio::test]
async fn what_opts_in_while_its_rollout_hangs_is_followed_without_webhook() {
    opted_in_while_it_hangs("formers-opt-bare", false).await;
}

/// The new template narrows the opt-in as well; the template alone comes back, and the opt-in later.
async fn narrowed_with_the_template(name: &str, mode: Mode) {
    for changes in [true, false] {
        let arena = Arena::new(name).await;
        let pods = Pods::watch(&arena).await;
        let _reroll = mode.start(&arena).await;
        let case = &CASES[0];
        case.create(&arena, &pods).await;
        let recorder = arena.record().await;
        let first = arena.pod_uids(case.name).await;
        arena.hold_rollouts().await;
        let mut containers = arena.get(case.kind, case.name).await.data["spec"]["template"]["spec"]
            ["containers"]
            .clone();
        containers[0]["env"] = case.env(true);
        let narrowed = json!({
            "metadata": { "annotations": { RESTART_ON: format!("secret/{}-b", case.name) } },
            "spec": { "template": { "spec": { "containers": containers } } },
        });
        arena.patch(case.kind, case.name, narrowed).await;
        recorder.reaches(case.kind, case.name, 1).await;
        arena.in_the_middle(case.kind, case.name, 2).await;
        recorder.settle(&arena).await;
        if changes {
            written_later(&arena, case.name, &case.dropped(), "k").await;
        }
        arena
            .edit_container(case.kind, case.name, "env", case.env(false))
            .await;
        arena.release_rollouts().await;
        pods.oldest(&arena, case.kind, case.name).await;
        recorder.settle(&arena).await;
        recorder.expect(case.kind, case.name, 2);
        assert_eq!(arena.pod_uids(case.name).await, first);
        arena
            .annotate(case.kind, case.name, RESTART_ON, Some("auto"))
            .await;
        let restarts = usize::from(changes);
        recorder.reaches(case.kind, case.name, 2 + restarts).await;
        let oldest = pods.oldest(&arena, case.kind, case.name).await;
        recorder.settle(&arena).await;
        recorder.expect(case.kind, case.name, 2 + restarts);
        if changes {
            assert!(oldest > arena.version("Secret", &case.dropped()).await);
        } else {
            assert_eq!(arena.pod_uids(case.name).await, first);
        }
    }
}

#[tokio::test]
async fn an_opt_in_that_was_narrowed_with_the_template_with_the_webhook() {
    narrowed_with_the_template("formers-narrow", Mode::Webhook).await;
}

#[tokio::test]
async fn an_opt_in_that_was_narrowed_with_the_template_without_webhook() {
    narrowed_with_the_template("formers-narrow-bare", Mode::Alone).await;
}

// === gained while reroll is away ===

/// What a deploy adds.
#[derive(Clone, Copy)]
enum Adds {
    Secret,
    Key,
}

struct Gain {
    name: &'static str,
    kind: &'static str,
    adds: Adds,
    /// Whether it is written after the pods that use it were made.
    written: bool,
}

const GAINS: [Gain; 6] = [
    gain("web-secret", "Deployment", Adds::Secret, true),
    gain("web-key", "Deployment", Adds::Key, true),
    gain("set-secret", "StatefulSet", Adds::Secret, true),
    gain("set-key", "StatefulSet", Adds::Key, true),
    gain("web-unwritten", "Deployment", Adds::Secret, false),
    gain("set-unwritten", "StatefulSet", Adds::Key, false),
];

const fn gain(name: &'static str, kind: &'static str, adds: Adds, written: bool) -> Gain {
    Gain {
        name,
        kind,
        adds,
        written,
    }
}

impl Gain {
    fn added(&self) -> (String, &'static str) {
        match self.adds {
            Adds::Secret => (format!("{}-b", self.name), "k"),
            Adds::Key => (format!("{}-a", self.name), "l"),
        }
    }

    async fn deploy(&self, arena: &Arena, pods: &Pods) {
        let (secret, key) = self.added();
        let mut both = env(&format!("{}-a", self.name), "k")["containers"][0]["env"].clone();
        let mut added = env(&secret, key)["containers"][0]["env"][0].clone();
        added["name"] = json!("W");
        both.as_array_mut().unwrap().push(added);
        arena
            .edit_container(self.kind, self.name, "env", both)
            .await;
        pods.oldest(arena, self.kind, self.name).await;
    }

    /// Writes what was added, in a later second than the pods were made.
    async fn write(&self, arena: &Arena) {
        let (secret, key) = self.added();
        written_later(arena, self.name, &secret, key).await;
    }
}

/// Writes a key of a Secret in a later second than the pods with this `app` label were made.
async fn written_later(arena: &Arena, app: &str, secret: &str, key: &str) {
    let made = |pod: &Pod| pod.metadata.creation_timestamp.as_ref().map(|time| time.0);
    let pods = arena.pods(app).await;
    let youngest = pods.iter().filter_map(made).max().unwrap();
    eventually("the Secret is written later than the pods", async || {
        let value = fastrand::u64(..).to_string();
        arena.update_secret(secret, &[(key, &value)]).await;
        let secret = arena.get("Secret", secret).await;
        let times = secret.managed_fields().iter();
        let written: Option<&Time> = times.filter_map(|entry| entry.time.as_ref()).max();
        (written?.0.as_second() > youngest.as_second()).then_some(())
    })
    .await;
}

async fn gains(name: &str, webhook: bool) {
    let arena = Arena::new(name).await;
    let pods = Pods::watch(&arena).await;
    let builder = if webhook {
        arena.reroll()
    } else {
        arena.reroll().without_webhook()
    };
    let reroll = builder.clone().start().await;
    join_all(GAINS.iter().map(async |gain| {
        for secret in ["a", "b"] {
            let name = format!("{}-{secret}", gain.name);
            arena.secret(&name, &[("k", "one"), ("l", "one")]).await;
        }
        let first = env(&format!("{}-a", gain.name), "k");
        arena
            .create(&running(gain.kind, gain.name, &AUTO, first))
            .await;
        pods.oldest(&arena, gain.kind, gain.name).await;
        arena.adopted(gain.kind, gain.name).await;
    }))
    .await;
    let recorder = arena.record().await;
    reroll.kill();
    join_all(GAINS.iter().map(|gain| gain.deploy(&arena, &pods))).await;
    join_all(
        GAINS
            .iter()
            .filter(|gain| gain.written)
            .map(|gain| gain.write(&arena)),
    )
    .await;
    let reroll = builder.clone().start().await;
    recorder.settle(&arena).await;
    let expect = |recorder: &Recorder| {
        for gain in &GAINS {
            let rollouts = 1 + usize::from(gain.written);
            recorder.expect(gain.kind, gain.name, rollouts);
        }
    };
    expect(&recorder);
    for gain in &GAINS {
        let oldest = pods.oldest(&arena, gain.kind, gain.name).await;
        let written = arena.version("Secret", &gain.added().0).await;
        assert!(oldest > written, "{}: {oldest}, {written}", gain.name);
    }
    // A second start finds nothing.
    reroll.kill();
    let _reroll = builder.start().await;
    recorder.settle(&arena).await;
    expect(&recorder);
}

#[tokio::test]
async fn what_is_gained_while_reroll_is_away_and_written_since_restarts_once() {
    gains("formers-gained", true).await;
}

#[tokio::test]
async fn what_is_gained_and_written_since_restarts_once_without_webhook() {
    gains("formers-gained-bare", false).await;
}
