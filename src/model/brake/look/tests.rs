use serde_json::{Value, json};

use super::*;

const KEY: &str = "reroll.dev/restarted-for";

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

/// A pod with this mark that was made at this second, whose one container is so.
fn pod(mark: &str, made: i64, ready: bool, container: &Value) -> Pod {
    let status = if ready { "True" } else { "False" };
    let pod = json!({
        "metadata": { "name": "web-1", "creationTimestamp": at(made).to_string(), "annotations": { KEY: mark } },
        "spec": { "containers": [{ "name": "c" }] },
        "status": {
            "conditions": [{ "type": "Ready", "status": status }],
            "containerStatuses": [container],
        },
    });
    serde_json::from_value(pod).unwrap()
}

fn container(restarts: i64, state: &Value, last: &Value) -> Value {
    json!({ "name": "c", "image": "i", "imageID": "i", "ready": true, "restartCount": restarts, "state": state, "lastState": last })
}

fn running(since: i64) -> Value {
    json!({ "running": { "startedAt": at(since).to_string() } })
}

fn waiting(reason: &str) -> Value {
    json!({ "waiting": { "reason": reason, "message": "because" } })
}

/// The program wrote a message, which may hold data.
fn ended(began: i64, finished: i64) -> Value {
    json!({ "terminated": {
        "exitCode": 3, "reason": "Error", "message": "password=hunter2",
        "startedAt": at(began).to_string(), "finishedAt": at(finished).to_string(),
    } })
}

fn look(pods: &[Pod], now: i64) -> Look {
    let asked = Asked {
        new: &NewPods::Marked {
            key: KEY,
            value: "m".to_owned(),
        },
        soak: SignedDuration::from_secs(10),
        deadline: at(700),
        now: at(now),
    };
    Look::at(pods, &asked)
}

#[test]
fn a_new_pod_that_runs() {
    let none = json!({});
    let good = pod("m", 100, true, &container(0, &running(105), &none));
    let old = pod("old", 1, true, &container(0, &running(5), &none));
    let unready = pod("m", 100, false, &container(0, &running(105), &none));
    let again = pod("m", 100, true, &container(2, &running(300), &none));
    let late = pod("m", 900, true, &container(0, &running(905), &none));
    let rows: [(&[Pod], usize, Option<i64>); 6] = [
        (&[], 0, None),
        (std::slice::from_ref(&old), 0, None),
        (&[old.clone(), good.clone()], 1, Some(105)),
        (&[unready], 1, None),
        (&[again], 1, None),
        (&[late, good], 1, Some(105)),
    ];
    let settled = pod("m", 100, true, &container(5, &running(800), &none));
    for (now, since) in [(1_399, None), (1_400, Some(at(800)))] {
        let pods = std::slice::from_ref(&settled);
        assert_eq!(look(pods, now).runs_since, since, "{now}");
    }
    for (pods, new, since) in rows {
        let look = look(pods, 200);
        assert_eq!(
            (look.new, look.runs_since),
            (new, since.map(at)),
            "{pods:?}"
        );
    }
}

