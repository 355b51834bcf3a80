//! Restarts of a `DaemonSet` that adopted pods whose number the restart would bring
//! (`model::adopted::number`).
//!
//! Its controller would take them for pods of the new template, and keep them for ever. So the template changes once more
//! before. That change alone is no restart: `observed` does not move, and its mark is nothing's. Until the restart comes,
//! right after, the pods with that number stay, and the others begin to go as they have to.
//!
//! The webhook lets a `DaemonSet` that is created begin above all such numbers, so this is for one that it did not see.

use super::{Restarter, order::Order};
use crate::{
    cluster::{
        Failure,
        adoptable::{NotFound, have_number},
    },
    judge::intents::{Finish, Intent},
    model::{adopted::Adopter, decide::Restart, patch},
};

/// The most changes before a restart. Pods have this many numbers in a row only if that many rollouts hung.
const MOST: usize = 10;

impl Restarter {
    /// Prepares a restart.
    ///
    /// # Errors
    /// When it is void or held by now.
    pub(super) fn ordered<'a>(
        &self,
        intent: &'a Intent,
        restart: &'a Restart,
    ) -> Result<Order<'a>, Finish> {
        Order::prepare(&self.live, intent, restart).map_err(|held| match held {
            None => Finish::Over,
            Some(held) => self.hold(&intent.workload, held),
        })
    }

    /// Changes the template until no pod carries the number that the restart brings. Returns the order of the restart as of
    /// then, where it did.
    ///
    /// # Errors
    /// When a call fails, or the restart is void or held by now.
    pub(super) async fn past_numbers<'a>(
        &self,
        order: &Order<'a>,
        restart: &'a Restart,
    ) -> Result<Option<Order<'a>>, Finish> {
        let key = &order.intent.workload;
        let mut later = None;
        if !key.kind.numbers_templates {
            return Ok(later);
        }
        for time in 0..MOST {
            let order = later.as_ref().unwrap_or(order);
            match self.passed(order, time).await {
                Ok(true) => {}
                Ok(false) => break,
                Err(failure) => return Err(self.not_restarted(order, &failure).await),
            }
            later = Some(self.ordered(order.intent, restart)?);
        }
        Ok(later)
    }

    /// Changes the template, where a pod carries the number that the restart brings. Returns whether it did.
    async fn passed(&self, order: &Order<'_>, time: usize) -> Result<bool, Failure> {
        let key = &order.intent.workload;
        let object = self.live.as_known(key, &order.known).await?;
        let adopter = Adopter::read(key.kind, &key.namespace, &object);
        let Some((adopter, number)) = adopter.and_then(|one| one.number().map(|n| (one, n))) else {
            return Ok(false);
        };
        match have_number(&self.live.cluster, &adopter, number.saturating_add(1)).await {
            Ok(true) => {}
            // Without the right to list pods nothing better is possible.
            Ok(false)
            | Err(
                NotFound::TooMany | NotFound::Failed(Failure::Forbidden | Failure::Unauthorized),
            ) => {
                return Ok(false);
            }
            Err(NotFound::Failed(failure)) => return Err(failure),
        }
        let mark = format!("{}.{time}", order.mark);
        let now = self.live.judge.state.time();
        let patch = patch::pass_number(key.kind, &order.known, number, &mark, now);
        self.live.write(key, &patch).await?;
        tracing::info!(workload = %key, number, "changed the template once more: it adopted pods that carry its next number");
        Ok(true)
    }
}
