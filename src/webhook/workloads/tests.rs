//! What the webhook makes of writes of a workload that is refused a restart, is marked by kubectl's annotation, or adopts
//! pods.

mod silent;
mod undone;

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};

use super::*;
use crate::{
    model::{
        Index, SourceKey, SourceKind, Version,
        annotation::{
            CHANGE_CAUSE, KUBECTL_RESTARTED_AT, MARK, OBSERVED, ON_DELETE, ON_RECREATE, PENDING,
            RESTARTED_AT, RESTARTED_FOR,
        },
        testing::{NAMESPACE, key},
        workload::{KINDS, Workload},
    },
    webhook::review::Request,
};

/// 2027-01-15T08:00:00Z
const NOW: i64 = 1_800_000_000;
const REFUSED: &str =
    r#"{"since":"2027-01-15T07:00:00Z","reason":"refused","causes":"c","id":"i","template":"t"}"#;

/// A webhook that knows Secret `db`, and Deployment `web` as it was adopted with it.
struct Known {
    index: Index,
    web: Value,
}

fn db() -> SourceKey {
    SourceKey {
        namespace: NAMESPACE.to_owned(),
        source: SourceName::secret("db"),
    }
}

/// What owns it, as its controller.
fn boss() -> Value {
    json!([{ "apiVersion": "v1", "kind": "App", "name": "boss", "uid": "o", "controller": true }])
}

fn version(value: &str, written: &str) -> Version {
    let secret = json!({
        "metadata": {
            "name": "db", "uid": "A", "creationTimestamp": written,
            "resourceVersion": if value == "x" { "10" } else { "20" },
        },
        "stringData": {}, "data": { "k": value.repeat(4) },
    });
    let secret: Secret = serde_json::from_value(secret).unwrap();
    Version::of_secret(&key(), NAMESPACE, &secret)
}

impl Known {
    /// Adopts it, with these annotations. Then the Secret changes.
    fn with(annotations: &Value, template: &Value) -> Self {
        let mut known = Self::adopted(annotations, template, false);
        known
            .index
            .apply_source(&db(), version("y", "2027-01-15T07:59:00Z"));
        known
    }

    /// Adopts it, with these annotations; `optional`: its pods start without the Secret.
    fn adopted(annotations: &Value, template: &Value, optional: bool) -> Self {
        let mut index = Index::new(key());
        for kind in SourceKind::ALL {
            index.set_synced(kind);
        }
        index.apply_source(&db(), version("x", "2026-01-01T00:00:00Z"));
        let mut all = json!({ RESTART_ON: "auto" });
        json_patch::merge(&mut all, annotations);
        let mut web = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {
                "name": "web", "namespace": NAMESPACE, "uid": "u", "resourceVersion": "30", "generation": 1,
                "creationTimestamp": "2026-01-01T00:00:00Z", "annotations": all,
            },
            "spec": { "template": {
                "metadata": { "annotations": template },
                "spec": { "containers": [{
                    "name": "c", "envFrom": [{ "secretRef": { "name": "db", "optional": optional } }],
                }] },
            } },
        });
        let slot = WorkloadKey {
            kind: &KINDS[0],
            namespace: NAMESPACE.to_owned(),
            name: "web".to_owned(),
        };
        let read =
            |web: &Value| Workload::read(&KINDS[0], &serde_json::from_value(web.clone()).unwrap());
        index.apply_workload(&slot, read(&web));
        index.set_examined(&slot);
        drop(index.judge(&slot, &BTreeMap::new()));
        let text = index.unwritten(&slot).flatten().unwrap();
        web["metadata"]["annotations"][OBSERVED] = json!(text);
        index.apply_workload(&slot, read(&web));
        Self { index, web }
    }

    /// Returns what becomes of an UPDATE, and the warnings.
    fn update(&self, edit: impl FnOnce(&mut Value)) -> (Value, Vec<String>) {
        let mut object = self.web.clone();
        edit(&mut object);
        let first = self.answer(&object, NOW);
        let again = self.answer(&first.0, NOW + 1);
        assert_eq!(again.0, first.0, "asked twice it says the same");
        first
    }

    fn answer(&self, object: &Value, now: i64) -> (Value, Vec<String>) {
        self.write(object, |write| {
            let mutation = write.answer(&self.index, &BTreeMap::new(), &Adoption::None, now);
            let mut patched = object.clone();
            json_patch::patch(&mut patched, &mutation.patch).unwrap();
            let warnings = mutation.warnings.into_iter();
            (patched, warnings.map(|warning| warning.text).collect())
        })
    }

    fn write<T>(&self, object: &Value, look: impl FnOnce(&Write) -> T) -> T {
        let review = json!({ "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
            "uid": "r", "operation": "UPDATE", "namespace": NAMESPACE, "name": "web",
            "kind": { "group": "apps", "version": "v1", "kind": "Deployment" },
            "resource": { "group": "apps", "version": "v1", "resource": "deployments" },
            "userInfo": { "username": "someone" }, "object": object, "oldObject": self.web,
        } });
        let body = serde_json::to_vec(&review).unwrap();
        let request = Request::parse(&body).ok().unwrap();
        look(&Write::read(&request, &self.index, "system:reroll").unwrap())
    }

    /// Returns which sources are read for an UPDATE.
    fn to_read(&self, edit: impl FnOnce(&mut Value)) -> Vec<String> {
        let mut object = self.web.clone();
        edit(&mut object);
        self.write(&object, |write| {
            write.to_read().map(|source| source.name.clone()).collect()
        })
    }
}

