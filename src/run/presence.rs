//! Looks whether the webhook configurations are there, and puts those back that this process has registered itself.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{Parts, doors::Connection};
use crate::{
    cluster::Failure,
    webhook::{
        presence::{LOOK_EVERY, Presence},
        settings::WebhookSettings,
    },
};

/// Returns what looks for the configurations, where their name is known; a metric shows what it finds.
pub(super) fn of(
    settings: &WebhookSettings,
    parts: &Parts,
    connection: &Connection,
) -> Option<Presence> {
    if connection.is_in_process() {
        return None;
    }
    let local = settings.local().map(|local| local.name.as_str());
    let name = local.or(settings.configurations.as_deref())?;
    let presence = Presence::new(parts.cluster.clone(), name);
    let shown = presence.clone();
    parts.metrics.view_configurations(move || shown.last());
    Some(presence)
}

impl Parts {
    /// Looks for the webhook configurations until `stop`.
    pub(super) async fn follow_configurations(self: Arc<Self>, stop: CancellationToken) {
        let Some(presence) = self.presence.clone() else {
            return stop.cancelled().await;
        };
        let mut refused = false;
        // What this process registers is not there at first.
        let mut pause = self
            .registration
            .as_ref()
            .map_or(Duration::ZERO, |_| LOOK_EVERY);
        while stop.run_until_cancelled(sleep(pause)).await.is_some() {
            pause = LOOK_EVERY;
            let name = presence.name();
            match presence.look().await {
                Ok((false, _)) if self.registration.is_some() => {
                    tracing::warn!(
                        name,
                        "the webhook configurations were deleted: registering them again"
                    );
                    if let Err(error) = self.register(&stop).await {
                        tracing::warn!(%error, "could not register the webhooks again, trying again");
                    }
                }
                Ok((false, true)) => tracing::warn!(
                    name,
                    "the webhook configurations are gone: no API server calls reroll. Where that was the kill switch, it is on; to end it, \
                     upgrade or apply what installed reroll"
                ),
                Ok((true, true)) => tracing::debug!(name, "the webhook configurations are there"),
                Err(failure @ (Failure::Forbidden | Failure::Unauthorized)) if !refused => {
                    refused = true;
                    tracing::info!(%failure, name, "reroll may not read the webhook configurations, and cannot tell when they are deleted");
                }
                Ok(_) | Err(_) => {}
            }
        }
    }
}
