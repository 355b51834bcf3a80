use std::path::Path;

use serde_json::{Value, json};

use super::*;

const NOW: &str = "2026-01-02T00:00:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn deployment(wanted: i32, ready: i32) -> Deployment {
    serde_json::from_value(json!({
        "metadata": { "name": "reroll", "namespace": "sys" },
        "spec": {
            "replicas": wanted,
            "selector": { "matchLabels": { "app": "reroll" } },
            "template": { "spec": {
                "serviceAccountName": "rr",
                "containers": [{
                    "name": "reroll", "args": ["run"],
                    "volumeMounts": [
                        { "name": "other", "mountPath": "/etc" },
                        { "name": "tls", "mountPath": "/etc/reroll/tls" },
                    ],
                }],
                "volumes": [
                    { "name": "other", "secret": { "secretName": "wrong" } },
                    { "name": "tls", "secret": { "secretName": "right" } },
                ],
            } },
        },
        "status": { "readyReplicas": ready },
    }))
    .unwrap()
}

#[test]
fn replicas_are_compared_with_what_is_wanted() {
    for (wanted, ready, expected) in [
        (2, 2, None),
        (1, 2, None),
        (2, 1, Some("RR203")),
        (2, 0, Some("RR204")),
        (0, 0, Some("RR204")),
    ] {
        let line = replicas(&deployment(wanted, ready));
        assert_eq!(line.code(), expected, "{ready} of {wanted}");
    }
}

#[test]
fn pods_of_different_images_are_told() {
    let pod = |image: &str, goes: bool| {
        let at = goes.then_some(NOW);
        let spec = json!({ "containers": [{ "name": "reroll", "image": image }, { "name": "x", "image": "y" }] });
        let meta = json!({ "name": "p", "deletionTimestamp": at });
        serde_json::from_value::<Pod>(json!({ "metadata": meta, "spec": spec })).unwrap()
    };
    let code = |pods: Vec<Pod>| versions("sys", &Ok(pods)).code();
    assert_eq!(
        code(vec![pod("a:1", false), pod("a:1", false), pod("a:0", true)]),
        None
    );
    assert_eq!(
        code(vec![pod("a:1", false), pod("a:2", false)]),
        Some("RR205")
    );
    let unread = versions("sys", &Err(Failure::Forbidden));
    assert_eq!(unread, Line::not_seen("no right to list pods in sys"));
    assert_eq!(skew("0.1.0", "0.1.0").code(), None);
    assert_eq!(skew("0.1.0", "0.2.0").code(), Some("RR205"));
}

#[test]
fn a_lease_has_to_be_held_and_renewed() {
    let lease = |spec: Value| serde_json::from_value::<Lease>(json!({ "spec": spec })).unwrap();
    let spec = |holder: &str, renewed: &str, seconds: i32| {
        lease(
            json!({ "holderIdentity": holder, "renewTime": renewed, "leaseDurationSeconds": seconds }),
        )
    };
    for (lease, expected) in [
        (spec("a", "2026-01-01T23:59:58.000000Z", 8), None),
        // Another clock, and a Lease of an hour.
        (spec("a", "2026-01-02T00:00:30.000000Z", 8), None),
        (spec("a", "2026-01-01T23:00:00.000000Z", 3600), None),
        (spec("a", "2026-01-01T23:59:42.000000Z", 8), None),
        (spec("a", "2026-01-01T23:59:41.000000Z", 8), Some("RR207")),
        (spec("", "2026-01-01T23:59:58.000000Z", 8), Some("RR207")),
        (lease(json!({ "holderIdentity": "a" })), Some("RR207")),
        (lease(json!(null)), Some("RR207")),
    ] {
        assert_eq!(
            leader("sys/reroll", Some(&lease), now()).code(),
            expected,
            "{lease:?}"
        );
    }
    assert_eq!(leader("sys/reroll", None, now()).code(), Some("RR207"));
}

