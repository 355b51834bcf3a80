//! Every row of the decision table, one source at a time. `docs/design.md` has the same rows.

use super::{document::said, *};
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

    /// The row's name, and its decision in the words of the document.
    fn outcome(&self) -> (&'static str, String) {
        let word = match &self.expect {
            Expect::Keep => said(Outcome::Keep, None),
            Expect::Record(_) => said(Outcome::Record, None),
            Expect::Wait(_) => said(Outcome::Wait, None),
            Expect::Restart(kind, _) => said(Outcome::Restart, Some(*kind)),
            Expect::Undecided(why) => said(Outcome::Undecided(*why), None),
        };
        (self.name, word)
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
        immutable: false,
    }
}

const X: &[(&str, &str)] = &[("k", "x")];
const Y: &[(&str, &str)] = &[("k", "y")];

/// The parts of the table.
const PARTS: &[fn() -> Vec<Row>] = &[
    present_as_observed_or_other,
    recreated_with_the_same_data,
    other_keys_do_not_count,
    keys_that_come_and_go,
    the_spec_gained_or_lost_a_key,
    absent,
    absent_where_a_deletion_restarts,
    absent_after_another_came_and_went,
    back_again,
    no_entry_yet,
    nothing_is_said_about_what_is_not_seen,
];

#[test]
fn every_row_decides_as_it_says() {
    PARTS.iter().flat_map(|part| part()).for_each(Row::check);
}

/// Names of all rows, what is expected of them, and what is decided.
pub(crate) fn decisions() -> Vec<(&'static str, Outcome, Decision)> {
    let rows = PARTS.iter().flat_map(|part| part());
    let decided = |row: Row| {
        let expected = match row.expect {
            Expect::Keep => Outcome::Keep,
            Expect::Record(_) => Outcome::Record,
            Expect::Wait(_) => Outcome::Wait,
            Expect::Restart(..) => Outcome::Restart,
            Expect::Undecided(why) => Outcome::Undecided(why),
        };
        let world = row.world.with(&s(), row.usage, row.live);
        let before = world.observed(row.entry.map(|entry| (s(), entry)));
        (row.name, expected, world.decide(Known::Observed(&before)))
    };
    rows.map(decided).collect()
}

/// Names and decisions of all rows.
pub(super) fn outcomes() -> Vec<(&'static str, String)> {
    let rows = PARTS.iter().flat_map(|part| part());
    rows.map(|row| row.outcome()).collect()
}

fn present_as_observed_or_other() -> Vec<Row> {
    let mut rows = Vec::new();
    for usage in [
        whole(Required),
        whole(Optional),
        keyed(&[("k", Required)]),
        keyed(&[("k", Optional)]),
    ] {
        let a_x = || entry("A", 10, &usage, X);
        rows.extend([
            row(
                "same",
                usage.clone(),
                a_x(),
                present("A", 10, X),
                Expect::Keep,
            ),
            row(
                "labels-changed",
                usage.clone(),
                a_x(),
                present("A", 11, X),
                Expect::Keep,
            ),
            row(
                "data-changed",
                usage.clone(),
                a_x(),
                present("A", 11, Y),
                Expect::Restart(CauseKind::Updated, entry("A", 11, &usage, Y)),
            ),
            row(
                "recreated-same-data",
                usage.clone(),
                a_x(),
                present("B", 12, X),
                Expect::Restart(CauseKind::Recreated, entry("B", 12, &usage, X)),
            ),
            row(
                "recreated-other-data",
                usage.clone(),
                a_x(),
                present("B", 12, Y),
                Expect::Restart(CauseKind::Recreated, entry("B", 12, &usage, Y)),
            ),
            row(
                "recreated-same-data-content-decides",
                usage.clone(),
                a_x(),
                present("B", 12, X),
                Expect::Record(entry("B", 12, &usage, X)),
            )
            .given(|world| world.policy.on_recreate = OnRecreate::Content),
            row(
                "recreated-other-data-content-decides",
                usage.clone(),
                a_x(),
                present("B", 12, Y),
                Expect::Restart(CauseKind::Recreated, entry("B", 12, &usage, Y)),
            )
            .given(|world| world.policy.on_recreate = OnRecreate::Content),
        ]);
    }
    rows
}

