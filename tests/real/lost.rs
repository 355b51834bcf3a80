//! A sync by Replace removes `observed` while reroll is down. reroll still knows that it looked after the workload.

use kube::{
    ResourceExt as _,
    api::{DynamicObject, ListParams, PostParams},
};
use reroll_harness::{
    Arena, KINDS, LAST_RESTART, OBSERVED, RESTART_ON, RESTARTED_FOR, Reroll, RerollBuilder, env,
    eventually, numbered, workload,
};
use serde_json::Value;

/// What happened to a workload before reroll goes down.
#[derive(Clone, Copy, PartialEq)]
enum Past {
    /// It was adopted, and restarted once.
    Restarted,
    /// It was adopted.
    Adopted,
    /// The same, but it opted in later, so its first revision knows nothing of it.
    AdoptedLate,
    /// It did not opt in, and does so while reroll is down.
    NeverOurs,
}

/// What the sync takes away.
#[derive(Clone, Copy, PartialEq)]
enum Takes {
    /// `observed` and the template's mark, which are not in the manifest.
    Mark,
    /// `observed`: there is no mark, or the sync keeps it.
    Observed,
}

/// What becomes of a Secret while reroll is down, after the sync.
#[derive(Clone, Copy, PartialEq)]
enum Then {
    Changed,
    /// Another key of it, which no workload uses.
    OtherKey,
    Untouched,
}

struct Row {
    name: &'static str,
    past: Past,
    takes: Takes,
    then: Then,
    asks: &'static [(&'static str, &'static str)],
    /// Rollouts after the start, of each of [`KINDS`].
    rollouts: [usize; 3],
}

const ASKS_NOTHING: &[(&str, &str)] = &[];

const ROWS: [Row; 10] = [
    row(
        "restarted",
        Past::Restarted,
        Takes::Mark,
        Then::Changed,
        [1; 3],
    ),
    row(
        "adopted",
        Past::Adopted,
        Takes::Observed,
        Then::Changed,
        [1; 3],
    ),
    // Only a Deployment's annotations are copied to a revision that is there.
    row(
        "late",
        Past::AdoptedLate,
        Takes::Observed,
        Then::Changed,
        [1, 0, 0],
    ),
    row(
        "calm",
        Past::Restarted,
        Takes::Mark,
        Then::Untouched,
        [0; 3],
    ),
    row(
        "calm-adopted",
        Past::Adopted,
        Takes::Observed,
        Then::Untouched,
        [0; 3],
    ),
    row(
        "other-key",
        Past::Adopted,
        Takes::Observed,
        Then::OtherKey,
        [0; 3],
    ),
    // As who opts out, and in again.
    row(
        "kept-mark",
        Past::Restarted,
        Takes::Observed,
        Then::Changed,
        [0; 3],
    ),
    row(
        "never",
        Past::NeverOurs,
        Takes::Observed,
        Then::Changed,
        [0; 3],
    ),
    Row {
        asks: &[("reroll.dev/suspend", "true")],
        ..row(
            "suspended",
            Past::Adopted,
            Takes::Observed,
            Then::Changed,
            [0; 3],
        )
    },
    Row {
        asks: &[("reroll.dev/on-adopt", "restart")],
        ..row("asks", Past::Restarted, Takes::Mark, Then::Changed, [1; 3])
    },
];

const fn row(
    name: &'static str,
    past: Past,
    takes: Takes,
    then: Then,
    rollouts: [usize; 3],
) -> Row {
    Row {
        name,
        past,
        takes,
        then,
        asks: ASKS_NOTHING,
        rollouts,
    }
}

impl Row {
    fn workload(&self, kind: &str) -> String {
        format!("{}-{}", self.name, kind.to_lowercase())
    }
}

