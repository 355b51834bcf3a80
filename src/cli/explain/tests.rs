//! What `explain` says of each row of the decision table, and of each reason of being held.

use std::collections::BTreeMap;

use kube::core::DynamicObject;
use serde_json::json;

use super::{
    shape::{Has, SourceLine},
    *,
};
use crate::{
    cli::{ending::Ending, output::plain},
    model::{
        SourceKind,
        annotation::PENDING,
        decide::tests::table::decisions,
        gate::suspend::{Place, Stop},
        peer::May,
        testing::{Outcome, version},
        version::key_of,
        workload::{KINDS, Stays},
    },
};

fn key() -> WorkloadKey {
    WorkloadKey {
        kind: &KINDS[0],
        namespace: "n".to_owned(),
        name: "web".to_owned(),
    }
}

/// A Deployment that says this in `reroll.dev/pending`.
fn workload(pending: Option<&str>) -> Workload {
    let annotations: BTreeMap<_, _> = pending.map(|text| (PENDING, text)).into_iter().collect();
    let object: DynamicObject = serde_json::from_value(json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": "web", "namespace": "n", "annotations": annotations },
        "spec": { "template": { "spec": { "containers": [] } } },
    }))
    .unwrap();
    Workload::read(key().kind, &object)
}

fn judged(decision: Option<Decision>) -> Judged {
    Judged {
        decision,
        unwritten: false,
        released: false,
        stop: None,
        aborted: false,
        settle: None,
        gather: None,
        stays: None,
        owner: None,
        taken_back: None,
        absent: Vec::new(),
        complaints: Vec::new(),
    }
}

/// What is said of a workload that opted in, and is judged so.
fn said(workload: &Workload, judged: &Judged, may: May) -> (Option<PendingLine>, Verdict) {
    let held = Held::of(judged, may);
    let pending = pending(&key(), workload, judged, (held, None));
    let explanation = Explanation {
        api_version: "",
        kind: "",
        workload: (&key()).into(),
        works_here: true,
        restarts_kind: true,
        opted_in: None,
        says: None,
        opt_in: None,
        state: State::Complete,
        pods: None,
        sources: Vec::new(),
        pending: None,
        failure: None,
        last_restart: None,
        complaints: Vec::new(),
        no_effect: Vec::new(),
        warnings: Vec::new(),
        notes: Vec::new(),
        verdict: Verdict::Fine,
    };
    let explanation = Explanation {
        pending,
        ..explanation
    };
    let verdict = verdict(&explanation, true, judged, held);
    (explanation.pending, verdict)
}

#[test]
fn every_row_of_the_decision_table_is_told_as_it_is_decided() {
    let rows = decisions();
    assert!(rows.len() > 50, "{}", rows.len());
    for (name, expected, decision) in rows {
        assert_eq!(decision.outcome(), expected, "{name}");
        let causes = joined(decision.causes());
        let judged = judged(Some(decision));
        let (pending, verdict) = said(&workload(None), &judged, May::Work);
        match expected {
            Outcome::Restart => {
                let due = pending.unwrap_or_else(|| panic!("{name}: a restart is due"));
                assert_eq!((due.causes, due.reason), (causes, None), "{name}");
                assert!(due.words.starts_with("is due: "), "{name}: {}", due.words);
                assert_eq!(verdict.ending(), Ending::NotYet, "{name}");
            }
            Outcome::Wait if !causes.is_empty() => {
                let waits = pending.unwrap_or_else(|| panic!("{name}: it waits"));
                assert_eq!(
                    (waits.causes, waits.reason),
                    (causes, Some("missing")),
                    "{name}"
                );
                assert_eq!(verdict.ending(), Ending::Stuck, "{name}");
            }
            Outcome::Undecided(_) => {
                assert!(pending.is_none(), "{name}: nobody knows");
                assert_eq!(verdict.ending(), Ending::NotYet, "{name}");
            }
            _ => {
                assert!(pending.is_none(), "{name}: nothing is due");
                assert_eq!(verdict.ending(), Ending::Fine, "{name}");
            }
        }
    }
}

/// One that is held for this reason, as the controller leaves it behind.
fn held(reason: Held, due: &Decision, kept: &Decision) -> (Workload, Judged, May) {
    let stands = json!({
        "since": "2026-01-01T00:00:00Z", "reason": reason.as_str(), "causes": "Secret s was updated",
        "id": "an-id", "by": "what the controller wrote",
    });
    let stands = stands.to_string();
    let (mut judged, mut may, mut text) = (judged(Some(due.clone())), May::Work, None);
    match reason {
        Held::Suspended => {
            let said = "an incident".to_owned();
            judged.stop = Some(Stop {
                place: Place::Namespace,
                said,
            });
        }
        Held::Aborted => judged.aborted = true,
        Held::Owned => (judged.decision, judged.owner) = (None, Some("App shop".to_owned())),
        Held::Unreadable => judged.decision = Some(Decision::Undecided(Undecided::Unreadable)),
        Held::NewerFormat => judged.decision = Some(Decision::Undecided(Undecided::NewerFormat)),
        Held::UnknownKey => judged.decision = Some(Decision::Undecided(Undecided::UnknownKey)),
        Held::Elsewhere => may = May::Hold,
        Held::Paused => (judged.decision, judged.stays) = (Some(kept.clone()), Some(Stays::Paused)),
        Held::OnDelete => {
            (judged.decision, judged.stays) = (Some(kept.clone()), Some(Stays::OnDelete));
        }
        Held::Partitioned => {
            (judged.decision, judged.stays) = (Some(kept.clone()), Some(Stays::Partitioned));
        }
        Held::TakenBack => {
            (judged.decision, judged.taken_back) =
                (Some(kept.clone()), Some("App shop".to_owned()));
        }
        _ => text = Some(stands.as_str()),
    }
    (workload(text), judged, may)
}

