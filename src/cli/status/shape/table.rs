//! The answers of `status` as lines for people.

use jiff::Timestamp;

use super::{NAMED, Overview, SourceStatus};
use crate::{
    cli::output::{Part, Text, Tone, ago, not_seen, warned},
    model::text::some_of,
};

/// Returns the lines about a source for people.
pub(in crate::cli) fn source_table(status: &SourceStatus, now: Timestamp) -> Vec<Part> {
    let object = &status.source;
    let changed = status.changed_at.map(|at| {
        let by = status.changed_by.as_ref();
        let by = by.map_or_else(String::new, |by| format!(" by {by}"));
        format!("changed {}{by}", ago(at, now))
    });
    let there = if status.exists {
        changed.unwrap_or_default().into()
    } else if status.readable {
        Tone::Bad.text("absent")
    } else {
        Tone::Warning.text("not to be read: whether it exists is not seen")
    };
    let name = format!("{} {}/{}", object.kind, object.namespace, object.name);
    let sums = match status.sums.all {
        0 if status.complete => "no workload that opted in uses it".to_owned(),
        0 => "no workload uses it that opted in and may be read".to_owned(),
        1 => format!("1 user: {}", status.sums.words()),
        all => format!("{all} users: {}", status.sums.words()),
    };
    let mut parts = vec![Part::Rows(vec![vec![name.into(), there, sums.into()]])];
    let rows: Vec<_> = status
        .users
        .iter()
        .map(|user| indented(user.row(now, false)))
        .collect();
    if !rows.is_empty() {
        parts.push(Part::Rows(rows));
    }
    let mut rows = Vec::new();
    match status.outdated_pods {
        Some(0) | None => {}
        Some(count) => {
            let named = status.outdated.iter().take(NAMED).map(String::as_str);
            let pods = if count == 1 {
                "1 older pod"
            } else {
                &format!("{count} older pods")
            };
            let words = format!("{pods} may have another value: {}", some_of(named, count));
            rows.push(vec!["Pods".into(), Tone::Warning.text(words)]);
        }
    }
    rows.extend(warned(&status.warnings));
    rows.extend(not_seen(&status.notes));
    parts.push(Part::Rows(rows));
    parts
}

/// Returns the lines about a namespace, or the cluster, for people.
pub(in crate::cli) fn overview_table(
    overview: &Overview,
    now: Timestamp,
    _wide: bool,
) -> Vec<Part> {
    let place = match &overview.namespace {
        Some(namespace) => format!("namespace {namespace}"),
        None => "the cluster".to_owned(),
    };
    let sums = match overview.sums.all {
        0 if overview.complete => format!("No workload in {place} opted in."),
        0 => format!("No workload in {place} opted in, of those that may be read."),
        1 => format!("1 workload in {place} opted in: {}.", overview.sums.words()),
        all => format!(
            "{all} workloads in {place} opted in: {}.",
            overview.sums.words()
        ),
    };
    let mut parts = vec![Part::Line(sums)];
    let with_namespace = overview.namespace.is_none();
    let rows: Vec<_> = overview
        .workloads
        .iter()
        .map(|user| user.row(now, with_namespace))
        .collect();
    if !rows.is_empty() {
        parts.push(Part::Rows(rows));
    }
    let mut rows = warned(&overview.warnings);
    rows.extend(not_seen(&overview.notes));
    parts.push(Part::Rows(rows));
    parts
}

fn indented(row: Vec<Text>) -> Vec<Text> {
    std::iter::once(Text::from("")).chain(row).collect()
}
