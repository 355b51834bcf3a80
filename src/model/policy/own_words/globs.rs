//! Expressions that globs can say, too.

use regex_syntax::{
    ParserBuilder,
    hir::{Class, Hir, HirKind, Look, Repetition},
};

/// The most globs that stand for one expression.
const MOST: usize = 32;
/// The letters of names.
const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789-.";
/// Where a name begins, and ends. No name has these letters.
const EDGES: [char; 2] = ['^', '$'];

/// Returns the globs that take the same names as an expression; `None` where none do, or too many.
pub(super) fn globs(expression: &str) -> Option<Vec<String>> {
    let mut parser = ParserBuilder::new().unicode(false).utf8(false).build();
    let parsed = parser.parse(&format!("^{expression}$")).ok()?;
    let mut globs = Vec::new();
    for text in texts(&parsed)? {
        let glob = closed(&text)?;
        if !globs.contains(&glob) {
            globs.push(glob);
        }
    }
    Some(globs)
}

/// Opens a text where it is not bound to the beginning, or the end, of a name: `^d` is `d*`.
fn closed(text: &str) -> Option<String> {
    let (begins, text) = match text.strip_prefix(EDGES[0]) {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (ends, text) = match text.strip_suffix(EDGES[1]) {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let open = |bound: bool| if bound { "" } else { "*" };
    let glob = format!("{}{text}{}", open(begins), open(ends));
    (!text.is_empty() && !text.contains(EDGES)).then_some(glob)
}

/// Returns the texts that an expression stands for, with `*` and `?` in them.
fn texts(part: &Hir) -> Option<Vec<String>> {
    let texts = match part.kind() {
        HirKind::Empty => vec![String::new()],
        HirKind::Literal(literal) => vec![plain(&literal.0)?],
        HirKind::Look(Look::Start) => vec![EDGES[0].to_string()],
        HirKind::Look(Look::End) => vec![EDGES[1].to_string()],
        HirKind::Look(_) => return None,
        HirKind::Class(class) => letters(class)?,
        HirKind::Capture(capture) => texts(&capture.sub)?,
        HirKind::Repetition(repetition) => repeated(repetition)?,
        HirKind::Concat(parts) => {
            let mut all = vec![String::new()];
            for part in parts {
                all = joined(&all, &texts(part)?)?;
            }
            all
        }
        HirKind::Alternation(parts) => {
            let mut all = Vec::new();
            for part in parts {
                all.append(&mut texts(part)?);
            }
            all
        }
    };
    (texts.len() <= MOST).then_some(texts)
}

fn plain(bytes: &[u8]) -> Option<String> {
    let all = bytes.iter().all(|byte| LETTERS.contains(byte));
    let text = String::from_utf8(bytes.to_vec()).ok()?;
    all.then_some(text)
}

/// Returns the letters of names that a class takes: each, or `?` for all of them.
fn letters(class: &Class) -> Option<Vec<String>> {
    let Class::Bytes(class) = class else {
        return None;
    };
    let takes = |letter: &&u8| {
        let mut ranges = class.iter();
        ranges.any(|range| (range.start()..=range.end()).contains(*letter))
    };
    let found: Vec<_> = LETTERS.iter().filter(takes).collect();
    Some(if found.len() == LETTERS.len() {
        vec!["?".to_owned()]
    } else {
        let each = found.iter().map(|letter| char::from(**letter).to_string());
        each.collect()
    })
}

fn repeated(repetition: &Repetition) -> Option<Vec<String>> {
    let once = texts(&repetition.sub)?;
    let is_any = once == ["?"];
    let mut all = vec![String::new()];
    for _ in 0..repetition.min {
        all = joined(&all, &once)?;
    }
    match repetition.max {
        None if is_any => joined(&all, &["*".to_owned()]),
        None => None,
        Some(max) => {
            let mut longer = all.clone();
            for _ in repetition.min..max {
                longer = joined(&longer, &once)?;
                all.extend_from_slice(&longer);
                if all.len() > MOST {
                    return None;
                }
            }
            Some(all)
        }
    }
}

/// Returns each text of one list before each of the other.
fn joined(one: &[String], other: &[String]) -> Option<Vec<String>> {
    if one.len() * other.len() > MOST {
        return None;
    }
    let pairs = one
        .iter()
        .flat_map(|start| other.iter().map(move |end| (start, end)));
    let joined: Vec<_> = pairs.map(|(start, end)| format!("{start}{end}")).collect();
    let short = joined.iter().all(|text| text.len() <= 512);
    short.then_some(joined)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_globs_can_say() {
        for (expression, expected) in [
            ("app-.*", Some("app-*")),
            (".*", Some("*")),
            ("app-.+", Some("app-?*")),
            ("db.", Some("db?")),
            (r"ca\.crt", Some("ca.crt")),
            ("(web|worker)-tls", Some("web-tls,worker-tls")),
            ("db-[12]", Some("db-1,db-2")),
            ("dbs?", Some("db,dbs")),
            ("db.?", Some("db,db?")),
            ("web|worker", Some("web*,*worker")),
            ("d|s", Some("d*,*s")),
            ("a{3}", Some("aaa")),
            // No glob says these.
            ("db-[0-9]+", None),
            ("(ab)*", None),
            ("[a-z0-9]*-tls", None),
            (r"db\b.*", None),
            ("[ab][ab][ab][ab][ab][ab]", None),
            ("a$b", None),
            ("(?i)DB|", None),
        ] {
            let found = globs(expression).map(|globs| globs.join(","));
            assert_eq!(found.as_deref(), expected, "{expression}");
        }
    }
}