fn restart(object: &mut Value, at: &str) {
    object["spec"]["template"]["metadata"]["annotations"][KUBECTL_RESTARTED_AT] = json!(at);
}

fn set_image(object: &mut Value) {
    object["spec"]["template"]["spec"]["containers"][0]["image"] = json!("app:2");
}

fn set_paused(object: &mut Value) {
    object["spec"]["paused"] = json!(true);
}

fn of_template<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object["spec"]["template"]["metadata"]["annotations"][key].as_str()
}

fn own<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object["metadata"]["annotations"][key].as_str()
}

/// What changed before is adopted with the opt-in, whatever the watches have shown.
#[test]
fn what_is_opted_in_for_is_read() {
    let known = Known::with(&json!({}), &json!({}));
    let opt_in = |words: &str| {
        let words = json!(words);
        known.to_read(move |object| object["metadata"]["annotations"][RESTART_ON] = words)
    };
    assert_eq!(opt_in("auto"), Vec::<String>::new());
    assert_eq!(opt_in("auto, secret/other"), ["other"]);
    assert_eq!(opt_in("secret/other"), ["other"]);
    assert_eq!(opt_in("secret/db"), Vec::<String>::new());
    assert_eq!(known.to_read(set_image), ["db"]);
}

/// The write that opts in for more is the only one that shows what its pods have of that.
#[test]
fn what_is_opted_in_for_is_recorded_while_a_restart_is_due() {
    let only = json!({ RESTART_ON: "secret/db" });
    let mut known = Known::adopted(&only, &json!({}), false);
    known
        .index
        .apply_source(&db(), version("y", "2027-01-15T07:59:00Z"));
    let opts_in = |object: &mut Value| {
        object["metadata"]["annotations"][RESTART_ON] = json!("secret/db, secret/gone");
    };
    let names = |object: &Value| own(object, OBSERVED).map(|text| text.contains("secret/gone"));
    let (stays, _) = known.update(set_paused);
    assert_eq!(own(&stays, OBSERVED), own(&known.web, OBSERVED));
    let (more, _) = known.update(opts_in);
    assert_eq!((names(&known.web), names(&more)), (Some(false), Some(true)));
}

