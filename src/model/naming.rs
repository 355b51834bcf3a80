//! What Kubernetes takes for a name (RFC 1123; `k8s.io/apimachinery/pkg/util/validation`).

/// Whether Kubernetes takes this for the name of an object: labels with dots between them, at most 253 characters.
pub fn is_object_name(name: &str) -> bool {
    name.len() <= 253 && name.split('.').all(is_label)
}

/// Whether Kubernetes takes this for the name of a namespace: small letters, digits and `-`, at most 63 of them.
pub fn is_label(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&name.len())
        && name.bytes().all(inner)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_kubernetes_takes() {
        let long = |count: usize| "a".repeat(count);
        for (name, object, label) in [
            ("db", true, true),
            ("0-9", true, true),
            ("a.b-c.d", true, false),
            ("", false, false),
            ("a..b", false, false),
            (".a", false, false),
            ("-a", false, false),
            ("a-", false, false),
            ("Db", false, false),
            ("../x y", false, false),
            ("a/b", false, false),
            (&long(63), true, true),
            (&long(64), false, false),
            (
                &[long(63), long(63), long(63), long(61)].join("."),
                true,
                false,
            ),
            (
                &[long(63), long(63), long(63), long(62)].join("."),
                false,
                false,
            ),
        ] {
            assert_eq!(
                (is_object_name(name), is_label(name)),
                (object, label),
                "{name}"
            );
        }
    }
}
