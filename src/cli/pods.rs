//! `reroll pods`: pods that may have older values than exist now, and why they are still there.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::Pod;
use serde::Serialize;

use super::{
    args::PodsArgs,
    ending::Ending,
    error::Error,
    explain::remedy,
    installation::ReadFlags,
    object::API_VERSION,
    output::{Part, Text, Tone, not_seen},
    session::Session,
    sight::{Sight, failing, gated::gated, read},
};
use crate::model::{
    Decision, SourceKey, SourceName, WorkloadKey,
    brake::converged::{Asked, Owner, Shown},
    held::Held,
    index::Tracked,
    policy::Selection,
    source::References,
    standing::{asked_of_absent, standing},
};

/// The answer.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct Outdated {
    api_version: &'static str,
    kind: &'static str,
    pods: Vec<Line>,
    /// Whether all could be read that tells which pods may have older values.
    complete: bool,
    notes: Vec<String>,
}

/// A pod.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
struct Line {
    namespace: String,
    name: String,
    owner: Option<String>,
    /// The sources of which it may have an older value.
    sources: Vec<String>,
    why: String,
    /// What replaces it.
    remedy: Option<String>,
}

/// Answers.
pub(super) async fn pods(args: PodsArgs, read_flags: ReadFlags) -> Result<Ending, Error> {
    let session = Session::open(&args.asking).await?;
    let within = (!args.all_namespaces).then_some(session.namespace.as_str());
    let mut sight = read::begin(&session, &args.asking, within, read_flags).await?;
    read::all(&mut sight, &session, within).await?;
    failing::look(&mut sight, &session, within, None).await?;
    let (mut lines, mut notes) = (Vec::new(), sight.notes());
    let mut complete = sight.is_complete(&session, within)? && sight.misses_no_source();
    for (namespace, asked) in asked_by_namespace(&sight, within) {
        let (mut older, sight) = (Vec::new(), &mut sight);
        let see = |pod: &Pod| {
            let Some(shown) = Shown::of(pod) else { return };
            let is_older = |asked: &&Asked| shown.is_older(asked);
            let sources = asked
                .iter()
                .filter(is_older)
                .map(|asked| asked.source.spoken());
            let sources: Vec<_> = sources.collect();
            if !sources.is_empty() {
                older.push((shown, sources));
            }
        };
        complete &= read::pods_within(&session, Some(&namespace), &mut notes, see).await?;
        lines.extend(
            older
                .into_iter()
                .map(|(pod, sources)| line(sight, &namespace, pod, sources)),
        );
    }
    let outdated = Outdated {
        api_version: API_VERSION,
        kind: "OutdatedPods",
        pods: lines,
        complete,
        notes,
    };
    session
        .output
        .print(&outdated, |report, _| table(report, within))?;
    Ok(outdated.ending())
}

impl Outdated {
    fn ending(&self) -> Ending {
        if self.pods.is_empty() && self.complete {
            Ending::Fine
        } else {
            Ending::NotYet
        }
    }
}

/// Returns what is asked of the pods of each namespace: of the sources that somebody uses who opted in.
fn asked_by_namespace(sight: &Sight, within: Option<&str>) -> BTreeMap<String, Vec<Asked>> {
    let mut used: BTreeSet<SourceKey> = BTreeSet::new();
    for key in sight.index.workloads(None, within) {
        let Some(tracked) = sight.index.workload(&key).filter(|it| it.policy.opted_in()) else {
            continue;
        };
        let sources = tracked.uses().keys().cloned();
        let namespace = &key.namespace;
        used.extend(sources.map(|source| SourceKey {
            namespace: namespace.clone(),
            source,
        }));
    }
    let mut all: BTreeMap<String, Vec<Asked>> = BTreeMap::new();
    for key in used {
        let live = sight.index.source(&key.namespace, &key.source);
        let asked = if live.version().is_some() {
            standing(&sight.index, &key).map(|standing| standing.asked)
        } else if sight.has_read(key.source.kind, &key.namespace) {
            asked_of_absent(&sight.index, &key)
        } else {
            None
        };
        if let Some(asked) = asked {
            all.entry(key.namespace).or_default().push(asked);
        }
    }
    all
}