#[test]
fn a_write_gets_no_mark_where_one_is_refused() {
    let cases: [fn(&mut Value); 3] = [
        |object| restart(object, "2027-01-15T07:59:59Z"),
        set_image,
        |object| object["spec"]["template"]["spec"]["containers"][0]["envFrom"] = json!([]),
    ];
    for (number, case) in cases.into_iter().enumerate() {
        let refused = Known::with(&json!({ PENDING: REFUSED }), &json!({}));
        let (after, warnings) = refused.update(case);
        let mut asked = refused.web.clone();
        case(&mut asked);
        assert_eq!(after, asked, "{number}: nothing is added");
        let told = |warning: &String| warning.contains("a policy refuses");
        assert!(warnings.iter().any(told), "{warnings:?}");
        // Whatever else is pending, or once nothing is: a mark, as ever.
        for pending in [
            json!({}),
            json!({ PENDING: REFUSED.replace("refused", "suspended") }),
        ] {
            let other = Known::with(&pending, &json!({}));
            let (after, _) = other.update(case);
            let marked = of_template(&after, RESTARTED_FOR).is_some();
            assert_eq!(marked, number < 2, "{number} {pending}");
        }
    }
}

#[test]
fn who_rolls_what_waits_because_others_failed_is_told() {
    let said = |reason: &str, edit: fn(&mut Value)| {
        let pending = json!({ PENDING: REFUSED.replace("refused", reason) });
        let (_, warnings) = Known::with(&pending, &json!({})).update(edit);
        let mut warnings = warnings.into_iter();
        warnings.find(|said| said.contains("failed elsewhere"))
    };
    // What failed may be in any other namespace.
    let everywhere = |reason| said(reason, set_image).unwrap().contains("events -A ");
    // What can be pasted is whole, whatever is cut.
    let command = |reason| {
        said(reason, set_image)
            .unwrap()
            .find("=RestartsSlowed")
            .unwrap()
    };
    assert!(command("spread") < 120 - "=RestartsSlowed".len());
    assert!(everywhere("spread") && !everywhere("slow_start"));
    let told = |reason: &str, edit: fn(&mut Value)| said(reason, edit).is_some();
    assert!(told("slow_start", set_image));
    assert!(told("spread", set_image));
    assert!(told("slow_start", |object| restart(
        object,
        "2027-01-15T07:59:59Z"
    )));
    assert!(!told("distance", set_image));
    let label = |object: &mut Value| object["metadata"]["labels"]["team"] = json!("shop");
    assert!(!told("slow_start", label), "it rolls nothing");
}

#[test]
fn what_is_pending_is_reroll_s_own() {
    let refused = Known::with(&json!({ PENDING: REFUSED }), &json!({}));
    let (after, _) = refused.update(|object| {
        object["metadata"]["annotations"][PENDING] = json!("mine");
    });
    assert_eq!(own(&after, PENDING), Some(REFUSED));
    let none = Known::with(&json!({}), &json!({}));
    let (after, _) = none.update(|object| {
        object["metadata"]["annotations"][PENDING] = json!(REFUSED);
    });
    assert_eq!(own(&after, PENDING), None);
    let (after, _) = refused.update(|object| {
        object["metadata"]["annotations"][RESTART_ON] = json!("off");
    });
    assert_eq!((own(&after, PENDING), own(&after, OBSERVED)), (None, None));
}

#[test]
fn a_marked_one_is_marked_by_its_time() {
    let stands = "2027-01-15T07:00:00Z";
    let rows: [(&str, Option<&str>, &str); 6] = [
        // (what the user writes; the value that stood; the value that it gets)
        ("2027-01-15T07:59:30Z", None, "2027-01-15T07:59:30Z"),
        (
            "2027-01-15T08:59:30+01:00",
            Some(stands),
            "2027-01-15T08:59:30+01:00",
        ),
        // Before the change, or at it.
        ("2027-01-15T07:58:00Z", Some(stands), "2027-01-15T08:00:00Z"),
        ("2027-01-15T07:59:00Z", Some(stands), "2027-01-15T08:00:00Z"),
        ("", None, "2027-01-15T08:00:00Z"),
        ("", Some("2027-01-15T09:00:00Z"), "2027-01-15T09:00:01Z"),
    ];
    for (written, stood, expected) in rows {
        let template = stood.map_or(json!({}), |at| json!({ KUBECTL_RESTARTED_AT: at }));
        let known = Known::with(&json!({ MARK: "restartedAt" }), &template);
        let (after, _) = known.update(|object| match written {
            "" => set_image(object),
            at => restart(object, at),
        });
        let value = of_template(&after, KUBECTL_RESTARTED_AT);
        assert_eq!(value, Some(expected), "{written} {stood:?}");
        assert_eq!(of_template(&after, RESTARTED_FOR), None);
        let (mark, at) = own(&after, RESTARTED_AT).unwrap().split_once('@').unwrap();
        let at: Timestamp = at.parse().unwrap();
        assert_eq!(at, expected.parse().unwrap());
        let observed = own(&after, OBSERVED).unwrap();
        assert!(observed.starts_with("{\"v\":3,"), "{observed}");
        assert!(
            observed.contains(&format!("\"rf\":\"{mark}\"")),
            "{observed}"
        );
    }
}

