//! Asks the API server, and tells the judge what it answered.
//!
//! reroll asks where a watch has not shown something yet, makes guarded writes, and reads what is there where a write
//! was refused. All of that goes through here, so that every answer reaches the judge.

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

/// Reads and writes workloads and sources, and tells the judge every answer. Cheap to clone.
#[derive(Clone)]
pub struct Live {
    /// The judge, which is told.
    pub judge: Arc<Judge>,
    /// The API server, which is asked.
    pub cluster: Cluster,
}

/// A source and its version as read; `None` if it does not exist.
pub type Read = (SourceName, Option<Version>);

impl Live {
    /// Reads a source as it is right now, and tells the judge.
    ///
    /// # Errors
    /// When the API server refuses, or does not answer in time.
    pub async fn source(&self, key: &SourceKey) -> Result<(), Failure> {
        let asked = By::Answer(self.judge.tick());
        let version = self.read(key).await?;
        self.tell_source(key, version.as_ref(), asked);
        Ok(())
    }

    /// Reads sources that a workload needs, and tells the judge when all are read. `asked` is a tick from before the
    /// first read.
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

    /// Reads a workload, and tells the judge. A failure is dropped: the next try meets it again and tells it.
    pub async fn workload(&self, key: &WorkloadKey) {
        let asked = self.judge.tick();
        match self.cluster.workload(key).await {
            Ok(Some(object)) => self.tell_workload(key, object, asked),
            Ok(None) => self.judge.workload_missed(key, asked),
            Err(_) => {}
        }
    }

    /// Reads a workload, and returns it if it is still the one about which was decided.
    ///
    /// # Errors
    /// When it is another by now; the judge is told, so that the next try decides from what is there. Also when the API
    /// server refuses, or does not answer in time.
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

    /// Tells the judge of a workload that is not the one about which was decided. Returns the failure that says so.
    pub fn changed(&self, key: &WorkloadKey, object: DynamicObject, asked: Tick) -> Failure {
        self.tell_workload(key, object, asked);
        Failure::Conflict
    }

    /// Makes a guarded write of a workload, and tells the judge the answer. After a conflict, reads what is there now.
    ///
    /// # Errors
    /// When the API server refuses, or does not answer in time; then it may have made the write.
    pub async fn write(&self, key: &WorkloadKey, patch: &Patch) -> Result<(), Failure> {
        let asked = self.judge.tick();
        let answer = self.cluster.patch_workload(key, patch, Write::Real).await;
        self.take_answer(key, answer, asked).await
    }

    /// Tells the judge the answer to a write that was sent at this tick. After a conflict, reads what is there now.
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
