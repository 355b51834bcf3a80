//! Whether the webhook is registered as reroll's flags ask for, and can be called: configurations, Service, endpoints, and
//! the certificates.

use std::collections::BTreeSet;

use jiff::Timestamp;
use k8s_openapi::{
    ByteString,
    api::{
        admissionregistration::v1::{
            MutatingWebhookConfiguration, ValidatingWebhookConfiguration, WebhookClientConfig,
        },
        core::v1::Service,
    },
};
use kube::ResourceExt as _;

use super::{certificate, report::Line};
use crate::{
    cli::{findings::Finding, installation::Webhook},
    cluster::Failure,
};

/// What the names of reroll's webhooks end with.
const NAME: &str = ".reroll.dev";
/// The kinds of configurations.
const KINDS: [&str; 2] = [
    "ValidatingWebhookConfiguration",
    "MutatingWebhookConfiguration",
];

/// What a Secret has as its `tls.crt`, if it may be read.
pub(super) type Chain = Result<Option<Vec<u8>>, Failure>;

/// A webhook of reroll's in a configuration.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    kind: &'static str,
    configuration: String,
    policy: Option<String>,
    client: WebhookClientConfig,
}

/// A Service, as API servers call it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Called {
    pub(super) namespace: String,
    pub(super) name: String,
    port: i32,
}

impl Entry {
    pub(super) fn of_validating(found: &ValidatingWebhookConfiguration) -> Vec<Self> {
        let all = found.webhooks.iter().flatten();
        let all = all.map(|one| (&one.name, &one.failure_policy, &one.client_config));
        Self::of(KINDS[0], &found.name_any(), all)
    }

    pub(super) fn of_mutating(found: &MutatingWebhookConfiguration) -> Vec<Self> {
        let all = found.webhooks.iter().flatten();
        let all = all.map(|one| (&one.name, &one.failure_policy, &one.client_config));
        Self::of(KINDS[1], &found.name_any(), all)
    }

    fn of<'a>(
        kind: &'static str,
        configuration: &str,
        all: impl Iterator<Item = (&'a String, &'a Option<String>, &'a WebhookClientConfig)>,
    ) -> Vec<Self> {
        let own = all.filter(|(name, ..)| name.ends_with(NAME));
        own.map(|(_, policy, client)| Self {
            kind,
            configuration: configuration.to_owned(),
            policy: policy.clone(),
            client: client.clone(),
        })
        .collect()
    }

    /// Whether it calls a Service in this namespace.
    pub(super) fn calls_into(&self, namespace: &str) -> bool {
        let service = self.client.service.as_ref();
        service.is_some_and(|service| service.namespace == namespace)
    }

    fn called(&self) -> Option<Called> {
        let service = self.client.service.as_ref()?;
        Some(Called {
            namespace: service.namespace.clone(),
            name: service.name.clone(),
            port: service.port.unwrap_or(443),
        })
    }

    fn bundle(&self) -> &[u8] {
        let bundle = self.client.ca_bundle.as_ref();
        bundle.map_or(&[], |ByteString(bundle)| bundle)
    }

    fn spoken(&self) -> String {
        format!("{} {}", self.kind, self.configuration)
    }
}

/// Returns the Services that are called, each once.
pub(super) fn called(entries: &[Entry]) -> BTreeSet<Called> {
    entries.iter().filter_map(Entry::called).collect()
}

