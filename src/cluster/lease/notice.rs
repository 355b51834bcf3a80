//! What people write on the Lease for all replicas: `reroll.dev/suspend`.
//!
//! Invariants:
//! - a replica that leads has read it, or made the Lease itself; whoever listens was told before it leads;
//! - a Lease that is made anew says what the one before said, as far as this process saw that.

use std::sync::Arc;

use k8s_openapi::api::coordination::v1::Lease;
use parking_lot::Mutex;

use crate::model::annotation::SUSPEND;

/// What people write on the Lease. Cheap to clone.
#[derive(Clone, Default)]
pub struct Notice(Arc<Mutex<Heard>>);

#[derive(Default)]
struct Heard {
    /// The annotation's text, as last seen.
    text: Option<String>,
    listener: Option<Listener>,
}

type Listener = Box<dyn Fn(Option<&str>) + Send>;

impl Notice {
    /// Tells the annotation's text, now and whenever it changes. Whoever listens must not ask this back.
    pub fn listen(&self, listener: impl Fn(Option<&str>) + Send + 'static) {
        let mut heard = self.0.lock();
        listener(heard.text.as_deref());
        heard.listener = Some(Box::new(listener));
    }

    /// Returns the annotation's text, as last seen.
    pub(super) fn text(&self) -> Option<String> {
        self.0.lock().text.clone()
    }

    /// Takes in what stands on the Lease.
    pub(super) fn show(&self, lease: &Lease) {
        let annotations = lease.metadata.annotations.as_ref();
        let text = annotations.and_then(|all| all.get(SUSPEND)).cloned();
        let mut heard = self.0.lock();
        if heard.text == text {
            return;
        }
        if let Some(listener) = &heard.listener {
            listener(text.as_deref());
        }
        heard.text = text;
    }
}
