//! Takes in what becomes known of workloads, sources and namespaces, and judges the workloads that it concerns.

use std::{sync::Arc, time::Duration};

use kube::core::ObjectMeta;
use tokio::time::Instant;

use super::{Judge, Occasion, braking::namespace_changed, docket::Docket, opting};
use crate::cluster::lease::Notice;
use crate::model::{
    Index, SourceKey, SourceKind, Version, WorkloadKey,
    csi::{Part, PodStatus},
    gate::suspend,
    index::{
        Bared, By, Changes, SourceChange, Tick, Tracked, WorkloadChange, at_once, gates,
        opting as index_opting, unshown,
    },
    note::Note,
    recreation::CALM_SECONDS,
    workload::{RestartMeans, Workload},
};

impl Judge {
    /// Returns the current tick of the index. A read that is sent now carries it, so that what came later wins.
    pub fn tick(&self) -> Tick {
        self.state.index().tick()
    }

    // === workloads ===

    /// Takes in a workload as it is now, and judges it.
    pub fn workload_applied(&self, key: &WorkloadKey, workload: Workload, by: By) {
        self.take_in(key, workload, by);
        self.judge_in_turn(key, Occasion::Look);
    }

    /// Takes in a workload as it is now. Does not judge it: the caller acts on it right now.
    pub fn take_in(&self, key: &WorkloadKey, workload: Workload, by: By) {
        if workload.is_left_alone() {
            return self.forget(key);
        }
        // Pods that others rolled may be what a refused restart is for.
        let gone = workload.pending.is_some() && workload.older_pods().are_gone();
        let (rolled, is_written, is_news) = {
            let index = self.state.index();
            let before = index.workload(key).map(|known| &known.workload);
            let rolled = gone && before.is_some_and(|known| !known.older_pods().are_gone());
            let stated = before.map(|known| known.stated);
            let known = before.is_some_and(|known| known.uid == workload.uid);
            let is_news = !known && opting::is_new(self, key, &workload);
            (rolled, stated != Some(workload.stated), is_news)
        };
        let ahead = self.state.index().ahead(key, &workload);
        let foreseen = ahead.map(|ahead| ahead.work_out(&workload));
        let seen = self
            .state
            .index_mut()
            .take_workload_with(key, workload, by, foreseen);
        if rolled {
            self.docket().intents.hurry(key, Instant::now());
            self.intents_changed.notify_one();
        }
        if seen.older {
            self.history.shown_older();
        }
        if let Some(hands) = &seen.hands {
            self.state.peers(|peers, now| peers.seen(key, hands, now));
        }
        if is_written && self.is_listed() {
            for written in seen.related.iter().chain([key]) {
                let unshown = unshown::of(&self.state.index(), written);
                self.unshown.read_now(unshown, Instant::now());
            }
        }
        self.look_after(key, &seen);
        if seen.opts_in || is_news {
            opting::tell(self, key);
        }
        if seen.lost_opt_in {
            self.teller
                .say_first(key, &Note::OptedOut { by_label: false });
        }
        self.follow_on(&seen.related);
    }

    /// Takes in that something else changed for these workloads what they ask for, or use.
    fn follow_on(&self, workloads: &[WorkloadKey]) {
        for workload in workloads {
            if self.is_listed() && self.is_bare(workload) {
                self.docket().tidying.bared(workload, Bared::Afresh);
            }
            self.judge_in_turn(workload, Occasion::Look);
        }
    }

    /// Takes in that a workload is gone.
    pub fn workload_deleted(&self, key: &WorkloadKey) {
        self.forget(key);
        if key.kind.means == RestartMeans::Recreate {
            self.replaceable_gone.notify_one();
        }
    }

    /// Takes in that a workload did not exist when it was asked for, unless it was seen since `asked`.
    pub fn workload_missed(&self, key: &WorkloadKey, asked: Tick) {
        if !self.state.index().came_meanwhile(key, asked) {
            self.workload_deleted(key);
        }
    }

    fn forget(&self, key: &WorkloadKey) {
        let mut docket = self.docket();
        let related = self.state.index_mut().delete_workload(key);
        if docket.forget(key) {
            self.tidying_changed.notify_one();
        }
        drop(docket);
        self.follow_on(&related);
    }

    /// Whether a workload is opted in and has no `observed`.
    pub fn is_bare(&self, key: &WorkloadKey) -> bool {
        let index = self.state.index();
        index.workload(key).is_some_and(Tracked::is_bare)
    }

