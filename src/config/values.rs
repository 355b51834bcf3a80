//! The small languages of single values: durations, sizes, names.

use std::time::Duration;

use axum::http::Uri;
use tracing_subscriber::EnvFilter;

use crate::model::{
    naming::{is_label, is_object_name},
    text::{NoDuration, read_duration},
};

/// A value cannot be read. The message says what would be accepted; clap adds the flag's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct ValueError(String);

/// How durations are written.
const FORM: &str = "expected a duration such as 500ms, 5s, 2m or 1h30m";

pub(super) fn refuse<T>(message: impl Into<String>) -> Result<T, ValueError> {
    Err(ValueError(message.into()))
}

/// Reads a duration as people write it: `500ms`, `5s`, `2m`, `1h30m`, `0s`.
///
/// Days and longer are refused, because a day is not always 24 hours. Negative durations are refused as well.
pub(super) fn parse_duration(value: &str) -> Result<Duration, ValueError> {
    match read_duration(value) {
        Ok(duration) => Ok(duration),
        Err(NoDuration::Unreadable) => refuse(FORM),
        Err(NoDuration::Negative) => refuse(format!("a duration cannot be negative; {FORM}")),
    }
}

/// Returns what reads a duration between these two, which are written as people write them, and both allowed. Each flag has
/// bounds, so that a slip (`100ms` for a Lease, `24000h` for a quiet period) is told at once, and not by what it does.
pub(super) fn between(
    least: &'static str,
    most: &'static str,
) -> impl Fn(&str) -> Result<Duration, ValueError> + Clone + Send + Sync + 'static {
    move |value| {
        let told = format!("must be between {least} and {most}");
        match read_duration(value) {
            Ok(given) if given < parse_duration(least)? || given > parse_duration(most)? => {
                refuse(told)
            }
            Ok(given) => Ok(given),
            Err(NoDuration::Negative) => refuse(told),
            Err(NoDuration::Unreadable) => refuse(format!("{FORM}; it {told}")),
        }
    }
}

/// Reads a size in bytes: `1048576`, `512KiB`, `17MiB`, at least 1 and at most 1 GiB.
pub(super) fn parse_size(value: &str) -> Result<usize, ValueError> {
    const UNITS: [(&str, usize); 3] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
    let value = value.trim();
    let (number, unit) = UNITS
        .iter()
        .find_map(|&(suffix, unit)| Some((value.strip_suffix(suffix)?.trim_end(), unit)))
        .unwrap_or((value, 1));
    match number
        .parse::<usize>()
        .ok()
        .and_then(|n| n.checked_mul(unit))
    {
        Some(bytes @ 1..=0x4000_0000) => Ok(bytes),
        Some(_) => refuse("must be between 1 and 1GiB"),
        None => refuse("expected a size in bytes such as 1048576, 512KiB or 17MiB"),
    }
}

/// Reads a rate per second; 0 stands for "no limit".
pub(super) fn parse_rate(value: &str) -> Result<f64, ValueError> {
    match value.trim().parse::<f64>() {
        Ok(rate) if rate.is_finite() && rate >= 0.0 => Ok(rate),
        _ => refuse("expected a number per second such as 20 or 0.5, or 0 for no limit"),
    }
}

/// Reads the name of a namespace (a DNS label, RFC 1123). The empty string is allowed: an environment variable that is
/// set to nothing means "all namespaces".
pub(super) fn parse_namespace(value: &str) -> Result<String, ValueError> {
    let value = value.trim();
    if value.is_empty() || is_label(value) {
        return Ok(value.to_owned());
    }
    refuse(
        "a namespace's name has at most 63 lower-case letters, digits and '-', and begins and ends without '-'",
    )
}

/// Reads the name of a namespace that the user must name.
pub(super) fn parse_one_namespace(value: &str) -> Result<String, ValueError> {
    match parse_namespace(value)? {
        name if name.is_empty() => refuse("a namespace's name cannot be empty"),
        name => Ok(name),
    }
}

/// Reads an annotation's key: a name of at most 63 characters, after an optional DNS subdomain and a slash.
pub(super) fn parse_annotation(value: &str) -> Result<String, ValueError> {
    let value = value.trim();
    let (domain, name) = value
        .split_once('/')
        .map_or((None, value), |(domain, name)| (Some(domain), name));
    let outer = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let bytes = name.as_bytes();
    let named = bytes.len() <= 63
        && bytes.iter().all(|byte| inner(*byte))
        && outer(bytes.first())
        && outer(bytes.last());
    if named && domain.is_none_or(|domain| parse_object_name(domain).is_ok()) {
        return Ok(value.to_owned());
    }
    refuse("expected an annotation's key such as example.com/reload")
}

/// Reads the type of a Secret, as in `helm.sh/release.v1`. API servers take any text for one; those that need escaping in a
/// field selector, or in a match condition, are refused. The empty string is allowed: it means none.
pub(super) fn parse_secret_type(value: &str) -> Result<String, ValueError> {
    let value = value.trim();
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
    if value.len() <= 253 && value.bytes().all(inner) {
        return Ok(value.to_owned());
    }
    refuse(
        "expected a Secret's type such as helm.sh/release.v1: at most 253 letters, digits, '-', '_', '.' and '/'",
    )
}

/// Reads the name of an object (a DNS subdomain, RFC 1123).
pub(super) fn parse_object_name(value: &str) -> Result<String, ValueError> {
    let value = value.trim();
    if is_object_name(value) {
        return Ok(value.to_owned());
    }
    refuse("an object's name has lower-case letters, digits, '-' and '.', and is not empty")
}

/// Reads a webhook's URL under the API server's own rules for `clientConfig.url`: `https`, a host, and neither user
/// name nor query.
pub(super) fn parse_webhook_url(value: &str) -> Result<Uri, ValueError> {
    const FORM: &str = "expected a URL such as https://127.0.0.1:8443";
    let value = value.trim();
    let Ok(url) = value.parse::<Uri>() else {
        return refuse(FORM);
    };
    if url.scheme_str() != Some("https") {
        return refuse(format!(
            "the API server calls webhooks by https only; {FORM}"
        ));
    }
    // `Uri` drops a fragment silently.
    let plain = url.query().is_none() && !value.contains(['@', '#']);
    if url.host().is_none_or(str::is_empty) || !plain {
        return refuse(format!(
            "a webhook's URL has a host, no user name and no query; {FORM}"
        ));
    }
    Ok(url)
}

/// Checks log filter directives, and returns them as they are. The filter itself is built where logging begins.
pub(super) fn parse_log_filter(value: &str) -> Result<String, ValueError> {
    match EnvFilter::builder().parse(value) {
        Ok(_) => Ok(value.to_owned()),
        Err(error) => refuse(format!(
            "{error}; expected directives such as info or info,reroll=debug"
        )),
    }
}
