//! `reroll suspend`, `resume` and `release`: what people hold restarts by, and let them go.
//!
//! Each writes one annotation of each object, says what it touched, and what goes on all the same.

mod stands;
mod target;

use k8s_openapi::api::{coordination::v1::Lease, core::v1::Namespace};
use kube::Api;
use serde::Serialize;

use self::target::{NOTHING_RELEASED, table};
use super::{
    args::{Asking, ReleaseArgs, ResumeArgs, SuspendArgs, Targets},
    ending::Ending,
    error::Error,
    installation::{NAMESPACE, NOT_FOUND, ReadFlags},
    lint::live,
    named::{Named, all},
    object::{API_VERSION, Object, of_metadata},
    session::Session,
    sight::{Sight, read},
};
use crate::{
    cluster::Failure,
    model::{
        Decision, SourceName, WorkloadKey,
        annotation::RELEASE,
        decide::joined,
        gate::suspend,
        held::Held,
        index::{due, gates},
        pending::Pending,
        policy::Selection,
        text::or_quotes,
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
    args.targets.named("suspend")?;
    let mut work = Work::begin(&args.asking, &args.targets, read_flags).await?;
    let targets = work.targets(&args.targets, &args.asking)?;
    work.check(&targets).await?;
    let mut lines = Vec::new();
    for target in &targets {
        let said = work.suspend(target, &args.reason, or_quotes(&reason)).await;
        lines.push(work.told(target, &targets, said)?);
    }
    work.print("Suspended", lines)
}

/// Lets go what [`suspend()`] held.
pub(super) async fn resume(args: ResumeArgs, read_flags: ReadFlags) -> Result<Ending, Error> {
    args.targets.named("resume")?;
    let mut work = Work::begin(&args.asking, &args.targets, read_flags).await?;
    let mut targets = work.targets(&args.targets, &args.asking)?;
    work.check(&targets).await?;
    // What a Namespace lets go holds none of its workloads any more.
    targets.sort_by_key(|target| matches!(target, Target::Workload(_)));
    let mut lines = Vec::new();
    for target in &targets {
        let said = work.resume(target).await;
        lines.push(work.told(target, &targets, said)?);
    }
    work.print("Resumed", lines)
}

/// Lets restarts go that are due.
pub(super) async fn release(args: ReleaseArgs, read_flags: ReadFlags) -> Result<Ending, Error> {
    if args.objects.is_empty() && !args.all {
        return Err(Error::Usage(NOTHING_RELEASED.to_owned()));
    }
    let named = Targets {
        objects: args.objects,
        all: args.all,
    };
    let mut work = Work::begin(&args.asking, &named, read_flags).await?;
    let targets = if named.all {
        let namespace = work.session.namespace.clone();
        let within = (!args.all_namespaces).then_some(namespace.as_str());
        work.due(within).await?
    } else {
        work.targets(&named, &args.asking)?
    };
    let keys = targets.iter().map(|target| match target {
        Target::Workload(key) => Ok(key),
        Target::Namespace(_) | Target::Lease(..) => Err(Error::Usage(NOTHING_RELEASED.to_owned())),
    });
    let keys: Vec<_> = keys.collect::<Result<_, _>>()?;
    work.check(&targets).await?;
    let mut lines = Vec::new();
    for (target, key) in targets.iter().zip(keys) {
        let said = work.release(key).await;
        lines.push(work.told(target, &targets, said)?);
    }
    let nobody = work.sight.installation.nobody_leads(work.sight.now);
    work.notes.extend(nobody);
    if lines.is_empty() {
        let place = match &work.session.namespace {
            _ if args.all_namespaces => "the cluster",
            namespace => namespace,
        };
        let note = format!("nothing is due in {place} that could be released");
        work.notes.push(note);
    }
    work.print("Released", lines)
}

/// A command under way.
struct Work {
    session: Session,
    sight: Sight,
    notes: Vec<String>,
    /// How it ends.
    ending: Ending,
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
        let lease = sight.installation.lease.as_ref().filter(|_| targets.all);
        // At its write nobody says so: the webhook is not asked about Leases.
        let notes = lease.map(|lease| {
            let lease = of_metadata(lease.metadata.clone());
            live::useless(live::LEASE, &lease, sight.index.kinds())
        });
        Ok(Self {
            session,
            notes: notes.unwrap_or_default(),
            sight,
            ending: Ending::Fine,
        })
    }

    /// Returns what was named.
    fn targets(&self, targets: &Targets, asking: &Asking) -> Result<Vec<Target>, Error> {
        if targets.all {
            let installation = &self.sight.installation;
            if let Some(namespace) = asking.namespace.clone() {
                return Ok(vec![Target::Namespace(namespace)]);
            }
            if installation.is_nowhere() {
                return Err(Error::Usage(format!("{NOT_FOUND}: nothing was done")));
            }
            let own = installation.namespace.as_deref().unwrap_or(NAMESPACE);
            let lease = installation.flags.lease.clone();
            return Ok(vec![Target::Lease(own.to_owned(), lease)]);
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

    /// Reads the workload, or all workloads of the namespace, of a target; nothing for everything.
    async fn read(&mut self, target: &Target) -> Result<Vec<WorkloadKey>, Error> {
        match target {
            Target::Workload(key) => {
                read::one(&mut self.sight, &self.session, key).await?;
                Ok(vec![key.clone()])
            }
            Target::Namespace(name) => {
                read::all_workloads(&mut self.sight, &self.session, Some(name)).await?;
                Ok(self.sight.index.workloads(None, Some(name)))
            }
            Target::Lease(..) => Ok(Vec::new()),
        }
    }

    /// Checks that all targets exist, where there are several: of a list that has a typing error nothing is done.
    async fn check(&mut self, targets: &[Target]) -> Result<(), Error> {
        let mut absent = Vec::new();
        for target in targets.iter().filter(|_| targets.len() > 1) {
            let exists = match target {
                Target::Workload(key) => {
                    let is_known = self.sight.index.workload(key).is_some();
                    is_known || read::one(&mut self.sight, &self.session, key).await?
                }
                Target::Namespace(name) => read::exists(&self.session, name).await?,
                Target::Lease(..) => true,
            };
            if !exists {
                absent.push(target.spoken());
            }
        }
        if absent.is_empty() {
            return Ok(());
        }
        let absent = absent.join(", no ");
        Err(Error::Usage(format!(
            "there is no {absent}: nothing was done"
        )))
    }

    /// Returns the line about a target. Of several what failed is a line, too, and the others are gone on with.
    fn told(
        &mut self,
        target: &Target,
        targets: &[Target],
        said: Result<String, Error>,
    ) -> Result<Line, Error> {
        match said {
            Ok(words) => Ok(target.line(words)),
            Err(why) if targets.len() > 1 => {
                self.ending = Ending::Failed;
                Ok(target.line(format!("FAILED: {why}")))
            }
            Err(why) => Err(why),
        }
    }

    /// Returns the workloads whose restart is due, and held by what a release passes.
    async fn due(&mut self, within: Option<&str>) -> Result<Vec<Target>, Error> {
        read::all(&mut self.sight, &self.session, within).await?;
        self.sight.is_complete(&self.session, within)?;
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
        match tracked.policy.selection {
            Selection::Some(_) => {}
            Selection::Off if self.is_idle(key) => {
                return Ok("suspended (spec.suspend): nothing was released".to_owned());
            }
            Selection::Off => return Ok("not opted in: nothing was released".to_owned()),
            Selection::Unreadable => {
                return Ok("its opt-in cannot be read: nothing was released".to_owned());
            }
        }
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
        let stop = gates::stop_of_others(&self.sight.index, key);
        Ok(match stop.map(|stop| stop.words(&key.namespace)) {
            Some(words) => {
                self.is_not_through();
                format!("released ({causes}), and still held: {words}")
            }
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
        Ok(self.ending)
    }
}
