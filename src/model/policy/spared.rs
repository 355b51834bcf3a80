//! Exclusions that leave nothing out: `!secret/dbb`, where the pod template has `secret/db`.

use std::collections::BTreeSet;

use super::Rules;
use crate::model::{
    annotation::RESTART_ON,
    nearest::nearest,
    source::{References, SourceName, is_glob},
    workload::Asks,
};

/// Of so many it is looked up what is likely to be meant, among so many sources, where names are no longer than that: it takes as
/// long as all of this multiplied, and whoever writes a workload writes all of it.
const MOST_MEANT: usize = 8;
const MOST_COMPARED: usize = 128;
const LONGEST_COMPARED: usize = 64;

/// An exclusion that leaves nothing out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spared {
    /// The annotation that says it.
    pub key: &'static str,
    /// As it is written.
    pub entry: String,
    /// The source that it names.
    pub source: SourceName,
    /// What is likely to be meant, as it is to be written.
    pub meant: Option<String>,
}

impl Spared {
    /// Returns the exclusions of one source each that leave nothing out: the workload does not refer to it, and no name or glob of
    /// the opt-in takes it. `absent`: whether it is known that there is none.
    pub fn all(
        rules: &Rules,
        asks: &Asks,
        references: &References,
        absent: &dyn Fn(&SourceName) -> bool,
    ) -> Vec<Self> {
        let own = asks.contains_key(RESTART_ON);
        let whole = rules.excluded.exact().map(|source| (source, ""));
        let of_keys = rules.lists.iter().filter(|listed| listed.excluded);
        let of_keys = of_keys.map(|listed| (&listed.source, listed.key.as_str()));
        let all: BTreeSet<_> = whole.chain(of_keys).collect();
        let (all, names) = (all.into_iter(), rules.naming());
        let idle = all.filter(|(source, _)| {
            let is_taken = || names(source) && !absent(source);
            !is_glob(&source.name) && !references.contains_key(*source) && !is_taken()
        });
        let spared = idle.enumerate().map(|(nth, (source, key))| {
            let written = |name: &str| match (own, key) {
                (false, _) => name.to_owned(),
                (true, "") => format!("!{}/{name}", source.kind.prefix()),
                (true, key) => format!("!{}/{name}#{key}", source.kind.prefix()),
            };
            let same = references.keys().filter(|used| used.kind == source.kind);
            let same = same.map(|used| used.name.as_str()).take(MOST_COMPARED);
            let is_compared = nth < MOST_MEANT && source.name.len() <= LONGEST_COMPARED;
            let likely = is_compared.then(|| nearest(&source.name, same)).flatten();
            Self {
                key: if own {
                    RESTART_ON
                } else {
                    source.kind.reloader().exclude
                },
                entry: written(&source.name),
                source: source.clone(),
                meant: likely.map(written),
            }
        });
        spared.collect()
    }

    /// Returns what to do, and why.
    pub fn words(&self) -> String {
        let (key, entry, source) = (self.key, &self.entry, self.source.spoken());
        let why =
            format!("{entry} in {key} leaves nothing out: the pod template does not name {source}");
        match &self.meant {
            Some(meant) => format!("did you mean {meant}? {why}"),
            None => format!("remove {entry}, or name another: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        Policy,
        policy::{Defaults, Selection},
        source::{Need, SourceKind},
        testing::whole,
    };

    fn said(key: &str, text: &str) -> Vec<String> {
        let asks = Asks::from_iter([(key.to_owned(), text.to_owned())]);
        let everybody = Defaults {
            all: true,
            ..Defaults::default()
        };
        let (policy, complaints) = Policy::read(&asks, everybody);
        assert_eq!(complaints, [], "{text}");
        let Selection::Some(rules) = &policy.selection else {
            panic!("{text} is an opt-in");
        };
        let uses = References::from_iter([(SourceName::secret("db"), whole(Need::Required))]);
        let absent = |source: &SourceName| source.name == "gone";
        let spared = Spared::all(rules, &asks, &uses, &absent);
        spared.iter().map(Spared::words).collect()
    }

    #[test]
    fn an_exclusion_that_leaves_nothing_out_is_told() {
        let why = |entry: &str, key: &str, name: &str| {
            format!(
                "{entry} in {key} leaves nothing out: the pod template does not name Secret {name}"
            )
        };
        let dbb = |entry: &str, meant: &str| {
            format!("did you mean {meant}? {}", why(entry, RESTART_ON, "dbb"))
        };
        let other = |entry: &str, name: &str| {
            format!(
                "remove {entry}, or name another: {}",
                why(entry, RESTART_ON, name)
            )
        };
        for (text, expected) in [
            ("auto,!secret/db", vec![]),
            ("auto,!secret/db#k", vec![]),
            ("auto,!secret/x*", vec![]),
            ("auto,!secret/dbb", vec![dbb("!secret/dbb", "!secret/db")]),
            (
                "auto,!secret/dbb#k",
                vec![dbb("!secret/dbb#k", "!secret/db#k")],
            ),
            (
                "auto,!secret/legacy",
                vec![other("!secret/legacy", "legacy")],
            ),
            // A name or glob takes it, so it leaves it out, where it is there.
            ("secret/*,!secret/legacy", vec![]),
            ("secret/uber,!secret/uber#legacy", vec![]),
            ("secret/*,!secret/gone", vec![other("!secret/gone", "gone")]),
        ] {
            assert_eq!(said(RESTART_ON, text), expected, "{text}");
        }
        let exclude = SourceKind::Secret.reloader().exclude;
        assert_eq!(said(exclude, "db"), Vec::<String>::new());
        assert_eq!(
            said(exclude, "dbb"),
            [format!("did you mean db? {}", why("dbb", exclude, "dbb"))]
        );
    }

    #[test]
    fn of_the_first_it_is_said_what_may_be_meant() {
        let long = format!("!secret/{}", "d".repeat(LONGEST_COMPARED + 1));
        let many: Vec<_> = ('c'..='v').map(|end| format!("!secret/db{end}")).collect();
        let told = said(RESTART_ON, &format!("auto,{},{long}", many.join(",")));
        let meant = told.iter().filter(|line| line.starts_with("did you mean"));
        assert_eq!((meant.count(), told.len()), (MOST_MEANT, 21));
    }
}
