//! `reroll version`: this program, and the reroll that is installed.

use serde::Serialize;

use super::{
    args::VersionArgs,
    ending::Ending,
    error::Error,
    installation::{Installation, ReadFlags},
    output::{Output, Part, Text, Tone},
    session::Session,
};
use crate::{build, clock::system_clock, model::annotation::HOLDER_VERSION};

/// The answer.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct Versions {
    api_version: &'static str,
    kind: &'static str,
    client: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<Server>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
struct Server {
    namespace: Option<String>,
    image: Option<String>,
    /// That of the replica that restarts.
    version: Option<String>,
    /// Who holds the Lease. It may be over: then nobody leads.
    leader: Option<String>,
    /// Since when nobody leads, in words.
    no_leader: Option<String>,
    notes: Vec<String>,
}

/// Answers.
pub(super) async fn version(args: VersionArgs, read_flags: ReadFlags) -> Result<Ending, Error> {
    let mut versions = Versions {
        api_version: super::object::API_VERSION,
        kind: "Versions",
        client: build::BOTH,
        server: None,
    };
    if args.client {
        Output::new(&args.asking).print(&versions, table)?;
        return Ok(Ending::Fine);
    }
    let session = Session::open(&args.asking).await?;
    let installation = Installation::find(&session, &args.asking, None, read_flags).await?;
    let spec = installation
        .lease
        .as_ref()
        .and_then(|lease| lease.spec.as_ref());
    versions.server = Some(Server {
        namespace: installation.namespace.clone(),
        image: installation.image.clone(),
        version: annotation(&installation).cloned(),
        leader: spec.and_then(|spec| spec.holder_identity.clone()),
        no_leader: installation.nobody_leads(system_clock()()),
        notes: installation.notes.clone(),
    });
    session.output.print(&versions, table)?;
    Ok(Ending::Fine)
}

fn annotation(installation: &Installation) -> Option<&String> {
    let lease = installation.lease.as_ref()?;
    lease.metadata.annotations.as_ref()?.get(HOLDER_VERSION)
}

fn table(versions: &Versions, _: bool) -> Vec<Part> {
    let row = |name: &str, text: String| -> Vec<Text> { vec![name.into(), text.into()] };
    let mut rows = vec![row("Client", versions.client.to_owned())];
    let mut notes = Vec::new();
    if let Some(server) = &versions.server {
        let or = |text: &Option<String>, without: &str| {
            text.clone().unwrap_or_else(|| without.to_owned())
        };
        rows.push(row(
            "Server",
            or(&server.version, "not seen, or older than this program"),
        ));
        rows.push(row("Image", or(&server.image, "not seen")));
        rows.push(row("Namespace", or(&server.namespace, "not seen")));
        let leader = server.no_leader.as_ref().or(server.leader.as_ref());
        rows.push(row("Leader", or(&leader.cloned(), "none, or not seen")));
        notes.extend(server.notes.iter().cloned());
    }
    let mut parts = vec![Part::Rows(rows)];
    let note = |note: String| Part::Rows(vec![vec![Tone::Warning.text(note)]]);
    parts.extend(notes.into_iter().map(note));
    parts
}
