//! Watches: what is there, where that is asked for, and then what changes, until the time is over.
//!
//! A watch is a cursor in the history. It is woken by each write of its resource and reads on from its cursor, so a watch
//! whose client does not read costs nothing. It ends where the API servers are restarted, and fails where its place in it was compacted.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use serde_json::{Value, json};
use tokio::{
    sync::watch::Receiver,
    time::{Instant, sleep_until},
};

use super::{
    ApiServer,
    answer::{Answer, Refusal, text},
    call::Call,
    list::{bad_options, prefix, revision, selection, shown},
    resources::storage,
    selectors::Selection,
    store::{Change, Store},
};

/// How long a watch lasts that does not say.
const USUAL: Duration = Duration::from_mins(30);
/// The time between two bookmarks.
const BOOKMARKS: Duration = Duration::from_mins(1);
/// How long before its end a watch gets a last bookmark.
const LAST: Duration = Duration::from_secs(2);

/// A running watch.
struct Watch {
    server: ApiServer,
    call: Call,
    selection: Selection,
    /// What is shown already.
    cursor: u64,
    /// At which restart of the API servers it began.
    session: u64,
    /// The revision that ends the first list, while it is not over.
    listing: Option<u64>,
    bookmarks: bool,
    next_bookmark: Instant,
    end: Instant,
    changed: Receiver<()>,
    ready: VecDeque<Bytes>,
    over: bool,
}

/// Starts a watch.
pub(crate) async fn watch(server: &ApiServer, call: Call) -> Result<Answer, Refusal> {
    let selection = selection(&call)?;
    let asked = revision(call.query.get("resourceVersion"))?;
    let initial = call.query.get("sendInitialEvents").is_some();
    check(call.query.get("resourceVersionMatch"), initial)?;
    let streamed = call.query.is_true("sendInitialEvents");
    let at = storage(call.target.index);
    if streamed && let Some(least) = asked {
        server.reaches(least, Duration::from_secs(3)).await?;
    }
    let changed = server.changed_in(at);
    let lasts = call.query.timeout().unwrap_or(USUAL);
    let now = Instant::now();
    let mut watch = Watch {
        server: server.clone(),
        selection,
        cursor: asked.unwrap_or(0),
        session: server.session(),
        listing: None,
        bookmarks: call.query.is_true("allowWatchBookmarks"),
        next_bookmark: now
            + BOOKMARKS.min(lasts.saturating_sub(LAST).max(Duration::from_millis(1))),
        end: now + lasts,
        changed,
        ready: VecDeque::new(),
        over: false,
        call,
    };
    let from_now = !streamed && asked.is_none_or(|asked| asked == 0) && !initial;
    if streamed || from_now {
        let (revision, objects) = server.seen(at);
        let prefix = prefix(&watch.call);
        let ours = objects
            .iter()
            .filter(|(key, object)| key.starts_with(&prefix) && watch.selection.selects(object));
        let found: Vec<_> = ours.map(|(_, object)| Arc::clone(object)).collect();
        for object in &found {
            let event = event("ADDED", &shown(&watch.call, object));
            watch.ready.push_back(event);
        }
        watch.cursor = revision;
        if streamed {
            // Without a resourceVersion the list is as new as the storage, however far this server is behind it.
            watch.listing =
                Some(asked.unwrap_or_else(|| server.with_store(|store| store.revision)));
        }
    } else if initial && asked.is_none_or(|asked| asked == 0) {
        watch.cursor = server.seen(at).0;
    }
    let visible = server.shown_until();
    server.with_store(|store| watch.follow(store, visible));
    let frames = stream::unfold(watch, async |mut watch| {
        let frame = watch.next().await?;
        Some((frame, watch))
    });
    Ok(Answer::Stream(frames.boxed()))
}

