//! A registration of the webhook that a test makes in reroll's place.

use std::sync::Arc;

use reroll::{
    cluster::Cluster,
    model::workload::Kinds,
    webhook::{registration::Registration, tls::Authority},
};
use reroll_harness::{Arena, PATIENCE};

/// Of the webhook at this address, for the arena's namespace, trusting this authority.
pub fn registration(arena: &Arena, address: &str, authority: &Authority) -> Registration {
    Registration {
        name: arena.namespace.clone(),
        url: format!("https://{address}"),
        authority: authority.pem().to_owned(),
        namespaces: vec![arena.namespace.clone()],
        own_namespace: arena.own_namespace.clone(),
        own_user: "nobody".to_owned(),
        kinds: Kinds::default(),
        conventions: Arc::default(),
    }
}

/// The API server, as a registration asks it.
pub fn cluster(arena: &Arena) -> Cluster {
    Cluster::new(arena.client.clone(), PATIENCE)
}