#[tokio::test]
async fn what_a_replace_took_while_down_was_ours() {
    let arena = Arena::new("lost").await;
    let reroll = arena.reroll().start().await;
    for row in &ROWS {
        create(&arena, row).await;
    }
    let recorder = arena.record().await;
    let before = |row: &Row| usize::from(row.past == Past::Restarted);
    for row in ROWS.iter().filter(|row| before(row) == 1) {
        arena.update_secret(row.name, &[("k", "two")]).await;
    }
    recorder.settle(&arena).await;
    let expect = |after: bool| {
        for (row, (number, kind)) in ROWS
            .iter()
            .flat_map(|row| KINDS.iter().enumerate().map(move |kind| (row, kind)))
        {
            let synced = usize::from(after && row.takes == Takes::Mark);
            let restarts = if after { row.rollouts[number] } else { 0 };
            let rollouts = before(row) + synced + restarts;
            recorder.expect(kind, &row.workload(kind), rollouts);
        }
    };
    expect(false);
    revisions_are_made(&arena).await;

    let again = down(reroll).await;
    for row in &ROWS {
        for kind in KINDS {
            sync(&arena, row, kind).await;
        }
    }
    revisions_are_made(&arena).await;
    arena.later_second().await;
    for row in &ROWS {
        match row.then {
            Then::Changed => arena.update_secret(row.name, &[("k", "three")]).await,
            Then::OtherKey => arena.update_secret(row.name, &[("l", "three")]).await,
            Then::Untouched => {}
        }
    }
    let reroll = again.start().await;
    for row in &ROWS {
        for kind in KINDS {
            arena.adopted(kind, &row.workload(kind)).await;
        }
    }
    recorder.settle(&arena).await;
    expect(true);
    for row in ROWS.iter().filter(|row| row.then == Then::Changed) {
        for (number, kind) in KINDS.into_iter().enumerate() {
            let told = ["AdoptedOutdated", "Restarted"][row.rollouts[number]];
            let told = format!("{told}: Secret {} was written after", row.name);
            arena.event(&row.workload(kind), &told).await;
        }
    }
    // Another start finds nothing.
    let again = down(reroll).await;
    let _reroll = again.start().await;
    recorder.settle(&arena).await;
    expect(true);
}

#[tokio::test]
async fn who_opts_in_again_is_adopted_afresh() {
    let arena = Arena::new("lost-afresh").await;
    let reroll = arena.reroll().start().await;
    for way in ["annotation", "vanishes"] {
        arena.secret(way, &[("k", "one")]).await;
        for kind in KINDS {
            let name = format!("{way}-{}", kind.to_lowercase());
            let asks = [
                (RESTART_ON, "auto"),
                (
                    "reroll.dev/on-adopt",
                    if way == "vanishes" {
                        "restart"
                    } else {
                        "report"
                    },
                ),
            ];
            arena
                .create(&workload(kind, &name, &asks, env(way, "k")))
                .await;
            arena.adopted(kind, &name).await;
        }
    }
    let recorder = arena.record().await;
    for way in ["annotation", "vanishes"] {
        arena.update_secret(way, &[("k", "two")]).await;
    }
    recorder.settle(&arena).await;
    revisions_are_made(&arena).await;
    // The rest is the controller's alone.
    let builder = reroll.builder();
    assert!(reroll.stop().await);
    let _reroll = builder.without_webhook().start().await;
    recorder.settle(&arena).await;
    arena.later_second().await;
    let named = |way: &str, kind: &str| format!("{way}-{}", kind.to_lowercase());
    for kind in KINDS {
        let name = named("annotation", kind);
        arena.annotate(kind, &name, RESTART_ON, Some("off")).await;
        eventually(&format!("{name} is let go"), async || {
            let observed = arena.annotation(kind, &name, OBSERVED).await;
            observed.is_none().then_some(())
        })
        .await;
    }
    arena.update_secret("annotation", &[("k", "three")]).await;
    // Written after the revisions, and of no concern: a key that is not used.
    arena.update_secret("vanishes", &[("l", "three")]).await;
    recorder.settle(&arena).await;
    for kind in KINDS {
        let name = named("annotation", kind);
        arena.annotate(kind, &name, RESTART_ON, Some("auto")).await;
        arena.adopted(kind, &name).await;
        // Gone from under it, and put back from memory.
        let name = named("vanishes", kind);
        arena.annotate(kind, &name, OBSERVED, None).await;
        arena.adopted(kind, &name).await;
    }
    recorder.settle(&arena).await;
    for kind in KINDS {
        for way in ["annotation", "vanishes"] {
            recorder.expect(kind, &named(way, kind), 1);
        }
    }
}

