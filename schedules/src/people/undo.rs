//! `kubectl rollout undo`.

use std::sync::Arc;

use reroll_simulation::{api_server::ApiServer, controllers::undo};
use serde_json::Value;

/// Returns the patch that kubectl sends, if there is an older revision.
pub(crate) fn patch(server: &ApiServer, live: &Value) -> Option<Value> {
    if live["kind"] == "Deployment" {
        let sets = server.objects("replicasets.apps");
        return undo::deployment(live, sets.iter().map(Arc::as_ref), None);
    }
    let revisions = server.objects("controllerrevisions.apps");
    undo::by_history(live, revisions.iter().map(Arc::as_ref), None)
}
