//! What is read of `reroll.dev/together`, and whom a group holds: as a table, and for all.

use proptest::prelude::*;

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn named(text: &str) -> Member {
    member(text).unwrap_or_else(|| panic!("{text:?} is a member"))
}

#[test]
fn groups_are_read() {
    let rows: [(&str, &[&[&str]]); 7] = [
        (
            "secret/db-user, secret/db-pass#password",
            &[&["secret/db-user", "secret/db-pass#password"]],
        ),
        (
            "secret/a,configmap/b;secret/c, secret/d.e#K_1-x.y ;",
            &[
                &["secret/a", "configmap/b"],
                &["secret/c", "secret/d.e#K_1-x.y"],
            ],
        ),
        ("secret/a#x,secret/a#y", &[&["secret/a#x", "secret/a#y"]]),
        (
            " secret/a#x ,, secretproviderclass/v ",
            &[&["secret/a#x", "secretproviderclass/v"]],
        ),
        // One may be in several.
        (
            "secret/a,secret/b;secret/a,secret/c",
            &[&["secret/a", "secret/b"], &["secret/a", "secret/c"]],
        ),
        ("secret/a,secret/b,secret/a", &[&["secret/a", "secret/b"]]),
        ("secret/a,secret/b;;", &[&["secret/a", "secret/b"]]),
    ];
    for (text, expected) in rows {
        let (groups, wrong) = read(text);
        let groups: Vec<Vec<_>> = groups
            .iter()
            .map(|group| group.iter().map(ToString::to_string).collect())
            .collect();
        assert_eq!(groups, expected, "{text}");
        assert_eq!(wrong, [], "{text}");
    }
}

#[test]
fn what_cannot_be_read_is_told_and_the_rest_counts() {
    let rows: [(&str, usize, &[Wrong]); 12] = [
        ("", 0, &[Wrong::Alone("")]),
        (" ; ", 0, &[Wrong::Alone(""), Wrong::Alone("")]),
        ("secret/a", 0, &[Wrong::Alone("secret/a")]),
        (
            "secret/a, secret/a",
            0,
            &[Wrong::Alone("secret/a, secret/a")],
        ),
        (
            "secret/a; secret/b",
            0,
            &[Wrong::Alone("secret/a"), Wrong::Alone("secret/b")],
        ),
        ("secret/a, db", 0, &[Wrong::Member("db")]),
        ("secret/a, secret/b, db", 1, &[Wrong::Member("db")]),
        ("secret/a, secret/b*", 0, &[Wrong::Member("secret/b*")]),
        ("secret/a, secret/B", 0, &[Wrong::Member("secret/B")]),
        ("secret/a, secret/b#", 0, &[Wrong::Member("secret/b#")]),
        (
            "secret/a, secret/b#x y",
            0,
            &[Wrong::Member("secret/b#x y")],
        ),
        ("secret/a, pod/b", 0, &[Wrong::Member("pod/b")]),
    ];
    for (text, count, expected) in rows {
        let (groups, wrong) = read(text);
        assert_eq!(
            (groups.len(), wrong.as_slice()),
            (count, expected),
            "{text}"
        );
    }
    let long = "x".repeat(254);
    for text in [format!("secret/{long}"), format!("secret/a#{long}")] {
        assert_eq!(member(&text), None);
    }
    let many: Vec<_> = (0..=MOST)
        .map(|number| format!("secret/s{number}"))
        .collect();
    assert_eq!(read(&many.join(",")), (Vec::new(), vec![Wrong::More]));
    let pairs: Vec<_> = many.chunks(2).map(|pair| pair.join(",")).collect();
    let pairs = pairs.join(";");
    let (groups, wrong) = read(&pairs);
    assert_eq!(
        (groups.len(), wrong.as_slice()),
        (MOST / 2, &[Wrong::More][..])
    );
}

const STAYS: Standing = Standing::Stays;
const ABSENT: Standing = Standing::Idle(Idle::Absent);

fn moved(second: i64) -> Standing {
    Standing::Moved(Some(at(second)))
}

/// Returns what holds a restart, where what changed did when it was written.
fn held(groups: &[&[(&str, Standing)]], latest: i64, now: i64) -> Option<(i64, String)> {
    let members: Vec<Vec<_>> = groups
        .iter()
        .map(|group| group.iter().map(|(name, it)| (named(name), *it)).collect())
        .collect();
    let groups: Vec<Vec<_>> = members
        .iter()
        .map(|group| group.iter().map(|(member, it)| (member, *it)).collect())
        .collect();
    let since = |_: &Member, written: Option<Timestamp>| written.unwrap_or(at(0));
    let latest = SignedDuration::from_secs(latest);
    let apart = holds(&groups, since, latest, at(now))?;
    Some((apart.until.as_second(), listed(&apart.stay)))
}

/// What is so, the groups, the latest time, now, and until when a restart waits for whom.
type Row<'a> = (&'a str, Groups<'a>, i64, i64, Option<(i64, &'a str)>);
type Groups<'a> = &'a [&'a [(&'a str, Standing)]];

const A: &str = "secret/a";
const B: &str = "secret/b#k";
const C: &str = "configmap/c";
const D: &str = "secret/d";

fn check(rows: &[Row]) {
    for (what, groups, latest, now, expected) in rows {
        let expected = expected.map(|(until, names)| (until, names.to_owned()));
        assert_eq!(held(groups, *latest, *now), expected, "{what}");
    }
}

