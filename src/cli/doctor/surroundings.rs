//! What is around reroll: the API server, Stakater Reloader, and what objects say that cannot be read.

use k8s_openapi::apimachinery::pkg::version::Info;
use kube::core::DynamicObject;
use serde_json::Value;

use super::report::Line;
use crate::{
    cli::{
        findings::Finding,
        lint::live::{self, Wrong},
    },
    model::workload::Kinds,
};

/// The oldest minor version of Kubernetes 1 that reroll works with: match conditions of webhooks.
const OLDEST: u32 = 30;
/// The most objects of which it is said what they say wrong.
const NAMED: usize = 20;

/// What was seen while Namespaces and workloads were read.
#[derive(Default)]
pub(super) struct Looks {
    objects: usize,
    wrong: Vec<Wrong>,
    reloaders: Vec<String>,
}

impl Looks {
    /// Takes in a source, or reroll's Lease, that says something to reroll.
    pub(super) fn see_besides(&mut self, of: (&str, &str), object: &DynamicObject, kinds: &Kinds) {
        self.wrong.append(&mut live::check(of, object, kinds));
    }

    /// Takes in a Namespace or workload of this group and kind.
    pub(super) fn see(&mut self, of: (&str, &str), object: &DynamicObject, kinds: &Kinds) {
        self.objects += 1;
        self.see_besides(of, object, kinds);
        if of == ("apps", "Deployment") && runs_reloader(&object.data) {
            let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
            let name = object.metadata.name.as_deref().unwrap_or_default();
            self.reloaders.push(format!("{namespace}/{name}"));
        }
    }

    /// Says what objects say that cannot be read. `place`: where was looked.
    pub(super) fn unreadable(&self, place: &str) -> Vec<Line> {
        let found = self.wrong.iter().take(NAMED).map(|wrong| {
            let words = format!(
                "{}: {} ({})",
                wrong.object,
                wrong.words,
                wrong.finding.code()
            );
            let line = Line::found(Finding::LiveUnreadable, words);
            match &wrong.instead {
                Some(instead) => line.then(instead),
                None => line,
            }
        });
        let mut lines: Vec<_> = found.collect();
        match self.wrong.len() {
            0 if self.objects == 0 => {
                let words = format!("no Namespace and no workload is seen in {place}");
                lines.push(Line::not_seen(words));
            }
            0 => {
                let objects = self.objects;
                lines.push(Line::fine(format!("all keys and values can be read, of {objects} Namespaces and workloads in {place}")));
            }
            all if all > NAMED => {
                let words = format!("{} more such findings", all - NAMED);
                let to_do = "kubectl reroll doctor -n NAMESPACE says those of one namespace";
                lines.push(Line::found(Finding::LiveUnreadable, words).then(to_do));
            }
            _ => {}
        }
        lines
    }

    /// Says whether Reloader runs, too. `may_look`: Deployments could be listed.
    pub(super) fn reloader(&self, place: &str, may_look: bool) -> Line {
        if !may_look {
            return Line::not_seen("no right to list deployments: whether Reloader runs");
        }
        if self.reloaders.is_empty() {
            return Line::fine(format!("Reloader is not seen in {place}"));
        }
        let words = format!(
            "Reloader runs as Deployment {}: both restart what has its annotations",
            self.reloaders.join(", ")
        );
        Line::found(Finding::ReloaderBeside, words)
            .then("remove Reloader when reroll has taken over")
    }
}

/// Whether a container has an image that is called as Reloader's is.
fn runs_reloader(deployment: &Value) -> bool {
    let containers = deployment.pointer("/spec/template/spec/containers");
    let containers = containers.and_then(Value::as_array).into_iter().flatten();
    let mut images = containers.filter_map(|one| one["image"].as_str());
    images.any(|image| {
        let path = image.split('@').next().unwrap_or_default();
        let last = path.rsplit('/').next().unwrap_or_default();
        last.split(':').next() == Some("reloader")
    })
}

