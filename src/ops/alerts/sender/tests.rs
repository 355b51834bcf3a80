//! Tests of gathering, tries and the end, against a scripted webhook in paused time.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use tokio::{task::JoinHandle, time::timeout};

use super::*;
use crate::ops::{
    alerts::{
        AlertSink, Entry,
        settings::AlertKind,
        tests::{at, recreated, workload},
    },
    metrics::Metrics,
};

/// Answers from a script, then takes everything; notes when it got what.
#[derive(Clone, Default)]
struct Script {
    answers: Arc<Mutex<VecDeque<Delivery>>>,
    got: Arc<Mutex<Vec<(Instant, String)>>>,
    hangs: bool,
}

impl Webhook for Script {
    async fn post(&self, content: &Content) -> Delivery {
        self.got
            .lock()
            .unwrap()
            .push((Instant::now(), content.body.clone()));
        if self.hangs {
            std::future::pending::<()>().await;
        }
        let answer = self.answers.lock().unwrap().pop_front();
        answer.unwrap_or(Delivery::Taken)
    }

    fn host(&self) -> String {
        "hooks.example".to_owned()
    }
}

struct Run {
    sink: AlertSink,
    script: Script,
    stop: CancellationToken,
    metrics: Arc<Metrics>,
    task: JoinHandle<()>,
    began: Instant,
}

fn failed(wait: Option<u64>) -> Delivery {
    Delivery::Failed("answered 503".to_owned(), wait.map(Duration::from_secs))
}

fn run(window: u64, queue: usize, script: Script) -> Run {
    let (sender, alerts) = mpsc::channel(queue);
    let metrics = Arc::new(Metrics::new());
    let lost = Lost::new(Arc::clone(&metrics));
    let sink = AlertSink(Some(Entry {
        queue: sender,
        on: [AlertKind::Restarted, AlertKind::Failing].into(),
        lost: lost.clone(),
    }));
    let gatherer = Gatherer {
        alerts,
        lost,
        sink: AlertSinkKind::Text,
        prefix: String::new(),
        window: Duration::from_secs(window),
    };
    let stop = CancellationToken::new();
    let task = tokio::spawn({
        let (script, stop) = (script.clone(), stop.clone());
        async move { gatherer.send_all(&script, stop).await }
    });
    let began = Instant::now();
    Run {
        sink,
        script,
        stop,
        metrics,
        task,
        began,
    }
}

impl Run {
    fn restart(&self, name: &str) {
        let causes = [recreated("db")];
        self.sink.restarted(&workload(name), &causes, 1, at(0));
    }

    /// The names in each message, and its second.
    fn got(&self) -> Vec<(u64, Vec<String>)> {
        let name = |line: &str| line.split([':', '/']).nth(1).map(ToOwned::to_owned);
        let got = self.script.got.lock().unwrap();
        got.iter()
            .map(|(when, body)| {
                let names = body.lines().skip(1).filter_map(name).collect();
                ((*when - self.began).as_secs(), names)
            })
            .collect()
    }

    fn last(&self) -> String {
        self.script.got.lock().unwrap().last().unwrap().1.clone()
    }

