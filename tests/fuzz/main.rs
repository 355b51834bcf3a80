//! The corpora of the fuzz targets, and a fixed number of changes of them, the same in every run.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed step fails the test"
)]

mod annotations;
mod patterns;
mod review;

use std::{fs, path::Path};

use fastrand::Rng;

const SEED: u64 = 20_261_122;
/// How many changed inputs a target sees.
const CHANGED: usize = 30_000;
/// How many of those that make automata, each of which is as large as the bounds allow.
const FEW: usize = 2_000;

fn corpus(folders: &[&str]) -> Vec<Vec<u8>> {
    let mut inputs = Vec::new();
    for folder in folders {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let mut files: Vec<_> = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        inputs.extend(files.into_iter().map(|file| fs::read(file).unwrap()));
    }
    assert!(inputs.len() > 5, "a corpus");
    inputs
}

/// What fuzzers do first: bytes flipped, cut out, repeated, and parts of another input put in.
fn changed(random: &mut Rng, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut input = random.choice(corpus).unwrap().clone();
    for _ in 0..random.usize(1..5) {
        if input.is_empty() {
            break;
        }
        let at = random.usize(0..input.len());
        let end = (at + random.usize(1..40)).min(input.len());
        match random.u8(0..5) {
            0 => input[at] = random.u8(..),
            1 => drop(input.drain(at..end)),
            2 => {
                let part = input[at..end].to_vec();
                input.splice(at..at, part);
            }
            3 => input[at] = *random.choice(b"\"{}[],:*?!/~-0").unwrap(),
            _ => {
                let other = random.choice(corpus).unwrap();
                let from = random.usize(0..=other.len());
                let until = (from + random.usize(0..40)).min(other.len());
                input.splice(at..end, other[from..until].iter().copied());
            }
        }
    }
    input
}

fn run(target: fn(&[u8]), folders: &[&str], changes: usize) {
    let corpus = corpus(folders);
    for input in &corpus {
        target(input);
    }
    let mut random = Rng::with_seed(SEED);
    for _ in 0..changes {
        target(&changed(&mut random, &corpus));
    }
}

#[test]
fn reviews() {
    run(
        review::check,
        &["tests/data", "fuzz/corpus/review"],
        CHANGED,
    );
}

#[test]
fn annotations() {
    run(annotations::check, &["fuzz/corpus/annotations"], CHANGED);
}

#[test]
fn patterns() {
    run(patterns::check, &["fuzz/corpus/patterns"], FEW);
}
