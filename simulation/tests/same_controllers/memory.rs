//! A story in the cluster in memory, on a clock that jumps.

use std::{sync::Arc, time::Duration};

use fastrand::Rng;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use reroll_simulation::{
    api_server::{ApiServer, User},
    controllers::{Controllers, Delays},
    nodes::{Nodes, Outcome},
};
use tokio::time::{Instant, sleep};

use crate::{
    Pictures, picture,
    step::{Step, Teller},
};

/// How long nothing is written at a rest: longer than any pause that a controller makes.
const CALM: Duration = Duration::from_secs(90);

/// Tells a story. Returns what there was at each rest.
pub(crate) fn tell(seed: u64, name: &str, steps: &[Step]) -> Pictures {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut rng = Rng::with_seed(seed);
        let (began, mut uids) = (Instant::now(), rng.fork());
        let first: Timestamp = "2026-01-01T00:00:30Z".parse().unwrap();
        let now = move || first + SignedDuration::try_from(began.elapsed()).unwrap();
        let server = ApiServer::new(now, move || format!("{:032x}", uids.u128(..)));
        let delays = Delays::default();
        let controllers = Controllers::new(&server, &mut rng, &delays);
        let names = ["node-0", "node-1", "node-2"];
        let ready = Arc::new(|_: &_, _: &_| Outcome::Ready);
        let nodes = Nodes::new(&server, &names, &mut rng, &delays, ready);
        nodes.register().await;
        let teller = Teller {
            client: server.client(User::new("person")),
            namespace: name.to_owned(),
        };
        tokio::select! {
            pictures = go_through(&server, &teller, steps) => pictures,
            () = controllers.run() => panic!("the controllers have ended"),
            () = nodes.run() => panic!("the nodes have ended"),
        }
    })
}

async fn go_through(server: &ApiServer, teller: &Teller, steps: &[Step]) -> Pictures {
    let mut pictures = Pictures::new();
    teller.create_namespace().await;
    for step in steps {
        match step {
            Step::Ask(method, path, body) => teller.ask(method, path, body).await,
            Step::Undo(kind, name, to) => teller.undo(*kind, name, *to).await,
            Step::DeletePods(app, count) => teller.delete_pods(app, *count).await,
            Step::UntilSet(..) | Step::UntilCount(..) => {
                let began = Instant::now();
                while !teller.is_there(step).await {
                    assert!(began.elapsed() < Duration::from_hours(1), "{step:?}");
                    sleep(Duration::from_millis(100)).await;
                }
            }
            Step::NewNamespace => {
                teller.delete_namespace().await;
                while !teller.namespace_is_gone().await {
                    sleep(Duration::from_secs(1)).await;
                }
                teller.create_namespace().await;
            }
            Step::Rest(name) => {
                rest(server).await;
                pictures.push((name.clone(), picture::take(teller).await));
            }
        }
    }
    pictures
}

async fn rest(server: &ApiServer) {
    let began = Instant::now();
    loop {
        let before = server.revision();
        sleep(CALM).await;
        if server.revision() == before {
            return;
        }
        assert!(began.elapsed() < Duration::from_hours(2), "no rest");
    }
}
