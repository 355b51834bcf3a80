//! Asks the API server where a decision needs what the watches have not shown yet.

use super::{Controller, Judged};
use crate::{
    model::{
        Decision, SourceKey, SourceName, Version, WorkloadKey,
        decide::Doubt,
        index::{By, Overlay, Tick},
        version::key_of,
    },
    sources::{self, ReadError},
};

/// Why nothing can be said about an intent now.
pub(super) enum Unconfirmed {
    /// The API server said nothing.
    NoAnswer,
    /// What was read is a change that no watch has shown yet. It has an intent, and a quiet period, of its own.
    News,
}

impl Controller {
    /// Judges again, with the API server's own word where the watches are behind.
    pub(super) async fn confirm(&self, key: &WorkloadKey) -> Result<Judged, Unconfirmed> {
        self.look_for_formers(key).await;
        let mut judged = self.state.index_mut().judge(key, &Overlay::new());
        for _ in 0..3 {
            let Some(decision) = &judged.decision else {
                return Ok(judged);
            };
            match decision.doubt() {
                Some((Doubt::Behind, sources)) => {
                    let asked = self.tick();
                    let reads = self.read_sources(key, sources, asked).await;
                    let reads = reads.map_err(|()| Unconfirmed::NoAnswer)?;
                    if self.intents().waits(key) {
                        return Err(Unconfirmed::News);
                    }
                    judged = self.state.index_mut().judge_read(key, asked, &reads);
                }
                Some((Doubt::AskPods, sources)) => {
                    let started = self.has_started(key, sources).await;
                    let started = started.map_err(|()| Unconfirmed::NoAnswer)?;
                    let mut index = self.state.index_mut();
                    index.set_started(key, started);
                    judged = index.judge(key, &Overlay::new());
                }
                Some((Doubt::AskAges, sources)) => {
                    let ages = self.ages(key, sources).await;
                    let ages = ages.map_err(|()| Unconfirmed::NoAnswer)?;
                    let mut index = self.state.index_mut();
                    index.set_ages(key, ages);
                    judged = index.judge(key, &Overlay::new());
                }
                _ => return Ok(judged),
            }
        }
        match judged.decision.as_ref().and_then(Decision::doubt) {
            // Something newer came each time, and it was not all that is needed.
            Some((Doubt::Behind, _)) => Err(Unconfirmed::NoAnswer),
            _ => Ok(judged),
        }
    }

    /// A source as the API server has it right now.
    pub(super) async fn read_source(&self, key: &SourceKey) -> Result<Option<Version>, ReadError> {
        sources::read(
            &self.client,
            &self.digest_key,
            &self.conventions,
            key,
            self.request_timeout,
        )
        .await
    }

    pub(super) async fn read_sources(
        &self,
        key: &WorkloadKey,
        names: &[SourceName],
        asked: Tick,
    ) -> Result<Vec<(SourceName, Option<Version>)>, ()> {
        let mut reads = Vec::with_capacity(names.len());
        for name in names {
            let source = key_of(&key.namespace, name);
            match self.read_source(&source).await {
                Ok(version) => reads.push((name.clone(), version)),
                Err(error) => {
                    tracing::warn!(%source, workload = %key, %error, "cannot read a source to decide about a workload, trying again");
                    return Err(());
                }
            }
        }
        for (name, version) in &reads {
            let source = key_of(&key.namespace, name);
            if let Some(version) = version {
                self.source_applied(&source, version.clone(), By::Answer(asked));
            } else {
                self.source_missed(&source, By::Answer(asked));
            }
        }
        Ok(reads)
    }
}
