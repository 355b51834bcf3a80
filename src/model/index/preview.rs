//! What a change of a source would do, for the person at the prompt.

use std::collections::BTreeSet;

use super::{Index, gates::held_back, overlay::Overlay, tracked::Tracked};
use crate::model::{
    decide::{Decision, Doubt, Lookup},
    gate::suspend::Stop,
    source::{SourceKey, SourceName, Usage},
    version::Version,
    workload::WorkloadKey,
};

/// How many users of a source are looked at.
pub const PREVIEWED: usize = 100;
/// How many sources they may use together. Globs of keys cost as much as sources. A user who takes everything of a namespace
/// costs as much as thousands of others.
pub const PREVIEWED_SOURCES: usize = 4096;
/// Through so many letters a glob of keys goes in the time in which one source is compared.
const LETTERS_OF_A_SOURCE: usize = 64;

/// What a change of a source would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preview {
    /// The workloads that it would restart.
    pub restarts: Vec<WorkloadKey>,
    /// Those that it would restart if nobody held them, and who does.
    pub stopped: Vec<(WorkloadKey, Stop)>,
    /// Those that would wait for it to be back.
    pub waits: Vec<WorkloadKey>,
    /// One that would wait would restart for it even if it came back as it was.
    pub by_uid: bool,
    /// The keys of it for which workloads restart whose opt-in takes only some.
    pub keys: BTreeSet<String>,
    /// There are more users, which were not looked at.
    pub incomplete: bool,
}

impl Preview {
    /// Returns what a source's change to this state would do to the workloads that use it. A person waits for the answer, and others
    /// for the index: so of many users only the first are looked at, and of those that use very much fewer.
    pub fn of_change(index: &Index, key: &SourceKey, becomes: Lookup) -> Self {
        let overlay = Overlay::from([(&key.source, becomes)]);
        let version = |source: &_| index.source(&key.namespace, source).version();
        let cost = |user: &_| index.workload(user).map_or(0, |user| cost(user, &version));
        let (mut preview, users) = Self::begin(index.users(key), cost);
        let before = index.source(&key.namespace, &key.source).version();
        for user in users {
            let Some(tracked) = index.workload(&user) else {
                continue;
            };
            // It neither restarts now nor when the source is back.
            if !tracked.uses().get(&key.source).is_some_and(Usage::is_read) {
                continue;
            }
            let adopting = match (before, becomes) {
                (Some(before), Lookup::Present { version, .. }) => {
                    let watched = index.scope.watches_all_sources() && !version.skipped;
                    tracked.adopting(&key.source, before, version, watched)
                }
                _ => None,
            };
            if let Some(decided) = index.assess_from(&user, &overlay, adopting.as_ref()) {
                preview.name_keys(tracked, &key.source, &decided);
                let by_uid = |user: &_| restarts_by_uid(index, user, &key.source, becomes);
                preview.add(held_back(index, &user), user, &decided, by_uid);
            }
        }
        preview
    }

    /// Begins one of these users, and returns those who are looked at. `cost`: of looking at one, in sources that are compared.
    fn begin(
        mut users: Vec<WorkloadKey>,
        cost: impl Fn(&WorkloadKey) -> usize,
    ) -> (Self, Vec<WorkloadKey>) {
        let all = users.len();
        let mut looked_at = 0;
        let fits = |user: &&WorkloadKey| {
            looked_at += cost(user);
            looked_at <= PREVIEWED_SOURCES
        };
        let fitting = users.iter().take(PREVIEWED).take_while(fits).count();
        users.truncate(fitting);
        let preview = Self {
            incomplete: fitting < all,
            ..Self::default()
        };
        (preview, users)
    }

    /// Takes in the keys for which this decision restarts a user whose opt-in takes only some of the source.
    fn name_keys(&mut self, user: &Tracked, source: &SourceName, decided: &Decision) {
        let (lists, usage) = (user.policy.lists(), user.uses().get(source));
        if usage.is_some_and(|usage| lists.narrowed(source, usage).is_some()) {
            let causes = decided.causes().iter();
            let of_it = causes.filter(|cause| cause.source.as_ref() == Some(source));
            self.keys.extend(of_it.flat_map(|cause| cause.keys.clone()));
        }
    }

    /// Takes in what would be decided for one user. `(stop, aborted)`: who holds it, and whether its Rollout is aborted. `by_uid` tells of one that would wait whether it would restart for the
    /// source even if that came back as it was.
    fn add(
        &mut self,
        (stop, aborted): (Option<Stop>, bool),
        user: WorkloadKey,
        decided: &Decision,
        by_uid: impl FnOnce(&WorkloadKey) -> bool,
    ) {
        let waits = match decided {
            Decision::Wait { .. } => true,
            decided => matches!(decided.doubt(), Some((Doubt::AskPods, _))),
        };
        if waits {
            self.by_uid = self.by_uid || by_uid(&user);
            self.waits.push(user);
        } else if matches!(decided, Decision::Restart(_)) {
            match stop {
                Some(stop) => self.stopped.push((user, stop)),
                None if aborted => {}
                None => self.restarts.push(user),
            }
        }
    }
}

/// Whether a source that goes restarts a workload even if it comes back as it was, under another uid.
fn restarts_by_uid(index: &Index, user: &WorkloadKey, source: &SourceName, goes: Lookup) -> bool {
    let Lookup::Absent {
        last: Some(last), ..
    } = goes
    else {
        return false;
    };
    let mut back = last.clone();
    back.uid.clear();
    let back = Lookup::Present {
        version: &back,
        fresh: true,
    };
    let overlay = Overlay::from([(source, back)]);
    let decided = index.assess_from(user, &overlay, None);
    matches!(decided, Some(Decision::Restart(_)))
}

/// Returns what it costs to decide about a user, in sources that are compared.
fn cost<'a>(user: &Tracked, version: &dyn Fn(&SourceName) -> Option<&'a Version>) -> usize {
    let cost = |(source, usage): (&SourceName, &Usage)| {
        let passed = version(source).map_or(0, |version| version.letters_passed(usage));
        1 + passed / LETTERS_OF_A_SOURCE
    };
    user.uses().iter().map(cost).sum()
}
