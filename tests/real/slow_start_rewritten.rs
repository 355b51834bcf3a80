//! Sources that are rewritten again and again: their users are restarted ever more rarely, and people are told why.

use std::time::Duration;

use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use kube::api::{Patch, PatchParams};
use reroll::model::brake::distance;
use reroll_harness::{Arena, Recorder, deployment, eventually};
use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval};

const KIND: &str = "Deployment";
const WEB: &str = "web";

/// Writes the Secret `db` as this client.
async fn write(arena: &Arena, who: &str, value: &str) {
    let params = PatchParams {
        field_manager: Some(who.to_owned()),
        ..PatchParams::default()
    };
    let patch = Patch::Merge(json!({ "stringData": { "k": value } }));
    let secrets = arena.api("Secret");
    secrets.patch("db", &params, &patch).await.unwrap();
}

async fn one_user(name: &str) -> Arena {
    let arena = Arena::new(name).await;
    arena.secret("db", &[("k", "0")]).await;
    arena.create(&deployment(WEB, "db", "k")).await;
    arena
}

/// A restart, as it stands on the workload: when it was made, and for how long the next one waits at least.
fn made(opened: &Value) -> (Timestamp, SignedDuration) {
    let at = opened["at"].as_str().unwrap().parse().unwrap();
    let distance = SignedDuration::from_secs(opened["distance"].as_i64().unwrap_or(0));
    (at, distance)
}

/// How many restarts the law makes of changes at each of these times.
fn by_the_law(changes: &[Timestamp]) -> usize {
    let mut last: Option<(Timestamp, SignedDuration)> = None;
    let mut count = 0;
    let mut changes = changes.iter().copied().peekable();
    while let Some(change) = changes.next() {
        let at = last.map_or(change, |(at, distance)| change.max(at + distance));
        // What changes until then is part of it.
        while changes.next_if(|next| *next <= at).is_some() {}
        last = Some((at, distance::after(last, at, distance::LONGEST)));
        count += 1;
    }
    count
}

#[tokio::test]
async fn what_is_rewritten_every_two_seconds_restarts_ever_more_rarely() {
    const EVERY: Duration = Duration::from_secs(2);
    const DURING: Duration = Duration::from_mins(1);
    let arena = one_user("rewritten").await;
    let reroll = arena.reroll().flag("--max-distance", "1h");
    let _reroll = reroll.start().await;
    arena.adopted(KIND, WEB).await;
    let recorder = Recorder::start(&arena).await;
    let mut turns = interval(EVERY);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let began = Instant::now();
    let mut changes = Vec::new();
    while began.elapsed() < DURING {
        turns.tick().await;
        write(&arena, "a-machine", &format!("{}", changes.len() + 1)).await;
        let since = SignedDuration::try_from(began.elapsed()).unwrap();
        changes.push(Timestamp::UNIX_EPOCH + since);
    }
    // 0, 2, 7, 17, 37 and 77 s after the first change.
    let expected = by_the_law(&changes);
    assert_eq!(expected, 6, "{changes:?}");
    recorder.reaches(KIND, WEB, expected).await;
    let last = arena.version("Secret", "db").await;
    eventually("the last value is observed", async || {
        let observed = arena.observed(KIND, WEB).await?;
        (observed["s"]["secret/db"]["r"].as_u64() == Some(last)).then_some(())
    })
    .await;
    recorder.settle(&arena).await;
    recorder.expect(KIND, WEB, expected);
    let opened = recorder.opened(KIND, WEB);
    let made: Vec<_> = opened.iter().map(made).collect();
    assert_eq!(made.len(), expected);
    let mut before = None;
    for (at, distance) in made {
        assert_eq!(distance, distance::after(before, at, distance::LONGEST));
        if let Some((last, distance)) = before {
            assert!(at >= last + distance, "{at} is too early");
        }
        before = Some((at, distance));
    }
    let told: Vec<_> = arena.events(WEB).await;
    let told: Vec<_> = told
        .iter()
        .filter(|event| event.starts_with("SourceRewritten: "))
        .collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].contains("Secret db") && told[0].contains("key k") && told[0].contains("a-machine"),
        "{told:?}"
    );
    assert_eq!(arena.event_count(WEB, "SourceRewritten").await, 1);
}

#[tokio::test]
async fn two_writers_that_fight_in_12_namespaces_make_24_events() {
    const NAMESPACES: usize = 12;
    /// So often each workload is restarted: told at 5 and at 10, and the next time at 20.
    const RESTARTS: usize = 10;
    let mut arenas = Vec::new();
    for number in 0..NAMESPACES {
        arenas.push(one_user(&format!("rewritten-{number:02}")).await);
    }
    let names: Vec<_> = arenas.iter().map(|arena| arena.namespace.clone()).collect();
    let reroll = arenas[0].reroll().flag("--namespaces", &names.join(","));
    let _reroll = reroll.flag("--max-distance", "1s").start().await;
    let mut recorders = Vec::new();
    for arena in &arenas {
        arena.adopted(KIND, WEB).await;
        recorders.push(Recorder::start(arena).await);
    }
    join_all(
        arenas
            .iter()
            .zip(&recorders)
            .map(async |(arena, recorder)| {
                for turn in 1..=RESTARTS {
                    // Each of them finds what the other wrote, and writes its own.
                    let who = ["a-person", "a-machine"][turn % 2];
                    write(arena, who, &format!("of {who}, turn {turn}")).await;
                    recorder.reaches(KIND, WEB, turn).await;
                }
                recorder.settle(arena).await;
                recorder.expect(KIND, WEB, RESTARTS);
            }),
    )
    .await;
    for arena in &arenas {
        for times in ["5 times", "10 times"] {
            arena.event(WEB, &format!("restart {times}")).await;
        }
        assert_eq!(arena.event_count(WEB, "SourceRewritten").await, 2);
    }
}
