//! The pure core: what a workload uses, which versions its pods were started with, and what follows from that.
//!
//! Nothing here knows tokio, a client, a clock or the environment; `now` and the digest key are arguments. Every
//! decision is a total function over values, so that it is tested by tables and properties, and so that the webhook,
//! the controller and the command line cannot disagree. `tests/layers` guards the boundary.
//!
//! Reading order: [`object`] (what is read of one), [`source`] (references), [`version`] (digests), [`observed`] (the annotation), [`policy`] (opt-in),
//! [`workload`] (the table of kinds), [`mod@decide`] (the heart), [`stamp`] (the same heart at admission), [`adopted`] (pods that were there before their workload), [`patch`] (how
//! a decision is written), [`csi`] (sources that many objects show), [`index`] (what is known right now).

pub mod adopted;
pub mod annotation;
pub mod conventions;
pub mod csi;
pub mod decide;
pub mod digest;
pub mod format;
pub mod held;
pub mod index;
pub mod note;
pub mod object;
pub mod observed;
pub mod patch;
pub mod policy;
pub mod source;
pub mod stamp;
#[cfg(test)]
pub(crate) mod testing;
pub mod text;
pub mod version;
pub mod workload;

pub use conventions::Conventions;
pub use decide::{Cause, CauseKind, Decision, decide};
pub use digest::{Digest, DigestKey};
pub use index::Index;
pub use observed::Observed;
pub use policy::Policy;
pub use source::{SourceKey, SourceKind, SourceName};
pub use version::Version;
pub use workload::{Kind, WorkloadKey};
