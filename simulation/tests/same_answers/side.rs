//! One of the two API servers, and what it has answered so far.

use std::{collections::BTreeMap, time::Duration};

use futures::{StreamExt as _, stream::BoxStream};
use http::Request;
use http_body_util::BodyExt as _;
use kube::{Client, client::Body};
use serde_json::{Value, json};
use tokio::time::timeout;

/// The longest that an answer or an event may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A request, the same for both sides but for what each has answered before.
#[derive(Clone, Debug, Default)]
pub(crate) struct Step {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) path: String,
    /// Strings like `@rv`, `@old` and `@uid` stand for those of the object.
    pub(crate) body: Value,
    /// Whether the body is what changes of the object that was answered last.
    pub(crate) on_last: bool,
    pub(crate) content_type: &'static str,
    pub(crate) accept: &'static str,
    pub(crate) agent: &'static str,
}

impl Step {
    pub(crate) fn new(method: &str, path: &str, body: Value) -> Self {
        let content_type = match (method, &body) {
            ("PATCH", Value::Array(_)) => "application/json-patch+json",
            ("PATCH", _) => "application/merge-patch+json",
            _ => "application/json",
        };
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            body,
            content_type,
            accept: "application/json",
            ..Self::default()
        }
    }

    pub(crate) fn post(path: &str, body: Value) -> Self {
        Self::new("POST", path, body)
    }

    pub(crate) fn get(path: &str) -> Self {
        Self::new("GET", path, Value::Null)
    }

    pub(crate) fn metadata_only(self) -> Self {
        let last = self
            .path
            .split('?')
            .next()
            .unwrap()
            .rsplit('/')
            .next()
            .unwrap();
        let accept = if last.len() > 3 && !self.is_watch() {
            "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
        } else {
            "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
        };
        Self { accept, ..self }
    }

    /// The path of the object, without query and subresource.
    fn object(&self) -> String {
        let path = self.path.split('?').next().unwrap();
        let path = path.strip_suffix("/status").unwrap_or(path);
        let path = path.strip_suffix("/finalize").unwrap_or(path);
        match self.body["metadata"]["name"].as_str() {
            Some(name) if self.method == "POST" => format!("{path}/{name}"),
            _ => path.to_owned(),
        }
    }

    pub(crate) fn is_watch(&self) -> bool {
        self.path.contains("watch=true")
    }
}

/// What a side answered.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) code: u16,
    pub(crate) body: Value,
    pub(crate) warnings: Vec<String>,
}

pub(crate) struct Side {
    client: Client,
    /// Each object as it was answered last, and its resourceVersion before that.
    last: BTreeMap<String, (Value, Value)>,
    /// The token to go on with, of the last list.
    token: String,
    listed: String,
    watches: BTreeMap<String, BoxStream<'static, Value>>,
}

impl Side {
    pub(crate) fn new(client: Client) -> Self {
        Self {
            client,
            last: BTreeMap::new(),
            token: String::new(),
            listed: "0".to_owned(),
            watches: BTreeMap::new(),
        }
    }

    pub(crate) async fn ask(&mut self, step: &Step) -> Answered {
        let object = step.object();
        let (last, old) = self.last.get(&object).cloned().unwrap_or_default();
        let known = |value: &Value| value.as_str().unwrap_or("1").to_owned();
        let words = [
            ("@rv", known(&last["metadata"]["resourceVersion"])),
            ("@old", known(&old)),
            ("@uid", known(&last["metadata"]["uid"])),
            ("@token", self.token.clone()),
            ("@listed", self.listed.clone()),
        ];
        let mut body = step.body.clone();
        if step.on_last && last.is_object() {
            body = last.clone();
            json_patch::merge(&mut body, &step.body);
        }
        fill(&mut body, &words);
        let mut path = step.path.clone();
        for (word, value) in &words {
            path = path.replace(word, value);
        }
        let answered = self.send(step, &path, &body).await;
        if step.is_watch() {
            return answered;
        }
        if answered.body["metadata"]["uid"].is_string()
            && !step.path.contains("dryRun")
            && step.accept == "application/json"
        {
            let before = last["metadata"]["resourceVersion"].clone();
            self.last.insert(object, (answered.body.clone(), before));
        }
        if answered.body["items"].is_array() {
            let text = |field: &str| {
                answered.body["metadata"][field]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned()
            };
            (self.token, self.listed) = (text("continue"), text("resourceVersion"));
        }
        answered
    }

