//! What a person types about alerts, and what Reloader's users have set already.
//!
//! The URL of a webhook is a secret, and so is a proxy's password. clap prints a value that it refuses, so it does not
//! parse these. Neither shows in the help, in `Debug` or in an error.

use std::{convert::Infallible, fmt, path::PathBuf, str::FromStr, sync::Arc, time::Duration};

use axum::http::Uri;
use clap::Args;
use hyper_util::client::proxy::matcher::Matcher;

use crate::{
    config::{choice::one_of, error::ConfigError, values::between},
    ops::alerts::settings::{AlertKind, AlertSettings, AlertSinkKind, AlertTarget, AlertUrlError},
};

#[derive(Debug, Args)]
#[command(next_help_heading = "Alerts")]
pub(in crate::config) struct AlertArgs {
    /// The webhook to post to after a restart, and when one keeps failing; never shown [default: no alerts]
    #[arg(
        long,
        value_name = "URL",
        env = "REROLL_ALERT_URL",
        hide_env_values = true
    )]
    alert_url: Option<Unshown>,

    /// A file with that URL, such as a mounted Secret's; reroll reads it for every message
    #[arg(long, value_name = "FILE", env = "REROLL_ALERT_URL_FILE")]
    alert_url_file: Option<PathBuf>,

    /// The message format that the webhook takes
    #[arg(
        long,
        value_name = "SINK",
        env = "REROLL_ALERT_SINK",
        value_parser = one_of(&SINKS, AlertSinkKind::as_str)
    )]
    alert_sink: Option<AlertSinkKind>,

    /// What to post, separated by commas
    #[arg(
        long,
        value_name = "KINDS",
        env = "REROLL_ALERT_ON",
        default_value = "restarted,failing",
        value_delimiter = ',',
        value_parser = one_of(&KINDS, AlertKind::as_str)
    )]
    alert_on: Vec<AlertKind>,

    /// Text before every message, such as the name of the cluster
    #[arg(long, value_name = "TEXT", env = "REROLL_ALERT_PREFIX")]
    alert_prefix: Option<String>,

    /// How long to gather alerts into one message; with 0s each alert is a message
    #[arg(
        long,
        value_name = "DURATION",
        env = "REROLL_ALERT_WINDOW",
        default_value = "5s",
        allow_hyphen_values = true,
        value_parser = between("0s", "24h")
    )]
    alert_window: Duration,

    /// The timeout of one try to post
    #[arg(
        long,
        value_name = "DURATION",
        env = "REROLL_ALERT_TIMEOUT",
        default_value = "10s",
        allow_hyphen_values = true,
        value_parser = between("100ms", "1h")
    )]
    alert_timeout: Duration,

    #[arg(
        long,
        help = "The HTTP proxy to post through [default: from HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY]",
        value_name = "URL",
        env = "REROLL_ALERT_PROXY",
        hide_env_values = true
    )]
    alert_proxy: Option<Unshown>,

    /// Authorities to trust besides the system's, as PEM; reroll reads them for every message
    #[arg(long, value_name = "FILE", env = "REROLL_ALERT_CA_FILE")]
    alert_ca_file: Option<PathBuf>,

    #[command(flatten)]
    reloader: ReloaderAlertArgs,
}

/// `--alert-sink`
const SINKS: [(AlertSinkKind, &str); 5] = [
    (
        AlertSinkKind::Slack,
        "An incoming webhook of Slack, or of what understands those",
    ),
    (
        AlertSinkKind::Teams,
        "A webhook of Microsoft Teams' Workflows",
    ),
    (AlertSinkKind::Gchat, "A webhook of a Google Chat space"),
    (AlertSinkKind::Json, "reroll's own JSON"),
    (AlertSinkKind::Text, "Plain text"),
];

/// `--alert-on`
const KINDS: [(AlertKind, &str); 2] = [
    (AlertKind::Restarted, "A workload was restarted"),
    (AlertKind::Failing, "A restart keeps failing"),
];

/// The variables that Reloader's users have set. They count where `ALERT_ON_RELOAD` is `true`, and reroll's own win.
#[derive(Debug, Args)]
#[expect(
    clippy::struct_field_names,
    reason = "they are the names of hidden flags, which stand beside all others"
)]
struct ReloaderAlertArgs {
    #[arg(long, hide = true, env = "ALERT_ON_RELOAD")]
    reloader_alert_on_reload: Option<String>,
    #[arg(long, hide = true, env = "ALERT_WEBHOOK_URL", hide_env_values = true)]
    reloader_alert_webhook_url: Option<Unshown>,
    #[arg(long, hide = true, env = "ALERT_SINK")]
    reloader_alert_sink: Option<String>,
    #[arg(long, hide = true, env = "ALERT_ADDITIONAL_INFO")]
    reloader_alert_additional_info: Option<String>,
    #[arg(long, hide = true, env = "ALERT_WEBHOOK_PROXY", hide_env_values = true)]
    reloader_alert_webhook_proxy: Option<Unshown>,
}

/// A value that is never printed.
#[derive(Clone)]
struct Unshown(String);

/// Returns the error about a setting of alerts.
fn refuse<T>(flag: &'static str, problem: &'static str) -> Result<T, ConfigError> {
    Err(ConfigError::Alerts { flag, problem })
}