/// Says whether it is registered as flags ask for.
pub(super) fn registered(flags: Option<&Webhook>, own: &str, entries: &[Entry]) -> Vec<Line> {
    let spoken: BTreeSet<_> = entries.iter().map(Entry::spoken).collect();
    if flags.is_none() {
        let line = |spoken: String| {
            let words = format!(
                "{spoken} calls the reroll in {own}, which runs without a webhook (--no-webhook)"
            );
            Line::found(Finding::RegisteredInVain, words)
                .then("remove the configuration, or the flag")
        };
        let lines: Vec<_> = spoken.into_iter().map(line).collect();
        let fine = || vec![Line::fine("reroll runs without a webhook (--no-webhook)")];
        return if lines.is_empty() { fine() } else { lines };
    }
    let mut lines = Vec::new();
    for kind in KINDS {
        if !entries.iter().any(|entry| entry.kind == kind) {
            let words =
                format!("no {kind} calls the reroll in {own}: it was removed, or never made");
            let to_do =
                "install it again as it was (helm upgrade), or run reroll with --no-webhook";
            lines.push(Line::found(Finding::NotRegistered, words).then(to_do));
        }
    }
    let mut held_up = BTreeSet::new();
    for entry in entries
        .iter()
        .filter(|entry| entry.policy.as_deref() != Some("Ignore"))
    {
        if held_up.insert(entry.spoken()) {
            let policy = entry.policy.as_deref().unwrap_or("Fail");
            let words = format!(
                "{} has failurePolicy {policy}: writes are refused while no replica answers",
                entry.spoken()
            );
            let to_do = "set failurePolicy: Ignore, as the chart has it";
            lines.push(Line::found(Finding::HoldsUp, words).then(to_do));
        }
    }
    if lines.is_empty() {
        let all: Vec<_> = spoken.into_iter().collect();
        lines.push(Line::fine(format!(
            "registered, and holds nothing up: {}",
            all.join(", ")
        )));
    }
    lines
}

impl Called {
    /// Returns the name by which API servers call it.
    fn host(&self) -> String {
        format!("{}.{}.svc", self.name, self.namespace)
    }

    /// Says whether somebody answers. `ready`: how many endpoints are.
    pub(super) fn answers(
        &self,
        service: &Result<Option<Service>, Failure>,
        ready: &Result<usize, Failure>,
    ) -> Line {
        let Self {
            namespace,
            name,
            port,
        } = self;
        let bad = |words: String| {
            let look = format!(
                "kubectl -n {namespace} get endpointslices -l kubernetes.io/service-name={name}"
            );
            Line::found(Finding::Unanswered, words).then(look)
        };
        match service {
            Ok(Some(service)) => {
                let ports = service
                    .spec
                    .iter()
                    .flat_map(|spec| spec.ports.iter().flatten());
                if !ports.map(|one| one.port).any(|one| one == *port) {
                    return bad(format!(
                        "Service {namespace}/{name} has no port {port}, which is called"
                    ));
                }
            }
            Ok(None) => {
                return bad(format!(
                    "there is no Service {namespace}/{name}, which is called"
                ));
            }
            Err(why) => return Line::failed(&format!("get Services in {namespace}"), why),
        }
        match ready {
            Ok(0) => bad(format!(
                "no endpoint of Service {namespace}/{name} is ready"
            )),
            Ok(1) => Line::fine(format!(
                "Service {namespace}/{name} has 1 endpoint that is ready"
            )),
            Ok(count) => Line::fine(format!(
                "Service {namespace}/{name} has {count} endpoints that are ready"
            )),
            Err(why) => Line::failed(&format!("list EndpointSlices in {namespace}"), why),
        }
    }
}

/// Says whether authorities and certificate fit. `chain`: the Secret's name and what is in its `tls.crt`.
pub(super) fn trusted(
    entries: &[Entry],
    secret: Option<(&str, &Chain)>,
    now: Timestamp,
) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut said = BTreeSet::new();
    for entry in entries {
        if said.insert((entry.spoken(), entry.bundle())) {
            lines.push(certificate::authority(&entry.spoken(), entry.bundle(), now));
        }
    }
    let Some((name, chain)) = secret else {
        lines.push(Line::not_seen(
            "which Secret has the certificate that is served: no flag and no volume says it",
        ));
        return lines;
    };
    let chain = match chain {
        Ok(chain) => chain.as_deref(),
        Err(why) => {
            lines.push(Line::failed(
                &format!("get Secret {name}, which has the certificate that is served"),
                why,
            ));
            return lines;
        }
    };
    let pairs: BTreeSet<_> = entries
        .iter()
        .filter_map(|entry| Some((entry.called()?.host(), entry.bundle())))
        .collect();
    let mut served: Vec<_> = pairs
        .iter()
        .map(|(host, bundle)| certificate::serving(name, chain, (bundle, host), now))
        .collect();
    served.dedup();
    lines.append(&mut served);
    lines
}

#[cfg(test)]
mod tests;
