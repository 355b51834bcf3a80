//! Restarts that say who changed what they are for.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::model::{
    Conventions, SourceKey, Version, WorkloadKey,
    annotation::{LAST_RESTART, ROLLOUT_OPENED},
    change::Change,
    writers::Print,
};

const GET: &str = "GET secrets/";

/// A Deployment, and the Secret that it was adopted with.
fn stage() -> (Stage, WorkloadKey) {
    let stage = Stage::by(Conventions {
        name_writers: true,
        ..Conventions::default()
    });
    stage.secret("s", "A", "x");
    let web = stage.adopted(deployment("web", &["s"]));
    (stage, web)
}

/// Writes the Secret anew, with this manager of its data, so many seconds after all was created.
fn written(
    stage: &Stage,
    uid: &str,
    value: &str,
    manager: &str,
    after: i64,
) -> (SourceKey, Version) {
    stage.put_secret("s", uid, value);
    let at = Timestamp::from_second(CREATED_AT + after).unwrap();
    stage.script.edit(&secret_path("s"), |secret| {
        secret["metadata"]["managedFields"] = json!([{
            "manager": manager, "operation": "Update", "time": at.to_string(),
            "fieldsType": "FieldsV1", "fieldsV1": { "f:data": { "f:k": {} } },
        }]);
    });
    let secret = stage.script.object(&secret_path("s")).unwrap();
    let secret = serde_json::from_value(secret).unwrap();
    let key = crate::model::testing::key();
    let version = Version::of_secret(&key, crate::model::testing::NAMESPACE, &secret);
    let source = SourceKey {
        namespace: crate::model::testing::NAMESPACE.to_owned(),
        source: crate::model::SourceName::secret("s"),
    };
    (source, version)
}

/// What the restart says of who changed it, in `last-restart` and as facts.
fn said(stage: &Stage, key: &WorkloadKey) -> (Option<String>, Value) {
    let object = stage.object(key);
    let annotations = &object["metadata"]["annotations"];
    let text = annotations[LAST_RESTART]
        .as_str()
        .expect("it was restarted");
    let who = text.split_once(", changed ").map(|(_, who)| who.to_owned());
    let opened = annotations[ROLLOUT_OPENED].as_str().unwrap();
    let opened: Value = serde_json::from_str(opened).unwrap();
    (who, opened["changed"]["secret/s"].clone())
}

#[tokio::test(start_paused = true)]
async fn the_user_is_named_whose_write_it_was_without_a_read() {
    let (stage, web) = stage();
    let (source, version) = written(&stage, "A", "y", "kubectl-patch", 10);
    let at = Timestamp::from_second(NOW).unwrap();
    let alice = Change::by(at, Some("alice"), None);
    stage
        .state
        .writers()
        .claim(&source, Print::of(&version), alice);
    stage.state.shows(&source, &version, Some("kubectl-patch"));
    stage.show_secret(&source, version);
    let work = start(&stage, 2);
    settle().await;
    let (who, facts) = said(&stage, &web);
    assert_eq!(
        who.unwrap(),
        "2027-01-15T08:00:00Z by alice (kubectl-patch)"
    );
    let expected =
        json!({ "at": "2027-01-15T08:00:00Z", "user": "alice", "manager": "kubectl-patch" });
    assert_eq!(facts, expected);
    assert_eq!(stage.script.count(GET), 0);
    work.end().await;
    let told = stage.told().await;
    assert_eq!(
        told,
        ["Restarted: Secret s was updated, changed 2027-01-15T08:00:00Z by alice (kubectl-patch)"]
    );
}

#[tokio::test(start_paused = true)]
async fn who_wrote_what_others_refused_is_not_named_and_the_manager_of_what_is_there_is_read_once()
{
    let (stage, web) = stage();
    let second = stage.adopted(deployment("second", &["s"]));
    let (source, refused) = written(&stage, "A", "y", "curl", 5);
    let at = Timestamp::from_second(NOW).unwrap();
    let mallory = Change::by(at, Some("mallory"), Some("curl"));
    stage
        .state
        .writers()
        .claim(&source, Print::of(&refused), mallory);
    // Later somebody else writes the very same.
    let (_, version) = written(&stage, "A", "y", "helm", 10);
    stage.show_secret(&source, version);
    let _work = start(&stage, 2);
    settle().await;
    for key in [&web, &second] {
        let (who, facts) = said(&stage, key);
        assert_eq!(who.unwrap(), "2023-11-14T22:13:30Z by helm");
        assert_eq!(
            facts,
            json!({ "at": "2023-11-14T22:13:30Z", "manager": "helm" })
        );
    }
    assert_eq!(stage.script.count(GET), 1, "{:?}", stage.script.lines());
}

#[tokio::test(start_paused = true)]
async fn a_manager_is_not_named_that_wrote_what_pods_have_already() {
    // The removal of a key leaves no time; a recreated object tells who made it, whenever that was.
    for (uid, after, expected) in [
        ("A", -10, None),
        ("B", -10, Some("2023-11-14T22:13:10Z by helm")),
        ("A", 0, Some("2023-11-14T22:13:20Z by helm")),
    ] {
        let (stage, web) = stage();
        let (source, mut version) = written(&stage, uid, "y", "helm", after);
        // As the object's own age would have it be older.
        version.written = CREATED_AT + after;
        stage.show_secret(&source, version);
        let _work = start(&stage, 2);
        settle().await;
        assert_eq!(said(&stage, &web).0.as_deref(), expected, "{uid} {after}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_restart_is_made_although_nobody_answers_who_it_was() {
    for turn in [
        Turn::lose(),
        Turn::refuse(403, "Forbidden"),
        Turn::serve().late(LONG),
    ] {
        let (stage, web) = stage();
        let second = stage.adopted(deployment("second", &["s"]));
        stage.script.turn(GET, turn.always());
        let (source, version) = written(&stage, "A", "y", "helm", 10);
        stage.show_secret(&source, version);
        let _work = start(&stage, 2);
        settle().await;
        for key in [&web, &second] {
            assert_eq!(said(&stage, key), (None, Value::Null));
        }
        assert_eq!(stage.script.count(GET), 1, "it is asked once");
        assert_eq!(stage.script.count(PATCH), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_is_named_or_asked_for_where_that_is_off() {
    let stage = Stage::set();
    let web = changed(&stage, "web");
    let _work = start(&stage, 2);
    settle().await;
    assert_eq!(said(&stage, &web), (None, Value::Null));
    assert_eq!(stage.script.count(GET), 0);
}
