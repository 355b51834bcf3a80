//! What must hold for every list of patterns: for the fuzz target, and for `tests/fuzz`, which runs its corpus.
//!
//! The first line of an input is the list, each other one a name. To read and match it takes time and memory within what the
//! bounds allow, so no input takes long, however it is made.

use reroll::model::{
    SourceName,
    annotation::RESTART_ON,
    policy::{Defaults, MAX_BYTES, Policy, Selection},
    source::SourceKind,
    workload::Asks,
};

/// A list of patterns, and names.
pub(crate) fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let mut lines = text.lines();
    let list = lines.next().unwrap_or_default();
    let names: Vec<_> = lines.map(SourceName::secret).collect();
    // As globs, and as expressions.
    let globs: Vec<_> = list
        .split(',')
        .map(|glob| format!("secret/{glob}"))
        .collect();
    let reload = SourceKind::Secret.reloader().reload;
    for (key, list) in [(RESTART_ON, globs.join(",").as_str()), (reload, list)] {
        let asks = Asks::from_iter([(key.to_owned(), list.to_owned())]);
        let (policy, complaints) = Policy::read(&asks, Defaults::default());
        let Selection::Some(rules) = policy.selection else {
            continue;
        };
        let open = list.split(',').map(str::trim);
        let open = open.filter(|one| key == reload && complaints.is_empty() && is_open(one));
        assert!(open.map(str::len).sum::<usize>() <= MAX_BYTES, "{list}");
        let mut put_away = (*rules).clone();
        put_away.put_away();
        for name in &names {
            assert_eq!(rules.takes(name), put_away.takes(name), "{list} {name}");
        }
    }
}

/// Whether it needs an automaton.
fn is_open(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
    !text.bytes().all(plain)
}
