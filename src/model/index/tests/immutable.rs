//! That an old object was immutable is known: by this process, which saw it, and by `observed` after it.

use super::*;
use crate::model::format::IMMUTABLE_FORMAT;

fn one(uid: &str, rv: u64, immutable: bool) -> Version {
    let mut version = v("s", uid, rv, "x");
    version.immutable = immutable;
    version
}

/// What is known of a new object of uid B, or C, by `web`.
fn knows(index: &Index, web: &Shown, uid: &str) -> bool {
    index.has_immutable(&web.key(), &SourceName::secret("s"), uid)
}

#[test]
fn it_is_known_of_the_object_before_and_not_of_the_one_that_is_there() {
    // How each of the objects was, one after the other; whether the deletion is seen; what is known before the last one
    // is seen, and with it.
    let rows = [
        ([true, true].as_slice(), true, true),
        (&[true, false], true, true),
        (&[false, true], true, false),
        (&[false, false], true, false),
        (&[true, false], false, true),
        (&[false, true], false, false),
        // It became so by an update.
        (&[true, false, true], true, false),
    ];
    for (objects, deletions, known) in rows {
        let (mut index, web) = (synced(), shown(1));
        web.apply(&mut index);
        let uids = ["A", "B", "C"];
        let mut last = "";
        for (number, (immutable, uid)) in objects.iter().zip(uids).enumerate() {
            let rv = 10 * (number as u64 + 1);
            if number == objects.len() - 1 {
                assert_eq!(knows(&index, &web, uid), known, "{objects:?} before");
            }
            index.apply_source(&at("s"), one(uid, rv, false));
            index.apply_source(&at("s"), one(uid, rv + 1, *immutable));
            if deletions && number < objects.len() - 1 {
                index.delete_source(&at("s"), rv + 2, 0);
            }
            last = uid;
        }
        assert_eq!(knows(&index, &web, last), known, "{objects:?}");
    }
}

#[test]
fn observed_says_it_to_a_process_that_never_saw_the_object() {
    for (immutable, format) in [(true, IMMUTABLE_FORMAT), (false, 1)] {
        let (mut index, web) = (synced(), shown(1));
        index.apply_source(&at("s"), one("A", 10, immutable));
        web.apply(&mut index);
        judge(&mut index, &web);
        let web = web.written(&index, 2);
        let text = web.observed.as_ref().unwrap();
        assert!(text.starts_with(&format!("{{\"v\":{format},")), "{text}");
        let mut again = synced();
        web.apply(&mut again);
        assert_eq!(knows(&again, &web, "B"), immutable);
        assert!(!knows(&again, &web, "A"), "that is the object itself");
        again.apply_source(&at("s"), one("B", 20, false));
        assert_eq!(knows(&again, &web, "B"), immutable);
        assert_eq!(kinds(&judge(&mut again, &web)), [CauseKind::Recreated]);
    }
}

/// An older release wrote it, or the object became immutable later: nothing is written for that alone.
#[test]
fn that_it_became_immutable_is_no_write_of_its_own() {
    let (mut index, web) = (synced(), shown(1));
    index.apply_source(&at("s"), one("A", 10, false));
    web.apply(&mut index);
    judge(&mut index, &web);
    let web = web.written(&index, 2);
    web.apply(&mut index);
    index.apply_source(&at("s"), one("A", 11, true));
    let decision = judge(&mut index, &web);
    assert_eq!(decision.outcome(), Outcome::Keep);
    assert_eq!(index.unwritten(&web.key()), None);
    assert!(knows(&index, &web, "B"), "but this process knows it");
}
