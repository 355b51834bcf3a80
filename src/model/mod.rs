//! The pure core: what a workload uses, which versions its pods were started with, and what follows from that.
//!
//! Nothing here knows tokio, a client, a clock or the environment; `now` and the digest key are arguments. Every
//! decision is a total function over values. So tables and properties test it, and the webhook, the leader and the
//! command line cannot disagree. `tests/layers` guards the boundary.
//!
//! Reading order: [`object`] (what is read of an object), [`source`] (kinds of sources and references to them),
//! [`digest`] and [`version`] (what a source was at one moment), [`observed`] (the annotation), [`workload`] (the
//! table of kinds, and what is read of a workload), [`policy`] (opt-in), [`recreation`] (the same data under another uid),
//! [`mod@decide`] (the heart), [`stamp`] (the
//! same heart at admission), [`adopted`] (pods that are older than their workload), [`brake`] (when a restart is made), [`gate`] (whether people hold it), [`patch`] (how a decision is
//! written), [`peer`] (other installations on the same workloads), [`csi`] (sources that many objects show), [`index`]
//! (what is known right now), [`places`] (where each annotation counts), [`standing`] (how the users of a source are),
//! [`change`] and [`writers`] (who changed a source), [`held`], [`pending`] and [`note`] (what people are told).

pub mod absent;
pub mod adopted;
pub mod annotation;
pub mod brake;
pub mod change;
pub mod conventions;
pub mod csi;
pub mod decide;
pub mod digest;
pub mod format;
pub mod gate;
pub mod held;
pub mod held_back;
pub mod index;
pub mod naming;
pub mod nearest;
pub mod note;
pub mod object;
pub mod observed;
pub mod patch;
pub mod peer;
pub mod pending;
pub mod places;
pub mod policy;
pub mod recreation;
pub mod source;
pub mod stamp;
pub mod standing;
#[cfg(test)]
pub(crate) mod testing;
pub mod text;
pub mod version;
pub mod workload;
pub mod writers;

pub use conventions::Conventions;
pub use decide::{Cause, CauseKind, Decision, decide};
pub use digest::{Digest, DigestKey};
pub use index::Index;
pub use observed::Observed;
pub use policy::Policy;
pub use source::{SourceKey, SourceKind, SourceName};
pub use version::Version;
pub use workload::{Kind, WorkloadKey};
