//! What must hold for every text in an annotation: for the fuzz target, and for `tests/fuzz`, which runs its corpus.

use reroll::model::{
    DigestKey, Observed, Policy, SourceName,
    annotation::RESTART_ON,
    observed::Reading,
    policy::{Defaults, Selection},
    workload::Asks,
};

fn key() -> DigestKey {
    DigestKey::new(&[7; 32]).unwrap()
}

/// A text in an annotation: read and printed again it is the same, whichever it is for.
pub(crate) fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    observed(text);
    if let Ok(source) = text.parse::<SourceName>() {
        assert_eq!(source.to_string().parse(), Ok(source));
    }
    let read = |text: &str| {
        let annotations = Asks::from_iter([(RESTART_ON.to_owned(), text.to_owned())]);
        Policy::read(&annotations, Defaults::default())
    };
    let (policy, complaints) = read(text);
    for complaint in complaints {
        let told = complaint.to_string();
        assert!(
            !told.contains(char::is_control) && told.len() < 400,
            "{told}"
        );
    }
    if let Selection::Some(rules) = &policy.selection {
        let printed = rules.to_string();
        let (again, complaints) = read(&printed);
        assert_eq!(again, policy, "{printed}");
        assert_eq!(complaints, [], "{printed}");
    }
    for name in [
        "reroll.dev/settle",
        "reroll.dev/suspend",
        "reroll.dev/on-recreate",
        "reroll.dev/on-delete",
        "reroll.dev/on-adopt",
    ] {
        drop(Policy::read(
            &Asks::from_iter([(name.to_owned(), text.to_owned())]),
            Defaults {
                namespace: Some(text),
                ..Defaults::default()
            },
        ));
    }
}

fn observed(text: &str) {
    let reading = Observed::read(text, &key());
    if let Reading::Genuine(observed) | Reading::OtherKey(observed) = reading
        && observed.format <= key().newest_format()
    {
        let ours = observed.key_id == key().id();
        let printed = observed.print(&key());
        if ours {
            assert_eq!(printed, text);
        }
        let next = Observed {
            key_id: key().id().to_owned(),
            ..observed
        };
        let printed = next.print(&key());
        assert_eq!(Observed::read(&printed, &key()), Reading::Genuine(next));
    }
}
