//! Two sources of a workload change while watches stall, fail, or list anew: one restart, although they become known at
//! different times.
//!
//! Without the webhook, which sees a change before any watch.

use futures::future::join_all;
use reroll_harness::{
    Arena, PATIENCE, RESTART_ON, Recorder, Reroll,
    proxy::{Answer, Fault, FaultProxy, Matcher, RequestLine, Rule, RuleId},
    workload,
};
use serde_json::json;

/// The kind of a source, and its name.
type Source = (&'static str, &'static str);

const SECRET: Source = ("Secret", "s");
const CONFIG_MAP: Source = ("ConfigMap", "c");

/// A workload with a Secret and a `ConfigMap`, behind a proxy.
struct Stage {
    arena: Arena,
    proxy: FaultProxy,
    reroll: Reroll,
    recorder: Recorder,
}

impl Stage {
    async fn new(name: &str) -> Self {
        let arena = Arena::new(&format!("stalls-{name}")).await;
        let proxy = FaultProxy::start(arena.cluster.kubeconfig()).await.unwrap();
        let reroll = arena
            .reroll()
            .without_webhook()
            .surroundings("REROLL_LOG", "reroll=debug");
        let reroll = reroll.kubeconfig(proxy.kubeconfig()).start().await;
        arena.secret("s", &[("k", "one")]).await;
        arena.config_map("c", &[("k", "one")]).await;
        let pod = json!({ "containers": [{ "envFrom": [
            { "secretRef": { "name": "s" } }, { "configMapRef": { "name": "c" } },
        ] }] });
        arena
            .create(&workload("Deployment", "web", &[(RESTART_ON, "auto")], pod))
            .await;
        arena.adopted("Deployment", "web").await;
        Self {
            recorder: arena.record().await,
            arena,
            proxy,
            reroll,
        }
    }

    /// Changes both sources, `late` first: reroll must not have restarted for the other one before this one is written,
    /// which takes a busy machine longer than the quiet period.
    async fn change(&self, late: Source, value: &str) {
        let (kind, name) = late;
        self.arena.set(kind, name, "k", value).await;
        let (kind, name) = if late == SECRET { CONFIG_MAP } else { SECRET };
        self.arena.set(kind, name, "k", value).await;
    }

    fn reads(&self) -> usize {
        let is_source = |request: &RequestLine| {
            let path = &request.path;
            request.method == "GET"
                && (path.ends_with("/secrets/s") || path.ends_with("/configmaps/c"))
        };
        self.proxy.count(is_source)
    }

    /// Stalls the watches of a plural until the rule is removed. The first that stalls is given up by the client, and the
    /// next one stalls as well.
    async fn stall(&self, plural: &str) -> RuleId {
        let before = self.watches(plural);
        let rule = self.proxy.add(Rule::new(watches(plural), Fault::Stall));
        let again = |_: &FaultProxy| self.watches(plural) > before;
        self.proxy.wait_until(PATIENCE, again).await.unwrap();
        rule
    }

    fn watches(&self, plural: &str) -> usize {
        let path = format!("/{plural}");
        self.proxy
            .count(|request| request.is_watch() && request.path.ends_with(&path))
    }
}

fn watches(plural: &str) -> Matcher {
    let path = format!("/{plural}");
    Matcher::any().when(move |request| request.is_watch() && request.path.ends_with(&path))
}

/// Whether all is asked for: streamed, or in pages where the API server cannot stream it.
fn lists(request: &RequestLine) -> bool {
    request.query.contains("sendInitialEvents=true")
        || request.method == "GET" && !request.is_watch() && request.path.ends_with("/secrets")
}

/// What goes wrong while both sources change. Returns what is to be restored afterwards.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    /// The watch of one kind is silent: the source that becomes known late, and its plural.
    Silent(Source, &'static str),
    /// Both are, and the one of Secrets is back first.
    Both,
    /// The watch of Secrets breaks off, and cannot be started again.
    Fails,
    /// It breaks off, its version has expired, and the new list takes a while.
    Expired,
}

async fn change_in(stage: &Stage, trouble: Trouble) {
    let proxy = &stage.proxy;
    match trouble {
        Trouble::Silent(late, plural) => {
            stage.stall(plural).await;
            stage.change(late, "two").await;
            stage.recorder.reaches("Deployment", "web", 1).await;
        }
        Trouble::Both => {
            let (secrets, _) = tokio::join!(stage.stall("secrets"), stage.stall("configmaps"));
            stage.change(SECRET, "two").await;
            proxy.remove(secrets);
            stage.recorder.reaches("Deployment", "web", 1).await;
        }
        Trouble::Fails => {
            proxy.add(Rule::new(watches("secrets"), Fault::Cut));
            stage.change(SECRET, "two").await;
            stage.recorder.reaches("Deployment", "web", 1).await;
        }
        Trouble::Expired => {
            let expired = Answer::watch_error(410, "Expired", "too old resource version");
            let goes_on = watches("secrets").when(|request| !lists(request));
            let of_secrets = Matcher::any().when(|it| it.path.ends_with("/secrets") && lists(it));
            let before = proxy.count(lists);
            proxy.add(Rule::new(of_secrets, Fault::Stall));
            proxy.add(Rule::new(goes_on, Fault::Answer(expired)));
            proxy.add(Rule::new(watches("secrets"), Fault::Cut).times(1));
            let lists_anew = |proxy: &FaultProxy| proxy.count(lists) > before;
            proxy.wait_until(PATIENCE, lists_anew).await.unwrap();
            stage.change(SECRET, "two").await;
            stage.recorder.reaches("Deployment", "web", 1).await;
        }
    }
    proxy.clear();
}

#[tokio::test]
async fn what_changes_while_a_watch_stalls_is_one_restart() {
    let rows = [
        ("secrets", Trouble::Silent(SECRET, "secrets")),
        ("maps", Trouble::Silent(CONFIG_MAP, "configmaps")),
        ("both", Trouble::Both),
        ("fails", Trouble::Fails),
        ("expired", Trouble::Expired),
    ];
    let all = rows.map(async |(name, trouble)| {
        let stage = Stage::new(name).await;
        change_in(&stage, trouble).await;
        stage.recorder.settle(&stage.arena).await;
        (name, stage)
    });
    for (name, stage) in join_all(all).await {
        let rollouts = stage.recorder.rollouts("Deployment", "web");
        // Each of them once for the workload, and perhaps once more where the watch was found to fail again. One that is cut
        // is found so as often as it is begun, which a slow machine gives it the time for.
        let (reads, watches) = (stage.reads(), stage.watches("secrets"));
        let most = if name == "fails" {
            (2 * watches).max(4)
        } else {
            4
        };
        assert_eq!(rollouts, 1, "{name}, {reads} reads");
        assert!(
            (2..=most).contains(&reads),
            "{name}: {reads} reads, {watches} watches"
        );
        drop(stage.reroll);
    }
}

/// Nothing is read where the watches are well.
#[tokio::test]
async fn nothing_is_read_where_no_watch_stalls() {
    let stage = Stage::new("none").await;
    let changes = [(SECRET, "two"), (CONFIG_MAP, "two"), (SECRET, "three")];
    for (number, ((kind, name), value)) in changes.into_iter().enumerate() {
        stage.arena.set(kind, name, "k", value).await;
        stage
            .recorder
            .reaches("Deployment", "web", number + 1)
            .await;
    }
    stage.recorder.settle(&stage.arena).await;
    stage.recorder.expect("Deployment", "web", 3);
    assert_eq!(stage.reads(), 0);
}