/// Says whether the API server is new enough.
pub(super) fn server(info: &Info) -> Line {
    // Some providers write `33+`.
    let digits = |text: &str| -> Option<u32> {
        let end = text.find(|letter: char| !letter.is_ascii_digit());
        text[..end.unwrap_or(text.len())].parse().ok()
    };
    let version = &info.git_version;
    let words = format!("the API server is Kubernetes {version}");
    match (digits(&info.major), digits(&info.minor)) {
        (Some(major), Some(minor)) if (major, minor) < (1, OLDEST) => {
            let words = format!("{words}, and reroll needs 1.{OLDEST}");
            Line::found(Finding::OldServer, words).then("upgrade the cluster first")
        }
        (Some(_), Some(_)) => Line::fine(words),
        _ => Line::not_seen(format!("whether Kubernetes {version} is new enough")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment(name: &str, annotations: &Value, image: &str) -> DynamicObject {
        let spec = json!({ "template": { "spec": { "containers": [{ "image": "x" }, { "image": image }] } } });
        let meta =
            json!({ "name": name, "namespace": "shop", "uid": "u", "annotations": annotations });
        serde_json::from_value(json!({ "metadata": meta, "spec": spec })).unwrap()
    }

    fn looks(objects: &[DynamicObject]) -> Looks {
        let mut looks = Looks::default();
        for object in objects {
            looks.see(("apps", "Deployment"), object, &Kinds::default());
        }
        looks
    }

    #[test]
    fn versions_of_the_api_server_are_compared() {
        for (major, minor, expected) in [
            ("1", "30", None),
            ("1", "33+", None),
            ("1", "29", Some("RR231")),
            ("1", "9+", Some("RR231")),
            ("2", "0", None),
            ("", "", None),
        ] {
            let info = Info {
                major: major.to_owned(),
                minor: minor.to_owned(),
                ..Info::default()
            };
            assert_eq!(server(&info).code(), expected, "{major}.{minor}");
        }
    }

    #[test]
    fn reloader_is_known_by_its_image() {
        for (image, expected) in [
            ("ghcr.io/stakater/reloader:v1.4.5", Some("RR232")),
            (
                "mirror.corp:5000/stakater/reloader@sha256:00",
                Some("RR232"),
            ),
            ("reloader", Some("RR232")),
            ("prometheus-config-reloader:v0.8", None),
            ("corp/reloader/app:1", None),
        ] {
            let found = looks(&[deployment("r", &json!({}), image)]);
            assert_eq!(
                found.reloader("the cluster", true).code(),
                expected,
                "{image}"
            );
            assert_eq!(found.reloader("the cluster", false).code(), None);
        }
    }

    #[test]
    fn what_a_source_says_in_vain_is_named_beside_what_is_counted() {
        let mut looks = looks(&[deployment("web", &json!({}), "x")]);
        let secret = json!({ "metadata": { "name": "db", "namespace": "shop", "uid": "u", "annotations": {
            "reroll.dev/ignor": "true",
        } } });
        let secret = serde_json::from_value(secret).unwrap();
        looks.see_besides(("", "Secret"), &secret, &Kinds::default());
        assert_eq!(looks.objects, 1);
        let codes: Vec<_> = looks.unreadable("shop").iter().map(Line::code).collect();
        assert_eq!(codes, [Some("RR241")]);
    }

    #[test]
    fn what_cannot_be_read_is_named_up_to_a_number() {
        let wrong = |name: String| deployment(&name, &json!({ "reroll.dev/setle": "5s" }), "x");
        let none = looks(&[deployment(
            "web",
            &json!({ "reroll.dev/settle": "5s" }),
            "x",
        )]);
        let codes = |looks: &Looks| {
            looks
                .unreadable("shop")
                .iter()
                .filter_map(Line::code)
                .count()
        };
        assert_eq!(codes(&none), 0);
        let one = looks(&[wrong("web".to_owned())]);
        let words = "Deployment shop/web: reroll.dev/setle is no key of reroll's (RR101)";
        let expected = Line::found(Finding::LiveUnreadable, words).then("reroll.dev/settle");
        assert_eq!(one.unreadable("shop"), [expected]);
        let many: Vec<_> = (0..NAMED + 3)
            .map(|number| wrong(format!("w{number}")))
            .collect();
        assert_eq!(codes(&looks(&many)), NAMED + 1);
    }
}
