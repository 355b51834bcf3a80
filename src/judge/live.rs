//! Asks the API server, and tells the judge what it answered.
//!
//! What a watch has not shown yet, a guarded write, and what stands there where one was refused: whoever asks about a
//! workload or a source asks here, so that nothing that becomes known is lost.

use std::sync::Arc;

use kube::core::DynamicObject;

use super::Judge;
use crate::{
    cluster::{Cluster, Failure, Write, sources},
    model::{
        SourceKey, SourceName, Version, WorkloadKey,
        annotation::OBSERVED,
        index::{By, Tick},
        patch::Patch,
        version::key_of,
        workload::Workload,
    },
};

/// The API server's own word. Cheap to clone.
#[derive(Clone)]
pub struct Live {
    /// Who is told.
    pub judge: Arc<Judge>,
    /// Who is asked.
    pub cluster: Cluster,
}

/// What a source turned out to be; `None`: it does not exist.
pub type Read = (SourceName, Option<Version>);

impl Live {
    /// Reads a source as it is right now, and tells.
    ///
    /// # Errors
    /// When the API server refuses, or does not answer in time.
    pub async fn source(&self, key: &SourceKey) -> Result<(), Failure> {
        let asked = By::Answer(self.judge.tick());
        let version = self.read(key).await?;
        self.tell_source(key, version.as_ref(), asked);
        Ok(())
    }

    /// Reads sources that a workload needs, and tells when all are read.
    ///
    /// # Errors
    /// When one of them cannot be read; that is logged.
    pub async fn sources(
        &self,
        key: &WorkloadKey,
        names: &[SourceName],
        asked: Tick,
    ) -> Result<Vec<Read>, Failure> {
        let mut reads = Vec::with_capacity(names.len());
        for name in names {
            let source = key_of(&key.namespace, name);
            let version = self.read(&source).await.inspect_err(|failure| {
                tracing::warn!(%source, workload = %key, %failure, "cannot read a source to decide about a workload, trying again");
            })?;
            reads.push((name.clone(), version));
        }
        for (name, version) in &reads {
            let source = key_of(&key.namespace, name);
            self.tell_source(&source, version.as_ref(), By::Answer(asked));
        }
        Ok(reads)
    }

    async fn read(&self, key: &SourceKey) -> Result<Option<Version>, Failure> {
        let setup = &self.judge.state.setup;
        sources::read(&self.cluster, &setup.key, &setup.conventions, key).await
    }

    fn tell_source(&self, key: &SourceKey, version: Option<&Version>, by: By) {
        match version {
            Some(version) => self.judge.source_applied(key, version.clone(), by),
            None => self.judge.source_missed(key, by),
        }
    }

    /// Reads a workload, and tells. Where that fails, the next try meets the same, and says it.
    pub async fn workload(&self, key: &WorkloadKey) {
        let asked = self.judge.tick();
        match self.cluster.workload(key).await {
            Ok(Some(object)) => self.tell_workload(key, object, asked),
            Ok(None) => self.judge.workload_missed(key, asked),
            Err(_) => {}
        }
    }

    /// Reads a workload, and returns it where it is still what was decided about.
    ///
    /// # Errors
    /// When it is not, which is told; the next try decides from what it is.
    pub async fn as_known(
        &self,
        key: &WorkloadKey,
        known: &Workload,
    ) -> Result<DynamicObject, Failure> {
        let asked = self.judge.tick();
        let Some(object) = self.cluster.workload(key).await? else {
            self.judge.workload_missed(key, asked);
            return Err(Failure::Gone);
        };
        let annotations = object.metadata.annotations.as_ref();
        let same = object.metadata.uid.as_deref() == Some(&known.uid)
            && object.metadata.deletion_timestamp.is_none()
            && annotations.and_then(|all| all.get(OBSERVED)) == known.observed.as_ref();
        if same {
            Ok(object)
        } else {
            Err(self.changed(key, object, asked))
        }
    }

    /// It is not what was decided about: tells what it is.
    pub fn changed(&self, key: &WorkloadKey, object: DynamicObject, asked: Tick) -> Failure {
        self.tell_workload(key, object, asked);
        Failure::Conflict
    }

    /// Makes a guarded write of a workload and tells what the API server answers. Where it is refused, reads what is there
    /// now.
    ///
    /// # Errors
    /// When the API server refuses, or does not answer in time; it may have made the write then.
    pub async fn write(&self, key: &WorkloadKey, patch: &Patch) -> Result<(), Failure> {
        let asked = self.judge.tick();
        let answer = self.cluster.patch_workload(key, patch, Write::Real).await;
        self.take_answer(key, answer, asked).await
    }

    /// Tells what the API server answered to a write that was sent at that moment.
    ///
    /// # Errors
    /// The answer's own.
    pub async fn take_answer(
        &self,
        key: &WorkloadKey,
        answer: Result<DynamicObject, Failure>,
        asked: Tick,
    ) -> Result<(), Failure> {
        match answer {
            Ok(object) => {
                self.tell_workload(key, object, asked);
                Ok(())
            }
            Err(failure) => {
                if failure == Failure::Conflict {
                    self.workload(key).await;
                }
                Err(failure)
            }
        }
    }

    fn tell_workload(&self, key: &WorkloadKey, mut object: DynamicObject, asked: Tick) {
        let vocabulary = &self.judge.state.setup.conventions.vocabulary;
        vocabulary.translate_workload(key.kind, &mut object);
        let workload = Workload::read(key.kind, &object);
        self.judge.take_in(key, workload, By::Answer(asked));
    }
}
