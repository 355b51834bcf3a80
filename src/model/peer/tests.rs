mod property;

use super::*;
use crate::model::workload::KINDS;

const SECOND: Duration = Duration::from_secs(1);

fn at(seconds: u64) -> Duration {
    Duration::from_secs(1000 + seconds)
}

fn workload(name: &str) -> WorkloadKey {
    in_namespace("n", name)
}

fn in_namespace(namespace: &str, name: &str) -> WorkloadKey {
    WorkloadKey {
        kind: &KINDS[0],
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    }
}

/// Our key is `b`; `a` goes before it and `c` after it.
fn peers() -> Peers {
    Peers::new("b", TRY_AGAIN)
}

fn replaced(by: &str) -> Hands {
    Hands::Replaced {
        key_id: by.to_owned(),
    }
}

fn ours(over: &str) -> Hands {
    Hands::Ours {
        key_id: over.to_owned(),
    }
}

/// What happens, in order.
enum Step {
    /// A claim of a workload under this key, and what it may.
    Claim(&'static str, Option<&'static str>, May),
    /// The write of a trial stands, was undone in its answer, or was not made.
    Stands(&'static str),
    Undone(&'static str),
    GaveUp(&'static str),
    /// A workload's `observed` changed hands.
    Replaced(&'static str, &'static str),
    Ours(&'static str, &'static str),
    /// Another's write over ours is reviewed, and is restored or not.
    Reviewed(&'static str, &'static str, bool),
    /// So many seconds go by.
    Pass(u64),
    /// What may be done with what is ours, and with what is under this key.
    May(May),
    MayOf(&'static str, May),
}

#[test]
#[expect(clippy::too_many_lines, reason = "the rows of a table")]
fn the_table() {
    use May::{Hold, Try, Work};
    use Step::{Claim, GaveUp, MayOf, Ours, Pass, Replaced, Reviewed, Stands, Undone};
    let held = || {
        [
            Step::May(Hold),
            MayOf("a", Hold),
            Pass(299),
            Step::May(Hold),
        ]
    };
    let rows: Vec<(&str, Vec<Step>)> = vec![
        (
            "nobody else",
            vec![Claim("w", None, Work), Claim("v", None, Work)],
        ),
        (
            "what nobody undoes is ours, and so is the rest, at once",
            vec![
                Claim("w", Some("a"), Try),
                Claim("v", Some("a"), Hold),
                Step::May(Work),
                Stands("w"),
                Step::May(Hold),
                Claim("v", Some("a"), Hold),
                Pass(9),
                Claim("v", Some("a"), Hold),
                Pass(1),
                Claim("v", Some("a"), Work),
                Step::May(Work),
                // A third one is tried for itself.
                Claim("u", Some("c"), Try),
            ],
        ),
        (
            "undone in the answer",
            vec![Claim("w", Some("a"), Try), Undone("w")]
                .into_iter()
                .chain(held())
                .collect(),
        ),
        (
            "undone afterwards",
            vec![
                Claim("w", Some("a"), Try),
                Stands("w"),
                Pass(9),
                Replaced("w", "a"),
            ]
            .into_iter()
            .chain(held())
            .collect(),
        ),
        (
            "undone before the answer came",
            vec![Claim("w", Some("a"), Try), Replaced("w", "a"), Stands("w")]
                .into_iter()
                .chain(held())
                .collect(),
        ),
        (
            "undone when it was ours already: he begins, and we restore it once",
            vec![
                Claim("w", Some("a"), Try),
                Stands("w"),
                Pass(10),
                Replaced("w", "a"),
                Step::May(Work),
                Claim("w", Some("a"), Try),
                Stands("w"),
                Replaced("w", "a"),
                Step::May(Hold),
            ],
        ),
        (
            "a write that was not made",
            vec![
                Claim("w", Some("a"), Try),
                GaveUp("w"),
                Step::May(Work),
                Claim("v", Some("a"), Try),
                // What is said of another workload is no news.
                GaveUp("w"),
                Claim("u", Some("a"), Hold),
            ],
        ),
        (
            "it is tried again",
            vec![
                Claim("w", Some("a"), Try),
                Undone("w"),
                Pass(15 * 60),
                Step::May(Work),
                MayOf("a", Try),
                Claim("v", Some("a"), Try),
            ],
        ),
        (
            "both try, and we go second",
            vec![
                Claim("w", Some("a"), Try),
                Stands("w"),
                Replaced("v", "a"),
                Step::May(Hold),
                Pass(10),
                Step::May(Hold),
            ],
        ),
        (
            "both try, and we go first",
            vec![
                Claim("w", Some("c"), Try),
                Stands("w"),
                Replaced("v", "c"),
                Pass(10),
                Claim("v", Some("c"), Work),
            ],
        ),
        (
            "one that goes on all the same works there, whoever goes first",
            vec![
                Claim("w", Some("c"), Try),
                Stands("w"),
                Replaced("v", "c"),
                Replaced("u", "c"),
                Pass(10),
                Step::May(Hold),
            ],
        ),
        (
            "at admission it is restored once",
            vec![
                Reviewed("w", "a", true),
                Step::May(Work),
                Reviewed("v", "a", false),
                Step::May(Work),
                Replaced("v", "a"),
                Step::May(Hold),
                Reviewed("w", "a", false),
            ],
        ),
        (
            "reviews alone are nobody's: whoever reaches the port can send them",
            vec![
                Reviewed("w", "a", true),
                Reviewed("w", "a", false),
                Reviewed("w", "a", false),
                Step::May(Work),
                Pass(10),
                Replaced("w", "a"),
                Step::May(Work),
                MayOf("a", Try),
            ],
        ),
        (
            "one that asks again later is restored again",
            vec![
                Reviewed("w", "a", true),
                Pass(10),
                Reviewed("w", "a", true),
                Pass(10),
                Reviewed("w", "a", true),
                Step::May(Work),
            ],
        ),
        (
            "at admission while both try",
            vec![
                Claim("w", Some("c"), Try),
                Stands("w"),
                Reviewed("w", "c", false),
                Reviewed("v", "c", true),
                Reviewed("v", "a", false),
            ],
        ),
        (
            "another replica of ours tries",
            vec![
                Ours("w", "a"),
                Step::May(Hold),
                Replaced("w", "a"),
                Pass(10),
                Step::May(Hold),
            ],
        ),
    ];
    for (name, steps) in rows {
        let mut peers = peers();
        let mut now = at(0);
        for (number, step) in steps.into_iter().enumerate() {
            let what = format!("{name}, step {number}");
            match step {
                Claim(of, other, may) => {
                    assert_eq!(peers.claim(&workload(of), other, now), may, "{what}");
                }
                Stands(of) => peers.stands(&workload(of), now),
                Undone(of) => peers.undone(&workload(of), now),
                GaveUp(of) => peers.gave_up(&workload(of)),
                Replaced(of, by) => peers.seen(&workload(of), &replaced(by), now),
                Ours(of, over) => peers.seen(&workload(of), &ours(over), now),
                Reviewed(of, by, restored) => {
                    let found = peers.restores(&workload(of), by, true, now);
                    assert_eq!(found, restored, "{what}");
                }
                Pass(seconds) => now += SECOND * u32::try_from(seconds).unwrap(),
                Step::May(may) => assert_eq!(peers.may("n", None, now), may, "{what}"),
                MayOf(other, may) => {
                    assert_eq!(peers.may("n", Some(other), now), may, "{what}");
                }
            }
        }
    }
}

#[test]
fn a_dry_run_decides_nothing() {
    let mut peers = peers();
    for _ in 0..3 {
        assert!(peers.restores(&workload("w"), "a", false, at(0)));
    }
    assert_eq!(peers.may("n", None, at(0)), May::Work);
    peers.claim(&workload("w"), Some("a"), at(0));
    peers.undone(&workload("w"), at(0));
    assert!(!peers.restores(&workload("w"), "a", false, at(0)));
}

#[test]
fn a_forged_one_holds_no_other_namespace() {
    let mut peers = peers();
    peers.claim(&workload("w"), Some("forged"), at(0));
    peers.undone(&workload("w"), at(0));
    assert_eq!(peers.may("n", None, at(1)), May::Hold);
    assert!(peers.leaves("n", None, at(1)));
    assert_eq!(peers.may("m", None, at(1)), May::Work);
    assert_eq!(
        peers.claim(&in_namespace("m", "w"), Some("a"), at(1)),
        May::Try
    );
    assert!(!peers.leaves("m", None, at(1)));
}

#[test]
fn whose_writes_the_webhook_leaves() {
    let mut peers = peers();
    assert!(!peers.leaves("n", None, at(0)));
    assert!(peers.leaves("n", Some("a"), at(0)), "he may be at work");
    peers.claim(&workload("w"), Some("a"), at(0));
    peers.stands(&workload("w"), at(0));
    assert!(!peers.leaves("n", None, at(1)));
    assert!(peers.leaves("n", Some("a"), at(1)));
    assert!(!peers.leaves("n", Some("a"), at(10)), "it is taken over");
    assert!(peers.leaves("n", Some("c"), at(10)));
}

#[test]
fn what_is_told() {
    let mut peers = peers();
    assert_eq!(peers.next(), None);
    peers.claim(&workload("w"), Some("a"), at(0));
    assert_eq!(peers.next(), None, "it is being written");
    peers.stands(&workload("w"), at(0));
    assert_eq!(peers.next(), Some(at(10)));
    peers.undone(&workload("w"), at(1));
    let lost = |user: Option<&str>| Lost {
        workload: workload("w"),
        key_id: "a".to_owned(),
        user: user.map(ToOwned::to_owned),
    };
    assert_eq!(peers.take_lost(), [lost(None)]);
    let user = "system:serviceaccount:old:reroll";
    for _ in 0..2 {
        peers.writes_as(&workload("w"), "a", user);
    }
    let holder = Holder {
        key_id: "a".to_owned(),
        user: "system:serviceaccount:old:reroll".to_owned(),
        namespaces: 1,
    };
    assert_eq!(peers.holders(), [holder]);
    assert_eq!(peers.take_lost(), [lost(Some(user))], "once it is known");
    assert_eq!(peers.take_lost(), []);
    assert_eq!(peers.take_news(at(1)), BTreeSet::from(["n".to_owned()]));
    assert_eq!(peers.take_news(at(2)), BTreeSet::new());
    let until = peers.next().unwrap();
    let after = |pause: Duration| at(1) + pause;
    assert!(
        (after(*TRY_AGAIN.start())..=after(*TRY_AGAIN.end())).contains(&until),
        "{until:?}"
    );
    assert_eq!(peers.take_news(until), BTreeSet::from(["n".to_owned()]));
    assert_eq!((peers.holders(), peers.next()), (Vec::new(), None));
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut peers = peers();
    for number in 0..1000 {
        peers.writes_as(&workload("w"), &format!("k{number}"), "someone");
        let namespace = format!("n{number}");
        peers.restores(&in_namespace(&namespace, "w"), "a", true, at(0));
        peers.restores(&in_namespace(&format!("m{number}"), "w"), "a", true, at(0));
        peers.claim(&in_namespace(&namespace, "w"), Some("a"), at(0));
    }
    assert_eq!(
        (peers.users.len(), peers.restored.len()),
        (MOST_USERS, MOST_RESTORED)
    );
    peers.retain(|namespace| namespace == "n7");
    assert_eq!(peers.spaces.len(), 1);
}

#[test]
fn the_key_of_a_text() {
    for (text, id) in [
        (r#"{"v":1,"k":"abc","for":""}"#, Some("abc")),
        (r#"{"v":99,"k":"abc"}"#, Some("abc")),
        (r#"{"v":1,"k":""}"#, None),
        (r#"{"v":1}"#, None),
        ("", None),
        ("abc", None),
    ] {
        assert_eq!(key_id_in(text).as_deref(), id, "{text}");
    }
}
