//! A scripted API server below `kube::Client`, for tests.
//!
//! It keeps objects and answers as the API server would: resourceVersions, uids, JSON Patch with its tests, dry runs,
//! preconditions, deletion in the foreground. A [`Turn`] that a test adds comes before that, for one request or for all
//! of a kind: it refuses, answers something else, answers late, when a [`Gate`] opens, or never. Selectors of lists are
//! ignored, and watches are never answered. Every request is noted.

pub(crate) mod log;
mod store;

use std::{collections::BTreeMap, io, sync::Arc, time::Duration};

use axum::{
    body::to_bytes,
    http::{Request, Response},
};
use kube::{Client, client::Body};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::{
    sync::{Notify, Semaphore},
    time::{Instant, sleep, timeout},
};

use self::store::{Store, status};
use super::Cluster;

/// The deadline of each call of [`Script::cluster`].
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);
/// When everything was created.
pub(crate) const CREATED: &str = "2023-11-14T22:13:20Z";
/// How long a test waits for what is to come, on the paused clock.
const PATIENCE: Duration = Duration::from_mins(30);

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) body: Value,
    pub(crate) at: Instant,
}

impl Asked {
    /// `METHOD part`: the path contains the part, or ends so, where a `$` follows. After a `?` a part of the query.
    fn is(&self, pattern: &str) -> bool {
        let (method, part) = pattern.split_once(' ').unwrap_or((pattern, ""));
        let (path, query) = part.split_once('?').unwrap_or((part, ""));
        let fits = match path.strip_suffix('$') {
            Some(end) => self.path.ends_with(end),
            None => self.path.contains(path),
        };
        self.method == method && fits && self.query.contains(query)
    }

    fn is_dry(&self) -> bool {
        self.query.contains("dryRun=All")
    }
}

/// Opens for as many answers as the test lets go.
#[derive(Clone)]
pub(crate) struct Gate(Arc<Semaphore>);

impl Gate {
    pub(crate) fn closed() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    pub(crate) fn open(&self, answers: usize) {
        self.0.add_permits(answers);
    }
}

/// What comes of a request.
#[derive(Clone)]
pub(crate) struct Turn {
    answer: Answer,
    wait: Wait,
    always: bool,
}

#[derive(Clone)]
enum Answer {
    Serve,
    Say(u16, String),
    Cut,
}

/// What the answer waits for; the request was carried out before.
#[derive(Clone)]
enum Wait {
    Nothing,
    Time(Duration),
    Gate(Gate),
    Ever,
}

impl Turn {
    const fn new(answer: Answer) -> Self {
        Self {
            answer,
            wait: Wait::Nothing,
            always: false,
        }
    }

    /// The request is carried out as any other.
    pub(crate) const fn serve() -> Self {
        Self::new(Answer::Serve)
    }

    /// It is refused with a Status.
    pub(crate) fn refuse(code: u16, reason: &str) -> Self {
        Self::new(Answer::Say(code, status(code, reason).to_string()))
    }

    /// It is answered with this text, whatever it is.
    pub(crate) fn say(code: u16, text: &(impl ToString + ?Sized)) -> Self {
        Self::new(Answer::Say(code, text.to_string()))
    }

    /// It is never seen, and never answered.
    pub(crate) fn lose() -> Self {
        Self::say(500, "").unanswered()
    }

    /// It is never seen, and its connection is cut.
    pub(crate) const fn cut() -> Self {
        Self::new(Answer::Cut)
    }

    pub(crate) fn late(self, after: Duration) -> Self {
        let wait = Wait::Time(after);
        Self { wait, ..self }
    }

    pub(crate) fn held(self, gate: &Gate) -> Self {
        let wait = Wait::Gate(gate.clone());
        Self { wait, ..self }
    }

    pub(crate) fn unanswered(self) -> Self {
        let wait = Wait::Ever;
        Self { wait, ..self }
    }

    /// Not for one request, but for all.
    pub(crate) fn always(self) -> Self {
        let always = true;
        Self { always, ..self }
    }
}

/// The API server. Clones are the same one.
#[derive(Clone, Default)]
pub(crate) struct Script(Arc<Inner>);

#[derive(Default)]
struct Inner {
    store: Mutex<Store>,
    turns: Mutex<Vec<(String, Turn)>>,
    asked: Mutex<Vec<Asked>>,
    /// How many requests are being answered, and how many were at most, by method.
    pending: Mutex<BTreeMap<String, (usize, usize)>>,
    news: Notify,
}

