//! An admission policy that refuses writes.

use serde_json::json;

use crate::{Arena, KUBECTL_RESTARTED_AT, env, eventually, workload};

/// A `ValidatingAdmissionPolicy` for the arena's namespace.
pub struct Policy {
    name: String,
}

impl Policy {
    /// Creates it, and waits until the API server obeys it. It must refuse an object named or labelled as the probe.
    pub async fn enforce(arena: &Arena, resources: &[&str], expression: &str) -> Self {
        let name = arena.namespace.clone();
        let policy = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
            "metadata": { "name": name },
            "spec": {
                "failurePolicy": "Fail",
                "matchConstraints": { "resourceRules": [{
                    "apiGroups": ["", "apps", "batch"], "apiVersions": ["v1"], "resources": resources,
                    "operations": ["CREATE", "UPDATE"],
                }] },
                "validations": [{ "expression": expression, "message": "not here" }],
            },
        });
        let binding = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": { "name": name },
            "spec": {
                "policyName": name,
                "validationActions": ["Deny"],
                "matchResources": { "namespaceSelector": { "matchLabels": {
                    "kubernetes.io/metadata.name": name,
                } } },
            },
        });
        for object in [policy, binding] {
            arena
                .kubectl_with(&["create", "-f", "-"], &object.to_string())
                .await
                .ok();
        }
        eventually("the policy is enforced", async || {
            (!Self::allows(arena).await).then_some(())
        })
        .await;
        Self { name }
    }

    /// Refuses every change of the templates that this expression matches, but that of `kubectl rollout restart`.
    pub async fn only_restarted_at(arena: &Arena, which: &str) -> Self {
        let of =
            |object: &str| format!("{object}.spec.template.metadata.?annotations.orValue({{}})");
        let (new, old) = (of("object"), of("oldObject"));
        let within = |a: &str, b: &str| {
            format!(
                "{a}.all(key, key == '{KUBECTL_RESTARTED_AT}' || (key in {b} && {b}[key] == {a}[key]))"
            )
        };
        let expression = format!(
            "(!has(object.metadata.labels) || !('refuse' in object.metadata.labels)) && (!({which}) || oldObject == null || \
             (object.spec.template.spec == oldObject.spec.template.spec && {} && {}))",
            within(&new, &old),
            within(&old, &new)
        );
        let kinds = ["deployments", "statefulsets", "daemonsets"];
        Self::enforce(arena, &kinds, &expression).await
    }

    /// Deletes it, and waits until the API server no longer obeys it.
    pub async fn lift(self, arena: &Arena) {
        let both = [
            "validatingadmissionpolicybinding",
            "validatingadmissionpolicy",
        ];
        for kind in both {
            arena.kubectl(&["delete", kind, &self.name]).await.ok();
        }
        eventually("the policy is lifted", async || {
            Self::allows(arena).await.then_some(())
        })
        .await;
    }

    async fn allows(arena: &Arena) -> bool {
        let mut probe = workload("Deployment", "probe", &[], env("db", "k"));
        probe["metadata"]["labels"] = json!({ "refuse": "true" });
        let arguments = ["create", "--dry-run=server", "-f", "-"];
        arena.kubectl_with(&arguments, &probe.to_string()).await.ok
    }
}
