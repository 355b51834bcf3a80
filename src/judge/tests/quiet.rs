//! When an intent is due, and when it is none any more.

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, advance};

use super::*;
use crate::{
    judge::Occasion,
    model::{
        Decision,
        annotation::{SETTLE as OWN_SETTLE, reloader::PAUSE_PERIOD},
        testing::Outcome,
    },
};

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[tokio::test(start_paused = true)]
async fn a_change_is_due_after_the_quiet_period_that_counts() {
    let nothing = ("x/y", "z");
    for (annotation, since_written, due) in [
        (nothing, 0, SETTLE),
        ((OWN_SETTLE, "5s"), 0, seconds(5)),
        ((OWN_SETTLE, "0s"), 0, seconds(0)),
        // Longer than others may be put off.
        ((OWN_SETTLE, "30s"), 0, seconds(30)),
        // What is left of it, from when the source was written.
        ((PAUSE_PERIOD, "5m"), 0, seconds(300)),
        ((PAUSE_PERIOD, "5m"), 100, seconds(200)),
        ((PAUSE_PERIOD, "5m"), 301, seconds(0)),
    ] {
        let stage = Stage::set();
        stage.set_time(CREATED_AT + since_written);
        let (source, mut before) = stage.put_secret("s", "A", "x");
        before.written = CREATED_AT - 1;
        stage.show_secret(&source, before);
        let web = deployment("web", &["s"]);
        stage.adopted(annotate(web, annotation.0, annotation.1));
        assert_eq!(stage.due_in(), None);
        stage.secret("s", "A", "y");
        assert_eq!(stage.due_in(), Some(due), "{annotation:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn each_change_begins_the_quiet_period_anew_until_the_longest_wait_is_over() {
    let stage = Stage::set();
    stage.secret("s", "A", "x");
    stage.adopted(deployment("web", &["s"]));
    let began = Instant::now();
    let mut due = Vec::new();
    for change in 0..7 {
        stage.secret("s", "A", &change.to_string());
        due.push(began.elapsed() + stage.due_in().unwrap());
        advance(SETTLE * 3 / 4).await;
    }
    let expected = [2000, 3500, 5000, 6500, 8000, 9500, 10000].map(Duration::from_millis);
    assert_eq!(due, expected);
    assert_eq!(
        stage.pending().intents,
        1,
        "several changes are one restart"
    );
}

#[tokio::test(start_paused = true)]
async fn changes_of_several_sources_are_one_intent_for_each_workload() {
    let stage = Stage::set();
    for secret in ["s", "t"] {
        stage.secret(secret, "A", "x");
    }
    let both = stage.adopted(deployment("both", &["s", "t"]));
    stage.adopted(deployment("one", &["t"]));
    stage.adopted(deployment("none", &[]));
    for secret in ["s", "t"] {
        stage.secret(secret, "B", "y");
    }
    assert_eq!(stage.pending().intents, 2);
    let decided = stage.judge.judge(&both, Occasion::Look).unwrap();
    assert_eq!(
        (decided.outcome(), decided.causes().len()),
        (Outcome::Restart, 2)
    );
}

#[tokio::test(start_paused = true)]
async fn a_look_neither_puts_off_nor_hastens_what_waits() {
    let stage = Stage::set();
    stage.secret("s", "A", "x");
    let web = stage.adopted(deployment("web", &["s"]));
    stage.secret("s", "A", "y");
    advance(SETTLE / 2).await;
    for _ in 0..3 {
        stage.judge.judge(&web, Occasion::Look);
        stage.show_now(&web);
        assert_eq!(stage.due_in(), Some(SETTLE / 2));
    }
    let oldest = stage.pending().oldest.unwrap();
    assert_eq!(oldest.elapsed(), SETTLE / 2);
}

#[tokio::test(start_paused = true)]
async fn data_that_is_restored_takes_the_intent_back() {
    let stage = Stage::set();
    stage.secret("s", "A", "x");
    let web = stage.adopted(deployment("web", &["s"]));
    let void = "reroll_intents_total{outcome=\"void\"}";
    for restored in 1..=2 {
        stage.secret("s", "A", "y");
        assert_eq!(stage.pending().intents, 1);
        stage.secret("s", "A", "x");
        assert_eq!(stage.pending().intents, 0);
        assert_eq!(stage.metric(void), restored);
    }
    // Another replica was faster: its restart shows.
    stage.secret("s", "A", "z");
    let restart = stage.judge.judge(&web, Occasion::Look).unwrap();
    let next = restart.next().cloned().unwrap();
    stage.edit(&web, |object| {
        let text = next.print(&stage.state.setup.key);
        object["metadata"]["annotations"]["reroll.dev/observed"] = json!(text);
        let mark = json!({ "reroll.dev/restarted-for": next.restarted_for });
        object["spec"]["template"]["metadata"]["annotations"] = mark;
    });
    assert_eq!((stage.pending().intents, stage.metric(void)), (0, 3));
    // What had no intent has none to take back.
    stage.judge.judge(&web, Occasion::Look);
    assert_eq!(stage.metric(void), 3);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_judged_before_every_list_is_complete() {
    let stage = Stage::unlisted(settings());
    stage.secret("s", "A", "x");
    let web = stage.adopted(deployment("web", &["s"]));
    let bare = stage.workload(deployment("bare", &["s"]));
    stage.secret("s", "A", "y");
    for kind in crate::model::SourceKind::ALL {
        stage.judge.source_listed(kind, None);
    }
    for key in [&web, &bare] {
        let decided = stage.judge.judge(key, Occasion::Look);
        assert!(decided.is_none(), "{decided:?}");
    }
    assert_eq!(stage.pending().intents, 0);
    assert_eq!(stage.judge.docket().tidying.next(Instant::now()), None);
    stage.judge.reconcile_start(Instant::now());
    assert_eq!(stage.pending().intents, 1);
    assert!(stage.judge.docket().tidying.next(Instant::now()).is_some());
    assert_eq!(stage.metric("reroll_startup_missed_changes"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_list_of_sources_that_is_complete_later_has_everything_judged() {
    let stage = Stage::unlisted(settings());
    stage.judge.reconcile_start(Instant::now());
    stage.secret("s", "A", "x");
    let web = stage.adopted(deployment("web", &["s"]));
    stage.secret("s", "A", "y");
    let decided = stage.judge.judge(&web, Occasion::Look);
    assert_eq!(
        decided.as_ref().map(Decision::as_str),
        Some("undecided_unsynced")
    );
    assert_eq!(stage.pending().intents, 0);
    for kind in crate::model::SourceKind::ALL {
        stage.judge.source_listed(kind, None);
    }
    assert_eq!(stage.pending().intents, 1);
}

#[tokio::test(start_paused = true)]
async fn the_sweep_finds_what_was_lost() {
    let stage = Stage::set();
    stage.secret("s", "A", "x");
    let web = stage.adopted(deployment("web", &["s"]));
    stage.secret("s", "A", "y");
    let stop = tokio_util::sync::CancellationToken::new();
    let sweep = tokio::spawn(std::sync::Arc::clone(&stage.judge).sweep(stop.clone()));
    stage.judge.docket().intents.settled(&web);
    tokio::time::sleep(settings().sweep_interval.checked_sub(seconds(1)).unwrap()).await;
    assert_eq!(stage.pending().intents, 0);
    tokio::time::sleep(seconds(2)).await;
    assert_eq!(stage.pending().intents, 1);
    stop.cancel();
    sweep.await.unwrap();
}
