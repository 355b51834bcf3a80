//! Metrics, in the `OpenMetrics` text format, without globals.
//!
//! Labels are fixed sets: enums of [`labels`], or `&'static str` from an enum of the caller. A label is never a name of an
//! object and never the text of an error: both would grow without bound, and a metric may not quote a Secret.
//!
//! What can be read at a scrape is not counted all the time: a [view](views) is a closure that each scrape calls. It must
//! answer at once and must not wait for a lock that is held across an API call.

mod buckets;
pub mod by_namespace;
mod connections;
pub mod labels;
mod process;
pub mod views;
mod zeros;

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use parking_lot::Mutex;
use prometheus_client::{
    encoding::text::{encode_eof, encode_registry},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::{Metric, Registry, Unit},
};

use self::buckets::{ADMISSION_BUCKETS, CONVERGENCE_BUCKETS, REACTION_BUCKETS};
use self::by_namespace::ByNamespace;
pub use self::connections::OpenConnection;
use self::labels::{
    AlertOutcome, CertificateRepair, Counters, IntentOutcome, Labels, Port, RequestFailure,
    SourceEvent, SourceRead, Webhook,
};
use self::zeros::{make, words};
use super::watching::Watching;
use crate::{
    build::{COMMIT, VERSION},
    cluster::Failure,
    model::{
        CauseKind, Decision, WorkloadKey, brake::failed::Failed, decide::Cause, workload::Kinds,
    },
};

type Histograms<const N: usize> = Family<Labels<N>, Histogram, fn() -> Histogram>;
type Seconds = Gauge<f64, AtomicU64>;

/// Everything that reroll counts. A process has one, shared by an `Arc`.
#[derive(Debug)]
pub struct Metrics {
    /// Behind a lock, because owners add their views as they come up.
    registry: Mutex<Registry>,
    /// What all programs show, and what another showed, without a name of reroll's before it.
    process: Mutex<Registry>,
    /// In which namespaces restarts were made.
    pub by_namespace: Arc<ByNamespace>,
    /// In which namespaces patches of restarts failed.
    failures_by_namespace: Arc<ByNamespace>,
    /// Which watches work; a scrape shows it.
    pub watching: Arc<Watching>,
    sources_seen: Counters<2>,
    workloads_seen: Counters<1>,
    admission_requests: Counters<3>,
    admission_duration: Histograms<1>,
    admission_source_reads: Counters<1>,
    intents: Counters<1>,
    provisional_expired: Counter,
    decisions: Counters<1>,
    restarts: Counters<2>,
    restart_failures: Counters<2>,
    restarts_stuck: Counters<2>,
    convergence: Histogram,
    reaction: Histogram,
    adoptions: Counter,
    adopted_outdated: Counter,
    housekeeping_writes: Counter,
    startup_reconciliation: Seconds,
    startup_missed_changes: Gauge,
    leader: Gauge,
    history_went_back: Counter,
    events_dropped: Counter,
    alerts: Counters<1>,
    certificate_repairs: Counters<1>,
    certificate_reload_failures: Counter,
    certificate_out_of_date: Gauge,
    webhook_connections: Gauge,
    webhook_accept_failures: Counter,
    webhook_request_failures: Counters<1>,
    tls_handshake_failures: Counter,
    probe_connections: Gauge,
    connections_cut: Counters<1>,
}

// === construction ===

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// Registers metrics, and returns each.
struct Registrar(Registry);

impl Registrar {
    fn add<M: Metric + Clone>(&mut self, name: &str, help: &str, metric: M) -> M {
        self.0.register(name, help, metric.clone());
        metric
    }

    fn counter<M: Metric + Clone + Default>(&mut self, name: &str, help: &str) -> M {
        self.add(name, help, M::default())
    }

    fn in_seconds<M: Metric + Clone>(&mut self, name: &str, help: &str, metric: M) -> M {
        self.0
            .register_with_unit(name, help, Unit::Seconds, metric.clone());
        metric
    }
}

impl Metrics {
    /// The content type of [`encode`](Self::encode)'s text.
    pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

