//! Where each of reroll's annotations and labels counts. Anywhere else it means nothing.

use super::annotation::{
    ASKS_CHANGE_CAUSE, HISTORY_LOST, HOLDER_VERSION, IGNORE, LAST_RESTART, MARK, OBSERVED,
    ON_ADOPT, ON_CHANGE, ON_DELETE, ON_RECREATE, PENDING, PREFIX, RELEASE, RESTART_ON,
    RESTARTED_AT, RESTARTED_FOR, ROLLOUT_DEADLINE, ROLLOUT_OPENED, SETTLE, SLOW_START, SOAK,
    SUSPEND, TOGETHER, TOGETHER_LATEST, WAVE, WINDOW, WINDOW_LATEST,
};

use super::nearest::nearest;

/// Where a key can stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Among the annotations of a workload itself.
    Workload,
    /// Among the annotations of its pod template.
    Template,
    /// Among the annotations of a Namespace.
    Namespace,
    /// Among the labels of a Namespace.
    NamespaceLabel,
    /// Among the annotations of a Secret or ConfigMap.
    Source,
    /// Among the annotations of a `SecretProviderClass`.
    Class,
    /// Among the annotations of reroll's Lease.
    Lease,
    /// Anywhere else.
    Elsewhere,
}

/// Who writes a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Author {
    /// People, who ask for something.
    People,
    /// reroll, which remembers something.
    Reroll,
}

/// What is known of a key.
#[derive(Debug)]
pub struct Known {
    /// The key.
    pub key: &'static str,
    /// Who writes it.
    pub by: Author,
    /// Where it counts.
    pub places: &'static [Place],
}

use Place::{Class, Lease, Namespace, NamespaceLabel, Source, Template, Workload};

/// All of reroll's annotations and labels.
pub static KEYS: [Known; 27] = [
    people(RESTART_ON, &[Workload, NamespaceLabel]),
    people(ON_RECREATE, &[Workload, Source]),
    people(ON_DELETE, &[Workload]),
    people(ON_ADOPT, &[Workload]),
    people(SETTLE, &[Workload]),
    people(SUSPEND, &[Workload, Namespace, Lease]),
    people(ON_CHANGE, &[Workload]),
    people(MARK, &[Workload]),
    people(ASKS_CHANGE_CAUSE, &[Workload]),
    people(IGNORE, &[Workload, Source, Class]),
    people(SLOW_START, &[Workload, Namespace, Source]),
    people(SOAK, &[Workload]),
    people(ROLLOUT_DEADLINE, &[Workload]),
    people(WINDOW, &[Workload, Namespace]),
    people(WINDOW_LATEST, &[Workload]),
    people(TOGETHER, &[Workload]),
    people(TOGETHER_LATEST, &[Workload]),
    people(WAVE, &[Workload]),
    people(RELEASE, &[Workload]),
    reroll(OBSERVED, &[Workload]),
    reroll(LAST_RESTART, &[Workload]),
    reroll(RESTARTED_FOR, &[Template]),
    reroll(RESTARTED_AT, &[Workload]),
    reroll(PENDING, &[Workload]),
    reroll(ROLLOUT_OPENED, &[Workload]),
    reroll(HOLDER_VERSION, &[Lease]),
    reroll(HISTORY_LOST, &[Lease]),
];

const fn people(key: &'static str, places: &'static [Place]) -> Known {
    let by = Author::People;
    Known { key, by, places }
}

const fn reroll(key: &'static str, places: &'static [Place]) -> Known {
    let by = Author::Reroll;
    Known { key, by, places }
}

/// Returns what is known of a key; `None` for one that is not reroll's.
pub fn known(key: &str) -> Option<&'static Known> {
    KEYS.iter().find(|known| known.key == key)
}

/// Returns the key of people's that was meant by one that is not reroll's.
pub fn likely(key: &str) -> Option<&'static str> {
    let name = key.strip_prefix(PREFIX)?;
    let people = || KEYS.iter().filter(|known| known.by == Author::People);
    let of = |known: &Known| known.key.strip_prefix(PREFIX);
    let meant = nearest(name, people().filter_map(of))?;
    people()
        .find(|known| of(known) == Some(meant))
        .map(|known| known.key)
}

/// Whether a key is one of reroll's, or meant to be.
pub fn looks_ours(key: &str) -> bool {
    key.starts_with(PREFIX) || meant_elsewhere(key).is_some()
}

/// Returns the key of people's that was meant by one which is reroll's but for what stands before its name: `rerol.dev/settle`,
/// `reroll.io/settle`, `reroll/settle`, `reroll.dev.settle`.
pub fn meant_elsewhere(key: &str) -> Option<&'static str> {
    let own = PREFIX.trim_end_matches('/');
    let joined = || {
        let name = key.strip_prefix(own)?.strip_prefix(['.', '-', '_'])?;
        Some((own, name))
    };
    let (domain, name) = joined()
        .filter(|_| !key.contains('/'))
        .or_else(|| key.split_once('/').filter(|(domain, _)| *domain != own))?;
    let (first, _) = own.split_once('.').unwrap_or((own, ""));
    let is_ours = domain == own || domain == first;
    if !is_ours && nearest(domain, [own].into_iter()).is_none() {
        return None;
    }
    let meant = format!("{PREFIX}{name}");
    let exact = known(&meant).filter(|known| known.by == Author::People);
    let near = || likely(&meant).filter(|_| domain.starts_with(first));
    exact.map(|known| known.key).or_else(near)
}

impl Known {
    /// Whether it counts there.
    pub fn counts(&self, place: Place) -> bool {
        self.places.contains(&place)
    }
}

impl Place {
    /// Returns it as a sentence names it: `as` this.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Workload => "an annotation of a workload itself",
            Self::Template => "an annotation of a pod template",
            Self::Namespace => "an annotation of a Namespace",
            Self::NamespaceLabel => "a label of a Namespace",
            Self::Source => "an annotation of a Secret or ConfigMap",
            Self::Class => "an annotation of a SecretProviderClass",
            Self::Lease => "an annotation of reroll's Lease",
            Self::Elsewhere => "anything else",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_key_has_one_row_and_counts_somewhere() {
        let keys: BTreeSet<_> = KEYS.iter().map(|known| known.key).collect();
        assert_eq!(keys.len(), KEYS.len());
        for row in &KEYS {
            assert!(row.key.starts_with(PREFIX), "{}", row.key);
            assert!(!row.places.is_empty() && !row.counts(Place::Elsewhere));
            assert_eq!(known(row.key).map(|known| known.key), Some(row.key));
        }
        assert!(known("reroll.dev/restarton").is_none());
    }

    #[test]
    fn what_stands_before_a_name_may_be_misspelt() {
        for (key, expected) in [
            ("rerol.dev/restart-on", Some(RESTART_ON)),
            ("re-roll.dev/settle", Some(SETTLE)),
            ("reroll.io/restart-on", Some(RESTART_ON)),
            ("reroll.io/restarton", Some(RESTART_ON)),
            ("reroll/restart-on", Some(RESTART_ON)),
            ("reroll.dev.restart-on", Some(RESTART_ON)),
            ("reroll.dev-restarton", Some(RESTART_ON)),
            ("reroll.dev/restart-on", None),
            ("reroll.dev/restarton", None),
            ("rerol.dev/restarton", None),
            ("reroll.io/observed", None),
            ("reroll.io/quux", None),
            ("reload.corp/window", None),
            ("example.com/restart-on", None),
            ("restart-on", None),
            ("reroll", None),
            ("", None),
        ] {
            assert_eq!(meant_elsewhere(key), expected, "{key}");
        }
    }
}
