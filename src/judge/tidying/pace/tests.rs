use std::collections::VecDeque;

use super::*;
use crate::model::workload::KINDS;

fn key(number: usize) -> WorkloadKey {
    WorkloadKey {
        kind: &KINDS[0],
        namespace: "n".to_owned(),
        name: number.to_string(),
    }
}

const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// A controller that makes `burst` calls at once after a quiet time, and `rate` calls a second.
struct Controller {
    burst: f64,
    rate: f64,
}

/// The calls for each write, and the time that they take where nothing limits them.
const CALLS: f64 = 3.0;
const WORK: Duration = ms(25);

/// What writes to a controller lead to, made as fast as the pace allows.
#[derive(Default)]
struct Run {
    /// When each workload was written, in seconds.
    written: Vec<f64>,
    /// How many calls were free, at each tenth of a second.
    free: Vec<f64>,
    /// The most workloads that were behind at once.
    most: usize,
}

/// When a turn writes that began at this millisecond.
type Writes = fn(u64) -> u64;

fn run(controller: &Controller, writes: Writes, seconds: u64) -> Run {
    let began = Instant::now();
    let (mut pace, mut tokens) = (Pace::new(), controller.burst);
    let (mut work, mut done) = (VecDeque::new(), None);
    let mut turns: Vec<(u64, u64)> = Vec::new();
    let mut run = Run::default();
    for millisecond in 0..seconds * 1000 {
        let now = began + ms(millisecond);
        tokens = (tokens + controller.rate / 1000.0).min(controller.burst);
        if done.is_some_and(|(_, at)| at <= now)
            && let Some((number, _)) = done.take()
        {
            assert!(pace.seen(&key(number), 2, now));
        }
        if done.is_none()
            && tokens >= CALLS
            && let Some(number) = work.pop_front()
        {
            tokens -= CALLS;
            done = Some((number, now + WORK));
        }
        // Until the first was written, nobody knows whether that is work for the controller.
        let known = !run.written.is_empty() || turns.is_empty();
        if known && turns.len() < pace.side_by_side() && pace.opens(now) <= now {
            pace.begins(now);
            turns.push((writes(millisecond), millisecond));
        }
        for (_, at) in turns.extract_if(.., |(due, _)| *due <= millisecond) {
            let number = run.written.len();
            pace.wrote(&key(number), 2, began + ms(at), now);
            work.push_back(number);
            run.written.push(now.duration_since(began).as_secs_f64());
        }
        run.most = run.most.max(work.len() + usize::from(done.is_some()));
        if millisecond % 100 == 0 {
            run.free.push(tokens);
        }
    }
    run
}

/// When turns write, the most workloads that may be behind then (those that began while fewer than [`FEW`] were), and how
/// many a second there are at least where nothing limits the controller. One after the other, turns that list are ten.
const TURNS: [(&str, Writes, usize, usize); 4] = [
    ("at once", |at| at, FEW, 20),
    ("after a list", |at| at + 100, MOST, 20),
    // All that were asked for since the last time are answered.
    ("every 100 ms", |at| at / 100 * 100 + 100, MOST, 13),
    (
        "not in their order",
        |at| at + 5 + at * 7919 % 101,
        MOST,
        13,
    ),
];
const MOST: usize = FEW - 1 + SIDE_BY_SIDE;

#[test]
fn beside_default_limits_most_of_the_time_calls_are_free() {
    let controller = Controller {
        burst: 30.0,
        rate: 20.0,
    };
    for (what, writes, most, _) in TURNS {
        let run = run(&controller, writes, 200);
        assert!(
            run.written.len() >= 4 * 200,
            "{what}: {}",
            run.written.len()
        );
        assert!(run.most <= most, "{what}: {}", run.most);
        // Fifteen calls are a rollout of a few pods.
        let short = run.free.iter().filter(|free| **free < 15.0).count();
        assert!(
            short * 5 < run.free.len(),
            "{what}: too few were free in {short} of {} tenths",
            run.free.len()
        );
    }
}

#[test]
fn without_limits_it_goes_as_fast_as_they_are_seen() {
    let controller = Controller {
        burst: 1000.0,
        rate: 1000.0,
    };
    for (what, writes, most, least) in TURNS {
        let run = run(&controller, writes, 60);
        assert!(
            run.written.len() >= least * 60,
            "{what}: {}",
            run.written.len()
        );
        assert!(run.most <= most, "{what}: {}", run.most);
    }
}

#[test]
fn a_controller_that_is_down_is_neither_flooded_nor_waited_for() {
    let began = Instant::now();
    let mut pace = Pace::new();
    let mut written = 0;
    for millisecond in 0..60_000 {
        let now = began + ms(millisecond);
        if pace.opens(now) <= now {
            pace.wrote(&key(written), 2, now, now);
            written += 1;
        }
        assert!(pace.behind.len() <= FEW);
    }
    assert_eq!(written, FEW * 6);
}

#[test]
fn what_opens_says_is_when_it_opens() {
    let began = Instant::now();
    let mut pace = Pace::new();
    assert_eq!(pace.opens(began), began);
    for number in 0..FEW {
        pace.wrote(&key(number), 7, began, began);
    }
    assert_eq!(pace.opens(began), began + GIVE_UP);
    // Of an older generation, and of another workload: no news.
    assert!(!pace.seen(&key(0), 6, began));
    assert!(!pace.seen(&key(FEW), 7, began));
    assert_eq!(pace.opens(began), began + GIVE_UP);
    assert!(pace.seen(&key(0), 8, began + ms(1)));
    assert!(!pace.seen(&key(0), 8, began + ms(1)));
    assert_eq!(pace.opens(began), began + pace.interval);
    assert!(pace.forget(&key(1)));
    assert_eq!(pace.opens(began), began + pace.interval);
}
