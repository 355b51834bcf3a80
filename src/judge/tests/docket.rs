//! What is filed: counts, writes of `observed`, and what is forgotten.

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, advance, timeout};

use super::*;
use crate::{
    judge::{
        Occasion, Settings,
        bucket::{Bounds, Pacing},
        intents::Finish,
    },
    model::{
        WorkloadKey,
        annotation::{OBSERVED, RESTART_ON, RESTARTED_FOR, SUSPEND},
        index::Bared,
    },
};

/// Takes what is to be written next, as if it were being written, and did not help.
fn written(stage: &Stage) -> Option<WorkloadKey> {
    let now = Instant::now();
    let mut docket = stage.judge.docket();
    let due = docket.tidying.take(now)?;
    let workload = due.workload.clone();
    docket.tidying.finish(due, Finish::Over, true, now);
    Some(workload)
}

async fn rings(bell: &tokio::sync::Notify) -> bool {
    timeout(Duration::from_millis(1), bell.notified())
        .await
        .is_ok()
}

#[tokio::test(start_paused = true)]
async fn a_workload_that_opted_in_is_to_be_written_and_told() {
    let stage = Stage::set();
    stage.secret("s", "A", "x");
    assert!(!rings(&stage.judge.tidying_changed).await);
    let bare = stage.workload(deployment("bare", &["s"]));
    assert!(rings(&stage.judge.tidying_changed).await);
    assert_eq!(stage.pending().intents, 0);
    assert_eq!(written(&stage).as_ref(), Some(&bare));
    assert_eq!(
        stage.judge.docket().tidying.take_report(&bare),
        (true, None)
    );
    assert_eq!(written(&stage), None);
    // What stands there already is not written again.
    stage.adopted(deployment("web", &["s"]));
    assert_eq!(written(&stage), None);
}

#[tokio::test(start_paused = true)]
async fn what_the_webhook_or_another_replica_adopted_is_told_by_who_leads() {
    for leads in [true, false] {
        let stage = Stage::set();
        stage.lead(leads);
        stage.secret("s", "A", "x");
        let bare = stage.workload(deployment("bare", &["s"]));
        let text = stage.state.index().unwritten(&bare).flatten().unwrap();
        stage.edit(&bare, |object| {
            object["metadata"]["annotations"][OBSERVED] = json!(text);
        });
        let (told, _) = stage.judge.docket().tidying.take_report(&bare);
        assert_eq!(told, leads);
    }
}

#[tokio::test(start_paused = true)]
async fn how_it_came_to_be_bare_is_noted() {
    let stage = Stage::set();
    stage.secret("s", "A", "x");
    let web = stage.adopted(deployment("web", &["s"]));
    stage.edit(&web, |object| {
        object["metadata"]["annotations"]
            .as_object_mut()
            .unwrap()
            .remove(OBSERVED);
    });
    let taken = stage.judge.docket().tidying.take_report(&web);
    assert_eq!(taken, (true, Some(Bared::Restored)));
    assert_eq!(written(&stage), Some(web));
    let late = stage.workload(annotate(deployment("late", &["s"]), RESTART_ON, "off"));
    assert_eq!(written(&stage), None);
    stage.edit(&late, |object| {
        object["metadata"]["annotations"][RESTART_ON] = json!("auto");
    });
    let taken = stage.judge.docket().tidying.take_report(&late);
    assert_eq!(taken, (true, Some(Bared::Afresh)));
}

#[tokio::test(start_paused = true)]
async fn the_default_of_a_namespace_adopts_and_lets_go() {
    let stage = Stage::set();
    stage.secret("s", "A", "x");
    let mut object = deployment("web", &["s"]);
    object["metadata"]["annotations"] = json!({});
    let web = stage.workload(object);
    assert_eq!(written(&stage), None);
    stage.judge.namespace_default("n", Some("auto".to_owned()));
    assert_eq!(written(&stage), Some(web.clone()));
    let text = stage.state.index().unwritten(&web).flatten().unwrap();
    stage.edit(&web, |object| {
        object["metadata"]["annotations"][OBSERVED] = json!(text);
    });
    while written(&stage).is_some() {}
    stage.judge.namespace_default("n", None);
    assert_eq!(
        written(&stage),
        Some(web.clone()),
        "what is left of it is removed"
    );
    assert_eq!(stage.state.index().unwritten(&web), Some(None));
}