/// Returns what is given. A variable that is set to nothing is not.
fn given(value: Option<&Unshown>) -> Option<&str> {
    value
        .map(|Unshown(text)| text.trim())
        .filter(|text| !text.is_empty())
}

fn path(value: Option<&PathBuf>) -> Option<PathBuf> {
    value.filter(|path| !path.as_os_str().is_empty()).cloned()
}

// === impl AlertArgs ===

impl AlertArgs {
    /// Returns the settings; `None` where the user wants no alerts.
    pub(in crate::config) fn settings(&self) -> Result<Option<AlertSettings>, ConfigError> {
        let fallback = self.reloader.wanted();
        let Some(target) = self.target(fallback)? else {
            if self.alert_sink.is_some() {
                return refuse("--alert-sink", "needs --alert-url or --alert-url-file");
            }
            return Ok(None);
        };
        let sink = self
            .alert_sink
            .or_else(|| fallback.map(ReloaderAlertArgs::sink));
        let Some(sink) = sink else {
            return refuse(
                "--alert-sink",
                "is needed where alerts have a URL: slack, teams, gchat, json or text",
            );
        };
        let info = fallback.and_then(|other| other.reloader_alert_additional_info.as_ref());
        let prefix = self.alert_prefix.as_ref().or(info);
        Ok(Some(AlertSettings {
            sink,
            target,
            on: self.alert_on.clone(),
            prefix: prefix.map_or_else(String::new, |text| text.trim().to_owned()),
            window: self.alert_window,
            timeout: self.alert_timeout,
            proxy: Arc::new(self.proxy(fallback)?),
            ca_file: path(self.alert_ca_file.as_ref()),
        }))
    }

    /// Returns what is to be said of Reloader's variables, which say that alerts are wanted and not where.
    pub(in crate::config) fn doubt(&self) -> Option<&'static str> {
        let other = self.reloader.wanted()?;
        let own = given(self.alert_url.as_ref()).is_some()
            || path(self.alert_url_file.as_ref()).is_some();
        let theirs = given(other.reloader_alert_webhook_url.as_ref()).is_some();
        (!own && !theirs).then_some(
            "ALERT_ON_RELOAD is true, and there is no URL: no alert is sent; give --alert-url, or ALERT_WEBHOOK_URL",
        )
    }

    fn target(
        &self,
        fallback: Option<&ReloaderAlertArgs>,
    ) -> Result<Option<AlertTarget>, ConfigError> {
        let read = |flag, text: &str| match text.parse() {
            Ok(url) => Ok(Some(AlertTarget::Url(url))),
            Err(AlertUrlError) => refuse(flag, AlertUrlError::FORM),
        };
        let url = given(self.alert_url.as_ref());
        match (url, path(self.alert_url_file.as_ref())) {
            (Some(_), Some(_)) => refuse("--alert-url", "excludes --alert-url-file"),
            (Some(url), None) => read("--alert-url", url),
            (None, Some(file)) => Ok(Some(AlertTarget::File(file))),
            (None, None) => match fallback {
                None => Ok(None),
                Some(other) => match given(other.reloader_alert_webhook_url.as_ref()) {
                    Some(url) => read("ALERT_WEBHOOK_URL", url),
                    None => Ok(None),
                },
            },
        }
    }

    fn proxy(&self, fallback: Option<&ReloaderAlertArgs>) -> Result<Matcher, ConfigError> {
        let own = given(self.alert_proxy.as_ref()).map(|text| ("--alert-proxy", text));
        let other = || {
            let proxy = fallback?.reloader_alert_webhook_proxy.as_ref();
            given(proxy).map(|text| ("ALERT_WEBHOOK_PROXY", text))
        };
        let Some((flag, text)) = own.or_else(other) else {
            return Ok(Matcher::from_env());
        };
        let matcher = Matcher::builder().all(text).build();
        let proxy = matcher.intercept(&Uri::from_static("https://anywhere"));
        match proxy.as_ref().and_then(|proxy| proxy.uri().scheme_str()) {
            Some("http" | "https") => Ok(matcher),
            _ => refuse(
                flag,
                "expected the URL of an HTTP proxy such as http://proxy.example:3128",
            ),
        }
    }
}

// === impl ReloaderAlertArgs ===

impl ReloaderAlertArgs {
    fn wanted(&self) -> Option<&Self> {
        let on = self.reloader_alert_on_reload.as_deref();
        on.is_some_and(|text| text.trim().eq_ignore_ascii_case("true"))
            .then_some(self)
    }

    /// Returns the form of messages. Reloader sends plain text to a sink that it does not know.
    fn sink(&self) -> AlertSinkKind {
        let given = self.reloader_alert_sink.as_deref().unwrap_or_default();
        match given.trim().to_ascii_lowercase().as_str() {
            "slack" => AlertSinkKind::Slack,
            "teams" => AlertSinkKind::Teams,
            "gchat" => AlertSinkKind::Gchat,
            _ => AlertSinkKind::Text,
        }
    }
}

// === impl Unshown ===

impl FromStr for Unshown {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for Unshown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(not shown)")
    }
}

#[cfg(test)]
mod tests;
