//! One template, two workloads: a Deployment, and an Argo Rollout that has its template by `spec.workloadRef`.

use serde_json::{Value, json};

use super::*;
use crate::model::{
    annotation::{RESTART_ON, SUSPEND},
    decide::Decision,
    workload::{KINDS, Kind, Kinds, ROLLOUT, Workload},
};

const DEPLOYMENT: Kind = &KINDS[0];

/// What is there of the two, and of their namespace.
#[derive(Clone)]
struct Pair {
    namespace: Option<&'static str>,
    /// The Deployment's annotations; `None`: there is none.
    deployment: Option<Value>,
    replicas: i64,
    owned: bool,
    rollout: Value,
    status: Value,
    names: (&'static str, &'static str),
}

impl Default for Pair {
    fn default() -> Self {
        Self {
            namespace: None,
            deployment: Some(json!({})),
            replicas: 2,
            owned: false,
            rollout: json!({}),
            status: json!({}),
            names: ("apps/v1", "Deployment"),
        }
    }
}

fn named(kind: Kind) -> WorkloadKey {
    WorkloadKey {
        kind,
        namespace: NAMESPACE.to_owned(),
        name: "web".to_owned(),
    }
}

fn read(kind: Kind, object: Value) -> Workload {
    Workload::read(kind, &serde_json::from_value(object).unwrap())
}

impl Pair {
    fn deployment(&self, version: u64) -> Option<Workload> {
        let from = json!({ "secretRef": { "name": "s" } });
        let owners = json!([{ "apiVersion": "v1", "kind": "App", "name": "a", "uid": "a", "controller": true }]);
        let object = json!({
            "metadata": {
                "uid": "d", "resourceVersion": version.to_string(), "annotations": self.deployment.clone()?,
                "ownerReferences": if self.owned { owners } else { json!([]) },
            },
            "spec": {
                "replicas": self.replicas,
                "template": { "spec": { "containers": [{ "name": "c", "envFrom": [from] }] } },
            },
        });
        Some(read(DEPLOYMENT, object))
    }

    fn rollout(&self, version: u64) -> Workload {
        let (api_version, kind) = self.names;
        let reference = json!({ "apiVersion": api_version, "kind": kind, "name": "web" });
        let object = json!({
            "metadata": { "uid": "r", "resourceVersion": version.to_string(), "annotations": self.rollout },
            "spec": { "workloadRef": reference }, "status": self.status,
        });
        read(&ROLLOUT, object)
    }

    /// Shows them as they are now. Returns the others that each concerns.
    fn show(&self, index: &mut Index, version: u64) -> Vec<WorkloadKey> {
        index.apply_namespace(NAMESPACE, self.namespace.map(ToOwned::to_owned));
        let mut related = Vec::new();
        if let Some(deployment) = self.deployment(version) {
            let change = index.apply_workload(&named(DEPLOYMENT), deployment);
            related.extend(change.related);
        }
        let change = index.apply_workload(&named(&ROLLOUT), self.rollout(version));
        related.extend(change.related);
        related
    }

    /// Returns an index that has adopted them, in either order.
    fn adopted(&self, rollout_first: bool) -> Index {
        let mut index = Index::new(key()).with_kinds(Kinds::default().with(&ROLLOUT).unwrap());
        for kind in SourceKind::ALL {
            index.set_synced(kind);
        }
        index.apply_source(&at("s"), v("s", "A", 10, "x"));
        if rollout_first {
            index.apply_workload(&named(&ROLLOUT), self.rollout(1));
        }
        self.show(&mut index, 2);
        for kind in [DEPLOYMENT, &ROLLOUT] {
            index.judge(&named(kind), &Overlay::new());
            index.set_started(&named(kind), true);
            index.set_examined(&named(kind));
        }
        index
    }
}

