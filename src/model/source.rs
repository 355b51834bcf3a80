//! Sources (Secrets, ConfigMaps and SecretProviderClasses): their kinds, their names, and how a pod template uses them.

mod kinds;
mod names;
mod references;

pub use self::{
    kinds::{KindSet, ReloaderKeys, SourceKind},
    names::{NotASource, SourceKey, SourceName},
    references::{Need, References, Usage, containers_using, references},
};