fn recreated_with_the_same_data() -> Vec<Row> {
    let required = whole(Required);
    let made = |by_machine: bool, asks: Asked| {
        let mut version = v("B", 12, X);
        version.origin = Origin { by_machine, asks };
        Live::Present(version)
    };
    let recorded = || Expect::Record(entry("B", 12, &whole(Required), X));
    let restarts = |usage: &Usage| Expect::Restart(CauseKind::Recreated, entry("B", 12, usage, X));
    let a_x = |usage: &Usage| entry("A", 10, usage, X);
    let of = |name, live, expect| {
        let usage = whole(Required);
        let before = a_x(&usage);
        row(name, usage, before, live, expect)
    };
    let mut rows = vec![
        of(
            "recreated-by-machine",
            made(true, Asked::Nothing),
            recorded(),
        ),
        of(
            "recreated-after-machine",
            made(false, Asked::Nothing),
            recorded(),
        )
        .given(|world| {
            world.after_machines.insert(s());
        }),
        of(
            "recreated-by-machine-uid-decides",
            made(true, Asked::Nothing),
            restarts(&required),
        )
        .given(|world| world.policy.on_recreate = OnRecreate::Restart),
        of(
            "recreated-source-says-content",
            made(false, Asked::Word(OnRecreate::Content)),
            recorded(),
        )
        .given(|world| world.policy.on_recreate = OnRecreate::Restart),
        of(
            "recreated-by-machine-source-says-restart",
            made(true, Asked::Word(OnRecreate::Restart)),
            restarts(&required),
        )
        .given(|world| world.policy.on_recreate = OnRecreate::Content),
        of(
            "recreated-by-machine-source-says-auto",
            made(true, Asked::Word(OnRecreate::Auto)),
            recorded(),
        )
        .given(|world| world.policy.on_recreate = OnRecreate::Restart),
        of(
            "recreated-source-not-readable",
            made(false, Asked::Unreadable),
            restarts(&required),
        ),
    ];
    let mixed = Usage {
        mixed: true,
        ..whole(Required)
    };
    let optional = [whole(Optional), Usage::named(), keyed(&[("k", Optional)])];
    for usage in optional.into_iter().chain([mixed]) {
        rows.push(row(
            "recreated-by-machine-optional",
            usage.clone(),
            a_x(&usage),
            made(true, Asked::Nothing),
            restarts(&usage),
        ));
    }
    let mut other = v("B", 12, Y);
    other.origin.by_machine = true;
    rows.push(of(
        "recreated-by-machine-other-data",
        Live::Present(other),
        Expect::Restart(CauseKind::Recreated, entry("B", 12, &required, Y)),
    ));
    rows
}

fn other_keys_do_not_count() -> Vec<Row> {
    let mut rows = Vec::new();
    let usage = keyed(&[("k", Required)]);
    let before = entry("A", 10, &usage, &[("k", "x"), ("other", "1")]);
    rows.extend([row(
        "unused-key-changed",
        usage,
        before,
        present("A", 11, &[("k", "x"), ("other", "2")]),
        Expect::Keep,
    )]);
    let usage = whole(Required);
    let before = entry("A", 10, &usage, &[("k", "x"), ("other", "1")]);
    let data = &[("k", "x"), ("other", "2")];
    rows.extend([row(
        "other-key-changed-all-used",
        usage.clone(),
        before,
        present("A", 11, data),
        Expect::Restart(CauseKind::Updated, entry("A", 11, &usage, data)),
    )]);
    rows
}

