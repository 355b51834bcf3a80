//! Lists the pods of namespaces where all users of a changed source are complete, and tells whether everybody has its version.
//!
//! At most two lists are begun in a second, one after the other, each by pages.

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::Pod;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::{
    cluster::{Failure, lease::Leadership, pods},
    judge::{
        Judge,
        convergence::{Due, News, What},
        live::Live,
    },
    model::{
        brake::converged::{Older, Shown},
        note::Note,
    },
};

/// The shortest time between two looks.
const BEAT: Duration = Duration::from_secs(1);
/// The most namespaces whose pods are listed in one go.
const LISTS: usize = 2;

/// Tells which versions everybody has while this replica leads, until `stop`.
pub async fn tell(live: Live, mut leadership: Leadership, stop: CancellationToken) {
    while !stop.is_cancelled() {
        tokio::select! {
            () = stop.cancelled() => return,
            () = leadership.changed() => {}
            () = sleep(BEAT) => {}
        }
        let now = live.judge.state.time();
        if !leadership.leads() {
            live.judge.docket().convergence.rest();
            continue;
        }
        live.judge.docket().convergence.lead(now);
        for due in due(&live.judge) {
            if stop.run_until_cancelled(look(&live, &due)).await.is_none() {
                return;
            }
        }
    }
}

fn due(judge: &Arc<Judge>) -> Vec<Due> {
    if !judge.is_listed() {
        return Vec::new();
    }
    let now = judge.state.time();
    let mut docket = judge.docket();
    let index = judge.state.index();
    docket.convergence.due(&index, LISTS, now)
}

async fn look(live: &Live, due: &Due) {
    let judge = &live.judge;
    let older = older(live, due).await;
    let now = judge.state.time();
    let older = match older {
        Ok(older) => older,
        Err(failure) => {
            let (namespace, failure) = (&due.namespace, failure.as_str());
            tracing::debug!(%namespace, failure, "cannot list the pods that may have an older value, trying again");
            return judge.docket().convergence.not_listed(due, now);
        }
    };
    let news = {
        let mut docket = judge.docket();
        let index = judge.state.index();
        docket.convergence.listed(&index, due, &older, now)
    };
    for news in &news {
        say(judge, news);
    }
}

/// Returns which pods of a namespace may have an older value, of each source.
async fn older(live: &Live, due: &Due) -> Result<Vec<Older>, Failure> {
    let mut older = vec![Older::default(); due.sources.len()];
    let now = live.judge.state.time();
    let see = |pod: &Pod| {
        let Some(shown) = Shown::of(pod) else {
            return;
        };
        for (older, complete) in older.iter_mut().zip(&due.sources) {
            older.see(&shown, &complete.asked, now);
        }
    };
    pods::each_in_namespace(&live.cluster, &due.namespace, see).await?;
    Ok(older)
}

fn say(judge: &Judge, news: &News) {
    let (teller, words) = (&judge.teller, news.words.as_str());
    if !teller.leads() {
        return;
    }
    let note = match news.what {
        What::Converged { took } => {
            if let Some(took) = took.and_then(|took| Duration::try_from(took).ok()) {
                teller.metrics.converged(took);
            }
            Note::Converged { words }
        }
        What::NotConverged => Note::NotConverged { words },
    };
    teller.say_once(&news.key, &note, &news.print);
}
