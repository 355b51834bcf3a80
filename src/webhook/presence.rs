//! Whether the two webhook configurations are there: somebody may delete them, and nothing else shows it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration,
};
use kube::Api;

use crate::cluster::{Cluster, Failure};

/// How often they are looked for.
pub const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Looks for the configurations, which have one name. Clones share what was found last.
#[derive(Clone)]
pub struct Presence {
    cluster: Cluster,
    name: String,
    last: Arc<AtomicU8>,
}

const UNKNOWN: u8 = 0;
const GONE: u8 = 1;
const THERE: u8 = 2;

impl Presence {
    /// Nothing is known yet of the configurations with this name.
    pub fn new(cluster: Cluster, name: &str) -> Self {
        Self {
            cluster,
            name: name.to_owned(),
            last: Arc::new(AtomicU8::new(UNKNOWN)),
        }
    }

    /// Returns the name of both.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns whether both were there; `None` where that is not known, because reroll may not read them.
    pub fn last(&self) -> Option<bool> {
        match self.last.load(Ordering::Relaxed) {
            GONE => Some(false),
            THERE => Some(true),
            _ => None,
        }
    }

    /// Looks for them. Returns whether both are there, and whether that is news.
    ///
    /// # Errors
    /// When the API server refuses, or does not answer in time. What was found before stands then, unless it refuses for good.
    pub async fn look(&self) -> Result<(bool, bool), Failure> {
        let found = self.find().await;
        let (now, result) = match found {
            Ok(there) => (if there { THERE } else { GONE }, Ok(there)),
            Err(failure @ (Failure::Forbidden | Failure::Unauthorized)) => (UNKNOWN, Err(failure)),
            Err(failure) => return Err(failure),
        };
        let before = self.last.swap(now, Ordering::Relaxed);
        result.map(|there| (there, before != now))
    }

    async fn find(&self) -> Result<bool, Failure> {
        let client = self.cluster.client();
        let validating = Api::<ValidatingWebhookConfiguration>::all(client.clone());
        let mutating = Api::<MutatingWebhookConfiguration>::all(client);
        Ok(self.cluster.get(&validating, &self.name).await?.is_some()
            && self.cluster.get(&mutating, &self.name).await?.is_some())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cluster::testing::{Script, Turn};

    #[tokio::test(start_paused = true)]
    async fn both_have_to_be_there_and_what_cannot_be_read_is_not_known() {
        let script = Script::default();
        let path = |plural: &str| format!("/apis/admissionregistration.k8s.io/v1/{plural}/reroll");
        let presence = Presence::new(script.cluster(), "reroll");
        assert_eq!(presence.last(), None);
        let object = json!({ "metadata": { "name": "reroll" } });
        script.put(&path("validatingwebhookconfigurations"), object.clone());
        assert_eq!(presence.look().await, Ok((false, true)));
        script.put(&path("mutatingwebhookconfigurations"), object);
        assert_eq!(presence.look().await, Ok((true, true)));
        assert_eq!(presence.look().await, Ok((true, false)));
        // An outage tells nothing.
        script.turn("GET ", Turn::refuse(503, "ServiceUnavailable"));
        assert!(presence.look().await.is_err());
        assert_eq!(presence.last(), Some(true));
        script.turn("GET ", Turn::refuse(403, "Forbidden"));
        assert_eq!(presence.look().await, Err(Failure::Forbidden));
        assert_eq!(presence.last(), None);
    }
}