impl Script {
    pub(crate) fn client(&self) -> Client {
        let script = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let script = script.clone();
            async move { script.handle(request).await }
        });
        Client::new(service, "default")
    }

    pub(crate) fn cluster(&self) -> Cluster {
        Cluster::new(self.client(), DEADLINE)
    }

    /// Adds a turn for requests like `PATCH deployments/web` or `POST jobs?dryRun`. Of two that fit the first is taken.
    pub(crate) fn turn(&self, pattern: &str, turn: Turn) {
        self.0.turns.lock().push((pattern.to_owned(), turn));
    }

    /// From now on requests like this are carried out.
    pub(crate) fn clear(&self, pattern: &str) {
        self.0.turns.lock().retain(|(of, _)| of != pattern);
    }

    /// From now on every request is carried out.
    pub(crate) fn clear_all(&self) {
        self.0.turns.lock().clear();
    }

    /// Puts an object there, as somebody else's write would. Returns it as it is then.
    pub(crate) fn put(&self, path: &str, object: Value) -> Value {
        self.0.store.lock().put(path, object)
    }

    /// Puts an object there as it is, as whoever restores a backup of etcd would.
    pub(crate) fn restore(&self, path: &str, object: Value) {
        self.0.store.lock().objects.insert(path.to_owned(), object);
    }

    pub(crate) fn object(&self, path: &str) -> Option<Value> {
        self.0.store.lock().objects.get(path).cloned()
    }

    /// Changes an object that is there. Returns it as it is then.
    pub(crate) fn edit(&self, path: &str, edit: impl FnOnce(&mut Value)) -> Value {
        let mut object = self.object(path).unwrap();
        edit(&mut object);
        self.put(path, object)
    }

    pub(crate) fn remove(&self, path: &str) {
        self.0.store.lock().objects.remove(path);
    }

    /// Returns the requests that were like this.
    pub(crate) fn asked(&self, pattern: &str) -> Vec<Asked> {
        let asked = self.0.asked.lock();
        let like = asked.iter().filter(|asked| asked.is(pattern));
        like.cloned().collect()
    }

    pub(crate) fn count(&self, pattern: &str) -> usize {
        self.asked(pattern).len()
    }

    /// Returns every request but for watches and Events, as `METHOD last/part`, with `?dry` where it has no effect.
    pub(crate) fn lines(&self) -> Vec<String> {
        let asked = self.0.asked.lock();
        let counts =
            |asked: &&Asked| !asked.query.contains("watch=") && !asked.path.contains("events");
        let line = |asked: &Asked| {
            let name = asked.path.rsplit_once("/namespaces/");
            let name = name.map_or(asked.path.as_str(), |(_, name)| name);
            let dry = if asked.is_dry() { "?dry" } else { "" };
            format!("{} {name}{dry}", asked.method)
        };
        asked.iter().filter(counts).map(line).collect()
    }

    /// Returns how many requests of this method were unanswered at most.
    pub(crate) fn peak(&self, method: &str) -> usize {
        let pending = self.0.pending.lock();
        pending.get(method).map_or(0, |(_, peak)| *peak)
    }

    /// Waits until so many requests like this were made.
    pub(crate) async fn reach(&self, pattern: &str, count: usize) {
        let reached = async {
            while self.count(pattern) < count {
                self.0.news.notified().await;
            }
        };
        let reached = timeout(PATIENCE, reached).await;
        assert!(reached.is_ok(), "no {count} {pattern}: {:#?}", self.lines());
    }

    async fn handle(&self, request: Request<Body>) -> io::Result<Response<Body>> {
        let (parts, body) = request.into_parts();
        let bytes = to_bytes(axum::body::Body::new(body), 1 << 20).await;
        let asked = Asked {
            method: parts.method.to_string(),
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            body: serde_json::from_slice(&bytes.unwrap()).unwrap_or_default(),
            at: Instant::now(),
        };
        let _pending = self.pending(&asked.method);
        let turn = self.take_turn(&asked);
        let (code, text) = match turn.answer {
            Answer::Serve => {
                let (code, answer) = self.0.store.lock().serve(&asked);
                (code, answer.to_string())
            }
            Answer::Say(code, text) => (code, text),
            Answer::Cut => {
                self.0.asked.lock().push(asked);
                return Err(io::ErrorKind::ConnectionReset.into());
            }
        };
        self.0.asked.lock().push(asked);
        self.0.news.notify_one();
        match turn.wait {
            Wait::Nothing => {}
            Wait::Time(after) => sleep(after).await,
            Wait::Gate(gate) => gate.0.acquire().await.unwrap().forget(),
            Wait::Ever => std::future::pending().await,
        }
        let response = Response::builder().status(code);
        Ok(response.body(Body::from(text.into_bytes())).unwrap())
    }

    fn take_turn(&self, asked: &Asked) -> Turn {
        let mut turns = self.0.turns.lock();
        match turns.iter().position(|(pattern, _)| asked.is(pattern)) {
            Some(found) if turns[found].1.always => turns[found].1.clone(),
            Some(found) => turns.remove(found).1,
            None if asked.query.contains("watch=") => Turn::lose(),
            None => Turn::serve(),
        }
    }

    fn pending(&self, method: &str) -> Pending {
        let mut pending = self.0.pending.lock();
        let (now, peak) = pending.entry(method.to_owned()).or_default();
        *now += 1;
        *peak = (*peak).max(*now);
        Pending(self.clone(), method.to_owned())
    }
}

/// A request that is being answered: until then, or until the client waits no more.
struct Pending(Script, String);

impl Drop for Pending {
    fn drop(&mut self) {
        let mut pending = self.0.0.pending.lock();
        if let Some((now, _)) = pending.get_mut(&self.1) {
            *now -= 1;
        }
    }
}
