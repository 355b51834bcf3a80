//! Two installations of reroll on the same workloads: one of them works there, each change rolls once, and neither writes
//! when nothing happens.

use std::collections::BTreeMap;

use kube::ResourceExt;
use reroll_harness::{
    Arena, KINDS, OBSERVED, RESTART_ON, Recorder, Reroll, RerollBuilder, env, eventually, workload,
};
use serde_json::Value;

/// What the one that holds says of each workload.
const ELSEWHERE: &str = "reroll_workloads_pending{reason=\"other_installation\"}";
/// Three kinds, and the sentinel.
const WORKLOADS: u64 = 4;

/// How an installation differs from the one that a chart installs.
type Differs = fn(RerollBuilder) -> RerollBuilder;

fn as_it_is(builder: RerollBuilder) -> RerollBuilder {
    builder
}

fn older_without_webhook(builder: RerollBuilder) -> RerollBuilder {
    builder.before().without_webhook()
}

async fn installation(arena: &Arena, name: &str) -> RerollBuilder {
    // Each sweep decides about everything: what would be written again is.
    let builder = arena.installation(name).await;
    builder.flag("--sweep-interval", "1s")
}

fn named(kind: &str) -> String {
    format!("{}-web", kind.to_lowercase())
}

async fn workloads(arena: &Arena) {
    arena.secret("db", &[("k", "0")]).await;
    for kind in KINDS {
        let manifest = workload(kind, &named(kind), &[(RESTART_ON, "auto")], env("db", "k"));
        arena.create(&manifest).await;
    }
}

async fn all_adopted(arena: &Arena) {
    for kind in KINDS {
        arena.adopted(kind, &named(kind)).await;
    }
}

async fn holds(reroll: &Reroll) -> bool {
    reroll.count(ELSEWHERE).await == WORKLOADS
}

/// The id of the digest key that each workload is under.
async fn keys(arena: &Arena) -> Vec<String> {
    let mut keys = Vec::new();
    for kind in KINDS {
        let text = arena
            .annotation(kind, &named(kind), OBSERVED)
            .await
            .unwrap();
        let observed: Value = serde_json::from_str(&text).unwrap();
        keys.push(observed["k"].as_str().unwrap().to_owned());
    }
    keys.dedup();
    keys
}

/// A change, after which everything has rolled once more than before.
async fn changes(arena: &Arena, recorder: &Recorder, round: usize) {
    arena
        .update_secret("db", &[("k", &round.to_string())])
        .await;
    rolled(arena, recorder, round).await;
}

async fn rolled(arena: &Arena, recorder: &Recorder, times: usize) {
    recorder.settle(arena).await;
    for kind in KINDS {
        recorder.expect(kind, &named(kind), times);
    }
}

async fn decisions(reroll: &Reroll) -> u64 {
    let (_, metrics) = reroll.http("/metrics").await.unwrap();
    let of = metrics
        .lines()
        .filter(|line| line.starts_with("reroll_decisions_total{"));
    of.map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap())
        .sum()
}

async fn versions(arena: &Arena) -> BTreeMap<String, u64> {
    let mut versions = BTreeMap::new();
    for kind in KINDS {
        versions.insert(named(kind), arena.version(kind, &named(kind)).await);
    }
    let sentinel = arena.get("Deployment", "sentinel").await;
    let version = sentinel.resource_version().unwrap().parse().unwrap();
    versions.insert("sentinel".to_owned(), version);
    versions
}

/// How often each has written `observed`, whether or not the other's webhook let that stand.
async fn tries(both: [&Reroll; 2]) -> [u64; 2] {
    let of = async |reroll: &Reroll| reroll.count("reroll_housekeeping_writes_total").await;
    [of(both[0]).await, of(both[1]).await]
}

/// While both decide about everything, over and over, nothing is written. A controller may be about to answer the last write.
async fn idle(arena: &Arena, both: [&Reroll; 2]) {
    eventually("nobody writes", async || {
        let before = (versions(arena).await, tries(both).await);
        for reroll in both {
            let begun = decisions(reroll).await;
            eventually("it decided five times about everything", async || {
                (decisions(reroll).await >= begun + 5 * WORKLOADS).then_some(())
            })
            .await;
        }
        let after = (versions(arena).await, tries(both).await);
        (after == before).then_some(())
    })
    .await;
}

