//! What all commands take that ask an API server.

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};

use crate::{
    cli::error::Error, cluster::connection::ConnectionSettings, model::text::read_duration,
};

/// What all commands take.
#[derive(Debug, Args)]
#[command(next_help_heading = "Connection and output")]
pub struct Asking {
    /// The kubeconfig file [default: KUBECONFIG, or ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,

    /// The kubeconfig context [default: the current one]
    #[arg(long, value_name = "NAME")]
    context: Option<String>,

    /// The namespace [default: that of the context]
    #[arg(short, long, value_name = "NAME")]
    pub(in crate::cli) namespace: Option<String>,

    /// The namespace that reroll runs in [default: it is looked for]
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) reroll_namespace: Option<String>,

    /// How to print the answer
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub(in crate::cli) output: Format,

    /// Whether to print in colour
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub(in crate::cli) color: Color,

    /// How long each call to the API server may take
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    pub(in crate::cli) request_timeout: Duration,
}

/// How to print an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Table,
    /// For people, with more columns
    Wide,
    /// For programs
    Json,
    /// For programs, as YAML
    Yaml,
}

/// Whether to print in colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl Asking {
    /// Returns how to connect, and the namespace that is meant where none is named.
    pub(in crate::cli) async fn connection(&self) -> Result<(kube::Config, String), Error> {
        let settings = ConnectionSettings {
            kubeconfig: self.kubeconfig.clone(),
            context: self.context.clone(),
            request_timeout: self.request_timeout,
        };
        let config = settings.client_config().await?;
        let namespace = self.namespace.clone();
        let namespace = namespace.unwrap_or_else(|| config.default_namespace.clone());
        Ok((config, namespace))
    }
}

/// Reads a duration of the command line.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    match read_duration(text) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err("expected a duration such as 500ms, 5s or 2m".to_owned()),
    }
}