#[test]
fn a_mark_that_stands_is_kept_but_from_its_owner() {
    let (stands, undone) = ("2027-01-15T07:00:00Z", "2027-01-01T00:00:00Z");
    let at = format!("~own@{stands}");
    let annotations = json!({ MARK: "restartedAt", RESTARTED_AT: at });
    for owned in [false, true] {
        let mut known = Known::with(&annotations, &json!({ KUBECTL_RESTARTED_AT: stands }));
        // Nothing has changed.
        let mut before = version("x", "2026-01-01T00:00:00Z");
        before.resource_version = 40;
        known.index.apply_source(&db(), before);
        if owned {
            known.web["metadata"]["ownerReferences"] = boss();
        }
        for (written, kept) in [
            (Some(undone), stands),
            (None, stands),
            (Some("2027-01-15T07:30:00Z"), "2027-01-15T07:30:00Z"),
        ] {
            let (after, _) = known.update(|object| {
                object["spec"]["template"]["metadata"]["annotations"] =
                    written.map_or(json!({}), |at| json!({ KUBECTL_RESTARTED_AT: at }));
            });
            let value = of_template(&after, KUBECTL_RESTARTED_AT);
            assert_eq!(value, if owned { written } else { Some(kept) });
            assert_eq!(own(&after, RESTARTED_AT), Some(at.as_str()));
        }
    }
}

/// What new pods start without asks for no restart. The mark of a write that takes one back would be taken back by one more
/// rollout.
#[test]
fn what_an_owner_takes_back_gets_a_mark_for_what_asks_for_a_restart_only() {
    let stands = "2027-01-15T07:00:00Z";
    let rows = [
        // (what becomes of the optional Secret `db`; what the workload asks for; whether the write gets a mark)
        ("stays", json!({}), false),
        ("changes", json!({}), true),
        ("goes", json!({}), false),
        ("goes", json!({ ON_DELETE: "restart" }), true),
        // When it is back with the same data nothing restarts for it, and the new pods have started without it.
        ("goes", json!({ ON_RECREATE: "content" }), true),
    ];
    let changed = version("y", "2027-01-15T07:59:00Z");
    for (what, asks, marked) in rows {
        let at = format!("~own@{stands}");
        let mut annotations = json!({ MARK: "restartedAt", RESTARTED_AT: at });
        json_patch::merge(&mut annotations, &asks);
        let template = json!({ KUBECTL_RESTARTED_AT: stands });
        let mut known = Known::adopted(&annotations, &template, true);
        match what {
            "changes" => drop(known.index.apply_source(&db(), changed.clone())),
            "goes" => drop(known.index.delete_source(&db(), 50, NOW)),
            _ => {}
        }
        known.web["metadata"]["ownerReferences"] = boss();
        let (after, _) = known.update(|object| {
            object["spec"]["template"]["metadata"]["annotations"] = json!({});
        });
        let told = format!("{what} {asks}");
        let value = of_template(&after, KUBECTL_RESTARTED_AT);
        assert_eq!(value.is_some(), marked, "{told}");
        let stays = own(&after, RESTARTED_AT) == Some(at.as_str());
        assert_eq!(stays, !marked, "{told}");
    }
}

