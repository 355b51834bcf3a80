//! `reroll plan`: what applying manifests would restart, or what another value of a source would.
//!
//! The API server is asked to try (`apply`), and what it says takes the place of what is live in the controller's own index. Then
//! the controller's own judging decides for every workload. So a plan names what restarts. Nothing is written, and the webhook
//! remembers nothing of a write that is only tried.
//!
//! Reading order: `apply` and `merged` (what would be), `sources` (what changes of it), `facts` and `taken` (what is taken in),
//! `judging`, `outcome` and `unchanged` (what a decision means for a workload), `pace` (when), `shape`.

mod apply;
mod facts;
mod judging;
mod merged;
mod outcome;
mod pace;
mod shape;
mod sources;
mod taken;
mod unchanged;

use std::collections::BTreeMap;

use serde_json::Value;

#[cfg(test)]
pub(super) use self::shape::Plan as Answer;
use self::{
    apply::{Notes, What},
    facts::Facts,
    judging::{due, judged},
    shape::{Plan, Supposed, table},
    sources::{Becomes, Change},
    taken::{take_all, take_source},
};
use super::{
    args::PlanArgs,
    ending::Ending,
    error::Error,
    installation::ReadFlags,
    lint,
    named::{Named, one},
    session::Session,
    sight::read,
};
use crate::{
    cluster::Failure,
    model::{SourceKey, SourceKind, version::key_of},
};

/// Answers.
pub(super) async fn plan(args: PlanArgs, read_flags: ReadFlags) -> Result<Ending, Error> {
    let session = Session::open(&args.asking).await?;
    let (plan, is_complete) = match args.object.as_slice() {
        [] => of_manifests(&session, &args, read_flags).await?,
        words => of_source(&session, &args, words, read_flags).await?,
    };
    session.output.print(&plan, table)?;
    Ok(if is_complete && plan.is_known() {
        Ending::Fine
    } else {
        Ending::NotYet
    })
}

/// Returns what applying manifests would restart, and whether all workloads could be read and all manifests be applied.
async fn of_manifests(
    session: &Session,
    args: &PlanArgs,
    read_flags: ReadFlags,
) -> Result<(Plan, bool), Error> {
    let namespace = session.namespace.as_str();
    let manifests = lint::read(&args.filename, Some(namespace)).all()?;
    if manifests.is_empty() {
        return Err(lint::nothing(&args.filename));
    }
    let mut sight = read::begin(session, &args.asking, Some(namespace), read_flags).await?;
    let mut notes = Notes::default();
    let asked = apply::asked(&manifests, &sight.installation.flags.kinds, &mut notes);
    let (mut there, mut complete) = (BTreeMap::new(), true);
    for name in asked.iter().map(|one| one.what.namespace()) {
        if there.contains_key(name) {
            continue;
        }
        let is_there = read::exists(session, name).await?;
        there.insert(name.to_owned(), is_there);
        if is_there {
            read::all(&mut sight, session, Some(name)).await?;
            complete &= sight.is_complete(session, Some(name))?;
        } else {
            notes
                .said
                .push(format!("there is no namespace {name}: all in it is new"));
        }
    }
    let (mut facts, mut applied) = (Facts::default(), Vec::new());
    facts.due = due(&mut sight);
    for (place, asked) in asked.into_iter().enumerate() {
        facts.places.insert(asked.what.clone(), place);
        let is_there = there.get(asked.what.namespace()) == Some(&true);
        applied.push(apply::applied(session, asked, is_there, &mut notes).await?);
    }
    take_all(&mut sight, &mut facts, applied)?;
    let case = judged(&mut sight, session, Supposed::Applied, &facts, &mut notes).await?;
    notes.unseen.splice(0..0, sight.notes());
    let complete = complete && notes.refused == 0;
    Ok((Plan::new(vec![case], notes), complete))
}

/// Returns what another value of a source would restart, or another object in its place; and the same.
async fn of_source(
    session: &Session,
    args: &PlanArgs,
    words: &[String],
    read_flags: ReadFlags,
) -> Result<(Plan, bool), Error> {
    let namespace = session.namespace.as_str();
    let mut sight = read::begin(session, &args.asking, Some(namespace), read_flags).await?;
    let Named::Source(source) = one(words, &sight.installation.flags.kinds)? else {
        return Err(Error::Usage(
            "plan takes a Secret or ConfigMap, or manifests: kubectl reroll plan -f FILE"
                .to_owned(),
        ));
    };
    read::all(&mut sight, session, Some(namespace)).await?;
    let complete = sight.is_complete(session, Some(namespace))?;
    let key = key_of(namespace, &source);
    let object = object_of(session, &key).await?;
    let due = due(&mut sight);
    let mut notes = Notes::default();
    let changed = object
        .as_ref()
        .map(|it| merged::all_changed(source.kind, it));
    let recreated = object.map(|mut it| {
        it["metadata"]["uid"] = "made again".into();
        it
    });
    let mut cases = Vec::new();
    let both = [
        (Supposed::Changed, changed, u64::MAX - 1),
        (Supposed::Recreated, recreated, u64::MAX),
    ];
    for (case, object, number) in both {
        let becomes = object.map(|object| take_source(&mut sight, &key, &object, number));
        let unknown = || Becomes::only(&key, Change::Unknown);
        let facts = Facts {
            sources: vec![becomes.unwrap_or_else(unknown)],
            due: due.clone(),
            ..Facts::default()
        };
        cases.push(judged(&mut sight, session, case, &facts, &mut notes).await?);
    }
    notes.unseen.splice(0..0, sight.notes());
    Ok((Plan::new(cases, notes), complete))
}

/// Reads a source with its data; `None` where it may not be read.
async fn object_of(session: &Session, key: &SourceKey) -> Result<Option<Value>, Error> {
    let what = What::Source(key.clone());
    let named = format!("{} in {}", key.source.spoken(), key.namespace);
    if key.source.kind == SourceKind::SecretProviderClass {
        return Err(Error::Usage("plan takes a Secret or ConfigMap".to_owned()));
    }
    match session
        .cluster
        .get(&what.api(session), &key.source.name)
        .await
    {
        Ok(Some(object)) => {
            let object = serde_json::to_value(object).map_err(std::io::Error::other)?;
            Ok(Some(object))
        }
        Ok(None) => Err(Error::Usage(format!(
            "there is no {named}; with its manifest, ask: kubectl reroll plan -f FILE"
        ))),
        Err(Failure::Forbidden) => Ok(None),
        Err(why) => Err(session.failed(format!("read {named}"), why)),
    }
}
