//! What labels are, and the values that metrics themselves define.

use prometheus_client::metrics::{counter::Counter, family::Family};

/// A fixed number of labels: name and value.
pub(super) type Labels<const N: usize> = [(&'static str, &'static str); N];
/// Counters with so many labels.
pub(super) type Counters<const N: usize> = Family<Labels<N>, Counter>;

macro_rules! label {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $value:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// Every value.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The label's value.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $value,)+
                }
            }
        }
    };
}

label! {
    /// What a watch said about a source.
    SourceEvent {
        /// It is there: new, changed or listed.
        Apply = "apply",
        /// It is gone.
        Delete = "delete",
    }
}

label! {
    /// One of the webhooks.
    Webhook {
        /// The validating webhook for Secrets and ConfigMaps.
        Sources = "sources",
        /// The mutating webhook for workloads.
        Workloads = "workloads",
        /// The validating webhook for Namespaces.
        Namespaces = "namespaces",
        /// The validating webhook for kinds of workloads that are off.
        Off = "off",
    }
}

label! {
    /// Where the workload webhook got a source's version from.
    SourceRead {
        /// From the API server, in time.
        Read = "read",
        /// From memory, because the read failed or did not end within the budget.
        Timeout = "timeout",
        /// From memory, because there were too many to read.
        Memory = "memory",
    }
}

label! {
    /// How an intent ended.
    IntentOutcome {
        /// Carried out.
        Done = "done",
        /// Found to be no longer true.
        Void = "void",
        /// Never confirmed.
        Expired = "expired",
    }
}

label! {
    /// How an alert ended.
    AlertOutcome {
        /// The webhook took it.
        Sent = "sent",
        /// Given up: the webhook did not take it.
        Failed = "failed",
        /// The queue was full, or reroll ended.
        Dropped = "dropped",
    }
}

label! {
    /// Why a request to the webhook got an error for an answer.
    RequestFailure {
        /// It took too long.
        Timeout = "timeout",
        /// Its handler panicked.
        Panic = "panic",
        /// It came too slowly, and others waited.
        Slow = "slow",
        /// There were too many at once, and none of them came slowly.
        Crowd = "crowd",
    }
}

label! {
    /// One of the two ports.
    Port {
        /// Where API servers send reviews.
        Webhook = "webhook",
        /// For probes and metrics.
        Probes = "probes",
    }
}

label! {
    /// Why reroll repaired the certificates that it keeps itself.
    CertificateRepair {
        /// Their Secret was gone.
        Deleted = "deleted",
        /// Their Secret held something else.
        Unusable = "unusable",
        /// `caBundle` of a webhook configuration trusted another authority.
        CaBundle = "ca_bundle",
        /// The authority had expired.
        AuthorityExpired = "authority_expired",
        /// The leaf had expired, or was about to while API servers did not yet trust the next authority.
        LeafExpired = "leaf_expired",
        /// The leaf was no certificate, or its key no key.
        LeafUnusable = "leaf_unusable",
    }
}
