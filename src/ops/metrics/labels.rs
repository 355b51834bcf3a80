//! Label values that metrics themselves define.

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
        /// It is there, new or changed or listed.
        Apply = "apply",
        /// It is gone.
        Delete = "delete",
    }
}

label! {
    /// One of the two webhooks.
    Webhook {
        /// The validating webhook for Secrets and ConfigMaps.
        Sources = "sources",
        /// The mutating webhook for workloads.
        Workloads = "workloads",
    }
}

label! {
    /// Where the workload webhook got a source's version from.
    SourceRead {
        /// From the API server, in time.
        Read = "read",
        /// From memory; no read was called for.
        Memory = "memory",
        /// From memory, because the read did not end within the budget.
        Timeout = "timeout",
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
    /// Why certificates that reroll keeps itself were put right.
    CertificateRepair {
        /// Their Secret was gone.
        Deleted = "deleted",
        /// Their Secret held something else.
        Unusable = "unusable",
        /// `caBundle` of a webhook configuration trusted somebody else.
        CaBundle = "ca_bundle",
        /// The authority had expired.
        AuthorityExpired = "authority_expired",
        /// The leaf had expired, or was about to under an authority that nobody trusts yet.
        LeafExpired = "leaf_expired",
        /// The leaf was no certificate, or its key no key.
        LeafUnusable = "leaf_unusable",
    }
}
