//! What users do.

use serde_json::{Map, Value, json};

use crate::{
    admission::admit,
    api::{RESTART_ON, annotation, containers, manifest, uses_of},
    intern::Json,
    oracle::opts_in,
    world::{Data, News, SOURCES, Source, State, Template},
};

/// What is restarted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum OptIn {
    /// Everything that the template uses.
    Auto,
    /// A alone.
    OnlyA,
    Off,
}

impl OptIn {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::OnlyA => "secret/a",
            Self::Off => "off",
        }
    }
}

/// An operation of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Operation {
    /// The source gets its other value.
    Update(Source),
    Delete(Source),
    /// Under another uid, with this value; it may exist, and is deleted then.
    Make(Source, u8),
    /// `kubectl apply` of another template.
    Apply(Template),
    /// `kubectl annotate`.
    OptIn(OptIn),
    /// Both in one write.
    Both(Template, OptIn),
    /// `kubectl replace` of the manifest in git: what reroll wrote is not in it.
    Replace(Template),
    /// `kubectl rollout undo`.
    Undo,
}

impl State {
    /// Whether an operation would change something.
    pub(crate) fn can(&self, operation: Operation) -> bool {
        let workload = self.workload.map(Json::value);
        let opted = |value: OptIn| {
            let on = workload
                .as_ref()
                .and_then(|object| annotation(object, RESTART_ON));
            on.unwrap_or("off") == value.text()
        };
        let has = |uses: Template| workload.as_ref().is_some_and(|one| uses_of(one) == uses);
        let there = workload.is_some();
        match operation {
            Operation::Update(source) | Operation::Delete(source) => self.live(source).is_some(),
            Operation::Make(..) => true,
            Operation::Apply(uses) => there && !has(uses),
            Operation::OptIn(value) => there && !opted(value),
            Operation::Both(uses, value) => there && !has(uses) && !opted(value),
            Operation::Replace(_) => there,
            Operation::Undo => there && !self.is_unseen() && self.sets.len() > 1,
        }
    }

    /// A user does this; `asked`: the replica whose webhook is asked, if any is.
    pub(crate) fn operate(&mut self, operation: Operation, asked: Option<usize>) {
        self.time += 1;
        let object = match operation {
            Operation::Update(source) => {
                let data = self.live(source).unwrap();
                let value = 1 - data.value;
                return self.write_source(source, Some(Data { value, ..data }));
            }
            Operation::Delete(source) => return self.write_source(source, None),
            Operation::Make(source, value) => {
                if self.live(source).is_some() {
                    self.write_source(source, None);
                }
                let uid = self.sources[source as usize].last_uid + 1;
                self.sources[source as usize].last_uid = uid;
                return self.write_source(source, Some(Data { uid, value }));
            }
            Operation::Apply(uses) => self.with(Some(uses), None),
            Operation::OptIn(value) => self.with(None, Some(value)),
            Operation::Both(uses, value) => self.with(Some(uses), Some(value)),
            Operation::Replace(uses) => self.replaced(uses),
            Operation::Undo => self.undone(),
        };
        self.write_workload(&object, asked);
    }

    fn write_source(&mut self, source: Source, data: Option<Data>) {
        let time = self.time;
        self.changes(source);
        let live = &mut self.sources[source as usize];
        live.revision += 1;
        (live.data, live.written) = (data, time);
        let news = News::Source(source, *live);
        self.tell(news);
    }

    fn with(&self, uses: Option<Template>, opt_in: Option<OptIn>) -> Value {
        let mut object = (*self.workload.unwrap().value()).clone();
        if let Some(uses) = uses {
            object["spec"]["template"]["spec"]["containers"] = containers(uses);
        }
        if let Some(value) = opt_in {
            object["metadata"]["annotations"][RESTART_ON] = json!(value.text());
        }
        object
    }

    fn replaced(&self, uses: Template) -> Value {
        let old = self.workload.unwrap().value();
        let opt_in = annotation(&old, RESTART_ON).unwrap_or("off");
        let mut object = manifest(uses, opt_in);
        for field in ["uid", "resourceVersion", "generation", "creationTimestamp"] {
            object["metadata"][field] = old["metadata"][field].clone();
        }
        object["status"] = old["status"].clone();
        object
    }

    /// As kubectl does it: the template and all annotations of the set before.
    fn undone(&self) -> Value {
        let mut object = (*self.workload.unwrap().value()).clone();
        let before = &self.sets[self.sets.len() - 2];
        let copied = before
            .copied
            .map_or(json!({}), |copied| (*copied.value()).clone());
        object["spec"]["template"] = (*before.template.value()).clone();
        object["metadata"]["annotations"] = match copied {
            Value::Object(all) => Value::Object(all),
            _ => Value::Object(Map::new()),
        };
        object
    }

    /// Stores what a user wrote, after the webhook had a look at it.
    pub(crate) fn write_workload(&mut self, object: &Value, asked: Option<usize>) {
        let old = self.workload;
        let before = SOURCES.map(|source| opts_in(old, source));
        let object = match asked {
            Some(by) => {
                let by = self.replicas[by].view;
                admit(by, object, old, Some(self.sources), self.time)
            }
            None => object.clone(),
        };
        self.store(object);
        self.written(old, before, asked.is_some());
    }
}

impl Operation {
    /// Whether no webhook for workloads is asked.
    pub(crate) fn is_of_source(self) -> bool {
        matches!(self, Self::Update(_) | Self::Delete(_) | Self::Make(..))
    }
}
