//! What is stuck, held or due, by the same judgement as `status`, and what reroll warned of by its Events.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;

use super::report::Line;
use crate::{
    cli::{
        event::last_seen,
        findings::Finding,
        output::ago,
        status::{Overview, Where},
    },
    cluster::Failure,
};

/// Events that are older, in seconds, are not told.
const RECENT: i64 = 3_600;

/// Says where workloads stand. `place`: as flags name it, `-A` or `-n NAME`.
pub(super) fn workloads(overview: &Overview, place: &str) -> Vec<Line> {
    let look = format!("kubectl reroll status {place}");
    let mut lines = Vec::new();
    for (state, finding, word) in [
        (Where::Stuck, Finding::Stuck, "stuck"),
        (Where::Held, Finding::HeldUp, "held"),
    ] {
        for (reason, (count, one)) in overview.reasons(state) {
            let words = match count {
                1 => format!("{one} is {word}: {reason}"),
                count => format!("{count} workloads are {word}, such as {one}: {reason}"),
            };
            lines.push(Line::found(finding, words).then(look.clone()));
        }
    }
    let sums = &overview.sums;
    let opted_in = match sums.all {
        1 => "1 workload opted in".to_owned(),
        all => format!("{all} workloads opted in"),
    };
    let words = sums.words();
    let colon = if words.is_empty() { "" } else { ": " };
    let words = format!("{opted_in}{colon}{words}");
    if sums.unknown > 0 || !overview.is_complete() {
        lines.push(Line::not_seen(format!("whether all have what is live: {words}")).then(look));
    } else if lines.is_empty() {
        lines.push(Line::fine(words));
    }
    lines
}

/// An Event of reroll's.
struct Told {
    reason: String,
    at: Timestamp,
    about: String,
}

impl Told {
    fn of(event: &Event) -> Option<Self> {
        let at = last_seen(event)?;
        let about = &event.involved_object;
        let part = |text: &Option<String>| text.clone().unwrap_or_default();
        let name = part(&about.name);
        let name = match &about.namespace {
            Some(namespace) => format!("{namespace}/{name}"),
            None => name,
        };
        Some(Self {
            reason: event.reason.clone()?,
            at,
            about: format!("{} {name}", part(&about.kind)),
        })
    }
}

/// Says of what reroll warned in the last hour. `place`: as flags of kubectl name it.
pub(super) fn warnings(
    events: &Result<Vec<Event>, Failure>,
    (place, flag): (&str, &str),
    now: Timestamp,
) -> Vec<Line> {
    let events = match events {
        Ok(events) => events,
        Err(why) => return vec![Line::failed(&format!("list Events in {place}"), why)],
    };
    let told = events.iter().filter_map(Told::of);
    let recent = told.filter(|told| now.duration_since(told.at).as_secs() < RECENT);
    let mut by_reason: BTreeMap<String, (usize, Told)> = BTreeMap::new();
    for told in recent {
        match by_reason.get_mut(&told.reason) {
            None => {
                by_reason.insert(told.reason.clone(), (1, told));
            }
            Some((count, last)) => {
                *count += 1;
                if told.at > last.at {
                    *last = told;
                }
            }
        }
    }
    if by_reason.is_empty() {
        return vec![Line::fine(format!(
            "reroll warned of nothing in the last hour, in {place}"
        ))];
    }
    let look = |reason: &str| {
        format!(
            "kubectl get events {flag} --field-selector reportingComponent=reroll,reason={reason}"
        )
    };
    let lines = by_reason.into_iter().map(|(reason, (count, last))| {
        let when = ago(last.at, now);
        let words = match count {
            1 => format!("Event {reason} on {}, {when}", last.about),
            count => format!(
                "{count} Events {reason}, the last on {}, {when}",
                last.about
            ),
        };
        Line::found(Finding::HasWarned, words).then(look(&reason))
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(reason: &str, at: &str, name: &str) -> Event {
        serde_json::from_value(json!({
            "metadata": {}, "reason": reason, "eventTime": at,
            "involvedObject": { "kind": "Deployment", "namespace": "shop", "name": name },
        }))
        .unwrap()
    }

    #[test]
    fn recent_events_are_told_by_reason() {
        let now = "2026-01-02T01:00:00Z".parse().unwrap();
        let told = |events: Vec<Event>| warnings(&Ok(events), ("the cluster", "-A"), now);
        let old = event("RestartFailed", "2026-01-01T23:00:00.000000Z", "old");
        assert_eq!(told(vec![]).iter().filter_map(Line::code).count(), 0);
        assert_eq!(
            told(vec![old.clone()])
                .iter()
                .filter_map(Line::code)
                .count(),
            0
        );
        let lines = told(vec![
            event("RestartStuck", "2026-01-02T00:59:00.000000Z", "web"),
            event("RestartFailed", "2026-01-02T00:58:00.000000Z", "b"),
            event("RestartFailed", "2026-01-02T00:50:00.000000Z", "a"),
            old,
        ]);
        let look = "kubectl get events -A --field-selector reportingComponent=reroll,reason=";
        let line = |words: &str, reason: &str| {
            Line::found(Finding::HasWarned, words).then(format!("{look}{reason}"))
        };
        let expected = [
            line(
                "2 Events RestartFailed, the last on Deployment shop/b, 2m ago",
                "RestartFailed",
            ),
            line(
                "Event RestartStuck on Deployment shop/web, 60s ago",
                "RestartStuck",
            ),
        ];
        assert_eq!(lines, expected);
        let forbidden = warnings(&Err(Failure::Forbidden), ("shop", "-n shop"), now);
        assert_eq!(
            forbidden,
            [Line::not_seen("no right to list Events in shop")]
        );
    }
}
