//! What reroll met when it made a restart: only its Events tell that, where no annotation can.
//!
//! They are asked for of one workload, and only where its restart is due and nothing that could be read holds it.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;
use kube::{Api, api::ListParams};

use crate::{
    cli::{error::Error, event::last_seen, session::Session},
    cluster::Failure,
    model::{WorkloadKey, held::Held, note::Note},
};

/// Why a restart that is due was not made, as an Event tells it.
pub(super) struct Met {
    /// The reason, where the Event is told for one reason only.
    pub(super) held: Option<Held>,
    /// The Event's own words.
    pub(super) words: String,
}

/// The reasons of Events that tell why a restart is not made although nothing else holds it.
fn reasons() -> impl Iterator<Item = (&'static str, Option<Held>)> {
    let causes = &[];
    let refused = (Note::Refused { causes }.reason(), Some(Held::Refused));
    let no_room = (Note::NoRoom.reason(), Some(Held::NoRoom));
    [refused, no_room, ("RestartFailed", None)].into_iter()
}

/// Reads the newest of them that is not older than the last restart. Returns a note where Events may not be read.
pub(super) async fn read(
    session: &Session,
    key: &WorkloadKey,
    last_restart: Option<Timestamp>,
) -> Result<(Option<Met>, Option<String>), Error> {
    let namespace = &key.namespace;
    let api: Api<Event> = Api::namespaced(session.cluster.client(), namespace);
    let about = format!(
        "involvedObject.kind={},involvedObject.name={}",
        key.kind.kind, key.name
    );
    let mut newest: Option<(Timestamp, Met)> = None;
    let see = |event: Event| {
        let met = read_one(event, last_restart);
        if let Some((at, met)) = met
            && newest.as_ref().is_none_or(|(before, _)| *before <= at)
        {
            newest = Some((at, met));
        }
    };
    let listed = session
        .cluster
        .each(&api, ListParams::default().fields(&about), see)
        .await;
    match listed {
        Ok(()) => Ok((newest.map(|(_, met)| met), None)),
        Err(Failure::Forbidden) => Ok((
            None,
            Some(format!("no right to list events in {namespace}")),
        )),
        Err(why) => Err(session.failed(format!("list events in {namespace}"), why)),
    }
}

fn read_one(event: Event, last_restart: Option<Timestamp>) -> Option<(Timestamp, Met)> {
    let (_, held) = reasons().find(|(reason, _)| event.reason.as_deref() == Some(reason))?;
    let at = last_seen(&event)?;
    // Their times are in whole seconds.
    let is_news = last_restart.is_none_or(|last| last.as_second() <= at.as_second());
    let words = event.message.filter(|_| is_news)?;
    Some((at, Met { held, words }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(reason: &str, at: &str) -> Event {
        serde_json::from_value(json!({
            "metadata": { "name": "web.1", "namespace": "shop" }, "involvedObject": {},
            "reason": reason, "message": "words", "lastTimestamp": at,
        }))
        .unwrap()
    }

    #[test]
    fn the_events_of_what_was_met_since_the_last_restart_count() {
        let last: Timestamp = "2026-01-01T10:00:00.750Z".parse().unwrap();
        let (before, same, after) = (
            "2026-01-01T09:59:59Z",
            "2026-01-01T10:00:00Z",
            "2026-01-01T10:00:07Z",
        );
        for (reason, at, right) in [
            ("RestartRefused", after, Some(Some(Held::Refused))),
            ("RestartRefused", same, Some(Some(Held::Refused))),
            ("RestartRefused", before, None),
            ("NoRoom", after, Some(Some(Held::NoRoom))),
            ("RestartFailed", after, Some(None)),
            ("Restarted", after, None),
            ("ScalingReplicaSet", after, None),
        ] {
            let met = read_one(event(reason, at), Some(last));
            let held = met.map(|(_, met)| met.held);
            assert_eq!(held, right, "{reason} at {at}");
        }
        assert!(read_one(event("NoRoom", before), None).is_some());
    }
}
