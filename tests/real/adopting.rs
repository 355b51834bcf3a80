//! Adoption takes time, and the process may die meanwhile: the workload whose sources changed last is adopted first.

use std::collections::BTreeSet;

use kube::{
    ResourceExt,
    api::{DynamicObject, ListParams},
};
use reroll_harness::{Arena, OBSERVED, RESTART_ON, env, eventually, numbered, workload};

/// What is written at once, however low `--adopt-rate` is.
const AT_ONCE: usize = 10;
/// One that no controller holds back.
const KIND: &str = "StatefulSet";

#[tokio::test]
async fn what_changed_last_is_adopted_before_the_process_dies() {
    let arena = Arena::new("adopting").await;
    let recorder = arena.record().await;
    let mut all = Vec::new();
    for (source, count) in [("a-long-ago", 2 * AT_ONCE), ("z-just-now", AT_ONCE)] {
        arena.later_second().await;
        arena.secret(source, &[("k", "one")]).await;
        for name in numbered(count) {
            let name = format!("{source}-{name}");
            let asks = [(RESTART_ON, "auto")];
            let manifest = workload(KIND, &name, &asks, env(source, "k"));
            arena.create(&manifest).await;
            all.push((source, name));
        }
    }
    let builder = arena.reroll().without_webhook();
    // All that is adopted is what is adopted at once.
    let reroll = builder.clone().flag("--adopt-rate", "0.0001").start().await;
    let adopted = eventually("ten are adopted", async || {
        let adopted = adopted(&arena).await;
        (adopted.len() >= AT_ONCE).then_some(adopted)
    })
    .await;
    reroll.kill();
    let of = |wanted: &'static str| {
        let those = all.iter().filter(move |(source, _)| *source == wanted);
        those.map(|(_, name)| name.clone())
    };
    assert_eq!(adopted, of("z-just-now").collect());
    // Dead before it came to the others: a change counts where it was adopted.
    arena.update_secret("z-just-now", &[("k", "two")]).await;
    let _reroll = builder.start().await;
    arena.all_adopted(KIND).await;
    recorder.settle(&arena).await;
    for (source, name) in &all {
        recorder.expect(KIND, name, usize::from(*source == "z-just-now"));
    }
}

/// The names of workloads that have `observed`.
async fn adopted(arena: &Arena) -> BTreeSet<String> {
    let list = arena.api(KIND).list(&ListParams::default()).await.unwrap();
    let adopted = |object: &&DynamicObject| object.annotations().contains_key(OBSERVED);
    list.iter()
        .filter(adopted)
        .map(ResourceExt::name_any)
        .collect()
}
