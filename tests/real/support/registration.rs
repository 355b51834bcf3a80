//! A registration of the webhook that a test makes in reroll's place.

use std::sync::Arc;

use reroll::{
    model::workload::Kinds,
    webhook::{registration::Registration, tls::Authority},
};

use super::Arena;

impl Arena {
    /// Of the webhook at this address, for the arena's namespace, trusting this authority.
    #[allow(dead_code, reason = "not every program of tests needs it")]
    pub fn registration(&self, address: &str, authority: &Authority) -> Registration {
        Registration {
            name: self.namespace.clone(),
            url: format!("https://{address}"),
            authority: authority.pem().to_owned(),
            namespaces: vec![self.namespace.clone()],
            own_namespace: self.own_namespace.clone(),
            own_user: "nobody".to_owned(),
            kinds: Kinds::default(),
            conventions: Arc::default(),
        }
    }
}
