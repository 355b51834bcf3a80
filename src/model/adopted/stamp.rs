//! What admission writes into a workload that adopts pods.

use super::{Adopted, Pod, judge};
use crate::model::{
    decide::{CREATE_WINDOW, Decision, Lookup, Restart, Subject},
    digest::DigestKey,
    observed::{Observed, Reading},
    source::SourceName,
    stamp::{Stamp, stamp_create},
};

/// What is known of the pods that a new workload adopts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Adoption {
    /// There are none.
    #[default]
    None,
    /// The webhook could not find out in time: the leader does.
    Unknown,
    /// These.
    Pods(Adopted),
}

impl Adoption {
    /// Returns the same, see [`Adopted::under`].
    #[must_use]
    pub fn under<'a>(&self, texts: impl IntoIterator<Item = &'a str>) -> Self {
        match self {
            Self::Pods(adopted) => Self::Pods(adopted.clone().under(texts)),
            Self::None | Self::Unknown => self.clone(),
        }
    }

    /// Returns a pod of the template that they were last made of, see [`Adopted::last`].
    pub fn last(&self, remembered: Option<&Reading>) -> Option<&Pod> {
        match self {
            Self::Pods(adopted) => adopted.last(remembered),
            Self::None | Self::Unknown => None,
        }
    }
}

/// Returns the stamp for a workload that is created and adopts what `adoption` says, and whether those pods are
/// replaced at once. Its mark becomes that of the pods, so that nothing rolls for its absence; or a fresh one where
/// they are behind.
///
/// `remembered`: what was last known of a workload of that name that was deleted and left its pods; `present`: what the
/// request has, which the webhook may have stamped in the same request.
pub fn stamp_adopting<'a>(
    subject: &Subject,
    adoption: &Adoption,
    remembered: Option<&Reading>,
    present: Option<&Reading>,
    live: &dyn Fn(&SourceName) -> Lookup<'a>,
    now: i64,
    key: &DigestKey,
) -> (Stamp, bool) {
    let created = |mark: Option<&str>| {
        let subject = Subject {
            restarted_for: mark,
            ..*subject
        };
        stamp_create(&subject, present, live, now, key)
    };
    let unexamined = |stamp: Stamp| {
        let at = stamp.observed.created_at.unwrap_or(now);
        Stamp {
            observed: stamp.observed.unexamined(at),
            ..stamp
        }
    };
    let adopted = match adoption {
        Adoption::None => return (created(subject.restarted_for), false),
        Adoption::Unknown => return (unexamined(created(subject.restarted_for)), false),
        Adoption::Pods(adopted) => adopted,
    };
    let own = subject.restarted_for.unwrap_or_default();
    // It may have a fresh mark from the first time that it was asked for in this request.
    let fresh = is_stamped(present, own, now);
    let found = adopted.mark(remembered).filter(|_| {
        let stays = adopted.pods.iter().any(|pod| pod.mark == own);
        stays || !fresh
    });
    let Some(mark) = found else {
        return (created(subject.restarted_for), fresh);
    };
    let adopted = adopted.clone().that_stay(mark, None);
    let oldest = adopted.oldest().unwrap_or(now);
    let copies: Vec<_> = adopted
        .copies
        .iter()
        .map(|text| Observed::read(text, key))
        .collect();
    let said = adopted.said(mark, remembered.into_iter().chain(&copies).chain(present));
    let subject = Subject {
        uid: "",
        created: now,
        restarted_for: Some(mark),
        ..*subject
    };
    let judged = judge(&subject, oldest, said, live, key);
    let kept = |observed: Observed, missing: Vec<SourceName>| {
        let stamp = created(Some(mark));
        let observed = Observed {
            workload_uid: String::new(),
            created_at: stamp.observed.created_at,
            sequence: 0,
            ..observed
        };
        let observed = observed.fitted(key, subject.uses, &missing);
        Stamp {
            observed,
            restarted_for: mark.to_owned(),
            waiting: missing,
        }
    };
    match judged.decision {
        Decision::Undecided(_) => (unexamined(created(Some(mark))), false),
        // It stays pending.
        Decision::Restart(Restart { missing, .. }) if subject.stopped => {
            (kept(judged.before, missing), false)
        }
        Decision::Restart(Restart { next, .. }) => (created(Some(&next.restarted_for)), true),
        Decision::Keep(next) | Decision::Record(next) => (kept(next, Vec::new()), false),
        Decision::Wait { next, missing, .. } => (kept(next, missing), false),
    }
}

/// Whether the webhook has stamped it in this request, with this mark.
fn is_stamped(present: Option<&Reading>, mark: &str, now: i64) -> bool {
    let Some(Reading::Genuine(observed)) = present else {
        return false;
    };
    let at = observed.created_at.filter(|_| observed.lacks_uid());
    at.is_some_and(|at| at.abs_diff(now) <= CREATE_WINDOW.unsigned_abs())
        && observed.restarted_for == mark
        && !mark.is_empty()
}
