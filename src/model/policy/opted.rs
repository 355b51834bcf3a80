//! By what a workload opted in, for people who ask.

use super::Defaults;
use crate::model::{
    annotation::{RESTART_ON, reloader::selecting},
    workload::Asks,
};

/// By what a workload opted in, or out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptedBy<'a> {
    /// Its own `reroll.dev/restart-on`.
    Annotation(&'a str),
    /// An annotation of Reloader's, and what it says.
    Reloader(&'static str, &'a str),
    /// The label of its namespace.
    Namespace(&'a str),
    /// `--auto-all`
    Flag,
}

impl<'a> OptedBy<'a> {
    /// Returns what decides of a workload with these annotations; `None` where nothing is said.
    pub fn of(annotations: &'a Asks, defaults: Defaults<'a>) -> Option<Self> {
        if let Some(text) = annotations.get(RESTART_ON) {
            return Some(Self::Annotation(text));
        }
        let of_reloader =
            selecting().find_map(|key| Some(Self::Reloader(key, annotations.get(key)?)));
        of_reloader
            .or_else(|| defaults.namespace.map(Self::Namespace))
            .or_else(|| defaults.all.then_some(Self::Flag))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::annotation::reloader::AUTO;

    #[test]
    fn what_is_nearest_decides() {
        let asks = |all: &[(&str, &str)]| -> Asks {
            let owned = |(key, text): &(&str, &str)| ((*key).to_owned(), (*text).to_owned());
            all.iter().map(owned).collect()
        };
        let all = Defaults {
            namespace: Some("secrets"),
            all: true,
            ..Defaults::default()
        };
        let own = asks(&[(RESTART_ON, "off"), (AUTO, "true")]);
        assert_eq!(OptedBy::of(&own, all), Some(OptedBy::Annotation("off")));
        let reloader = asks(&[(AUTO, "true")]);
        assert_eq!(
            OptedBy::of(&reloader, all),
            Some(OptedBy::Reloader(AUTO, "true"))
        );
        let none = asks(&[]);
        assert_eq!(OptedBy::of(&none, all), Some(OptedBy::Namespace("secrets")));
        let flag = Defaults {
            namespace: None,
            ..all
        };
        assert_eq!(OptedBy::of(&none, flag), Some(OptedBy::Flag));
        assert_eq!(OptedBy::of(&none, Defaults::default()), None);
    }
}
