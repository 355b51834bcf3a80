//! Logs, on stderr.
//!
//! Two rules keep the data of Secrets out, whatever filter the user asks for:
//! - What kube prints of an API server and its answers is left out, see `may_print`. At `warn`, its client prints a whole response
//!   that it cannot decode (a page of a Secret list may be one), and its watcher the bodies of 403s. At `debug`, they print
//!   bodies of errors, and decoding errors, which quote values.
//! - Of a panic only the place is logged: its message may hold anything.
//!
//! And one keeps lines short, whatever they quote: names in templates, annotations and answers of API servers can have any
//! length, and a user of one namespace writes them. A line of more than `LONGEST_LINE` bytes is cut, see `Short`.
//!
//! Spans are left out of the output: an event carries the fields that it needs.

use std::{
    io::{self, IsTerminal as _, Write},
    panic::PanicHookInfo,
};

use serde_json::Value;

use tracing::{Metadata, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    filter::{EnvFilter, filter_fn},
    fmt::MakeWriter,
    layer::{Layer as _, SubscriberExt as _},
    util::SubscriberInitExt as _,
};

use crate::model::text::shortened_to_bytes;

/// The most bytes of a line.
const LONGEST_LINE: usize = 8 * 1024;
/// The most bytes of each text in a line of JSON that is cut.
const LONGEST_TEXT: usize = 512;

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
    let json = format == LogFormat::Json;
    let writer = Shortening { to: writer, json };
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

/// Makes writers that cut lines that are too long.
struct Shortening<M> {
    to: M,
    json: bool,
}

impl<'a, M: MakeWriter<'a>> MakeWriter<'a> for Shortening<M> {
    type Writer = Short<M::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        Short {
            to: self.to.make_writer(),
            json: self.json,
        }
    }
}

/// Cuts lines that are too long. Each line comes in one piece.
struct Short<W> {
    to: W,
    json: bool,
}

impl<W: Write> Write for Short<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if line.len() <= LONGEST_LINE {
            self.to.write_all(line)?;
        } else {
            let cut = if self.json { short_json(line) } else { None };
            let cut = cut.unwrap_or_else(|| short_text(line));
            writeln!(self.to, "{cut}")?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

fn short_text(line: &[u8]) -> String {
    let line = String::from_utf8_lossy(line);
    shortened_to_bytes(line.trim_end(), LONGEST_LINE - 1).into_owned()
}

/// Returns a line of JSON with each text cut; `None` where it stays too long all the same.
fn short_json(line: &[u8]) -> Option<String> {
    let mut line: Value = serde_json::from_slice(line).ok()?;
    for text in line.as_object_mut()?.values_mut() {
        if let Value::String(text) = text {
            *text = shortened_to_bytes(text, LONGEST_TEXT).into_owned();
        }
    }
    Some(line.to_string()).filter(|line| line.len() < LONGEST_LINE)
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
    use super::*;
    use crate::cluster::testing::log::{Log, heard};

    fn logged(format: LogFormat, filter: &str, work: impl FnOnce()) -> String {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = subscriber(format, filter.parse().unwrap(), move || writer.clone());
        let _heard = heard();
        tracing::subscriber::with_default(subscriber, work);
        log.take()
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
    fn long_lines_are_cut_and_are_lines_of_their_form_all_the_same() {
        let long = "ü".repeat(10_000);
        let say = || {
            tracing::info!(name = long, count = 7, "{}", "said");
            tracing::info!("next");
        };
        let json = logged(LogFormat::Json, "info", say);
        let lines: Vec<Value> = json
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["name"].as_str().unwrap().len(), LONGEST_TEXT - 1);
        assert_eq!(
            (&lines[0]["count"], &lines[0]["message"]),
            (&Value::from(7), &Value::from("said"))
        );
        assert_eq!(lines[1]["message"], "next");

        let human = logged(LogFormat::Human, "info", say);
        let lines: Vec<_> = human.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(
            lines[0].len() < LONGEST_LINE && lines[0].ends_with('…'),
            "{}",
            lines[0]
        );
        assert!(lines[1].ends_with("next"), "{}", lines[1]);
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
