//! The language of label selectors, as `kubectl --selector` has it: `app=web,tier in (a, b),!canary`.
//!
//! kube matches selectors and sends them, but reads none. Reloader has an older way to write equality, `key:value`, and
//! takes `*` for presence, as in `key:*` and `key=*`; these are read as well.

use kube::core::{Expression, Selector};

use super::values::{ValueError, parse_annotation, refuse};

/// Reads a selector. The empty string selects everything: an environment variable that is set to nothing.
pub(super) fn parse_selector(value: &str) -> Result<Selector, ValueError> {
    if value.trim().is_empty() {
        return Ok(Selector::default());
    }
    split(value).map(parse_requirement).collect()
}

/// Splits at the commas that are not between parentheses.
fn split(value: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0;
    value.split(move |letter| {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        letter == ',' && depth == 0
    })
}

fn parse_requirement(text: &str) -> Result<Expression, ValueError> {
    let text = text.trim();
    if let Some(name) = text.strip_prefix('!') {
        return Ok(Expression::DoesNotExist(key(name)?));
    }
    if let Some((name, operator, values)) = set(text) {
        let values = values
            .split(',')
            .map(label_value)
            .collect::<Result<_, _>>()?;
        let name = key(name)?;
        return match operator {
            "in" => Ok(Expression::In(name, values)),
            "notin" => Ok(Expression::NotIn(name, values)),
            _ => form(text),
        };
    }
    for (sign, equal) in [("!=", false), ("==", true), ("=", true), (":", true)] {
        let Some((name, wanted)) = text.split_once(sign) else {
            continue;
        };
        let name = key(name)?;
        return Ok(match wanted.trim() {
            "*" if equal => Expression::Exists(name),
            wanted if equal => Expression::Equal(name, label_value(wanted)?),
            wanted => Expression::NotEqual(name, label_value(wanted)?),
        });
    }
    Ok(Expression::Exists(key(text)?))
}

/// Takes `KEY OPERATOR (VALUES)` apart.
fn set(text: &str) -> Option<(&str, &str, &str)> {
    let (left, values) = text.strip_suffix(')')?.split_once('(')?;
    let (name, operator) = left.trim().split_once(char::is_whitespace)?;
    Some((name, operator.trim(), values))
}

fn key(text: &str) -> Result<String, ValueError> {
    // Labels and annotations have the same keys.
    parse_annotation(text).or_else(|_| form(text))
}

fn label_value(text: &str) -> Result<String, ValueError> {
    let text = text.trim();
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let outer = |byte: Option<&u8>| byte.is_none_or(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    let fits = bytes.len() <= 63
        && bytes.iter().all(|byte| inner(*byte))
        && outer(bytes.first())
        && outer(bytes.last());
    if fits {
        Ok(text.to_owned())
    } else {
        form(text)
    }
}

fn form<T>(text: &str) -> Result<T, ValueError> {
    refuse(format!(
        "cannot read \"{text}\"; expected a label selector such as app=web,tier in (a, b),!canary"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> String {
        parse_selector(value).unwrap().to_string()
    }

    #[test]
    fn what_kubectl_reads() {
        let rows = [
            ("app=web", "app=web"),
            (" app == web ", "app=web"),
            ("app!=web", "app!=web"),
            ("example.com/app", "example.com/app"),
            ("!app", "!app"),
            ("app=", "app="),
            ("tier in (b, a)", "tier in (a,b)"),
            ("tier notin (a)", "tier notin (a)"),
            (
                "tier in (a,b),app=web,!canary",
                "tier in (a,b),app=web,!canary",
            ),
            ("reloader:enabled,any:*", "reloader=enabled,any"),
            ("some=*", "some"),
        ];
        for (value, expected) in rows {
            assert_eq!(read(value), expected, "{value}");
        }
        assert!(parse_selector(" ").unwrap().selects_all());
    }

    #[test]
    fn what_it_does_not() {
        for value in [
            ",", "a,", "=b", "a=b=c", "a in", "a in ()x", "a on (b)", "in (a)", "a=b c", "a=-b",
            "!", "a in (b", "a b", "-a",
        ] {
            let error = parse_selector(value).expect_err(value);
            assert!(error.to_string().contains("such as"), "{value}: {error}");
        }
    }
}
