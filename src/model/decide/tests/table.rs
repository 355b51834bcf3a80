//! Every row of the decision table, one source at a time.

use super::*;
use Need::{Optional, Required};

/// What a row expects; the entry is the one that `observed` has afterwards.
#[derive(Debug)]
enum Expect {
    Keep,
    Record(Entry),
    Wait(Entry),
    Restart(CauseKind, Entry),
    Undecided(Doubt),
}

struct Row {
    name: &'static str,
    usage: Usage,
    entry: Option<Entry>,
    live: Live,
    world: World,
    expect: Expect,
}

fn row(
    name: &'static str,
    usage: Usage,
    entry: impl Into<Option<Entry>>,
    live: Live,
    expect: Expect,
) -> Row {
    Row {
        name,
        usage,
        entry: entry.into(),
        live,
        world: World::new(),
        expect,
    }
}

impl Row {
    fn given(mut self, change: impl FnOnce(&mut World)) -> Self {
        change(&mut self.world);
        self
    }

    fn check(self) {
        let world = self.world.with(&s(), self.usage, self.live);
        let before = world.observed(self.entry.map(|entry| (s(), entry)));
        let decision = world.decide(Known::Observed(&before));
        let entry = decision
            .next()
            .and_then(|next| next.entries.get(&s()).cloned());
        let kinds: Vec<_> = decision.causes().iter().map(|cause| cause.kind).collect();
        let name = self.name;
        match self.expect {
            Expect::Keep => {
                assert_eq!(decision.outcome(), Outcome::Keep, "{name}");
                assert_eq!(decision.next(), Some(&before), "{name}");
            }
            Expect::Record(after) => {
                assert_eq!(decision.outcome(), Outcome::Record, "{name}");
                assert_eq!(entry, Some(after), "{name}");
            }
            Expect::Wait(after) => {
                assert_eq!(decision.outcome(), Outcome::Wait, "{name}");
                assert_eq!(entry, Some(after), "{name}");
                assert_eq!(decision.missing(), [s()], "{name}");
            }
            Expect::Restart(kind, after) => {
                assert_eq!(decision.outcome(), Outcome::Restart, "{name}");
                assert_eq!(
                    (kinds.as_slice(), entry),
                    ([kind].as_slice(), Some(after)),
                    "{name}"
                );
                let next = decision.next().unwrap();
                assert_ne!(next.restarted_for, before.restarted_for, "{name}");
            }
            Expect::Undecided(why) => {
                assert_eq!(decision.outcome(), Outcome::Undecided(why), "{name}");
                assert_eq!(decision.next(), None, "{name}");
                assert_eq!(decision.missing(), [s()], "{name}");
            }
        }
        if let Some(next) = decision.next() {
            let restarts = decision.outcome() == Outcome::Restart;
            let fresh = next.restarted_for != before.restarted_for;
            assert_eq!(restarts, fresh, "{name}: only a restart sets restarted-for");
            let changed = *next != before;
            assert_eq!(changed, next.sequence > before.sequence, "{name}");
        }
    }
}

fn check(rows: impl IntoIterator<Item = Row>) {
    rows.into_iter().for_each(Row::check);
}

fn present(uid: &str, rv: u64, data: &[(&str, &str)]) -> Live {
    Live::Present(v(uid, rv, data))
}

fn entry(uid: &str, rv: u64, usage: &Usage, data: &[(&str, &str)]) -> Entry {
    Entry::of(&v(uid, rv, data), usage)
}

fn deleted() -> Entry {
    Entry::Deleted {
        uid: "A".to_owned(),
        resource_version: 10,
    }
}

const X: &[(&str, &str)] = &[("k", "x")];
const Y: &[(&str, &str)] = &[("k", "y")];

