//! Keys that an opt-in names in vain: the source has none of that name, or no container reads it.

use super::Rules;
use crate::model::{
    annotation::RESTART_ON,
    source::{Listed, References, SourceName, is_glob},
    version::Version,
};

impl Rules {
    /// Returns what is wrong with the keys that it names of one source each, in words that say first what to do. `live`: the
    /// source, where it is known to exist.
    pub fn named_in_vain<'a>(
        &self,
        references: &References,
        live: &dyn Fn(&SourceName) -> Option<&'a Version>,
    ) -> Vec<String> {
        let of_one = self
            .lists
            .iter()
            .filter(|listed| !is_glob(&listed.source.name));
        let words = of_one.filter_map(|listed| wrong(listed, references, live(&listed.source)));
        words.collect()
    }
}

fn wrong(listed: &Listed, references: &References, live: Option<&Version>) -> Option<String> {
    let source = listed.source.spoken();
    let known = live.filter(|version| version.tells_all());
    let key = listed.spoken_key();
    if known.is_some_and(|version| version.used(&listed.key).is_none()) {
        return Some(if listed.excluded {
            format!("leave out {listed}, or name another key: {source} has no {key}")
        } else {
            format!(
                "add a {key} to {source}, or name another: {RESTART_ON} names it, and {source} has none"
            )
        });
    }
    let referred = references
        .get(&listed.source)
        .filter(|_| !listed.excluded)?;
    listed.names_nothing_of(referred).then(|| {
        format!(
            "name a key that pods read: no container reads a {key} of {source}, which {RESTART_ON} names"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        Policy,
        policy::{Defaults, Selection},
        source::{Need, Usage},
        testing::{keyed, version, whole},
        workload::Asks,
    };

    fn said(text: &str, usage: Option<Usage>) -> Vec<String> {
        let asks = Asks::from_iter([(RESTART_ON.to_owned(), text.to_owned())]);
        let (policy, complaints) = Policy::read(&asks, Defaults::default());
        assert_eq!(complaints, [], "{text}");
        let Selection::Some(rules) = &policy.selection else {
            panic!("{text} is an opt-in");
        };
        let source = SourceName::secret("uber");
        let live = version(&source, "A", 1, &[("db_32", "x"), ("legacy", "y")]);
        let look = |name: &SourceName| (*name == source).then_some(&live);
        let references = usage.map(|usage| (source.clone(), usage));
        rules.named_in_vain(&References::from_iter(references), &look)
    }

    #[test]
    fn a_key_that_does_nothing_is_told() {
        let env = || Some(keyed(&[("db_32", Need::Required)]));
        let all = || Some(whole(Need::Required));
        let absent = "add a key db_23 to Secret uber, or name another: reroll.dev/restart-on names it, and Secret uber has none";
        for (text, usage, expected) in [
            ("secret/uber#db_32", env(), None),
            ("secret/uber#db_32", all(), None),
            ("secret/uber#db_*", env(), None),
            ("secret/uber#db_23", env(), Some(absent)),
            ("secret/uber#db_23", all(), Some(absent)),
            ("auto,secret/uber#db_23", None, Some(absent)),
            (
                "secret/uber#mq_*",
                all(),
                Some(
                    "add a key like mq_* to Secret uber, or name another: reroll.dev/restart-on names it, and Secret uber has none",
                ),
            ),
            (
                "!secret/uber#lgacy",
                all(),
                Some(
                    "leave out !secret/uber#lgacy, or name another key: Secret uber has no key lgacy",
                ),
            ),
            (
                "secret/uber#legacy",
                env(),
                Some(
                    "name a key that pods read: no container reads a key legacy of Secret uber, which reroll.dev/restart-on names",
                ),
            ),
            ("!secret/uber#legacy", env(), None),
            ("secret/uber#legacy", all(), None),
            ("secret/u*#nothing", all(), None),
            ("secret/unseen#nothing", all(), None),
        ] {
            let expected = Vec::from_iter(expected.map(ToOwned::to_owned));
            assert_eq!(said(text, usage), expected, "{text}");
        }
    }
}
