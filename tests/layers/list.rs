//! The list of layers in the documentation of `lib.rs`, and the arrows that go against it.

use std::collections::BTreeMap;

use syn::{Attribute, Expr, Lit, Meta, spanned::Spanned as _};

use crate::{
    Offence,
    arrows::{Arrow, Code},
    names::Target,
    tree::{ROOT, Tree},
};

const FILE: &str = "src/lib.rs";
const HEADING: &str = "# Layers";

/// Where each module of the crate's root stands: the line of its layer.
pub(crate) type Layers = BTreeMap<String, usize>;

/// Reads the list: under the heading `# Layers` the first block of `text`, one layer a line, from top to bottom. A
/// layer is a name, or several as `{a, b}`. What follows it on its line, and a line that begins with a space, is for
/// people.
pub(crate) fn layers(page: &[Attribute], offences: &mut Vec<Offence>) -> Layers {
    let mut layers = Layers::new();
    let mut lines = page.iter().flat_map(lines_of);
    let heading = lines.by_ref().find(|(_, text)| text == HEADING);
    let (_, begins) = heading.unzip();
    let block = begins.and_then(|_| {
        let mut section = lines
            .by_ref()
            .take_while(|(_, text)| !text.starts_with("# "));
        section.find(|(_, text)| text == "```text")
    });
    if block.is_none() {
        let what =
            "there is no list of layers: it is a block of `text` under the heading `# Layers`";
        offences.push(Offence::new(FILE, 1, what));
        return layers;
    }
    for (line, text) in lines.take_while(|(_, text)| !text.starts_with("```")) {
        if text.is_empty() || text.starts_with(' ') {
            continue;
        }
        let Some(names) = names_of(&text) else {
            let what = format!("a layer is a name or several as {{a, b}}, not \"{text}\"");
            offences.push(Offence::new(FILE, line, what));
            continue;
        };
        for name in names {
            if layers.insert(name.to_owned(), line).is_some() {
                let what = format!("the list of layers names {name} twice");
                offences.push(Offence::new(FILE, line, what));
            }
        }
    }
    layers
}

fn lines_of(attribute: &Attribute) -> Vec<(usize, String)> {
    let text = match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(literal) => match &literal.lit {
                Lit::Str(text) => text.value(),
                _ => return Vec::new(),
            },
            _ => return Vec::new(),
        },
        _ => return Vec::new(),
    };
    let first = attribute.span().start().line;
    let lines = text.lines().enumerate();
    lines
        .map(|(at, line)| {
            (
                first + at,
                line.strip_prefix(' ').unwrap_or(line).trim_end().to_owned(),
            )
        })
        .collect()
}

fn names_of(text: &str) -> Option<Vec<&str>> {
    let is_name = |name: &&str| {
        !name.is_empty()
            && name.chars().all(|letter| {
                letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_'
            })
    };
    let names: Vec<_> = match text.strip_prefix('{') {
        Some(several) => several
            .split_once('}')?
            .0
            .split(',')
            .map(str::trim)
            .collect(),
        None => text.split(' ').take(1).collect(),
    };
    names.iter().all(is_name).then_some(names)
}

/// What the list and the modules do not have in common.
pub(crate) fn unlisted(tree: &Tree, layers: &Layers, offences: &mut Vec<Offence>) {
    let modules = &tree.modules[ROOT].children;
    for (name, &module) in modules {
        let module = &tree.modules[module];
        if !module.test && !layers.contains_key(name) {
            let what = format!("the list of layers does not name {name}");
            offences.push(Offence::new(FILE, module.line, what));
        }
    }
    for (name, line) in layers {
        let found = modules.get(name);
        if found.is_none_or(|module| tree.modules[*module].test) {
            let what = format!("the list of layers names {name}, which is no module");
            offences.push(Offence::new(FILE, *line, what));
        }
    }
}

/// Arrows that go up, and arrows within a layer.
pub(crate) fn upwards(tree: &Tree, code: &Code, layers: &Layers, offences: &mut Vec<Offence>) {
    for arrow in &code.arrows {
        // lib.rs stands on top.
        let Some(from) = tree.top(arrow.from) else {
            continue;
        };
        let Some(to) = leads_to(arrow) else {
            continue;
        };
        let written = &arrow.written;
        let what = match tree.top(to) {
            None => format!("{from} uses `{written}` of lib.rs, which stands above all layers"),
            Some(to) => match (layers.get(from), layers.get(to)) {
                (Some(own), Some(other)) if own == other && from != to => format!(
                    "{from} uses {to} (`{written}`): modules of one layer do not use each other"
                ),
                (Some(own), Some(other)) if other < own => format!(
                    "{from} uses {to} (`{written}`), which is above it: a layer uses only what is below it"
                ),
                _ => continue,
            },
        };
        offences.push(Offence::new(
            &tree.modules[arrow.from].file,
            arrow.line,
            what,
        ));
    }
}

/// The module that a path itself names, or from which lib.rs passes it on. A path that begins with what a `use` brought
/// in is that `use`'s arrow.
fn leads_to(arrow: &Arrow) -> Option<usize> {
    if arrow.found.brought_in > 0 {
        return None;
    }
    match (arrow.found.named?, &arrow.found.to) {
        (ROOT, Target::Item(module, _) | Target::Module(module)) => Some(*module),
        (ROOT, Target::Outside(_) | Target::Here) => None,
        (named, _) => Some(named),
    }
}
