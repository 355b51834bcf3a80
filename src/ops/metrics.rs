//! Metrics, in the `OpenMetrics` text format, without globals.
//!
//! Labels are fixed sets: enums of [`labels`], or `&'static str` from an enum of the caller. Never a name of an object, never
//! the text of an error: both would grow without bound, and a metric may not quote a Secret.
//!
//! What can be counted when somebody asks is not counted all the time: a [view](views) is a closure that is called at
//! each scrape. It must answer at once and must not wait for a lock that is held across an API call.

pub mod labels;
pub mod views;

use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry, Unit};

use labels::{AlertOutcome, CertificateRepair, IntentOutcome, SourceEvent, SourceRead, Webhook};

/// A fixed number of labels: name and value.
type Labels<const N: usize> = [(&'static str, &'static str); N];
type Counters<const N: usize> = Family<Labels<N>, Counter>;
type Histograms<const N: usize> = Family<Labels<N>, Histogram, fn() -> Histogram>;
type Seconds = Gauge<f64, AtomicU64>;

/// An admission review is answered from memory, or within the budget for reads.
const ADMISSION_BUCKETS: [f64; 11] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0,
];
/// From a change to its restart there is at least the settle time, and pacing may add to it.
const REACTION_BUCKETS: [f64; 13] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
];

/// Everything that reroll counts. One per process, shared by an `Arc`.
#[derive(Debug)]
pub struct Metrics {
    /// Behind a lock because views are added as their owners come up.
    registry: Mutex<Registry>,
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
}

// === construction ===

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// Registers one metric and hands it back.
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

    /// All metrics at zero, and no views yet.
    pub fn new() -> Self {
        let mut r = Registrar(Registry::with_prefix("reroll"));
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        r.0.register("build", "The version of reroll", build);
        let admission_duration: Histograms<1> =
            Family::new_with_constructor(|| Histogram::new(ADMISSION_BUCKETS));
        let reaction = Histogram::new(REACTION_BUCKETS);
        let metrics = Self {
            sources_seen: r.counter("sources_seen", "Sources received from lists and watches"),
            workloads_seen: r.counter("workloads_seen", "Workloads received from lists and watches"),
            admission_requests: r.counter("admission_requests", "Admission reviews answered"),
            admission_duration: r.in_seconds("admission_duration", "Time to answer an admission review", admission_duration),
            admission_source_reads: r.counter("admission_source_reads", "Versions of sources that the workload webhook needed, by where it got them"),
            intents: r.counter("intents", "Intents (planned restarts) that ended: carried out (done), no longer needed (void), or never confirmed by the API server (expired)"),
            provisional_expired: r.counter("provisional_intents_expired", "Changes that the webhook saw and the API server never confirmed"),
            decisions: r.counter("decisions", "Decisions about workloads"),
            restarts: r.counter("restarts", "Restarts, counted once for each cause"),
            restart_failures: r.counter("restart_failures", "Restart patches that failed; reroll retries them"),
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
            registry: Mutex::default(),
        };
        metrics.begin_at_zero();
        Self {
            registry: Mutex::new(r.0),
            ..metrics
        }
    }

    /// Label sets that are known beforehand exist from the start: `rate()` misses the first increment of others.
    fn begin_at_zero(&self) {
        for webhook in Webhook::ALL {
            drop(
                self.admission_duration
                    .get_or_create(&[("webhook", webhook.as_str())]),
            );
        }
        for read in SourceRead::ALL {
            drop(
                self.admission_source_reads
                    .get_or_create(&[("result", read.as_str())]),
            );
        }
        for outcome in IntentOutcome::ALL {
            drop(self.intents.get_or_create(&[("outcome", outcome.as_str())]));
        }
        for outcome in AlertOutcome::ALL {
            drop(self.alerts.get_or_create(&[("outcome", outcome.as_str())]));
        }
        for why in CertificateRepair::ALL {
            drop(
                self.certificate_repairs
                    .get_or_create(&[("reason", why.as_str())]),
            );
        }
    }

    /// The metrics as text, views included.
    ///
    /// # Errors
    /// When a view cannot be formatted.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        prometheus_client::encoding::text::encode(&mut text, &registry)?;
        Ok(text)
    }
}