    async fn send(&self, step: &Step, path: &str, body: &Value) -> Answered {
        let bytes = if body.is_null() {
            Vec::new()
        } else {
            body.to_string().into_bytes()
        };
        let mut request = Request::builder()
            .method(step.method.as_str())
            .uri(path)
            .header("Content-Type", step.content_type)
            .header("Accept", step.accept);
        if !step.agent.is_empty() {
            request = request.header("User-Agent", step.agent);
        }
        let request = request.body(Body::from(bytes)).unwrap();
        let response = timeout(PATIENCE, self.client.send(request)).await;
        let response = response
            .unwrap_or_else(|_| panic!("no answer: {} {path} {body}", step.method))
            .unwrap();
        let code = response.status().as_u16();
        let warnings = response.headers().get_all("warning").iter();
        let warnings = warnings
            .map(|value| value.to_str().unwrap().to_owned())
            .collect();
        let body = if step.is_watch() && code == 200 {
            // Until the list is complete, or the time is over.
            let mut events = events(response.into_body());
            let mut all = Vec::new();
            while let Some(event) = timeout(PATIENCE, events.next()).await.unwrap() {
                let complete = event["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"]
                    == "true";
                if event["type"] != "BOOKMARK" || complete {
                    all.push(event);
                }
                if complete {
                    break;
                }
            }
            Value::Array(all)
        } else {
            let bytes = timeout(PATIENCE, response.into_body().collect_bytes())
                .await
                .unwrap()
                .unwrap();
            serde_json::from_slice(&bytes)
                .unwrap_or_else(|_| json!(String::from_utf8_lossy(&bytes)))
        };
        Answered {
            code,
            body,
            warnings,
        }
    }

    /// Opens a watch whose events are read at the end.
    pub(crate) async fn open(&mut self, path: &str) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = self.client.send(request).await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        let mut events = events(response.into_body());
        let (tell, told) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(event) = events.next().await {
                if tell.send(event).is_err() {
                    return;
                }
            }
        });
        let told = futures::stream::unfold(told, async |mut told| Some((told.recv().await?, told)));
        self.watches.insert(path.to_owned(), told.boxed());
    }

    /// Returns the events of a watch up to the deletion of the object called `last`.
    pub(crate) async fn events(&mut self, path: &str) -> Vec<Value> {
        let mut events = self.watches.remove(path).unwrap();
        let mut all = Vec::new();
        loop {
            let event = timeout(PATIENCE, events.next())
                .await
                .expect(path)
                .expect(path);
            if event["type"] == "BOOKMARK" {
                continue;
            }
            let over = event["type"] == "DELETED" && event["object"]["metadata"]["name"] == "last";
            all.push(event);
            if over {
                return all;
            }
        }
    }
}

fn events(body: Body) -> BoxStream<'static, Value> {
    let frames = body.into_data_stream();
    let state = (frames, Vec::new());
    let events = futures::stream::unfold(state, async |(mut frames, mut bytes): (_, Vec<u8>)| {
        loop {
            if let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = bytes.drain(..=end).collect();
                return Some((serde_json::from_slice(&line).unwrap(), (frames, bytes)));
            }
            let frame: bytes::Bytes = futures::StreamExt::next(&mut frames).await?.ok()?;
            bytes.extend_from_slice(&frame);
        }
    });
    events.boxed()
}

fn fill(value: &mut Value, words: &[(&str, String)]) {
    match value {
        Value::String(text) => {
            if let Some((_, known)) = words.iter().find(|(word, _)| word == text) {
                known.clone_into(text);
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|one| fill(one, words)),
        Value::Object(map) => map.values_mut().for_each(|one| fill(one, words)),
        _ => {}
    }
}
