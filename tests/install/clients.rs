//! `webhook.clientCa`: the webhook answers only clients with a certificate of these authorities.

use axum::body::Body;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use reroll_harness::{Arena, Https};
use serde_json::json;

use crate::{
    modes::in_namespace,
    release::{Release, merge},
};

/// An authority for clients.
struct Clients {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Clients {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::from_ca_cert_pem(&pem, key).unwrap();
        Self { pem, issuer }
    }

    /// A client's certificate and key.
    fn issue(&self) -> (String, String) {
        let mut params = CertificateParams::new(vec!["api-server".to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

#[tokio::test]
async fn only_those_with_a_certificate_are_answered() {
    let arena = Arena::new("clients").await;
    let (authority, stranger) = (Clients::new(), Clients::new());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.crt");
    std::fs::write(&file, &authority.pem).unwrap();
    let from = format!("--from-file=ca.crt={}", file.display());
    let own = arena.own_namespace.clone();
    let create = [
        "create",
        "configmap",
        "api-servers",
        &from,
        "--namespace",
        &own,
    ];
    arena.kubectl(&create).await.ok();
    let mut values = in_namespace(&arena);
    merge(
        &mut values,
        &json!({ "webhook": { "clientCa": { "configMap": "api-servers" } } }),
    );
    let release = Release::new(arena, None, &values).await;
    let arena = &release.arena;
    release.install().await;

    let secrets = Api::<Secret>::namespaced(arena.client.clone(), &own);
    let tls = secrets
        .get(&format!("{}-webhook-tls", release.name))
        .await
        .unwrap();
    let trusted = tls.data.unwrap()["ca.crt"].0.clone();
    let host = format!("{}.{own}.svc", release.name);
    let review = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "1", "kind": { "group": "", "version": "v1", "kind": "ConfigMap" },
            "resource": { "group": "", "version": "v1", "resource": "configmaps" },
            "name": "a", "namespace": arena.namespace, "operation": "CREATE", "userInfo": {},
            "object": { "metadata": { "name": "a", "namespace": arena.namespace, "uid": "2" } },
            "dryRun": true,
        },
    });
    for pod in release.node.ready() {
        let to = || Https::new(format!("{}:8443", pod.address), &trusted).host(&host);
        let (certificate, key) = authority.issue();
        let answer = to()
            .identity(&certificate, &key)
            .review("/admit/sources", &review)
            .await;
        assert_eq!(
            (&answer["uid"], &answer["allowed"]),
            (&json!("1"), &json!(true))
        );
        let (certificate, key) = stranger.issue();
        for client in [to(), to().identity(&certificate, &key)] {
            let refused = client
                .try_request("POST", "/admit/sources", Body::from(review.to_string()))
                .await;
            assert!(refused.is_err(), "{refused:?}");
        }
    }

    // This API server has no such certificate. That delays no user, and the watches see what happens.
    release.app("app").await;
    release.annotate("app").await;
    let recorder = arena.record().await;
    arena.update_secret("app", &[("key", "two")]).await;
    recorder.reaches("Deployment", "app", 1).await;
    release.expect(&recorder, "app", 1).await;
}