    /// Files what is to be written on a workload, by how it looks now.
    fn look_after(&self, key: &WorkloadKey, seen: &WorkloadChange) {
        let mut docket = self.docket();
        let written = seen.adopted.then(|| self.last_written(key));
        let (bare, mut news) = {
            let index = self.state.index();
            let tracked = index.workload(key);
            let now = Instant::now();
            if let Some(tracked) = tracked {
                self.brakes_see(&mut docket, key, tracked);
                let now = self.state.time();
                docket.convergence.shown(key, tracked, now);
            }
            let seen = |tracked: &Tracked| docket.tidying.seen(key, &tracked.workload, now);
            let bare = tracked.is_some_and(Tracked::is_bare);
            (bare, tracked.is_some_and(seen))
        };
        if self.is_listed() {
            if let Some(how) = seen.bared {
                docket.tidying.bared(key, how);
            }
            if let Some(written) = written {
                docket.tidying.bared(key, Bared::Afresh);
                docket.tidying.report(key, written);
                news = true;
            } else if !bare && !self.teller.leads() {
                docket.tidying.told(key);
            }
        }
        if news {
            self.tidying_changed.notify_one();
        }
    }

    /// Takes in for the brakes how a workload is now.
    fn brakes_see(&self, docket: &mut Docket, key: &WorkloadKey, tracked: &Tracked) {
        let now = self.state.time();
        if docket.brakes.shown(key, tracked, now) {
            self.brakes_changed.notify_one();
        }
        let rolling = docket.brakes.made().rolls(key, tracked, now);
        if docket.intents.rolls(key, rolling, Instant::now()) {
            self.intents_changed.notify_one();
        }
    }

    /// Files that a workload's `observed` is to be written.
    pub(super) fn tidy_later(&self, docket: &mut Docket, key: &WorkloadKey) {
        let (written, bare) = (self.last_written(key), self.is_bare(key));
        let calm = self.state.index().calm_at(key);
        if bare {
            // The adoption is to be told even if the webhook writes `observed` first.
            docket.tidying.report(key, written);
        } else if let Some(at) = calm {
            let now = self.state.now();
            // The API server's clock may be ahead of ours.
            let left = at.saturating_sub(now).clamp(0, CALM_SECONDS).unsigned_abs();
            let until = Instant::now() + Duration::from_secs(left);
            docket.tidying.write_when_calm(key, written, at, until);
        } else {
            docket.tidying.write(key, written);
        }
        self.tidying_changed.notify_one();
    }

    /// Returns when the last of a workload's sources was written, in unix seconds, as far as is known; else `i64::MIN`.
    fn last_written(&self, key: &WorkloadKey) -> i64 {
        let index = self.state.index();
        let Some(tracked) = index.workload(key) else {
            return i64::MIN;
        };
        let uses = tracked.uses().keys();
        let versions = uses.filter_map(|source| index.source(&key.namespace, source).version());
        let written = versions.map(Version::changed_at);
        written.max().unwrap_or(i64::MIN)
    }

    // === sources ===

    /// Takes in that a source exists in this version.
    pub fn source_applied(&self, key: &SourceKey, version: Version, by: By) {
        let mut takers = self.state.index().takers(key);
        takers.work_out(&key.source);
        let mut index = self.state.index_mut();
        let is_at_once = |index: &Index| at_once::source(index, &key.namespace, &key.source);
        let before = is_at_once(&index);
        let version = match index.source(&key.namespace, &key.source).version() {
            Some(known) => version.after(known, self.state.now()),
            None => version,
        };
        let change = index.take_source_with(key, version, by, &takers);
        let lets_go = !before && is_at_once(&index);
        drop(index);
        if lets_go {
            // Its users may wait for others.
            namespace_changed(self, &key.namespace);
        }
        self.source_changed(key, change);
    }

    /// Takes in that a source did not exist when it was asked for.
    pub fn source_missed(&self, key: &SourceKey, by: By) {
        let now = self.state.now();
        let change = self.state.index_mut().miss_source(key, by, now);
        self.source_changed(key, change);
    }

    /// Takes in that a source is gone since this resourceVersion.
    pub fn source_deleted(&self, key: &SourceKey, resource_version: u64) {
        let now = self.state.now();
        let change = self
            .state
            .index_mut()
            .delete_source(key, resource_version, now);
        self.source_changed(key, change);
    }