#[tokio::test]
async fn where_the_webhook_adopts_sooner_it_is_restarted_all_the_same() {
    let arena = Arena::new("lost-sooner").await;
    let reroll = arena.reroll().start().await;
    let row = Row {
        name: "sooner",
        ..ROWS[0]
    };
    create(&arena, &row).await;
    let recorder = arena.record().await;
    arena.update_secret(row.name, &[("k", "two")]).await;
    recorder.settle(&arena).await;
    revisions_are_made(&arena).await;
    let again = down(reroll).await;
    for kind in KINDS {
        sync(&arena, &row, kind).await;
    }
    arena.later_second().await;
    arena.update_secret(row.name, &[("k", "three")]).await;
    // Ten others are adopted before, and that is all for some seconds.
    arena.later_second().await;
    arena.secret("others", &[("k", "one")]).await;
    for name in numbered(10) {
        let asks = [(RESTART_ON, "auto")];
        let manifest = workload("StatefulSet", &name, &asks, env("others", "k"));
        arena.create(&manifest).await;
    }
    let reroll = again.clone().flag("--adopt-rate", "0.2").start().await;
    for kind in KINDS {
        let name = row.workload(kind);
        arena.annotate(kind, &name, "note", Some("a write")).await;
        arena.adopted(kind, &name).await;
    }
    // The restart before, the sync, and the restart that was missed.
    for kind in KINDS {
        recorder.reaches(kind, &row.workload(kind), 3).await;
    }
    down(reroll).await;
    let _reroll = again.start().await;
    recorder.settle(&arena).await;
    for kind in KINDS {
        recorder.expect(kind, &row.workload(kind), 3);
    }
    for name in numbered(10) {
        recorder.expect("StatefulSet", &name, 0);
    }
}

/// Creates a row's Secret and workloads, adopted where they are to be.
async fn create(arena: &Arena, row: &Row) {
    arena.secret(row.name, &[("k", "one"), ("l", "one")]).await;
    for kind in KINDS {
        let name = row.workload(kind);
        let mut asks = row.asks.to_vec();
        let at_once = matches!(row.past, Past::Restarted | Past::Adopted);
        if at_once {
            asks.push((RESTART_ON, "auto"));
        }
        let manifest = workload(kind, &name, &asks, env(row.name, "k"));
        arena.create(&manifest).await;
        if row.past == Past::AdoptedLate {
            eventually(&format!("{name} has a revision"), async || {
                let object = arena.get(kind, &name).await;
                is_seen(&object).then_some(())
            })
            .await;
            arena.annotate(kind, &name, RESTART_ON, Some("auto")).await;
        }
        if row.past != Past::NeverOurs {
            arena.adopted(kind, &name).await;
        }
    }
}

/// Whether a workload's controller has seen it as it is.
fn is_seen(object: &DynamicObject) -> bool {
    let status: &Value = &object.data["status"];
    status["observedGeneration"].as_i64() == object.metadata.generation
}

/// Ends a reroll, with its webhook. Returns how to start it again.
async fn down(reroll: Reroll) -> RerollBuilder {
    let builder = reroll.builder();
    assert!(reroll.stop().await);
    builder
}

/// Replaces a workload by what its manifest says.
async fn sync(arena: &Arena, row: &Row, kind: &str) {
    let name = row.workload(kind);
    let mut object = arena.get(kind, &name).await;
    let annotations = object.annotations_mut();
    annotations.remove(OBSERVED);
    annotations.remove(LAST_RESTART);
    annotations.insert(RESTART_ON.to_owned(), "auto".to_owned());
    if row.takes == Takes::Mark {
        let template = &mut object.data["spec"]["template"]["metadata"]["annotations"];
        let marks = template
            .as_object_mut()
            .map(|all| all.remove(RESTARTED_FOR));
        assert!(matches!(marks, Some(Some(_))), "{name} has a mark");
    }
    let params = PostParams::default();
    eventually(&format!("{name} is replaced"), async || {
        let now = arena.get(kind, &name).await;
        object.metadata.resource_version = now.metadata.resource_version;
        arena.api(kind).replace(&name, &params, &object).await.ok()
    })
    .await;
}

/// Waits until each workload's controller has seen it as it is, so that its revisions are made, with what they copy.
async fn revisions_are_made(arena: &Arena) {
    for kind in KINDS {
        eventually(&format!("each {kind} is seen"), async || {
            let all = arena.api(kind).list(&ListParams::default()).await;
            all.unwrap().iter().all(is_seen).then_some(())
        })
        .await;
    }
}
