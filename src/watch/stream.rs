//! The events of a watch: a first list, and then what changes.
//!
//! The API server streams the first list (KEP-3157), one object after the other. So the list needs no more memory than
//! its largest object, where a page of 50 Secrets can be 70 MB. Some API servers do not stream lists (streaming is off
//! in 1.33 and before 1.32), or do not reach the end of the list before the watch's time is over. Then the list comes
//! in pages, which always make progress.

use std::{collections::BTreeSet, fmt::Debug, time::Duration};

use axum::{
    BoxError,
    http::{Request, Response, Uri, uri::PathAndQuery},
};
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use kube::{
    Api, Client, Resource,
    client::{Body, ClientBuilder, DynBody},
    runtime::{
        WatchStreamExt,
        utils::{Backoff, ResetTimerBackoff},
        watcher::{self, Event, ExponentialBackoff, watcher},
    },
};
use serde::de::DeserializeOwned;
use tower::{Service, util::MapRequestLayer};

use crate::cluster::{
    delays::delays,
    liveness::{Liveness, WATCH_SECONDS},
};

/// The objects per page of a list. Small pages limit the memory: a page of 300 Secrets of 1 MB would not.
const PAGE: u32 = 50;
/// The first and the longest wait of a watch that failed; a random part of it is added. The default of kube and
/// client-go is 30 s. After an outage of minutes, reroll would then see changes a minute late, or two minutes where the
/// next answer is a 410.
const RETRY: (Duration, Duration) = (Duration::from_millis(800), Duration::from_secs(10));
/// How long a watch must not fail until its waits begin anew, even if it brought nothing.
const CALM_AFTER: Duration = Duration::from_mins(2);
/// The answers of API servers that know the parameters of a streamed list and may not use them, or that do not know
/// them.
const NOT_STREAMED: [u16; 2] = [422, 400];

type Item<K> = Result<Event<K>, watcher::Error>;

/// The events of one watch.
pub(super) struct Stream<K> {
    api: Api<K>,
    config: watcher::Config,
    events: BoxStream<'static, Item<K>>,
    streamed: bool,
    listing: bool,
}

impl<K> Stream<K>
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    /// Makes a stream that goes on after its first list.
    pub(super) fn new(api: Api<K>, config: watcher::Config) -> Self {
        let streaming = config.clone().streaming_lists();
        Self {
            events: events(api.clone(), streaming),
            streamed: true,
            ..Self::of_list(api, config)
        }
    }

    /// Makes a stream of which only the first list is wanted: it is not streamed, so it needs no watch.
    pub(super) fn of_list(api: Api<K>, config: watcher::Config) -> Self {
        Self {
            events: events(api.clone(), config.clone()),
            api,
            config,
            streamed: false,
            listing: false,
        }
    }

    /// Begins anew with a list.
    pub(super) fn begin_again(&mut self) {
        let config = self.config.clone();
        let config = if self.streamed {
            config.streaming_lists()
        } else {
            config
        };
        self.events = events(self.api.clone(), config);
        self.listing = false;
    }

    /// Returns the next event; there always is one. After an error it waits before it tries again.
    pub(super) async fn next(&mut self) -> Result<Option<Event<K>>, watcher::Error> {
        loop {
            let next = self.events.try_next().await;
            let began_again = self.listing && matches!(next, Ok(Some(Event::Init)));
            if self.streamed && (began_again || next.as_ref().is_err_and(is_refused)) {
                self.streamed = false;
                self.events = events(self.api.clone(), self.config.clone());
                continue;
            }
            match next {
                Ok(Some(Event::Init)) => self.listing = true,
                Ok(Some(Event::InitDone)) => self.listing = false,
                _ => {}
            }
            return next;
        }
    }
}

fn events<K>(api: Api<K>, config: watcher::Config) -> BoxStream<'static, Item<K>>
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let config = config.page_size(PAGE).timeout(WATCH_SECONDS);
    watcher(api, config).backoff(backoff()).boxed()
}

