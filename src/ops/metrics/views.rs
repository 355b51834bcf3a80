//! Metrics that each scrape reads from their owner.

use std::{
    fmt::{self, Debug},
    sync::Arc,
    time::Duration,
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet},
    metrics::MetricType,
    registry::Unit,
};

use super::{Metrics, process};
use crate::model::{held_back::HeldBack, peer::Holder};

/// What waits to be done now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pending {
    /// Intents that have not ended, provisional ones included.
    pub intents: u64,
    /// How long the oldest of them has waited; `None` without intents.
    pub oldest: Option<Duration>,
    /// Workloads whose restart is held back, by reason (`suspended`, `owned`, `slow_start`, …) and namespace.
    pub held_back: HeldBack,
    /// Sources that wait to be read by themselves.
    pub unread: u64,
}

/// How much is in the index now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Indexed {
    /// Sources.
    pub sources: u64,
    /// Workloads that opted in.
    pub workloads: u64,
    /// Those of them whose annotation is still under the previous digest key.
    pub under_previous_key: u64,
}

impl Metrics {
    /// Shows what is pending. Call once; the closure runs at each scrape.
    pub fn view_pending(&self, view: impl Fn() -> Pending + Send + Sync + 'static) {
        let by_namespace = Arc::clone(&self.by_namespace);
        self.add_view(move |scrape| {
            let pending = view();
            let oldest = pending.oldest.unwrap_or_default().as_secs_f64();
            scrape
                .gauge(
                    "intents_pending",
                    "Intents (planned restarts) that have not ended",
                )?
                .encode_gauge(&pending.intents)?;
            scrape
                .seconds(
                    "intents_oldest_pending",
                    "How long the oldest intent has waited that no brake holds; 0 on a replica that does not lead",
                )?
                .encode_gauge(&oldest)?;
            let help = "Sources that wait to be read, because a workload uses them and no watch shows enough of them";
            scrape
                .gauge("sources_unread", help)?
                .encode_gauge(&pending.unread)?;
            let help = "Workloads whose restart is held back, or that need what is absent (missing), by reason and namespace; without a namespace those of all others";
            let mut held_back = scrape.gauge("workloads_pending", help)?;
            for (reason, shown) in pending.held_back.shown(by_namespace.most_pending()) {
                held_back
                    .encode_family(&[("reason", reason)])?
                    .encode_gauge(&shown.others)?;
                for (namespace, count) in shown.named {
                    held_back
                        .encode_family(&[("workload_namespace", namespace), ("reason", reason)])?
                        .encode_gauge(&count)?;
                }
            }
            Ok(())
        });
    }

    /// Shows the size of the index. Call once; the closure runs at each scrape.
    pub fn view_indexed(&self, view: impl Fn() -> Indexed + Send + Sync + 'static) {
        self.add_view(move |scrape| {
            let indexed = view();
            scrape
                .gauge("sources_indexed", "Sources in memory")?
                .encode_gauge(&indexed.sources)?;
            scrape
                .gauge("workloads_indexed", "Workloads that opted in")?
                .encode_gauge(&indexed.workloads)?;
            let help = "Workloads whose annotation is still under the previous digest key";
            scrape
                .gauge("workloads_under_previous_key", help)?
                .encode_gauge(&indexed.under_previous_key)
        });
    }

    /// Shows which other installations work in how many namespaces; nothing while there are none. Call once; the closure runs
    /// at each scrape.
    pub fn view_others(&self, view: impl Fn() -> Vec<Holder> + Send + Sync + 'static) {
        self.add_view(move |scrape| {
            let holders = view();
            if holders.is_empty() {
                return Ok(());
            }
            let help = "Namespaces that are left to another installation of reroll, by its digest key and user";
            let mut namespaces = scrape.gauge("namespaces_elsewhere", help)?;
            for Holder {
                key_id,
                user,
                namespaces: count,
            } in holders
            {
                namespaces
                    .encode_family(&[("key", key_id), ("user", user)])?
                    .encode_gauge(&(count as u64))?;
            }
            Ok(())
        });
    }

    /// Shows when the serving certificate ends, in seconds since 1970; nothing while there is none. Call once.
    pub fn view_certificate(&self, not_after: impl Fn() -> Option<i64> + Send + Sync + 'static) {
        self.add_view(move |scrape| {
            let Some(seconds) = not_after() else {
                return Ok(());
            };
            scrape
                .seconds(
                    "certificate_not_after_timestamp",
                    "When the serving certificate expires",
                )?
                .encode_gauge(&seconds)
        });
    }

    /// Shows whether the webhook configurations are there; nothing while that is not known. Call once.
    pub fn view_configurations(&self, there: impl Fn() -> Option<bool> + Send + Sync + 'static) {
        self.add_view(move |scrape| {
            let Some(there) = there() else {
                return Ok(());
            };
            let help = "1 while both webhook configurations are there, 0 while one is gone; not shown where reroll may not read them";
            scrape
                .gauge("webhook_configurations_present", help)?
                .encode_gauge(&u64::from(there))
        });
    }

    /// Shows which watches work.
    pub(super) fn view_watching(&self) {
        let watching = Arc::clone(&self.watching);
        self.add_view(move |scrape| {
            let help = "1 while reroll sees all changes of this resource, 0 before its first list and while a watch fails";
            let mut up = scrape.gauge("watch_up", help)?;
            for (resource, works) in watching.shown() {
                up.encode_family(&[("resource", resource)])?
                    .encode_gauge(&u64::from(works))?;
            }
            Ok(())
        });
    }

