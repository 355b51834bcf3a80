//! What holds where a workload says nothing, and what annotations are called. The names that Reloader has for a flag
//! work as well.

use clap::{ArgAction, Args, builder::BoolishValueParser};
use kube::core::Selector;

use crate::{
    config::{
        choice::one_of,
        selector::parse_selector,
        values::{parse_annotation, parse_namespace, parse_secret_type},
    },
    model::{
        SourceKind,
        policy::{OnDelete, OnRecreate},
    },
};

#[derive(Debug, Args)]
#[command(next_help_heading = "What is rolled")]
pub(in crate::config) struct ConventionArgs {
    /// Opt in every workload without an opt-in of its own or of its namespace, for all that its pod template refers to
    #[arg(long, alias = "auto-reload-all", env = "REROLL_AUTO_ALL", action = ArgAction::SetTrue, value_parser = BoolishValueParser::new())]
    pub(in crate::config) auto_all: bool,

    /// Whether recreating a Secret or ConfigMap with identical data restarts its workloads
    ///
    /// The annotation reroll.dev/on-recreate of the Secret or ConfigMap wins, then that of the workload.
    #[arg(
        long,
        value_name = "CHOICE",
        env = "REROLL_ON_RECREATE",
        default_value = "auto",
        value_parser = one_of(&RECREATED, OnRecreate::as_str)
    )]
    pub(in crate::config) on_recreate: OnRecreate,

    /// Whether deleting a Secret or ConfigMap restarts the workloads that can start without it
    ///
    /// The annotation reroll.dev/on-delete of a workload wins.
    #[arg(
        long,
        value_name = "CHOICE",
        env = "REROLL_ON_DELETE",
        default_value = "wait",
        value_parser = one_of(&DELETED, OnDelete::as_str)
    )]
    pub(in crate::config) on_delete: OnDelete,

    /// Whether a restart says in kubernetes.io/change-cause what it was for, which kubectl rollout history shows
    ///
    /// The annotation reroll.dev/change-cause of a workload wins. It is never set where another client than kubectl wrote it,
    /// or any applied it at the server.
    #[arg(
        long,
        value_name = "WORD",
        env = "REROLL_CHANGE_CAUSE",
        default_value = "off",
        value_parser = one_of(CHANGE_CAUSE, |on| if on { "on" } else { "off" }),
        action = ArgAction::Set
    )]
    pub(in crate::config) change_cause: bool,

    /// Whether a restart says who changed its source, and when, to those who may read the workload and its Events
    #[arg(
        long,
        value_name = "WORD",
        env = "REROLL_NAME_WRITERS",
        default_value = "on",
        value_parser = one_of(NAMED, |on| if on { "on" } else { "off" }),
        action = ArgAction::Set
    )]
    pub(in crate::config) name_writers: bool,

    /// Namespaces to leave alone, separated by commas; reroll reads nothing in them
    #[arg(
        long,
        alias = "namespaces-to-ignore",
        value_name = "NAMES",
        env = "REROLL_IGNORE_NAMESPACES",
        value_delimiter = ',',
        value_parser = parse_namespace
    )]
    pub(in crate::config) ignore_namespaces: Vec<String>,

    /// A label selector of the namespaces to work in [default: all]; reroll forgets at once what it sees in others
    #[arg(long, value_name = "SELECTOR", env = "REROLL_NAMESPACE_SELECTOR", value_parser = parse_selector)]
    pub(in crate::config) namespace_selector: Option<Selector>,

    /// A label selector of the Secrets and ConfigMaps that count [default: all]; reroll does not read others
    #[arg(
        long,
        alias = "resource-label-selector",
        value_name = "SELECTOR",
        env = "REROLL_SOURCE_SELECTOR",
        value_parser = parse_selector
    )]
    pub(in crate::config) source_selector: Option<Selector>,

    /// Types of Secrets to neither list nor watch, separated by commas; empty for none
    ///
    /// If a workload names such a Secret, reroll reads it when that workload is written and at every sweep, and sees
    /// its changes only then.
    #[arg(
        long,
        value_name = "TYPES",
        env = "REROLL_SKIP_SECRET_TYPES",
        default_value = "helm.sh/release.v1",
        value_delimiter = ',',
        value_parser = parse_secret_type
    )]
    pub(in crate::config) skip_secret_types: Vec<String>,

    /// Kinds of sources that do not count; reroll does not read them
    #[arg(
        long,
        alias = "resources-to-ignore",
        value_name = "KIND",
        env = "REROLL_IGNORE_RESOURCES",
        value_delimiter = ',',
        ignore_case = true,
        value_parser = one_of(&SOURCES, SourceKind::plural)
    )]
    pub(in crate::config) ignore_resources: Vec<SourceKind>,

    /// The annotation to use instead of reloader.stakater.com/auto
    #[arg(long, value_name = "KEY", env = "REROLL_AUTO_ANNOTATION", value_parser = parse_annotation)]
    pub(in crate::config) auto_annotation: Option<String>,

    /// The annotation to use instead of configmap.reloader.stakater.com/auto
    #[arg(long, value_name = "KEY", env = "REROLL_CONFIGMAP_AUTO_ANNOTATION", value_parser = parse_annotation)]
    pub(in crate::config) configmap_auto_annotation: Option<String>,

    /// The annotation to use instead of secret.reloader.stakater.com/auto
    #[arg(long, value_name = "KEY", env = "REROLL_SECRET_AUTO_ANNOTATION", value_parser = parse_annotation)]
    pub(in crate::config) secret_auto_annotation: Option<String>,

    /// The annotation to use instead of configmap.reloader.stakater.com/reload
    #[arg(long, value_name = "KEY", env = "REROLL_CONFIGMAP_ANNOTATION", value_parser = parse_annotation)]
    pub(in crate::config) configmap_annotation: Option<String>,

    /// The annotation to use instead of secret.reloader.stakater.com/reload
    #[arg(long, value_name = "KEY", env = "REROLL_SECRET_ANNOTATION", value_parser = parse_annotation)]
    pub(in crate::config) secret_annotation: Option<String>,

    /// The annotation to use instead of reloader.stakater.com/search
    #[arg(long, value_name = "KEY", env = "REROLL_AUTO_SEARCH_ANNOTATION", value_parser = parse_annotation)]
    pub(in crate::config) auto_search_annotation: Option<String>,

    /// The annotation to use instead of reloader.stakater.com/match
    #[arg(long, value_name = "KEY", env = "REROLL_SEARCH_MATCH_ANNOTATION", value_parser = parse_annotation)]
    pub(in crate::config) search_match_annotation: Option<String>,

    /// The annotation to use instead of reloader.stakater.com/ignore
    #[arg(long, value_name = "KEY", env = "REROLL_IGNORE_ANNOTATION", value_parser = parse_annotation)]
    pub(in crate::config) ignore_annotation: Option<String>,

    /// The annotation to use instead of deployment.reloader.stakater.com/pause-period
    #[arg(long, value_name = "KEY", env = "REROLL_PAUSE_DEPLOYMENT_ANNOTATION", value_parser = parse_annotation)]
    pub(in crate::config) pause_deployment_annotation: Option<String>,
}

