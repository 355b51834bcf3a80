use kube::core::DynamicObject;
use serde_json::{Value, json};

use super::*;
use crate::model::{
    CauseKind,
    decide::{Lookup, Subject},
    observed::Entry,
    policy::OnRecreate,
    source::{Need, SourceName},
    stamp::Stamp,
    testing::*,
    version::Version,
    workload::{CRON_JOB, DEPLOYMENT_CONFIG, JOB, KINDS, ROLLOUT},
};

const BEFORE: &str = "2026-01-01T00:00:00Z";
const THEN: &str = "2026-01-01T00:00:10Z";
const LATER: &str = "2026-01-01T00:00:20Z";
/// [`THEN`] in unix seconds.
const AT: i64 = 1_767_225_610;

fn meta(value: Value) -> ObjectMeta {
    serde_json::from_value(value).unwrap()
}

/// A pod or `ReplicaSet` of this name, with an owner of this uid or none, and these labels.
fn object(name: &str, owner: Option<&str>, created: &str, labels: &Value) -> ObjectMeta {
    let owners = owner.map(|uid| {
        json!([{"apiVersion": "v1", "kind": "X", "name": "x", "uid": uid, "controller": true}])
    });
    meta(json!({
        "name": name, "uid": format!("uid-{name}"), "creationTimestamp": created, "labels": labels,
        "ownerReferences": owners.unwrap_or_else(|| json!([])),
        "annotations": {RESTARTED_FOR: format!("mark-{name}"), "deployment.kubernetes.io/revision": "7", OBSERVED: "text"},
    }))
}

fn workload(uid: Option<&str>, annotations: &Value) -> DynamicObject {
    serde_json::from_value(json!({
        "metadata": {"name": "web", "uid": uid, "creationTimestamp": uid.map(|_| THEN), "annotations": annotations},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": {}},
    }))
    .unwrap()
}

fn adopter(kind: Kind, uid: Option<&str>) -> Adopter {
    Adopter::read(kind, NAMESPACE, &workload(uid, &json!({}))).unwrap()
}

fn states(adopted: &Adopted) -> Vec<&str> {
    adopted.pods.iter().map(|pod| pod.mark.as_str()).collect()
}

#[test]
fn which_pods_are_adopted_through_replica_sets() {
    let hashed = |hash: &str| json!({"pod-template-hash": hash});
    let mut deleted = object("deleted", None, BEFORE, &hashed("d"));
    deleted.deletion_timestamp = Some(serde_json::from_value(json!(LATER)).unwrap());
    let sets = [
        object("free", None, BEFORE, &hashed("f")),
        object("neighbours", Some("other"), BEFORE, &hashed("n")),
        // `kubectl replace --force`: the garbage collector has not come by yet.
        object("collected", Some("before"), BEFORE, &hashed("c")),
        object("taken", Some("own"), BEFORE, &hashed("t")),
        object("made", Some("own"), LATER, &hashed("m")),
        deleted,
    ];
    let of = |set: &str, created: &str| {
        object(
            &format!("of-{set}"),
            Some(&format!("uid-{set}")),
            created,
            &json!({}),
        )
    };
    let pods = [
        of("free", BEFORE),
        of("neighbours", BEFORE),
        of("collected", BEFORE),
        of("taken", BEFORE),
        of("made", LATER),
        of("deleted", BEFORE),
        // Restored, before its ReplicaSet took it.
        object("bare", None, BEFORE, &hashed("f")),
        object("stranger", None, BEFORE, &json!({})),
    ];
    let created = adopter(&KINDS[0], None).adopts(&sets, &pods);
    assert_eq!(states(&created), ["mark-of-free", "mark-bare"]);
    assert_eq!(
        (created.pods[0].revision.as_str(), created.copies.len()),
        ("7", 1)
    );
    let afterwards = adopter(&KINDS[0], Some("own")).adopts(&sets, &pods);
    assert_eq!(
        states(&afterwards),
        ["mark-of-free", "mark-of-taken", "mark-bare"]
    );
    // What a ReplicaSet that was taken over makes later is no pod of before.
    let later = [of("taken", LATER), of("taken", THEN)];
    assert_eq!(
        adopter(&KINDS[0], Some("own")).adopts(&sets, &later).pods,
        []
    );
    assert_eq!(adopter(&ROLLOUT, None).adopts(&sets, &pods), created);
}

