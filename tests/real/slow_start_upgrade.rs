//! From a release without slow start to one with it in the middle of a fan-out, and back.

use std::path::PathBuf;

use reroll_harness::{BAD, Crowd, ROLLOUT, Reroll, RerollBuilder, eventually};

const KIND: &str = "Deployment";
/// So many workloads use the Secret, and so many of them the older release restarts at least.
const USERS: usize = 12;
const FEW: usize = 4;
const HELD: &str = "reroll_workloads_pending{reason=\"slow_start\"}";

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
    fn builder(self, crowd: &Crowd) -> RerollBuilder {
        let builder = crowd.arena.reroll();
        let builder = builder
            .flag("--restart-rate", "1")
            .flag("--restart-burst", "1");
        match self {
            Self::Built => {
                let path = std::env::var_os("REROLL_BEFORE");
                let path = path.expect("REROLL_BEFORE names a binary of reroll");
                let builder = builder.without("--slow-start").without("--max-distance");
                builder.program(PathBuf::from(path))
            }
            Self::Played => builder,
        }
    }

    async fn end(self, crowd: &Crowd, older: Reroll) {
        assert!(older.stop().await);
        if self == Self::Played {
            for name in &crowd.names {
                crowd.arena.annotate(KIND, name, ROLLOUT, None).await;
            }
        }
    }
}

async fn opened(crowd: &Crowd) -> Vec<String> {
    let mut opened = Vec::new();
    for name in &crowd.names {
        if crowd.arena.annotation(KIND, name, ROLLOUT).await.is_some() {
            opened.push(name.clone());
        }
    }
    opened
}

/// A bad value comes while the older release leads. It breaks some before it ends. The newer one breaks one more to see, and
/// holds the rest. The older one, back again, restarts the rest. Then a good value comes, and the newer one.
async fn there_and_back(name: &str, older: Older) {
    let crowd = Crowd::of(name, USERS).await;
    let first = older.builder(&crowd).start().await;
    crowd.adopted().await;
    crowd.change(BAD).await;
    crowd.reaches(FEW, 1).await;
    older.end(&crowd, first).await;
    let by_older = crowd.restarted(1);
    assert!((FEW..USERS).contains(&by_older.len()), "{by_older:?}");
    assert_eq!(opened(&crowd).await, [""; 0]);

    let newer = crowd.slowly().start().await;
    let stuck = crowd.stuck().await;
    // What the older one restarted is no failure of anybody's, and no reason why others wait.
    assert!(
        !by_older.contains(&stuck[0]) && stuck.len() == 1,
        "{stuck:?}"
    );
    let rest = USERS - by_older.len() - 1;
    eventually("the rest waits", async || {
        (newer.count(HELD).await == rest as u64).then_some(())
    })
    .await;
    crowd.shows(rest).await;
    crowd.recorder.settle(&crowd.arena).await;
    assert_eq!(crowd.restarted(1).len(), by_older.len() + 1);
    assert_eq!(opened(&crowd).await, stuck);
    assert_eq!(crowd.stuck().await, stuck);
    assert!(newer.stop().await);

    let back = older.builder(&crowd).start().await;
    crowd.reaches(USERS, 1).await;
    crowd.recorder.settle(&crowd.arena).await;
    assert_eq!(crowd.restarted(2), [""; 0], "nobody goes twice");
    crowd.change("good again").await;
    crowd.reaches(FEW, 2).await;
    older.end(&crowd, back).await;
    let done = crowd.restarted(2);
    assert!((FEW..USERS).contains(&done.len()), "{done:?}");

    let _newer = crowd.slowly().start().await;
    crowd.reaches(USERS, 2).await;
    crowd.recorder.settle(&crowd.arena).await;
    let twice = crowd.names.iter().map(|name| (name, 2));
    crowd.recorder.expect_each(KIND, twice);
    assert_eq!(crowd.broken().await, [""; 0]);
    eventually("nobody is shown to wait", async || {
        crowd.shown().await.is_empty().then_some(())
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
