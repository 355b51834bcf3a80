//! What Events still tell of restarts: that one failed, and when the last old pod of a Deployment's revision was to go.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;
use kube::ResourceExt as _;

use crate::{
    cli::{error::Error, event::last_seen, session::Session, sight::Sight},
    model::{WorkloadKey, brake::failed::FAILED},
};

/// The Event of reroll's of a restart that failed.
const STUCK: &str = "RestartStuck";
/// That of the Deployment controller (`pkg/controller/deployment/sync.go`): `Scaled down replica set web-1 from 2 to 0`.
const SCALED: &str = "ScalingReplicaSet";

/// Events, by the kind, namespace and name of what they are about.
#[derive(Default)]
pub(super) struct Told(BTreeMap<(String, String, String), Vec<Event>>);

/// Reads the Events of a namespace, or of all.
pub(super) async fn read(
    sight: &mut Sight,
    session: &Session,
    within: Option<&str>,
) -> Result<Told, Error> {
    let mut told = Told::default();
    let see = |event: Event| {
        let reason = event.reason.as_deref();
        if matches!(reason, Some(STUCK | SCALED)) {
            told.take(event);
        }
    };
    let note = session.each(within, see).await?;
    sight.note(note.into_iter().collect());
    Ok(told)
}

impl Told {
    fn take(&mut self, event: Event) {
        let about = &event.involved_object;
        let kind = about.kind.clone().unwrap_or_default();
        let name = about.name.clone().unwrap_or_default();
        let namespace = event.namespace().unwrap_or_default();
        let all = self.0.entry((kind, namespace, name)).or_default();
        all.push(event);
    }

    /// Returns the Events of a workload with this reason, of this time: from a restart to the next.
    fn of(
        &self,
        key: &WorkloadKey,
        reason: &str,
        (from, to): (Timestamp, Option<Timestamp>),
    ) -> impl Iterator<Item = (Timestamp, &str)> {
        let key = (
            key.kind.kind.to_owned(),
            key.namespace.clone(),
            key.name.clone(),
        );
        let events = self.0.get(&key).into_iter().flatten();
        let of = events.filter(move |event| event.reason.as_deref() == Some(reason));
        of.filter_map(|event| Some((last_seen(event)?, event.message.as_deref()?)))
            // Their times are in whole seconds.
            .filter(move |(at, _)| at.as_second() >= from.as_second())
            .filter(move |(at, _)| to.is_none_or(|to| *at < to))
    }

    /// Returns why a restart failed that was made at this time, and followed by another at `next`.
    pub(super) fn failed(
        &self,
        key: &WorkloadKey,
        made: Timestamp,
        next: Option<Timestamp>,
    ) -> Option<String> {
        let (_, said) = self.of(key, STUCK, (made, next)).last()?;
        Some(said.strip_prefix(FAILED).unwrap_or(said).to_owned())
    }

    /// Returns when the ReplicaSet before a restart was told to have no pods.
    pub(super) fn scaled_to_none(
        &self,
        key: &WorkloadKey,
        before: &str,
        made: Timestamp,
        next: Option<Timestamp>,
    ) -> Option<Timestamp> {
        let beginning = format!("Scaled down replica set {before} ");
        // Releases before 1.27 say `to 0 from 2`.
        let is_it = |said: &str| {
            let rest = said.strip_prefix(&beginning);
            rest.is_some_and(|rest| rest.ends_with(" to 0") || rest.starts_with("to 0 "))
        };
        let mut scaled = self.of(key, SCALED, (made, next));
        scaled.find(|(_, said)| is_it(said)).map(|(at, _)| at)
    }
}
