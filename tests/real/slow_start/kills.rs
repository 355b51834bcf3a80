//! Slow start, whoever leads and for however long: what is held stays held, and nobody goes twice.

use reroll_harness::{LEADER, Reroll, RerollBuilder, eventually, held};

use super::{BAD, Stage, slowly};

/// So many workloads use the Secret.
const USERS: usize = 12;

/// What befalls the replica that leads, and who leads after it.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    /// It is killed and starts again.
    StartsAgain,
    /// It is killed, and another takes over.
    IsReplaced,
    /// It sleeps until another leads, and wakes.
    Sleeps,
}

/// The replicas of a reroll, one after the other in the lead.
struct Lives<'a> {
    stage: &'a Stage,
    fate: Fate,
    leader: Reroll,
    standby: Option<Reroll>,
    /// Where the next ones abort, `""` for nowhere.
    moments: std::slice::Iter<'static, &'static str>,
    started: usize,
}

impl<'a> Lives<'a> {
    /// Starts them. The first that lead abort at these moments, one after the other (`tests/bin/under_test.rs` has them).
    async fn begin(stage: &'a Stage, fate: Fate, moments: &'static [&'static str]) -> Self {
        let mut moments = moments.iter();
        let first = moments.next().copied().unwrap_or_default();
        let mut lives = Self {
            stage,
            fate,
            leader: builder(stage, fate, first, 0).start().await,
            standby: None,
            moments,
            started: 1,
        };
        lives.leader.leads().await;
        if fate != Fate::StartsAgain {
            lives.standby = Some(lives.start().await);
        }
        lives
    }

    async fn start(&mut self) -> Reroll {
        let moment = self.moments.next().copied().unwrap_or_default();
        let builder = builder(self.stage, self.fate, moment, self.started);
        self.started += 1;
        if self.fate == Fate::StartsAgain && !moment.is_empty() {
            // It may abort before it is ready.
            return builder.spawn().await;
        }
        builder.start().await
    }

    /// Waits until the leader has aborted at its moment. Another one leads then.
    async fn aborts(&mut self) {
        assert!(!self.leader.ended().await, "it aborts");
        self.next_leads().await;
    }

    /// The leader meets its fate. Another one leads then.
    async fn next(&mut self) {
        if self.fate != Fate::Sleeps {
            self.leader.signal("KILL");
            assert!(!self.leader.ended().await, "it is killed");
            return self.next_leads().await;
        }
        let standby = self.standby.take().unwrap();
        let sleeper = std::mem::replace(&mut self.leader, standby);
        sleeper.signal("STOP");
        self.leader.leads().await;
        sleeper.signal("CONT");
        eventually("the sleeper knows that it does not lead", async || {
            (sleeper.count(LEADER).await == 0).then_some(())
        })
        .await;
        self.standby = Some(sleeper);
    }

    async fn next_leads(&mut self) {
        let Some(standby) = self.standby.take() else {
            self.leader = self.start().await;
            return self.led().await;
        };
        self.leader = standby;
        // The next one could lead as well.
        self.led().await;
        self.standby = Some(self.start().await);
    }

    /// Waits until the leader leads, or did before it aborted.
    async fn led(&self) {
        eventually("a replica leads", async || {
            let answer = self.leader.http("/metrics").await;
            let leads = |(_, body): (_, String)| body.contains(&format!("\n{LEADER} 1"));
            answer.is_none_or(leads).then_some(())
        })
        .await;
    }
}

fn builder(stage: &Stage, fate: Fate, moment: &str, number: usize) -> RerollBuilder {
    let builder = slowly(&stage.arena);
    let builder = match fate {
        Fate::StartsAgain => builder,
        // Only one may have a webhook, and writes would wait for the one that sleeps.
        _ => builder
            .without_webhook()
            .flag("--lease-duration", "3s")
            .flag("--instance", &format!("replica-{number}")),
    };
    if moment.is_empty() {
        builder
    } else {
        builder.surroundings("UNDER_TEST_CRASH", moment)
    }
}

/// One is broken, whatever befalls whoever leads; what waits waits for the same. Then each is restarted once for a good value.
async fn one_is_broken(name: &str, fate: Fate) {
    let stage = Stage::of(name, USERS).await;
    let moments: &'static [&'static str] = match fate {
        // Before the first restart is sent, before its answer is read, when it is made; and in the middle of the fan-out.
        Fate::StartsAgain | Fate::IsReplaced => &[
            "before-patch:1",
            "answer-unread:1",
            "",
            "",
            "",
            "answer-unread:3",
        ],
        Fate::Sleeps => &[],
    };
    let mut lives = Lives::begin(&stage, fate, moments).await;
    stage.adopted().await;
    stage.change(BAD).await;
    if fate == Fate::Sleeps {
        stage.are_restarted(1).await;
        lives.next().await;
    } else {
        lives.aborts().await;
        lives.aborts().await;
    }
    held(&lives.leader, USERS - 1).await;
    let stuck = stage.all_stuck().await;
    assert_eq!(stage.restarted(), stuck);
    lives.next().await;
    held(&lives.leader, USERS - 1).await;
    let shown = stage.shows(USERS - 1).await;
    lives.next().await;
    held(&lives.leader, USERS - 1).await;
    stage.recorder.settle(&stage.arena).await;
    assert_eq!(stage.restarted(), stuck);
    assert_eq!(stage.restarted_often(2), [""; 0]);
    assert_eq!(stage.broken().await, stuck);
    assert_eq!(stage.shown().await, shown, "they wait for the same");

    // The sentinel's restarts count for where it aborts.
    lives.next().await;
    stage.change("good again").await;
    if fate == Fate::Sleeps {
        stage.are_restarted(3).await;
        lives.next().await;
    } else {
        lives.aborts().await;
    }
    stage.are_restarted(USERS).await;
    stage
        .each_was_restarted(|name| 1 + usize::from(stuck.contains(&name)))
        .await;
    eventually("all pods are good", async || {
        stage.broken().await.is_empty().then_some(())
    })
    .await;
    assert_eq!(stage.shown().await.len(), 0);
    assert_eq!(stage.all_stuck().await, stuck);
}

#[tokio::test]
async fn killed_at_each_moment_it_breaks_one_and_holds_the_same() {
    one_is_broken("slow-kills", Fate::StartsAgain).await;
}

#[tokio::test]
async fn another_replica_breaks_no_second_one_and_holds_the_same() {
    one_is_broken("slow-replaced", Fate::IsReplaced).await;
}

#[tokio::test]
async fn a_leader_that_sleeps_and_wakes_breaks_no_second_one() {
    one_is_broken("slow-sleeps", Fate::Sleeps).await;
}
