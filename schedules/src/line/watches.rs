//! What goes wrong with watches: they bring nothing, end, break off, or are too old.

use std::{sync::Arc, time::Duration};

use axum::body::Body as AxumBody;
use bytes::Bytes;
use futures::{StreamExt as _, stream, stream::BoxStream};
use http_body_util::BodyExt as _;
use kube::client::DynBody;
use reroll_simulation::api_server::AnswerBody;
use serde_json::{Value, json};
use tokio::{
    sync::watch::Receiver,
    time::{Instant, sleep_until},
};
use tower::BoxError;

use super::{Asked, Line};

/// The time between two bookmarks of a watch that brings only those.
const BOOKMARKS: Duration = Duration::from_secs(3);

/// Watches of one resource, or all, bring nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Silence {
    pub(crate) resource: Option<&'static str>,
    pub(crate) until: Instant,
    /// Bookmarks come nevertheless, with the revision of what came last.
    pub(crate) bookmarks: bool,
}

impl Silence {
    pub(crate) fn all(until: Instant) -> Self {
        Self {
            resource: None,
            until,
            bookmarks: false,
        }
    }
}

/// How a watch ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// As at its time.
    Ended,
    /// The connection is gone.
    Broken,
    /// The API server says 410.
    Expired,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    resource: Option<&'static str>,
    how: How,
}

/// What a watch does now.
enum Turn {
    Flows,
    Silent(Silence),
    Over(How),
}

struct Watched {
    line: Arc<Line>,
    asked: Asked,
    born: usize,
    changed: Receiver<()>,
    body: BoxStream<'static, Bytes>,
    /// What came last.
    last: Option<Bytes>,
    /// All that was there when it began has come: only then a revision says that everything before has.
    listed: bool,
    over: bool,
}

impl Line {
    pub(crate) fn silence(&self, silence: Silence) {
        self.state.lock().silences.push(silence);
        self.changed.send_replace(());
    }

    /// Ends the watches that there are.
    pub(crate) fn cut(&self, resource: Option<&'static str>, how: How) {
        self.state.lock().cuts.push(Cut { resource, how });
        self.changed.send_replace(());
    }

    pub(super) fn born(&self) -> usize {
        self.state.lock().cuts.len()
    }

    fn turn(&self, asked: &Asked, born: usize) -> Turn {
        let (now, mut state) = (Instant::now(), self.state.lock());
        state.silences.retain(|silence| silence.until > now);
        let concerns = |resource: Option<&str>| resource.is_none_or(|it| it == asked.resource);
        let silent = state
            .silences
            .iter()
            .find(|silence| concerns(silence.resource));
        let cut = state.cuts[born..].iter().find(|cut| concerns(cut.resource));
        match (cut, silent) {
            (Some(cut), _) => Turn::Over(cut.how),
            (None, Some(silence)) => Turn::Silent(*silence),
            (None, None) => Turn::Flows,
        }
    }
}

pub(super) fn body(line: Arc<Line>, asked: Asked, born: usize, body: AnswerBody) -> Box<DynBody> {
    let frames = body.into_data_stream();
    let watched = Watched {
        changed: line.changed.subscribe(),
        line,
        listed: !asked.streams,
        asked,
        born,
        body: frames.map(Result::unwrap_or_default).boxed(),
        last: None,
        over: false,
    };
    let frames = stream::unfold(watched, async |mut watched| {
        let frame = watched.next().await?;
        Some((frame, watched))
    });
    let body = AxumBody::from_stream(frames.boxed());
    Box::new(body.map_err(BoxError::from))
}

impl Watched {
    async fn next(&mut self) -> Option<Result<Bytes, BoxError>> {
        if self.over {
            return None;
        }
        let mut bookmark = Instant::now() + BOOKMARKS;
        loop {
            self.changed.borrow_and_update();
            match self.line.turn(&self.asked, self.born) {
                Turn::Over(how) => {
                    self.over = true;
                    return match how {
                        How::Ended => None,
                        How::Broken => Some(Err("connection reset by peer".into())),
                        How::Expired => Some(Ok(expired())),
                    };
                }
                Turn::Silent(silence) => {
                    let wake = silence.until.min(bookmark);
                    tokio::select! {
                        biased;
                        Ok(()) = self.changed.changed() => {}
                        () = sleep_until(wake) => {}
                    }
                    if Instant::now() >= bookmark {
                        bookmark += BOOKMARKS;
                        if let Some(text) = self.bookmark().filter(|_| silence.bookmarks) {
                            return Some(Ok(text));
                        }
                    }
                }
                Turn::Flows => {
                    let frame = tokio::select! {
                        biased;
                        Ok(()) = self.changed.changed() => continue,
                        frame = self.body.next() => frame,
                    };
                    self.listed |= frame
                        .as_ref()
                        .is_some_and(|frame| frame.starts_with(b"{\"type\":\"BOOKMARK"));
                    self.last = frame.clone().or(self.last.take());
                    return frame.map(Ok);
                }
            }
        }
    }

    fn bookmark(&self) -> Option<Bytes> {
        let last: Value = serde_json::from_slice(self.last.as_ref()?).ok()?;
        let object = &last["object"];
        let version = &object["metadata"]["resourceVersion"];
        let bookmark = json!({
            "kind": object["kind"], "apiVersion": object["apiVersion"],
            "metadata": { "resourceVersion": version },
        });
        let says = version.is_string() && self.listed;
        says.then(|| event("BOOKMARK", &bookmark))
    }
}

fn expired() -> Bytes {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": "Expired",
        "message": "too old resource version", "code": 410,
    });
    event("ERROR", &status)
}

/// The type stands first, as a real API server writes it.
fn event(kind: &str, object: &Value) -> Bytes {
    Bytes::from(format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n"))
}
