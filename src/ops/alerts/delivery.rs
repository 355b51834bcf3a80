//! What stands between a message and the webhook that takes it.

use std::time::Duration;

use super::payload::Content;

/// What one try came to. The reasons name no path of a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    /// The webhook took it.
    Taken,
    /// Another try may help, after this time at the earliest.
    Failed(String, Option<Duration>),
    /// Another try cannot help.
    Refused(String),
}

/// A webhook, or a test.
pub(super) trait Webhook {
    /// Tries once.
    async fn post(&self, content: &Content) -> Delivery;
    /// Returns its host, for the log.
    fn host(&self) -> String;
}
