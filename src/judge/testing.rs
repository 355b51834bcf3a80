//! A judge with a scripted API server behind it, for tests: whatever a test puts there, the judge is told of, as a watch
//! would.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use k8s_openapi::{ByteString, api::core::v1::Secret};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    Judge, Settings, brakes,
    bucket::{Bounds, Pacing},
    docket::Pending,
    live::Live,
};
use crate::{
    cluster::{
        history::History,
        lease::Leadership,
        testing::{CREATED, DEADLINE, Script},
    },
    model::{
        Conventions, Index, Kind, SourceKey, SourceKind, SourceName, Version, WorkloadKey,
        annotation::{OBSERVED, RESTART_ON, RESTARTED_FOR},
        index::{By, Overlay},
        testing::{NAMESPACE, key as digest_key},
        workload::{CRON_JOB, JOB, KINDS, Kinds, ROLLOUT, Workload},
    },
    ops::{
        alerts::AlertSink,
        events::{self, EventPublisher},
        metrics::Metrics,
        teller::Teller,
    },
    state::State,
};

pub(crate) const SETTLE: Duration = Duration::from_secs(2);
pub(crate) const SETTLE_MAX: Duration = Duration::from_secs(10);
/// The time of day when a stage is set; everything was created long before.
pub(crate) const NOW: i64 = 1_800_000_000;

/// When everything was created.
pub(crate) const CREATED_AT: i64 = 1_700_000_000;

/// No limit but the quiet period.
pub(crate) fn settings() -> Settings {
    let pacing = Pacing {
        rate: None,
        burst: 1,
    };
    Settings {
        settle: SETTLE,
        settle_max: SETTLE_MAX,
        bounds: Bounds::paced(pacing),
        brakes: brakes::Settings::off(),
        adopt_rate: None,
        sweep_interval: Duration::from_hours(1),
    }
}

/// The judge, what it shares, and the API server.
pub(crate) struct Stage {
    pub(crate) script: Script,
    pub(crate) state: Arc<State>,
    pub(crate) judge: Arc<Judge>,
    pub(crate) live: Live,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) leadership: Leadership,
    says: watch::Sender<Option<Instant>>,
    publisher: EventPublisher,
    clock: Arc<AtomicI64>,
    sources: Mutex<Vec<(SourceKey, Version)>>,
}

impl Stage {
    /// All lists are complete, there is nothing yet, and this replica leads.
    pub(crate) fn set() -> Self {
        Self::with(settings())
    }

    pub(crate) fn with(settings: Settings) -> Self {
        Self::unlisted(settings).listed()
    }

    /// The same, where flags say this.
    pub(crate) fn by(conventions: Conventions) -> Self {
        Self::made(settings(), Script::default(), conventions).listed()
    }

    fn listed(self) -> Self {
        let stage = self;
        for kind in SourceKind::ALL {
            stage.judge.source_listed(kind, None);
        }
        stage.judge.workloads_listed();
        stage.judge.reconcile_start(Instant::now());
        stage
    }

    /// No list is complete.
    pub(crate) fn unlisted(settings: Settings) -> Self {
        Self::of(settings, Script::default())
    }

    /// Another process, with all lists complete, of which what `show` shows is all.
    pub(crate) fn again(script: &Script, show: impl FnOnce(&Self)) -> Self {
        Self::again_with(settings(), script, show)
    }

    /// The same with these settings.
    pub(crate) fn again_with(
        settings: Settings,
        script: &Script,
        show: impl FnOnce(&Self),
    ) -> Self {
        let stage = Self::of(settings, script.clone());
        show(&stage);
        for kind in SourceKind::ALL {
            stage.judge.source_listed(kind, None);
        }
        stage.judge.workloads_listed();
        stage.judge.reconcile_start(Instant::now());
        stage
    }

    fn of(settings: Settings, script: Script) -> Self {
        Self::made(settings, script, Conventions::default())
    }

    fn made(settings: Settings, script: Script, conventions: Conventions) -> Self {
        let kinds = Kinds::default()
            .with(&CRON_JOB)
            .unwrap()
            .with(&JOB)
            .unwrap();
        let index = Index::new(digest_key()).with_conventions(Arc::new(conventions));
        let index = index.with_kinds(kinds);
        let clock = Arc::new(AtomicI64::new(NOW));
        let time = Arc::clone(&clock);
        let time = move || Timestamp::from_second(time.load(Ordering::Relaxed)).unwrap();
        let state = Arc::new(State::new(index, Arc::new(time), "reroll".to_owned()));
        let metrics = Arc::new(Metrics::new());
        let (events, publisher) = events::channel(
            "reroll-0",
            Arc::clone(&state.setup.clock),
            Arc::clone(&metrics),
        );
        let (says, leadership) = Leadership::scripted();
        let teller = Teller::new(
            Arc::clone(&metrics),
            events,
            AlertSink::default(),
            leadership.clone(),
            Arc::clone(&state),
        );
        let history = Arc::<History>::default();
        let judge = Arc::new(Judge::new(Arc::clone(&state), teller, history, settings));
        let live = Live {
            judge: Arc::clone(&judge),
            cluster: script.cluster(),
        };
        let set = Self {
            script,
            state,
            judge,
            live,
            metrics,
            leadership,
            says,
            publisher,
            clock,
            sources: Mutex::default(),
        };
        set.lead(true);
        set
    }