#[test]
fn what_is_wrong_with_one_that_does_not() {
    let none = json!({});
    let rows = [
        (
            container(0, &waiting("CreateContainerConfigError"), &none),
            120,
            Some(Reason::Config),
        ),
        (
            container(0, &waiting("ContainerCreating"), &none),
            120,
            None,
        ),
        (container(0, &waiting("ImagePullBackOff"), &none), 120, None),
        (
            container(0, &waiting("ImagePullBackOff"), &none),
            160,
            Some(Reason::Image),
        ),
        (
            container(1, &waiting("CrashLoopBackOff"), &ended(105, 106)),
            120,
            None,
        ),
        (
            container(2, &waiting("CrashLoopBackOff"), &ended(115, 116)),
            120,
            Some(Reason::Restarts),
        ),
        // It had run for long enough to be good.
        (
            container(1, &waiting("CrashLoopBackOff"), &ended(105, 165)),
            170,
            Some(Reason::Restarts),
        ),
        // Long after the deadline, and again and again since long before it.
        (
            container(7, &waiting("CrashLoopBackOff"), &ended(1_009, 1_010)),
            1_011,
            Some(Reason::Restarts),
        ),
        (
            container(
                2_000_000_000,
                &waiting("CrashLoopBackOff"),
                &ended(90_009, 90_010),
            ),
            90_011,
            Some(Reason::Restarts),
        ),
        // It ran well until after the deadline, and has ended again and again since.
        (
            container(7, &waiting("CrashLoopBackOff"), &ended(2_009, 2_010)),
            2_011,
            None,
        ),
        // It ended again and again, and has run for ten minutes since.
        (
            container(3, &running(800), &ended(690, 695)),
            1_399,
            Some(Reason::Restarts),
        ),
        (container(3, &running(800), &ended(690, 695)), 1_400, None),
        // Long after the deadline: for another reason.
        (
            container(2, &running(9_000), &ended(8_000, 8_990)),
            9_001,
            None,
        ),
    ];
    for (container, now, expected) in rows {
        let look = look(&[pod("m", 100, false, &container)], now);
        let trouble = look.trouble.as_ref().map(|trouble| trouble.reason);
        assert_eq!(trouble, expected, "{container} at {now}");
    }
    let image = pod(
        "m",
        100,
        false,
        &container(0, &waiting("ImagePullBackOff"), &none),
    );
    assert_eq!(look(&[image], 120).next, Some(at(160)));
}

#[test]
fn one_that_ends_while_another_is_good_is_a_failure() {
    let good = pod("m", 100, true, &container(0, &running(105), &json!({})));
    let ends = container(1, &waiting("CrashLoopBackOff"), &ended(118, 120));
    let ends = pod("m", 115, false, &ends);
    assert_eq!(look(std::slice::from_ref(&ends), 121).trouble, None);
    let look = look(&[good, ends], 121);
    assert_eq!(look.trouble.unwrap().reason, Reason::Restarts);
}

#[test]
fn people_are_told_the_kubelets_words_and_never_the_programs() {
    let none = json!({});
    let rows = [
        (
            container(0, &waiting("CreateContainerConfigError"), &none),
            "container c waits: CreateContainerConfigError: because",
        ),
        (
            container(2, &waiting("CrashLoopBackOff"), &ended(105, 106)),
            "container c ended with Error, exit code 3: CrashLoopBackOff",
        ),
        (
            container(2, &running(110), &ended(105, 106)),
            "container c ended with Error, exit code 3",
        ),
        (
            container(0, &running(110), &none),
            "container c is not ready",
        ),
    ];
    for (mut container, expected) in rows {
        container["ready"] = json!(false);
        let look = look(&[pod("m", 100, false, &container)], 120);
        let said = look
            .trouble
            .map(|trouble| trouble.said)
            .or(look.waits)
            .unwrap();
        assert_eq!(
            (said.pod.as_str(), said.words.as_str()),
            ("web-1", expected)
        );
    }
    let unscheduled = json!({
        "metadata": { "name": "web-1", "annotations": { KEY: "m" } },
        "status": { "conditions": [{ "type": "PodScheduled", "status": "False", "message": "0/3 nodes are available" }] },
    });
    let look = look(&[serde_json::from_value(unscheduled).unwrap()], 120);
    assert_eq!(
        look.waits.unwrap().words,
        "it has no node: 0/3 nodes are available"
    );
}

#[test]
fn a_pod_runs_no_longer_than_it_exists() {
    let none = json!({});
    // The clock of its node is two minutes behind.
    let pod = pod("m", 120, true, &container(0, &running(5), &none));
    assert_eq!(look(&[pod], 130).runs_since, Some(at(120)));
}

#[test]
fn after_a_restart_by_time_those_are_new_that_are_younger() {
    let new = NewPods::MadeSince(at(100));
    let one = |made| {
        pod(
            "whatever",
            made,
            true,
            &container(0, &running(made), &json!({})),
        )
    };
    for (made, expected) in [(99, false), (100, true), (101, true)] {
        assert_eq!(is_new(&new, &one(made)), expected, "{made}");
    }
}