    /// Returns all metrics at zero, and no views yet.
    pub fn new() -> Self {
        let mut r = Registrar(Registry::with_prefix("reroll"));
        let build = Info::new([("version", VERSION), ("commit", COMMIT)]);
        r.0.register(
            "build",
            "The version of reroll, and the commit it was built of",
            build,
        );
        let admission_duration: Histograms<1> =
            Family::new_with_constructor(|| Histogram::new(ADMISSION_BUCKETS));
        let reaction = Histogram::new(REACTION_BUCKETS);
        let convergence = Histogram::new(CONVERGENCE_BUCKETS);
        let metrics = Self {
            sources_seen: r.counter("sources_seen", "Sources received from lists and watches"),
            workloads_seen: r.counter("workloads_seen", "Workloads received from lists and watches"),
            admission_requests: r.counter("admission_requests", "Admission reviews answered"),
            admission_duration: r.in_seconds("admission_duration", "Time to answer an admission review", admission_duration),
            admission_source_reads: r.counter("admission_source_reads", "Versions of sources that the workload webhook needed, by where it got them"),
            intents: r.counter("intents", "Intents (planned restarts) that ended: carried out (done: the patch was made), no longer needed (void), or never confirmed by the API server (expired)"),
            provisional_expired: r.counter("provisional_intents_expired", "Changes that the webhook saw and the API server never confirmed"),
            decisions: r.counter("decisions", "Decisions about workloads"),
            restarts: r.counter("restarts", "Restarts whose patch was made, counted once for each cause; the rollout follows"),
            restart_failures: r.counter("restart_failures", "Restart patches that failed; reroll retries them"),
            restarts_stuck: r.counter("restarts_stuck", "Restarts that were made and failed, or whose rollout goes no further"),
            convergence: r.in_seconds("convergence", "Time from the write of a source's version until all users have it and no pod has an older one", convergence),
            reaction: r.in_seconds("reaction", "Time from seeing a source's change to making the restart patch", reaction),
            adoptions: r.counter("adoptions", "Workloads adopted"),
            adopted_outdated: r.counter("adopted_outdated_sources", "Sources that were written after the current revision of a workload, found at its adoption"),
            housekeeping_writes: r.counter("housekeeping_writes", "Writes of reroll's own annotations that restart nothing"),
            startup_reconciliation: r.in_seconds("startup_reconciliation", "Duration of the last startup reconciliation; 0 until it is done", Seconds::default()),
            startup_missed_changes: r.counter("startup_missed_changes", "Changes made while reroll was away, found by the last startup reconciliation"),
            leader: r.counter("leader", "1 while this replica holds the Lease, otherwise 0"),
            history_went_back: r.counter("history_went_back", "Times that etcd went back to an earlier state, as after a restore, and reroll listed everything again"),
            events_dropped: r.counter("events_dropped", "Kubernetes Events that reroll could not publish"),
            alerts: r.counter("alerts", "Alerts that the webhook took (sent), that it did not take (failed), or that reroll discarded from its queue (dropped)"),
            certificate_repairs: r.counter("certificate_repairs", "Repairs of the webhook's certificates when no renewal was due"),
            certificate_reload_failures: r.counter("certificate_reload_failures", "Changed certificate files that reroll could not use; it keeps the old certificate"),
            certificate_out_of_date: r.counter("certificate_out_of_date", "1 while reroll cannot use the certificate files and serves an older certificate, otherwise 0"),
            webhook_connections: r.counter("webhook_connections", "Open connections to the webhook, their TLS handshake included"),
            webhook_accept_failures: r.counter("webhook_accept_failures", "Times that the system did not accept a connection to the webhook, for lack of file descriptors or memory"),
            webhook_request_failures: r.counter("webhook_request_failures", "Requests that the webhook answered with an error: they took too long (timeout), broke a handler (panic), came too slowly while others waited (slow), or were too many at once (crowd)"),
            tls_handshake_failures: r.counter("tls_handshake_failures", "TLS handshakes that failed or took too long"),
            probe_connections: r.counter("probe_connections", "Open connections to the port for probes and metrics"),
            connections_cut: r.counter("connections_cut", "Connections that were cut because they had got on least and others waited, by port"),
            registry: Mutex::default(),
            process: Mutex::default(),
            by_namespace: Arc::default(),
            failures_by_namespace: Arc::default(),
            watching: Arc::default(),
        };
        metrics.begin_at_zero();
        *metrics.registry.lock() = r.0;
        metrics.view_watching();
        metrics.view_restarts();
        metrics.view_process();
        metrics
    }

