//! Slow start, simulated: the brakes of the product drive users that behave as real ones do, and time jumps. There is no API
//! server, and no clock.
//!
//! A user is restarted for a version, and then its first new pod is good, or fails in one of the ways that nodes showed. What
//! the brakes know of it is what a list of its pods would show.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use reroll::model::{
    SourceName,
    brake::{
        Verdict, distance,
        look::{Look, Reason, Said, Trouble},
        slow_start::{Room, Stands, room},
        spread::{Namespace, Spread},
        turns::{Candidate, Counted, choose},
        verdict::{Facts, Patience, counted, verdict},
    },
    digest::Digest,
    workload::{Changed, Opened, Progress, VersionId},
};

/// Seconds.
pub(crate) type Seconds = i64;

/// So many restarts are made a second.
const PACE: Seconds = 20;
/// How often the brakes look.
const LOOK: Seconds = 1;
/// When a crash is seen after the start, as measured on a node: a pod starts, ends, starts again and ends again.
const CRASH_SEEN: Seconds = 25;

/// What a new pod does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pod {
    /// It runs so long after it was made.
    Runs(Seconds),
    /// A key is missing.
    Config,
    /// It ends so long after its start, and again.
    Ends(Seconds),
    /// It runs and is never ready.
    NeverReady,
}

impl Pod {
    /// Returns when a look at it shows something else, in seconds after it was made.
    fn changes_after(self, age: Seconds) -> Seconds {
        let never = Seconds::MAX / 2;
        let times = match self {
            Self::Runs(after) => vec![after],
            Self::Config => vec![CRASH_SEEN],
            Self::Ends(after) => vec![after, after + 10, 2 * after + 10, CRASH_SEEN + 2 * after],
            Self::NeverReady => Vec::new(),
        };
        times.into_iter().find(|time| *time > age).unwrap_or(never)
    }
}

/// A workload.
#[derive(Clone, Debug)]
pub(crate) struct User {
    /// Its namespace.
    pub(crate) namespace: usize,
    /// Its sources, by number, each with what its pods do with the new version.
    pub(crate) sources: Vec<(usize, Pod)>,
    /// Whether no pod of it is available until it is restarted.
    pub(crate) down: bool,
    versions: BTreeMap<Changed, VersionId>,
    restarted: Option<Restarted>,
}

#[derive(Clone, Debug)]
struct Restarted {
    opened: Opened,
    pod: Pod,
    was_good: bool,
}

/// What happened.
#[derive(Clone, Debug, Default)]
pub(crate) struct Run {
    /// When each user was restarted, in seconds since the change.
    pub(crate) restarted: BTreeMap<usize, Seconds>,
    /// Of them, those whose new pods do not work.
    pub(crate) broken: BTreeSet<usize>,
    /// The seconds that users were down, together.
    pub(crate) down: Seconds,
}

/// How it is run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct World {
    /// Until when, in seconds.
    pub(crate) until: Seconds,
    /// Every so often the process is killed and forgets everything; 0: never.
    pub(crate) killed_every: Seconds,
    /// Whether slow start is on.
    pub(crate) slow_start: bool,
}

impl World {
    /// Runs until then, without a kill.
    pub(crate) fn until(until: Seconds) -> Self {
        Self {
            until,
            killed_every: 0,
            slow_start: true,
        }
    }
}

/// Returns users of one source in one namespace, all alike.
pub(crate) fn alike(number: usize, pod: Pod) -> Vec<User> {
    let user = User::of(0, vec![(0, pod)]);
    vec![user; number]
}

impl User {
    /// Returns one that uses these.
    pub(crate) fn of(namespace: usize, sources: Vec<(usize, Pod)>) -> Self {
        let named = sources.iter().map(|(number, _)| {
            let source = SourceName::secret(format!("s{number}"));
            (Changed::Source(source), Digest::CHANGED)
        });
        Self {
            namespace,
            versions: named.collect(),
            sources,
            down: false,
            restarted: None,
        }
    }

    /// Returns what the first pod does: what is worst of what its sources make of it.
    fn pod(&self) -> Pod {
        let all = self.sources.iter().map(|(_, pod)| *pod);
        let bad = all.clone().find(|pod| !matches!(pod, Pod::Runs(_)));
        let runs = all.filter_map(|pod| match pod {
            Pod::Runs(after) => Some(after),
            _ => None,
        });
        bad.unwrap_or(Pod::Runs(runs.max().unwrap_or(0)))
    }
}

fn at(seconds: Seconds) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).unwrap_or(Timestamp::MAX)
}

