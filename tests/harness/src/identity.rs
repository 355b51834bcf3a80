//! Users of the API server with rights of their own.

use std::path::PathBuf;

use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::{Namespace, ServiceAccount},
    rbac::v1::{ClusterRoleBinding, Role, RoleBinding},
};
use kube::{Api, api::PostParams, config::Kubeconfig};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::Arena;

impl Arena {
    /// Creates a `ServiceAccount` of reroll's own namespace that has nothing but these rules, by a Role in each of
    /// these namespaces. Returns a kubeconfig of it.
    pub async fn service_account(&self, name: &str, roles: &[(&str, Value)]) -> PathBuf {
        let params = PostParams::default();
        let accounts = self.own::<ServiceAccount>(&self.own_namespace);
        let account = object(json!({ "metadata": { "name": name } }));
        accounts.create(&params, &account).await.unwrap();
        for (namespace, rules) in roles {
            let role = object(json!({ "metadata": { "name": name }, "rules": rules }));
            let roles = self.own::<Role>(namespace);
            roles.create(&params, &role).await.unwrap();
            let binding = object(json!({
                "metadata": { "name": name },
                "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name },
                "subjects": [{ "kind": "ServiceAccount", "name": name, "namespace": self.own_namespace }],
            }));
            let bindings = self.own::<RoleBinding>(namespace);
            bindings.create(&params, &binding).await.unwrap();
        }
        let token = token_of(&accounts, name).await;
        self.kubeconfig_with(&self.own_namespace, &token)
    }

    /// Creates a namespace with a `ServiceAccount` that may do everything. Returns a kubeconfig of it.
    pub async fn administrator(&self, namespace: &str) -> PathBuf {
        let params = PostParams::default();
        let home = object(json!({ "metadata": { "name": namespace } }));
        let namespaces = Api::<Namespace>::all(self.client.clone());
        namespaces.create(&params, &home).await.unwrap();
        let accounts = self.own::<ServiceAccount>(namespace);
        let account = object(json!({ "metadata": { "name": "reroll" } }));
        accounts.create(&params, &account).await.unwrap();
        let binding = object(json!({
            "metadata": { "name": namespace },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin" },
            "subjects": [{ "kind": "ServiceAccount", "name": "reroll", "namespace": namespace }],
        }));
        let bindings = Api::<ClusterRoleBinding>::all(self.client.clone());
        bindings.create(&params, &binding).await.unwrap();
        let token = token_of(&accounts, "reroll").await;
        self.kubeconfig_with(namespace, &token)
    }

    /// As the cluster's own, for the user of a token.
    pub fn kubeconfig_with(&self, name: &str, token: &str) -> PathBuf {
        let mut config = Kubeconfig::read_from(self.cluster.kubeconfig()).unwrap();
        let current = config.current_context.clone();
        let context = config
            .contexts
            .iter()
            .find(|c| Some(&c.name) == current.as_ref());
        let user = context.and_then(|c| c.context.as_ref()?.user.clone());
        for named in &mut config.auth_infos {
            if Some(&named.name) == user.as_ref() {
                named.auth_info = Some(serde_json::from_value(json!({ "token": token })).unwrap());
            }
        }
        let path = std::env::temp_dir().join(format!("reroll-user-{name}.yaml"));
        std::fs::write(&path, serde_json::to_string(&config).unwrap()).unwrap();
        path
    }

    fn own<K>(&self, namespace: &str) -> Api<K>
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), namespace)
    }
}

async fn token_of(accounts: &Api<ServiceAccount>, name: &str) -> String {
    let request = TokenRequest {
        spec: TokenRequestSpec::default(),
        ..TokenRequest::default()
    };
    let params = PostParams::default();
    let answer = accounts.create_token_request(name, &params, &request);
    answer.await.unwrap().status.unwrap().token
}

fn object<K: DeserializeOwned>(json: Value) -> K {
    serde_json::from_value(json).unwrap()
}
