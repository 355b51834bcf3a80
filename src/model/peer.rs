//! Other installations of reroll that look after the same workloads, and who of them works in which namespace.
//!
//! An `observed` under a digest key that is not ours may be of an installation that is alive. Nothing that it says of itself
//! counts: what it could say, a tenant could forge, and an older release says nothing. Only what it does shows it.
//! So one workload is tried ([`Standing::Trial`]): reroll writes its own `observed` there, or restores it, once. Whoever
//! works there undoes that, in the answer to that very write or within [`UNDONE_WITHIN`]. Then the namespace is theirs
//! ([`Standing::Theirs`]), until it is time to try again. What stands that long is ours ([`Standing::Won`]): the rest is
//! adopted.
//!
//! Pure: `now` is an argument, as the time since some moment. It is memory only. A process that starts anew tries again,
//! once in each namespace where it finds another's `observed`.
//!
//! Invariants:
//! - namespaces have nothing to do with each other: a forged `observed` costs a tenant no more than his own namespace;
//! - a trial makes at most one write over another's `observed`, and so does each try after it;
//! - of two installations that try at the same time, the one with the lower key id goes on;
//! - while a namespace is tried or theirs, nothing restarts there by us.

mod standing;

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash, Hasher},
    ops::RangeInclusive,
    time::Duration,
};

use self::standing::ends;
pub use self::standing::{Hands, Holder, Lost, May, Standing, UNDONE_WITHIN, key_id_in};
use super::{
    digest::told_id,
    text::{printable, shortened},
    workload::WorkloadKey,
};

/// When a namespace that is another's is tried again: so long afterwards, at random.
pub const TRY_AGAIN: RangeInclusive<Duration> = Duration::from_mins(5)..=Duration::from_mins(15);

/// The most characters of a user's name that are told.
const LONGEST_USER: usize = 128;

/// The most users that are remembered: who may write annotations can name any key.
const MOST_USERS: usize = 64;

/// The most namespaces of which it is remembered that ours was restored at admission.
const MOST_RESTORED: usize = 1024;

/// Who works in which namespace, where that is not simply us.
#[derive(Debug)]
pub struct Peers {
    /// The id of our own digest key.
    own: String,
    again: RangeInclusive<Duration>,
    spaces: BTreeMap<String, Standing>,
    /// By key id as it is told, the user who wrote under it, as admission saw it.
    users: BTreeMap<String, String>,
    /// By namespace, when ours was last restored at admission.
    restored: BTreeMap<String, Duration>,
    /// Namespaces where what holds is other than it was.
    news: BTreeSet<String>,
    /// Namespaces that were found to be another's, and were not told yet.
    lost: Vec<Lost>,
}

impl Peers {
    /// Knows of no other installation than the one with this key.
    pub fn new(own: &str, again: RangeInclusive<Duration>) -> Self {
        Self {
            own: own.to_owned(),
            again,
            spaces: BTreeMap::new(),
            users: BTreeMap::new(),
            restored: BTreeMap::new(),
            news: BTreeSet::new(),
            lost: Vec::new(),
        }
    }

    // === what may be done ===

    /// Returns what may be done with a workload; `other`: the key that its `observed` is under, if that is not ours.
    pub fn may(&mut self, namespace: &str, other: Option<&str>, now: Duration) -> May {
        self.pass(namespace, now);
        match (self.spaces.get(namespace), other) {
            (Some(standing), _) if standing.holds() => May::Hold,
            (Some(Standing::Won { key_id }), Some(other)) if key_id == other => May::Work,
            (_, None) => May::Work,
            (_, Some(_)) => May::Try,
        }
    }

    /// Asks to write a workload; returns what may be written. With [`May::Try`] the caller makes one write that restarts
    /// nothing, and then says [`Self::stands`], [`Self::undone`] or [`Self::gave_up`].
    pub fn claim(&mut self, workload: &WorkloadKey, other: Option<&str>, now: Duration) -> May {
        let may = self.may(&workload.namespace, other, now);
        let (May::Try, Some(other)) = (may, other) else {
            return may;
        };
        if matches!(self.of(workload), Some(Standing::Trial { .. })) {
            return May::Hold;
        }
        self.try_out(workload, other, None);
        May::Try
    }

    /// Takes in that a trial's write was not made.
    pub fn gave_up(&mut self, workload: &WorkloadKey) {
        if let Some(Standing::Trial {
            workload: tried,
            written: None,
            ..
        }) = self.of(workload)
            && tried == workload
        {
            self.spaces.remove(&workload.namespace);
        }
    }

