//! Where the judge asks its brakes, and tells what became of restarts.

use jiff::Timestamp;
use tokio::time::Instant;

use super::{
    Judge,
    brakes::{Answer, News, Reason},
    docket::Docket,
};
use crate::model::{Index, WorkloadKey, brake::failed::HANGS, decide::Restart, note::Note};

/// Asks the brakes about a restart that is due. One that waits has its intent parked by the caller.
pub fn ask(judge: &Judge, key: &WorkloadKey, restart: &Restart) -> Answer {
    let now = judge.state.time();
    let mut docket = judge.docket();
    let before = docket.brakes.waits(key);
    let answer = docket.ask(&judge.state.index(), key, restart, now);
    let waits = docket.brakes.waits(key);
    drop(docket);
    if let (None, Some((Reason::Distance { next: Some(next) }, _))) = (before, waits) {
        let wait = next.duration_since(now).unsigned_abs();
        judge.teller.say_first(key, &Note::RestartLimited { wait });
    }
    if waits.is_some() {
        judge.brakes_changed.notify_one();
    }
    answer
}

/// Has those restarts due that the brakes let go, and tells what became of others. Returns when there may be more.
pub fn release(judge: &Judge) -> Option<Timestamp> {
    let now = judge.state.time();
    let mut docket = judge.docket();
    let (gone, news) = docket.release(&judge.state.index(), now);
    let at = Instant::now();
    for key in &gone {
        docket.intents.resume(key, at);
        // Or it is restarted when it is adopted, and has no intent.
        docket.tidying.resume(key);
    }
    let next = docket.brakes.next();
    let freed = free(&mut docket, &judge.state.index(), now);
    drop(docket);
    if freed || !gone.is_empty() {
        judge.intents_changed.notify_one();
        judge.tidying_changed.notify_one();
    }
    for (key, news) in &news {
        tell(judge, key, news);
    }
    next
}

/// Takes in that what a namespace says changed.
pub fn namespace_changed(judge: &Judge, namespace: &str) {
    let now = judge.state.time();
    judge.docket().brakes.namespace_changed(namespace, now);
    judge.brakes_changed.notify_one();
}

/// Frees the places in the budget of those that roll no more. Returns whether there were any.
fn free(docket: &mut Docket, index: &Index, now: Timestamp) -> bool {
    let Docket {
        intents, brakes, ..
    } = docket;
    let rolls = |key: &WorkloadKey, tracked| brakes.made().rolls(key, tracked, now);
    intents.freed(|key| {
        index
            .workload(key)
            .is_some_and(|tracked| rolls(key, tracked))
    })
}

fn tell(judge: &Judge, key: &WorkloadKey, news: &News) {
    let teller = &judge.teller;
    match news {
        News::Gated { words } => teller.say_first(key, &Note::RestartGated { words }),
        News::Waits { words } => teller.say_first(key, &Note::RolloutWaits { words }),
        News::Stuck {
            reason,
            words,
            remedy,
        } => {
            teller.metrics.restart_stuck(key.kind.kind, reason);
            let remedy = remedy.as_deref();
            teller.say_first(key, &Note::RestartStuck { words, remedy });
        }
        News::Hangs { words } => {
            teller.metrics.restart_stuck(key.kind.kind, HANGS);
            teller.say_first(key, &Note::RestartHangs { words });
        }
        News::Slowed { source, words } => {
            let source = source.as_ref();
            let note = Note::RestartsSlowed { source, words };
            teller.say_first(key, &note);
            if let (Some(source), true) = (source, teller.leads()) {
                teller.say_on_source(key, source, &note);
            }
        }
    }
}
