//! Each flag of Reloader's, and what it is in reroll. docs/reloader.md has the same table for people, which a test compares.

use serde::Serialize;

use crate::model::{SourceKind, annotation::reloader};

/// A flag of Reloader's.
pub(super) struct Flag {
    /// Without dashes.
    pub(super) name: &'static str,
    /// It is on or off, and needs no value.
    pub(super) switch: bool,
    /// It says how an annotation is called.
    pub(super) names: Option<&'static str>,
    pub(super) here: Here,
}

/// What a flag is in reroll.
pub(super) enum Here {
    /// A flag of `reroll run`, and a value of the chart.
    Same(&'static str, &'static str),
    /// The same whatever its value is, unless it is off.
    Fixed(&'static str, &'static str),
    /// Nothing, and why.
    Nothing(&'static str),
}

/// A flag that somebody gave Reloader, and what it is in reroll.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct Given {
    /// As it was given, without what may be secret.
    pub(super) flag: String,
    /// The flag of `reroll run`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) here: Option<String>,
    /// The value of the chart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) chart: Option<String>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) why: Option<&'static str>,
}

impl Given {
    /// Returns what a flag is in reroll.
    pub(super) fn of(name: &str, value: &str) -> Self {
        let known = find(name);
        let off = value == "false" || value.is_empty();
        let shown = match name {
            // Whoever has it may post there.
            "webhook-url" => "…",
            _ => value,
        };
        let mut given = Self {
            flag: format!("--{name}={shown}"),
            here: None,
            chart: None,
            why: None,
        };
        match known.map(|flag| &flag.here) {
            None => given.why = Some("no flag of Reloader v1.4.21"),
            Some(Here::Nothing(why)) => given.why = Some(why),
            Some(_) if off => given.why = Some("it is off, as it is in reroll"),
            Some(Here::Fixed(here, chart)) => {
                (given.here, given.chart) = (Some((*here).to_owned()), Some((*chart).to_owned()));
            }
            Some(Here::Same(here, chart)) => {
                let switch = known.is_some_and(|flag| flag.switch);
                given.here = Some(if switch {
                    (*here).to_owned()
                } else {
                    format!("{here}={value}")
                });
                given.chart = Some(match *chart {
                    // Selectors have another form there.
                    "watch.namespaceSelector" | "watch.sourceSelector" => (*chart).to_owned(),
                    "watch.namespaces" | "watch.ignoreNamespaces" | "watch.ignoreResources" => {
                        let values: Vec<_> = value.split(',').map(str::trim).collect();
                        format!("{chart}: [{}]", values.join(", "))
                    }
                    chart => format!("{chart}: {value}"),
                });
            }
        }
        given
    }
}

/// Returns what is known of a flag.
pub(super) fn find(name: &str) -> Option<&'static Flag> {
    FLAGS.iter().find(|flag| flag.name == name)
}

const fn same(name: &'static str, here: &'static str, chart: &'static str) -> Flag {
    Flag {
        name,
        switch: false,
        names: None,
        here: Here::Same(here, chart),
    }
}

const fn nothing(name: &'static str, why: &'static str) -> Flag {
    Flag {
        name,
        switch: false,
        names: None,
        here: Here::Nothing(why),
    }
}

const fn named(
    name: &'static str,
    meant: &'static str,
    here: &'static str,
    chart: &'static str,
) -> Flag {
    Flag {
        names: Some(meant),
        ..same(name, here, chart)
    }
}

const fn switch(flag: Flag) -> Flag {
    Flag {
        switch: true,
        ..flag
    }
}

const SECRET: &crate::model::source::ReloaderKeys = SourceKind::Secret.reloader();
const CONFIG_MAP: &crate::model::source::ReloaderKeys = SourceKind::ConfigMap.reloader();

