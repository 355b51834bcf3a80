//! Logs, on stderr.
//!
//! Two rules keep the data of Secrets out, whatever filter the user asks for:
//! - What kube prints of an API server and its answers is left out, see `may_print`. At `warn`, its client prints a whole response
//!   that it cannot decode (a page of a Secret list may be one), and its watcher the bodies of 403s. At `debug`, they print
//!   bodies of errors, and decoding errors, which quote values.
//! - Of a panic only the place is logged: its message may hold anything.
//!
//! Spans are left out of the output: an event carries the fields that it needs.

use std::{io::IsTerminal as _, panic::PanicHookInfo};

use tracing::{Metadata, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    filter::{EnvFilter, filter_fn},
    fmt::MakeWriter,
    layer::{Layer as _, SubscriberExt as _},
    util::SubscriberInitExt as _,
};

/// What to log, and how.
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// The form of lines.
    pub format: LogFormat,
    /// The filter directives.
    pub filter: String,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// [`Human`](Self::Human) on a terminal, else [`Json`](Self::Json).
    Auto,
    /// One line for a person.
    Human,
    /// One JSON object per line.
    Json,
}

/// Logging cannot begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoggingError {
    /// The filter directives cannot be read.
    #[error("--log cannot be used: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// The process has a subscriber already.
    #[error("logging was set up twice: {0}")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
}

impl LogFormat {
    /// Returns the word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Human => "human",
            Self::Json => "json",
        }
    }
}

/// Begins to log to stderr, for the whole process, and has panics logged as well.
///
/// # Errors
/// When the filter cannot be read, for which settings have been checked; or when logging has begun already.
pub fn init(settings: &LogSettings) -> Result<(), LoggingError> {
    let format = match settings.format {
        LogFormat::Auto if std::io::stderr().is_terminal() => LogFormat::Human,
        LogFormat::Auto => LogFormat::Json,
        format => format,
    };
    let filter = EnvFilter::builder().parse(&settings.filter)?;
    subscriber(format, filter, std::io::stderr).try_init()?;
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

/// Logs where a panic happened, but not its message, which may quote what was being worked on.
fn log_panic(info: &PanicHookInfo<'_>) {
    let location = info.location().map(ToString::to_string);
    tracing::error!(
        location,
        thread = std::thread::current().name(),
        "panic; its message is withheld, as it may hold a Secret's data"
    );
}

fn subscriber<W>(
    format: LogFormat,
    filter: EnvFilter,
    writer: W,
) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let layer = tracing_subscriber::fmt::layer().with_writer(writer);
    let layer = if format == LogFormat::Human {
        layer.with_ansi(std::io::stderr().is_terminal()).boxed()
    } else {
        layer
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .boxed()
    };
    let layer = layer.with_filter(filter).with_filter(filter_fn(may_print));
    Box::new(tracing_subscriber::registry().with(layer))
}

/// Keeps out spans, and what kube prints of an API server's answers (kube 5.0.0: `client/mod.rs` lines 291 and 331 for whole
/// bodies at `warn`, `watcher.rs` for errors at `debug` and `warn`). reroll gets what goes wrong there as an error as well.
/// Of each request that fails, kube's client prints a line at `error` that says neither what nor where (`client/builder.rs`
/// line 400). [`crate::cluster::reach`] says that once.
fn may_print(metadata: &Metadata<'_>) -> bool {
    let most = match metadata.target().split("::").next() {
        Some("kube_client") => LevelFilter::OFF,
        Some("kube_runtime") => LevelFilter::ERROR,
        _ => LevelFilter::TRACE,
    };
    metadata.is_event() && *metadata.level() <= most
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, filter: &str, work: impl FnOnce()) -> String {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let subscriber = subscriber(format, filter.parse().unwrap(), move || writer.clone());
        tracing::subscriber::with_default(subscriber, work);
        let bytes = buffer.0.lock().unwrap();
        String::from_utf8(bytes.clone()).unwrap()
    }

    fn work_in_a_span() {
        tracing::info_span!("review", noise = 1).in_scope(|| {
            tracing::info!(workload = "prod/web", restarts = 2, "restarted");
            tracing::debug!("not asked for");
        });
    }

    #[test]
    fn json_is_flat_and_has_no_spans() {
        let text = logged(LogFormat::Json, "info", work_in_a_span);
        let mut line: serde_json::Value = serde_json::from_str(&text).unwrap();
        let time = line.as_object_mut().unwrap().remove("timestamp").unwrap();
        assert!(
            time.as_str().unwrap().parse::<jiff::Timestamp>().is_ok(),
            "{time}"
        );
        assert_eq!(
            line,
            serde_json::json!({
                "level": "INFO", "target": "reroll::ops::logging::tests", "message": "restarted",
                "workload": "prod/web", "restarts": 2,
            })
        );
    }

    #[test]
    fn human_has_one_line_without_spans() {
        let text = logged(LogFormat::Human, "info", work_in_a_span);
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(
            text.contains("restarted workload=\"prod/web\" restarts=2"),
            "{text}"
        );
        assert!(!text.contains("noise"), "{text}");
    }

    #[test]
    fn what_kube_prints_is_withheld_even_at_trace() {
        let text = logged(LogFormat::Json, "trace", || {
            tracing::warn!(target: "kube_client::client", "{{\"data\": \"hunter2\"}}");
            tracing::debug!(target: "kube_runtime::watcher", "invalid type: \"hunter2\"");
            tracing::error!(target: "kube_client::client::builder", "failed with status 500");
            tracing::warn!(target: "kube_runtime::watcher", "403: \"hunter2\"");
            tracing::trace!(target: "reroll", "seen");
        });
        assert!(!text.contains("hunter2"), "{text}");
        assert!(!text.contains("kube_client"), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
    }

    #[test]
    fn a_panic_is_logged_without_its_message() {
        let text = logged(LogFormat::Json, "info", || {
            let previous = std::panic::take_hook();
            std::panic::set_hook(Box::new(log_panic));
            let result = std::panic::catch_unwind(|| panic!("hunter2"));
            std::panic::set_hook(previous);
            assert!(result.is_err());
        });
        assert!(text.contains("src/ops/logging.rs:"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}
