//! What is told of kubeconfigs that cannot be used, and of plugins that make no token.
//!
//! Both hold credentials, and their errors quote them: lines of the file, what a plugin printed, and which variables it had. So
//! none of their texts is passed on that may quote, but where it is wrong: line and column.

use std::error::Error;

use kube::{
    client::AuthError,
    config::{KubeconfigError, LoadDataError},
};
use serde_saphyr::Error as YamlError;

/// Returns what is told of a kubeconfig that cannot be used, the file first.
pub(super) fn of_kubeconfig(error: &KubeconfigError) -> String {
    let of_data = |what: &str, error: &LoadDataError| match error {
        LoadDataError::DecodeBase64(_) => format!("{what} is no base64"),
        other => format!("{what} cannot be loaded: {other}"),
    };
    match error {
        KubeconfigError::ReadConfig(why, path) => format!("{}: {why}", path.display()),
        KubeconfigError::Parse(why) => format!(
            "it is no kubeconfig, or no YAML{}; what stands there is not shown, for it may hold credentials",
            place(why)
        ),
        KubeconfigError::LoadCertificateAuthority(why) => of_data("the certificate authority", why),
        KubeconfigError::LoadClientCertificate(why) => of_data("the client certificate", why),
        KubeconfigError::LoadClientKey(why) => of_data("the client key", why),
        KubeconfigError::ParseCertificates(_) => {
            "its certificates or keys are no PEM texts".to_owned()
        }
        KubeconfigError::ParseProxyUrl(why) => format!(
            "the address of the proxy (proxy-url, HTTPS_PROXY or HTTP_PROXY) cannot be read: {why}"
        ),
        other => other.to_string(),
    }
}

/// Returns what is told of an error of credentials; `None` of any other.
pub(super) fn of_credentials(error: &(dyn Error + 'static)) -> Option<String> {
    let error: &AuthError = error.downcast_ref()?;
    let by_hand = "run what your kubeconfig has under `exec` by hand to see why";
    Some(match error {
        AuthError::AuthExecRun { out, .. } => format!(
            "the plugin that makes your token failed ({}): {by_hand}",
            out.status
        ),
        AuthError::AuthExecParse(why) => format!(
            "what the plugin printed that makes your token is no ExecCredential{}: {by_hand}",
            place(why)
        ),
        AuthError::ExecPluginFailed => {
            format!("what the plugin printed that makes your token has no status: {by_hand}")
        }
        AuthError::AuthExecStart(why) => {
            format!("the plugin that makes your token cannot be started: {why}")
        }
        AuthError::InvalidBasicAuth(_) | AuthError::InvalidBearerToken(_) => {
            "your token, or name and password, have characters that no header may have, such as the end of a line"
                .to_owned()
        }
        AuthError::MalformedTokenExpirationDate(_) => {
            format!("the plugin that makes your token says no time until when it is valid: {by_hand}")
        }
        AuthError::ReadTokenFile(..) | AuthError::MissingCommand => error.to_string(),
        _ => "your kubeconfig's credentials cannot be used".to_owned(),
    })
}

fn place(error: &YamlError) -> String {
    let place = error.location();
    place.map_or_else(String::new, |place| {
        format!(" (line {}, column {})", place.line(), place.column())
    })
}

#[cfg(test)]
mod tests {
    use kube::config::{ExecConfig, Kubeconfig};

    use super::*;
    use crate::cluster::Failure;

    const CANARY: &str = "EXECSECRET";

    #[test]
    fn no_line_of_a_kubeconfig_is_told() {
        for text in [
            "users:\n- name: u\n  user:\n    token: EXECSECRET: x\n",
            "users:\n- name: u\n  user:\n    password: \"EXECSECRET\n",
            "users:\n- name: u\n  user:\n    token: [EXECSECRET]\n",
            "clusters: EXECSECRET\n",
        ] {
            let error = Kubeconfig::from_yaml(text).unwrap_err();
            let told = of_kubeconfig(&error);
            assert!(!told.contains(CANARY) && told.contains("(line "), "{told}");
        }
        let bad = LoadDataError::NoBase64DataOrFile;
        let told = of_kubeconfig(&KubeconfigError::LoadClientKey(bad));
        assert!(
            told.starts_with("the client key cannot be loaded"),
            "{told}"
        );
    }

    /// Asks with a token that this shell command makes.
    async fn asked(script: &str) -> Failure {
        let exec = ExecConfig {
            command: Some("sh".to_owned()),
            args: Some(vec!["-c".to_owned(), script.to_owned()]),
            ..serde_json::from_str("{}").unwrap()
        };
        let mut config = kube::Config::new("http://127.0.0.1:1".parse().unwrap());
        config.auth_info.exec = Some(exec);
        let error = match kube::Client::try_from(config) {
            Err(error) => error,
            Ok(client) => client.apiserver_version().await.unwrap_err(),
        };
        Failure::of(&error)
    }

    #[tokio::test]
    async fn nothing_that_a_plugin_printed_is_told() {
        for (script, words) in [
            ("echo EXECSECRET; exit 3", "failed (exit status: 3)"),
            ("echo EXECSECRET", "is no ExecCredential"),
            (
                r#"echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":["EXECSECRET"]}}'"#,
                "is no ExecCredential",
            ),
        ] {
            let told = asked(script).await.to_string();
            assert!(!told.contains(CANARY) && told.contains(words), "{told}");
        }
    }
}
