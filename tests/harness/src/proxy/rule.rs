//! Rules: which requests meet which fault.

use std::time::Duration;

use axum::{
    body::Body,
    http::{Response, StatusCode, header},
};
use serde_json::{Value, json};

use super::traffic::RequestLine;

/// What goes wrong. If several rules match a request, delays add up and of [`Fault::Cut`] and [`Fault::Answer`] the
/// rule added first decides.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Every chunk of the answer's body arrives this much later, in order. A delay line: throughput stays. Answers in
    /// flight are delayed from their next chunk on; once the rule is gone, what is in the line keeps its time.
    DelayBody(Duration),
    /// The request goes upstream this much later. Requests in flight are left alone, and one that is held back stays so
    /// when the rule goes.
    DelayRequest(Duration),
    /// The answer's body stops flowing and the connection stays open, for answers in flight too, until the rule is
    /// removed. Then it goes on where it was. The status line and the headers are passed on.
    Stall,
    /// The connections of requests in flight are reset, and new requests are, before they go upstream.
    Cut,
    /// The proxy answers and does not ask upstream. Requests in flight are left alone.
    Answer(Answer),
    /// The request goes upstream, the answer comes back (in full, unless it is a watch), and the connection is reset
    /// without it: the write has happened and its answer is lost. Requests in flight are left alone.
    LoseAnswer,
    /// Every event of a watch is sent twice, in watches in flight from the next whole event on. Other answers are left
    /// alone.
    DuplicateEvents,
}

impl Fault {
    /// Whether the fault reaches requests that were in flight when its rule was added.
    pub(super) fn reaches_in_flight(&self) -> bool {
        matches!(
            self,
            Self::DelayBody(_) | Self::Stall | Self::Cut | Self::DuplicateEvents
        )
    }
}

/// An answer that the proxy gives itself.
#[derive(Clone, Debug)]
pub struct Answer {
    pub(super) status: StatusCode,
    headers: Vec<(String, String)>,
    body: Value,
}

impl Answer {
    /// `body`, as JSON, with an HTTP status code.
    ///
    /// # Panics
    /// If `code` is no HTTP status code.
    pub fn new(code: u16, body: Value) -> Self {
        let status = StatusCode::from_u16(code).expect("an HTTP status code");
        Self {
            status,
            headers: Vec::new(),
            body,
        }
    }

    /// A Kubernetes `Status` failure: `(429, "TooManyRequests", …)`, `(409, "Conflict", …)`.
    pub fn status(code: u16, reason: &str, message: &str) -> Self {
        Self::new(code, failure(code, reason, message))
    }

    /// A watch that is opened, sends one ERROR event and ends, as the API server does for an old resource version:
    /// `(410, "Expired", …)`.
    pub fn watch_error(code: u16, reason: &str, message: &str) -> Self {
        Self::new(
            200,
            json!({"type": "ERROR", "object": failure(code, reason, message)}),
        )
    }

    /// With this header, such as `Retry-After`.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The response, with its length: the body becomes a stream later on and cannot tell it any more.
    pub(super) fn response(&self) -> Result<Response<Body>, axum::http::Error> {
        let body = format!("{}\n", self.body);
        let mut response = Response::builder()
            .status(self.status)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CONTENT_LENGTH, body.len());
        for (name, value) in &self.headers {
            response = response.header(name, value);
        }
        response.body(Body::from(body))
    }
}

fn failure(code: u16, reason: &str, message: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure",
        "code": code, "reason": reason, "message": message,
    })
}

type Condition = Box<dyn Fn(&RequestLine) -> bool + Send + Sync>;

/// Which requests a rule is about: those that meet every condition.
#[derive(Default)]
pub struct Matcher {
    conditions: Vec<Condition>,
}

impl Matcher {
    /// Every request.
    pub fn any() -> Self {
        Self::default()
    }

    /// With this method, in capitals.
    #[must_use]
    pub fn method(self, method: &str) -> Self {
        let method = method.to_owned();
        self.when(move |request| request.method == method)
    }

    /// With this in the path, such as `/secrets`.
    #[must_use]
    pub fn path_contains(self, part: &str) -> Self {
        let part = part.to_owned();
        self.when(move |request| request.path.contains(&part))
    }

    /// Watches only, or anything but watches.
    #[must_use]
    pub fn watch(self, watch: bool) -> Self {
        self.when(move |request| request.is_watch() == watch)
    }

    /// That are so. `condition` is asked under the proxy's lock and must not call the proxy.
    #[must_use]
    pub fn when(
        mut self,
        condition: impl Fn(&RequestLine) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.conditions.push(Box::new(condition));
        self
    }

    fn matches(&self, request: &RequestLine) -> bool {
        self.conditions.iter().all(|condition| condition(request))
    }
}

/// Names a rule of one proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RuleId(pub(super) u64);

/// A fault for the requests of a matcher, for all of them unless limited.
pub struct Rule {
    pub(super) fault: Fault,
    matcher: Matcher,
    matched: u64,
    nth: Option<u64>,
    times: Option<u64>,
    chance: Option<(f64, fastrand::Rng)>,
}

impl Rule {
    /// `fault` for every request that `matcher` matches.
    pub fn new(matcher: Matcher, fault: Fault) -> Self {
        Self {
            fault,
            matcher,
            matched: 0,
            nth: None,
            times: None,
            chance: None,
        }
    }

    /// Only for the `nth` request that matches, counted from 1 and since the rule was added. If the fault reaches
    /// requests in flight, these are counted first.
    #[must_use]
    pub fn nth(mut self, nth: u64) -> Self {
        self.nth = Some(nth);
        self
    }

    /// At most for so many requests.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }

    /// For a part of the requests only: `probability` of 0 to 1, drawn from `seed`, so that a run can be repeated.
    #[must_use]
    pub fn with_probability(mut self, probability: f64, seed: u64) -> Self {
        self.chance = Some((probability, fastrand::Rng::with_seed(seed)));
        self
    }

    /// Decides for one request and counts it. To be asked once for each.
    pub(super) fn strikes(&mut self, request: &RequestLine) -> bool {
        if !self.matcher.matches(request) {
            return false;
        }
        self.matched += 1;
        if self.nth.is_some_and(|nth| nth != self.matched) || self.times == Some(0) {
            return false;
        }
        if let Some((probability, random)) = &mut self.chance
            && random.f64() >= *probability
        {
            return false;
        }
        self.times = self.times.map(|times| times - 1);
        true
    }
}