#[test]
fn which_pods_are_adopted_directly() {
    let pods = [
        object(
            "web-0",
            None,
            BEFORE,
            &json!({"controller-revision-hash": "r"}),
        ),
        object("web-1", Some("other"), BEFORE, &json!({})),
        object("web-2", Some("own"), BEFORE, &json!({})),
        object("web-3", Some("own"), THEN, &json!({})),
        object("web-x", None, BEFORE, &json!({})),
        object("next-0", None, BEFORE, &json!({})),
    ];
    let rows: [(Kind, Option<&str>, &[&str]); 4] = [
        (&KINDS[1], None, &["mark-web-0"]),
        (&KINDS[1], Some("own"), &["mark-web-0", "mark-web-2"]),
        (
            &KINDS[2],
            None,
            &["mark-web-0", "mark-web-x", "mark-next-0"],
        ),
        (
            &KINDS[2],
            Some("own"),
            &["mark-web-0", "mark-web-2", "mark-web-x", "mark-next-0"],
        ),
    ];
    for (kind, uid, expected) in rows {
        let found = adopter(kind, uid).adopts(&[], &pods);
        assert_eq!(states(&found), expected, "{kind} {uid:?}");
        assert_eq!(found.pods[0].revision, "r");
    }
    for kind in [&DEPLOYMENT_CONFIG, &CRON_JOB, &JOB] {
        assert!(Adopter::read(kind, NAMESPACE, &workload(None, &json!({}))).is_none());
    }
}

/// A `DaemonSet` with what the annotation of its number says.
fn counting(uid: Option<&str>, number: Option<&str>) -> Adopter {
    let annotations = number.map_or(json!({}), |number| json!({TEMPLATE_GENERATION: number}));
    Adopter::read(&KINDS[2], NAMESPACE, &workload(uid, &annotations)).unwrap()
}

/// Pods with these numbers, called after them.
fn numbered(numbers: &[&str]) -> Vec<ObjectMeta> {
    let pods = numbers.iter().map(|number| {
        let labels = json!({POD_TEMPLATE_GENERATION: number, REVISION_HASH: "r"});
        object(number, None, BEFORE, &labels)
    });
    pods.collect()
}

#[test]
fn a_daemon_set_keeps_pods_that_carry_its_number() {
    let mut pods = numbered(&["1", "2"]);
    pods.push(object("c", None, BEFORE, &json!({REVISION_HASH: "r"})));
    for (number, kept) in [
        (None, "mark-1"),
        (Some("0"), "mark-1"),
        (Some("2"), "mark-2"),
    ] {
        let adopter = counting(Some("own"), number);
        let current = Current {
            revision: "r".to_owned(),
            number: adopter.number(),
        };
        let found = adopter.adopts(&[], &pods);
        let stays = found.clone().that_stay("mark-c", Some(&current));
        assert_eq!(states(&stays), [kept, "mark-c"], "{number:?}");
        let other = Current {
            revision: "s".to_owned(),
            ..current
        };
        let stays = found.clone().that_stay("mark-c", Some(&other));
        assert_eq!(states(&stays), [kept], "{number:?}");
        // A new one begins above them.
        assert_eq!(states(&found.that_stay("mark-c", None)), ["mark-c"]);
    }
}

