//! What holds where a workload says nothing, and what annotations are called. The names that Reloader has for a flag
//! work as well.

use clap::{
    ArgAction, Args, ValueEnum,
    builder::{BoolishValueParser, PossibleValue},
};

use kube::core::Selector;

use crate::{
    config::{
        selector::parse_selector,
        values::{parse_annotation, parse_namespace},
    },
    model::SourceKind,
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
        default_value = "restart"
    )]
    pub(in crate::config) on_recreate: RecreateChoice,

    /// What a Secret or ConfigMap does that was deleted, unless a workload says otherwise
    #[arg(
        long,
        value_name = "CHOICE",
        env = "REROLL_ON_DELETE",
        default_value = "wait"
    )]
    pub(in crate::config) on_delete: DeleteChoice,

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
        ignore_case = true
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::config) enum RecreateChoice {
    /// It is a change: workloads are restarted.
    Restart,
    /// Only other data is a change.
    Content,
}

/// `--on-delete`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::config) enum DeleteChoice {
    /// Nothing happens until it is back.
    Wait,
    /// Workloads are restarted once, without it.
    Restart,
}

impl ValueEnum for SourceKind {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.plural()).help(self.help()))
    }
}
