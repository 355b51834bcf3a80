//! Users of the API server with rights of their own.

use std::path::PathBuf;

use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::ServiceAccount,
    rbac::v1::{Role, RoleBinding},
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
        let request = TokenRequest {
            spec: TokenRequestSpec::default(),
            ..TokenRequest::default()
        };
        let answer = accounts.create_token_request(name, &params, &request);
        let token = answer.await.unwrap().status.unwrap().token;
        self.kubeconfig_with(&token)
    }

    /// As the cluster's own, for the user of a token.
    fn kubeconfig_with(&self, token: &str) -> PathBuf {
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
        let path = std::env::temp_dir().join(format!("reroll-user-{}.yaml", self.own_namespace));
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

fn object<K: DeserializeOwned>(json: Value) -> K {
    serde_json::from_value(json).unwrap()
}
