//! What a workload that is created carries: the versions of this moment, or of the pods that it adopts.

use jiff::Timestamp;

use super::Write;
use crate::model::{
    Index, Observed, SourceName,
    adopted::{Adoption, stamp_adopting},
    decide::{Lookup, Subject},
    source::References,
    stamp::OwnAnnotations,
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
        warnings: &mut Vec<String>,
    ) -> OwnAnnotations {
        let present = self.new.own.observed.as_ref();
        let present = present.map(|text| Observed::read(text, index.key()));
        // It may be a copy of another workload's manifest. Its own pods were never restarted.
        let own = OwnAnnotations {
            last_restart: None,
            restarted_at: None,
            pending: None,
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
        let mark = own.restarted_for.as_deref().unwrap_or_default();
        let mark = subject.restarted_for.map(|_| mark);
        let subject = Subject {
            restarted_for: mark,
            ..subject
        };
        let remembered = index.left_behind(&self.key, "");
        let (stamp, replaced) = stamp_adopting(
            &subject,
            adoption,
            remembered,
            present.as_ref(),
            live,
            now,
            index.key(),
        );
        if replaced {
            let spoken = self.key.spoken();
            warnings.push(format!(
                "reroll: {spoken} adopts pods that started before a change: they are replaced"
            ));
        }
        // What is new has no mark yet that could be kept: it gets that of its pods, or one of its own, in its template.
        self.stamped(
            &own,
            mark,
            Some(stamp),
            Timestamp::UNIX_EPOCH,
            index,
            warnings,
        )
    }
}