#[test]
fn present_as_observed_or_other() {
    for usage in [
        whole(Required),
        whole(Optional),
        keyed(&[("k", Required)]),
        keyed(&[("k", Optional)]),
    ] {
        let a_x = || entry("A", 10, &usage, X);
        check([
            row(
                "A, X | A, X",
                usage.clone(),
                a_x(),
                present("A", 10, X),
                Expect::Keep,
            ),
            row(
                "A, X | A, X, labels changed",
                usage.clone(),
                a_x(),
                present("A", 11, X),
                Expect::Keep,
            ),
            row(
                "A, X | A, Y",
                usage.clone(),
                a_x(),
                present("A", 11, Y),
                Expect::Restart(CauseKind::Updated, entry("A", 11, &usage, Y)),
            ),
            row(
                "A, X | B, X",
                usage.clone(),
                a_x(),
                present("B", 12, X),
                Expect::Restart(CauseKind::Recreated, entry("B", 12, &usage, X)),
            ),
            row(
                "A, X | B, Y",
                usage.clone(),
                a_x(),
                present("B", 12, Y),
                Expect::Restart(CauseKind::Recreated, entry("B", 12, &usage, Y)),
            ),
            row(
                "A, X | B, X with on-recreate: content",
                usage.clone(),
                a_x(),
                present("B", 12, X),
                Expect::Record(entry("B", 12, &usage, X)),
            )
            .given(|world| world.policy.on_recreate = OnRecreate::Content),
            row(
                "A, X | B, Y with on-recreate: content",
                usage.clone(),
                a_x(),
                present("B", 12, Y),
                Expect::Restart(CauseKind::Recreated, entry("B", 12, &usage, Y)),
            )
            .given(|world| world.policy.on_recreate = OnRecreate::Content),
        ]);
    }
}

#[test]
fn other_keys_do_not_count() {
    let usage = keyed(&[("k", Required)]);
    let before = entry("A", 10, &usage, &[("k", "x"), ("other", "1")]);
    check([row(
        "A, X | A, X and another key that is not used",
        usage,
        before,
        present("A", 11, &[("k", "x"), ("other", "2")]),
        Expect::Keep,
    )]);
    let usage = whole(Required);
    let before = entry("A", 10, &usage, &[("k", "x"), ("other", "1")]);
    let data = &[("k", "x"), ("other", "2")];
    check([row(
        "A, X | A, X and another key, and all are used",
        usage.clone(),
        before,
        present("A", 11, data),
        Expect::Restart(CauseKind::Updated, entry("A", 11, &usage, data)),
    )]);
}

#[test]
fn keys_that_come_and_go() {
    let required = keyed(&[("k", Required)]);
    let optional = keyed(&[("k", Optional)]);
    let none: &[(&str, &str)] = &[];
    check([
        row(
            "a required key is gone",
            required.clone(),
            entry("A", 10, &required, X),
            present("A", 11, none),
            Expect::Wait(entry("A", 10, &required, X)),
        ),
        row(
            "a required key is gone, recreated",
            required.clone(),
            entry("A", 10, &required, X),
            present("B", 11, none),
            Expect::Wait(entry("A", 10, &required, X)),
        ),
        row(
            "an optional key is gone",
            optional.clone(),
            entry("A", 10, &optional, X),
            present("A", 11, none),
            Expect::Restart(CauseKind::Updated, entry("A", 11, &optional, none)),
        ),
        row(
            "an optional key is still absent",
            optional.clone(),
            entry("A", 10, &optional, none),
            present("A", 11, none),
            Expect::Keep,
        ),
        row(
            "an optional key appears",
            optional.clone(),
            entry("A", 10, &optional, none),
            present("A", 11, X),
            Expect::Restart(CauseKind::Updated, entry("A", 11, &optional, X)),
        ),
        row(
            "a required key is still waited for",
            required.clone(),
            entry("A", 10, &required, none),
            present("A", 11, none),
            Expect::Wait(entry("A", 10, &required, none)),
        ),
        row(
            "a required key that was waited for appears",
            required.clone(),
            entry("A", 10, &required, none),
            present("A", 11, X),
            Expect::Record(entry("A", 11, &required, X)),
        ),
        row(
            "all that is used was waited for, and comes under another uid",
            required.clone(),
            entry("A", 10, &required, none),
            present("B", 11, X),
            Expect::Record(entry("B", 11, &required, X)),
        ),
        row(
            "some of what was waited for comes under another uid",
            keyed(&[("k", Required), ("l", Required)]),
            entry("A", 10, &keyed(&[("k", Required), ("l", Required)]), none),
            present("B", 11, X),
            // Pods still wait, and start with this one: its uid is no change when the rest comes.
            Expect::Wait(entry(
                "B",
                11,
                &keyed(&[("k", Required), ("l", Required)]),
                X,
            )),
        ),
        row(
            "a key that is unknown although required appears",
            required.clone(),
            unknown_keys(entry("A", 10, &required, none)),
            present("A", 11, X),
            Expect::Restart(CauseKind::Updated, entry("A", 11, &required, X)),
        ),
        row(
            "a key was waited for and is optional now",
            optional.clone(),
            entry("A", 10, &required, none),
            present("A", 11, none),
            Expect::Record(entry("A", 11, &optional, none)),
        ),
    ]);
}