fn keys_that_come_and_go() -> Vec<Row> {
    let mut rows = Vec::new();
    let required = keyed(&[("k", Required)]);
    let optional = keyed(&[("k", Optional)]);
    let none: &[(&str, &str)] = &[];
    rows.extend([
        row(
            "required-key-gone",
            required.clone(),
            entry("A", 10, &required, X),
            present("A", 11, none),
            Expect::Wait(entry("A", 10, &required, X)),
        ),
        row(
            "required-key-gone-recreated",
            required.clone(),
            entry("A", 10, &required, X),
            present("B", 11, none),
            Expect::Wait(entry("A", 10, &required, X)),
        ),
        row(
            "optional-key-gone",
            optional.clone(),
            entry("A", 10, &optional, X),
            present("A", 11, none),
            Expect::Restart(CauseKind::Updated, entry("A", 11, &optional, none)),
        ),
        row(
            "optional-key-still-absent",
            optional.clone(),
            entry("A", 10, &optional, none),
            present("A", 11, none),
            Expect::Keep,
        ),
        row(
            "optional-key-appears",
            optional.clone(),
            entry("A", 10, &optional, none),
            present("A", 11, X),
            Expect::Restart(CauseKind::Updated, entry("A", 11, &optional, X)),
        ),
        row(
            "awaited-key-still-absent",
            required.clone(),
            entry("A", 10, &required, none),
            present("A", 11, none),
            Expect::Wait(entry("A", 10, &required, none)),
        ),
        row(
            "awaited-key-arrives",
            required.clone(),
            entry("A", 10, &required, none),
            present("A", 11, X),
            Expect::Record(entry("A", 11, &required, X)),
        ),
        row(
            "all-awaited-keys-arrive-recreated",
            required.clone(),
            entry("A", 10, &required, none),
            present("B", 11, X),
            Expect::Record(entry("B", 11, &required, X)),
        ),
        row(
            "some-awaited-keys-arrive-recreated",
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
            "unknown-required-key-appears",
            required.clone(),
            unknown_keys(entry("A", 10, &required, none)),
            present("A", 11, X),
            Expect::Restart(CauseKind::Updated, entry("A", 11, &required, X)),
        ),
        row(
            "awaited-key-now-optional",
            optional.clone(),
            entry("A", 10, &required, none),
            present("A", 11, none),
            Expect::Record(entry("A", 11, &optional, none)),
        ),
    ]);
    rows
}

fn the_spec_gained_or_lost_a_key() -> Vec<Row> {
    let mut rows = Vec::new();
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
            immutable: false,
        }
    };
    rows.extend([
        row(
            "key-gained",
            two.clone(),
            entry("A", 10, &one, data),
            present("A", 12, data),
            Expect::Record(entry("A", 12, &two, data)),
        ),
        row(
            "key-gained-another-changed",
            two.clone(),
            entry("A", 10, &one, &[("a", "0")]),
            present("A", 12, data),
            Expect::Restart(CauseKind::Updated, entry("A", 12, &two, data)),
        ),
        row(
            "gained-key-absent",
            two.clone(),
            entry("A", 10, &one, data),
            present("A", 12, &[("a", "1")]),
            Expect::Wait(entry("A", 12, &two, &[("a", "1")])),
        ),
        row(
            "key-dropped",
            one.clone(),
            entry("A", 10, &two, data),
            present("A", 12, data),
            Expect::Record(entry("A", 10, &one, data)),
        ),
        row(
            "narrowed-to-one-key",
            one.clone(),
            entry("A", 10, &whole(Required), data),
            present("A", 12, data),
            Expect::Record(entry("A", 12, &one, data)),
        ),
        row(
            "changed-beside-adopted-key",
            two.clone(),
            with_old_a(10),
            present("A", 12, data),
            Expect::Restart(CauseKind::Updated, entry("A", 12, &two, data)),
        ),
    ]);
    rows
}

fn absent() -> Vec<Row> {
    let mut rows = Vec::new();
    let tombstone = || Live::Absent {
        last: Some(v("A", 10, X)),
        since: 11,
    };
    for usage in [whole(Required), whole(Optional), keyed(&[("k", Required)])] {
        let a_x = || entry("A", 10, &usage, X);
        rows.extend([
            row(
                "absent",
                usage.clone(),
                a_x(),
                tombstone(),
                Expect::Wait(a_x()),
            ),
            row(
                "absent-never-seen",
                usage.clone(),
                a_x(),
                NEVER,
                Expect::Wait(a_x()),
            ),
            row(
                "absent-confirmed",
                usage.clone(),
                a_x(),
                GONE,
                Expect::Wait(a_x()),
            ),
            row(
                "deleted-still-absent",
                usage.clone(),
                deleted(),
                tombstone(),
                Expect::Keep,
            ),
            row(
                "deleted-still-absent-deletion-restarts",
                usage.clone(),
                deleted(),
                GONE,
                Expect::Keep,
            )
            .given(|world| world.policy.on_delete = OnDelete::Restart),
        ]);
    }
    rows.extend([
        row(
            "unknown-optional-still-absent",
            whole(Optional),
            Entry::Unknown,
            GONE,
            Expect::Keep,
        ),
        row(
            "unknown-required-still-absent",
            whole(Required),
            Entry::Unknown,
            GONE,
            Expect::Wait(Entry::Unknown),
        ),
        row(
            "waiting-still-absent",
            whole(Required),
            Entry::Waiting,
            GONE,
            Expect::Wait(Entry::Waiting),
        ),
        row(
            "waiting-now-optional",
            whole(Optional),
            Entry::Waiting,
            GONE,
            Expect::Record(Entry::Unknown),
        ),
    ]);
    rows
}

