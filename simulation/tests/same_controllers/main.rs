//! The controllers in memory do as a real kube-controller-manager does.
//!
//! The same stories are told to a cluster in memory and to a real one, with simulated nodes. Where a story comes to
//! rest, what there is then must be the same: pods by template, owners, revisions and their numbers, annotations,
//! statuses and conditions. Random suffixes of names, uids and times differ. Where the two differ otherwise, the copy is
//! wrong.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed step fails the test"
)]

mod memory;
mod picture;
mod real;
mod step;
mod stories;

use std::collections::BTreeMap;

use futures::future::join_all;
use reroll_harness::cluster::Cluster;
use serde_json::Value;

/// What there was at each rest of a story.
type Pictures = Vec<(String, Value)>;

/// The seeds of the cluster in memory: what there is at a rest must not depend on how long things took.
const SEEDS: std::ops::Range<u64> = 0..4;

/// Returns what names of stories contain that are told: `STORY`, else all.
#[expect(clippy::disallowed_methods, reason = "a person asks for it")]
fn only() -> String {
    std::env::var("STORY").unwrap_or_default()
}

#[test]
fn the_same_stories_come_to_the_same_rests() {
    let only = only();
    let mut stories = stories::all();
    stories.retain(|story| story.name.contains(&only));
    let began = std::time::Instant::now();
    let mut expected: BTreeMap<&str, Pictures> = BTreeMap::new();
    let mut wavering = Vec::new();
    for story in &stories {
        let (name, steps) = (story.name.as_str(), &story.steps);
        let mut seeds = SEEDS.map(|seed| memory::tell(seed, name, steps));
        let first = seeds.next().unwrap();
        for (seed, other) in SEEDS.skip(1).zip(seeds) {
            for (one, other) in first.iter().zip(&other) {
                if one.1 != other.1 {
                    let differs = picture::difference(&one.1, &other.1);
                    wavering.push(format!("{name}, {}: seed {seed}\n{differs}", one.0));
                    break;
                }
            }
        }
        expected.insert(name, first);
    }
    eprintln!("the copy took {:?}", began.elapsed());
    assert!(
        wavering.is_empty(),
        "it depends on the seed (the first, then another):\n{}",
        wavering.join("\n\n")
    );
    let cluster = Cluster::start().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let differences: Vec<String> = runtime.block_on(async {
        let client = cluster.client().await;
        let told = stories
            .iter()
            .map(|story| real::tell(client.clone(), story, &expected[story.name.as_str()]));
        join_all(told).await.into_iter().flatten().collect()
    });
    let rests: usize = expected.values().map(Vec::len).sum();
    eprintln!("{} stories with {rests} rests are compared", stories.len());
    assert!(!only.is_empty() || rests > 50, "{rests}");
    assert!(
        differences.is_empty(),
        "{} differences:\n{}",
        differences.len(),
        differences.join("\n\n")
    );
}