#[test]
fn two_installations_may_share_no_namespace() {
    let flags = |names: &[&str]| Flags {
        namespaces: names.iter().map(|name| (*name).to_owned()).collect(),
        ..Flags::default_ones()
    };
    let mut without_a = flags(&[]);
    without_a
        .conventions
        .ignored_namespaces
        .insert("a".to_owned());
    for (own, other, expected) in [
        (flags(&[]), Some(flags(&[])), Some("RR202")),
        (flags(&["a"]), Some(flags(&["b"])), None),
        (flags(&["a", "b"]), Some(flags(&["b"])), Some("RR202")),
        (flags(&["a"]), Some(flags(&[])), Some("RR202")),
        (flags(&[]), Some(flags(&["a"])), Some("RR202")),
        (flags(&["a"]), Some(without_a.clone()), None),
        (without_a, Some(flags(&["a"])), None),
        // Who knows where it works.
        (flags(&["a"]), None, Some("RR202")),
    ] {
        let line = others(&own, &[("x/reroll".to_owned(), other.clone())]);
        assert_eq!(line.code(), expected, "{:?} {other:?}", own.namespaces);
    }
    assert_eq!(others(&flags(&[]), &[]).code(), None);
}

/// An installation, and which codes it has.
fn codes(of: impl FnOnce(&mut Installation)) -> Vec<&'static str> {
    let lease = json!({
        "metadata": { "annotations": { "reroll.dev/version": VERSION } },
        "spec": { "holderIdentity": "a", "renewTime": "2026-01-01T23:59:58.000000Z", "leaseDurationSeconds": 8 },
    });
    let mut installation = Installation {
        namespace: Some("sys".to_owned()),
        deployment: Some(deployment(2, 2)),
        others: Vec::new(),
        may_look: true,
        image: None,
        flags: Flags::default_ones(),
        key: None,
        lease: Some(serde_json::from_value(lease).unwrap()),
        may_read_lease: true,
        notes: Vec::new(),
    };
    of(&mut installation);
    lines(&installation, now())
        .iter()
        .filter_map(Line::code)
        .collect()
}

#[test]
fn what_is_found_of_an_installation_has_its_code() {
    assert_eq!(codes(|_| {}), [""; 0]);
    let suspended = codes(|one| {
        let lease = one.lease.as_mut().unwrap();
        lease
            .annotations_mut()
            .insert("reroll.dev/suspend".to_owned(), "INC-42".to_owned());
    });
    assert_eq!(suspended, ["RR208"]);
    assert_eq!(
        codes(|one| one.notes.push(FLAGS_UNREAD.to_owned())),
        ["RR206"]
    );
    let nowhere = |may_look| {
        codes(|one| {
            one.namespace = None;
            one.deployment = None;
            one.may_look = may_look;
        })
    };
    assert_eq!(nowhere(true), ["RR201"]);
    assert_eq!(nowhere(false), [""; 0]);
    // Something holds the Lease there: a reroll that runs elsewhere.
    assert_eq!(codes(|one| one.deployment = None), ["RR201"]);
    let nothing = codes(|one| {
        one.deployment = None;
        one.lease = None;
    });
    assert_eq!(nothing, ["RR201"]);
    // Only another one, which leaves the namespace alone that is asked about.
    let elsewhere = codes(|one| {
        one.namespace = None;
        one.deployment = None;
        one.lease = None;
        one.others = vec![("x/reroll".to_owned(), None)];
    });
    assert_eq!(elsewhere, ["RR201"]);
    let unseen = codes(|one| {
        one.may_read_lease = false;
        one.lease = None;
    });
    assert_eq!(unseen, [""; 0]);
}

#[test]
fn the_deployment_says_whose_rights_and_which_secret() {
    let deployment = deployment(1, 1);
    assert_eq!(account(&deployment), "rr");
    let secret = mounted_secret(&deployment, Path::new("/etc/reroll/tls/tls.crt"));
    assert_eq!(secret.as_deref(), Some("right"));
    assert_eq!(
        mounted_secret(&deployment, Path::new("/elsewhere/tls.crt")),
        None
    );
    assert_eq!(account(&Deployment::default()), "default");
}
