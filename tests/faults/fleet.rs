//! Many workloads of all kinds. Two independent ways count exactly how often each of them rolled.

use reroll_harness::{Arena, KINDS, RESTART_ON, Recorder, each, env, eventually, workload};

/// How many writes a test makes at the same time.
pub const AT_ONCE: usize = 16;

/// So many workloads without replicas, of all kinds in turn, each with a Secret of its own or with one for all.
pub struct Fleet {
    name: &'static str,
    size: usize,
    shared: bool,
}

impl Fleet {
    /// Each with a Secret of its own name. Creates them and waits until all are adopted.
    pub async fn with_own_secrets(arena: &Arena, name: &'static str, size: usize) -> Self {
        let fleet = Self {
            name,
            size,
            shared: false,
        };
        fleet.create(arena).await;
        fleet
    }

    /// All with one Secret, which has the fleet's name.
    pub async fn with_one_secret(arena: &Arena, name: &'static str, size: usize) -> Self {
        let fleet = Self {
            name,
            size,
            shared: true,
        };
        fleet.create(arena).await;
        fleet
    }

    async fn create(&self, arena: &Arena) {
        if self.shared {
            arena.secret(self.name, &[("k", "one")]).await;
        }
        each(self.size, AT_ONCE, async |number| {
            if !self.shared {
                arena.secret(&self.secret(number), &[("k", "one")]).await;
            }
            self.create_workload(arena, number).await;
        })
        .await;
        for kind in KINDS {
            arena.all_adopted(kind).await;
        }
    }

    pub async fn create_workload(&self, arena: &Arena, number: usize) {
        let (kind, name) = self.workload(number);
        let pod = env(&self.secret(number), "k");
        let manifest = workload(kind, &name, &[(RESTART_ON, "auto")], pod);
        arena.create(&manifest).await;
    }

    /// The kind and the name of a workload.
    pub fn workload(&self, number: usize) -> (&'static str, String) {
        let name = format!("{}-{number:03}", self.name);
        (KINDS[number % KINDS.len()], name)
    }

    /// The name of the Secret of a workload.
    pub fn secret(&self, number: usize) -> String {
        if self.shared {
            self.name.to_owned()
        } else {
            self.workload(number).1
        }
    }

    /// Updates the Secret of each.
    pub async fn update(&self, arena: &Arena, value: &str) {
        self.update_some(arena, 0, self.size, value).await;
    }

    /// Updates the Secrets of those from one number on, so many.
    pub async fn update_some(&self, arena: &Arena, from: usize, count: usize, value: &str) {
        each(count, AT_ONCE, async |number| {
            let secret = self.secret(from + number);
            arena.update_secret(&secret, &[("k", value)]).await;
        })
        .await;
    }

    /// Deletes the Secret of each.
    pub async fn delete_secrets(&self, arena: &Arena) {
        each(self.size, AT_ONCE, async |number| {
            arena.delete("Secret", &self.secret(number)).await;
        })
        .await;
    }

    /// Creates the Secret of each.
    pub async fn create_secrets(&self, arena: &Arena) {
        each(self.size, AT_ONCE, async |number| {
            arena.secret(&self.secret(number), &[("k", "one")]).await;
        })
        .await;
    }

    /// Returns how many have rolled at least this often.
    pub fn rolled(&self, recorder: &Recorder, rollouts: usize) -> usize {
        let rolled = |number: &usize| {
            let (kind, name) = self.workload(*number);
            recorder.rollouts(kind, &name) >= rollouts
        };
        (0..self.size).filter(rolled).count()
    }

    /// Waits until each has rolled this often.
    pub async fn reaches(&self, recorder: &Recorder, rollouts: usize) {
        let what = format!("all of {} have rolled {rollouts} times", self.name);
        eventually(&what, async || {
            (self.rolled(recorder, rollouts) == self.size).then_some(())
        })
        .await;
    }

    /// Checks, after [`Recorder::settle`], that each has rolled exactly this often since it was created, and that no
    /// version went back.
    ///
    /// There is a second count, because a test of faults may cut off the recorder, which then sees two changes as one.
    /// The API server counts every change of the spec of a `StatefulSet` or `DaemonSet` (and of annotations, for a
    /// Deployment) in `generation`, and only reroll changes these.
    pub async fn expect(&self, arena: &Arena, recorder: &Recorder, rollouts: usize) {
        let mut differ = Vec::new();
        for number in 0..self.size {
            let (kind, name) = self.workload(number);
            let counted = recorder.rollouts(kind, &name);
            let generation = arena.get(kind, &name).await.metadata.generation;
            let by_generation = usize::try_from(generation.unwrap()).unwrap() - 1;
            if counted != rollouts || (kind != "Deployment" && by_generation != rollouts) {
                differ.push(format!("{kind} {name}: {counted}, {by_generation}"));
            }
            never_back(recorder, kind, &name);
        }
        assert!(
            differ.is_empty(),
            "not rolled {rollouts} times (by recorder, by generation): {differ:#?}"
        );
    }
}

/// No `restarted-for` was ever there twice, and no version of a source went backwards.
pub fn never_back(recorder: &Recorder, kind: &str, name: &str) {
    let made = recorder.restarted_for(kind, name);
    let mut distinct = made.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!(
        distinct.len(),
        made.len(),
        "{kind} {name} had a restarted-for twice: {made:?}"
    );
    let all = recorder.observed(kind, name);
    for pair in all.windows(2) {
        let [before, after] = pair else { continue };
        let goes_back = |source: &str| {
            let version = |observed: &serde_json::Value| observed["s"][source]["r"].as_u64();
            version(after) < version(before) && version(after).is_some()
        };
        let sources = before["s"].as_object().unwrap();
        assert!(
            !sources.keys().any(|source| goes_back(source)),
            "{kind} {name}: from {before} to {after}"
        );
    }
}
