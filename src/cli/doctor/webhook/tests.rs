use serde_json::{Value, json};

use super::*;

fn entries(policy: Option<&str>, kinds: &[&str]) -> Vec<Entry> {
    let webhook = |name: &str| {
        json!({
            "name": name, "failurePolicy": policy, "sideEffects": "None", "admissionReviewVersions": ["v1"],
            "clientConfig": { "service": { "namespace": "sys", "name": "reroll", "path": "/x" } },
        })
    };
    let object = |webhooks: &[Value]| json!({ "metadata": { "name": "rr" }, "webhooks": webhooks });
    let mut all = Vec::new();
    if kinds.contains(&"validating") {
        let of = object(&[webhook("sources.reroll.dev"), webhook("other.example.com")]);
        all.append(&mut Entry::of_validating(
            &serde_json::from_value(of).unwrap(),
        ));
    }
    if kinds.contains(&"mutating") {
        let of = object(&[
            webhook("annotated.workloads.reroll.dev"),
            webhook("labelled.workloads.reroll.dev"),
        ]);
        all.append(&mut Entry::of_mutating(
            &serde_json::from_value(of).unwrap(),
        ));
    }
    all
}

const BOTH: [&str; 2] = ["validating", "mutating"];

fn codes(lines: &[Line]) -> Vec<&str> {
    lines.iter().filter_map(Line::code).collect()
}

#[test]
fn configurations_are_as_flags_ask_for() {
    let on = Some(Webhook::default());
    for (flags, entries, expected) in [
        (&on, entries(Some("Ignore"), &BOTH), &[][..]),
        (&on, entries(Some("Ignore"), &["validating"]), &["RR221"]),
        (&on, entries(Some("Ignore"), &["mutating"]), &["RR221"]),
        (&on, entries(None, &[]), &["RR221", "RR221"]),
        // One line of a configuration, however many webhooks are in it.
        (&on, entries(Some("Fail"), &BOTH), &["RR226", "RR226"]),
        (&on, entries(None, &["mutating"]), &["RR221", "RR226"]),
        (&None, entries(None, &[]), &[]),
        (&None, entries(Some("Ignore"), &BOTH), &["RR222", "RR222"]),
    ] {
        let lines = registered(flags.as_ref(), "sys", &entries);
        assert_eq!(codes(&lines), expected, "{flags:?} {entries:?}");
        assert!(!lines.is_empty());
    }
}

#[test]
fn only_those_of_reroll_count() {
    let all = entries(Some("Ignore"), &BOTH);
    assert_eq!(all.len(), 3);
    assert!(
        all.iter()
            .all(|entry| entry.calls_into("sys") && !entry.calls_into("other"))
    );
    assert_eq!(called(&all).len(), 1);
}

#[test]
fn somebody_answers() {
    let [called] = called(&entries(None, &["validating"]))
        .into_iter()
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();
    let service = |port: i32| -> Result<Option<Service>, Failure> {
        let service =
            json!({ "metadata": { "name": "reroll" }, "spec": { "ports": [{ "port": port }] } });
        Ok(Some(serde_json::from_value(service).unwrap()))
    };
    for (service, ready, expected) in [
        (service(443), Ok(2), None),
        (service(443), Ok(1), None),
        (service(443), Ok(0), Some("RR223")),
        (service(8443), Ok(2), Some("RR223")),
        (Ok(None), Ok(0), Some("RR223")),
        (Err(Failure::Forbidden), Ok(2), None),
        (service(443), Err(Failure::Forbidden), None),
    ] {
        assert_eq!(
            called.answers(&service, &ready).code(),
            expected,
            "{service:?} {ready:?}"
        );
    }
}

#[test]
fn an_authority_is_asked_for_once_a_configuration_and_a_secret_as_far_as_it_may_be_read() {
    let all = entries(Some("Ignore"), &BOTH);
    let now = "2026-01-02T00:00:00Z".parse().unwrap();
    // Neither configuration trusts anybody, and nobody may read the Secret.
    let forbidden = Err(Failure::Forbidden);
    let lines = trusted(&all, Some(("sys/tls", &forbidden)), now);
    assert_eq!(codes(&lines), ["RR224", "RR224"]);
    let unread = "no right to get Secret sys/tls, which has the certificate that is served";
    assert_eq!(lines.last(), Some(&Line::not_seen(unread)));
    let lines = trusted(&all, Some(("sys/tls", &Ok(None))), now);
    assert_eq!(codes(&lines), ["RR224", "RR224", "RR224"]);
    assert_eq!(codes(&trusted(&all, None, now)), ["RR224", "RR224"]);
}