    /// Takes in that a list of sources is complete, in one namespace or in all. From now on a source that is absent
    /// there does not exist.
    pub fn source_listed(&self, kind: SourceKind, within: Option<&str>) {
        let news = match within {
            None => self.state.index_mut().set_synced(kind),
            Some(namespace) => self.state.index_mut().set_synced_in(kind, namespace),
        };
        self.judge_all_on(news);
    }

    fn source_changed(&self, key: &SourceKey, change: SourceChange) {
        if change.older {
            self.history.shown_older();
        }
        if change.changed {
            tracing::debug!(source = %key, recreated = change.recreated, users = change.users.len(), "a source changed");
        }
        for user in change.users {
            self.judge_in_turn(&user, Occasion::Change(&key.source));
        }
    }

    fn judge_all_on(&self, news: bool) {
        if news && self.is_listed() {
            self.judge_all();
        }
    }

    // === what the Secrets Store CSI driver provides ===

    /// Takes in what the pod status of this name shows; `None`: it is gone, or nothing is mounted.
    pub fn pod_status_seen(&self, namespace: &str, name: &str, status: Option<PodStatus>, by: By) {
        let mut index = self.state.index_mut();
        let changes = index.take_pod_status(namespace, name, status, by);
        drop(index);
        self.provided_changed(changes);
    }

    /// Takes in the metadata of the class of this name; `None`: it is gone.
    pub fn class_seen(&self, namespace: &str, name: &str, meta: Option<&ObjectMeta>) {
        let changes = self.state.index_mut().apply_class(namespace, name, meta);
        self.provided_changed(changes);
    }

    /// Takes in that a list of one of the driver's kinds is complete.
    pub fn part_listed(&self, part: Part, within: Option<&str>) {
        let (news, changes) = self.state.index_mut().set_listed(part, within);
        self.provided_changed(changes);
        self.judge_all_on(news);
    }

    /// Takes in that there is no list of this kind for now, so that no decision waits for it.
    pub fn part_absent(&self, part: Part, within: Option<&str>) {
        let news = self.state.index_mut().set_answered(part, within);
        self.judge_all_on(news);
    }

    /// Takes in that the API server no longer serves one of the driver's kinds. Returns how many objects are forgotten.
    pub fn part_gone(&self, part: Part, within: Option<&str>) -> usize {
        let forgotten = self.state.index_mut().forget_part(part, within);
        self.part_absent(part, within);
        forgotten
    }

    fn provided_changed(&self, changes: Changes) {
        for (key, change) in changes {
            self.source_changed(&key, change);
        }
    }

    // === namespaces ===

    /// Takes in the default that a namespace has for its workloads; `None`: it has none, or is gone.
    pub fn namespace_default(&self, name: &str, default: Option<String>) {
        let before = {
            let index = self.state.index();
            let news = index.defaults_of(name).namespace != default.as_deref();
            (news && self.is_listed()).then(|| index_opting::who(&index, name))
        };
        let affected = self.state.index_mut().apply_namespace(name, default);
        if let Some(before) = before {
            opting::tell_of_namespace(self, name, &before);
            opting::tell_of_loss(self, name, &before);
        }
        self.follow_on(&affected);
    }

    /// Takes in why a namespace holds all of its workloads; `None`: it does not, or is gone.
    pub fn namespace_stop(&self, name: &str, said: Option<String>) {
        let news = gates::set_namespace_stop(&mut self.state.index_mut(), name, said);
        if news && self.is_listed() {
            let all = self.state.index().workloads(None, Some(name));
            for workload in &all {
                self.judge_in_turn(workload, Occasion::Look);
            }
        }
    }

    // === everything ===

    /// Has the Lease's text taken in, now and whenever it changes.
    pub fn hear(self: &Arc<Self>, notice: &Notice) {
        let judge = Arc::clone(self);
        notice.listen(move |text| judge.lease_says(text));
    }

    /// Takes in the text of `reroll.dev/suspend` on reroll's Lease. From now on it counts; workloads are judged for it soon.
    pub fn lease_says(&self, text: Option<&str>) {
        let said = suspend::read(text);
        if gates::set_stop(&mut self.state.index_mut(), said.clone()) {
            if let Some(said) = said {
                tracing::warn!(said, "reroll's Lease says that nothing restarts");
            } else {
                tracing::info!("reroll's Lease lets restarts go again");
            }
            self.stop_changed.notify_one();
        }
    }

    /// Judges all workloads when everything is held, or is held no more, until it is dropped.
    pub async fn follow_stops(self: Arc<Self>) {
        loop {
            self.stop_changed.notified().await;
            self.judge_all_on(true);
        }
    }
}
