//! Follows who works in which namespace ([`crate::model::peer`]): judges a namespace anew when that changes, and tells
//! where another installation works.

use std::sync::Arc;

use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

use super::{Judge, Occasion};
use crate::model::{WorkloadKey, note::Note, peer::Peers};

/// Judges anew what changed hands, as a whole namespace, until `stop`.
pub async fn follow(judge: Arc<Judge>, stop: CancellationToken) {
    loop {
        let next = judge.state.peers(|peers, _| peers.next());
        let wait = async {
            match next {
                Some(at) => tokio::select! {
                    () = sleep_until(judge.state.moment(at)) => {}
                    () = judge.state.peers_changed.notified() => {}
                },
                None => judge.state.peers_changed.notified().await,
            }
        };
        if stop.run_until_cancelled(wait).await.is_none() {
            return;
        }
        let take = |peers: &mut Peers, now| (peers.take_lost(), peers.take_news(now));
        let (lost, news) = judge.state.peers(take);
        for lost in lost {
            let note = Note::WorksElsewhere {
                key_id: &lost.key_id,
                user: lost.user.as_deref(),
            };
            judge.teller.say_first(&lost.workload, &note);
        }
        for namespace in news {
            let workloads = judge.state.index().workloads(None, Some(&namespace));
            for key in &workloads {
                judge.judge(key, Occasion::Look);
            }
        }
    }
}

/// Takes in that the write of a trial was answered: ours stands there now, or the other's again.
pub fn answered(judge: &Judge, key: &WorkloadKey) {
    let stands = judge.other_key(key).is_none();
    judge.state.peers(|peers, now| {
        if stands {
            peers.stands(key, now);
        } else {
            peers.undone(key, now);
        }
    });
}
