//! Sources (Secrets, ConfigMaps and SecretProviderClasses): their kinds, their names, and how a pod template uses them.

mod kinds;
mod names;
mod references;
mod usage;

pub use self::{
    kinds::{KindSet, ReloaderKeys, SourceKind},
    names::{NotASource, SourceKey, SourceName},
    references::{References, containers_using, references},
    usage::{Held, Need, Usage},
};
