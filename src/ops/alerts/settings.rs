//! Alerts: the flags, and the settings that they come to.
//!
//! A webhook's URL is a secret: whoever knows it can post. So is a proxy's password. Neither is parsed by clap, which
//! prints a value that it refuses, and neither shows in the help, in `Debug` or in an error.

mod args;

use std::{fmt, path::PathBuf, str::FromStr, sync::Arc, time::Duration};

use axum::http::Uri;
use clap::ValueEnum;
use hyper_util::client::proxy::matcher::Matcher;

pub(super) use args::AlertArgs;

/// What is told to people outside of the cluster, and how.
#[derive(Clone, Debug)]
pub struct AlertSettings {
    /// Whose form of message.
    pub sink: AlertSinkKind,
    /// Where to.
    pub target: AlertTarget,
    /// What about.
    pub on: Vec<AlertKind>,
    /// Put before every message; may be empty.
    pub prefix: String,
    /// What comes within this time is one message; zero: each alert is.
    pub window: Duration,
    /// The longest that one try may take.
    pub timeout: Duration,
    /// The proxy for a URL, if it has one.
    pub proxy: Arc<Matcher>,
    /// Authorities to trust besides the system's, as PEM.
    pub ca_file: Option<PathBuf>,
}

/// Where alerts are posted to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlertTarget {
    /// This URL.
    Url(AlertUrl),
    /// What this file holds at the time.
    File(PathBuf),
}

/// The URL of a webhook. Shows its scheme and host only: the rest lets everybody post.
#[derive(Clone, PartialEq, Eq)]
pub struct AlertUrl(Uri);

/// Whose form of message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AlertSinkKind {
    /// An incoming webhook of Slack, or of what understands those
    Slack,
    /// A webhook of Microsoft Teams' Workflows
    Teams,
    /// A webhook of a Google Chat space
    Gchat,
    /// reroll's own JSON
    Json,
    /// Plain text
    Text,
}

/// What an alert is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AlertKind {
    /// A workload was restarted
    Restarted,
    /// A restart keeps failing
    Failing,
}

// === impl AlertUrl ===

/// A text is no URL that alerts could be posted to. Says what is expected, and not what was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", AlertUrlError::FORM)]
pub struct AlertUrlError;

impl AlertUrlError {
    const FORM: &str = "expected a URL such as https://hooks.example/services/…, by http or https, without a user name (what was given is a secret, and not shown)";
}

impl AlertUrl {
    /// The whole of it.
    pub fn secret(&self) -> &Uri {
        &self.0
    }

    /// The host, for logs.
    pub fn host(&self) -> &str {
        self.0.host().unwrap_or_default()
    }
}

impl FromStr for AlertUrl {
    type Err = AlertUrlError;

    fn from_str(text: &str) -> Result<Self, AlertUrlError> {
        let url: Uri = text.trim().parse().map_err(|_| AlertUrlError)?;
        let scheme = matches!(url.scheme_str(), Some("http" | "https"));
        let authority = url.authority().is_some_and(|authority| {
            !authority.host().is_empty() && !authority.as_str().contains('@')
        });
        if scheme && authority {
            Ok(Self(url))
        } else {
            Err(AlertUrlError)
        }
    }
}

impl fmt::Debug for AlertUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}://{}/…",
            self.0.scheme_str().unwrap_or_default(),
            self.host()
        )
    }
}

#[cfg(test)]
mod tests;
