//! What people are told while restarts wait, and what of their words cannot be read.

use reroll_harness::{Arena, Recorder, deployment, eventually};

use super::{Stage, held};

#[tokio::test]
async fn what_waits_because_one_failed_is_shown_on_it_and_only_as_long() {
    let stage = Stage::of("slow-shown", 4).await;
    let reroll = stage.start().await;
    stage.change("bad").await;
    let (broken, _) = stage.one_is_broken_and_the_rest_wait(&reroll).await;
    let shown = async || {
        let mut shown = Vec::new();
        for (kind, name) in &stage.users {
            let key = "reroll.dev/pending";
            if let Some(text) = stage.arena.annotation(kind, name, key).await {
                assert!(text.contains("\"reason\":\"slow_start\""), "{text}");
                shown.push(name.clone());
            }
        }
        shown
    };
    eventually("it is shown on the others", async || {
        (shown().await.len() == 3).then_some(())
    })
    .await;
    assert!(!shown().await.contains(&broken));
    assert_eq!(stage.restarted(), [&broken]);
    stage.change("good again").await;
    let times = |name: &str| 1 + usize::from(name == broken);
    stage.each_was_restarted(times).await;
    assert_eq!(shown().await, [""; 0]);
}

#[tokio::test]
async fn what_cannot_be_read_is_said_and_changes_nothing() {
    let stage = Stage::of("slow-unreadable", 2).await;
    let key = "reroll.dev/slow-start";
    let asks = format!("{key}=later");
    let namespace = stage.arena.namespace.clone();
    let asked = ["annotate", "namespace", &namespace, &asks];
    stage.arena.kubectl(&asked).await.ok();
    let reroll = stage.start().await;
    let said = stage.arena.event(&namespace, "SettingUnreadable: ").await;
    assert!(
        said.contains("reroll.dev/slow-start: \"later\" is not on or off"),
        "{said}"
    );
    for object in ["secret/db", "deployment/web-00"] {
        let said = stage.arena.kubectl(&["annotate", object, &asks]).await.ok();
        assert!(
            said.err.contains("is not on or off"),
            "{object}: {}",
            said.err
        );
    }
    stage.change("bad").await;
    held(&reroll, 1).await;
    stage.recorder.settle(&stage.arena).await;
    assert_eq!(stage.restarted().len(), 1);
}

#[tokio::test]
async fn a_source_that_is_rewritten_again_and_again_is_named_with_its_writer() {
    let arena = Arena::new("slow-rewritten").await;
    let _reroll = arena.reroll().start().await;
    arena.secret("db", &[("k", "0")]).await;
    arena.create(&deployment("web", "db", "k")).await;
    arena.adopted("Deployment", "web").await;
    let recorder = Recorder::start(&arena).await;
    for number in 1..=7 {
        arena
            .update_secret("db", &[("k", &number.to_string())])
            .await;
        recorder.reaches("Deployment", "web", number).await;
    }
    let said = arena.event("web", "SourceRewritten: ").await;
    assert!(
        said.contains("Secret db made its users restart 5 times within an hour, last for key k; "),
        "{said}"
    );
    assert_eq!(arena.event_count("web", "SourceRewritten").await, 1);
}
