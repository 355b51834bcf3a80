use std::collections::BTreeMap;

use super::*;
use crate::model::{
    brake::look::{Reason, Said, Trouble},
    digest::Digest,
    workload::PodCounts,
};

/// Restarted at 0.
fn opened() -> Opened {
    Opened {
        at: at(0),
        mark: "m".to_owned(),
        versions: BTreeMap::new(),
        distance: SignedDuration::ZERO,
        unavailable: 0,
        well: true,
        alone: false,
        generation: 2,
        template: Digest::CHANGED,
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn counted_kind() -> Progress {
    Progress {
        counts: Some(PodCounts::default()),
        ..Progress::default()
    }
}

fn trouble(reason: Reason) -> Look {
    let said = Said {
        pod: "web-1".to_owned(),
        words: "no".to_owned(),
    };
    Look {
        new: 1,
        trouble: Some(Trouble { reason, said }),
        ..Look::default()
    }
}

fn runs_since(seconds: i64) -> Look {
    Look {
        new: 1,
        runs_since: Some(at(seconds)),
        ..Look::default()
    }
}

/// What is said of a verdict in the tables.
#[derive(Debug, PartialEq, Eq)]
enum Is {
    Nobodys,
    Good,
    Failed(&'static str),
    RollingUntil(i64),
    Void,
}

fn judge(facts: Facts<'_>, now: i64) -> Is {
    match verdict(&facts, Patience::default(), at(now)) {
        None => Is::Nobodys,
        Some(Verdict::Good) => Is::Good,
        Some(Verdict::Failed(failed)) => Is::Failed(failed.as_str()),
        Some(Verdict::Rolling { next }) => Is::RollingUntil(next.as_second()),
        Some(Verdict::Void(_)) => Is::Void,
    }
}

/// What is known of a restart of ours, where nothing else is said.
fn facts<'a>(opened: &'a Opened, progress: &'a Progress, look: Option<&'a Look>) -> Facts<'a> {
    Facts {
        opened,
        is_ours: true,
        progress,
        is_unseen: false,
        began: None,
        aborted: false,
        complete_since: None,
        was_good: false,
        look,
    }
}

#[test]
fn what_becomes_of_a_restart() {
    let (opened, progress) = (opened(), counted_kind());
    let plain = facts(&opened, &progress, None);
    let since = |seconds| Facts {
        complete_since: Some(at(seconds)),
        ..plain
    };
    let config = trouble(Reason::Config);
    let (runs, none) = (runs_since(15), Look::default());
    let seen = |look| Facts {
        look: Some(look),
        ..plain
    };
    let image = Look {
        next: Some(at(60)),
        ..Look::default()
    };
    let rows = [
        ("nothing is known", plain, 5, Is::RollingUntil(600)),
        ("the deadline", plain, 600, Is::Failed("deadline")),
        (
            "complete, and not for long enough",
            since(5),
            14,
            Is::RollingUntil(15),
        ),
        ("complete for long enough", since(5), 15, Is::Good),
        ("a pod runs", seen(&runs), 20, Is::RollingUntil(25)),
        ("a pod has run for long enough", seen(&runs), 25, Is::Good),
        (
            "a pod that runs late is good all the same",
            seen(&runs),
            700,
            Is::Good,
        ),
        ("a key is missing", seen(&config), 20, Is::Failed("config")),
        (
            "an image is waited for",
            seen(&image),
            20,
            Is::RollingUntil(60),
        ),
        (
            "no pod of a kind that is counted",
            seen(&none),
            20,
            Is::RollingUntil(600),
        ),
        (
            "somebody else's",
            Facts {
                is_ours: false,
                ..seen(&config)
            },
            20,
            Is::Nobodys,
        ),
        ("not made yet", plain, -61, Is::Nobodys),
        (
            "aborted",
            Facts {
                aborted: true,
                ..plain
            },
            20,
            Is::Failed("aborted"),
        ),
        (
            "good, and a pod is drained",
            Facts {
                was_good: true,
                ..plain
            },
            300,
            Is::Good,
        ),
        (
            "good, and a pod fails in time",
            Facts {
                was_good: true,
                ..seen(&config)
            },
            300,
            Is::Failed("config"),
        ),
        (
            "good, and a pod fails a year later",
            Facts {
                was_good: true,
                ..seen(&config)
            },
            9_999_999,
            Is::Good,
        ),
    ];
    for (what, facts, now, expected) in rows {
        assert_eq!(judge(facts, now), expected, "{what}");
    }
}

#[test]
fn a_process_that_saw_nothing_goes_by_the_status() {
    let opened = opened();
    let complete = Progress {
        was_complete: true,
        ..counted_kind()
    };
    let restarts = trouble(Reason::Restarts);
    let facts = |progress, look| facts(&opened, progress, look);
    let never = counted_kind();
    let nodes = |available| Progress {
        by_node: true,
        counts: Some(PodCounts {
            wanted: 2,
            all: 2,
            updated: 2,
            available,
            ready: available,
        }),
        ..Progress::default()
    };
    let (one_down, all_down, none) = (nodes(1), nodes(0), Look::default());
    let rows = [
        (
            "complete once, before the deadline",
            &complete,
            None,
            300,
            Is::RollingUntil(600),
        ),
        (
            "complete once, and drained since",
            &complete,
            None,
            601,
            Is::Good,
        ),
        (
            "complete once, and failing",
            &complete,
            Some(&restarts),
            601,
            Is::Failed("restarts"),
        ),
        (
            "complete once, and failing a day later",
            &complete,
            Some(&restarts),
            100_000,
            Is::Nobodys,
        ),
        (
            "never complete, a day later",
            &never,
            None,
            100_000,
            Is::Failed("deadline"),
        ),
        (
            "all pods of a DaemonSet were made again, and a node is down",
            &one_down,
            Some(&none),
            50_000,
            Is::Nobodys,
        ),
        (
            "the same, before its pods are looked at",
            &one_down,
            None,
            50_000,
            Is::Failed("deadline"),
        ),
        (
            "no pod of a DaemonSet is available",
            &all_down,
            Some(&none),
            50_000,
            Is::Failed("deadline"),
        ),
    ];
    for (what, progress, look, now, expected) in rows {
        assert_eq!(judge(facts(progress, look), now), expected, "{what}");
    }
    // Its controller has not seen the restart: what was complete is the rollout before.
    let behind = Facts {
        is_unseen: true,
        ..facts(&complete, None)
    };
    assert_eq!(judge(behind, 601), Is::Failed("deadline"));
}

/// There was no node for its pods, or no controller, until after its deadline.
#[test]
fn what_is_complete_late_has_to_run_like_all_others() {
    let opened = opened();
    let at_650 = Progress {
        was_complete: true,
        completed_at: Some(650),
        ..counted_kind()
    };
    let untold = Progress {
        was_complete: true,
        ..counted_kind()
    };
    let facts = |progress, look| Facts {
        complete_since: Some(at(650)),
        ..facts(&opened, progress, look)
    };
    let restarts = trouble(Reason::Restarts);
    let again = Facts {
        complete_since: None,
        ..facts(&at_650, None)
    };
    let rows = [
        (
            "it just began",
            facts(&at_650, None),
            651,
            Is::RollingUntil(660),
        ),
        ("it runs", facts(&at_650, None), 660, Is::Good),
        ("it ended again", again, 661, Is::RollingUntil(1_250)),
        (
            "and again",
            facts(&at_650, Some(&restarts)),
            700,
            Is::Failed("restarts"),
        ),
        ("long after", again, 1_250, Is::Good),
        (
            "where nothing tells since when",
            facts(&untold, None),
            651,
            Is::RollingUntil(660),
        ),
        ("the same, later", facts(&untold, None), 660, Is::Good),
        (
            "a status of before",
            Facts {
                is_unseen: true,
                complete_since: None,
                ..facts(&at_650, None)
            },
            651,
            Is::Failed("deadline"),
        ),
    ];
    for (what, facts, now, expected) in rows {
        assert_eq!(judge(facts, now), expected, "{what}");
    }
}

/// Its soak is not over by the deadline. Times of a status have no fractions of a second.
#[test]
fn what_is_complete_just_before_its_deadline_has_to_run_like_all_others() {
    let opened = opened();
    for (completed, since, good) in [
        (588, 588, 598),
        (592, 592, 602),
        (599, 600, 610),
        (600, 600, 610),
    ] {
        let progress = Progress {
            was_complete: true,
            completed_at: Some(completed),
            ..counted_kind()
        };
        let ended = facts(&opened, &progress, None);
        let runs = Facts {
            complete_since: Some(at(since)),
            ..ended
        };
        for now in [597, 598, 601, 602, 609, 610] {
            let is_good = judge(runs, now) == Is::Good;
            assert_eq!(is_good, now >= good, "{completed} {now}");
        }
        let is_good = judge(ended, 601) == Is::Good;
        assert_eq!(is_good, good <= 600, "{completed}");
    }
}

#[test]
fn where_there_is_nothing_to_see_it_is_void() {
    let opened = opened();
    let paused = Progress {
        void: Some(Void::Paused),
        ..counted_kind()
    };
    let (custom, none, one) = (Progress::default(), Look::default(), runs_since(1));
    let facts = |progress, look| facts(&opened, progress, look);
    assert_eq!(judge(facts(&paused, None), 5), Is::Void);
    // It has a whole deadline from when it is resumed.
    let (resumed, began) = (counted_kind(), Some(at(900)));
    let resumed = Facts {
        began,
        ..facts(&resumed, None)
    };
    assert_eq!(judge(resumed, 901), Is::RollingUntil(1_500));
    assert_eq!(judge(resumed, 1_500), Is::Failed("deadline"));
    assert_eq!(judge(facts(&custom, None), 5), Is::RollingUntil(600));
    assert_eq!(judge(facts(&custom, Some(&none)), 20), Is::Void);
    assert_eq!(judge(facts(&custom, Some(&one)), 20), Is::Good);
}

#[test]
fn what_goes_alone_is_looked_at_for_longer() {
    let alone = Opened {
        alone: true,
        ..opened()
    };
    let progress = counted_kind();
    let facts = Facts {
        complete_since: Some(at(5)),
        ..facts(&alone, &progress, None)
    };
    assert_eq!(judge(facts, 15), Is::RollingUntil(65));
    assert_eq!(judge(facts, 65), Is::Good);
    // What ends and starts again is complete now and then.
    let ends = trouble(Reason::Restarts);
    let facts = Facts {
        look: Some(&ends),
        ..facts
    };
    assert_eq!(judge(facts, 65), Is::Failed("restarts"));
    assert_eq!(judge(facts, 601), Is::Failed("restarts"));
}

#[test]
fn patience_is_the_workloads_own() {
    let seconds = SignedDuration::from_secs;
    let default = Patience::default();
    let rows = [
        (None, None, None, (10, 60, 600)),
        (Some(30), None, None, (30, 60, 630)),
        (Some(120), None, None, (120, 120, 720)),
        (None, Some(60), None, (10, 60, 60)),
        (None, Some(60), Some(900), (10, 60, 900)),
        (None, None, Some(99_999), (10, 60, 3_600)),
    ];
    for (soak, deadline, own, expected) in rows {
        let is = default.of(soak.map(seconds), deadline.map(seconds), own.map(seconds));
        let is = (is.soak.as_secs(), is.bake.as_secs(), is.deadline.as_secs());
        assert_eq!(is, expected, "{soak:?} {deadline:?} {own:?}");
    }
}

#[test]
fn who_was_not_well_counts_only_when_good() {
    let (well, ill) = (
        opened(),
        Opened {
            well: false,
            ..opened()
        },
    );
    let rolling = Verdict::Rolling { next: at(9) };
    let failed = Verdict::Failed(Failed::Deadline);
    let void = Verdict::Void(Void::Paused);
    let rows = [
        (&well, Some(&Verdict::Good), Some(Stands::Good)),
        (&well, Some(&rolling), Some(Stands::Rolling)),
        (&well, Some(&failed), Some(Stands::Failed)),
        (&well, Some(&void), None),
        (&well, None, None),
        (&ill, Some(&Verdict::Good), Some(Stands::Good)),
        (&ill, Some(&rolling), None),
        (&ill, Some(&failed), None),
    ];
    for (opened, verdict, expected) in rows {
        let stands = counted(opened, verdict).map(|counted| counted.stands);
        assert_eq!(stands, expected, "{verdict:?}");
    }
}