    /// Takes in that a trial's write stands.
    pub fn stands(&mut self, workload: &WorkloadKey, now: Duration) {
        if let Some(Standing::Trial {
            workload: tried,
            written: written @ None,
            ..
        }) = self.spaces.get_mut(&workload.namespace)
            && tried == workload
        {
            *written = Some(now);
            self.news.insert(workload.namespace.clone());
        }
    }

    /// Takes in that a trial's write was undone in the answer to it.
    pub fn undone(&mut self, workload: &WorkloadKey, now: Duration) {
        if let Some(Standing::Trial {
            workload: tried,
            key_id,
            ..
        }) = self.of(workload)
            && tried == workload
        {
            let key_id = key_id.clone();
            self.lose(workload, &key_id, now);
        }
    }

    // === what others do ===

    /// Takes in that a workload's `observed` changed hands.
    pub fn seen(&mut self, workload: &WorkloadKey, hands: &Hands, now: Duration) {
        self.pass(&workload.namespace, now);
        match hands {
            Hands::Replaced { key_id } => self.replaced(workload, key_id, now),
            // Another replica of ours tries, or this one did when it was too late.
            Hands::Ours { key_id } => match self.of(workload) {
                None | Some(Standing::Theirs { .. }) => self.try_out(workload, key_id, Some(now)),
                Some(Standing::Trial { .. }) => self.stands(workload, now),
                Some(Standing::Won { .. }) => {}
            },
        }
    }

    /// Judges another installation's write, at admission, that would replace our `observed`. Returns whether ours is
    /// restored in that write. `persists`: it is no dry run.
    ///
    /// Whoever reaches the webhook's port can send a review. So none makes a namespace another's: the second write passes,
    /// and what counts is that a watch shows it.
    pub fn restores(
        &mut self,
        workload: &WorkloadKey,
        key_id: &str,
        persists: bool,
        now: Duration,
    ) -> bool {
        let namespace = &workload.namespace;
        self.pass(namespace, now);
        let goes_first = self.own.as_str() < key_id;
        match self.spaces.get(namespace) {
            Some(Standing::Theirs { .. }) => false,
            Some(Standing::Trial {
                workload: tried, ..
            }) => goes_first && tried != workload,
            None | Some(Standing::Won { .. }) if !persists => true,
            None | Some(Standing::Won { .. }) => {
                if self.was_restored(namespace, now) {
                    return false;
                }
                self.restored.retain(|_, at| *at + UNDONE_WITHIN > now);
                if self.restored.len() < MOST_RESTORED {
                    self.restored.insert(namespace.clone(), now);
                }
                true
            }
        }
    }

    fn was_restored(&self, namespace: &str, now: Duration) -> bool {
        let at = self.restored.get(namespace);
        at.is_some_and(|at| *at + UNDONE_WITHIN > now)
    }

    /// Whether the webhook leaves writes of a workload alone; `other`: the key that its `observed` is under, if that is
    /// not ours.
    pub fn leaves(&mut self, namespace: &str, other: Option<&str>, now: Duration) -> bool {
        self.pass(namespace, now);
        match (self.spaces.get(namespace), other) {
            (Some(Standing::Theirs { .. }), _) => true,
            (Some(Standing::Won { key_id }), Some(other)) => key_id != other,
            (_, other) => other.is_some(),
        }
    }

    /// Takes in who writes a workload under a key, as admission saw it. Where that was not known, it is told.
    pub fn writes_as(&mut self, workload: &WorkloadKey, key_id: &str, user: &str) {
        let told = told_id(key_id);
        let known = self.users.contains_key(&told);
        if self.users.len() >= MOST_USERS && !known {
            return;
        }
        let user = shortened(&printable(user), LONGEST_USER).into_owned();
        self.users.insert(told, user);
        let holds =
            matches!(self.of(workload), Some(Standing::Theirs { key_id: of, .. }) if of == key_id);
        if holds && !known {
            self.tell(workload, key_id);
        }
    }

    /// Ours was replaced, for the first time or not, and perhaps because both try at the same time.
    fn replaced(&mut self, workload: &WorkloadKey, key_id: &str, now: Duration) {
        let goes_first = self.own.as_str() < key_id;
        let insists = self.was_restored(&workload.namespace, now);
        match self.spaces.get_mut(&workload.namespace) {
            None | Some(Standing::Won { .. }) if insists => self.lose(workload, key_id, now),
            None | Some(Standing::Theirs { .. }) => {}
            Some(Standing::Won { .. }) => {
                self.spaces.remove(&workload.namespace);
            }
            Some(Standing::Trial {
                workload: tried,
                struck,
                ..
            }) if tried != workload && goes_first && !*struck => *struck = true,
            Some(Standing::Trial { .. }) => self.lose(workload, key_id, now),
        }
    }

