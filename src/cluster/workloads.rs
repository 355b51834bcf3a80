//! Reads and patches workloads of any kind.

use kube::{
    Api,
    api::ListParams,
    core::{ApiResource, DynamicObject, GroupVersionKind},
};

use super::{Cluster, DiscoveredKind, Failure, Write};
use crate::model::{Kind, WorkloadKey, patch, workload::JOB};

impl Cluster {
    /// Reads a workload as etcd has it; `None` where it does not exist.
    ///
    /// # Errors
    /// When the API server refuses, or does not answer in time.
    pub async fn workload(&self, key: &WorkloadKey) -> Result<Option<DynamicObject>, Failure> {
        self.get(&self.workloads(key), &key.name).await
    }

    /// Shows the workloads of a kind one by one, of one namespace or of all.
    ///
    /// # Errors
    /// When the API server refuses, or does not answer in time; [`Failure::Gone`] where it does not serve the kind.
    pub async fn each_workload(
        &self,
        kind: Kind,
        within: Option<&str>,
        see: impl FnMut(DynamicObject),
    ) -> Result<(), Failure> {
        let resource = self.served().named(DiscoveredKind::Workload(kind));
        let api = match within {
            Some(namespace) => Api::namespaced_with(self.client(), namespace, &resource),
            None => Api::all_with(self.client(), &resource),
        };
        self.each(&api, ListParams::default(), see).await
    }

    /// Patches a workload, or only tries to. Returns the workload as it is, or would be, after the patch.
    ///
    /// # Errors
    /// When the API server refuses, or does not answer in time; then it may have made the write.
    pub async fn patch_workload(
        &self,
        key: &WorkloadKey,
        patch: &patch::Patch,
        write: Write,
    ) -> Result<DynamicObject, Failure> {
        self.patch(&self.workloads(key), &key.name, patch, write)
            .await
    }

    /// Returns the API of a namespace's Jobs.
    pub fn jobs(&self, namespace: &str) -> Api<DynamicObject> {
        let gvk = GroupVersionKind::gvk(JOB.group, JOB.version, JOB.kind);
        let row = ApiResource::from_gvk_with_plural(&gvk, JOB.plural);
        Api::namespaced_with(self.client(), namespace, &row)
    }

    /// Returns the API of the workloads of a kind, in the namespace of this one.
    pub fn workloads(&self, key: &WorkloadKey) -> Api<DynamicObject> {
        let resource = self.served().named(DiscoveredKind::Workload(key.kind));
        Api::namespaced_with(self.client(), &key.namespace, &resource)
    }
}
