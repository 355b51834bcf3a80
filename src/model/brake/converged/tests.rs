use serde_json::{Value, json};

use super::*;

const WRITTEN: i64 = 1_000;
const NOW: i64 = 5_000;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn owners(names: &[&str]) -> BTreeSet<Owner> {
    let owner = |name: &&str| ("Deployment".to_owned(), (*name).to_owned());
    names.iter().map(owner).collect()
}

/// Deployments `web` and `part` use Secret `s`: `web` has no older pods, `part` may have some, `named` names it in its opt-in, and
/// `late` may have opted in since.
fn asked() -> Asked {
    Asked {
        source: SourceName::secret("s"),
        written: WRITTEN,
        current: owners(&["web"]),
        recorded: owners(&["late"]),
        unnamed: owners(&["named"]),
        users: owners(&["web", "part", "named", "late"]),
    }
}

/// A pod of that name and age, which reads Secret `s`.
fn pod(name: &str, made: i64) -> Value {
    json!({
        "metadata": { "name": name, "creationTimestamp": at(made).to_string() },
        "spec": { "containers": [{ "name": "c", "envFrom": [{ "secretRef": { "name": "s" } }] }] },
        "status": { "phase": "Running" },
    })
}

/// The same, which a `ReplicaSet` of that Deployment made.
fn of(deployment: &str, mut pod: Value) -> Value {
    pod["metadata"]["labels"] = json!({ "pod-template-hash": "5d9c" });
    let name = format!("{deployment}-5d9c");
    owned("ReplicaSet", &name, pod)
}

fn owned(kind: &str, name: &str, mut pod: Value) -> Value {
    pod["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "v1", "kind": kind, "name": name, "uid": "u", "controller": true,
    }]);
    pod
}

fn going(until: i64, mut pod: Value) -> Value {
    pod["metadata"]["deletionTimestamp"] = json!(at(until).to_string());
    pod
}

fn with(pod: Value, pointer: &str, value: Value) -> Value {
    let mut pod = pod;
    *pod.pointer_mut(pointer).unwrap() = value;
    pod
}

fn look(pods: &[Value]) -> Older {
    let mut older = Older::default();
    for pod in pods {
        let pod = serde_json::from_value(pod.clone()).unwrap();
        if let Some(shown) = Shown::of(&pod) {
            older.see(&shown, &asked(), at(NOW));
        }
    }
    older
}

#[test]
fn which_pods_may_have_an_older_value() {
    let old = || pod("p", WRITTEN - 1);
    let spec = |spec: Value| with(old(), "/spec", spec);
    let volume = json!({
        "containers": [{ "name": "c", "volumeMounts": [{ "name": "v", "mountPath": "/v" }] }],
        "volumes": [{ "name": "v", "projected": { "sources": [{ "secret": { "name": "s" } }] } }],
    });
    let unread = json!({
        "containers": [{ "name": "c" }],
        "volumes": [{ "name": "v", "secret": { "secretName": "s" } }],
    });
    let pulls = json!({ "containers": [{ "name": "c" }], "imagePullSecrets": [{ "name": "s" }] });
    let other =
        json!({ "containers": [{ "name": "c", "envFrom": [{ "secretRef": { "name": "t" } }] }] });
    let phase = |phase: &str| with(old(), "/status/phase", json!(phase));
    let mut ageless = old();
    ageless["metadata"]["creationTimestamp"] = json!(null);
    let rows = [
        ("it is older", old(), true),
        ("of the same second", pod("p", WRITTEN), true),
        ("clocks may be so far apart", pod("p", WRITTEN + 2), true),
        ("it is younger", pod("p", WRITTEN + 3), false),
        ("nobody knows how old it is", ageless, true),
        ("it reads files", spec(volume), true),
        ("it reads none of its files", spec(unread), false),
        ("a kubelet reads it", spec(pulls), false),
        ("it reads another", spec(other.clone()), false),
        ("it is about to start", phase("Pending"), true),
        ("it ended", phase("Succeeded"), false),
        ("it failed", phase("Failed"), false),
        ("its node is gone", phase("Unknown"), true),
        ("its workload has no older pods", of("web", old()), false),
        (
            "but it is being deleted",
            of("web", going(NOW, old())),
            true,
        ),
        (
            "a young one is being deleted",
            going(NOW, pod("p", WRITTEN + 3)),
            false,
        ),
        ("its workload may have older pods", of("part", old()), true),
        (
            "its workload may have opted in since",
            of("late", old()),
            true,
        ),
        (
            "what its workload has is recorded of the same second",
            of("late", pod("p", WRITTEN)),
            false,
        ),
        ("its workload did not opt in", of("other", old()), true),
        (
            "a Job of the same name made it",
            owned("Job", "web", old()),
            true,
        ),
        (
            "a ReplicaSet of its own made it",
            owned("ReplicaSet", "web", old()),
            true,
        ),
        ("its opt-in names it", of("named", spec(other)), true),
    ];
    for (what, pod, expected) in rows {
        let older = look(&[pod]);
        assert_eq!(older.all, usize::from(expected), "{what}");
    }
}

