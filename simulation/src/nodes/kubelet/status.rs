//! What a kubelet writes into the status of a pod.

use serde_json::{Value, json};

use crate::{
    api_server::answer::Refusal,
    controllers::{
        access::Access,
        objects::{Kind, condition},
    },
};

/// How the containers of a pod are.
pub(super) enum Containers<'a> {
    Wait { reason: &'a str, message: &'a str },
    Run { ready: bool },
    Crashed,
    Over { well: bool },
}

impl Containers<'_> {
    fn phase(&self) -> &'static str {
        match self {
            Self::Wait { .. } => "Pending",
            Self::Run { .. } | Self::Crashed => "Running",
            Self::Over { well: true } => "Succeeded",
            Self::Over { well: false } => "Failed",
        }
    }

    /// `began`: when the containers were started that have ended.
    fn state(&self, began: &str, now: &str) -> Value {
        match self {
            Self::Wait {
                reason,
                message: "",
            } => json!({ "waiting": { "reason": reason } }),
            Self::Wait { reason, message } => {
                json!({ "waiting": { "reason": reason, "message": message } })
            }
            Self::Run { .. } => json!({ "running": { "startedAt": now } }),
            Self::Crashed | Self::Over { well: false } => json!({
                "terminated": { "exitCode": 1, "reason": "Error", "startedAt": began, "finishedAt": now },
            }),
            Self::Over { well: true } => json!({
                "terminated": { "exitCode": 0, "reason": "Completed", "startedAt": began, "finishedAt": now },
            }),
        }
    }
}

/// Writes the status of a pod. The pod may be gone.
pub(super) async fn write(
    access: &Access,
    pod: &Value,
    containers: &Containers<'_>,
    restarts: u32,
) -> Result<(), Refusal> {
    let now = access.now();
    let patch = |live: &Value| Some(json!({ "status": status(live, containers, restarts, &now) }));
    let written = access.patch(Kind::Pod.row(), pod, Some("status"), patch);
    match written.await {
        Err(refusal) if refusal.code == 404 => Ok(()),
        other => other,
    }
}

fn status(live: &Value, containers: &Containers<'_>, restarts: u32, now: &str) -> Value {
    let ready = matches!(containers, Containers::Run { ready: true });
    let is = |ready: bool| if ready { "True" } else { "False" };
    let over = matches!(containers, Containers::Over { .. });
    let conditions = [
        ("Initialized", is(true)),
        ("Ready", is(ready)),
        ("ContainersReady", is(ready)),
        ("PodScheduled", is(true)),
    ]
    .map(|(kind, status)| {
        let before = condition(live, kind).filter(|before| before["status"] == status);
        let since =
            before.map_or_else(|| json!(now), |before| before["lastTransitionTime"].clone());
        json!({ "type": kind, "status": status, "lastTransitionTime": since })
    });
    let started = live["status"].get("startTime").cloned();
    let all = live["spec"]["containers"].as_array();
    let statuses: Vec<_> = all
        .into_iter()
        .flatten()
        .enumerate()
        .map(|(at, container)| {
            let before = &live["status"]["containerStatuses"][at];
            let began = before["state"]["running"]["startedAt"].as_str();
            let mut status = json!({
                "name": container["name"], "image": container["image"], "imageID": "", "ready": ready,
                "started": matches!(containers, Containers::Run { .. }), "restartCount": restarts,
                "state": containers.state(began.unwrap_or(now), now),
            });
            let last = match &before["state"]["terminated"] {
                Value::Null => &before["lastState"],
                _ if !over => &before["state"],
                _ => &before["lastState"],
            };
            if last.is_object() {
                status["lastState"] = last.clone();
            }
            status
        })
        .collect();
    json!({
        "phase": containers.phase(), "conditions": conditions, "containerStatuses": statuses,
        "startTime": started.unwrap_or_else(|| json!(now)),
    })
}
