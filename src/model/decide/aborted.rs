//! Former entries of an aborted Argo Rollout: they count like those of what it uses.
//!
//! The pods that serve are those of the stable template, and they go on for as long as the abort lasts. What that
//! template alone names is *former*. So its change restarts the Rollout, and what is required and absent holds a restart
//! up: pods of the stable template could not start again.
//!
//! A former entry does not say whether pods need the source, nor how they read it. What existed counts as required. The
//! opt-in must select the source still.

use super::{
    Lookup, Subject,
    rules::{Rule, Ruling, Verdict},
};
use crate::model::{
    observed::{Entry, Formers, KeyState},
    policy::Selection,
    source::{Need, References, SourceName, Usage},
    version::WHOLE,
};

/// What follows for the former entries of an aborted Rollout.
pub(super) struct Serving {
    pub(super) rulings: Vec<(Vec<SourceName>, Ruling)>,
    /// They, if nothing restarts.
    pub(super) kept: Formers,
    /// They, with a restart, which reaches the pods of all templates.
    pub(super) rolled: Formers,
}

impl Serving {
    /// Judges them by the decision table; `rule` is that of the workload.
    pub(super) fn judge<'a>(
        subject: &Subject,
        formers: &Formers,
        rule: &Rule,
        live: &dyn Fn(&SourceName) -> Lookup<'a>,
    ) -> Self {
        let formers = formers.without(subject.uses);
        let mut rulings = Vec::new();
        let (mut kept, mut rolled) = (Vec::new(), Vec::new());
        for (source, entry) in formers.iter() {
            let usage = usage_of(entry);
            let verdict = if counts(subject, source, &usage, live(source)) {
                rule.judge(source, &usage, Some(entry), live(source))
            } else {
                Verdict::keep(entry.clone())
            };
            rulings.push((vec![source.clone()], verdict.ruling));
            kept.push(verdict.kept.unwrap_or_else(|| entry.clone()));
            rolled.push(verdict.rolled.unwrap_or_else(|| entry.clone()));
        }
        Self {
            rulings,
            kept: formers.with(kept),
            rolled: formers.with(rolled),
        }
    }
}

/// Whether the opt-in selects a source that was used so, and the source does not ask to be ignored.
fn counts(subject: &Subject, source: &SourceName, usage: &Usage, live: Lookup) -> bool {
    let Selection::Some(rules) = &subject.policy.selection else {
        return false;
    };
    let references = References::from_iter([(source.clone(), usage.clone())]);
    let selected = rules.select(&references, std::iter::empty());
    let selected = selected.get(source).filter(|usage| usage.is_read());
    selected.is_some_and(|usage| match live {
        Lookup::Present { version, .. } => version.counts_for(usage),
        Lookup::Absent { .. } | Lookup::Unsynced | Lookup::Unseen => true,
    })
}

/// Returns how pods use what this entry is of, as far as it tells.
fn usage_of(entry: &Entry) -> Usage {
    let Entry::Seen { states, .. } = entry else {
        // Pods that run do so without it, and what pods wait for is not theirs to lose.
        return Usage {
            env: true,
            volume: true,
            ..Usage::named()
        };
    };
    let need = |state: &KeyState| match state {
        KeyState::Unknown => Need::Optional,
        KeyState::Seen(_) | KeyState::Waiting => Need::Required,
    };
    let named = states.iter().filter(|(key, _)| *key != WHOLE);
    Usage {
        need: Need::Required,
        whole: states.contains_key(WHOLE),
        keys: named
            .map(|(key, state)| (key.clone(), need(state)))
            .collect(),
        held: None,
        left_out: None,
        env: true,
        volume: true,
        mixed: false,
        if_matched: false,
    }
}
