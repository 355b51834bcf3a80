//! What a schedule works with: the API server, who uses it, and the source of chance and time.

use std::{cell::RefCell, rc::Rc, sync::Arc, time::Duration};

use fastrand::Rng;
use jiff::Timestamp;
use kube::{
    Api, Client,
    api::DynamicObject,
    core::{ApiResource, GroupVersionKind},
};
use reroll_simulation::{
    api_server::{self, ApiServer},
    controllers::{Controllers, Delays},
    nodes::Nodes,
};
use tokio::time::{Instant, sleep};

use crate::{
    Schedule, Step, Telling,
    bad::{Fate, highest, is_braked, is_gated, is_outlived, is_rotating, is_upgraded},
    drawn::Placed,
    operation::Operation,
    oracle::{Observer, Wrongs, holds},
    people::Memory,
    person, register,
    replicas::{How, Installation, lease_of},
    telling,
    world::{NAMESPACE, SOURCES},
};

const BEGIN: &str = "2026-01-01T00:00:00Z";
/// After how long somebody should have come to rest.
const PATIENCE: Duration = Duration::from_hours(1);
/// The same where brakes may hold restarts.
const LONG_PATIENCE: Duration = Duration::from_hours(6);
/// How long nothing is written after the last restart that a brake held.
const RELEASED: Duration = Duration::from_mins(1);
/// Of so many schedules there is one where no match condition keeps reroll's own writes from its webhook.
const UNSPARED: u64 = 8;
/// The nodes.
const NODES: [&str; 2] = ["node-0", "node-1"];

/// Everything of one schedule.
pub(crate) struct Cluster {
    pub(crate) rng: Rng,
    pub(crate) server: ApiServer,
    /// A person's.
    pub(crate) client: Client,
    pub(crate) nodes: Arc<Nodes>,
    pub(crate) controllers: Arc<Controllers>,
    pub(crate) workloads: Vec<Placed>,
    pub(crate) memory: Memory,
    pub(crate) observer: Observer,
    /// What was wrong on the way.
    pub(crate) wrongs: Wrongs,
    pub(crate) reroll: Rc<Installation>,
    /// Another installation, for a while.
    pub(crate) second: Rc<RefCell<Option<Rc<Installation>>>>,
    /// How long nothing is written when everybody has come to rest.
    pub(crate) calm: Duration,
    /// What becomes of pods that start.
    pub(crate) fate: Fate,
    /// Says whether restarts wait for what becomes of others, and whether people ask for an order and for times of day.
    seed: u64,
    pub(crate) clock: Clock,
    /// A match condition keeps reroll's own writes from its webhook.
    spares_own_writes: bool,
    /// How long the Leases of the installations count, if not as by default.
    lease: Option<&'static str>,
    tells: bool,
    began: Instant,
}

/// Tells the time of day.
pub(crate) type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Returns the API of a kind in the namespace of all workloads.
pub(crate) fn api(client: &Client, kind: &str) -> Api<DynamicObject> {
    let resource = resource(kind);
    let (plural, group) = resource.split_once('.').unwrap_or((resource, ""));
    let gvk = GroupVersionKind::gvk(group, "v1", kind);
    let resource = ApiResource::from_gvk_with_plural(&gvk, plural);
    Api::namespaced_with(client.clone(), NAMESPACE, &resource)
}

/// Returns the resource of a kind.
pub(crate) fn resource(kind: &str) -> &'static str {
    match kind {
        "Deployment" => "deployments.apps",
        "StatefulSet" => "statefulsets.apps",
        "DaemonSet" => "daemonsets.apps",
        "ReplicaSet" => "replicasets.apps",
        "Secret" => "secrets",
        "ConfigMap" => "configmaps",
        "Pod" => "pods",
        other => panic!("{other}"),
    }
}

impl Cluster {
    pub(crate) fn new(schedule: &Schedule, telling: Telling) -> Self {
        let mut rng = Rng::with_seed(schedule.seed);
        let first = BEGIN.parse().unwrap();
        let server = ApiServer::seeded(first, &mut rng);
        let clock: Clock = Arc::new(api_server::clock(first));
        let wrongs = Wrongs::default();
        let client = person::client(&server, &wrongs);
        let seed = schedule.seed;
        let (lease, braked) = (lease_of(seed), is_braked(seed));
        let reroll = Installation::new(
            "reroll",
            &server,
            Arc::clone(&clock),
            rng.fork(),
            &wrongs,
            How {
                lease,
                braked,
                upgraded: is_upgraded(seed),
                rotating: is_rotating(seed),
            },
        );
        let nodes = Nodes::new(
            &server,
            &NODES,
            &mut rng,
            &Delays::default(),
            Fate::default().behaviour(),
        );
        let controllers = Controllers::new(&server, &mut rng, &Delays::default());
        let (tells, began) = (telling == Telling::Trace, Instant::now());
        if tells {
            server.tell(move |one| {
                if let Some(line) = telling::line(one) {
                    eprintln!("{:>9.3} {line}", began.elapsed().as_secs_f64());
                }
            });
        }
        Self {
            nodes: Arc::new(nodes),
            controllers: Arc::new(controllers),
            workloads: schedule.workloads.clone(),
            memory: Memory::default(),
            observer: Observer::new(is_rotating(seed)),
            wrongs,
            reroll,
            second: Rc::default(),
            calm: Duration::from_mins(5),
            fate: Fate::default(),
            seed,
            spares_own_writes: !schedule.seed.is_multiple_of(UNSPARED),
            lease,
            clock,
            rng,
            server,
            client,
            tells,
            began,
        }
    }

