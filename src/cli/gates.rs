//! `reroll suspend`, `resume` and `release`: what people hold restarts by, and let them go.
//!
//! Each writes one annotation of each object, says what it touched, and what goes on all the same.

use k8s_openapi::api::{coordination::v1::Lease, core::v1::Namespace};
use kube::Api;
use serde::Serialize;

use super::{
    args::{Asking, ReleaseArgs, ResumeArgs, SuspendArgs, Targets},
    ending::Ending,
    error::Error,
    installation::{NAMESPACE, ReadFlags},
    named::{Named, all},
    object::{API_VERSION, Object},
    output::{Part, Text, Tone},
    session::Session,
    sight::{Sight, read},
};
use crate::{
    cluster::Failure,
    model::{
        Decision, SourceName, WorkloadKey,
        annotation::{RELEASE, SUSPEND},
        decide::joined,
        gate::suspend,
        held::Held,
        index::{due, gates},
        pending::Pending,
    },
};

/// What writes of these commands carry.
const MANAGER: &str = "kubectl-reroll";

/// What is annotated.
enum Target {
    Workload(WorkloadKey),
    Namespace(String),
    /// Everything: the Lease of reroll.
    Lease(String, String),
}

/// The answer.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct Touched {
    api_version: &'static str,
    kind: &'static str,
    objects: Vec<Line>,
    notes: Vec<String>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
struct Line {
    object: Object,
    words: String,
}

/// Holds restarts.
pub(super) async fn suspend(args: SuspendArgs, read_flags: ReadFlags) -> Result<Ending, Error> {
    let Some(reason) = suspend::read(Some(&args.reason)) else {
        return Err(Error::Usage(format!(
            "--reason {:?} would let restarts go, not hold them: give another reason, or use resume",
            args.reason
        )));
    };
    let mut work = Work::begin(&args.asking, &args.targets, read_flags).await?;
    let mut lines = Vec::new();
    for target in work.targets(&args.targets, &args.asking)? {
        work.annotate(&target, SUSPEND, Some(&args.reason)).await?;
        let goes_on = work.goes_on(&target).await?;
        lines.push(target.line(format!("suspended: {reason}{goes_on}")));
    }
    work.print("Suspended", lines)
}

/// Lets go what [`suspend()`] held.
pub(super) async fn resume(args: ResumeArgs, read_flags: ReadFlags) -> Result<Ending, Error> {
    let mut work = Work::begin(&args.asking, &args.targets, read_flags).await?;
    let mut lines = Vec::new();
    for target in work.targets(&args.targets, &args.asking)? {
        work.annotate(&target, SUSPEND, None).await?;
        let words = work.still_held(&target).await?;
        lines.push(target.line(words));
    }
    work.print("Resumed", lines)
}

/// Lets restarts go that are due.
pub(super) async fn release(args: ReleaseArgs, read_flags: ReadFlags) -> Result<Ending, Error> {
    let mut work = Work::begin(&args.asking, &args.targets, read_flags).await?;
    let mut targets = work.targets(&args.targets, &args.asking)?;
    if args.targets.all {
        targets = work.due(args.asking.namespace.as_deref()).await?;
    }
    let mut lines = Vec::new();
    for target in targets {
        let Target::Workload(key) = &target else {
            return Err(Error::Usage(
                "release takes workloads, or --all with -n for all of a namespace".to_owned(),
            ));
        };
        let words = work.release(key).await?;
        lines.push(target.line(words));
    }
    if lines.is_empty() {
        work.notes
            .push("nothing is due that could be released".to_owned());
    }
    work.print("Released", lines)
}

/// A command under way.
struct Work {
    session: Session,
    sight: Sight,
    notes: Vec<String>,
}

impl Work {
    async fn begin(
        asking: &Asking,
        targets: &Targets,
        read_flags: ReadFlags,
    ) -> Result<Self, Error> {
        let session = Session::open(asking).await?;
        let within = asking
            .namespace
            .as_deref()
            .or((!targets.all).then_some(&session.namespace));
        let sight = read::begin(&session, asking, within, read_flags).await?;
        Ok(Self {
            session,
            sight,
            notes: Vec::new(),
        })
    }