    /// Wins or loses the Lease.
    pub(crate) fn lead(&self, leads: bool) {
        let far = Instant::now() + Duration::from_hours(24 * 365);
        self.says.send_replace(leads.then_some(far));
    }

    pub(crate) fn set_time(&self, seconds: i64) {
        self.clock.store(seconds, Ordering::Relaxed);
    }

    // === what the API server shows ===

    /// Shows the Secret that is there.
    pub(crate) fn show_secret_now(&self, name: &str) {
        let secret = self.script.object(&secret_path(name)).unwrap();
        let secret: Secret = serde_json::from_value(secret).unwrap();
        let version = Version::of_secret(&digest_key(), NAMESPACE, &secret);
        let source = SourceName::secret(name);
        let namespace = NAMESPACE.to_owned();
        self.show_secret(&SourceKey { namespace, source }, version);
    }

    /// Writes a Secret with one key, without showing it.
    pub(crate) fn put_secret(&self, name: &str, uid: &str, value: &str) -> (SourceKey, Version) {
        let data = [("k".to_owned(), ByteString(value.as_bytes().to_vec()))];
        let secret = Secret {
            data: Some(data.into()),
            ..Secret::default()
        };
        let mut object = serde_json::to_value(secret).unwrap();
        object["metadata"] = json!({ "name": name, "namespace": NAMESPACE, "uid": uid });
        let object = self.script.put(&secret_path(name), object);
        let key = SourceKey {
            namespace: NAMESPACE.to_owned(),
            source: SourceName::secret(name),
        };
        let secret = serde_json::from_value(object).unwrap();
        (key, Version::of_secret(&digest_key(), NAMESPACE, &secret))
    }

    /// Writes a Secret with one key, and shows it.
    pub(crate) fn secret(&self, name: &str, uid: &str, value: &str) {
        let (key, version) = self.put_secret(name, uid, value);
        self.show_secret(&key, version);
    }

    pub(crate) fn show_secret(&self, key: &SourceKey, version: Version) {
        self.sources.lock().push((key.clone(), version.clone()));
        self.judge.source_applied(key, version, By::Event);
    }

    /// Writes a workload, and shows it.
    pub(crate) fn workload(&self, object: Value) -> WorkloadKey {
        let object: Value = self.script.put(&path_of(&object), object);
        self.show(&object)
    }

    /// Shows a workload as a watch does.
    pub(crate) fn show(&self, object: &Value) -> WorkloadKey {
        let key = key_of(object);
        self.judge.workload_applied(&key, read(object), By::Event);
        key
    }

    /// Shows a workload as it is now.
    pub(crate) fn show_now(&self, key: &WorkloadKey) {
        self.show(&self.object(key));
    }

    /// Changes a workload, and shows it.
    pub(crate) fn edit(&self, key: &WorkloadKey, edit: impl FnOnce(&mut Value)) {
        let object = self.script.edit(&path(key), edit);
        self.show(&object);
    }

    pub(crate) fn object(&self, key: &WorkloadKey) -> Value {
        self.script.object(&path(key)).unwrap()
    }

    /// Returns the mark on a workload's template, or null.
    pub(crate) fn mark(&self, key: &WorkloadKey) -> Value {
        self.object(key)["spec"]["template"]["metadata"]["annotations"][RESTARTED_FOR].clone()
    }

    /// Has workloads adopted with a version that was not shown.
    pub(crate) fn observe(&self, key: &SourceKey, version: &Version) {
        self.sources.lock().push((key.clone(), version.clone()));
    }

    /// Writes and shows a workload that was adopted with the sources that were shown by now.
    pub(crate) fn adopted(&self, mut object: Value) -> WorkloadKey {
        let text = self.observed(&mut object);
        object["metadata"]["annotations"][OBSERVED] = json!(text);
        self.workload(object)
    }

    fn observed(&self, object: &mut Value) -> String {
        let mut index = Index::new(digest_key()).with_kinds(self.state.setup.kinds.clone());
        for kind in SourceKind::ALL {
            index.set_synced(kind);
        }
        for (key, version) in self.sources.lock().iter() {
            index.apply_source(key, version.clone());
        }
        let key = key_of(object);
        object["metadata"]["uid"] = json!(format!("uid-{}", key.name));
        object["metadata"]["creationTimestamp"] = json!(CREATED);
        index.apply_workload(&key, read(object));
        index.judge(&key, &Overlay::new());
        index.unwritten(&key).flatten().unwrap()
    }