    pub(crate) fn say(&self, what: impl FnOnce() -> String) {
        if self.tells {
            eprintln!("{:>9.3} {}", self.began.elapsed().as_secs_f64(), what());
        }
    }

    /// Makes an installation of reroll that has no replica yet.
    pub(crate) async fn install(&mut self, name: &'static str) -> Rc<Installation> {
        let (clock, rng) = (Arc::clone(&self.clock), self.rng.fork());
        let how = How {
            lease: self.lease,
            braked: self.is_braked(),
            upgraded: false,
            rotating: false,
        };
        let made = Installation::new(name, &self.server, clock, rng, &self.wrongs, how);
        made.register(true).await;
        made
    }

    /// Creates the namespaces, sources and workloads, and starts everybody.
    pub(crate) async fn begin(&mut self, steps: &[Step]) {
        for name in [NAMESPACE, "reroll", "other", "default"] {
            self.create_namespace(name).await;
        }
        register::decide_conditions(&self.server);
        self.reroll.register(self.spares_own_writes).await;
        let controllers = Arc::clone(&self.controllers);
        tokio::task::spawn_local(async move { controllers.run().await });
        self.nodes.register().await;
        let nodes = Arc::clone(&self.nodes);
        tokio::task::spawn_local(async move { nodes.run().await });
        self.create_all().await;
        let replicas = self.rng.usize(1..=2);
        let places: Vec<_> = (0..replicas).map(|_| self.reroll.place()).collect();
        let faults = steps.iter().filter_map(|step| match &step.operation {
            Operation::Fault(fault) => Some(fault),
            _ => None,
        });
        self.fail_first(faults);
        for place in places {
            self.reroll.start(&place);
        }
        self.rest(Duration::from_mins(2)).await;
        self.note();
        self.observer.rested(true);
        self.fate.mended = self.is_braked().then(|| self.numbers());
        self.behave();
    }

    /// Lets pods that start from now on become ready, or hang.
    pub(crate) fn hang(&mut self, hangs: bool) {
        self.fate.hangs = hangs;
        self.behave();
    }

    /// All values that there are by now are good ones.
    pub(crate) fn mend(&mut self) {
        if self.is_braked() {
            self.fate.mended = Some(self.numbers());
            self.behave();
        }
    }

    fn behave(&self) {
        self.nodes.behave(self.fate.behaviour());
    }

    /// In every other schedule people write another value where one is bad. In the others it becomes good as it is, and who is
    /// held for it waits until the brakes open.
    async fn correct(&mut self) {
        if !self.is_braked() || self.rng.bool() {
            return;
        }
        let names: Vec<_> = self.workloads.iter().map(|placed| placed.name).collect();
        for source in SOURCES {
            let number = self.source_object(source).and_then(|it| highest(&it));
            let is_bad = number.is_some_and(|number| {
                let mut names = names.iter();
                names.any(|name| self.fate.is_bad(number, name))
            });
            if is_bad {
                self.update(source).await;
            }
        }
    }

    /// Ends all faults, and all that people hold up, and waits until nothing happens any more.
    pub(crate) async fn come_to_rest(&mut self) {
        self.say(|| "people and faults stop".to_owned());
        self.heal().await;
        self.correct().await;
        self.let_go().await;
        self.mend();
        self.unhang().await;
        self.rest(self.calm).await;
        self.reroll.expect_new_key();
    }

    /// Waits until nothing was written for this long but Leases and Events.
    pub(crate) async fn rest(&mut self, calm: Duration) {
        let step = Duration::from_secs(1);
        let mut quiet = Duration::ZERO;
        let patience = if self.is_braked() || self.is_gated() {
            LONG_PATIENCE
        } else {
            PATIENCE
        };
        let end = Instant::now() + patience;
        let mut seen = self.server.revision();
        while quiet < calm || self.is_held() {
            if quiet >= calm {
                quiet = calm.saturating_sub(RELEASED);
            }
            if Instant::now() > end {
                return self.wrong("the cluster does not come to rest".to_owned());
            }
            sleep(step).await;
            let written = self.server.written_since(seen).unwrap_or_default();
            seen = self.server.revision();
            let counts =
                |resource: &str| resource.starts_with("leases") || resource.starts_with("events");
            quiet = if written.iter().all(|one| counts(one.resource)) {
                quiet + step
            } else {
                Duration::ZERO
            };
        }
    }

    fn is_braked(&self) -> bool {
        is_braked(self.seed)
    }

    /// Whether people ask for an order of restarts, and for times of day.
    pub(crate) fn is_gated(&self) -> bool {
        is_gated(self.seed)
    }

    /// Whether API servers go on as they are when etcd is restored beneath them.
    pub(crate) fn is_outlived(&self) -> bool {
        is_outlived(self.seed)
    }

    /// Whether somebody rotates the digest key.
    pub(crate) fn is_rotating(&self) -> bool {
        is_rotating(self.seed)
    }

    /// Whether a brake of the leader holds a restart.
    fn is_held(&self) -> bool {
        (self.is_braked() || self.is_gated()) && self.reroll.replicas().iter().any(|one| holds(one))
    }
}