#[test]
fn the_spec_gained_or_lost_a_key() {
    let one = keyed(&[("a", Required)]);
    let two = keyed(&[("a", Required), ("b", Required)]);
    let data = &[("a", "1"), ("b", "2")];
    let with_old_a = |rv| {
        let Entry::Seen { uid, states, .. } = entry("A", rv, &two, &[("a", "0"), ("b", "2")])
        else {
            unreachable!()
        };
        Entry::Seen {
            uid,
            resource_version: rv,
            states,
        }
    };
    check([
        row(
            "gained: the new key is adopted at the version it was seen at",
            two.clone(),
            entry("A", 10, &one, data),
            present("A", 12, data),
            Expect::Record(entry("A", 12, &two, data)),
        ),
        row(
            "gained, while another changed: both in one",
            two.clone(),
            entry("A", 10, &one, &[("a", "0")]),
            present("A", 12, data),
            Expect::Restart(CauseKind::Updated, entry("A", 12, &two, data)),
        ),
        row(
            "gained a key that is not there: pods roll for that and wait",
            two.clone(),
            entry("A", 10, &one, data),
            present("A", 12, &[("a", "1")]),
            Expect::Wait(entry("A", 12, &two, &[("a", "1")])),
        ),
        row(
            "lost",
            one.clone(),
            entry("A", 10, &two, data),
            present("A", 12, data),
            Expect::Record(entry("A", 10, &one, data)),
        ),
        row(
            "narrowed from all keys to one",
            one.clone(),
            entry("A", 10, &whole(Required), data),
            present("A", 12, data),
            Expect::Record(entry("A", 12, &one, data)),
        ),
        row(
            "the other key changed under the adopted one",
            two.clone(),
            with_old_a(10),
            present("A", 12, data),
            Expect::Restart(CauseKind::Updated, entry("A", 12, &two, data)),
        ),
    ]);
}

