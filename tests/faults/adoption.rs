//! Adoption beside a controller-manager with default limits: reroll leaves it enough calls for others, and still makes
//! progress.

use std::time::{Duration, Instant};

use kube::{
    ResourceExt as _,
    api::{DynamicObject, ListParams},
};
use reroll_harness::{Arena, OBSERVED, deployment, each, env, eventually, running};
use serde_json::json;
use tokio::time::sleep;

use crate::{MACHINE, variable};

/// How many Deployments are adopted, unless `REROLL_ADOPTIONS` sets another number, such as 1000.
const ADOPTED: u64 = 200;
/// Between two rollouts of the person, so that one does not take the next one's calls.
const PAUSE: Duration = Duration::from_secs(4);
const CALM: usize = 9;

#[tokio::test]
async fn somebodys_rollout_beside_adoptions_is_not_late() {
    // However long the others take.
    let _machine = loop {
        if let Ok(machine) = MACHINE.try_write() {
            break machine;
        }
        sleep(Duration::from_millis(100)).await;
    };
    let arena = Arena::on_limited_cluster("adoption").await;
    let crowd = usize::try_from(variable("REROLL_ADOPTIONS").unwrap_or(ADOPTED)).unwrap();
    arena.secret("crowd", &[("k", "one")]).await;
    each(crowd, 16, async |number| {
        let name = format!("crowd-{number:04}");
        arena.create(&deployment(&name, "crowd", "k")).await;
    })
    .await;
    // It has nothing to do with reroll.
    arena.secret("person", &[("k", "one")]).await;
    arena
        .create(&running("Deployment", "person", &[], env("person", "k")))
        .await;
    eventually("the controller has done what there was to do", async || {
        sleep(Duration::from_millis(500)).await;
        let all = deployments(&arena).await;
        all.iter().all(|object| !is_behind(object)).then_some(())
    })
    .await;

    let mut calm = Vec::new();
    for _ in 0..CALM {
        sleep(PAUSE).await;
        calm.push(rollout(&arena).await);
    }
    let builder = arena.reroll().without_webhook().without("--adopt-rate");
    let _reroll = builder.start().await;
    let began = Instant::now();
    let mut busy = Vec::new();
    // One that begins beside them counts, however long it takes.
    while count_adopted(&arena).await < crowd {
        busy.push(rollout(&arena).await);
        if count_adopted(&arena).await < crowd {
            sleep(PAUSE).await;
        }
    }
    let took = began.elapsed();
    let each = took / u32::try_from(crowd).unwrap();
    let [calm_median, busy_median] = [median(&mut calm), median(&mut busy)];
    eprintln!(
        "{crowd} adopted in {took:.1?}, one each {each:.0?}; a rollout took {calm_median:?} of {calm:?} before, and \
         {busy_median:?} of {busy:?} beside it"
    );
    assert!(busy_median < calm_median + Duration::from_secs(1));
    assert!(busy.len() >= 5, "too few to tell: {}", busy.len());
    // At least four a second.
    assert!(each <= Duration::from_millis(250), "one each {each:?}");
}

fn median(of: &mut [Duration]) -> Duration {
    of.sort_unstable();
    of[of.len() / 2]
}

async fn deployments(arena: &Arena) -> Vec<DynamicObject> {
    let all = arena.api("Deployment").list(&ListParams::default()).await;
    all.unwrap().items
}

async fn count_adopted(arena: &Arena) -> usize {
    let all = deployments(arena).await;
    let adopted = |object: &&DynamicObject| object.annotations().contains_key(OBSERVED);
    all.iter().filter(adopted).count()
}

fn is_behind(object: &DynamicObject) -> bool {
    object.data["status"]["observedGeneration"].as_i64() != object.metadata.generation
}

/// How long a rollout of the person's two pods takes.
async fn rollout(arena: &Arena) -> Duration {
    let began = Instant::now();
    let value = format!("{}", fastrand::u64(..));
    let template = json!({ "metadata": { "annotations": { "rolled": value } } });
    let patch = json!({ "spec": { "template": template } });
    arena.patch("Deployment", "person", patch).await;
    eventually("the person's pods are new", async || {
        let person = arena.get("Deployment", "person").await;
        let status = &person.data["status"];
        let all = ["replicas", "updatedReplicas", "availableReplicas"];
        let done = !is_behind(&person) && all.iter().all(|count| status[count] == 2);
        done.then_some(())
    })
    .await;
    began.elapsed()
}