    /// Returns what was named.
    fn targets(&self, targets: &Targets, asking: &Asking) -> Result<Vec<Target>, Error> {
        if targets.all {
            let installation = &self.sight.installation;
            let own = installation.namespace.as_deref().unwrap_or(NAMESPACE);
            let everything = || Target::Lease(own.to_owned(), installation.flags.lease.clone());
            let namespace = asking.namespace.clone().map(Target::Namespace);
            return Ok(vec![namespace.unwrap_or_else(everything)]);
        }
        let named = all(&targets.objects, &self.sight.installation.flags.kinds)?;
        let target = |named| match named {
            Named::Workload(kind, name) => Ok(Target::Workload(WorkloadKey {
                kind,
                namespace: self.session.namespace.clone(),
                name,
            })),
            Named::Namespace(name) => Ok(Target::Namespace(name)),
            Named::Source(source) => Err(source),
        };
        named
            .into_iter()
            .map(target)
            .collect::<Result<_, SourceName>>()
            .map_err(|source| {
                Error::Usage(format!(
                    "{} is a source: name its users. They are listed by: kubectl reroll status {source} -n {}",
                    source.spoken(),
                    self.session.namespace
                ))
            })
    }

    async fn annotate(
        &self,
        target: &Target,
        annotation: &str,
        text: Option<&str>,
    ) -> Result<(), Error> {
        let (cluster, client) = (&self.session.cluster, self.session.cluster.client());
        let ended = match target {
            Target::Workload(key) => {
                let api = cluster.workloads(key);
                let what = (key.name.as_str(), MANAGER);
                cluster
                    .annotate(&api, what, annotation, text)
                    .await
                    .map(drop)
            }
            Target::Namespace(name) => {
                let api = Api::<Namespace>::all(client);
                cluster
                    .annotate(&api, (name, MANAGER), annotation, text)
                    .await
                    .map(drop)
            }
            Target::Lease(namespace, name) => {
                let api = Api::<Lease>::namespaced(client, namespace);
                cluster
                    .annotate(&api, (name, MANAGER), annotation, text)
                    .await
                    .map(drop)
            }
        };
        ended.map_err(|why| match why {
            Failure::Gone => Error::Usage(format!("there is no {}", target.spoken())),
            why => self
                .session
                .failed(format!("annotate {}", target.spoken()), why),
        })
    }

    /// Reads the workload, or all of the namespace, of a target; nothing for everything.
    async fn read(&mut self, target: &Target) -> Result<Vec<WorkloadKey>, Error> {
        match target {
            Target::Workload(key) => {
                read::one(&mut self.sight, &self.session, key).await?;
                Ok(vec![key.clone()])
            }
            Target::Namespace(name) => {
                read::all(&mut self.sight, &self.session, Some(name)).await?;
                Ok(self.sight.index.workloads(None, Some(name)))
            }
            Target::Lease(..) => Ok(Vec::new()),
        }
    }

    /// Returns what goes on rolling although it is held from now on.
    async fn goes_on(&mut self, target: &Target) -> Result<String, Error> {
        let keys = self.read(target).await?;
        let rolls = |key: &&WorkloadKey| {
            let tracked = self.sight.index.workload(key);
            tracked.is_some_and(|known| known.policy.opted_in() && known.workload.progress.rolls())
        };
        let rolling: Vec<_> = keys.iter().filter(rolls).map(WorkloadKey::spoken).collect();
        Ok(match rolling.as_slice() {
            [] if matches!(target, Target::Lease(..)) => {
                ". Rollouts that were begun go on".to_owned()
            }
            [] => String::new(),
            some => format!(". Rollouts that were begun go on: {}", some.join(", ")),
        })
    }

    /// Returns who holds a workload still.
    async fn still_held(&mut self, target: &Target) -> Result<String, Error> {
        if let Target::Workload(key) = target {
            self.read(target).await?;
            if let Some(stop) = gates::stop(&self.sight.index, key) {
                return Ok(format!(
                    "resumed, and still held: {}",
                    stop.words(&key.namespace)
                ));
            }
        }
        Ok("resumed".to_owned())
    }

