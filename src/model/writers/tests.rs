use super::*;
use crate::model::{source::SourceName, testing};

fn source(name: &str) -> SourceKey {
    SourceKey {
        namespace: "shop".to_owned(),
        source: SourceName::secret(name),
    }
}

fn digest(text: &str) -> Digest {
    testing::key().digest([text.as_bytes()])
}

fn print(data: &str, written: i64) -> Print {
    Print {
        uid: "u".to_owned(),
        whole: Some(digest(data)),
        written,
    }
}

fn by(user: &str, manager: Option<&str>) -> Option<Change> {
    Change::by(Timestamp::from_second(7).unwrap(), Some(user), manager)
}

/// Who made it, as told; `-` for nobody, `?` where nobody looked.
fn who(writers: &Writers, print: &Print) -> String {
    match writers.who(&source("db"), print) {
        Who::Known(change) => {
            let said = change.to_string();
            said.split(" by ").nth(1).unwrap().to_owned()
        }
        Who::Nobody => "-".to_owned(),
        Who::Ask => "?".to_owned(),
    }
}

#[test]
fn the_user_is_named_whose_write_is_shown_with_the_manager_that_is_told() {
    let (db, one) = (source("db"), print("1", 7));
    let mut writers = Writers::default();
    assert_eq!(who(&writers, &one), "?");
    writers.claim(&db, one.clone(), by("alice", None));
    // Whoever restarts for it knows that it is persisted, although no watch has shown it here.
    assert_eq!(who(&writers, &one), "alice");
    writers.show(&db, one.clone(), Some("kubectl-patch"));
    assert_eq!(who(&writers, &one), "alice (kubectl-patch)");
    let two = print("2", 8);
    writers.show(&db, two.clone(), Some("helm"));
    assert_eq!(who(&writers, &two), "helm");
    writers.show(&db, print("3", 8), None);
    assert_eq!(who(&writers, &print("3", 8)), "-");
    assert_eq!(who(&writers, &two), "?", "only the newest is kept");
}

#[test]
fn a_label_that_is_written_later_takes_no_name_away() {
    let (db, one) = (source("db"), print("1", 7));
    let mut writers = Writers::default();
    writers.claim(&db, one.clone(), by("alice", None));
    writers.restate(&db, &one, &print("1", 8));
    assert_eq!(who(&writers, &print("1", 8)), "alice");
    writers.show(&db, print("1", 8), Some("helm"));
    writers.restate(&db, &print("1", 8), &print("1", 9));
    assert_eq!(who(&writers, &print("1", 9)), "alice (helm)");
    assert_eq!(who(&writers, &one), "?");
    // Of another version it says nothing.
    writers.restate(&db, &print("2", 9), &print("2", 10));
    assert_eq!(who(&writers, &print("2", 10)), "?");
}

#[test]
fn a_write_that_was_refused_names_nobody() {
    let (db, one) = (source("db"), print("1", 7));
    let mut writers = Writers::default();
    writers.claim(&db, one.clone(), by("alice", Some("kubectl-patch")));
    writers.show(&db, one.clone(), None);
    // Others refuse this one.
    writers.claim(&db, print("2", 9), by("mallory", None));
    assert_eq!(who(&writers, &one), "alice (kubectl-patch)");
    // Somebody else writes the same later, which another replica reviews.
    assert_eq!(who(&writers, &print("2", 10)), "?");
    // Or at the same time, after it was found that the first was refused.
    writers.refuse(&db, Some("u"), Some(digest("2")));
    assert_eq!(who(&writers, &print("2", 9)), "?");
    writers.claim(&db, print("3", 11), by("mallory", None));
    writers.refuse(&db, Some("u"), Some(digest("2")));
    assert_eq!(who(&writers, &print("3", 11)), "mallory");
}

#[test]
fn of_two_who_ask_for_the_same_neither_is_named() {
    let (db, one) = (source("db"), print("1", 7));
    let mut writers = Writers::default();
    writers.claim(&db, one.clone(), by("alice", None));
    writers.claim(&db, one.clone(), by("alice", None));
    assert_eq!(who(&writers, &one), "alice");
    writers.claim(&db, one.clone(), by("bob", None));
    assert_eq!(who(&writers, &one), "?");
    writers.show(&db, one.clone(), Some("kubectl-patch"));
    assert_eq!(who(&writers, &one), "kubectl-patch");
}

#[test]
fn a_deletion_is_one_write() {
    let db = source("db");
    let mut writers = Writers::default();
    writers.claim(&db, Print::deletion("u"), by("alice", None));
    assert_eq!(who(&writers, &Print::deletion("u")), "alice");
    assert_eq!(who(&writers, &Print::deletion("v")), "?");
    writers.refuse(&db, None, None);
    assert_eq!(who(&writers, &Print::deletion("u")), "?");
}

#[test]
fn only_accounts_of_the_namespace_are_accounts_and_only_of_their_version() {
    let [one, two] = ["1", "2"].map(digest);
    let db = source("db");
    let mut writers = Writers::default();
    for (at, user) in [
        "somebody",
        "system:serviceaccount:other:web",
        "system:serviceaccount:shopping:web",
    ]
    .into_iter()
    .enumerate()
    {
        let at = i64::try_from(at).unwrap();
        writers.claim(&db, print("1", at), by(user, None));
        assert_eq!(writers.account(&db, one), None, "{user}");
    }
    let web = by("system:serviceaccount:shop:web", None);
    writers.claim(&db, print("1", 7), web);
    assert_eq!(writers.account(&db, one), Some("web"));
    assert_eq!(writers.account(&db, two), None);
    writers.claim(&db, print("2", 8), by("somebody", None));
    assert_eq!(writers.account(&db, one), None);
}

#[test]
fn who_wrote_longest_ago_is_forgotten() {
    let version = digest("1");
    let web = by("system:serviceaccount:shop:web", None);
    let mut writers = Writers::default();
    for number in 0..=MOST {
        let source = source(&format!("s{number}"));
        writers.claim(&source, print("1", 7), web.clone());
        if number == MOST - 1 {
            writers.claim(&self::source("s0"), print("1", 8), web.clone());
        }
    }
    assert_eq!(writers.account(&source("s1"), version), None);
    assert_eq!(writers.account(&source("s0"), version), Some("web"));
    assert_eq!(writers.account(&source("s2"), version), Some("web"));
    assert_eq!((writers.order.len(), writers.by_source.len()), (MOST, MOST));
}