fn is_refused(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::WatchStartFailed(kube::Error::Api(status)) => {
            NOT_STREAMED.contains(&status.code)
        }
        _ => false,
    }
}

fn backoff() -> impl Backoff {
    let (first, longest) = RETRY;
    ResetTimerBackoff::new(ExponentialBackoff::from(delays(first, longest)), CALM_AFTER)
}

/// Returns a configuration with which the API server leaves out what has one of these values in a field.
pub(super) fn without<'a>(
    left_out: impl IntoIterator<Item = (&'a str, &'a BTreeSet<String>)>,
) -> watcher::Config {
    let mut selector = Vec::new();
    for (field, values) in left_out {
        selector.extend(values.iter().map(|value| format!("{field}!={value}")));
    }
    let config = watcher::Config::default();
    if selector.is_empty() {
        config
    } else {
        config.fields(&selector.join(","))
    }
}

/// Returns a client for watches. Its streamed lists show what is there now, and it tells `liveness` of each watch.
pub fn client<S>(builder: ClientBuilder<S>, liveness: &Liveness) -> Client
where
    S: Service<Request<Body>, Response = Response<Box<DynBody>>, Error = BoxError> + Send + 'static,
    S::Future: Send + 'static,
{
    let client = builder
        .with_layer(liveness)
        .with_layer(&MapRequestLayer::new(up_to_date));
    client.build()
}

/// Changes a request for a streamed list so that it asks for what is there now. kube asks with `resourceVersion=0` for
/// whatever an API server has in its memory. If that lags, objects missing there would count as deleted. Without a
/// resourceVersion it is a consistent read.
fn up_to_date<B>(mut request: Request<B>) -> Request<B> {
    if let Some(uri) = without_version(request.uri()) {
        *request.uri_mut() = uri;
    }
    request
}

fn without_version(uri: &Uri) -> Option<Uri> {
    let query = uri.query()?;
    if !query
        .split('&')
        .any(|pair| pair == "sendInitialEvents=true")
    {
        return None;
    }
    let pairs: Vec<_> = query
        .split('&')
        .filter(|pair| *pair != "resourceVersion=0")
        .collect();
    let path = format!("{}?{}", uri.path(), pairs.join("&"));
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(path).ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_one_selector() {
        let values = |all: &[&str]| {
            all.iter()
                .map(|one| (*one).to_owned())
                .collect::<BTreeSet<_>>()
        };
        let (namespaces, none) = (values(&["a", "b"]), values(&[]));
        let types = values(&["helm.sh/release.v1"]);
        let selector = |namespaces, types| {
            without([("metadata.namespace", namespaces), ("type", types)]).field_selector
        };
        assert_eq!(selector(&none, &none), None);
        assert_eq!(selector(&none, &types).unwrap(), "type!=helm.sh/release.v1");
        let both = "metadata.namespace!=a,metadata.namespace!=b,type!=helm.sh/release.v1";
        assert_eq!(selector(&namespaces, &types).unwrap(), both);
    }

    fn rewritten(uri: &str) -> String {
        let request = Request::builder().uri(uri).body(()).unwrap();
        up_to_date(request).uri().to_string()
    }

    #[test]
    fn a_streamed_list_is_of_now() {
        assert_eq!(
            rewritten(
                "https://h:6443/api/v1/secrets?&watch=true&fieldSelector=a%21%3Db&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=0"
            ),
            "https://h:6443/api/v1/secrets?&watch=true&fieldSelector=a%21%3Db&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
        );
    }

    #[test]
    fn everything_else_is_asked_as_it_is() {
        for uri in [
            "https://h/api/v1/secrets?watch=true&resourceVersion=0",
            "https://h/api/v1/secrets?limit=50&resourceVersion=0",
            "https://h/api/v1/namespaces/n/secrets/sendInitialEvents=true",
            "/readyz",
        ] {
            assert_eq!(rewritten(uri), uri);
        }
    }
}