#[test]
fn with_which_number_a_new_daemon_set_begins() {
    let rows: [(Option<&str>, &[&str], Option<i64>); 13] = [
        (None, &[], None),
        (None, &["1"], Some(2)),
        // Admission sees a new one before it gets its number.
        (Some("0"), &["1"], Some(2)),
        (Some("1"), &["2"], Some(3)),
        (Some("2"), &["2"], Some(3)),
        (Some("2"), &["1", "2"], Some(3)),
        (Some("2"), &["3", "1"], Some(4)),
        (Some("3"), &["1", "2"], None),
        (Some("3"), &["2"], None),
        (Some("soon"), &["1"], Some(2)),
        (None, &["x", ""], None),
        // Nobody changes a template so often, and above it there is nothing.
        (None, &["9223372036854775807", "1"], Some(2)),
        (None, &["9223372036854775807"], None),
    ];
    for (own, pods, expected) in rows {
        let created = counting(None, own);
        let adopted = created.adopts(&[], &numbered(pods));
        assert_eq!(created.first_number(&adopted), expected, "{own:?} {pods:?}");
    }
    let other = adopter(&KINDS[1], None);
    let adopted = Adopted {
        pods: vec![Pod {
            number: Some(1),
            ..Pod::default()
        }],
        copies: Vec::new(),
    };
    assert_eq!((other.number(), other.first_number(&adopted)), (None, None));
}

#[test]
fn which_pods_a_daemon_set_has() {
    let own = counting(Some("own"), None);
    let mut gone = object("gone", Some("own"), BEFORE, &json!({}));
    gone.deletion_timestamp = Some(serde_json::from_value(json!(LATER)).unwrap());
    let rows = [
        (object("free", None, BEFORE, &json!({})), true),
        (object("taken", Some("own"), BEFORE, &json!({})), true),
        (
            object("neighbours", Some("other"), BEFORE, &json!({})),
            false,
        ),
        (gone, false),
    ];
    for (pod, has) in rows {
        assert_eq!(own.has(&pod), has, "{:?}", pod.name);
    }
}

fn pod(mark: &str, created: i64) -> Pod {
    Pod {
        mark: mark.to_owned(),
        created,
        ..Pod::default()
    }
}

/// The value of a pod, what its `ReplicaSet` and the workload before say, and the mark that the pod has then.
type TimeRow<'a> = (Option<&'a str>, Option<&'a str>, &'a [&'a str], &'a str);

#[test]
fn which_mark_by_time_a_pod_has() {
    let (early, then) = ("~e@2026-01-01T00:00:00Z", "~t@2026-01-01T00:00:10Z");
    let rows: [TimeRow; 9] = [
        (Some(THEN), Some(then), &[], "~t"),
        (Some(THEN), None, &[then], "~t"),
        (Some(THEN), None, &[early, then], "~t"),
        (Some(THEN), Some(then), &[early], "~t"),
        (Some(BEFORE), Some(then), &[then, early], "~e"),
        // A user set a later one.
        (Some(LATER), None, &[then], "~t"),
        (Some(BEFORE), Some(then), &[], "mark-pod"),
        (None, Some(then), &[then], "mark-pod"),
        // A restart by `spec.restartAt`, and what cannot be read.
        (
            Some(LATER),
            Some("abc@2026-01-01T00:00:00Z"),
            &["~t@soon"],
            "mark-pod",
        ),
    ];
    for (value, of_set, texts, expected) in rows {
        let hashed = json!({"pod-template-hash": "h"});
        let set_all = |meta: &mut ObjectMeta, key: &str, value: Option<&str>| {
            let annotations = meta.annotations.as_mut().unwrap();
            annotations.extend(value.map(|value| (key.to_owned(), value.to_owned())));
        };
        let mut set = object("set", None, BEFORE, &hashed);
        set_all(&mut set, RESTARTED_AT, of_set);
        let mut pod = object("pod", Some("uid-set"), BEFORE, &hashed);
        set_all(&mut pod, KUBECTL_RESTARTED_AT, value);
        let found = adopter(&KINDS[0], None).adopts(&[set], &[pod]);
        let found = found.under(texts.iter().copied());
        assert_eq!(states(&found), [expected], "{value:?} {of_set:?} {texts:?}");
        assert_eq!(found.pods[0].restarted_for.as_deref(), Some("mark-pod"));
        assert_eq!(found.pods[0].marked_at.is_some(), expected.starts_with('~'));
    }
}