#[test]
fn a_new_daemon_set_begins_above_the_pods_that_it_adopts() {
    let known = Known::with(&json!({}), &json!({}));
    let pod = json!({
        "name": "old", "uid": "p", "creationTimestamp": "2027-01-15T07:00:00Z",
        "labels": { "app": "web", "pod-template-generation": "2" },
    });
    let pod = serde_json::from_value(pod).unwrap();
    let number = "deprecated.daemonset.template.generation";
    // As admission sees it, and who opts in.
    for (asks, given, expected) in [
        ("auto", "0", "3"),
        ("auto", "2", "3"),
        ("auto", "5", "5"),
        ("off", "0", "0"),
    ] {
        let mut object = known.web.clone();
        object["kind"] = json!("DaemonSet");
        object["metadata"] = json!({
            "name": "web", "namespace": NAMESPACE, "annotations": { RESTART_ON: asks, number: given },
        });
        object["spec"]["selector"] = json!({ "matchLabels": { "app": "web" } });
        let answer = |object: &Value| {
            let review = json!({ "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
                "uid": "r", "operation": "CREATE", "namespace": NAMESPACE, "name": "web",
                "kind": { "group": "apps", "version": "v1", "kind": "DaemonSet" },
                "resource": { "group": "apps", "version": "v1", "resource": "daemonsets" },
                "userInfo": { "username": "someone" }, "object": object,
            } });
            let body = serde_json::to_vec(&review).unwrap();
            let request = Request::parse(&body).ok().unwrap();
            let write = Write::read(&request, &known.index, "system:reroll").unwrap();
            let adoption = write.adopter().map_or(Adoption::None, |adopter| {
                Adoption::Pods(adopter.adopts(&[], std::slice::from_ref(&pod)))
            });
            let mutation = write.answer(&known.index, &BTreeMap::new(), &adoption, NOW);
            let mut patched = object.clone();
            json_patch::patch(&mut patched, &mutation.patch).unwrap();
            patched
        };
        let first = answer(&object);
        assert_eq!(own(&first, number), Some(expected), "{asks} {given}");
        // The Secret was written after the pod was made.
        let marked = of_template(&first, RESTARTED_FOR).is_some();
        assert_eq!(marked, asks == "auto");
        assert_eq!(answer(&first), first, "asked twice it says the same");
    }
}

#[test]
fn what_was_restarted_over_an_old_text_stays_where_that_is_known_to_be_old() {
    let slot = WorkloadKey {
        kind: &KINDS[0],
        namespace: NAMESPACE.to_owned(),
        name: "web".to_owned(),
    };
    let apply = |index: &mut Index, web: &Value| {
        let web = serde_json::from_value(web.clone()).unwrap();
        index.apply_workload(&slot, Workload::read(&KINDS[0], &web));
    };
    let restarted = |known: &mut Known, web: &Value, version: &str| {
        let judged = known.index.judge(&slot, &BTreeMap::new());
        let Some(Decision::Restart(restart)) = judged.decision else {
            panic!("{judged:?}");
        };
        let mut web = web.clone();
        web["metadata"]["resourceVersion"] = json!(version);
        web["metadata"]["annotations"][OBSERVED] = json!(restart.next.print(&key()));
        web["spec"]["template"]["metadata"]["annotations"][RESTARTED_FOR] =
            json!(restart.next.restarted_for);
        web
    };
    for is_shown in [false, true] {
        let none = json!({});
        let mut older = Known::with(&none, &none);
        let mut younger = Known::with(&none, &none);
        let first = older.web.clone();
        let second = restarted(&mut older, &first, "40");
        let mut out = second.clone();
        out["metadata"]["resourceVersion"] = json!("50");
        out["metadata"]["annotations"] = none;
        let mut undone = first;
        undone["metadata"]["resourceVersion"] = json!("60");
        for web in [&second, &out, &undone] {
            apply(&mut older.index, web);
        }
        let adopted = older.index.judge(&slot, &BTreeMap::new()).decision;
        assert!(matches!(adopted, Some(Decision::Record(_))), "{adopted:?}");
        apply(&mut younger.index, &undone);
        older.web = restarted(&mut younger, &undone, "70");
        if is_shown {
            apply(&mut older.index, &older.web);
        }
        let (web, _) = older.update(|web| web["spec"]["paused"] = json!(false));
        assert_eq!(
            web["metadata"]["annotations"][OBSERVED],
            older.web["metadata"]["annotations"][OBSERVED],
            "{is_shown}"
        );
        let marks = |web: &Value| web["spec"]["template"]["metadata"]["annotations"].clone();
        assert_eq!(marks(&web), marks(&older.web), "{is_shown}");
    }
}

