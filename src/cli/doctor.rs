//! `reroll doctor`: whether reroll, and what it needs, is sound; with `--pre`, whether it can be installed.
//!
//! What was read is judged by functions of that alone, each group of lines in its own file. The reading is here.
//!
//! Invariants:
//! - it reads, and asks for reviews of rights, and with `--try` for a dry run, of which the API server keeps nothing;
//! - a part that may not be read, or cannot be, takes its line, and the rest is answered;
//! - of the Secret with the certificate only `tls.crt` is looked at, and no byte of it is printed.
//!
//! Reading order: `report`, `installed`, `rights`, `webhook` with `certificate`, `tried`, `surroundings`, `standing`, `before`.

mod before;
mod certificate;
mod installed;
mod report;
mod rights;
mod standing;
mod surroundings;
mod tried;
mod webhook;

use std::time::Duration;

use k8s_openapi::api::{
    admissionregistration::v1::{MutatingWebhookConfiguration, ValidatingWebhookConfiguration},
    apps::v1::Deployment,
    core::v1::{Event, Pod, Secret, Service},
    discovery::v1::EndpointSlice,
};
use kube::{Api, ResourceExt as _, api::ListParams};
use tokio::time::{Instant, sleep};

#[cfg(test)]
pub(super) use self::report::Report as Answer;
use self::{
    report::{Group, Line, Report, table},
    rights::Whose,
    surroundings::Looks,
    webhook::{Called, Entry},
};
use super::{
    args::DoctorArgs,
    ending::Ending,
    error::Error,
    findings::Finding,
    installation::{Installation, ReadFlags},
    lint::live::LEASE,
    object::of_metadata,
    session::Session,
    sight::{Sight, read},
    status,
};
use crate::{clock::system_clock, cluster::Failure};

/// How long it waits before it looks again.
const AGAIN: Duration = Duration::from_secs(3);

/// Answers, once all is fine or the time is over.
pub(super) async fn doctor(args: DoctorArgs, read_flags: ReadFlags) -> Result<Ending, Error> {
    let session = Session::open(&args.asking).await?;
    let until = Instant::now() + args.wait.unwrap_or_default();
    loop {
        let report = look(&session, &args, read_flags).await;
        let is_fine = matches!(&report, Ok(report) if report.ending() == Ending::Fine);
        if is_fine || Instant::now() + AGAIN > until {
            let report = report?;
            session.output.print(&report, table)?;
            return Ok(report.ending());
        }
        sleep(AGAIN).await;
    }
}

async fn look(
    session: &Session,
    args: &DoctorArgs,
    read_flags: ReadFlags,
) -> Result<Report, Error> {
    let client = session.cluster.client();
    let server = match session.cluster.call(client.apiserver_version()).await {
        Ok(info) => surroundings::server(&info),
        Err(Failure::Forbidden) => {
            Line::failed("read the API server's version", &Failure::Forbidden)
        }
        Err(why) => return Err(session.failed("read the API server's version", why)),
    };
    let asking = &args.asking;
    let within = asking.namespace.as_deref();
    let mut installation = Installation::find(session, asking, within, read_flags).await?;
    let mut groups = if args.pre {
        let asked = asking.reroll_namespace.as_deref();
        before::check(session, asked, &installation).await
    } else {
        installation.read_key(session).await?;
        let tried = args.tries.then(|| within.unwrap_or(&session.namespace));
        of_installation(session, &installation, tried).await
    };
    // A reroll that runs outside has a Lease, and no Deployment.
    let is_found = installation.deployment.is_some() || installation.lease.is_some();
    let is_there = is_found || !installation.may_look;
    let mut sight = Sight::new(installation, system_clock()())?;
    let whole = !args.pre && is_there;
    groups.append(&mut around(session, &mut sight, within, (server, whole)).await);
    Ok(Report::new(args.pre, groups))
}

/// Answers what concerns reroll's own objects. `tried`: the namespace of a write that is tried.
async fn of_installation(
    session: &Session,
    installation: &Installation,
    tried: Option<&str>,
) -> Vec<Group> {
    let now = system_clock()();
    let mut own = installed::lines(installation, now);
    let Some(deployment) = &installation.deployment else {
        return vec![Group::new("Installation", own)];
    };
    let place = deployment.namespace().unwrap_or_default();
    own.insert(0, installed::replicas(deployment));
    let pods = pods(session, deployment).await;
    own.insert(1, installed::versions(&place, &pods));
    let rights = rights_of(session, installation, deployment, &place).await;
    let webhook = webhook(session, installation, deployment, tried).await;
    vec![
        Group::new("Installation", own),
        Group::new("Rights", rights),
        Group::new("Webhook", webhook),
    ]
}