/// The states and times of pods, the mark that is remembered, and the one that comes of it.
type Row<'a> = (&'a [(&'a str, i64)], Option<&'a str>, Option<&'a str>);

#[test]
fn which_mark_the_template_gets() {
    let adopted = |pods: &[(&str, i64)]| Adopted {
        pods: pods.iter().map(|(mark, at)| pod(mark, *at)).collect(),
        copies: Vec::new(),
    };
    let remembered = |mark: &str| {
        let mut world = World::new();
        world.restarted_for = mark.to_owned();
        Reading::Genuine(world.observed([]))
    };
    let rows: [Row; 6] = [
        (&[], Some("a"), None),
        (&[("a", 1), ("b", 2)], None, Some("b")),
        (&[("a", 1), ("b", 2)], Some("a"), Some("a")),
        (&[("a", 1), ("b", 2)], Some("c"), Some("b")),
        (&[("", 1)], Some("c"), Some("")),
        (&[("", 1), ("a", 1)], Some(""), Some("")),
    ];
    for (pods, last, expected) in rows {
        let last = last.map(remembered);
        let found = adopted(pods);
        assert_eq!(found.mark(last.as_ref()), expected, "{pods:?} {last:?}");
    }
}

fn s() -> SourceName {
    SourceName::secret("s")
}

fn live(uid: &str, value: &str, written: i64) -> Version {
    written_at(version(&s(), uid, 20, &[("k", value)]), written)
}

fn written_at(mut version: Version, written: i64) -> Version {
    version.written = written;
    version
}

fn seen(uid: &str, value: &str) -> Entry {
    Entry::of(
        &version(&s(), uid, 10, &[("k", value)]),
        &whole(Need::Required),
    )
}

/// What becomes of one adopted pod, made at [`AT`], that had `entry`.
fn decided(world: &World, entry: Option<Entry>) -> Assessment {
    let said = entry.map(|entry| Reading::Genuine(world.observed([(s(), entry)])));
    let lookup = |source: &SourceName| world.lookup(source);
    judge(&world.subject(), AT, said.as_ref(), &lookup, &key())
}

#[test]
fn what_adopted_pods_need() {
    use CauseKind::{Created, Outdated, Recreated, Updated};
    let present = Live::Fresh;
    let a_x = || Some(seen("A", "x"));
    // What is said of the pods, what is live, what content decides, and why they are restarted.
    let rows = [
        // Digests first.
        ("as it was", a_x(), present(live("A", "x", AT - 5)), None),
        ("a label", a_x(), present(live("A", "x", AT + 5)), None),
        (
            "changed",
            a_x(),
            present(live("A", "y", AT + 5)),
            Some(Updated),
        ),
        // A key that was removed leaves no time.
        (
            "no time",
            a_x(),
            present(live("A", "y", AT - 5)),
            Some(Updated),
        ),
        (
            "recreated",
            a_x(),
            present(live("B", "x", AT + 1)),
            Some(Recreated),
        ),
        // Pods that were made after it cannot have read its predecessor.
        ("restored", a_x(), present(live("B", "x", AT - 5)), None),
        ("restored at once", a_x(), present(live("B", "x", AT)), None),
        ("restored, other", a_x(), present(live("B", "y", AT)), None),
        (
            "came",
            Some(Entry::Unknown),
            present(live("B", "x", AT + 1)),
            Some(Created),
        ),
        (
            "was there",
            Some(Entry::Unknown),
            present(live("B", "x", AT)),
            None,
        ),
        (
            "waited for",
            Some(Entry::Waiting),
            present(live("B", "x", AT + 1)),
            None,
        ),
        // Then times.
        (
            "written later",
            None,
            present(live("A", "x", AT + 1)),
            Some(Outdated),
        ),
        ("in that second", None, present(live("A", "x", AT)), None),
        ("before", None, present(live("A", "x", AT - 1)), None),
    ];
    for (name, entry, live, cause) in rows {
        let world = World::new().with(&s(), whole(Need::Required), live);
        let judged = decided(&world, entry);
        let kinds: Vec<_> = judged
            .decision
            .causes()
            .iter()
            .map(|cause| cause.kind)
            .collect();
        assert_eq!(kinds, cause.into_iter().collect::<Vec<_>>(), "{name}");
        let restart = judged.decision.outcome() == Outcome::Restart;
        assert_eq!(restart, cause.is_some(), "{name}");
        // What is held stays pending.
        let again = world.decide(crate::model::decide::Known::Observed(&judged.before));
        assert_eq!(again.outcome() == Outcome::Restart, restart, "{name}");
    }
}

#[test]
fn what_is_gone_is_waited_for() {
    let world = World::new().with(&s(), whole(Need::Required), GONE);
    let judged = decided(&world, Some(seen("A", "x")));
    assert_eq!(judged.decision.outcome(), Outcome::Wait);
    let next = judged.decision.next().cloned().unwrap();
    assert_eq!(next.entries.get(&s()), Some(&seen("A", "x")));
}

#[test]
fn content_decides_where_that_is_asked_for() {
    let live = Live::Fresh(live("B", "x", AT + 5));
    let world = World::new()
        .with(&s(), whole(Need::Required), live)
        .on_recreate(OnRecreate::Content);
    let judged = decided(&world, Some(seen("A", "x")));
    assert_ne!(judged.decision.outcome(), Outcome::Restart);
}

#[test]
fn a_fold_counts_unless_all_of_it_was_read() {
    let names: Vec<_> = (0..400)
        .map(|n| SourceName::secret(format!("s{n:03}")))
        .collect();
    let world = |uid: &str, written: i64| {
        let mut world = World::new();
        for name in &names {
            let version = version(name, &format!("{uid}-{}", name.name), 20, &[("k", "x")]);
            let version = written_at(version, written);
            world = world.with(name, whole(Need::Required), Live::Fresh(version));
        }
        world
    };
    let before = world("A", AT - 5);
    let entries = names.iter().map(|name| {
        let version = version(name, &format!("A-{}", name.name), 20, &[("k", "x")]);
        (name.clone(), Entry::of(&version, &whole(Need::Required)))
    });
    let observed = before.observed(entries).fitted(&key(), &before.uses, &[]);
    assert!(observed.fold.is_some());
    let said = Reading::Genuine(observed);
    for (uid, written, restarts) in [
        ("A", AT - 5, false),
        ("B", AT - 5, false),
        ("B", AT + 5, true),
    ] {
        let world = world(uid, written);
        let lookup = |source: &SourceName| world.lookup(source);
        let judged = judge(&world.subject(), AT, Some(&said), &lookup, &key());
        let restart = judged.decision.outcome() == Outcome::Restart;
        assert_eq!(
            restart,
            restarts,
            "{uid} {written}: {:?}",
            judged.decision.causes()
        );
    }
}

/// Stamps once and, as the API server may call again, once more.
fn stamped(world: &World, template: &str, adoption: &Adoption, last: Option<&Reading>) -> Stamp {
    let stamp = |mark: &str, present: Option<&Reading>| {
        let subject = Subject {
            restarted_for: Some(mark),
            uid: "",
            generation: 0,
            ..world.subject()
        };
        let lookup = |source: &SourceName| world.lookup(source);
        stamp_adopting(&subject, adoption, last, present, &lookup, CREATED, &key()).0
    };
    let first = stamp(template, None);
    let read = Observed::read(&first.observed.print(&key()), &key());
    assert_eq!(read, Reading::Genuine(first.observed.clone()));
    assert_eq!(stamp(&first.restarted_for, Some(&read)), first);
    first
}

#[test]
fn what_admission_writes() {
    let pods = |of: &[&str]| {
        Adoption::Pods(Adopted {
            pods: of.iter().map(|mark| pod(mark, AT)).collect(),
            copies: Vec::new(),
        })
    };
    let world = |written: i64| {
        World::new().with(
            &s(),
            whole(Need::Required),
            Live::Fresh(live("A", "x", written)),
        )
    };
    let entry = |stamp: &Stamp| stamp.observed.entries.get(&s()).cloned();
    let now = Some(Entry::of(&live("A", "x", 0), &whole(Need::Required)));
    // Written before the pods were made, or later; and who replaces them then.
    for template in ["", "old", "m"] {
        let kept = stamped(&world(AT), template, &pods(&["m"]), None);
        assert_eq!(
            (kept.restarted_for.as_str(), entry(&kept)),
            ("m", now.clone())
        );
        assert_eq!(
            (
                kept.observed.workload_uid.as_str(),
                kept.observed.created_at
            ),
            ("", Some(CREATED))
        );
        let fresh = stamped(&world(AT + 1), template, &pods(&["m"]), None);
        assert!(!["", "old", "m"].contains(&fresh.restarted_for.as_str()));
        assert_eq!(entry(&fresh), now);
        let mut held = world(AT + 1);
        held.policy.suspend = Some("INC-42".to_owned());
        let held = stamped(&held, template, &pods(&["m"]), None);
        assert_eq!(held.restarted_for, "m");
        assert_ne!(entry(&held), now);
        let unmarked = stamped(&world(AT), template, &pods(&[""]), None);
        assert_eq!(unmarked.restarted_for, "");
        let nobody = stamped(&world(AT + 1), template, &Adoption::None, None);
        assert_eq!(nobody.restarted_for, template);
        assert!(!nobody.observed.is_unexamined());
        let unknown = stamped(&world(AT + 1), template, &Adoption::Unknown, None);
        assert_eq!(unknown.restarted_for, template);
        assert!(unknown.observed.is_unexamined());
    }
}

#[test]
fn what_is_said_of_pods_with_another_mark_says_nothing() {
    let mut before = World::new();
    before.restarted_for = "m".to_owned();
    let last = Reading::Genuine(before.observed([(s(), seen("A", "x"))]));
    let world = World::new().with(
        &s(),
        whole(Need::Required),
        Live::Fresh(live("A", "y", AT - 5)),
    );
    for (mark, behind) in [("m", true), ("other", false)] {
        let adoption = Adoption::Pods(Adopted {
            pods: vec![pod(mark, AT)],
            copies: Vec::new(),
        });
        let stamp = stamped(&world, mark, &adoption, Some(&last));
        assert_eq!(stamp.restarted_for != mark, behind, "{mark}");
    }
}

#[test]
fn what_nobody_examined_says_nothing() {
    let world = World::new();
    let made = world.observed([(s(), seen("A", "x"))]).unexamined(CREATED);
    let adopted = Adopted {
        pods: vec![pod("rf-0", AT)],
        copies: Vec::new(),
    };
    assert_eq!(adopted.said("rf-0", [&Reading::Genuine(made)]), None);
}

#[test]
fn looking_at_a_lookup_that_is_not_synced_leaves_it_to_the_controller() {
    let world = World::new().with(&s(), whole(Need::Required), Live::Unsynced);
    assert!(matches!(world.lookup(&s()), Lookup::Unsynced));
    let adoption = Adoption::Pods(Adopted {
        pods: vec![pod("m", AT)],
        copies: Vec::new(),
    });
    let stamp = stamped(&world, "", &adoption, None);
    assert_eq!(stamp.restarted_for, "m");
    assert!(stamp.observed.is_unexamined());
}