fn line(sight: &mut Sight, namespace: &str, pod: Shown, sources: Vec<String>) -> Line {
    let named = |owner: &Owner| {
        WorkloadKey {
            kind: sight
                .index
                .kinds()
                .iter()
                .find(|kind| kind.kind == owner.0)?,
            namespace: namespace.to_owned(),
            name: owner.1.clone(),
        }
        .into()
    };
    let named = |owner: &Owner| -> Option<WorkloadKey> { named(owner) };
    let key = pod.owner.as_ref().and_then(named);
    let (why, remedy) = match (&key, pod.goes) {
        (_, Some(_)) => (
            "it is being deleted, and its containers still run".to_owned(),
            None,
        ),
        (Some(key), None) => why(sight, key, &pod.name, &sources),
        (None, None) => (
            "no workload that reroll restarts has it".to_owned(),
            Some(delete(&pod.name, namespace)),
        ),
    };
    Line {
        namespace: namespace.to_owned(),
        name: pod.name,
        owner: pod.owner.map(|(kind, name)| format!("{kind} {name}")),
        sources,
        why,
        remedy,
    }
}

/// Returns why a pod of a workload is still there, and what replaces it.
fn why(
    sight: &mut Sight,
    key: &WorkloadKey,
    pod: &str,
    sources: &[String],
) -> (String, Option<String>) {
    let (kind, name, namespace) = (key.kind.plural, &key.name, &key.namespace);
    let restart = Some(format!(
        "kubectl rollout restart {kind}/{name} -n {namespace}"
    ));
    let tracked = sight.index.workload(key);
    if !tracked.is_some_and(|known| known.policy.opted_in()) {
        return ("its workload did not opt in".to_owned(), restart);
    }
    if tracked.is_some_and(|known| known.policy.selection == Selection::Unreadable) {
        return (Held::Unreadable.words().to_owned(), restart);
    }
    let uses = tracked
        .map(Tracked::uses)
        .into_iter()
        .flat_map(References::keys);
    let uses: BTreeSet<_> = uses.map(SourceName::spoken).collect();
    if !sources.iter().any(|source| uses.contains(source)) {
        let words = format!(
            "the opt-in of its workload leaves out {}",
            sources.join(", ")
        );
        return (words, restart);
    }
    let (judged, held) = sight.judge(key);
    if let Some(failure) = sight.failures.get(key) {
        let explain = format!("kubectl reroll explain {kind}/{name} -n {namespace}");
        return (
            format!("the restart of its workload failed: {}", failure.words),
            Some(explain),
        );
    }
    match held {
        Some(Held::OnDelete | Held::Partitioned) => {
            let words = held.map(Held::words).unwrap_or_default();
            (words.to_owned(), Some(delete(pod, namespace)))
        }
        Some(held) => {
            let remedy = remedy(held, judged.stop.as_ref(), key);
            (held.words().to_owned(), remedy)
        }
        None => match &judged.decision {
            Some(Decision::Restart(_)) => {
                let gated = gated(sight, key, (&judged, held));
                let remedy = gated.as_ref().and_then(|it| remedy(it.held, None, key));
                let words = gated.map(|gated| format!("its restart waits: {}", gated.words));
                (
                    words.unwrap_or("its restart is due".to_owned()),
                    remedy.or(Some(format!(
                        "kubectl reroll explain {kind}/{name} -n {namespace}"
                    ))),
                )
            }
            _ if tracked_rolls(sight, key) => (
                "its workload is being rolled".to_owned(),
                Some(format!(
                    "kubectl rollout status {kind}/{name} -n {namespace}"
                )),
            ),
            _ => (
                "nothing shows what it started with: it is older than the last write, or of the same second"
                    .to_owned(),
                restart,
            ),
        },
    }
}

fn tracked_rolls(sight: &Sight, key: &WorkloadKey) -> bool {
    let tracked = sight.index.workload(key);
    tracked.is_some_and(|known| known.workload.is_behind() || known.workload.progress.rolls())
}

fn delete(pod: &str, namespace: &str) -> String {
    format!("kubectl delete pod {pod} -n {namespace}")
}

fn table(outdated: &Outdated, within: Option<&str>) -> Vec<Part> {
    let place = within.map_or("the cluster".to_owned(), |name| format!("namespace {name}"));
    let mut parts = Vec::new();
    if outdated.pods.is_empty() && outdated.complete {
        parts.push(Part::Line(format!(
            "No pod in {place} has an older value of what a workload uses that opted in."
        )));
    } else if outdated.pods.is_empty() {
        parts.push(Part::Line(format!(
            "Of what may be read in {place} no pod has an older value; what may not be read may have one."
        )));
    } else {
        let mut rows: Vec<Vec<Text>> = Vec::new();
        for pod in &outdated.pods {
            let mut row: Vec<Text> = Vec::new();
            if within.is_none() {
                row.push(pod.namespace.clone().into());
            }
            row.extend([
                pod.name.clone().into(),
                Tone::Warning.text(pod.sources.join(", ")),
                pod.why.clone().into(),
                pod.remedy.clone().unwrap_or_default().into(),
            ]);
            rows.push(row);
        }
        parts.push(Part::Rows(rows));
    }
    parts.push(Part::Rows(not_seen(&outdated.notes)));
    parts
}
