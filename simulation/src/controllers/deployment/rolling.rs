//! The steps of a rolling update.

use serde_json::Value;

use super::{
    super::objects::{number, oldest_first, replicas},
    Rollout,
    numbers::{Limits, asked, grown, summed},
    sets::Sets,
};
use crate::api_server::answer::Refusal;

impl Rollout<'_> {
    /// Scales the new set up as far as there may be more pods, or down to what is wanted. Returns whether it did.
    pub(super) async fn grow(&self, sets: &mut Sets) -> Result<bool, Refusal> {
        let all = asked(sets.all());
        let wanted = replicas(&self.deployment);
        let Some(new) = &mut sets.new else {
            return Ok(false);
        };
        let own = replicas(new);
        if own == wanted {
            return Ok(false);
        }
        let scale = if own > wanted {
            wanted
        } else {
            grown(&self.deployment, all, own)
        };
        self.scale(new, scale, false).await
    }

    /// Scales the old sets down as far as enough pods stay available; those that are not available first. Returns
    /// whether it did. As in a real one, what fails is left to the next time.
    pub(super) async fn shrink(&self, sets: &mut Sets) -> Result<bool, Refusal> {
        if asked(&sets.old) == 0 {
            return Ok(false);
        }
        let enough = replicas(&self.deployment) - Limits::of(&self.deployment).unavailable;
        let new_missing = sets.new.as_ref().map_or(0, |new| {
            replicas(new) - number(new, "/status/availableReplicas")
        });
        let most = asked(sets.all()) - enough - new_missing;
        if most <= 0 {
            return Ok(false);
        }
        oldest_first(&mut sets.old);
        let Ok(unhealthy) = self.remove_unavailable(sets, most).await else {
            return Ok(false);
        };
        let Ok(healthy) = self.remove_available(sets, enough).await else {
            return Ok(false);
        };
        Ok(unhealthy + healthy > 0)
    }

    async fn remove_unavailable(&self, sets: &mut Sets, most: i64) -> Result<i64, Refusal> {
        let mut removed = 0;
        for set in &mut sets.old {
            let (own, available) = (replicas(set), number(set, "/status/availableReplicas"));
            if removed >= most {
                break;
            }
            if own == 0 || own == available {
                continue;
            }
            let fewer = (most - removed).min(own - available);
            self.scale(set, own - fewer, false).await?;
            removed += fewer;
        }
        Ok(removed)
    }

    async fn remove_available(&self, sets: &mut Sets, enough: i64) -> Result<i64, Refusal> {
        let available = summed(sets.all(), "/status/availableReplicas");
        let mut removed = 0;
        for set in &mut sets.old {
            if removed >= available - enough {
                break;
            }
            let own: i64 = replicas(set);
            if own == 0 {
                continue;
            }
            let fewer = own.min(available - enough - removed);
            self.scale(set, own - fewer, false).await?;
            removed += fewer;
        }
        Ok(removed)
    }
}

/// Returns the names of sets that a Deployment needs no more, where it keeps only so many.
pub(super) fn superfluous(sets: &Sets, kept: i64) -> Vec<&Value> {
    use super::super::objects::is_deleted;
    let mut all: Vec<&Value> = sets.old.iter().map(|set| &**set).collect();
    all.retain(|set| !is_deleted(set));
    all.sort_by_key(|set| super::sets::revision(set));
    let more = i64::try_from(all.len()).unwrap_or(i64::MAX) - kept;
    all.truncate(usize::try_from(more).unwrap_or(0));
    all.retain(|set| {
        let seen = number(set, "/status/observedGeneration");
        number(set, "/status/replicas") == 0
            && replicas(set) == 0
            && number(set, "/metadata/generation") <= seen
    });
    all
}