// === recording ===

impl Metrics {
    /// A watch or list brought a source of `kind` (`Secret`, `ConfigMap`).
    pub fn source_seen(&self, kind: &'static str, event: SourceEvent) {
        let labels = [("kind", kind), ("event", event.as_str())];
        self.sources_seen.get_or_create(&labels).inc();
    }

    /// A watch or list brought a workload of `kind`.
    pub fn workload_seen(&self, kind: &'static str) {
        self.workloads_seen.get_or_create(&[("kind", kind)]).inc();
    }

    /// An admission review was answered. `operation` is `CREATE`, `UPDATE`, `DELETE`, … or `unknown`; `outcome` says
    /// how, in one word: `allowed`, `patched`, `ignored`, `undecodable`, `too_large`, …
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

    /// The workload webhook got the version of one source.
    pub fn admission_source_read(&self, result: SourceRead) {
        self.admission_source_reads
            .get_or_create(&[("result", result.as_str())])
            .inc();
    }

    /// An intent ended.
    pub fn intent_ended(&self, outcome: IntentOutcome) {
        self.intents
            .get_or_create(&[("outcome", outcome.as_str())])
            .inc();
    }

    /// The webhook's certificates were put right.
    pub fn certificate_repaired(&self, why: CertificateRepair) {
        self.certificate_repairs
            .get_or_create(&[("reason", why.as_str())])
            .inc();
    }

    /// A provisional intent was never confirmed by the API.
    pub fn provisional_intent_expired(&self) {
        self.provisional_expired.inc();
    }

    /// A decision was made about a workload.
    pub fn decided(&self, decision: &'static str) {
        self.decisions
            .get_or_create(&[("decision", decision)])
            .inc();
    }

    /// A workload of `kind` was restarted; call it once for each cause (`updated`, `recreated`, …).
    pub fn restarted(&self, kind: &'static str, cause: &'static str) {
        self.restarts
            .get_or_create(&[("kind", kind), ("cause", cause)])
            .inc();
    }

    /// A restart patch failed; `reason` is a class (`conflict`, `forbidden`, `timeout`, …), never the error's text.
    pub fn restart_failed(&self, kind: &'static str, reason: &'static str) {
        self.restart_failures
            .get_or_create(&[("kind", kind), ("reason", reason)])
            .inc();
    }

    /// A restart was made `took` after the change was seen.
    pub fn reacted(&self, took: Duration) {
        self.reaction.observe(took.as_secs_f64());
    }

    /// A workload was adopted.
    pub fn adopted(&self) {
        self.adoptions.inc();
    }

    /// At an adoption, so many sources were newer than the workload's current revision.
    pub fn adopted_outdated(&self, sources: u64) {
        self.adopted_outdated.inc_by(sources);
    }

    /// Annotations were written without a restart.
    pub fn housekeeping_written(&self) {
        self.housekeeping_writes.inc();
    }

    /// Startup reconciliation took `took` and found `missed` changes.
    pub fn startup_reconciled(&self, took: Duration, missed: u64) {
        self.startup_reconciliation.set(took.as_secs_f64());
        self.startup_missed_changes
            .set(i64::try_from(missed).unwrap_or(i64::MAX));
    }

    /// This replica holds the Lease, or not.
    pub fn leading(&self, leads: bool) {
        self.leader.set(leads.into());
    }

    /// etcd went back to an earlier state, and everything is listed again.
    pub fn history_went_back(&self) {
        self.history_went_back.inc();
    }

    /// A Kubernetes Event could not be published.
    pub fn event_dropped(&self) {
        self.events_dropped.inc();
    }

    /// So many alerts ended like this.
    pub fn alerts_ended(&self, outcome: AlertOutcome, count: u64) {
        self.alerts
            .get_or_create(&[("outcome", outcome.as_str())])
            .inc_by(count);
    }
}

#[cfg(test)]
mod tests;