#[test]
fn a_group_holds_until_each_has_changed_or_until_the_latest_time() {
    let one: Groups = &[&[(A, moved(1000)), (B, STAYS)]];
    let waits = Some((1300, "Secret b (key k)"));
    check(&[
        (
            "none has changed",
            &[&[(A, STAYS), (B, STAYS)]],
            300,
            1000,
            None,
        ),
        ("one has", one, 300, 1000, waits),
        ("just before the latest time", one, 300, 1299, waits),
        ("at the latest time", one, 300, 1300, None),
        ("nobody waits at all", one, 0, 1000, None),
        (
            "both have",
            &[&[(A, moved(1000)), (B, moved(1045))]],
            300,
            1045,
            None,
        ),
        (
            "the first of two counts",
            &[&[(A, moved(1100)), (B, moved(1000)), (C, STAYS)]],
            300,
            1200,
            Some((1300, "ConfigMap c")),
        ),
        (
            "an unknown time is the caller's to say",
            &[&[(A, Standing::Moved(None)), (B, STAYS)]],
            300,
            299,
            Some((300, "Secret b (key k)")),
        ),
        (
            "what counts for nothing is not waited for",
            &[&[(A, moved(1000)), (B, ABSENT)]],
            300,
            1000,
            None,
        ),
        (
            "the others of such a group are",
            &[&[(A, moved(1000)), (B, ABSENT), (C, STAYS)]],
            300,
            1000,
            Some((1300, "ConfigMap c")),
        ),
    ]);
}

#[test]
fn each_group_holds_by_its_own_time() {
    let two: Groups = &[
        &[(A, moved(1000)), (B, STAYS)],
        &[(C, moved(1200)), (D, STAYS)],
    ];
    let complete: Groups = &[
        &[(A, moved(1000)), (B, moved(1000))],
        &[(C, STAYS), (D, STAYS)],
    ];
    check(&[
        (
            "both hold",
            two,
            300,
            1250,
            Some((1500, "Secret b (key k), Secret d")),
        ),
        (
            "what is over is not named",
            two,
            300,
            1300,
            Some((1500, "Secret d")),
        ),
        ("both are over", two, 300, 1500, None),
        ("none of a group has changed", complete, 300, 1000, None),
    ]);
}

#[test]
fn those_are_named_that_did_not_change() {
    let members: Vec<_> = ["secret/c", "secret/a", "secret/b"].map(named).into();
    let [c, a, b] = [&members[0], &members[1], &members[2]];
    let groups = [
        vec![(c, STAYS), (a, moved(1)), (b, STAYS)],
        vec![(a, STAYS), (b, STAYS)],
        vec![(a, moved(1)), (c, STAYS)],
    ];
    assert_eq!(listed(left_behind(&groups)), "Secret b, Secret c");
    assert_eq!(left_behind(&groups[1..2]), Vec::<&Member>::new());
    let many: Vec<_> = (0..6)
        .map(|number| named(&format!("secret/s{number}")))
        .collect();
    assert_eq!(
        listed(&many),
        "Secret s0, Secret s1, Secret s2, Secret s3 and 2 more"
    );
}

#[test]
fn people_read_why_one_counts_for_nothing() {
    let why = [Idle::NotUsed, Idle::NotRead, Idle::Absent, Idle::Untold];
    let said = why.map(|why| idles(&named("secret/db#k"), why));
    insta::assert_snapshot!(said.join("\n"));
}

fn standings() -> impl Strategy<Value = Standing> {
    prop_oneof![
        3 => (0..1000_i64).prop_map(moved),
        3 => Just(Standing::Stays),
        1 => Just(Standing::Idle(Idle::NotUsed)),
    ]
}

proptest! {
    /// Nothing is held for ever, by what has not begun, or by what is complete; and what holds names at least one.
    #[test]
    fn what_holds_is_apart_and_ends(
        all in proptest::collection::vec(proptest::collection::vec(standings(), 2..5), 0..4),
        latest in 0..600_i64,
        now in 0..2000_i64,
    ) {
        let names = ["secret/a", "secret/b", "secret/c", "secret/d"];
        let groups: Vec<Vec<_>> = all
            .iter()
            .map(|group| group.iter().zip(names).map(|(it, name)| (name, *it)).collect())
            .collect();
        let groups: Vec<_> = groups.iter().map(Vec::as_slice).collect();
        let first = |group: &&Vec<Standing>| {
            let moved = group.iter().filter_map(|it| match it {
                Standing::Moved(at) => at.map(Timestamp::as_second),
                _ => None,
            });
            moved.min()
        };
        let apart = all.iter().filter(|group| group.contains(&Standing::Stays));
        let until = apart.filter_map(|group| first(&group)).map(|first| first + latest).max();
        let holds = held(&groups, latest, now);
        prop_assert_eq!(holds.as_ref().map(|(until, _)| *until), until.filter(|until| now < *until));
        prop_assert!(holds.is_none_or(|(_, names)| !names.is_empty()));
        prop_assert_eq!(held(&groups, latest, 2000), None);
    }

    #[test]
    fn reading_is_total_and_what_is_read_reads_back(text in "[a-z/#,; .*]{0,80}|(secret/[a-c](#[x-z])?[,;]){0,12}") {
        let (groups, _) = read(&text);
        let printed: Vec<_> = groups
            .iter()
            .map(|group| group.iter().map(ToString::to_string).collect::<Vec<_>>().join(","))
            .collect();
        if !printed.is_empty() {
            let printed = printed.join(";");
            prop_assert_eq!(read(&printed), (groups, Vec::new()));
        }
    }
}