fn absent_where_a_deletion_restarts() -> Vec<Row> {
    let mut rows = Vec::new();
    let tombstone = || Live::Absent {
        last: Some(v("A", 10, X)),
        since: 11,
    };
    for usage in [whole(Optional), keyed(&[("k", Optional)]), Usage::named()] {
        let a_x = || entry("A", 10, &usage, X);
        rows.extend([
            row(
                "absent-deletion-restarts",
                usage.clone(),
                a_x(),
                tombstone(),
                Expect::Restart(CauseKind::Deleted, deleted()),
            )
            .given(|world| world.policy.on_delete = OnDelete::Restart),
            row(
                "absent-older-view-deletion-restarts",
                usage.clone(),
                a_x(),
                NEVER,
                Expect::Undecided(Doubt::Behind),
            )
            .given(|world| world.policy.on_delete = OnDelete::Restart),
        ]);
    }
    for usage in [whole(Required), keyed(&[("k", Required)])] {
        let a_x = || entry("A", 10, &usage, X);
        for live in [tombstone(), NEVER, GONE] {
            rows.push(
                row(
                    "absent-required-deletion-waits",
                    usage.clone(),
                    a_x(),
                    live,
                    Expect::Wait(a_x()),
                )
                .given(|world| world.policy.on_delete = OnDelete::Restart),
            );
        }
    }
    rows
}

fn absent_after_another_came_and_went() -> Vec<Row> {
    let mut rows = Vec::new();
    let another = || Live::Absent {
        last: Some(v("B", 12, X)),
        since: 13,
    };
    rows.extend([
        row(
            "deleted-again-required",
            whole(Required),
            deleted(),
            another(),
            // The pods that waited for it started with B.
            Expect::Wait(entry("B", 12, &whole(Required), X)),
        )
        .given(|world| world.policy.on_delete = OnDelete::Restart),
        row(
            "deleted-again-optional",
            whole(Optional),
            deleted(),
            another(),
            Expect::Keep,
        )
        .given(|world| world.policy.on_delete = OnDelete::Restart),
    ]);
    rows
}

