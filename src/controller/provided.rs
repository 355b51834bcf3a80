//! What the watches of the Secrets Store CSI driver's kinds bring.

use kube::core::ObjectMeta;

use super::Controller;
use crate::model::{
    csi::{Part, PodStatus},
    index::{By, Changes},
};

impl Controller {
    /// The status of this name shows this; `None`: it is gone, or nothing is mounted.
    pub fn pod_status_seen(&self, namespace: &str, name: &str, status: Option<PodStatus>, by: By) {
        let mut index = self.state.index_mut();
        let changes = index.take_pod_status(namespace, name, status, by);
        drop(index);
        self.provided_changed(changes);
    }

    /// The class of this name has this metadata; `None`: it is gone.
    pub fn class_seen(&self, namespace: &str, name: &str, meta: Option<&ObjectMeta>) {
        let changes = self.state.index_mut().apply_class(namespace, name, meta);
        self.provided_changed(changes);
    }

    /// A list of one of the kinds is complete.
    pub fn part_listed(&self, part: Part, within: Option<&str>) {
        let (news, changes) = self.state.index_mut().set_listed(part, within);
        self.provided_changed(changes);
        self.answered(news);
    }

    /// There will be no list for now: nobody waits for it.
    pub fn part_absent(&self, part: Part, within: Option<&str>) {
        let news = self.state.index_mut().set_answered(part, within);
        self.answered(news);
    }

    /// One of the kinds is not served any more. Gives how many objects are forgotten.
    pub(super) fn part_gone(&self, part: Part, within: Option<&str>) -> usize {
        let forgotten = self.state.index_mut().forget_part(part, within);
        self.part_absent(part, within);
        forgotten
    }

    fn answered(&self, news: bool) {
        if news && self.is_listed() {
            self.judge_all();
        }
    }

    fn provided_changed(&self, changes: Changes) {
        for (key, change) in changes {
            self.source_changed(&key, change);
        }
    }
}
