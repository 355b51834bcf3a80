//! What is told of an opt-in.

use serde_json::json;

use super::*;
use crate::model::{WorkloadKey, annotation::RESTART_ON};

fn says(stage: &Stage, web: &WorkloadKey, text: &str) {
    stage.edit(web, |object| {
        object["metadata"]["annotations"][RESTART_ON] = json!(text);
    });
}

async fn opted_in(stage: Stage) -> Vec<String> {
    let told = stage.told().await.into_iter();
    told.filter(|one| one.starts_with("OptedIn")).collect()
}

#[tokio::test(start_paused = true)]
async fn an_opt_in_is_told_once_also_when_it_is_mended() {
    let stage = Stage::set();
    for name in ["s", "t"] {
        stage.secret(name, "A", "x");
    }
    // It had opted in when it was first seen: that is not told.
    let web = stage.workload(deployment("web", &["s", "t"]));
    let texts = [
        "off",
        "auto",
        "auto",
        "secrets",
        "nonsense",
        "secret/s, nonsense",
        "secret/s",
        "secret/s, secret/t",
    ];
    for text in texts {
        says(&stage, &web, text);
    }
    assert_eq!(
        opted_in(stage).await,
        [
            "OptedIn: restarts on Secret s, Secret t",
            "OptedIn: restarts on Secret s",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn of_many_opt_ins_only_some_are_told_by_events() {
    let stage = Stage::set();
    stage.secret("s", "A", "x");
    for number in 0..25 {
        let web = annotate(
            deployment(&format!("web-{number}"), &["s"]),
            RESTART_ON,
            "off",
        );
        let web = stage.workload(web);
        says(&stage, &web, "auto");
    }
    assert_eq!(opted_in(stage).await.len(), 20);
}

#[tokio::test(start_paused = true)]
async fn an_opt_in_to_nothing_and_one_that_another_replica_tells_are_not_told() {
    for (uses, leads) in [(&[][..], true), (&["s"][..], false)] {
        let stage = Stage::set();
        stage.lead(leads);
        stage.secret("s", "A", "x");
        let web = stage.workload(annotate(deployment("web", uses), RESTART_ON, "off"));
        says(&stage, &web, "auto");
        assert_eq!(opted_in(stage).await, Vec::<String>::new());
    }
}

/// Creates a workload so many seconds ago; it says this, or nothing.
fn created(stage: &Stage, name: &str, says: Option<&str>, ago: i64) -> WorkloadKey {
    let mut object = deployment(name, &["s"]);
    let at = jiff::Timestamp::from_second(stage.state.now() - ago).unwrap();
    object["metadata"]["creationTimestamp"] = json!(at);
    object["metadata"]["uid"] = json!(format!("{name}-{ago}"));
    let annotations = says.map_or(json!({}), |text| json!({ RESTART_ON: text }));
    object["metadata"]["annotations"] = annotations;
    stage.workload(object)
}

#[tokio::test(start_paused = true)]
async fn one_that_is_created_with_its_opt_in_is_told_once() {
    let stage = Stage::set();
    stage.secret("s", "A", "x");
    for name in ["web", "api"] {
        let web = created(&stage, name, Some("auto"), 1);
        stage.edit(&web, |object| {
            object["metadata"]["labels"] = json!({ "seen": "again" });
        });
    }
    created(&stage, "off", Some("off"), 1);
    created(&stage, "silent", None, 1);
    // It was there before: it is shown late, as in a namespace that is selected.
    created(&stage, "old", Some("auto"), 3600);
    // Another object under its name.
    created(&stage, "web", Some("auto"), 0);
    assert_eq!(
        opted_in(stage).await,
        ["OptedIn: restarts on Secret s"; 3],
        "two, and one that was made again"
    );
}

#[tokio::test(start_paused = true)]
async fn a_first_start_tells_none_by_events() {
    let stage = Stage::again(&crate::cluster::testing::Script::default(), |stage| {
        stage.secret("s", "A", "x");
        created(stage, "web", Some("auto"), 1);
        created(stage, "api", None, 1);
        stage
            .judge
            .namespace_default(crate::model::testing::NAMESPACE, Some("auto".to_owned()));
    });
    assert_eq!(opted_in(stage).await, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn whom_the_label_of_a_namespace_opts_in_is_told_once_up_to_a_bound() {
    let label = |stage: &Stage, text: Option<&str>| {
        let text = text.map(ToOwned::to_owned);
        let namespace = crate::model::testing::NAMESPACE;
        stage.judge.namespace_default(namespace, text);
    };
    let stage = Stage::set();
    stage.secret("s", "A", "x");
    created(&stage, "out", Some("off"), 3600);
    created(&stage, "in", Some("auto"), 3600);
    for name in ["web", "api"] {
        created(&stage, name, None, 3600);
    }
    for text in [Some("atuo"), Some("auto"), Some("auto"), Some("secrets")] {
        label(&stage, text);
    }
    assert_eq!(
        stage.told().await,
        ["OptedIn: restarts on Secret s"; 2],
        "the others said something themselves, and none that the label could not be read"
    );
    let stage = Stage::set();
    stage.secret("s", "A", "x");
    for number in 0..25 {
        created(&stage, &format!("web-{number}"), None, 3600);
    }
    label(&stage, Some("auto"));
    assert_eq!(opted_in(stage).await.len(), 20);
}

#[tokio::test(start_paused = true)]
async fn whom_the_label_of_a_namespace_opts_in_no_longer_is_told_up_to_a_bound() {
    let label = |stage: &Stage, text: Option<&str>| {
        let text = text.map(ToOwned::to_owned);
        let namespace = crate::model::testing::NAMESPACE;
        stage.judge.namespace_default(namespace, text);
    };
    let opted_out = async |stage: Stage| {
        let told = stage.told().await.into_iter();
        let told = told.filter(|one| one.starts_with("OptedOut"));
        told.collect::<Vec<_>>()
    };
    let out = "OptedOut: the label reroll.dev/restart-on of its Namespace opts it in no longer: changes of its sources do not restart it";
    for (last, expected) in [(None, 2), (Some("off"), 2), (Some("atuo"), 0)] {
        let stage = Stage::set();
        stage.secret("s", "A", "x");
        label(&stage, Some("auto"));
        created(&stage, "own", Some("auto"), 3600);
        created(&stage, "off", Some("off"), 3600);
        for name in ["web", "api"] {
            created(&stage, name, None, 3600);
        }
        label(&stage, last);
        label(&stage, last);
        assert_eq!(opted_out(stage).await, vec![out; expected], "{last:?}");
    }
    let stage = Stage::set();
    stage.secret("s", "A", "x");
    label(&stage, Some("auto"));
    for number in 0..25 {
        created(&stage, &format!("web-{number}"), None, 3600);
    }
    label(&stage, None);
    assert_eq!(opted_out(stage).await.len(), 20);
}
