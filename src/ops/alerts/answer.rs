//! What a webhook's answer means.

use std::time::Duration;

use axum::http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{DATE, RETRY_AFTER},
};
use jiff::fmt::rfc2822;

use super::delivery::Delivery;

/// Returns whether the webhook took the message, and whether another try may help.
pub(super) fn delivery(status: StatusCode, headers: &HeaderMap) -> Delivery {
    match status.as_u16() {
        200..=299 => Delivery::Taken,
        300..=399 => Delivery::Refused(format!("answered {status}; redirects are not followed")),
        429 | 500..=599 => Delivery::Failed(format!("answered {status}"), asked_to_wait(headers)),
        _ => Delivery::Refused(format!("answered {status}")),
    }
}

/// Reads `Retry-After` (RFC 9110, 10.2.3): seconds, or a time, which is compared with the server's own clock.
fn asked_to_wait(headers: &HeaderMap) -> Option<Duration> {
    let text = |value: &HeaderValue| value.to_str().ok().map(|text| text.trim().to_owned());
    let after = headers.get(RETRY_AFTER).and_then(text)?;
    if let Ok(seconds) = after.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let now = headers.get(DATE).and_then(text)?;
    let (after, now) = (rfc2822::parse(&after).ok()?, rfc2822::parse(&now).ok()?);
    after
        .timestamp()
        .duration_since(now.timestamp())
        .try_into()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, headers: &[(&'static str, &'static str)]) -> Delivery {
        let pair = |(name, value): &(&'static str, &'static str)| {
            let name = axum::http::HeaderName::from_static(name);
            (name, HeaderValue::from_static(value))
        };
        let headers = headers.iter().map(pair).collect();
        delivery(StatusCode::from_u16(status).unwrap(), &headers)
    }

    #[test]
    fn what_may_pass_is_tried_again_and_nothing_else() {
        for status in [200, 202, 204] {
            assert_eq!(answered(status, &[]), Delivery::Taken);
        }
        for status in [429, 500, 502, 503, 599] {
            assert!(matches!(answered(status, &[]), Delivery::Failed(_, None)));
        }
        for status in [301, 302, 307, 308, 400, 401, 403, 404, 407, 410, 413] {
            assert!(matches!(answered(status, &[]), Delivery::Refused(_)));
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_time() {
        let asked = |headers: &[_]| match answered(429, headers) {
            Delivery::Failed(_, asked) => asked.map(|asked| asked.as_secs()),
            other => panic!("{other:?}"),
        };
        let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(asked(&[("retry-after", "7")]), Some(7));
        let later = ("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT");
        assert_eq!(asked(&[date, later]), Some(30));
        // Already past, no clock to compare with, and nonsense.
        let past = ("retry-after", "Sun, 06 Nov 1994 08:00:00 GMT");
        assert_eq!(asked(&[date, past]), None);
        assert_eq!(asked(&[later]), None);
        assert_eq!(asked(&[("retry-after", "soon"), date]), None);
        assert_eq!(asked(&[("retry-after", "-7")]), None);
    }
}