#[test]
fn who_is_told_of() {
    let gone_soon = going(NOW - 59, pod("soon", 1));
    let stays = going(NOW - 60, of("web", pod("stays", 1)));
    let older = look(std::slice::from_ref(&gone_soon));
    assert_eq!((older.all, older.told, older.named.len()), (1, 0, 0));
    let older = look(&[gone_soon, stays, owned("Job", "report", pod("report-x", 1))]);
    assert_eq!((older.all, older.told), (3, 2));
    let words = older.words(80);
    insta::assert_snapshot!(words, @"80 workloads run this version, but 2 pods that are older may have the value before: report-x (of Job report), stays (of Deployment web, being deleted). Keep that valid until none is left");
    let many: Vec<_> = (0..1_000)
        .map(|number| pod(&format!("p-{number:03}"), 1))
        .collect();
    let words = look(&many).words(1);
    insta::assert_snapshot!(words, @"1 workload runs this version, but 1000 pods that are older may have the value before: p-000, p-001, p-002, p-003, p-004 and 995 more. Keep that valid until none is left");
}

#[test]
fn pods_of_others_were_there_all_the_time() {
    let rows = [
        (pod("p", 1), true),
        (of("other", pod("p", 1)), true),
        // It may have been shown before that its workload has no older ones.
        (going(NOW, of("web", pod("p", 1))), false),
    ];
    for (pod, expected) in rows {
        assert_eq!(
            look(std::slice::from_ref(&pod)).of_others,
            expected,
            "{pod}"
        );
    }
}

#[test]
fn what_is_said_when_everybody_has_it() {
    let user = |number: usize| WorkloadKey {
        kind: &crate::model::workload::KINDS[0],
        namespace: "n".to_owned(),
        name: format!("web-{number}"),
    };
    let users: Vec<_> = (0..80).map(user).collect();
    let words = |count: usize, seconds| words(&users[..count], SignedDuration::from_secs(seconds));
    insta::assert_snapshot!(words(1, 12), @"1 workload runs this version, after 12 s, and no older pod is left: Deployment web-0");
    insta::assert_snapshot!(words(80, 245), @"80 workloads run this version, the last after 4 min, and no older pod is left: Deployment web-0, Deployment web-1, Deployment web-2, Deployment web-3, Deployment web-4 and 75 more");
    assert!(words(2, 7_200).contains("the last after 2 h, "));
    assert!(words(2, -3).contains("the last after 0 s, "));
}

#[test]
fn each_version_and_each_set_of_pods_has_a_name_of_its_own() {
    let key = crate::model::testing::key();
    let version = |text: &[u8]| key.digest([text]);
    let said = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let one = print(&key, (version(b"a"), 1), &said(&[]));
    assert_eq!(one, print(&key, (version(b"a"), 1), &said(&[])));
    let is_label = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_lowercase();
    assert!(one.len() == 16 && one.bytes().all(is_label), "{one}");
    let others = [
        print(&key, (version(b"b"), 1), &said(&[])),
        print(&key, (version(b"a"), 2), &said(&[])),
        print(&key, (version(b"a"), 1), &said(&["p"])),
        print(&key, (version(b"a"), 1), &said(&["p", "q"])),
    ];
    let all: BTreeSet<_> = others.iter().chain([&one]).collect();
    assert_eq!(all.len(), 5);
}