#[test]
fn absent() {
    let tombstone = || Live::Absent {
        last: Some(v("A", 10, X)),
        since: 11,
    };
    for usage in [whole(Required), whole(Optional), keyed(&[("k", Required)])] {
        let a_x = || entry("A", 10, &usage, X);
        check([
            row(
                "A, X | absent",
                usage.clone(),
                a_x(),
                tombstone(),
                Expect::Wait(a_x()),
            ),
            row(
                "A, X | absent, never seen",
                usage.clone(),
                a_x(),
                NEVER,
                Expect::Wait(a_x()),
            ),
            row(
                "A, X | absent, asked",
                usage.clone(),
                a_x(),
                GONE,
                Expect::Wait(a_x()),
            ),
            row(
                "A, X | absent with on-delete: restart",
                usage.clone(),
                a_x(),
                tombstone(),
                Expect::Restart(CauseKind::Deleted, deleted()),
            )
            .given(|world| world.policy.on_delete = OnDelete::Restart),
            row(
                "A, X | absent by an older view, with on-delete: restart",
                usage.clone(),
                a_x(),
                NEVER,
                Expect::Undecided(Doubt::Behind),
            )
            .given(|world| world.policy.on_delete = OnDelete::Restart),
            row(
                "deleted A | absent",
                usage.clone(),
                deleted(),
                tombstone(),
                Expect::Keep,
            ),
            row(
                "deleted A | absent, any policy",
                usage.clone(),
                deleted(),
                GONE,
                Expect::Keep,
            )
            .given(|world| world.policy.on_delete = OnDelete::Restart),
        ]);
    }
    check([
        row(
            "unknown | absent, optional",
            whole(Optional),
            Entry::Unknown,
            GONE,
            Expect::Keep,
        ),
        row(
            "unknown | absent, required",
            whole(Required),
            Entry::Unknown,
            GONE,
            Expect::Wait(Entry::Unknown),
        ),
        row(
            "waiting | absent",
            whole(Required),
            Entry::Waiting,
            GONE,
            Expect::Wait(Entry::Waiting),
        ),
        row(
            "waiting | absent, but optional by now: pods start without it",
            whole(Optional),
            Entry::Waiting,
            GONE,
            Expect::Record(Entry::Unknown),
        ),
    ]);
}

#[test]
fn absent_after_another_came_and_went() {
    let another = || Live::Absent {
        last: Some(v("B", 12, X)),
        since: 13,
    };
    let deleted_again = Entry::Deleted {
        uid: "B".to_owned(),
        resource_version: 12,
    };
    check([
        row(
            "deleted A | absent after B, required: pods that waited started with B",
            whole(Required),
            deleted(),
            another(),
            Expect::Restart(CauseKind::Deleted, deleted_again),
        )
        .given(|world| world.policy.on_delete = OnDelete::Restart),
        row(
            "deleted A | absent after B, optional: pods run without it still",
            whole(Optional),
            deleted(),
            another(),
            Expect::Keep,
        )
        .given(|world| world.policy.on_delete = OnDelete::Restart),
    ]);
}

#[test]
fn back_again() {
    let lacking: &[(&str, &str)] = &[("other", "1")];
    for usage in [whole(Required), keyed(&[("k", Required)])] {
        let b_x = || entry("B", 12, &usage, X);
        check([
            row(
                "deleted A | B, required",
                usage.clone(),
                deleted(),
                present("B", 12, X),
                Expect::Record(b_x()),
            ),
            row(
                "waiting | B",
                usage.clone(),
                Entry::Waiting,
                present("B", 12, X),
                Expect::Record(b_x()),
            ),
            row(
                "unknown | B, required",
                usage.clone(),
                Entry::Unknown,
                present("B", 12, X),
                Expect::Restart(CauseKind::Created, b_x()),
            ),
        ]);
    }
    let optional = whole(Optional);
    let b_x = || entry("B", 12, &optional, X);
    let created = || Expect::Restart(CauseKind::Created, b_x());
    check([
        row(
            "deleted A | B, optional",
            optional.clone(),
            deleted(),
            present("B", 12, X),
            created(),
        ),
        row(
            "unknown | B, optional",
            optional.clone(),
            Entry::Unknown,
            present("B", 12, X),
            created(),
        ),
        row(
            "deleted A | A: the watch is behind",
            optional.clone(),
            deleted(),
            present("A", 10, X),
            Expect::Undecided(Doubt::Behind),
        ),
        row(
            "deleted A | A, asked just now: etcd was restored",
            optional.clone(),
            deleted(),
            Live::Fresh(v("A", 10, X)),
            Expect::Restart(CauseKind::Created, entry("A", 10, &optional, X)),
        ),
    ]);
    let required = keyed(&[("k", Required)]);
    let waits = || entry("B", 12, &required, lacking);
    check([
        row(
            "deleted A | B without the required key",
            required.clone(),
            deleted(),
            present("B", 12, lacking),
            Expect::Wait(waits()),
        ),
        row(
            "waiting | B without the required key",
            required.clone(),
            Entry::Waiting,
            present("B", 12, lacking),
            Expect::Wait(waits()),
        ),
        row(
            "unknown | B without the required key",
            required.clone(),
            Entry::Unknown,
            present("B", 12, lacking),
            Expect::Wait(Entry::Unknown),
        ),
    ]);
}