/// Returns what a list of the pods shows so long after the restart.
fn look(pod: Pod, made: Seconds, age: Seconds) -> Look {
    let trouble = |reason| {
        let said = Said {
            pod: "p".to_owned(),
            words: String::new(),
        };
        Some(Trouble { reason, said })
    };
    let mut look = Look {
        new: 1,
        ..Look::default()
    };
    match pod {
        Pod::Runs(after) if age >= after => look.runs_since = Some(at(made + after)),
        Pod::Config if age >= CRASH_SEEN => look.trouble = trouble(Reason::Config),
        Pod::Ends(after) if age >= CRASH_SEEN + 2 * after => {
            look.trouble = trouble(Reason::Restarts);
        }
        Pod::Ends(after) => {
            // It is ready while it runs; the kubelet waits ten seconds before it starts it again.
            let again = after + 10;
            let started = if age >= again { again } else { 0 };
            let runs = age < after || age >= again && age < again + after;
            look.runs_since = runs.then(|| at(made + started));
        }
        Pod::Runs(_) | Pod::NeverReady | Pod::Config => {}
    }
    look
}

impl Restarted {
    fn verdict(&self, now: Seconds, knows: bool) -> Option<Verdict> {
        let made = self.opened.at.as_second() - at(0).as_second();
        let age = now - made;
        // A process that was just started lists pods once they are worth it.
        let seen = (knows || age >= 20).then(|| look(self.pod, made, age));
        let progress = Progress::default();
        let facts = Facts {
            opened: &self.opened,
            is_ours: true,
            progress: &progress,
            is_unseen: false,
            began: None,
            aborted: false,
            complete_since: None,
            was_good: self.was_good && knows,
            look: seen.as_ref(),
        };
        verdict(&facts, Patience::default(), at(now))
    }
}

/// Runs it.
pub(crate) fn run(world: World, mut users: Vec<User>) -> Run {
    let mut run = Run::default();
    let mut now = 0;
    while now <= world.until {
        let knows = world.killed_every == 0 || now % world.killed_every > LOOK;
        let verdicts: Vec<_> = users
            .iter_mut()
            .map(|user| verdict_of(user, now, knows))
            .collect();
        let of = users.iter().zip(&verdicts);
        let down = of
            .filter(|(user, verdict)| is_down(user, verdict.as_ref()))
            .count();
        run.down += LOOK * Seconds::try_from(down).unwrap_or(Seconds::MAX);
        let waiting: Vec<_> = (0..users.len())
            .filter(|which| users[*which].restarted.is_none())
            .collect();
        if waiting.is_empty()
            && verdicts
                .iter()
                .all(|verdict| !matches!(verdict, Some(Verdict::Rolling { .. })))
        {
            break;
        }
        let (goes, next) = go(world, &users, &verdicts, &waiting, now);
        for (which, alone) in goes {
            run.restarted.insert(which, now);
            let user = &mut users[which];
            let pod = user.pod();
            if !matches!(pod, Pod::Runs(_)) {
                run.broken.insert(which);
            }
            user.restarted = Some(Restarted {
                opened: opened(user, now, alone),
                pod,
                was_good: false,
            });
        }
        now += step(world, &users, &verdicts, next, now);
    }
    run
}

fn verdict_of(user: &mut User, now: Seconds, knows: bool) -> Option<Verdict> {
    let restarted = user.restarted.as_mut()?;
    let verdict = restarted.verdict(now, knows);
    restarted.was_good = verdict == Some(Verdict::Good);
    verdict
}

fn is_down(user: &User, verdict: Option<&Verdict>) -> bool {
    user.down && verdict != Some(&Verdict::Good)
}

fn opened(user: &User, now: Seconds, alone: bool) -> Opened {
    Opened {
        at: at(now),
        mark: String::new(),
        versions: user.versions.clone(),
        distance: SignedDuration::ZERO,
        unavailable: 0,
        well: !user.down,
        alone,
        generation: 1,
        template: Digest::CHANGED,
    }
}

/// Returns who goes now, and whether alone.
fn go(
    world: World,
    users: &[User],
    verdicts: &[Option<Verdict>],
    waiting: &[usize],
    now: Seconds,
) -> (Vec<(usize, bool)>, Option<Seconds>) {
    let pace = usize::try_from(PACE * LOOK).unwrap_or(1);
    if !world.slow_start {
        let all = waiting.iter().take(pace).map(|which| (*which, false));
        return (all.collect(), None);
    }
    let mut counts: BTreeMap<usize, BTreeMap<Counted, Vec<_>>> = BTreeMap::new();
    for (user, verdict) in users.iter().zip(verdicts) {
        let of_namespace = counts.entry(user.namespace).or_default();
        for version in &user.versions {
            let version = (version.0.clone(), *version.1);
            let counts = of_namespace.entry(version).or_default();
            let opened = user.restarted.as_ref().map(|restarted| &restarted.opened);
            counts.extend(opened.and_then(|opened| counted(opened, verdict.as_ref())));
        }
    }
    let names: Vec<_> = counts.keys().map(ToString::to_string).collect();
    let namespaces: Vec<_> = counts
        .values()
        .zip(&names)
        .map(|(versions, name)| {
            let all = versions.values().flatten().map(|one| (one.at, one.stands));
            Namespace::of(name, all)
        })
        .collect();
    let mut spread = Spread::of(&namespaces, at(now));
    let (mut goes, mut next) = (Vec::new(), None);
    for (namespace, versions) in &counts {
        let rooms: BTreeMap<_, Room> = versions
            .iter()
            .map(|(version, counted)| (version.clone(), room(counted, at(now))))
            .collect();
        for room in rooms.values() {
            if let Room::At(time) = room {
                let time = time.as_second() - at(0).as_second();
                next = next.into_iter().chain([time]).min();
            }
        }
        let here: Vec<_> = waiting
            .iter()
            .filter(|which| users[**which].namespace == *namespace)
            .collect();
        let candidates: Vec<_> = here
            .iter()
            .map(|which| candidate(&users[**which]))
            .collect();
        let name = namespace.to_string();
        for chosen in choose(&candidates, &rooms) {
            if candidates[chosen.which].freely || spread.take(&name) {
                goes.push((*here[chosen.which], chosen.alone));
            }
        }
    }
    goes.truncate(pace);
    (goes, next)
}