/// What is restarted, and what would be but is held back.
fn restarted(index: &mut Index) -> (Vec<&'static str>, Vec<&'static str>) {
    let mut all = (Vec::new(), Vec::new());
    for kind in [DEPLOYMENT, &ROLLOUT] {
        let judged = index.judge(&named(kind), &Overlay::new());
        if !matches!(judged.decision, Some(Decision::Restart(_))) {
            continue;
        }
        let list = if judged.is_held_back() {
            &mut all.1
        } else {
            &mut all.0
        };
        list.push(kind.kind);
    }
    all
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn one_of_the_two_is_restarted() {
    let auto = json!({ RESTART_ON: "auto" });
    let off = json!({ RESTART_ON: "off" });
    let suspended = json!({ RESTART_ON: "auto", SUSPEND: "true" });
    let aborted = json!({ "abort": true });
    let pair = Pair::default;
    let both = || Pair {
        namespace: Some("auto"),
        ..pair()
    };
    let (deployment, rollout): (&[_], &[_]) = (&["Deployment"], &["Rollout"]);
    let rows: [(&str, Pair, &[&str], &[&str]); 17] = [
        ("none", pair(), &[], &[]),
        ("both, by the namespace", both(), deployment, &[]),
        (
            "both, by their own",
            Pair {
                deployment: Some(auto.clone()),
                rollout: auto.clone(),
                ..pair()
            },
            deployment,
            &[],
        ),
        (
            "the Rollout",
            Pair {
                rollout: auto.clone(),
                ..pair()
            },
            rollout,
            &[],
        ),
        (
            "the Deployment",
            Pair {
                deployment: Some(auto.clone()),
                ..pair()
            },
            deployment,
            &[],
        ),
        (
            "not the Deployment",
            Pair {
                deployment: Some(off.clone()),
                ..both()
            },
            rollout,
            &[],
        ),
        (
            "not the Rollout",
            Pair {
                rollout: off,
                ..both()
            },
            deployment,
            &[],
        ),
        (
            "scaled to zero",
            Pair {
                replicas: 0,
                ..both()
            },
            deployment,
            &[],
        ),
        (
            "the Deployment is suspended",
            Pair {
                deployment: Some(suspended.clone()),
                ..both()
            },
            &[],
            deployment,
        ),
        (
            "the Rollout is suspended",
            Pair {
                rollout: suspended,
                ..both()
            },
            &[],
            deployment,
        ),
        (
            "the Deployment cannot be read",
            Pair {
                deployment: Some(json!({ RESTART_ON: "?" })),
                ..both()
            },
            rollout,
            &[],
        ),
        (
            "the Deployment has an owner",
            Pair {
                owned: true,
                ..both()
            },
            rollout,
            &[],
        ),
        (
            "there is no Deployment",
            Pair {
                deployment: None,
                ..both()
            },
            &[],
            &[],
        ),
        (
            "another kind",
            Pair {
                names: ("apps/v1", "ReplicaSet"),
                ..both()
            },
            deployment,
            &[],
        ),
        (
            "aborted",
            Pair {
                status: aborted.clone(),
                ..both()
            },
            rollout,
            deployment,
        ),
        (
            "aborted, the Deployment alone",
            Pair {
                deployment: Some(auto.clone()),
                status: aborted.clone(),
                ..pair()
            },
            &[],
            deployment,
        ),
        (
            "aborted, the Rollout alone",
            Pair {
                rollout: auto,
                status: aborted,
                ..pair()
            },
            rollout,
            &[],
        ),
    ];
    for (name, pair, restarts, held_back) in rows {
        for rollout_first in [false, true] {
            let mut index = pair.adopted(rollout_first);
            let told = format!("{name} {rollout_first}");
            assert_eq!(restarted(&mut index), (vec![], vec![]), "{told}");
            index.apply_source(&at("s"), v("s", "A", 11, "y"));
            let expected = (restarts.to_vec(), held_back.to_vec());
            assert_eq!(restarted(&mut index), expected, "{told}");
        }
    }
}

#[test]
fn who_leads_changes_with_the_opt_in() {
    let auto = json!({ RESTART_ON: "auto" });
    let off = json!({ RESTART_ON: "off" });
    let pair = Pair {
        rollout: auto.clone(),
        deployment: Some(off.clone()),
        ..Pair::default()
    };
    let mut index = pair.adopted(false);
    let led = |index: &Index| index.workload(&named(&ROLLOUT)).unwrap().workload.is_led();
    assert!(!led(&index));
    // The Deployment opts in: nothing restarts, and the Rollout's annotation goes.
    let mut with = Pair {
        deployment: Some(auto),
        ..pair.clone()
    };
    let deployment = with.deployment(3).unwrap();
    let change = index.apply_workload(&named(DEPLOYMENT), deployment);
    assert_eq!(change.related, [named(&ROLLOUT)]);
    assert!(led(&index) && !change.lost_opt_in);
    assert_eq!(restarted(&mut index), (vec![], vec![]));
    let mut rollout = with.rollout(4);
    rollout.observed = Some("whatever".to_owned());
    let change = index.apply_workload(&named(&ROLLOUT), rollout);
    assert!(!change.lost_opt_in, "it is led, and that is all");
    assert_eq!(index.unwritten(&named(&ROLLOUT)), Some(None));
    index.apply_source(&at("s"), v("s", "A", 11, "y"));
    assert_eq!(restarted(&mut index), (vec!["Deployment"], vec![]));
    // Aborted meanwhile, and no more.
    with.status = json!({ "abort": true });
    assert_eq!(with.show(&mut index, 5), [named(DEPLOYMENT)]);
    assert_eq!(restarted(&mut index), (vec![], vec!["Deployment"]));
    with.status = json!({ "abort": false });
    assert_eq!(with.show(&mut index, 6), [named(DEPLOYMENT)]);
    assert_eq!(restarted(&mut index), (vec!["Deployment"], vec![]));
    // It opts out: the Rollout is adopted afresh, and follows its sources by itself.
    let deployment = Pair {
        deployment: Some(off),
        ..with.clone()
    }
    .deployment(7)
    .unwrap();
    let change = index.apply_workload(&named(DEPLOYMENT), deployment);
    assert_eq!(change.related, [named(&ROLLOUT)]);
    assert_eq!(restarted(&mut index), (vec![], vec![]));
    index.apply_source(&at("s"), v("s", "A", 12, "z"));
    assert_eq!(restarted(&mut index), (vec!["Rollout"], vec![]));
    // By the namespace's default.
    let with = Pair {
        deployment: Some(json!({})),
        ..with
    };
    with.show(&mut index, 8);
    assert!(!led(&index));
    index.apply_namespace(NAMESPACE, Some("auto".to_owned()));
    assert!(led(&index));
    index.apply_namespace(NAMESPACE, None);
    assert!(!led(&index));
}

#[test]
fn a_rollout_that_goes_lets_the_deployment_go_on() {
    let pair = Pair {
        namespace: Some("auto"),
        status: json!({ "abort": true }),
        ..Pair::default()
    };
    let mut index = pair.adopted(false);
    index.apply_source(&at("s"), v("s", "A", 11, "y"));
    assert_eq!(index.delete_workload(&named(&ROLLOUT)), [named(DEPLOYMENT)]);
    assert_eq!(restarted(&mut index), (vec!["Deployment"], vec![]));
}

#[test]
fn the_status_of_a_lender_does_not_count_the_pods_of_its_borrowers() {
    use crate::model::workload::OlderPods;
    let pair = Pair {
        replicas: 0,
        ..Pair::default()
    };
    let index = pair.adopted(false);
    let lender = index.workload(&named(DEPLOYMENT)).unwrap();
    assert_eq!(lender.workload.older_pods(), OlderPods::Untold);
    assert!(
        index
            .pods_of(&named(DEPLOYMENT), &lender.workload)
            .outlive_marks
    );
}

#[test]
fn a_reference_to_a_kind_that_is_not_followed_is_said() {
    let auto = json!({ RESTART_ON: "auto" });
    for (names, said) in [
        (("apps/v1", "Deployment"), 0),
        (("apps/v1", "ReplicaSet"), 1),
        (("v1", "PodTemplate"), 1),
    ] {
        for (rollout, opted_in) in [(auto.clone(), 1), (json!({}), 0)] {
            let pair = Pair {
                rollout,
                names,
                ..Pair::default()
            };
            let mut index = pair.adopted(false);
            let judged = index.judge(&named(&ROLLOUT), &Overlay::new());
            assert_eq!(judged.complaints.len(), said * opted_in, "{names:?}");
        }
    }
}