#[test]
fn no_entry_yet() {
    let required = keyed(&[("k", Required)]);
    let none: &[(&str, &str)] = &[];
    let lacking = || entry("A", 10, &required, none);
    check([
        row(
            "present",
            required.clone(),
            None,
            present("A", 10, X),
            Expect::Record(entry("A", 10, &required, X)),
        ),
        row(
            "optional and absent",
            whole(Optional),
            None,
            NEVER,
            Expect::Record(Entry::Unknown),
        ),
        row(
            "an optional key absent",
            keyed(&[("k", Optional)]),
            None,
            present("A", 10, none),
            Expect::Record(entry("A", 10, &keyed(&[("k", Optional)]), none)),
        ),
        row(
            "required and absent, pods ran",
            whole(Required),
            None,
            NEVER,
            Expect::Wait(Entry::Unknown),
        ),
        row(
            "required and absent, no pod ever ran",
            whole(Required),
            None,
            NEVER,
            Expect::Wait(Entry::Waiting),
        )
        .given(|world| world.started = Some(false)),
        row(
            "required and absent, nobody looked",
            whole(Required),
            None,
            NEVER,
            Expect::Undecided(Doubt::AskPods),
        )
        .given(|world| world.started = None),
        row(
            "required key absent, pods ran",
            required.clone(),
            None,
            present("A", 10, none),
            Expect::Wait(unknown_keys(lacking())),
        ),
        row(
            "required key absent, no pod ever ran",
            required.clone(),
            None,
            present("A", 10, none),
            Expect::Wait(lacking()),
        )
        .given(|world| world.started = Some(false)),
        row(
            "required key absent, nobody looked",
            required.clone(),
            None,
            present("A", 10, none),
            Expect::Undecided(Doubt::AskPods),
        )
        .given(|world| world.started = None),
    ]);
}

#[test]
fn nothing_is_said_about_what_is_not_seen() {
    let usage = whole(Required);
    let a_x = || entry("A", 10, &usage, X);
    for before in [
        None,
        Some(a_x()),
        Some(Entry::Waiting),
        Some(Entry::Unknown),
        Some(deleted()),
    ] {
        check([
            row(
                "unsynced",
                usage.clone(),
                before.clone(),
                Live::Unsynced,
                Expect::Undecided(Doubt::Unsynced),
            ),
            row(
                "unseen: to be asked for",
                usage.clone(),
                before,
                Live::Unseen,
                Expect::Undecided(Doubt::Behind),
            ),
        ]);
    }
    check([
        row(
            "A, X | A in an older version",
            usage.clone(),
            a_x(),
            present("A", 9, Y),
            Expect::Undecided(Doubt::Behind),
        ),
        row(
            "A, X | an older uid",
            usage.clone(),
            a_x(),
            present("0", 9, X),
            Expect::Undecided(Doubt::Behind),
        ),
        row(
            "A, X | A, X in an older version, asked: etcd was restored",
            usage.clone(),
            a_x(),
            Live::Fresh(v("A", 9, X)),
            Expect::Keep,
        ),
        row(
            "A, X | A, Y in an older version, asked: etcd was restored",
            usage.clone(),
            a_x(),
            Live::Fresh(v("A", 9, Y)),
            Expect::Restart(CauseKind::Updated, entry("A", 9, &usage, Y)),
        ),
    ]);
}
