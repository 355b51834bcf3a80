//! The budget of those that roll at the same time, and one more gate.

use reroll_harness::{Reroll, deployment, eventually};

use super::{Gate, Gated, Held, waits};

/// Rolls for as long as it is there.
const BLOCKER: &str = "blocker";

async fn rolls(reroll: &Reroll, number: u64) {
    eventually(&format!("{number} roll"), async || {
        let rolling = "reroll_workloads_pending{reason=\"rolling\"}";
        (reroll.count(rolling).await == number).then_some(())
    })
    .await;
}

impl Gated {
    /// Returns how many wait for what of their own: those with `first` alone, or all.
    fn of_their_own(
        &self,
        which: impl Fn(&Held) -> bool,
    ) -> std::collections::BTreeMap<&'static str, u64> {
        let mut expected = std::collections::BTreeMap::new();
        for held in self.held.iter().filter(|held| which(held)) {
            *expected.entry(held.own.reason()).or_default() += 1;
        }
        for _ in self.with(Gate::Wave) {
            *expected.entry("window").or_default() += 1;
        }
        expected
    }
}

/// What comes before the budget in the order is told first. Who is apart from its last restart is not asked for that before there
/// is a place for it.
#[tokio::test]
async fn the_budget_and_one_more() {
    let own = [
        Gate::Suspend,
        Gate::Window,
        Gate::Wave,
        Gate::SlowStart,
        Gate::Distance,
    ];
    let mut gated = Gated::set("pairs-budget", None, &own).await;
    gated.stage.arena.secret(BLOCKER, &[("k", "good")]).await;
    gated
        .stage
        .beside(&deployment(BLOCKER, BLOCKER, "k"), 1)
        .await;
    let last = |held: &Held| held.own_first;
    let first = |held: &Held| !held.own_first;
    let apart = |held: &Held| held.own == Gate::Distance;
    let reroll = gated.start(Some(1)).await;
    gated.others_fail().await;
    for held in gated
        .held
        .iter()
        .filter(|held| !apart(held) && held.own != Gate::SlowStart)
    {
        gated.change(held).await;
    }
    waits(&reroll, &gated.of_their_own(|held| !apart(held))).await;
    let never = [("k", "never ready")];
    gated.stage.arena.update_secret(BLOCKER, &never).await;
    gated.stage.recorder.reaches("Deployment", BLOCKER, 1).await;
    rolls(&reroll, 1).await;
    for held in gated.held.iter().filter(|held| apart(held)) {
        gated.change(held).await;
    }
    gated.is_seen().await;
    waits(&reroll, &gated.of_their_own(|held| !apart(held))).await;
    gated.have_restarted(|_| true, 0);
    // Their own are opened, and there is no place.
    for held in gated.held.iter().filter(|held| last(held)) {
        gated.open(held.own, held).await;
    }
    waits(
        &reroll,
        &gated.of_their_own(|held| first(held) && !apart(held)),
    )
    .await;
    gated.is_seen().await;
    gated.have_restarted(|_| true, 0);
    // There are places, and the others are still held by their own.
    gated.stage.arena.delete("Deployment", BLOCKER).await;
    gated.restart(last).await;
    waits(&reroll, &gated.of_their_own(first)).await;
    rolls(&reroll, 0).await;
    gated.is_seen().await;
    gated.opens_the_last(first).await;
}
