//! What a workload that is created carries: the versions of this moment, or of the pods that it adopts.

use super::Write;
use crate::{
    model::{
        Index, Observed, SourceName,
        adopted::{Adoption, Pod, stamp_adopting},
        decide::{Lookup, Subject},
        index::gates,
        source::References,
        stamp::OwnAnnotations,
        workload::{RestartBy, is_time_mark, read_time},
    },
    webhook::warnings::{Warning, news},
};

impl Write {
    /// Returns the annotations that a new workload carries.
    pub(super) fn created<'a>(
        &self,
        index: &Index,
        uses: &References,
        live: &dyn Fn(&SourceName) -> Lookup<'a>,
        adoption: &Adoption,
        now: i64,
        warnings: &mut Vec<Warning>,
    ) -> OwnAnnotations {
        let present = self.new.own.observed.as_ref();
        let present = present.map(|text| Observed::read(text, index.key()));
        // It may be a copy of another workload's manifest. Its own pods were never restarted by `spec.restartAt`.
        let mark = self.new.workload.marks.of_pods();
        let restarted_at = self.new.own.restarted_at.clone();
        let own = OwnAnnotations {
            last_restart: None,
            restarted_at: restarted_at.filter(|_| is_time_mark(mark)),
            pending: None,
            opened: None,
            ..self.new.own.clone()
        };
        if !self.is_ours() {
            return OwnAnnotations {
                observed: None,
                ..own
            };
        }
        let none = References::new();
        let subject = self.subject(&self.new, uses, &none, index, true);
        let mark = subject.restarted_for.map(|_| mark);
        let subject = Subject {
            restarted_for: mark,
            ..subject
        };
        let left = index.left_behind(&self.key, "");
        let remembered = left.as_ref().map(|left| &left.observed);
        let texts = left.as_ref().and_then(|left| left.restarted_at.as_deref());
        let adoption = adoption.under(texts.into_iter().chain(own.restarted_at.as_deref()));
        let (stamp, replaced) = stamp_adopting(
            &subject,
            &adoption,
            remembered,
            present.as_ref(),
            live,
            now,
            index.key(),
        );
        if replaced {
            let spoken = self.key.spoken();
            warnings.push(news(format!(
                "reroll: {spoken} adopts pods that started before a change: they are replaced"
            )));
        }
        let last = adoption.last(remembered);
        let stands = last.and_then(|pod| read_time(pod.kubectl.as_deref()));
        if replaced {
            let stamp = self.sides().in_its_way(stamp, mark, index.key());
            let at = self.sides().time_of_mark(stands, uses, live, now);
            return self.stamped(&own, mark, Some(stamp), at, index, warnings);
        }
        // It has no mark yet that could be kept: it gets that of its pods.
        let last = last.filter(|pod| pod.mark == stamp.restarted_for);
        let own = last.map_or_else(|| own.clone(), |pod| self.with_values_of(pod, &own));
        let at = last.and_then(|pod| pod.marked_at).unwrap_or_default();
        self.stamped(&own, mark, Some(stamp), at, index, warnings)
    }

    /// Whether nothing is to restart the workload as it is written.
    pub(super) fn is_stopped(&self, index: &Index) -> bool {
        let lent = &self.new.workload.lent;
        gates::stop_of(index, &self.key.namespace, &self.policy, lent).is_some()
    }

    /// Returns the number that a new `DaemonSet` is to begin with, so that it replaces those of the pods that it adopts
    /// that are not of its template.
    pub(super) fn first_number(&self, adoption: &Adoption) -> Option<i64> {
        match adoption {
            Adoption::Pods(adopted) => self.adopter()?.first_number(adopted),
            Adoption::None | Adoption::Unknown => None,
        }
    }

    /// Returns the same with what the template of these pods has, where restarts are by `kubectl.kubernetes.io/restartedAt`:
    /// nothing is to roll for its absence.
    fn with_values_of(&self, pod: &Pod, own: &OwnAnnotations) -> OwnAnnotations {
        let asked = matches!(self.new.workload.restart_by, RestartBy::LikeKubectl { .. });
        let time = |text: &Option<String>| read_time(text.as_deref());
        let mut own = own.clone();
        let marked = pod.marked_at.is_some();
        if (asked || marked) && time(&own.kubectl) < time(&pod.kubectl) {
            own.kubectl.clone_from(&pod.kubectl);
        }
        if marked {
            own.restarted_for.clone_from(&pod.restarted_for);
        }
        own
    }
}