/// `--on-recreate`
const RECREATED: [(OnRecreate, &str); 3] = [
    (
        OnRecreate::Auto,
        "It does, unless a machine made the source (an owner, a hook, the CSI driver) and pods cannot start without it",
    ),
    (OnRecreate::Restart, "It does: another uid is a change"),
    (
        OnRecreate::Content,
        "It does not: only other data is a change",
    ),
];

/// `--on-delete`
const DELETED: [(OnDelete, &str); 2] = [
    (
        OnDelete::Wait,
        "It does not: nothing happens until the source is back",
    ),
    (
        OnDelete::Restart,
        "It does, once: the new pods start without the source",
    ),
];

/// `--ignore-resources`
const CHANGE_CAUSE: &[(bool, &str)] = &[
    (true, "Of Deployments, StatefulSets and DaemonSets"),
    (false, "Only where a workload asks for it"),
];

const NAMED: &[(bool, &str)] = &[
    (
        true,
        "The Event of a restart and reroll.dev/last-restart name the user, or the field manager",
    ),
    (false, "Nobody is named"),
];

const SOURCES: [(SourceKind, &str); SourceKind::ALL.len()] = {
    let mut rows = [(SourceKind::Secret, ""); SourceKind::ALL.len()];
    let mut row = 0;
    while row < rows.len() {
        let kind = SourceKind::ALL[row];
        rows[row] = (kind, kind.help());
        row += 1;
    }
    rows
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        annotation::{ON_DELETE, ON_RECREATE},
        policy::{Defaults, Policy},
    };

    fn policy(annotation: &str, word: &str) -> Policy {
        let asks = [(annotation.to_owned(), word.to_owned())];
        let asks = asks.into_iter().collect();
        let (policy, complaints) = Policy::read(&asks, Defaults::default());
        assert!(complaints.is_empty(), "{complaints:?}");
        policy
    }

    #[test]
    fn flags_and_annotations_have_the_same_words() {
        for (choice, _) in RECREATED {
            assert_eq!(policy(ON_RECREATE, choice.as_str()).on_recreate, choice);
        }
        for (choice, _) in DELETED {
            assert_eq!(policy(ON_DELETE, choice.as_str()).on_delete, choice);
        }
    }
}