    fn try_out(&mut self, workload: &WorkloadKey, key_id: &str, written: Option<Duration>) {
        let standing = Standing::Trial {
            key_id: key_id.to_owned(),
            workload: workload.clone(),
            written,
            struck: false,
        };
        let namespace = workload.namespace.clone();
        if written.is_some() {
            self.news.insert(namespace.clone());
        }
        self.spaces.insert(namespace, standing);
    }

    fn lose(&mut self, workload: &WorkloadKey, key_id: &str, now: Duration) {
        let namespace = workload.namespace.clone();
        let until = now + self.pause(&namespace, now);
        let key_id = key_id.to_owned();
        self.news.insert(namespace.clone());
        self.tell(workload, &key_id);
        let standing = Standing::Theirs { key_id, until };
        self.spaces.insert(namespace, standing);
    }

    fn tell(&mut self, workload: &WorkloadKey, key_id: &str) {
        self.lost.push(Lost {
            workload: workload.clone(),
            user: self.users.get(&told_id(key_id)).cloned(),
            key_id: told_id(key_id),
        });
    }

    /// Returns how long a namespace is left to the other. Installations, namespaces and tries differ in it.
    fn pause(&self, namespace: &str, now: Duration) -> Duration {
        let mut hasher = DefaultHasher::new();
        (&self.own, namespace, now).hash(&mut hasher);
        let (least, most) = (*self.again.start(), *self.again.end());
        let share = u32::try_from(hasher.finish() % 1024).unwrap_or(0);
        least + most.saturating_sub(least) * share / 1024
    }

    // === time ===

    fn of(&self, workload: &WorkloadKey) -> Option<&Standing> {
        self.spaces.get(&workload.namespace)
    }

    /// Lets time pass in a namespace.
    fn pass(&mut self, namespace: &str, now: Duration) {
        let standing = self.spaces.get(namespace);
        let Some(standing) = standing.filter(|standing| ends(standing).is_some_and(|at| at <= now))
        else {
            return;
        };
        match standing {
            Standing::Trial { key_id, .. } => {
                let key_id = key_id.clone();
                self.spaces
                    .insert(namespace.to_owned(), Standing::Won { key_id });
            }
            Standing::Theirs { .. } | Standing::Won { .. } => {
                self.spaces.remove(namespace);
            }
        }
        self.news.insert(namespace.to_owned());
    }

    /// Returns when time next changes what holds.
    pub fn next(&self) -> Option<Duration> {
        self.spaces.values().filter_map(ends).min()
    }

    /// Takes the namespaces where what holds is other than it was: everything there is to be judged anew.
    pub fn take_news(&mut self, now: Duration) -> BTreeSet<String> {
        let due = |(name, standing): (&String, &Standing)| {
            ends(standing).filter(|at| *at <= now).map(|_| name.clone())
        };
        let passed: Vec<_> = self.spaces.iter().filter_map(due).collect();
        for namespace in passed {
            self.pass(&namespace, now);
        }
        std::mem::take(&mut self.news)
    }

    /// Takes the namespaces that were found to be another's.
    pub fn take_lost(&mut self) -> Vec<Lost> {
        std::mem::take(&mut self.lost)
    }

    /// Whether anything waits to be taken.
    pub fn has_news(&self) -> bool {
        !self.news.is_empty() || !self.lost.is_empty()
    }

    /// Forgets the namespaces that are gone.
    pub fn retain(&mut self, exists: impl Fn(&str) -> bool) {
        self.spaces.retain(|namespace, _| exists(namespace));
    }

    // === what is told ===

    /// Returns who holds namespaces.
    pub fn holders(&self) -> Vec<Holder> {
        let mut holders = BTreeMap::<_, Holder>::new();
        for standing in self.spaces.values() {
            if let Standing::Theirs { key_id, .. } = standing {
                let told = told_id(key_id);
                let holder = holders.entry(told.clone()).or_insert_with(|| Holder {
                    user: self.users.get(&told).cloned().unwrap_or_default(),
                    key_id: told,
                    namespaces: 0,
                });
                holder.namespaces += 1;
            }
        }
        holders.into_values().collect()
    }
}

#[cfg(test)]
mod tests;