fn check(matching: Option<&str>, initial: bool) -> Result<(), Refusal> {
    let why = match (initial, matching) {
        (true, None) => {
            "resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        }
        (true, Some("NotOlderThan")) | (false, None) => return Ok(()),
        (true, Some(_)) => {
            "resourceVersionMatch: Unsupported value: supported values: \"NotOlderThan\""
        }
        (false, Some(_)) => {
            "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
        }
    };
    Err(bad_options(why))
}

fn event(kind: &str, object: &Value) -> Bytes {
    // A real one writes the type first. Clients rest on that: of an object that comes before its type kube keeps no raw text.
    let begin = format!("{{\"type\":\"{kind}\",\"object\":");
    Bytes::from([begin.as_bytes(), &text(object), b"}\n"].concat())
}

impl Watch {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(ready) = self.ready.pop_front() {
                return Some(ready);
            }
            if self.over {
                return None;
            }
            self.changed.borrow_and_update();
            self.read_on();
            if !self.ready.is_empty() || self.over {
                continue;
            }
            tokio::select! {
                biased;
                () = sleep_until(self.end) => return None,
                changed = self.changed.changed() => if changed.is_err() { return None },
                () = sleep_until(self.next_bookmark), if self.bookmarks => {
                    self.read_on();
                    if !self.over {
                        self.bookmark(&Value::Null);
                    }
                    let last = self.end.checked_sub(LAST).unwrap_or(self.end);
                    let next = self.next_bookmark + BOOKMARKS;
                    self.next_bookmark = if self.next_bookmark < last { next.min(last) } else { next };
                }
            }
        }
    }

    /// Takes up what has happened since.
    fn read_on(&mut self) {
        let server = self.server.clone();
        if server.session() != self.session {
            self.over = true;
            return;
        }
        let visible = server.shown_until();
        server.with_store(|store| self.take(store, visible));
        if self
            .listing
            .is_some_and(|wanted| self.cursor.max(visible) >= wanted)
            && !self.over
        {
            self.listing = None;
            if self.bookmarks {
                self.bookmark(&json!({ "k8s.io/initial-events-end": "true" }));
            }
        }
    }

    fn take(&mut self, store: &Store, visible: u64) {
        // Else nothing is missed, also where history was compacted.
        if store.last_write(storage(self.call.target.index)) > self.cursor {
            self.follow(store, visible);
        } else {
            self.cursor = self.cursor.max(visible);
        }
    }

    /// Shows what changed after the cursor, if that is known still.
    fn follow(&mut self, store: &Store, visible: u64) {
        let Some(changes) = store.since(self.cursor) else {
            let oldest = store.compacted;
            let message = format!("too old resource version: {} ({oldest})", self.cursor);
            self.ready
                .push_back(event("ERROR", &Refusal::expired(message).status()));
            self.over = true;
            return;
        };
        let (row, prefix) = (storage(self.call.target.index), prefix(&self.call));
        for (at, change) in changes.take_while(|(at, _)| *at <= visible) {
            if change.row == row && change.key.starts_with(&prefix) {
                self.show(at, change);
            }
        }
        self.cursor = self.cursor.max(visible);
    }

    fn show(&mut self, at: u64, change: &Change) {
        let selected = |object: &Option<Arc<Value>>| {
            object
                .clone()
                .filter(|object| self.selection.selects(object))
        };
        let (kind, object) = match (selected(&change.before), selected(&change.after)) {
            (None, Some(object)) => ("ADDED", shown(&self.call, &object)),
            (Some(_), Some(object)) => ("MODIFIED", shown(&self.call, &object)),
            (Some(object), None) => {
                let mut object = Value::clone(&shown(&self.call, &object));
                object["metadata"]["resourceVersion"] = json!(at.to_string());
                ("DELETED", Arc::new(object))
            }
            (None, None) => return,
        };
        self.ready.push_back(event(kind, &object));
    }

    fn bookmark(&mut self, annotations: &Value) {
        let row = self.call.target.row();
        let (kind, api_version) = if self.call.only_metadata {
            ("PartialObjectMetadata", "meta.k8s.io/v1".to_owned())
        } else {
            (row.kind, row.api_version())
        };
        let mut metadata = json!({ "resourceVersion": self.cursor.to_string() });
        if !annotations.is_null() {
            metadata["annotations"] = annotations.clone();
        }
        let object = json!({ "kind": kind, "apiVersion": api_version, "metadata": metadata });
        self.ready.push_back(event("BOOKMARK", &object));
    }
}
