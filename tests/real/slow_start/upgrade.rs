//! From a release without slow start to one with it in the middle of a fan-out, and back.

use reroll_harness::{ROLLOUT, Reroll, RerollBuilder, eventually, held};

use super::{BAD, Stage, slowly};

/// So many workloads use the Secret, and so many of them the older release restarts at least.
const USERS: usize = 12;
const FEW: usize = 4;

/// The older release.
#[derive(Clone, Copy, PartialEq)]
enum Older {
    /// The binary that a person names.
    Built,
    /// This one without slow start. What it wrote of its restarts is taken away when it has ended.
    Played,
}

impl Older {
    /// Slow enough that it is ended in the middle of a fan-out.
    fn builder(self, stage: &Stage) -> RerollBuilder {
        let builder = stage.arena.reroll();
        let builder = builder
            .flag("--restart-rate", "0.5")
            .flag("--restart-burst", "1");
        match self {
            Self::Built => builder.before(),
            Self::Played => builder,
        }
    }

    async fn end(self, stage: &Stage, older: Reroll) {
        assert!(older.stop().await);
        if self == Self::Played {
            for (kind, name) in &stage.users {
                stage.arena.annotate(kind, name, ROLLOUT, None).await;
            }
        }
    }
}

async fn opened(stage: &Stage) -> Vec<&str> {
    let mut opened = Vec::new();
    for (kind, name) in &stage.users {
        if stage.arena.annotation(kind, name, ROLLOUT).await.is_some() {
            opened.push(name.as_str());
        }
    }
    opened
}

/// A bad value comes while the older release leads. It breaks some before it ends. The newer one breaks one more to see, and
/// holds the rest. The older one, back again, restarts the rest. Then a good value comes, and the newer one.
async fn there_and_back(name: &str, older: Older) {
    let stage = Stage::of(name, USERS).await;
    let first = older.builder(&stage).start().await;
    stage.adopted().await;
    stage.change(BAD).await;
    stage.are_restarted(FEW).await;
    older.end(&stage, first).await;
    let by_older = stage.restarted();
    assert!((FEW..USERS).contains(&by_older.len()), "{by_older:?}");
    assert_eq!(opened(&stage).await, [""; 0]);

    let newer = slowly(&stage.arena).start().await;
    let stuck = stage.all_stuck().await;
    // What the older one restarted is no failure of anybody's, and no reason why others wait.
    assert!(
        !by_older.contains(&stuck[0]) && stuck.len() == 1,
        "{stuck:?}"
    );
    let rest = USERS - by_older.len() - 1;
    held(&newer, rest).await;
    stage.shows(rest).await;
    stage.recorder.settle(&stage.arena).await;
    assert_eq!(stage.restarted().len(), by_older.len() + 1);
    assert_eq!(opened(&stage).await, stuck);
    assert_eq!(stage.all_stuck().await, stuck);
    assert!(newer.stop().await);

    let back = older.builder(&stage).start().await;
    stage.are_restarted(USERS).await;
    stage.recorder.settle(&stage.arena).await;
    assert_eq!(stage.restarted_often(2), [""; 0], "nobody goes twice");
    stage.change("good again").await;
    stage.are_restarted_often(FEW, 2).await;
    older.end(&stage, back).await;
    let done = stage.restarted_often(2);
    assert!((FEW..USERS).contains(&done.len()), "{done:?}");

    let _newer = slowly(&stage.arena).start().await;
    stage.are_restarted_often(USERS, 2).await;
    stage.recorder.settle(&stage.arena).await;
    for (kind, name) in &stage.users {
        stage.recorder.expect(kind, name, 2);
    }
    // Their pods are made by others, and take their time.
    eventually("all pods are good", async || {
        stage.broken().await.is_empty().then_some(())
    })
    .await;
    eventually("nobody is shown to wait", async || {
        stage.shown().await.is_empty().then_some(())
    })
    .await;
}

#[ignore = "needs the binary of another release: REROLL_BEFORE"]
#[tokio::test]
async fn from_the_release_before_and_back_nothing_is_lost_or_doubled() {
    there_and_back("slow-upgrade-built", Older::Built).await;
}

#[tokio::test]
async fn from_a_release_that_tells_nothing_of_its_restarts_and_back() {
    there_and_back("slow-upgrade", Older::Played).await;
}