fn back_again() -> Vec<Row> {
    let mut rows = Vec::new();
    let lacking: &[(&str, &str)] = &[("other", "1")];
    for usage in [whole(Required), keyed(&[("k", Required)])] {
        let b_x = || entry("B", 12, &usage, X);
        rows.extend([
            row(
                "deleted-required-back",
                usage.clone(),
                deleted(),
                present("B", 12, X),
                Expect::Record(b_x()),
            ),
            row(
                "waiting-arrives",
                usage.clone(),
                Entry::Waiting,
                present("B", 12, X),
                Expect::Record(b_x()),
            ),
            row(
                "unknown-required-appears",
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
    rows.extend([
        row(
            "deleted-optional-back",
            optional.clone(),
            deleted(),
            present("B", 12, X),
            created(),
        ),
        row(
            "unknown-optional-appears",
            optional.clone(),
            Entry::Unknown,
            present("B", 12, X),
            created(),
        ),
        row(
            "deleted-same-uid",
            optional.clone(),
            deleted(),
            present("A", 10, X),
            Expect::Undecided(Doubt::Behind),
        ),
        row(
            "deleted-same-uid-confirmed",
            optional.clone(),
            deleted(),
            Live::Fresh(v("A", 10, X)),
            Expect::Restart(CauseKind::Created, entry("A", 10, &optional, X)),
        ),
    ]);
    let required = keyed(&[("k", Required)]);
    let waits = || entry("B", 12, &required, lacking);
    rows.extend([
        row(
            "deleted-back-lacks-key",
            required.clone(),
            deleted(),
            present("B", 12, lacking),
            Expect::Wait(waits()),
        ),
        row(
            "waiting-arrives-lacks-key",
            required.clone(),
            Entry::Waiting,
            present("B", 12, lacking),
            Expect::Wait(waits()),
        ),
        row(
            "unknown-appears-lacks-key",
            required.clone(),
            Entry::Unknown,
            present("B", 12, lacking),
            Expect::Wait(Entry::Unknown),
        ),
    ]);
    rows
}

fn no_entry_yet() -> Vec<Row> {
    let mut rows = Vec::new();
    let required = keyed(&[("k", Required)]);
    let none: &[(&str, &str)] = &[];
    let lacking = || entry("A", 10, &required, none);
    rows.extend([
        row(
            "new-present",
            required.clone(),
            None,
            present("A", 10, X),
            Expect::Record(entry("A", 10, &required, X)),
        ),
        row(
            "new-optional-absent",
            whole(Optional),
            None,
            NEVER,
            Expect::Record(Entry::Unknown),
        ),
        row(
            "new-optional-key-absent",
            keyed(&[("k", Optional)]),
            None,
            present("A", 10, none),
            Expect::Record(entry("A", 10, &keyed(&[("k", Optional)]), none)),
        ),
        row(
            "new-required-absent-pods-ran",
            whole(Required),
            None,
            NEVER,
            Expect::Wait(Entry::Unknown),
        ),
        row(
            "new-required-absent-no-pod-ran",
            whole(Required),
            None,
            NEVER,
            Expect::Wait(Entry::Waiting),
        )
        .given(|world| world.started = Some(false)),
        row(
            "new-required-absent-pods-not-known",
            whole(Required),
            None,
            NEVER,
            Expect::Undecided(Doubt::AskPods),
        )
        .given(|world| world.started = None),
        row(
            "new-required-key-absent-pods-ran",
            required.clone(),
            None,
            present("A", 10, none),
            Expect::Wait(unknown_keys(lacking())),
        ),
        row(
            "new-required-key-absent-no-pod-ran",
            required.clone(),
            None,
            present("A", 10, none),
            Expect::Wait(lacking()),
        )
        .given(|world| world.started = Some(false)),
        row(
            "new-required-key-absent-pods-not-known",
            required.clone(),
            None,
            present("A", 10, none),
            Expect::Undecided(Doubt::AskPods),
        )
        .given(|world| world.started = None),
    ]);
    rows
}

fn nothing_is_said_about_what_is_not_seen() -> Vec<Row> {
    let mut rows = Vec::new();
    let usage = whole(Required);
    let a_x = || entry("A", 10, &usage, X);
    for before in [
        None,
        Some(a_x()),
        Some(Entry::Waiting),
        Some(Entry::Unknown),
        Some(deleted()),
    ] {
        rows.extend([
            row(
                "unsynced",
                usage.clone(),
                before.clone(),
                Live::Unsynced,
                Expect::Undecided(Doubt::Unsynced),
            ),
            row(
                "unseen",
                usage.clone(),
                before,
                Live::Unseen,
                Expect::Undecided(Doubt::Behind),
            ),
        ]);
    }
    rows.extend([
        row(
            "older-version",
            usage.clone(),
            a_x(),
            present("A", 9, Y),
            Expect::Undecided(Doubt::Behind),
        ),
        row(
            "older-uid",
            usage.clone(),
            a_x(),
            present("0", 9, X),
            Expect::Undecided(Doubt::Behind),
        ),
        row(
            "older-same-data-confirmed",
            usage.clone(),
            a_x(),
            Live::Fresh(v("A", 9, X)),
            Expect::Keep,
        ),
        row(
            "older-other-data-confirmed",
            usage.clone(),
            a_x(),
            Live::Fresh(v("A", 9, Y)),
            Expect::Restart(CauseKind::Updated, entry("A", 9, &usage, Y)),
        ),
    ]);
    rows
}
