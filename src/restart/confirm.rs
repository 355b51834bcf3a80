//! Asks the API server where a decision needs something that the watches have not shown yet.

use super::{
    catch_up::{CatchUp, CaughtUp},
    pods::{ages, have_started, look_for_formers},
};
use crate::{
    judge::live::Live,
    model::{Decision, WorkloadKey, decide::Doubt, index::Judged},
};

/// Why an intent cannot be decided now.
pub(super) enum Unconfirmed {
    /// The API server refused, or did not answer in time.
    NoAnswer,
    /// A read showed a change that no watch has shown yet. That change has an intent and a quiet period of its own.
    News,
}

/// Judges a workload again whose intent was taken. Reads from the API server where the watches are behind, or may be.
pub(super) async fn confirm(
    live: &Live,
    catch_up: &CatchUp,
    key: &WorkloadKey,
) -> Result<Judged, Unconfirmed> {
    look_for_formers(live, key).await;
    let judged = settled(live, key).await?;
    let restarts = matches!(judged.decision, Some(Decision::Restart(_))) && !judged.is_held_back();
    if !restarts {
        return Ok(judged);
    }
    match catch_up.read(live, key).await {
        CaughtUp::NothingNew => Ok(judged),
        CaughtUp::Read => settled(live, key).await,
        CaughtUp::News => Err(Unconfirmed::News),
        CaughtUp::NoAnswer => Err(Unconfirmed::NoAnswer),
    }
}

/// Judges until nothing is in doubt any more that the API server can tell.
async fn settled(live: &Live, key: &WorkloadKey) -> Result<Judged, Unconfirmed> {
    let judge = &live.judge;
    let mut judged = judge.judge_taken(key);
    for _ in 0..3 {
        let Some(decision) = &judged.decision else {
            return Ok(judged);
        };
        match decision.doubt() {
            Some((Doubt::Behind, sources)) => {
                let asked = judge.tick();
                let reads = live.sources(key, sources, asked).await;
                let reads = reads.map_err(|_| Unconfirmed::NoAnswer)?;
                if judge.docket().intents.waits(key) {
                    return Err(Unconfirmed::News);
                }
                judged = judge.judge_read(key, asked, &reads);
            }
            Some((Doubt::AskPods, sources)) => {
                let started = have_started(live, key, sources).await;
                let started = started.map_err(|_| Unconfirmed::NoAnswer)?;
                judge.state.index_mut().set_started(key, started);
                judged = judge.judge_taken(key);
            }
            Some((Doubt::AskAges, sources)) => {
                let asked = judge.tick();
                let ages = ages(live, key, sources).await;
                let ages = ages.map_err(|_| Unconfirmed::NoAnswer)?;
                judge.state.index_mut().set_ages(key, ages, asked);
                judged = judge.judge_taken(key);
            }
            _ => return Ok(judged),
        }
    }
    match judged.decision.as_ref().and_then(Decision::doubt) {
        // Each read brought something newer, and still not all that is needed.
        Some((Doubt::Behind | Doubt::AskAges, _)) => Err(Unconfirmed::NoAnswer),
        _ => Ok(judged),
    }
}