    /// Returns the workloads whose restart is due, and held by what a release passes.
    async fn due(&mut self, within: Option<&str>) -> Result<Vec<Target>, Error> {
        read::all(&mut self.sight, &self.session, within).await?;
        let mut targets = Vec::new();
        for key in self.sight.index.workloads(None, within) {
            let (judged, held) = self.sight.judge(&key);
            let is_due = matches!(judged.decision, Some(Decision::Restart(_)));
            if is_due && held.is_none_or(Held::is_released) {
                targets.push(Target::Workload(key));
            }
        }
        Ok(targets)
    }

    /// Releases the restart of a workload that is due.
    async fn release(&mut self, key: &WorkloadKey) -> Result<String, Error> {
        let target = Target::Workload(key.clone());
        if self.sight.index.workload(key).is_none() && self.read(&target).await?.is_empty() {
            return Err(Error::Usage(format!("there is no {}", target.spoken())));
        }
        let Some(tracked) = self.sight.index.workload(key) else {
            return Err(Error::Usage(format!("there is no {}", target.spoken())));
        };
        let pending = Pending::of(&tracked.workload);
        let (judged, _) = self.sight.judge(key);
        let is_due = matches!(judged.decision, Some(Decision::Restart(_)));
        let compares = self.sight.installation.key.is_some();
        if compares && !is_due {
            return Ok("nothing is due: nothing was released".to_owned());
        }
        let id = match pending {
            Some(pending) => pending.id,
            // The webhook makes the id of it.
            None if !compares => "now".to_owned(),
            None => due::id(&self.sight.index, key).unwrap_or_else(|| "now".to_owned()),
        };
        self.annotate(&target, RELEASE, Some(&id)).await?;
        let causes = judged.decision.as_ref().map(Decision::causes);
        let causes = joined(causes.unwrap_or_default());
        Ok(match gates::stop_of_others(&self.sight.index, key) {
            Some(stop) => format!(
                "released ({causes}), and still held: {}",
                stop.words(&key.namespace)
            ),
            None => format!("released: {causes}"),
        })
    }

    fn print(self, kind: &'static str, objects: Vec<Line>) -> Result<Ending, Error> {
        let own = self.sight.notes().into_iter();
        let touched = Touched {
            api_version: API_VERSION,
            kind,
            objects,
            notes: self.notes.into_iter().chain(own).collect(),
        };
        self.session
            .output
            .print(&touched, |report, _| table(report))?;
        Ok(Ending::Fine)
    }
}

impl Target {
    fn spoken(&self) -> String {
        match self {
            Self::Workload(key) => format!("{} in {}", key.spoken(), key.namespace),
            Self::Namespace(name) => format!("Namespace {name}"),
            Self::Lease(namespace, name) => format!("Lease {name} in {namespace}"),
        }
    }

    fn line(&self, words: String) -> Line {
        let (kind, namespace, name) = match self {
            Self::Workload(key) => (key.kind.kind, key.namespace.clone(), key.name.clone()),
            Self::Namespace(name) => ("Namespace", String::new(), name.clone()),
            Self::Lease(namespace, name) => ("Lease", namespace.clone(), name.clone()),
        };
        let object = Object {
            kind,
            namespace,
            name,
        };
        Line { object, words }
    }
}

fn table(touched: &Touched) -> Vec<Part> {
    let row = |line: &Line| -> Vec<Text> {
        let object = &line.object;
        let name = match object.namespace.as_str() {
            "" => format!("{} {}", object.kind, object.name),
            namespace => format!("{} {namespace}/{}", object.kind, object.name),
        };
        vec![name.into(), line.words.clone().into()]
    };
    let note = |note: &String| vec!["Note".into(), Tone::Warning.text(note.clone())];
    vec![
        Part::Rows(touched.objects.iter().map(row).collect()),
        Part::Rows(touched.notes.iter().map(note).collect()),
    ]
}