fn candidate(user: &User) -> Candidate {
    Candidate {
        versions: user.versions.clone(),
        since: at(0),
        restarted: None,
        freely: user.down,
        goes_on: false,
        rolls: false,
        probed: false,
        several: false,
        available: 0,
    }
}

/// Returns how far time jumps: to where something may change. `next`: when failures let the next go.
fn step(
    world: World,
    users: &[User],
    verdicts: &[Option<Verdict>],
    next: Option<Seconds>,
    now: Seconds,
) -> Seconds {
    if world.killed_every > 0 || !world.slow_start {
        return LOOK;
    }
    let rolling = users.iter().zip(verdicts).filter_map(|(user, verdict)| {
        let Some(Verdict::Rolling { next }) = verdict else {
            return None;
        };
        let restarted = user.restarted.as_ref()?;
        let made = restarted.opened.at.as_second() - at(0).as_second();
        let shown = made + restarted.pod.changes_after(now - made);
        Some(shown.min(next.as_second() - at(0).as_second()))
    });
    let waits_for_pace = users.iter().any(|user| {
        let made = user.restarted.as_ref().map(|restarted| restarted.opened.at);
        made == Some(at(now))
    });
    if waits_for_pace {
        return LOOK;
    }
    let soon = rolling.chain(next).filter(|soon| *soon > now).min();
    soon.map_or(LOOK, |soon| soon - now)
}

/// Returns when a source that changes every so often restarts its user, within so many seconds.
pub(crate) fn rewritten(every: Seconds, during: Seconds) -> Vec<Seconds> {
    let mut made: Vec<Seconds> = Vec::new();
    let (mut before, mut behind) = (None, false);
    for now in 0..during {
        behind |= now % every == 0;
        let waits = before
            .and_then(|before| distance::wait(before, None, false, at(now), distance::LONGEST));
        if behind && waits.is_none() {
            before = Some((at(now), distance::after(before, at(now), distance::LONGEST)));
            made.push(now);
            behind = false;
        }
    }
    made
}

/// Returns how long the others wait longest, in seconds, beside a tenant that makes a workload fail every minute.
pub(crate) fn tenant(hours: i64) -> Seconds {
    let (mut longest, mut failed) = (0, Vec::new());
    let mut others: BTreeMap<usize, (Timestamp, Stands)> = BTreeMap::new();
    let mut waiting: Vec<(usize, Seconds)> = Vec::new();
    for now in 0..hours * 3_600 {
        if now % 60 == 0 {
            failed.push(at(now));
            // Sixty changes an hour, in another namespace each time.
            waiting.push((usize::try_from(now / 60).unwrap_or(0) % 200, now));
        }
        for (made, stands) in others.values_mut() {
            if *stands == Stands::Rolling && at(now).duration_since(*made).as_secs() >= 20 {
                *stands = Stands::Good;
            }
        }
        let names: Vec<_> = others.keys().map(|name| format!("n{name}")).collect();
        let mut namespaces: Vec<_> = others
            .values()
            .zip(&names)
            .map(|(restarted, name)| Namespace::of(name, [*restarted]))
            .collect();
        let of_tenant = failed.iter().map(|made| {
            let seen = at(now).duration_since(*made).as_secs() >= CRASH_SEEN;
            (
                *made,
                if seen {
                    Stands::Failed
                } else {
                    Stands::Rolling
                },
            )
        });
        namespaces.push(Namespace::of("tenant", of_tenant));
        let mut spread = Spread::of(&namespaces, at(now));
        waiting.retain(|(name, since)| {
            let goes = spread.take(&format!("n{name}"));
            if goes {
                longest = longest.max(now - since);
                others.insert(*name, (at(now), Stands::Rolling));
            }
            !goes
        });
    }
    longest
}
