//! Restarts by the names that Stakater Reloader gives them, for dashboards and alerts that are there: shown only where a flag says so.
//!
//! Nothing is counted for them: they are what `reroll_restarts_by_namespace_total` and `reroll_restart_failures_total` count.

use std::{fmt, sync::Arc};

use prometheus_client::{encoding::NoLabelSet, metrics::MetricType};

use super::{by_namespace::ByNamespace, views::Scrape};

const EXECUTED: &str = "reloader_reload_executed";
const EXECUTED_HELP: &str = "Restarts whose patch was made (true), and patches that failed (false), by the name of Stakater Reloader's metric";
/// Not a name of a counter by `OpenMetrics`, which end with `_total`: it is written as a value of no type.
const BY_NAMESPACE: &str = "reloader_reload_executed_total_by_namespace";
const BY_NAMESPACE_HELP: &str =
    "The same by namespace; without a namespace those of all others. It only grows, as a counter";

/// Shows them: restarts that were made, and those whose patch failed.
pub(super) fn show(
    scrape: &mut Scrape<'_>,
    by_success: &[(&'static str, Arc<ByNamespace>); 2],
) -> fmt::Result {
    let all = by_success
        .each_ref()
        .map(|(success, counts)| (("success", *success), counts.shown()));
    let mut executed = scrape.counter(EXECUTED, EXECUTED_HELP)?;
    for (success, (named, others)) in &all {
        let sum = others + named.iter().map(|(_, count)| count).sum::<u64>();
        executed
            .encode_family(&[*success])?
            .encode_counter::<NoLabelSet, u64, u64>(&sum, None)?;
    }
    let mut executed =
        scrape.describe(BY_NAMESPACE, BY_NAMESPACE_HELP, None, MetricType::Unknown)?;
    for (success, (named, others)) in &all {
        executed.encode_family(&[*success])?.encode_gauge(others)?;
        for (namespace, count) in named {
            executed
                .encode_family(&[*success, ("namespace", namespace)])?
                .encode_gauge(count)?;
        }
    }
    Ok(())
}
