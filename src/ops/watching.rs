//! Which watches work: what a metric shows, and what readiness asks after the first lists.
//!
//! A watch that is tried again after a refusal, and goes on, brings no sign of it until something changes. So a watch
//! works when its first list was complete and it has not failed for a while: one that fails does so every few seconds.

use std::{collections::BTreeMap, time::Duration};

use parking_lot::Mutex;
use tokio::{sync::Notify, time::Instant};

/// How long after its last failure a watch counts as failing, unless a list shows otherwise: longer than two tries take.
const FAILS_FOR: Duration = Duration::from_mins(1);

/// Every watch that is to be kept, by the plural of what it shows and the namespace; `None` for all of them.
#[derive(Debug, Default)]
pub struct Watching {
    watches: Mutex<BTreeMap<&'static str, BTreeMap<Option<String>, State>>>,
    listed: Notify,
}

#[derive(Debug, Default)]
struct State {
    listed: bool,
    failed: Option<Instant>,
}

/// How many watches of one kind have had their first list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// So many have had it.
    pub complete: usize,
    /// So many there are: one for each namespace, or a single one for all.
    pub of: usize,
}

impl Listed {
    /// Whether this is enough to be ready. Whoever owns one of several namespaces must not stop reroll for all.
    pub const fn suffices(self) -> bool {
        self.complete == self.of || (self.complete > 0 && self.of > 1)
    }
}

impl State {
    fn works(&self) -> bool {
        self.listed && self.failed.is_none_or(|at| at.elapsed() >= FAILS_FOR)
    }
}

impl Watching {
    /// Takes in that a watch begins. It does not work before its first list is complete.
    pub fn begins(&self, resource: &'static str, within: Option<&str>) {
        self.change(resource, within, |state| *state = State::default());
    }

    /// Takes in that a list is complete.
    pub fn works(&self, resource: &'static str, within: Option<&str>) {
        self.change(resource, within, |state| {
            *state = State {
                listed: true,
                failed: None,
            };
        });
        self.listed.notify_waiters();
    }

    /// Takes in that a watch failed, and is tried again.
    pub fn fails(&self, resource: &'static str, within: Option<&str>) {
        self.change(resource, within, |state| {
            state.failed = Some(Instant::now());
        });
    }

    /// Takes in that a watch has ended, because the API server does not serve what it shows.
    pub fn ends(&self, resource: &'static str, within: Option<&str>) {
        let mut all = self.watches.lock();
        if let Some(watches) = all.get_mut(resource) {
            watches.remove(&within.map(str::to_owned));
            if watches.is_empty() {
                all.remove(resource);
            }
        }
        drop(all);
        self.listed.notify_waiters();
    }

    /// Returns how many watches of this kind have had their first list.
    pub fn listed(&self, resource: &str) -> Listed {
        let all = self.watches.lock();
        let Some(watches) = all.get(resource) else {
            return Listed::default();
        };
        Listed {
            complete: watches.values().filter(|state| state.listed).count(),
            of: watches.len(),
        }
    }

    /// Waits until enough watches of this kind have had their first list, or none of them is kept.
    pub async fn until_listed(&self, resource: &str) {
        loop {
            let changed = self.listed.notified();
            if self.listed(resource).suffices() {
                return;
            }
            changed.await;
        }
    }

    /// Returns each kind, and whether all watches of it work.
    pub fn shown(&self) -> Vec<(&'static str, bool)> {
        let all = self.watches.lock();
        let works = |watches: &BTreeMap<_, State>| watches.values().all(State::works);
        all.iter()
            .map(|(resource, watches)| (*resource, works(watches)))
            .collect()
    }

    fn change(
        &self,
        resource: &'static str,
        within: Option<&str>,
        change: impl FnOnce(&mut State),
    ) {
        let mut all = self.watches.lock();
        let watches = all.entry(resource).or_default();
        change(watches.entry(within.map(str::to_owned)).or_default());
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    const SECRETS: &str = "secrets";

    #[tokio::test(start_paused = true)]
    async fn one_works_from_its_first_list_on_and_not_while_it_fails() {
        let all = Watching::default();
        let shows = |works| assert_eq!(all.shown(), [(SECRETS, works)]);
        all.begins(SECRETS, None);
        shows(false);
        all.fails(SECRETS, None);
        tokio::time::advance(FAILS_FOR).await;
        shows(false);
        all.works(SECRETS, None);
        shows(true);
        all.fails(SECRETS, None);
        shows(false);
        tokio::time::advance(FAILS_FOR / 2).await;
        all.fails(SECRETS, None);
        tokio::time::advance(FAILS_FOR / 2).await;
        shows(false);
        tokio::time::advance(FAILS_FOR / 2).await;
        shows(true);
        all.ends(SECRETS, None);
        assert_eq!(all.shown(), []);
    }

    #[tokio::test]
    async fn one_of_several_namespaces_shows_and_keeps_nobody_unready() {
        let all = Watching::default();
        for namespace in ["a", "b"] {
            all.begins(SECRETS, Some(namespace));
            assert!(!all.listed(SECRETS).suffices());
        }
        all.fails(SECRETS, Some("a"));
        assert_eq!(all.until_listed(SECRETS).now_or_never(), None);
        all.works(SECRETS, Some("b"));
        assert_eq!(all.until_listed(SECRETS).now_or_never(), Some(()));
        assert_eq!(all.shown(), [(SECRETS, false)]);
    }

    #[tokio::test]
    async fn the_only_one_keeps_it_unready_until_it_is_listed_or_not_served() {
        for ends in [Watching::works, Watching::ends] {
            let all = Watching::default();
            all.begins(SECRETS, Some("a"));
            all.fails(SECRETS, Some("a"));
            let mut waits = std::pin::pin!(all.until_listed(SECRETS));
            assert_eq!(waits.as_mut().now_or_never(), None);
            ends(&all, SECRETS, Some("a"));
            assert_eq!(waits.now_or_never(), Some(()));
        }
    }
}