/// `kubernetes.io/change-cause` with this text, which this manager wrote.
fn says_cause(object: &mut Value, text: &str, manager: &str) {
    object["metadata"]["annotations"][CHANGE_CAUSE] = json!(text);
    object["metadata"]["managedFields"] = json!([{
        "manager": manager, "operation": "Update", "fieldsType": "FieldsV1",
        "fieldsV1": { "f:metadata": { "f:annotations": { "f:kubernetes.io/change-cause": {} } } },
    }]);
}

#[test]
fn a_later_change_of_the_template_that_merely_keeps_reroll_s_change_cause_loses_it() {
    const OURS: &str = "reroll: Secret db was updated";
    let deploy = |object: &mut Value| {
        object["spec"]["template"]["spec"]["containers"][0]["image"] = json!("two");
    };
    let label = |object: &mut Value| object["metadata"]["labels"] = json!({ "a": "b" });
    let mine = |object: &mut Value| {
        deploy(object);
        object["metadata"]["annotations"][CHANGE_CAUSE] = json!("deploy 2");
    };
    let says = |object: &mut Value| {
        object["metadata"]["annotations"][CHANGE_CAUSE] = json!("deploy 1");
    };
    let undo_bare = |object: &mut Value| {
        let template = &mut object["spec"]["template"]["metadata"]["annotations"];
        template.as_object_mut().unwrap().remove(RESTARTED_FOR);
        object["metadata"]
            .as_object_mut()
            .unwrap()
            .remove("annotations");
        object["metadata"]["annotations"][RESTART_ON] = json!("auto");
    };
    let undo = |object: &mut Value| {
        undo_bare(object);
        says(object);
    };
    for (before, manager, edit, after) in [
        (OURS, "reroll", &deploy as &dyn Fn(&mut Value), None),
        // `kubectl rollout undo` brought it back.
        (OURS, "kubectl-rollout", &deploy, None),
        (OURS, "reroll", &label, Some(OURS)),
        (OURS, "reroll", &mine, Some("deploy 2")),
        (OURS, "argocd", &deploy, Some(OURS)),
        ("deploy 1", "kubectl-annotate", &deploy, Some("deploy 1")),
        ("deploy 1", "kubectl-annotate", &mine, Some("deploy 2")),
        // It takes the mark alone back, which stays; so the revision is the same.
        (OURS, "reroll", &undo, Some(OURS)),
        (OURS, "reroll", &undo_bare, Some(OURS)),
        (OURS, "argocd", &undo, Some("deploy 1")),
        ("deploy 2", "kubectl-annotate", &undo, Some("deploy 1")),
        // Somebody says it better.
        (OURS, "reroll", &says, Some("deploy 1")),
    ] {
        let mut known = Known::with(&json!({}), &json!({ RESTARTED_FOR: "m" }));
        says_cause(&mut known.web, before, manager);
        let mut object = known.web.clone();
        edit(&mut object);
        let (patched, _) = known.answer(&object, NOW);
        let said = patched["metadata"]["annotations"][CHANGE_CAUSE].as_str();
        assert_eq!(said, after, "{before} by {manager}");
        // Asked again about its own answer, it says the same.
        let (again, _) = known.answer(&patched, NOW);
        assert_eq!(again, patched, "{before} by {manager}");
    }
}