/// The second comes to the workloads of the first. `yields`: who leaves them to the other.
async fn meet(name: &str, first: Differs, second: Differs, yields: usize) {
    let arena = Arena::new(name).await;
    let one = first(installation(&arena, "one").await).start().await;
    workloads(&arena).await;
    all_adopted(&arena).await;
    let recorder = arena.record().await;
    changes(&arena, &recorder, 1).await;
    let ours = keys(&arena).await;
    let two = second(installation(&arena, "two").await).start().await;
    let holder = [&one, &two][yields];
    eventually("one of them holds", async || {
        holds(holder).await.then_some(())
    })
    .await;
    idle(&arena, [&one, &two]).await;
    for round in 2..=3 {
        changes(&arena, &recorder, round).await;
    }
    idle(&arena, [&one, &two]).await;
    let stands = keys(&arena).await;
    assert_eq!(stands == ours, yields == 1, "{stands:?} after {ours:?}");
    assert!(holds(holder).await);
    // It says who works there, and is ready: else nobody could replace an old installation by a new one.
    assert_eq!(holder.http("/readyz").await.unwrap().0, 200);
    let (_, metrics) = holder.http("/metrics").await.unwrap();
    let named = format!("reroll_namespaces_elsewhere{{key=\"{}\",user=", stands[0]);
    assert!(metrics.contains(&named), "{metrics}");
    assert!(
        holder
            .log()
            .contains("another installation of reroll works")
    );
}

#[tokio::test]
async fn both_with_a_webhook() {
    meet("installed-twice", as_it_is, as_it_is, 1).await;
}

#[tokio::test]
async fn the_first_without_a_webhook() {
    let alone = RerollBuilder::without_webhook;
    meet("installed-first-alone", alone, as_it_is, 1).await;
}

#[tokio::test]
async fn the_second_without_a_webhook() {
    let alone = RerollBuilder::without_webhook;
    meet("installed-second-alone", as_it_is, alone, 1).await;
}

#[tokio::test]
async fn neither_with_a_webhook() {
    let alone = RerollBuilder::without_webhook;
    meet("installed-alone", alone, alone, 1).await;
}

#[ignore = "needs the binary of another release: REROLL_BEFORE"]
#[tokio::test]
async fn the_release_before_goes_on_and_this_one_yields() {
    meet("installed-old", RerollBuilder::before, as_it_is, 1).await;
    meet("installed-old-alone", older_without_webhook, as_it_is, 1).await;
    meet("installed-onto", as_it_is, RerollBuilder::before, 0).await;
    meet("installed-onto-alone", as_it_is, older_without_webhook, 0).await;
}

/// Both start on workloads that nobody has adopted.
async fn at_once(name: &str, first: Differs, second: Differs) {
    let arena = Arena::new(name).await;
    workloads(&arena).await;
    let recorder = arena.record().await;
    let one = first(installation(&arena, "one").await);
    let two = second(installation(&arena, "two").await);
    let (one, two) = tokio::join!(one.start(), two.start());
    let settled = async || {
        let held = [holds(&one).await, holds(&two).await];
        let of_one = keys(&arena).await.len() == 1;
        (of_one && held[0] != held[1]).then_some(())
    };
    all_adopted(&arena).await;
    eventually("one of them works, and one holds", settled).await;
    for round in 1..=3 {
        changes(&arena, &recorder, round).await;
    }
    idle(&arena, [&one, &two]).await;
    settled().await.unwrap();
}

#[tokio::test]
async fn both_at_once_on_fresh_workloads() {
    at_once("installed-at-once", as_it_is, as_it_is).await;
}

#[tokio::test]
async fn both_at_once_and_neither_with_a_webhook() {
    let alone = RerollBuilder::without_webhook;
    at_once("installed-at-once-alone", alone, alone).await;
}

/// The first goes away, and comes back when the second has taken over what it had.
async fn away(name: &str, differs: Differs) {
    let arena = Arena::new(name).await;
    let soon = |builder: RerollBuilder| builder.surroundings("UNDER_TEST_TRY_AGAIN", "20");
    let one = soon(differs(installation(&arena, "one").await))
        .start()
        .await;
    workloads(&arena).await;
    all_adopted(&arena).await;
    let recorder = arena.record().await;
    let two = soon(differs(installation(&arena, "two").await))
        .start()
        .await;
    eventually("the second holds", async || holds(&two).await.then_some(())).await;
    changes(&arena, &recorder, 1).await;
    let first = keys(&arena).await;

    let again = one.builder();
    assert!(one.stop().await);
    // Nobody works there right now. The second saw what the first had.
    arena.update_secret("db", &[("k", "2")]).await;
    eventually("the second takes over", async || {
        let keys = keys(&arena).await;
        (keys.len() == 1 && keys != first).then_some(())
    })
    .await;
    rolled(&arena, &recorder, 2).await;
    let second = keys(&arena).await;

    let one = again.start().await;
    eventually("the first is the guest now", async || {
        holds(&one).await.then_some(())
    })
    .await;
    changes(&arena, &recorder, 3).await;
    assert_eq!(keys(&arena).await, second);
    assert!(!holds(&two).await);
}

#[tokio::test]
async fn the_first_away_for_a_minute() {
    away("installed-away", as_it_is).await;
}

#[tokio::test]
async fn the_first_away_for_a_minute_and_no_webhook() {
    away("installed-away-alone", RerollBuilder::without_webhook).await;
}