async fn pods(session: &Session, deployment: &Deployment) -> Result<Vec<Pod>, Failure> {
    let labels = deployment
        .spec
        .as_ref()
        .and_then(|spec| spec.selector.match_labels.as_ref());
    let labels: Vec<_> = labels
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let place = deployment.namespace().unwrap_or_default();
    let api = Api::<Pod>::namespaced(session.cluster.client(), &place);
    let params = ListParams::default().labels(&labels.join(","));
    let mut pods = Vec::new();
    session
        .cluster
        .each(&api, params, |pod| pods.push(pod))
        .await?;
    Ok(pods)
}

async fn rights_of(
    session: &Session,
    installation: &Installation,
    deployment: &Deployment,
    place: &str,
) -> Vec<Line> {
    let name = installed::account(deployment);
    let who = format!("ServiceAccount {place}/{name}");
    let needed = rights::needed(&installation.flags, place);
    let count = needed.len();
    let missing = rights::missing(session, &Whose::Account(place, &name), needed).await;
    match missing {
        Ok(missing) if missing.is_empty() => {
            vec![Line::fine(format!(
                "{who} has the {count} rights that reroll's flags ask for"
            ))]
        }
        Ok(missing) => {
            let to_do =
                "install it again as it was (helm upgrade), or grant the right (rbac.create)";
            rights::lines(Finding::RightLacks, &who, &missing, to_do)
        }
        Err(why) => {
            let what = format!("create SubjectAccessReviews: which rights {who} has");
            vec![Line::failed(&what, &why)]
        }
    }
}

async fn webhook(
    session: &Session,
    installation: &Installation,
    deployment: &Deployment,
    tried: Option<&str>,
) -> Vec<Line> {
    let place = &deployment.namespace().unwrap_or_default();
    let flags = installation.flags.webhook.as_ref();
    let tried = match tried.filter(|_| flags.is_some()) {
        Some(namespace) => Some(tried::asked(session, namespace).await),
        None => None,
    };
    let entries = match entries(session).await {
        Ok(entries) => entries,
        Err(why) => {
            let unseen = Line::failed("list webhook configurations", &why);
            return tried.into_iter().chain([unseen]).collect();
        }
    };
    let own: Vec<_> = entries
        .into_iter()
        .filter(|entry| entry.calls_into(place))
        .collect();
    let mut lines = webhook::registered(flags, place, &own);
    let Some(flags) = flags else {
        return lines;
    };
    for called in webhook::called(&own) {
        let (service, ready) = (
            service(session, &called).await,
            ready(session, &called).await,
        );
        lines.push(called.answers(&service, &ready));
    }
    let mounted = flags.certificate.as_deref();
    let mounted = mounted.and_then(|file| installed::mounted_secret(deployment, file));
    let secret = flags.certificates_secret.clone().or(mounted);
    let chain = match &secret {
        Some(name) => Some((format!("{place}/{name}"), chain(session, place, name).await)),
        None => None,
    };
    let chain = chain.as_ref().map(|(name, chain)| (name.as_str(), chain));
    lines.append(&mut webhook::trusted(&own, chain, system_clock()()));
    if let Some(tried) = tried {
        lines.push(tried);
    } else if !own.is_empty() {
        let words = "whether API servers reach it: only its port and their metrics tell";
        let release = deployment.labels().get("app.kubernetes.io/instance");
        let release = release.map_or("RELEASE", String::as_str);
        lines.push(Line::not_seen(words).then(format!("helm test {release} -n {place}")));
    }
    lines
}

async fn entries(session: &Session) -> Result<Vec<Entry>, Failure> {
    let (cluster, client) = (&session.cluster, session.cluster.client());
    let mut entries = Vec::new();
    let api = Api::<ValidatingWebhookConfiguration>::all(client.clone());
    let see = |found| entries.append(&mut Entry::of_validating(&found));
    cluster.each(&api, ListParams::default(), see).await?;
    let api = Api::<MutatingWebhookConfiguration>::all(client);
    let see = |found| entries.append(&mut Entry::of_mutating(&found));
    cluster.each(&api, ListParams::default(), see).await?;
    Ok(entries)
}

