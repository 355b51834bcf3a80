//! Tests of what is told, and in which form.

use std::collections::HashSet;

use super::{alert::CAUSES, message::Message, payload::Content, settings::AlertSinkKind, *};
use crate::model::{SourceKind, SourceName, decide::CauseKind, workload::KINDS};

pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

pub(super) fn workload(name: &str) -> WorkloadKey {
    WorkloadKey {
        kind: &KINDS[0],
        namespace: "shop".to_owned(),
        name: name.to_owned(),
    }
}

pub(super) fn recreated(secret: &str) -> Cause {
    Cause {
        kind: CauseKind::Recreated,
        source: Some(SourceName {
            kind: SourceKind::Secret,
            name: secret.to_owned(),
        }),
        uids: Some(("old-uid".to_owned(), "new-uid".to_owned())),
        keys: Vec::new(),
        change: None,
    }
}

pub(super) fn restarted(name: &str) -> Alert {
    let causes = [recreated("db")];
    Alert::new(
        AlertKind::Restarted,
        &workload(name),
        &causes,
        1,
        None,
        at(0),
    )
}

fn for_causes(causes: &[Cause]) -> Alert {
    Alert::new(
        AlertKind::Restarted,
        &workload("web"),
        causes,
        1,
        None,
        at(0),
    )
}

#[test]
fn names_of_any_length_make_no_long_alert() {
    let causes = vec![recreated(&"x".repeat(20_000)); 100];
    let alert = for_causes(&causes);
    let message = Message::new(vec![alert], 0);
    for sink in [
        AlertSinkKind::Slack,
        AlertSinkKind::Json,
        AlertSinkKind::Text,
    ] {
        let length = Content::new(sink, "", &message).body.len();
        assert!(length < 10_000, "{length}");
    }
}

pub(super) fn failing(name: &str, attempts: u32) -> Alert {
    let updated = Cause {
        kind: CauseKind::Updated,
        uids: None,
        keys: vec!["password".to_owned()],
        change: None,
        ..recreated("db")
    };
    let causes = [updated, Cause::plain(CauseKind::RolledBack, None)];
    let error = Some("RBAC or an admission policy does not allow it");
    Alert::new(
        AlertKind::Failing,
        &workload(name),
        &causes,
        attempts,
        error,
        at(1),
    )
}

fn both() -> Message {
    Message::new(vec![restarted("web"), failing("api", 5)], 3)
}

fn shown(sink: AlertSinkKind) -> String {
    let content = Content::new(sink, "prod <!here>", &both());
    let body = match serde_json::from_str::<serde_json::Value>(&content.body) {
        Ok(json) => serde_json::to_string_pretty(&json).unwrap(),
        Err(_) => content.body,
    };
    format!("{}\n\n{body}", content.media_type)
}

#[test]
fn slack() {
    insta::assert_snapshot!(shown(AlertSinkKind::Slack));
}

#[test]
fn teams() {
    insta::assert_snapshot!(shown(AlertSinkKind::Teams));
}

#[test]
fn gchat() {
    insta::assert_snapshot!(shown(AlertSinkKind::Gchat));
}

#[test]
fn json() {
    insta::assert_snapshot!(shown(AlertSinkKind::Json));
}

#[test]
fn text() {
    insta::assert_snapshot!(shown(AlertSinkKind::Text));
}

#[test]
fn what_slack_reads_as_markup_is_escaped_in_what_is_not_the_operators() {
    let mut alert = restarted("web");
    alert.causes[0].text = "<!channel> & co".to_owned();
    let message = Message::new(vec![alert], 0);
    let body = Content::new(AlertSinkKind::Slack, "<!here>", &message).body;
    assert!(body.contains("&lt;!channel&gt; &amp; co"), "{body}");
    assert!(body.contains("<!here>: reroll restarted"), "{body}");
}

#[test]
fn titles_count() {
    let title = |alerts: Vec<Alert>| Message::new(alerts, 0).title();
    let (web, api) = (|| restarted("web"), || failing("api", 5));
    assert_eq!(title(vec![web()]), "reroll restarted a workload");
    assert_eq!(title(vec![api()]), "reroll cannot restart a workload");
    assert_eq!(
        title(vec![web(), web(), api(), failing("cart", 5)]),
        "reroll restarted workloads 2 times, and cannot restart 2 workloads"
    );
}

#[test]
fn a_workload_that_keeps_failing_is_told_once_with_the_last() {
    let message = Message::new(
        vec![failing("api", 5), failing("cart", 5), failing("api", 10)],
        0,
    );
    let told: Vec<_> = message
        .alerts
        .iter()
        .map(|alert| (&*alert.workload.name, alert.attempts))
        .collect();
    assert_eq!(told, [("cart", 5), ("api", 10)]);
}

#[test]
fn messages_are_bounded() {
    let long = "n".repeat(253);
    let alerts: Vec<_> = (0..1024)
        .map(|number| restarted(&format!("{long}{number}")))
        .collect();
    let message = Message::new(alerts, 0);
    for sink in [
        AlertSinkKind::Slack,
        AlertSinkKind::Teams,
        AlertSinkKind::Gchat,
        AlertSinkKind::Text,
    ] {
        let body = Content::new(sink, "prod", &message).body;
        // Teams takes 28 KB.
        assert!(body.len() < 8192, "{sink:?}: {}", body.len());
        assert!(body.contains("and 10"), "{sink:?}: {body}");
    }
    let short: Vec<_> = (0..32)
        .map(|number| restarted(&number.to_string()))
        .collect();
    let body = Content::new(AlertSinkKind::Text, "", &Message::new(short, 0)).body;
    assert_eq!(body.lines().count(), 1 + message::NAMED + 1);
    assert!(body.ends_with("\nand 12 more"), "{body}");
    let body = Content::new(AlertSinkKind::Json, "", &message).body;
    let json: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(json["alerts"].as_array().unwrap().len(), 200);
    assert_eq!(json["more"], 824);
}

#[test]
fn many_causes_are_bounded_and_a_long_line_is_cut() {
    let causes: Vec<_> = (0..40)
        .map(|n| recreated(&format!("{n}-{}", "ü".repeat(120))))
        .collect();
    let alert = for_causes(&causes);
    assert_eq!((alert.causes.len(), alert.more_causes), (CAUSES, 35));
    let sections = Message::new(vec![alert], 0).sections();
    let line = &sections[0].lines[0];
    assert!(line.len() <= 600 && line.ends_with('…'), "{line}");
}

#[test]
fn a_failing_restart_is_told_ever_more_seldom() {
    let told: HashSet<u32> = (1..=200).filter(|&n| keeps_failing(n)).collect();
    assert_eq!(told, [5, 10, 20, 40, 80, 160].into());
}

#[test]
fn what_nobody_asked_for_is_not_queued() {
    let (queue, mut alerts) = mpsc::channel(8);
    let metrics = Arc::new(Metrics::new());
    let sink = AlertSink(Some(Entry {
        queue,
        on: [AlertKind::Failing].into(),
        lost: Lost::new(metrics),
    }));
    sink.restarted(&workload("web"), &[], 1, at(0));
    sink.failing(&workload("web"), &[], 4, "why", at(0));
    assert!(alerts.try_recv().is_err());
    sink.failing(&workload("web"), &[], 5, "why", at(0));
    assert_eq!(alerts.try_recv().unwrap().attempts, 5);
    // By default nobody listens.
    AlertSink::default().restarted(&workload("web"), &[], 1, at(0));
}
