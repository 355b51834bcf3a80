//! A story in the cluster in memory, on a clock that jumps.

use std::{sync::Arc, time::Duration};

use fastrand::Rng;
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

/// The longest that anything may take.
const PATIENCE: Duration = Duration::from_hours(1);

/// Tells a story. Returns what there was at each rest.
pub(crate) fn tell(seed: u64, name: &str, steps: &[Step]) -> Pictures {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut rng = Rng::with_seed(seed);
        let server = ApiServer::seeded("2026-01-01T00:00:30Z".parse().unwrap(), &mut rng);
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
        if let Step::Rest(name) = step {
            rest(server).await;
            pictures.push((name.clone(), picture::take(teller).await));
        } else {
            assert!(teller.does(step, PATIENCE).await, "{step:?}");
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