#[test]
fn every_reason_of_being_held_is_told_with_what_can_be_done() {
    let rows = decisions();
    let first = |outcome| {
        rows.iter()
            .find(|(_, it, _)| *it == outcome)
            .map(|(_, _, decision)| decision)
    };
    let (due, kept) = (
        first(Outcome::Restart).unwrap(),
        first(Outcome::Keep).unwrap(),
    );
    let waits = rows.iter().map(|(_, _, decision)| decision);
    let waits = waits.filter(|it| it.outcome() == Outcome::Wait);
    let waits = waits
        .into_iter()
        .find(|it| !it.causes().is_empty())
        .unwrap();
    let mut told = Vec::new();
    for reason in Held::ALL {
        let decision = if reason == Held::Missing { waits } else { due };
        let (workload, judged, may) = held(reason, decision, kept);
        let (pending, verdict) = said(&workload, &judged, may);
        let line = pending.unwrap_or_else(|| panic!("{reason:?} is told"));
        assert_eq!(line.reason, Some(reason.as_str()));
        let remedy = line.remedy.as_deref().unwrap_or("nothing");
        let ending = verdict.ending();
        let (reason_word, words) = (reason.as_str(), line.words);
        told.push(format!(
            "{reason_word} ({ending:?}): {words}\n  to do: {remedy}"
        ));
        // Only what passes by itself, or what a user asked for, is no failure.
        assert_eq!(
            ending == Ending::Stuck,
            reason.needs_a_user() || reason == Held::Owned,
            "{reason:?}"
        );
    }
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn who_stopped_it_can_let_it_go() {
    let remedy_of = |place| {
        let said = String::new();
        remedy(Held::Suspended, Some(&Stop { place, said }), &key())
    };
    for (place, right) in [
        (
            Place::Workload,
            Some("kubectl reroll resume deploy/web -n n"),
        ),
        (Place::Namespace, Some("kubectl reroll resume namespace/n")),
        (Place::Lease, Some("kubectl reroll resume --all")),
        (Place::Rollout, None),
    ] {
        assert_eq!(remedy_of(place).as_deref(), right, "{place:?}");
    }
}

/// What `explain` says of Deployment `web`, which opted in and uses Secret `s`, and how it ends.
fn explained_with(ignored: bool, lease: serde_json::Value) -> (String, Ending) {
    let lease = serde_json::from_value(lease).unwrap();
    let now = "2026-01-02T00:00:00Z".parse().unwrap();
    let mut sight = Sight::new(Installation::with_lease(lease), now).unwrap();
    let source = SourceName::secret("s");
    let mut live = version(&source, "U", 5, &[("k", "x")]);
    live.ignored = ignored;
    sight.index.apply_source(&key_of("n", &source), live);
    for kind in SourceKind::ALL {
        sight.index.set_synced(kind);
    }
    let object = serde_json::from_value(json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {
            "name": "web", "namespace": "n", "uid": "w", "resourceVersion": "9",
            "annotations": { "reroll.dev/restart-on": "auto" },
        },
        "spec": { "template": { "spec": { "containers": [
            { "name": "c", "envFrom": [{ "secretRef": { "name": "s" } }] },
        ] } } },
    }));
    read::take_workload(&mut sight, key().kind, object.unwrap());
    let explanation = explained(&mut sight, &key(), &BTreeSet::new(), Vec::new());
    (
        plain(table(&explanation, now, false)),
        explanation.verdict.ending(),
    )
}

#[test]
fn what_is_no_news_and_matters_is_told() {
    let leads = json!({
        "metadata": { "name": "reroll", "namespace": "sys" },
        "spec": { "holderIdentity": "a", "renewTime": "2026-01-01T23:59:58.000000Z", "leaseDurationSeconds": 8 },
    });
    let (mut over, mut stopped) = (leads.clone(), leads.clone());
    over["spec"]["renewTime"] = json!("2026-01-01T23:00:00.000000Z");
    stopped["metadata"]["annotations"] = json!({ "reroll.dev/suspend": "INC-1" });
    let told = [
        ("it is ignored", explained_with(true, leads)),
        ("nobody leads", explained_with(true, over)),
        ("all is suspended", explained_with(true, stopped)),
    ];
    let told = told.map(|(what, (text, ending))| format!("{what}: {ending:?}\n{text}"));
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn what_is_recorded_says_nothing_of_a_pod_that_is_older() {
    let line = |has| SourceLine {
        kind: "Secret",
        name: "s".to_owned(),
        keys: Vec::new(),
        used_in: Vec::new(),
        required: true,
        has,
        words: None,
        changed_at: None,
        changed_by: None,
    };
    let older = [SourceName::secret("s")].into();
    for (has, right) in [
        (Has::Current, Has::Doubted),
        (Has::Newer, Has::Newer),
        (Has::Absent, Has::Absent),
    ] {
        let mut lines = [line(has)];
        sources::take_doubts(&mut lines, &older);
        assert!(lines[0].has == right);
        assert_eq!(sources::all_known(&lines), right != Has::Doubted);
        assert_eq!(sources::lack_one(&lines), right == Has::Absent);
    }
}
