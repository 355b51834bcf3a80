//! What people ask of alerts.
//!
//! A webhook's URL is a secret: whoever knows it can post. `Debug` and errors show its scheme and host only.

use std::{fmt, path::PathBuf, str::FromStr, sync::Arc, time::Duration};

use axum::http::Uri;
use hyper_util::client::proxy::matcher::Matcher;

/// What to tell people outside of the cluster, and how.
#[derive(Clone, Debug)]
pub struct AlertSettings {
    /// The form of messages.
    pub sink: AlertSinkKind,
    /// Where to post them.
    pub target: AlertTarget,
    /// What to tell.
    pub on: Vec<AlertKind>,
    /// A text before every message; may be empty.
    pub prefix: String,
    /// How long alerts are gathered for one message. Zero makes each alert a message.
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
    /// The URL that this file holds at the time.
    File(PathBuf),
}

/// The URL of a webhook. `Debug` shows its scheme and host only, because whoever knows the rest can post.
#[derive(Clone, PartialEq, Eq)]
pub struct AlertUrl(Uri);

/// The form of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertSinkKind {
    /// An incoming webhook of Slack, or of a chat that understands those.
    Slack,
    /// A webhook of Microsoft Teams' Workflows.
    Teams,
    /// A webhook of a Google Chat space.
    Gchat,
    /// reroll's own JSON.
    Json,
    /// Plain text.
    Text,
}

/// What an alert is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertKind {
    /// reroll restarted a workload.
    Restarted,
    /// A restart keeps failing.
    Failing,
}

/// A text is no URL that alerts could be posted to. Says what is expected, and never what was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", AlertUrlError::FORM)]
pub struct AlertUrlError;

// === impl AlertUrl ===

impl AlertUrlError {
    /// What is expected.
    pub const FORM: &str = "expected a URL such as https://hooks.example/services/…, by http or https, without a user name (what was given is a secret, and not shown)";
}

impl AlertUrl {
    /// Returns the whole URL.
    pub fn secret(&self) -> &Uri {
        &self.0
    }

    /// Returns the host, for logs.
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

// === impl AlertSinkKind ===

impl AlertSinkKind {
    /// Returns the word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Slack => "slack",
            Self::Teams => "teams",
            Self::Gchat => "gchat",
            Self::Json => "json",
            Self::Text => "text",
        }
    }
}

// === impl AlertKind ===

impl AlertKind {
    /// Returns the word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Restarted => "restarted",
            Self::Failing => "failing",
        }
    }
}
