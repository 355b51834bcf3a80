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
