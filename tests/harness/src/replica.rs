//! Several replicas of one reroll.

use crate::{Arena, Reroll, RerollBuilder, eventually};

/// The metric that is 1 while a replica leads.
pub const LEADER: &str = "reroll_leader";

impl Arena {
    /// Returns a replica with a name of its own. Only one in an arena may have a webhook, because they would register
    /// under one name.
    pub async fn replica(&self, builder: RerollBuilder, name: &str) -> Reroll {
        builder.flag("--instance", name).start().await
    }
}

impl Reroll {
    /// Waits until it leads.
    pub async fn leads(&self) {
        eventually("a replica leads", async || {
            (self.metric(LEADER).await > 0.0).then_some(())
        })
        .await;
    }
}
