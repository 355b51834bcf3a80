//! Whether the API server can be reached. It is told of each call, and says once that it cannot, and once that it can
//! again.
//!
//! One call that fails proves nothing: an API server or a proxy ends connections now and then. So the API server counts as
//! away when a call fails that began after another had failed, and none was answered in between. Every replica tries the
//! Lease all the time, so that is soon. An answer that refuses is an answer. One that does not come in time proves
//! nothing.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::Failure;

/// Whether the API server can be reached. Clones share what they know.
#[derive(Clone, Debug, Default)]
pub struct Reach(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// Where the API server is, for people.
    api_server: String,
    state: Mutex<State>,
}

/// What the last calls tell.
#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Reached,
    /// A call failed then, and no call that began later has ended.
    Doubted(Instant),
    /// Calls have failed since then.
    Away(Instant),
}

impl Reach {
    /// Makes one for the API server at this place. It counts as reachable.
    pub fn new(api_server: &impl ToString) -> Self {
        Self(Arc::new(Inner {
            api_server: api_server.to_string(),
            state: Mutex::default(),
        }))
    }

    /// Returns where the API server is, for people; empty where nobody said.
    pub fn api_server(&self) -> &str {
        &self.0.api_server
    }

    /// Whether the last call could not reach the API server.
    pub fn is_doubted(&self) -> bool {
        !matches!(*self.0.state.lock(), State::Reached)
    }

    /// Takes in how a call ended that began then.
    pub(super) fn ended(&self, began: Instant, failure: Option<&Failure>) {
        match failure {
            Some(Failure::Unreachable(why)) => self.failed(began, why),
            Some(Failure::Timeout) => {}
            _ => self.answered(began),
        }
    }

    fn failed(&self, began: Instant, why: &str) {
        let mut state = self.0.state.lock();
        match *state {
            State::Reached => *state = State::Doubted(Instant::now()),
            State::Doubted(since) if began >= since => {
                *state = State::Away(since);
                let api_server = &self.0.api_server;
                tracing::warn!(
                    api_server,
                    failure = why,
                    "the API server cannot be reached: nothing restarts until it can"
                );
            }
            State::Doubted(_) | State::Away(_) => {}
        }
    }

    fn answered(&self, began: Instant) {
        let mut state = self.0.state.lock();
        match *state {
            // It was answered before the other failed, and is heard of later.
            State::Doubted(since) | State::Away(since) if began < since => {}
            State::Away(since) => {
                *state = State::Reached;
                let (api_server, seconds) = (&self.0.api_server, since.elapsed().as_secs());
                tracing::info!(api_server, seconds, "the API server can be reached again");
            }
            State::Doubted(_) | State::Reached => *state = State::Reached,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use k8s_openapi::api::core::v1::Secret;
    use kube::Api;
    use tokio::time::sleep;

    use super::{
        super::{
            Cluster,
            testing::{Script, Turn, log::Log},
        },
        *,
    };

    const PLACE: &str = "https://api.example:6443/";

    /// Returns the lines since the last look, and that each names the API server.
    fn lines(log: &Log) -> Vec<String> {
        let text = log.take();
        assert!(text.lines().all(|line| line.contains(PLACE)), "{text}");
        text.lines().map(str::to_owned).collect()
    }

    async fn ask(cluster: &Cluster) {
        let api = Api::<Secret>::namespaced(cluster.client(), "n");
        let _ = cluster.get(&api, "s").await;
        sleep(Duration::from_secs(1)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_is_told_once_and_so_is_its_end() {
        let (log, script) = (Log::default(), Script::default());
        let _kept = log.keep();
        let cluster = script.cluster().with_reach(Reach::new(&PLACE));
        // Another door to the same API server.
        let other = cluster.within(Duration::from_secs(1));
        ask(&cluster).await;
        for _ in 0..3 {
            script.turn("GET", Turn::cut());
            ask(&cluster).await;
            assert!(cluster.reach().is_doubted());
            ask(&other).await;
            assert!(!cluster.reach().is_doubted());
        }
        assert_eq!(lines(&log), Vec::<String>::new(), "one call proves nothing");
        for answer in [
            Turn::serve(),
            Turn::refuse(403, "Forbidden"),
            Turn::refuse(500, "InternalError"),
        ] {
            script.turn("GET", Turn::cut().always());
            for _ in 0..5 {
                ask(&cluster).await;
                ask(&other).await;
            }
            let told = lines(&log);
            assert_eq!(told.len(), 1, "{told:?}");
            assert!(
                told[0].contains("WARN") && told[0].contains("cannot be reached"),
                "{told:?}"
            );
            assert!(told[0].contains("connection reset"), "{told:?}");
            script.clear_all();
            script.turn("GET", Turn::lose());
            ask(&other).await;
            assert!(cluster.reach().is_doubted(), "no answer is no answer");
            script.turn("GET", answer);
            ask(&cluster).await;
            ask(&other).await;
            let told = lines(&log);
            assert_eq!(told.len(), 1, "{told:?}");
            assert!(told[0].contains("can be reached again"), "{told:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn calls_that_were_under_way_together_prove_no_more_than_one() {
        let reach = Reach::default();
        let cut = Failure::Unreachable("cut".to_owned());
        let began = Instant::now();
        sleep(Duration::from_secs(1)).await;
        for _ in 0..3 {
            reach.ended(began, Some(&cut));
        }
        assert!(matches!(*reach.0.state.lock(), State::Doubted(_)));
        reach.ended(began, None);
        assert!(reach.is_doubted(), "it was answered before");
        reach.ended(Instant::now(), Some(&cut));
        assert!(matches!(*reach.0.state.lock(), State::Away(_)));
    }
}