async fn service(session: &Session, called: &Called) -> Result<Option<Service>, Failure> {
    let api = Api::<Service>::namespaced(session.cluster.client(), &called.namespace);
    session.cluster.get(&api, &called.name).await
}

/// Returns how many endpoints of a Service are ready.
async fn ready(session: &Session, called: &Called) -> Result<usize, Failure> {
    let api = Api::<EndpointSlice>::namespaced(session.cluster.client(), &called.namespace);
    let selects = format!("kubernetes.io/service-name={}", called.name);
    let params = ListParams::default().labels(&selects);
    let mut ready = 0;
    let see = |slice: EndpointSlice| {
        let all = slice.endpoints.iter();
        let is_ready = all.filter(|one| {
            let conditions = one.conditions.as_ref();
            conditions.is_none_or(|conditions| conditions.ready.unwrap_or(true))
        });
        ready += is_ready.count();
    };
    session.cluster.each(&api, params, see).await?;
    Ok(ready)
}

/// Returns the certificates of a Secret, and nothing else of it.
async fn chain(session: &Session, place: &str, name: &str) -> webhook::Chain {
    let api = Api::<Secret>::namespaced(session.cluster.client(), place);
    let secret = session.cluster.get(&api, name).await?;
    let data = secret.and_then(|secret| secret.data);
    Ok(data
        .and_then(|mut data| data.remove("tls.crt"))
        .map(|chain| chain.0))
}

/// Answers what concerns the cluster around it. `whole`: also where workloads stand, which takes their sources.
async fn around(
    session: &Session,
    sight: &mut Sight,
    within: Option<&str>,
    (server, whole): (Line, bool),
) -> Vec<Group> {
    let kinds = sight.index.kinds().clone();
    let mut looks = Looks::default();
    let mut see = |of: (&'static str, &'static str), object: &_| looks.see(of, object, &kinds);
    let read = if whole {
        read::all_shown(sight, session, within, &mut see).await
    } else {
        read::shown(sight, session, within, &mut see).await
    };
    let named = within.map(|name| format!("namespace {name}"));
    let place = named.unwrap_or_else(|| "the cluster".to_owned());
    for (key, source) in sight.saying() {
        looks.see_besides(("", key.source.kind.as_str()), &source, &kinds);
    }
    if let Some(lease) = &sight.installation.lease {
        let lease = of_metadata(lease.metadata.clone());
        looks.see_besides(LEASE, &lease, &kinds);
    }
    let mut objects = looks.unreadable(&place);
    let unread = sight.unread();
    objects.extend(unread.into_iter().map(Line::not_seen));
    if let Err(why) = read {
        objects.push(Line::not_seen(why.to_string()));
        return vec![
            Group::new("Cluster", vec![server]),
            Group::new("Opt-ins", objects),
        ];
    }
    let mut groups = vec![
        Group::new(
            "Cluster",
            vec![server, looks.reloader(&place, !sight.misses("deployments"))],
        ),
        Group::new("Opt-ins", objects),
    ];
    if whole {
        let flag = within.map_or_else(|| "-A".to_owned(), |name| format!("-n {name}"));
        let is_complete = sight.is_complete(session, within).unwrap_or(false);
        let overview = status::overview(sight, within, is_complete);
        let mut lines = standing::workloads(&overview, &flag);
        let events = warnings(session, within).await;
        lines.append(&mut standing::warnings(&events, (&place, &flag), sight.now));
        groups.push(Group::new("Restarts", lines));
    }
    groups
}

/// Returns the Warning Events of reroll's.
async fn warnings(session: &Session, within: Option<&str>) -> Result<Vec<Event>, Failure> {
    let client = session.cluster.client();
    let api = match within {
        Some(namespace) => Api::<Event>::namespaced(client, namespace),
        None => Api::all(client),
    };
    let params = ListParams::default().fields("type=Warning,reportingComponent=reroll");
    let mut events = Vec::new();
    session
        .cluster
        .each(&api, params, |event| events.push(event))
        .await?;
    Ok(events)
}
