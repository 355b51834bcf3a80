//! The same data under another uid: whether a recreated source restarts its workloads.
//!
//! A source that is deleted and created again has another uid. A person who does that by hand expects a restart. Some
//! machines do it all the time with the same data, and own what they make: the CSI driver with each pod, a hook with
//! each release of its chart, an operator with each pass. Pods that cannot start without the source have the data that
//! there is, whichever object it came in. So the content decides there, unless somebody says otherwise.
//!
//! Who deleted the object is not asked. The watch does not say, and the API server does not ask the webhook about what
//! the garbage collector deletes. So the objects themselves tell: the one that went, as last seen, and the one that came.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{annotation::ON_RECREATE, source::Need};

/// How long sources must not have been recreated before `observed` takes over their uids, in seconds. Machines recreate
/// many times in a row, and each write costs the controllers of the workload.
pub const CALM_SECONDS: i64 = 60;

/// Annotations of hooks, which Helm and Argo CD delete and create again.
const HOOKS: [&str; 2] = ["helm.sh/hook", "argocd.argoproj.io/hook"];

/// The label of Secrets that the Secrets Store CSI driver makes. The driver adds owner references up to five seconds
/// later (`createK8sSecret` and `RunPatcher` of its 1.5).
const SYNCED_BY_DRIVER: &str = "secrets-store.csi.k8s.io/managed";

/// `reroll.dev/on-recreate`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnRecreate {
    /// Another uid is a change, unless a machine made the source and pods cannot start without it.
    #[default]
    Auto,
    /// Another uid is a change.
    Restart,
    /// Only other data is a change.
    Content,
}

impl OnRecreate {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Auto, Self::Restart, Self::Content];

    /// Their words, for people.
    pub const WORDS: &str = "auto, restart or content";

    /// Returns the word for it, in the annotation and in the flag.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Restart => "restart",
            Self::Content => "content",
        }
    }

    fn read(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|word| word.as_str() == text.trim())
    }
}

/// What the metadata of a source says about its being recreated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// A machine makes it: something owns it, or a hook or the CSI driver made it.
    pub by_machine: bool,
    /// What the source itself asks for.
    pub asks: Asked,
}

/// What a source asks for by `reroll.dev/on-recreate`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Asked {
    /// Nothing: the workload's word counts.
    #[default]
    Nothing,
    /// Something that cannot be read: the workload's word counts.
    Unreadable,
    /// This, whatever the workload says.
    Word(OnRecreate),
}

impl Origin {
    /// Reads it off a source.
    pub fn of(meta: &ObjectMeta) -> Self {
        let annotation = |key: &str| meta.annotations.as_ref()?.get(key);
        let labelled = |key: &str| {
            meta.labels
                .as_ref()
                .is_some_and(|all| all.contains_key(key))
        };
        let owned = meta
            .owner_references
            .as_ref()
            .is_some_and(|owners| !owners.is_empty());
        let hook = HOOKS.iter().any(|key| annotation(key).is_some());
        Self {
            by_machine: owned || hook || labelled(SYNCED_BY_DRIVER),
            asks: match annotation(ON_RECREATE).map(|text| OnRecreate::read(text)) {
                None => Asked::Nothing,
                Some(None) => Asked::Unreadable,
                Some(Some(word)) => Asked::Word(word),
            },
        }
    }

    /// Whether a recreation with the same data is no change. `workload`: the word of the workload that uses it; `need`:
    /// whether its pods start without it; `before_by_machine`: a machine made the object that went.
    pub fn content_decides(
        self,
        workload: OnRecreate,
        need: Need,
        before_by_machine: bool,
    ) -> bool {
        let word = match self.asks {
            Asked::Word(word) => word,
            Asked::Nothing | Asked::Unreadable => workload,
        };
        match word {
            OnRecreate::Restart => false,
            OnRecreate::Content => true,
            // Pods may have started without an optional one while it was away.
            OnRecreate::Auto => need == Need::Required && (self.by_machine || before_by_machine),
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

    use super::*;

    fn meta(annotations: &[(&str, &str)]) -> ObjectMeta {
        let map = annotations
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        ObjectMeta {
            annotations: Some(map.collect()),
            ..ObjectMeta::default()
        }
    }

    #[test]
    fn machines_are_known_by_what_they_leave_on_the_object() {
        let labels = |key: &str| ObjectMeta {
            labels: Some([(key.to_owned(), String::new())].into()),
            ..ObjectMeta::default()
        };
        let owned = |owners: Vec<OwnerReference>| ObjectMeta {
            owner_references: Some(owners),
            ..ObjectMeta::default()
        };
        for (meta, by_machine) in [
            (ObjectMeta::default(), false),
            (owned(vec![]), false),
            (owned(vec![OwnerReference::default()]), true),
            (meta(&[("helm.sh/hook", "pre-upgrade")]), true),
            (meta(&[("argocd.argoproj.io/hook", "PreSync")]), true),
            (meta(&[("helm.sh/resource-policy", "keep")]), false),
            (meta(&[("meta.helm.sh/release-name", "web")]), false),
            (labels("secrets-store.csi.k8s.io/managed"), true),
            (labels("app.kubernetes.io/managed-by"), false),
        ] {
            assert_eq!(Origin::of(&meta).by_machine, by_machine, "{meta:?}");
        }
    }

    #[test]
    fn the_words_of_a_source() {
        for (text, asks) in [
            ("auto", Asked::Word(OnRecreate::Auto)),
            (" restart ", Asked::Word(OnRecreate::Restart)),
            ("content", Asked::Word(OnRecreate::Content)),
            ("Content", Asked::Unreadable),
            ("", Asked::Unreadable),
        ] {
            assert_eq!(
                Origin::of(&meta(&[(ON_RECREATE, text)])).asks,
                asks,
                "{text}"
            );
        }
        assert_eq!(Origin::of(&meta(&[])).asks, Asked::Nothing);
    }

    #[test]
    fn the_word_on_the_source_goes_before_that_of_the_workload() {
        use OnRecreate::{Auto, Content, Restart};
        for workload in OnRecreate::ALL {
            for asks in [Asked::Nothing, Asked::Unreadable]
                .into_iter()
                .chain(OnRecreate::ALL.map(Asked::Word))
            {
                for (now, before) in [(false, false), (true, false), (false, true), (true, true)] {
                    let origin = Origin {
                        by_machine: now,
                        asks,
                    };
                    let said = if let Asked::Word(word) = asks {
                        word
                    } else {
                        workload
                    };
                    for need in [Need::Required, Need::Optional] {
                        let expected = match said {
                            Restart => false,
                            Content => true,
                            Auto => need == Need::Required && (now || before),
                        };
                        assert_eq!(origin.content_decides(workload, need, before), expected);
                    }
                }
            }
        }
    }
}
