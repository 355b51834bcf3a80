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
    /// Opt in every workload that says nothing, and whose namespace says nothing, for all that it refers to
    #[arg(long, alias = "auto-reload-all", env = "REROLL_AUTO_ALL", action = ArgAction::SetTrue, value_parser = BoolishValueParser::new())]
    pub(in crate::config) auto_all: bool,

    /// Whether recreating a Secret or ConfigMap with identical data restarts its workloads
    ///
    /// The annotation reroll.dev/on-recreate of a workload wins.
    #[arg(
        long,
        value_name = "CHOICE",
        env = "REROLL_ON_RECREATE",
        default_value = "restart"
    )]
    pub(in crate::config) on_recreate: RecreateChoice,

    /// Whether deleting a Secret or ConfigMap restarts its workloads
    ///
    /// The annotation reroll.dev/on-delete of a workload wins.
    #[arg(
        long,
        value_name = "CHOICE",
        env = "REROLL_ON_DELETE",
        default_value = "wait"
    )]
    pub(in crate::config) on_delete: DeleteChoice,

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

    /// Kinds of sources that do not count; reroll does not read them
    #[arg(
        long,
        alias = "resources-to-ignore",
        value_name = "KIND",
        env = "REROLL_IGNORE_RESOURCES",
        value_delimiter = ',',
        ignore_case = true
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::config) enum RecreateChoice {
    /// It does: another uid is a change.
    Restart,
    /// It does not: only other data is a change.
    Content,
}

/// `--on-delete`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::config) enum DeleteChoice {
    /// It does not: nothing happens until the source is back.
    Wait,
    /// It does, once: the new pods start without the source.
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