    /// Shows in which namespaces restarts were made.
    pub(super) fn view_restarts(&self) {
        let by_namespace = Arc::clone(&self.by_namespace);
        self.add_view(move |scrape| {
            let (named, others) = by_namespace.shown();
            let help = "Workloads that were restarted, by namespace; without a namespace those of all others";
            let mut restarts = scrape.counter("restarts_by_namespace", help)?;
            restarts.encode_counter::<NoLabelSet, u64, u64>(&others, None)?;
            for (namespace, count) in named {
                restarts
                    .encode_family(&[("workload_namespace", namespace)])?
                    .encode_counter::<NoLabelSet, u64, u64>(&count, None)?;
            }
            Ok(())
        });
    }

    /// Shows what the process takes, where the system tells.
    pub(super) fn view_process(&self) {
        self.add_unnamed_view(|scrape| {
            let Some(process) = process::now() else {
                return Ok(());
            };
            scrape
                .describe(
                    "process_cpu",
                    "Time of processors that the process took",
                    Some(&Unit::Seconds),
                    MetricType::Counter,
                )?
                .encode_counter::<NoLabelSet, f64, u64>(&process.cpu, None)?;
            for (name, help, value) in [
                (
                    "process_resident_memory_bytes",
                    "Memory of the process",
                    Some(process.resident),
                ),
                (
                    "process_virtual_memory_bytes",
                    "Address space of the process",
                    Some(process.virtual_memory),
                ),
                (
                    "process_open_fds",
                    "Files and connections that the process has open",
                    Some(process.open_files),
                ),
                (
                    "process_max_fds",
                    "The most files and connections that it may have open",
                    process.most_files,
                ),
            ] {
                if let Some(value) = value {
                    scrape.gauge(name, help)?.encode_gauge(&value)?;
                }
            }
            Ok(())
        });
    }

    /// Names so many namespaces at most, from now on; 0 names none.
    pub fn name_namespaces(&self, most: usize) {
        for counts in [&self.by_namespace, &self.failures_by_namespace] {
            counts.name_at_most(most);
        }
    }

    /// Shows restarts by the names that Stakater Reloader gives them, for dashboards and alerts that are there. They are what reroll's own
    /// metrics count. Call once.
    pub fn view_as_reloader(&self) {
        let by_success = [
            ("true", Arc::clone(&self.by_namespace)),
            ("false", Arc::clone(&self.failures_by_namespace)),
        ];
        self.add_unnamed_view(move |scrape| {
            let all = by_success
                .each_ref()
                .map(|(success, counts)| (("success", *success), counts.shown()));
            let help = "Restarts whose patch was made (true), and patches that failed (false), by the name of Stakater Reloader's metric";
            let mut executed = scrape.counter("reloader_reload_executed", help)?;
            for (success, (named, others)) in &all {
                let sum = others + named.iter().map(|(_, count)| count).sum::<u64>();
                executed
                    .encode_family(&[*success])?
                    .encode_counter::<NoLabelSet, u64, u64>(&sum, None)?;
            }
            // Counters of `OpenMetrics` end with `_total`: it is written as a value of no type.
            let name = "reloader_reload_executed_total_by_namespace";
            let help = "The same by namespace; without a namespace those of all others. It only grows, as a counter";
            let mut executed = scrape.describe(name, help, None, MetricType::Unknown)?;
            for (success, (named, others)) in &all {
                executed.encode_family(&[*success])?.encode_gauge(others)?;
                for (namespace, count) in named {
                    executed
                        .encode_family(&[*success, ("namespace", namespace)])?
                        .encode_gauge(count)?;
                }
            }
            Ok(())
        });
    }

    /// Shows what has no name of reroll's before it.
    fn add_unnamed_view(
        &self,
        view: impl Fn(&mut Scrape<'_>) -> fmt::Result + Send + Sync + 'static,
    ) {
        let view = Box::new(View(view));
        self.process.lock().register_collector(view);
    }

    fn add_view(&self, view: impl Fn(&mut Scrape<'_>) -> fmt::Result + Send + Sync + 'static) {
        let view = Box::new(View(view));
        self.registry.lock().register_collector(view);
    }
}

/// One scrape, for a view to write to.
struct Scrape<'e>(DescriptorEncoder<'e>);

impl Scrape<'_> {
    fn gauge<'s>(&'s mut self, name: &'s str, help: &str) -> Result<MetricEncoder<'s>, fmt::Error> {
        self.describe(name, help, None, MetricType::Gauge)
    }

    fn counter<'s>(
        &'s mut self,
        name: &'s str,
        help: &str,
    ) -> Result<MetricEncoder<'s>, fmt::Error> {
        self.describe(name, help, None, MetricType::Counter)
    }

    fn seconds<'s>(
        &'s mut self,
        name: &'s str,
        help: &str,
    ) -> Result<MetricEncoder<'s>, fmt::Error> {
        self.describe(name, help, Some(&Unit::Seconds), MetricType::Gauge)
    }

    fn describe<'s>(
        &'s mut self,
        name: &'s str,
        help: &str,
        unit: Option<&'s Unit>,
        metric_type: MetricType,
    ) -> Result<MetricEncoder<'s>, fmt::Error> {
        // The registry ends the help of registered metrics with a full stop, but not that of collectors.
        self.0
            .encode_descriptor(name, &format!("{help}."), unit, metric_type)
    }
}

struct View<F>(F);

impl<F> Debug for View<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("View")
    }
}

impl<F> Collector for View<F>
where
    F: Fn(&mut Scrape<'_>) -> fmt::Result + Send + Sync + 'static,
{
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        (self.0)(&mut Scrape(encoder))
    }
}