    /// Makes the series that are known beforehand.
    fn begin_at_zero(&self) {
        for webhook in Webhook::ALL {
            let labels = [("webhook", webhook.as_str())];
            drop(self.admission_duration.get_or_create(&labels));
        }
        make(&self.admission_requests, zeros::reviews());
        make(&self.sources_seen, zeros::sources());
        let decisions = Decision::WORDS.map(|word| [("decision", word)]);
        make(&self.decisions, decisions);
        let reads = words("result", SourceRead::ALL, SourceRead::as_str);
        make(&self.admission_source_reads, reads);
        let intents = words("outcome", IntentOutcome::ALL, IntentOutcome::as_str);
        make(&self.intents, intents);
        let alerts = words("outcome", AlertOutcome::ALL, AlertOutcome::as_str);
        make(&self.alerts, alerts);
        let repairs = words("reason", CertificateRepair::ALL, CertificateRepair::as_str);
        make(&self.certificate_repairs, repairs);
        let ports = words("port", Port::ALL, Port::as_str);
        make(&self.connections_cut, ports);
        let failures = words("reason", RequestFailure::ALL, RequestFailure::as_str);
        make(&self.webhook_request_failures, failures);
    }

    /// Makes the series that are known beforehand of these kinds of workloads.
    pub fn begin_for(&self, kinds: &Kinds) {
        make(
            &self.workloads_seen,
            kinds.iter().map(|kind| [("kind", kind.kind)]),
        );
        let causes = CauseKind::ALL.map(CauseKind::as_str);
        make(&self.restarts, zeros::kinds(kinds, "cause", &causes));
        make(
            &self.restart_failures,
            zeros::kinds(kinds, "reason", &Failure::WORDS),
        );
        make(
            &self.restarts_stuck,
            zeros::kinds(kinds, "reason", &Failed::WORDS),
        );
    }

    /// Returns the metrics as text, views included.
    ///
    /// # Errors
    /// When a view cannot be formatted.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode_registry(&mut text, &self.registry.lock())?;
        encode_registry(&mut text, &self.process.lock())?;
        encode_eof(&mut text)?;
        Ok(text)
    }
}

// === recording ===

impl Metrics {
    /// Counts that a watch or list brought a source of `kind` (`Secret`, `ConfigMap`).
    pub fn source_seen(&self, kind: &'static str, event: SourceEvent) {
        let labels = [("kind", kind), ("event", event.as_str())];
        self.sources_seen.get_or_create(&labels).inc();
    }

    /// Counts that a watch or list brought a workload of `kind`.
    pub fn workload_seen(&self, kind: &'static str) {
        self.workloads_seen.get_or_create(&[("kind", kind)]).inc();
    }

    /// Counts an admission review that was answered. `operation` is `CREATE`, `UPDATE`, `DELETE`, … or `unknown`. `outcome`
    /// says how, in one word: `allowed`, `patched`, `ignored`, `undecodable`, `too_large`, …
    pub fn admission_answered(
        &self,
        webhook: Webhook,
        operation: &'static str,
        outcome: &'static str,
        took: Duration,
    ) {
        let webhook = ("webhook", webhook.as_str());
        let labels = [webhook, ("operation", operation), ("outcome", outcome)];
        self.admission_requests.get_or_create(&labels).inc();
        self.admission_duration
            .get_or_create(&[webhook])
            .observe(took.as_secs_f64());
    }

    /// Counts how the workload webhook got the version of one source.
    pub fn admission_source_read(&self, result: SourceRead) {
        self.admission_source_reads
            .get_or_create(&[("result", result.as_str())])
            .inc();
    }

    /// Counts an intent that ended.
    pub fn intent_ended(&self, outcome: IntentOutcome) {
        self.intents
            .get_or_create(&[("outcome", outcome.as_str())])
            .inc();
    }

