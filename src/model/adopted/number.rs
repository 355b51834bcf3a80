//! The number by which a `DaemonSet` counts the templates that it had, `pod-template-generation` on its pods.
//!
//! Its controller takes a pod that carries the number of the template for one of that template, whatever it was made of.
//! A `DaemonSet` that is created again counts from 1, or from what its manifest says. Its number and those of the pods
//! that it adopts have nothing to do with each other then, but they may meet: at once, or with a later change of the
//! template. Such pods would never be replaced.
//!
//! So a new `DaemonSet` begins above all numbers of the pods that it adopts. Those that are of its template by
//! their revision stay, and all others go. Only a creation may set the number. Where the webhook was not asked, a restart
//! changes the template until no adopted pod carries its number.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{Adopted, Adopter, controller};

/// The annotation of a `DaemonSet` with its number.
pub const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";
/// The label of its pods with the same.
pub const POD_TEMPLATE_GENERATION: &str = "pod-template-generation";

/// Numbers from here on are not counted, but written by a user. There would be none above them.
const END: i64 = 1 << 40;

/// Reads the number off a `DaemonSet`. Admission sees a new one before it gets its first.
pub(super) fn of_template(meta: &ObjectMeta) -> i64 {
    let annotations = meta.annotations.as_ref();
    let number = annotations.and_then(|all| all.get(TEMPLATE_GENERATION)?.parse().ok());
    number.unwrap_or(1).max(1)
}

/// Reads the number off a pod.
pub(super) fn of_pod(meta: &ObjectMeta) -> Option<i64> {
    let labels = meta.labels.as_ref();
    labels.and_then(|all| all.get(POD_TEMPLATE_GENERATION)?.parse().ok())
}

impl Adopter {
    /// Returns the number that it is to begin with, above those of the pods that it adopts; `None` where it has such a
    /// number, or counts nothing.
    pub fn first_number(&self, adopted: &Adopted) -> Option<i64> {
        let own = self.number?;
        let numbers = adopted.pods.iter().filter_map(|pod| pod.number);
        let highest = numbers.filter(|number| *number < END).max()?;
        (own <= highest).then_some(highest + 1)
    }

    /// Returns the number of its template; `None` where it counts nothing.
    pub fn number(&self) -> Option<i64> {
        self.number
    }

    /// Whether its controller takes this pod for its own, now or soon.
    pub fn has(&self, pod: &ObjectMeta) -> bool {
        let uid = self.born.as_ref().map(|born| born.uid.as_str());
        pod.deletion_timestamp.is_none()
            && controller(pod).is_none_or(|owner| Some(owner.uid.as_str()) == uid)
    }
}
