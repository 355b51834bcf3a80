//! Why a restart failed: in a word for metrics, and in words for people.

use super::look::{Look, Reason, Said};
use crate::model::workload::Progress;

/// Why a restart failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failed {
    /// A new pod does not work.
    Pod(Reason, Said),
    /// An Argo Rollout aborted it.
    Aborted,
    /// No new pod was good by the deadline.
    Deadline,
}

/// How people are told of it, before why.
pub const FAILED: &str = "its restart failed: ";

/// For metrics: a restart is good, and its rollout goes no further.
pub const HANGS: &str = "hangs";

impl Failed {
    /// Every word for metrics.
    pub const WORDS: [&str; 6] = ["config", "restarts", "image", "aborted", "deadline", HANGS];

    /// Returns the word for metrics.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Pod(Reason::Config, _) => "config",
            Self::Pod(Reason::Restarts, _) => "restarts",
            Self::Pod(Reason::Image, _) => "image",
            Self::Aborted => "aborted",
            Self::Deadline => "deadline",
        }
    }

    /// Returns why, as people are told it. `look` is what its pods showed.
    pub fn words(&self, look: Option<&Look>, progress: &Progress) -> String {
        match self {
            Self::Pod(_, said) => said.to_string(),
            Self::Aborted => "the Rollout aborted it".to_owned(),
            Self::Deadline => format!(
                "no new pod was good by its deadline: {}",
                waits_for(look, progress)
            ),
        }
    }

    /// Returns what only a person can do: a StatefulSet that replaces its pods in order never replaces one that is not ready.
    pub fn remedy(
        &self,
        look: Option<&Look>,
        progress: &Progress,
        namespace: &str,
    ) -> Option<String> {
        let said = match self {
            Self::Pod(_, said) => Some(said),
            Self::Deadline => look.and_then(|look| look.waits.as_ref()),
            Self::Aborted => None,
        }?;
        progress.in_order.then(|| {
            format!(
                "once the value is right: kubectl delete pod {} -n {namespace}",
                said.pod
            )
        })
    }
}

/// Returns what the new pods of a restart wait for, as people are told it.
pub fn waits_for(look: Option<&Look>, progress: &Progress) -> String {
    let said = look.and_then(|look| look.waits.as_ref());
    match (said, progress.refused.as_deref()) {
        (Some(said), _) => said.to_string(),
        (None, Some(refused)) => refused.to_owned(),
        (None, None) if look.is_some_and(|look| look.new == 0) => "no new pod was made".to_owned(),
        (None, None) => "its new pods are not available".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_word_is_known_beforehand() {
        let said = || Said {
            pod: "web-1".to_owned(),
            words: "no".to_owned(),
        };
        let pods = [Reason::Config, Reason::Restarts, Reason::Image];
        let pods = pods.map(|reason| Failed::Pod(reason, said()));
        let all: Vec<_> = pods
            .into_iter()
            .chain([Failed::Aborted, Failed::Deadline])
            .collect();
        let words: BTreeSet<_> = all.iter().map(Failed::as_str).chain([HANGS]).collect();
        assert_eq!(words, Failed::WORDS.into());
    }
}
