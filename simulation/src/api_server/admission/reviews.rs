//! The answers of webhooks.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

use crate::api_server::answer::Refusal;

/// What a webhook says.
pub(super) struct Verdict {
    /// The status with which it refuses.
    pub(super) refusal: Option<Value>,
    pub(super) warnings: Vec<String>,
    pub(super) patch: Option<json_patch::Patch>,
}

/// Reads an answer to the review of this uid.
pub(super) fn verdict(review: &Value, uid: &str, mutating: bool) -> Result<Verdict, String> {
    let response = &review["response"];
    if review["kind"] != "AdmissionReview" || !response.is_object() {
        return Err("invalid type: expected AdmissionReview with a response".to_owned());
    }
    if response["uid"] != uid {
        return Err(format!(
            "expected response.uid=\"{uid}\", got {}",
            response["uid"]
        ));
    }
    let allowed = response["allowed"].as_bool().unwrap_or(false);
    let warnings = response["warnings"].as_array().into_iter().flatten();
    let text = response["patch"].as_str().filter(|_| allowed && mutating);
    let patch = match text {
        None | Some("") => None,
        Some(_) if response["patchType"] != "JSONPatch" => {
            return Err("webhook returned response.patch but not response.patchType".to_owned());
        }
        Some(text) => {
            let bytes = STANDARD.decode(text).map_err(|error| error.to_string())?;
            Some(serde_json::from_slice(&bytes).map_err(|error| error.to_string())?)
        }
    };
    Ok(Verdict {
        refusal: (!allowed).then(|| response["status"].clone()),
        warnings: warnings
            .filter_map(Value::as_str)
            .map(ToOwned::to_owned)
            .collect(),
        patch,
    })
}

/// Returns the refusal that the user gets.
pub(super) fn refused(webhook: &str, status: &Value) -> Refusal {
    let code = status["code"]
        .as_u64()
        .and_then(|code| u16::try_from(code).ok());
    let said = status["message"]
        .as_str()
        .or_else(|| status["reason"].as_str());
    let message = match said {
        Some(said) => format!("admission webhook \"{webhook}\" denied the request: {said}"),
        None => format!("admission webhook \"{webhook}\" denied the request without explanation"),
    };
    let reason = status["reason"].as_str().unwrap_or_default();
    Refusal::new(
        code.filter(|code| *code >= 400).unwrap_or(400),
        reason,
        message,
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn answers() {
        let review = |response: Value| json!({ "kind": "AdmissionReview", "response": response });
        let patch = STANDARD.encode(r#"[{"op":"add","path":"/a","value":1}]"#);
        let of = |response: Value| {
            let verdict = verdict(&review(response), "u", true);
            verdict.map(|verdict| (verdict.refusal.is_none(), verdict.patch.is_some()))
        };
        assert_eq!(
            of(json!({ "uid": "u", "allowed": true })),
            Ok((true, false))
        );
        let patched =
            json!({ "uid": "u", "allowed": true, "patch": patch, "patchType": "JSONPatch" });
        assert_eq!(of(patched), Ok((true, true)));
        assert_eq!(
            of(json!({ "uid": "u", "allowed": false })),
            Ok((false, false))
        );
        for bad in [
            json!({ "uid": "v", "allowed": true }),
            json!({ "uid": "u", "allowed": true, "patch": patch }),
            json!({ "uid": "u", "allowed": true, "patch": "e30=", "patchType": "JSONPatch" }),
            json!(null),
        ] {
            assert!(of(bad.clone()).is_err(), "{bad}");
        }
    }
}
