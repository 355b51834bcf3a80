//! What no intent can help: held, counted, and told once.

use serde_json::{Value, json};

use super::*;
use crate::{
    judge::Occasion,
    model::{
        WorkloadKey,
        annotation::{OBSERVED, RESTART_ON, RESTARTED_FOR, SETTLE as OWN_SETTLE, SUSPEND},
        held::Held,
        peer::May,
    },
};

fn suspended(stage: &Stage) -> WorkloadKey {
    stage.secret("s", "A", "x");
    let web = stage.adopted(annotate(deployment("web", &["s"]), SUSPEND, "true"));
    stage.secret("s", "A", "y");
    web
}

#[tokio::test(start_paused = true)]
async fn one_that_is_suspended_is_held_and_told_once() {
    let stage = Stage::set();
    let web = suspended(&stage);
    for _ in 0..3 {
        stage.judge.judge(&web, Occasion::Look);
        stage.show_now(&web);
    }
    assert_eq!((stage.held("suspended"), stage.pending().intents), (1, 0));
    let told = stage.told().await;
    let expected = "RestartSuspended: Secret s was updated; not restarted: the workload says reroll.dev/suspend: true";
    assert_eq!(told, [expected]);
}

#[tokio::test(start_paused = true)]
async fn it_is_told_again_after_a_new_leader_and_by_no_follower() {
    let stage = Stage::set();
    stage.lead(false);
    let web = suspended(&stage);
    assert_eq!(stage.held("suspended"), 1);
    stage.lead(true);
    stage.judge.judge_all();
    // It is no news yet: who leads has to say so.
    stage.judge.docket().held.tell_again();
    stage.judge.judge_all();
    stage.judge.judge(&web, Occasion::Look);
    assert_eq!(stage.held("suspended"), 1);
    assert_eq!(stage.told().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_longer_suspended_restarts() {
    let stage = Stage::set();
    let web = suspended(&stage);
    stage.edit(&web, |object| {
        object["metadata"]["annotations"][SUSPEND] = json!("false");
    });
    assert_eq!((stage.held("suspended"), stage.pending().intents), (0, 1));
    // Suspended again it keeps the intent, which ends when it is taken: that is decided again.
    stage.edit(&web, |object| {
        object["metadata"]["annotations"][SUSPEND] = json!("true");
    });
    assert_eq!(stage.held("suspended"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_namespace_and_the_lease_hold_all_and_let_all_go() {
    let stage = Stage::set();
    stage.secret("s", "A", "x");
    let all: Vec<_> = (0..3)
        .map(|number| stage.adopted(deployment(&format!("web-{number}"), &["s"])))
        .collect();
    let namespace = all[0].namespace.as_str();
    let said = |text: &str| Some(text.to_owned());
    stage.judge.namespace_stop(namespace, said("INC-42"));
    stage.judge.namespace_stop("another", said("INC-1"));
    stage.secret("s", "A", "y");
    assert_eq!((stage.held("suspended"), stage.pending().intents), (3, 0));
    stage.judge.lease_says(Some("upgrade"));
    stage.judge.namespace_stop(namespace, None);
    assert_eq!((stage.held("suspended"), stage.pending().intents), (3, 0));
    stage.judge.lease_says(None);
    stage.judge.judge_all();
    assert_eq!((stage.held("suspended"), stage.pending().intents), (0, 3));
    let told = stage.told().await;
    let line = |who: &str| format!("RestartSuspended: Secret s was updated; not restarted: {who}");
    let of_namespace = line(&format!(
        "Namespace {namespace} says reroll.dev/suspend: INC-42"
    ));
    let of_lease = line("reroll's Lease says reroll.dev/suspend: upgrade");
    let expected: Vec<_> = [vec![of_namespace; 3], vec![of_lease; 3]].concat();
    assert_eq!(told, expected, "another who holds it is news");
}

#[tokio::test(start_paused = true)]
async fn what_is_held_is_shown_after_a_while_and_no_more_often_than_that() {
    let stage = Stage::set();
    let web = suspended(&stage);
    let show = |after: i64| {
        let now = stage.judge.state.time() + jiff::SignedDuration::from_secs(after);
        let mut docket = stage.judge.docket();
        docket.stopped.to_show(&stage.judge.state.index(), 10, now)
    };
    assert_eq!(show(29), [], "a restart may come soon");
    let due = std::slice::from_ref(&web);
    assert_eq!(show(30), due);
    assert_eq!(show(31), [], "it is being written");
    assert_eq!(show(60), due, "that failed");
    stage.edit(&web, |object| {
        object["metadata"]["annotations"][SUSPEND] = json!("false");
    });
    assert_eq!(show(1000), []);
}

/// Changes an object before it is shown.
type Edit = fn(&mut Value);

/// Why it is held, what makes it so, and what is told.
type Row<'a> = (Held, &'a dyn Fn(&mut Value), Option<&'a str>);

#[tokio::test(start_paused = true)]
async fn each_reason_is_counted_and_told_until_it_holds_no_more() {
    let mark = |object: &mut Value| {
        object["spec"]["template"]["metadata"]["annotations"] = json!({ RESTARTED_FOR: "m" });
        object["status"] = json!({ "observedGeneration": 1, "replicas": 1 });
    };
    let of = |edit: Edit| {
        move |object: &mut Value| {
            mark(object);
            edit(object);
        }
    };
    let owner: Edit = |object| {
        let owner = json!({ "apiVersion": "g/v1", "kind": "App", "name": "boss", "uid": "o", "controller": true });
        object["metadata"]["ownerReferences"] = json!([owner]);
    };
    let unreadable: Edit = |object| object["metadata"]["annotations"][RESTART_ON] = json!("§");
    let other_key: Edit = |object| {
        let text = object["metadata"]["annotations"][OBSERVED]
            .as_str()
            .unwrap();
        let id = crate::model::testing::key().id().to_owned();
        object["metadata"]["annotations"][OBSERVED] = json!(text.replace(&id, "other-id"));
    };
    let paused = of(|object| object["spec"]["paused"] = json!(true));
    let on_delete = of(|object| object["spec"]["updateStrategy"] = json!({ "type": "OnDelete" }));
    let partitioned = of(|object| {
        object["spec"]["updateStrategy"] = json!({ "rollingUpdate": { "partition": 1 } });
    });
    let rows: [Row; 6] = [
        (
            Held::Owned,
            &owner,
            Some("NotRestarted: it belongs to App boss"),
        ),
        (Held::Unreadable, &unreadable, Some("OptInUnreadable: ")),
        (Held::UnknownKey, &other_key, None),
        (
            Held::Paused,
            &paused,
            Some("NotRolling: it was restarted, but it is paused"),
        ),
        (
            Held::OnDelete,
            &on_delete,
            Some("NotRolling: it was restarted, but its update strategy is OnDelete"),
        ),
        (
            Held::Partitioned,
            &partitioned,
            Some("NotRolling: it was restarted, but the partition"),
        ),
    ];
    for (held, edit, event) in rows {
        let stage = Stage::set();
        stage.secret("s", "A", "x");
        let marked = [Held::Paused, Held::OnDelete, Held::Partitioned].contains(&held);
        let mut object = deployment("web", &["s"]);
        if marked {
            edit(&mut object);
        }
        let web = stage.adopted(object);
        if !marked {
            stage.edit(&web, edit);
        }
        stage.judge.judge(&web, Occasion::Look);
        assert_eq!(stage.judge.docket().held.of(&web), Some(held));
        assert_eq!(
            (stage.held(held.as_str()), stage.pending().intents),
            (1, 0),
            "{held:?}"
        );
        stage.judge.workload_deleted(&web);
        assert_eq!(stage.held(held.as_str()), 0, "{held:?}");
        let told = stage.told().await;
        let told: Vec<_> = told
            .iter()
            .filter(|told| !told.starts_with("SettingUnreadable"))
            .collect();
        assert_eq!(
            told.len(),
            usize::from(event.is_some()),
            "{held:?}: {told:?}"
        );
        assert!(
            event.is_none_or(|event| told[0].starts_with(event)),
            "{told:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_source_is_held_only_where_a_change_waits_with_it() {
    let stage = Stage::set();
    stage.secret("s", "A", "x");
    stage.secret("t", "A", "x");
    let web = stage.adopted(deployment("web", &["s", "t"]));
    let (s, _) = stage.put_secret("s", "A", "x");
    stage.judge.source_deleted(&s, 900);
    let held = || stage.judge.docket().held.of(&web);
    assert_eq!(held(), None, "it waits, and is behind nothing");
    stage.secret("t", "A", "y");
    assert_eq!(held(), Some(Held::Missing));
    assert_eq!((stage.held("missing"), stage.pending().intents), (1, 0));
    tokio::time::advance(SETTLE).await;
    crate::judge::missing::tell(&stage.judge);
    let object = stage.script.edit(&secret_path("s"), |secret| {
        secret["metadata"]["uid"] = json!("B");
    });
    let mut secret: k8s_openapi::api::core::v1::Secret = serde_json::from_value(object).unwrap();
    secret.metadata.resource_version = Some("901".to_owned());
    let key = &stage.state.setup.key;
    stage.show_secret(&s, crate::model::Version::of_secret(key, "n", &secret));
    assert_eq!((stage.held("missing"), stage.pending().intents), (0, 1));
    assert!(stage.judge.docket().intents.waits(&web));
    let told = stage.told().await;
    assert_eq!(told.len(), 1);
    assert!(
        told[0].ends_with("reroll restarts it when Secret s exists with all required keys"),
        "{told:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_unknown_digest_key_is_looked_into() {
    let stage = Stage::set();
    stage.secret("s", "A", "x");
    let web = stage.adopted(deployment("web", &["s"]));
    let doubted = || async {
        let doubted = stage.state.key_doubted.notified();
        tokio::time::timeout(std::time::Duration::from_millis(1), doubted)
            .await
            .is_ok()
    };
    assert!(!doubted().await);
    stage.edit(&web, |object| {
        let text = object["metadata"]["annotations"][OBSERVED]
            .as_str()
            .unwrap();
        let id = crate::model::testing::key().id().to_owned();
        object["metadata"]["annotations"][OBSERVED] = json!(text.replace(&id, "other-id"));
    });
    assert!(doubted().await);
    assert_eq!(stage.held("unknown_key"), 1);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_is_told_once_and_when_it_changes() {
    let stage = Stage::set();
    stage.secret("s", "A", "x");
    let web = stage.adopted(annotate(deployment("web", &["s"]), OWN_SETTLE, "soon"));
    stage.judge.judge(&web, Occasion::Look);
    stage.judge.judge_all();
    stage.edit(&web, |object| {
        object["metadata"]["annotations"][OWN_SETTLE] = json!("later");
    });
    stage.judge.judge_all();
    let told = stage.told().await;
    let words: Vec<_> = told
        .iter()
        .map(|told| told.split('"').nth(1).unwrap())
        .collect();
    assert_eq!(words, ["soon", "later"], "{told:?}");
    assert!(
        told.iter().all(|told| !told.ends_with("times)")),
        "{told:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_shows_at_a_write_is_no_news_until_then() {
    for held in [Held::NoRoom, Held::Dropped, Held::Running] {
        let stage = Stage::set();
        stage.secret("s", "A", "x");
        let web = stage.adopted(deployment("web", &["s"]));
        stage.secret("s", "A", "y");
        stage.judge.docket().held.hold(&web, Some(held));
        stage.judge.judge(&web, Occasion::Look);
        stage.judge.judge_taken(&web);
        assert_eq!(
            stage.judge.docket().held.of(&web),
            Some(held),
            "it is to be restarted still"
        );
        // Nothing is to be written any more.
        stage.secret("s", "A", "x");
        assert_eq!(stage.judge.docket().held.of(&web), None);
    }
}

/// What its pods have is looked up all the same: the other one may be gone, and the workload be new.
#[tokio::test(start_paused = true)]
async fn what_is_left_to_another_installation_is_asked_about_and_not_restarted() {
    let stage = Stage::set();
    stage.secret("s", "A", "x");
    let theirs = stage.adopted(deployment("theirs", &["s"]));
    stage.judge.state.peers(|peers, now| {
        peers.claim(&theirs, Some("other-id"), now);
        peers.undone(&theirs, now);
    });
    stage.secret("s", "A", "y");
    assert_eq!(stage.pending().intents, 0);
    // A required source of it is absent: what its pods have tells only the API server.
    let web = stage.workload(deployment("web", &["absent"]));
    assert_eq!(stage.judge.may(&web), May::Hold);
    assert_eq!(stage.pending().intents, 1);
}