    /// Counts a repair of the webhook's certificates.
    pub fn certificate_repaired(&self, why: CertificateRepair) {
        self.certificate_repairs
            .get_or_create(&[("reason", why.as_str())])
            .inc();
    }

    /// Counts a provisional intent that the API never confirmed.
    pub fn provisional_intent_expired(&self) {
        self.provisional_expired.inc();
    }

    /// Counts a decision about a workload.
    pub fn decided(&self, decision: &'static str) {
        self.decisions
            .get_or_create(&[("decision", decision)])
            .inc();
    }

    /// Counts a restart of a workload of `kind`. Call it once for each cause (`updated`, `recreated`, …).
    pub fn restarted(&self, kind: &'static str, cause: &'static str) {
        self.restarts
            .get_or_create(&[("kind", kind), ("cause", cause)])
            .inc();
    }

    /// Counts a restart that was made, for each of its causes, and the intent that it ends.
    pub fn carried_out(&self, key: &WorkloadKey, causes: &[Cause], took: Duration) {
        for cause in causes {
            self.restarted(key.kind.kind, cause.kind.as_str());
        }
        self.by_namespace.count(&key.namespace);
        self.intent_ended(IntentOutcome::Done);
        self.reacted(took);
    }

    /// Counts a restart patch that failed. `reason` is a class (`conflict`, `forbidden`, …), never the error's text.
    pub fn restart_failed(&self, key: &WorkloadKey, reason: &'static str) {
        let labels = [("kind", key.kind.kind), ("reason", reason)];
        self.restart_failures.get_or_create(&labels).inc();
        self.failures_by_namespace.count(&key.namespace);
    }

    /// Counts a restart that failed after it was made. `reason` is one of a few words.
    pub fn restart_stuck(&self, kind: &'static str, reason: &'static str) {
        let labels = [("kind", kind), ("reason", reason)];
        self.restarts_stuck.get_or_create(&labels).inc();
    }

    /// Records that all users of a source had its version `took` after it was written.
    pub fn converged(&self, took: Duration) {
        self.convergence.observe(took.as_secs_f64());
    }

    /// Records a restart that was made `took` after the change was seen.
    pub fn reacted(&self, took: Duration) {
        self.reaction.observe(took.as_secs_f64());
    }

    /// Counts an adopted workload.
    pub fn adopted(&self) {
        self.adoptions.inc();
    }

    /// Counts the sources that were newer, at an adoption, than the workload's current revision.
    pub fn adopted_outdated(&self, sources: u64) {
        self.adopted_outdated.inc_by(sources);
    }

    /// Counts a write of annotations that restarts nothing.
    pub fn housekeeping_written(&self) {
        self.housekeeping_writes.inc();
    }

    /// Records that startup reconciliation took `took` and found `missed` changes.
    pub fn startup_reconciled(&self, took: Duration, missed: u64) {
        self.startup_reconciliation.set(took.as_secs_f64());
        self.startup_missed_changes
            .set(i64::try_from(missed).unwrap_or(i64::MAX));
    }

    /// Records whether this replica holds the Lease.
    pub fn leading(&self, leads: bool) {
        self.leader.set(leads.into());
    }

    /// Counts that etcd went back to an earlier state, and everything is listed again.
    pub fn history_went_back(&self) {
        self.history_went_back.inc();
    }

    /// Counts a Kubernetes Event that could not be published.
    pub fn event_dropped(&self) {
        self.events_dropped.inc();
    }

    /// Counts alerts that ended.
    pub fn alerts_ended(&self, outcome: AlertOutcome, count: u64) {
        self.alerts
            .get_or_create(&[("outcome", outcome.as_str())])
            .inc_by(count);
    }

    /// Counts changed certificate files that cannot be used.
    pub fn certificate_not_reloaded(&self) {
        self.certificate_reload_failures.inc();
    }

    /// Records whether the certificate files hold what cannot be used, so that an older certificate is served.
    pub fn certificate_out_of_date(&self, out_of_date: bool) {
        self.certificate_out_of_date.set(out_of_date.into());
    }
}

#[cfg(test)]
mod tests;