#[tokio::test(start_paused = true)]
async fn one_that_loses_its_opt_in_is_told_of_and_restarts_no_more() {
    let stage = Stage::set();
    stage.secret("s", "A", "x");
    let web = stage.adopted(deployment("web", &["s"]));
    stage.secret("s", "A", "y");
    stage.edit(&web, |object| {
        object["metadata"]["annotations"]
            .as_object_mut()
            .unwrap()
            .remove(RESTART_ON);
    });
    assert!(stage.judge.judge(&web, Occasion::Look).is_none());
    let told = stage.told().await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("OptedOut: "));
}

#[tokio::test(start_paused = true)]
async fn a_workload_that_is_gone_is_forgotten() {
    let stage = Stage::set();
    stage.secret("s", "A", "x");
    let changed = stage.adopted(deployment("changed", &["s"]));
    let suspended = stage.adopted(annotate(deployment("suspended", &["s"]), SUSPEND, "true"));
    let bare = stage.workload(deployment("bare", &["s"]));
    stage.secret("s", "A", "y");
    let tick = stage.judge.tick();
    // The bare one was observed as it was before, so it is to be restarted, too.
    assert_eq!((stage.pending().intents, stage.held("suspended")), (2, 1));
    for key in [&changed, &suspended] {
        stage.judge.workload_deleted(key);
    }
    stage.judge.workload_missed(&bare, tick);
    assert_eq!((stage.pending().intents, stage.held("suspended")), (0, 0));
    assert_eq!(written(&stage), None);
    assert_eq!(stage.state.index().size().1, 0);
}

#[tokio::test(start_paused = true)]
async fn one_that_came_after_it_was_asked_for_is_not_missed() {
    let stage = Stage::set();
    let asked = stage.judge.tick();
    let web = stage.workload(deployment("web", &[]));
    stage.judge.workload_missed(&web, asked);
    assert!(stage.state.index().workload(&web).is_some());
}

#[tokio::test(start_paused = true)]
async fn the_docket_counts_what_waits_and_what_is_held_back() {
    let pacing = |rate, burst| Pacing { rate, burst };
    let bounds = Bounds {
        all: pacing(None, 1),
        rolling: Some(5),
    };
    let stage = Stage::with(Settings {
        bounds,
        ..settings()
    });
    let counts = || {
        let pending = stage.pending();
        let all = pending.held_back.shown(20);
        let back = all.map(|(reason, _)| (reason, pending.held_back.of(reason)));
        let back = back.filter(|(_, count)| *count > 0);
        (
            pending.intents,
            pending.oldest.map(|at| at.elapsed()),
            back.collect::<Vec<_>>(),
        )
    };
    assert_eq!(counts(), (0, None, vec![]));
    stage.secret("s", "A", "x");
    let web = stage.adopted(deployment("web", &["s"]));
    stage.adopted(annotate(deployment("held", &["s"]), SUSPEND, "true"));
    stage.secret("s", "A", "y");
    advance(SETTLE).await;
    assert_eq!(counts(), (1, Some(SETTLE), vec![("suspended", 1)]));
    let intent = stage.judge.docket().intents.take(Instant::now()).unwrap();
    assert_eq!(
        counts(),
        (1, None, vec![("suspended", 1)]),
        "what is under way counts"
    );
    stage.judge.docket().intents.restarted(&web, Instant::now());
    assert_eq!(counts().2, [("rolling", 1), ("suspended", 1)]);
    stage
        .judge
        .docket()
        .intents
        .finish(intent, Finish::Over, Instant::now());
    assert_eq!(counts().0, 0);
    // Rolled out.
    stage.edit(&web, |object| {
        let mark = json!({ RESTARTED_FOR: "m" });
        object["spec"]["template"]["metadata"]["annotations"] = mark;
    });
    assert_eq!(counts().2, [("suspended", 1)]);
}

#[tokio::test(start_paused = true)]
async fn what_was_taken_is_decided_again_without_another_intent() {
    let stage = Stage::set();
    stage.secret("s", "A", "x");
    let web = stage.adopted(deployment("web", &["s"]));
    stage.secret("s", "A", "y");
    advance(SETTLE).await;
    stage.judge.docket().intents.take(Instant::now()).unwrap();
    let judged = stage.judge.judge_taken(&web);
    assert_eq!(judged.decision.unwrap().as_str(), "restart");
    // What etcd itself shows now: as it was observed.
    let asked = stage.judge.tick();
    let (key, version) = stage.put_secret("s", "A", "x");
    let judged = stage
        .judge
        .judge_read(&web, asked, &[(key.source, Some(version))]);
    assert_eq!(judged.decision.unwrap().as_str(), "keep");
    assert!(!stage.judge.docket().intents.waits(&web));
}
