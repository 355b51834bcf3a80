//! What holds where a workload says nothing, and what annotations are called. The names that Reloader has for a flag
//! work as well.

use clap::{ArgAction, Args, builder::BoolishValueParser};
use kube::core::Selector;

use crate::{
    config::{
        choice::one_of,
        selector::parse_selector,
        values::{parse_annotation, parse_namespace},
    },
    model::{
        SourceKind,
        policy::{OnDelete, OnRecreate},
    },
};

#[derive(Debug, Args)]
#[command(next_help_heading = "What is rolled")]
pub(in crate::config) struct ConventionArgs {
    /// Workloads that say nothing, nor does their namespace, are opted in for all that they refer to
    #[arg(long, alias = "auto-reload-all", env = "REROLL_AUTO_ALL", action = ArgAction::SetTrue, value_parser = BoolishValueParser::new())]
    pub(in crate::config) auto_all: bool,

    /// What a Secret or ConfigMap does that was recreated with the same data, unless a workload says otherwise
    #[arg(
        long,
        value_name = "CHOICE",
        env = "REROLL_ON_RECREATE",
        default_value = "restart",
        value_parser = one_of(&RECREATED, recreated)
    )]
    pub(in crate::config) on_recreate: OnRecreate,

    /// What a Secret or ConfigMap does that was deleted, unless a workload says otherwise
    #[arg(
        long,
        value_name = "CHOICE",
        env = "REROLL_ON_DELETE",
        default_value = "wait",
        value_parser = one_of(&DELETED, deleted)
    )]
    pub(in crate::config) on_delete: OnDelete,

    /// Namespaces that are left alone, separated by commas: nothing of them is even read
    #[arg(
        long,
        alias = "namespaces-to-ignore",
        value_name = "NAMES",
        env = "REROLL_IGNORE_NAMESPACES",
        value_delimiter = ',',
        value_parser = parse_namespace
    )]
    pub(in crate::config) ignore_namespaces: Vec<String>,

    /// A label selector of namespaces [default: all]: what is in others is forgotten as soon as it is seen
    #[arg(long, value_name = "SELECTOR", env = "REROLL_NAMESPACE_SELECTOR", value_parser = parse_selector)]
    pub(in crate::config) namespace_selector: Option<Selector>,

    /// A label selector of Secrets and ConfigMaps [default: all]: others count for nobody, and are not even read
    #[arg(
        long,
        alias = "resource-label-selector",
        value_name = "SELECTOR",
        env = "REROLL_SOURCE_SELECTOR",
        value_parser = parse_selector
    )]
    pub(in crate::config) source_selector: Option<Selector>,

    /// Kinds of sources that count for nobody: they are not even read
    #[arg(
        long,
        alias = "resources-to-ignore",
        value_name = "KIND",
        env = "REROLL_IGNORE_RESOURCES",
        value_delimiter = ',',
        ignore_case = true,
        value_parser = one_of(&SOURCES, resource)
    )]
    pub(in crate::config) ignore_resources: Vec<SourceKind>,

    /// The annotation to use for reloader.stakater.com/auto
    #[arg(long, value_name = "KEY", env = "REROLL_AUTO_ANNOTATION", value_parser = parse_annotation)]
    pub(in crate::config) auto_annotation: Option<String>,

    /// The annotation to use for configmap.reloader.stakater.com/auto
    #[arg(long, value_name = "KEY", env = "REROLL_CONFIGMAP_AUTO_ANNOTATION", value_parser = parse_annotation)]
    pub(in crate::config) configmap_auto_annotation: Option<String>,

    /// The annotation to use for secret.reloader.stakater.com/auto
    #[arg(long, value_name = "KEY", env = "REROLL_SECRET_AUTO_ANNOTATION", value_parser = parse_annotation)]
    pub(in crate::config) secret_auto_annotation: Option<String>,

    /// The annotation to use for configmap.reloader.stakater.com/reload
    #[arg(long, value_name = "KEY", env = "REROLL_CONFIGMAP_ANNOTATION", value_parser = parse_annotation)]
    pub(in crate::config) configmap_annotation: Option<String>,

    /// The annotation to use for secret.reloader.stakater.com/reload
    #[arg(long, value_name = "KEY", env = "REROLL_SECRET_ANNOTATION", value_parser = parse_annotation)]
    pub(in crate::config) secret_annotation: Option<String>,

    /// The annotation to use for reloader.stakater.com/search
    #[arg(long, value_name = "KEY", env = "REROLL_AUTO_SEARCH_ANNOTATION", value_parser = parse_annotation)]
    pub(in crate::config) auto_search_annotation: Option<String>,

    /// The annotation to use for reloader.stakater.com/match
    #[arg(long, value_name = "KEY", env = "REROLL_SEARCH_MATCH_ANNOTATION", value_parser = parse_annotation)]
    pub(in crate::config) search_match_annotation: Option<String>,

    /// The annotation to use for reloader.stakater.com/ignore
    #[arg(long, value_name = "KEY", env = "REROLL_IGNORE_ANNOTATION", value_parser = parse_annotation)]
    pub(in crate::config) ignore_annotation: Option<String>,

    /// The annotation to use for deployment.reloader.stakater.com/pause-period
    #[arg(long, value_name = "KEY", env = "REROLL_PAUSE_DEPLOYMENT_ANNOTATION", value_parser = parse_annotation)]
    pub(in crate::config) pause_deployment_annotation: Option<String>,
}

/// `--on-recreate`
const RECREATED: [(OnRecreate, &str); 2] = [
    (
        OnRecreate::Restart,
        "It is a change: workloads are restarted",
    ),
    (OnRecreate::Content, "Only other data is a change"),
];

/// `--on-delete`
const DELETED: [(OnDelete, &str); 2] = [
    (OnDelete::Wait, "Nothing happens until it is back"),
    (
        OnDelete::Restart,
        "Workloads are restarted once, without it",
    ),
];

/// `--ignore-resources`
const SOURCES: [(SourceKind, &str); 3] = [
    (SourceKind::Secret, "Secrets"),
    (SourceKind::ConfigMap, "`ConfigMap`s"),
    (
        SourceKind::SecretProviderClass,
        "What the Secrets Store CSI driver provides",
    ),
];

/// Returns the word that the annotation has, too.
fn recreated(choice: OnRecreate) -> &'static str {
    match choice {
        OnRecreate::Restart => "restart",
        OnRecreate::Content => "content",
    }
}

/// Returns the word that the annotation has, too.
fn deleted(choice: OnDelete) -> &'static str {
    match choice {
        OnDelete::Wait => "wait",
        OnDelete::Restart => "restart",
    }
}

/// Returns the kind's name in paths.
fn resource(kind: SourceKind) -> &'static str {
    match kind {
        SourceKind::Secret => "secrets",
        SourceKind::ConfigMap => "configmaps",
        SourceKind::SecretProviderClass => "secretproviderclasses",
    }
}

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
            assert_eq!(policy(ON_RECREATE, recreated(choice)).on_recreate, choice);
        }
        for (choice, _) in DELETED {
            assert_eq!(policy(ON_DELETE, deleted(choice)).on_delete, choice);
        }
    }

    #[test]
    fn every_kind_of_source_can_be_ignored() {
        let listed = SOURCES.map(|(kind, _)| kind);
        assert!(SourceKind::ALL.iter().all(|kind| listed.contains(kind)));
    }
}