    // === what came of it ===

    pub(crate) fn pending(&self) -> Pending {
        self.judge.docket().pending()
    }

    /// Returns how many workloads are held for this reason.
    pub(crate) fn held(&self, reason: &str) -> u64 {
        self.pending().held_back.of(reason)
    }

    /// When the next intent is due, from now on.
    pub(crate) fn due_in(&self) -> Option<Duration> {
        let next = self.judge.docket().intents.next(Instant::now())?;
        Some(next.duration_since(Instant::now()))
    }

    /// Returns the metric of this name and these labels; 0 where it was never counted.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let text = self.metrics.encode().unwrap();
        let base = name.split('{').next().unwrap_or_default();
        let base = base.strip_suffix("_total").unwrap_or(base);
        assert!(
            text.contains(&format!("# TYPE {base} ")),
            "no metric {name}"
        );
        let lines = text.lines().filter_map(|line| line.rsplit_once(' '));
        let mut values = lines.filter(|(metric, _)| *metric == name);
        values.next().map_or(0, |(_, value)| value.parse().unwrap())
    }

    /// Publishes the Events that were told, and returns them as `Reason: note`, with how often if more than once. Nothing
    /// can be told after that.
    pub(crate) async fn told(self) -> Vec<String> {
        let ended = CancellationToken::new();
        ended.cancel();
        self.script.clear_all();
        let published = self.publisher.run(self.script.client(), DEADLINE, ended);
        timeout(Duration::from_mins(1), published).await.unwrap();
        let created = self.script.asked("POST events.k8s.io");
        let repeats = self.script.asked("PATCH events.k8s.io");
        let tell = |event: &Value| {
            let text = |field: &str| event[field].as_str().unwrap_or_default().to_owned();
            let name = text("reason") + ": " + &text("note");
            let own = event["metadata"]["name"].as_str().unwrap_or_default();
            let again = repeats.iter().filter(|asked| asked.path.ends_with(own));
            match again.count() {
                0 => name,
                more => format!("{name} ({} times)", more + 1),
            }
        };
        created.iter().map(|asked| tell(&asked.body)).collect()
    }
}

/// A Deployment that opted in and uses these Secrets, rolled out.
pub(crate) fn deployment(name: &str, secrets: &[&str]) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": metadata(name, RESTART_ON, "auto"),
        "spec": {
            "replicas": 1,
            "selector": { "matchLabels": { "app": name } },
            "template": template(name, secrets),
        },
        "status": { "observedGeneration": 1, "replicas": 1, "updatedReplicas": 1 },
    })
}

/// Metadata with one annotation.
/// A Deployment with two pods, both of its template and available, that uses Secret `s`.
pub(crate) fn running(name: &str) -> Value {
    let mut object = deployment(name, &["s"]);
    object["spec"]["replicas"] = json!(2);
    object["status"] = json!({
        "observedGeneration": 99, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2,
    });
    object
}

pub(crate) fn metadata(name: &str, annotation: &str, value: &str) -> Value {
    json!({ "name": name, "namespace": NAMESPACE, "generation": 1, "annotations": { annotation: value } })
}

/// A pod template that uses these Secrets.
pub(crate) fn template(name: &str, secrets: &[&str]) -> Value {
    let from = secrets
        .iter()
        .map(|secret| json!({ "secretRef": { "name": secret } }));
    json!({
        "metadata": { "labels": { "app": name } },
        "spec": { "containers": [{ "name": "c", "envFrom": from.collect::<Vec<_>>() }] },
    })
}

/// Adds an annotation of reroll, or another.
pub(crate) fn annotate(mut object: Value, annotation: &str, value: &str) -> Value {
    object["metadata"]["annotations"][annotation] = json!(value);
    object
}

pub(crate) fn secret_path(name: &str) -> String {
    format!("/api/v1/namespaces/{NAMESPACE}/secrets/{name}")
}

/// Where a workload is.
pub(crate) fn path(key: &WorkloadKey) -> String {
    let WorkloadKey {
        kind,
        namespace,
        name,
    } = key;
    let api_version = kind.api_version();
    format!(
        "/apis/{api_version}/namespaces/{namespace}/{}/{name}",
        kind.plural
    )
}

fn path_of(object: &Value) -> String {
    path(&key_of(object))
}

fn kind_of(object: &Value) -> Kind {
    let mut kinds = KINDS.iter().chain([&CRON_JOB, &JOB, &ROLLOUT]);
    kinds.find(|kind| object["kind"] == kind.kind).unwrap()
}

fn key_of(object: &Value) -> WorkloadKey {
    WorkloadKey {
        kind: kind_of(object),
        namespace: NAMESPACE.to_owned(),
        name: object["metadata"]["name"].as_str().unwrap().to_owned(),
    }
}

fn read(object: &Value) -> Workload {
    let object_read = serde_json::from_value(object.clone()).unwrap();
    Workload::read(kind_of(object), &object_read)
}