    fn count(&self, outcome: &str) -> u64 {
        let text = self.metrics.encode().unwrap();
        let start = format!("reroll_alerts_total{{outcome=\"{outcome}\"}} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&start));
        line.unwrap().parse().unwrap()
    }

    async fn end(&mut self) -> Duration {
        let asked = Instant::now();
        self.stop.cancel();
        timeout(Duration::from_mins(5), &mut self.task)
            .await
            .unwrap()
            .unwrap();
        asked.elapsed()
    }
}

async fn seconds(count: u64) {
    sleep(Duration::from_secs(count)).await;
}

#[tokio::test(start_paused = true)]
async fn what_comes_within_the_window_is_one_message() {
    let run = run(5, 16, Script::default());
    seconds(1).await;
    run.restart("a");
    seconds(4).await;
    run.restart("b");
    seconds(3).await;
    run.restart("c");
    seconds(60).await;
    let expected = [
        (6, vec!["a".to_owned(), "b".to_owned()]),
        (13, vec!["c".to_owned()]),
    ];
    assert_eq!(run.got(), expected);
    assert_eq!(run.count("sent"), 3);
}

#[tokio::test(start_paused = true)]
async fn without_a_window_each_is_a_message_at_once() {
    let run = run(0, 16, Script::default());
    run.restart("a");
    run.restart("b");
    seconds(1).await;
    let expected = [(0, vec!["a".to_owned()]), (0, vec!["b".to_owned()])];
    assert_eq!(run.got(), expected);
}

#[tokio::test(start_paused = true)]
async fn what_may_pass_is_tried_again() {
    let script = Script::default();
    script
        .answers
        .lock()
        .unwrap()
        .extend([failed(None), failed(Some(30)), failed(Some(86400))]);
    let run = run(0, 16, script);
    run.restart("a");
    seconds(300).await;
    let when: Vec<_> = run.got().into_iter().map(|(when, _)| when).collect();
    // At once; after half a second, and jitter; after what was asked for; after the most that may be asked for.
    assert_eq!(when.len(), 4, "{when:?}");
    assert!((0..=1).contains(&when[1]), "{when:?}");
    assert!((30..=32).contains(&when[2]), "{when:?}");
    assert!((90..=94).contains(&when[3]), "{when:?}");
    assert_eq!((run.count("sent"), run.count("failed")), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn it_is_given_up_in_the_end_and_the_next_message_says_so() {
    let script = Script::default();
    let answers = std::iter::repeat_with(|| failed(None)).take(5);
    script.answers.lock().unwrap().extend(answers);
    let run = run(1, 16, script);
    run.restart("a");
    run.restart("b");
    seconds(60).await;
    assert_eq!(run.got().len(), 5);
    assert_eq!(run.count("failed"), 2);
    run.restart("c");
    seconds(60).await;
    assert!(
        run.last()
            .ends_with("\n2 earlier alerts could not be sent."),
        "{}",
        run.last()
    );
    run.restart("d");
    seconds(60).await;
    assert!(!run.last().contains("earlier"), "{}", run.last());
    assert_eq!(run.count("sent"), 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_is_not_tried_again() {
    let script = Script::default();
    let refused = Delivery::Refused("answered 404 Not Found".to_owned());
    script.answers.lock().unwrap().push_back(refused);
    let run = run(0, 16, script);
    run.restart("a");
    seconds(300).await;
    assert_eq!(run.got().len(), 1);
    assert_eq!(run.count("failed"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_webhook_that_hangs_fills_a_bounded_queue_and_nothing_else() {
    let script = Script {
        hangs: true,
        ..Script::default()
    };
    let mut run = run(0, 4, script);
    run.restart("a");
    seconds(1).await;
    for number in 0..10 {
        run.restart(&number.to_string());
    }
    assert_eq!(run.count("dropped"), 6);
    // The one in flight and the four that wait.
    assert_eq!(run.end().await, LAST_ALERTS);
    assert_eq!((run.count("dropped"), run.count("sent")), (11, 0));
}

#[tokio::test(start_paused = true)]
async fn what_did_not_fit_is_said_in_the_next_message() {
    let run = run(5, 2, Script::default());
    seconds(1).await;
    for name in ["a", "b", "c", "d"] {
        run.restart(name);
    }
    seconds(60).await;
    assert!(run.last().contains("2 earlier alerts"), "{}", run.last());
    assert_eq!((run.count("dropped"), run.count("sent")), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn at_the_end_what_waits_is_sent_at_once() {
    let mut run = run(3600, 16, Script::default());
    run.restart("a");
    seconds(1).await;
    run.restart("b");
    assert!(run.end().await < Duration::from_millis(10));
    assert_eq!(run.got(), [(1, vec!["a".to_owned(), "b".to_owned()])]);
    assert_eq!(run.count("dropped"), 0);
    // Nobody listens any more.
    run.restart("c");
    assert_eq!(run.count("dropped"), 1);
}