/// All of them.
pub(super) static FLAGS: [Flag; 29] = [
    switch(same("auto-reload-all", "--auto-all", "optIn.all")),
    named(
        "auto-annotation",
        reloader::AUTO,
        "--auto-annotation",
        "optIn.annotations.auto",
    ),
    named(
        "configmap-annotation",
        CONFIG_MAP.reload,
        "--configmap-annotation",
        "optIn.annotations.configmap",
    ),
    named(
        "secret-annotation",
        SECRET.reload,
        "--secret-annotation",
        "optIn.annotations.secret",
    ),
    named(
        "configmap-auto-annotation",
        CONFIG_MAP.auto,
        "--configmap-auto-annotation",
        "optIn.annotations.configmapAuto",
    ),
    named(
        "secret-auto-annotation",
        SECRET.auto,
        "--secret-auto-annotation",
        "optIn.annotations.secretAuto",
    ),
    named(
        "auto-search-annotation",
        reloader::SEARCH,
        "--auto-search-annotation",
        "optIn.annotations.search",
    ),
    named(
        "search-match-annotation",
        reloader::MATCH,
        "--search-match-annotation",
        "optIn.annotations.match",
    ),
    named(
        "ignore-annotation",
        reloader::IGNORE,
        "--ignore-annotation",
        "optIn.annotations.ignore",
    ),
    named(
        "pause-deployment-annotation",
        reloader::PAUSE_PERIOD,
        "--pause-deployment-annotation",
        "optIn.annotations.pausePeriod",
    ),
    nothing(
        "pause-deployment-time-annotation",
        "nothing is paused, so nothing is written",
    ),
    same("namespaces", "--namespaces", "watch.namespaces"),
    same(
        "namespaces-to-ignore",
        "--ignore-namespaces",
        "watch.ignoreNamespaces",
    ),
    same(
        "namespace-selector",
        "--namespace-selector",
        "watch.namespaceSelector",
    ),
    same(
        "resource-label-selector",
        "--source-selector",
        "watch.sourceSelector",
    ),
    same(
        "resources-to-ignore",
        "--ignore-resources",
        "watch.ignoreResources",
    ),
    nothing(
        "ignored-workload-types",
        "Jobs and CronJobs are left alone that do not ask for it",
    ),
    nothing(
        "reload-on-create",
        "what is recreated always counts; what merely appears, where pods started without it",
    ),
    Flag {
        here: Here::Fixed("--on-delete=restart", "optIn.onDelete: restart"),
        ..nothing("reload-on-delete", "")
    },
    switch(nothing(
        "sync-after-restart",
        "what changed while it was down is always found, and nothing else restarts",
    )),
    nothing(
        "reload-strategy",
        "reroll has one of its own: an annotation of the pod template",
    ),
    switch(nothing(
        "enable-ha",
        "replicas are always safe: each watches, and one restarts",
    )),
    nothing(
        "is-Argo-Rollouts",
        "Rollouts are found where the cluster has them (--optional-kinds, kinds.optional)",
    ),
    switch(nothing(
        "enable-csi-integration",
        "classes of the Secrets Store CSI driver count where the cluster has them",
    )),
    nothing(
        "webhook-url",
        "an alert of the kind json tells more, beside the restart (--alert-sink, alerts.sink)",
    ),
    nothing("log-format", "it is --log-format, too (log.format)"),
    nothing("log-level", "it is --log (log.filter)"),
    switch(nothing("enable-pprof", "no profiler is ever served")),
    nothing("pprof-addr", "no profiler is ever served"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_is_said_in_rerolls_flags() {
        let said = |name, value| {
            let given = Given::of(name, value);
            (given.here, given.chart, given.why.is_some())
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            said("auto-reload-all", "true"),
            (some("--auto-all"), some("optIn.all: true"), false)
        );
        assert_eq!(said("auto-reload-all", "false"), (None, None, true));
        assert_eq!(
            said("namespaces-to-ignore", "a,b"),
            (
                some("--ignore-namespaces=a,b"),
                some("watch.ignoreNamespaces: [a, b]"),
                false
            )
        );
        assert_eq!(
            said("reload-on-delete", "true"),
            (
                some("--on-delete=restart"),
                some("optIn.onDelete: restart"),
                false
            )
        );
        assert_eq!(said("reload-strategy", "annotations"), (None, None, true));
        assert_eq!(said("reload-all", "true"), (None, None, true));
    }

    #[test]
    fn no_address_is_shown() {
        let given = Given::of("webhook-url", "https://hooks.example/T0KEN");
        assert!(!format!("{given:?}").contains("T0KEN"));
    }
}
