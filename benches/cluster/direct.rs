//! Makes the writes that reroll makes, as a plain client that decides nothing: the same JSON Patches, by the same
//! functions.
//!
//! It makes them when the benchmark says so, or when a watch shows that a Secret changed. In the second case it is the
//! plainest controller that is possible: it knows the users of each Secret from the start.
//!
//! It writes `observed` too. Without it the floor would have smaller objects, and controllers that copy less.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use futures::StreamExt;
use jiff::Timestamp;
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams},
    core::DynamicObject,
    runtime::watcher,
};
use reroll::model::{
    DigestKey, Observed, SourceName,
    annotation::FIELD_MANAGER,
    digest::Digest,
    format::FORMAT,
    observed::{Entries, Entry, Formers, KeyState, KeyStates},
    patch,
    source::KeyLists,
    workload::{KINDS, Workload},
};
use tokio::{
    sync::{Semaphore, oneshot},
    task::JoinSet,
};

use crate::bed::AT_ONCE;

/// Deployments, as the last write left them.
pub struct Direct {
    api: Api<DynamicObject>,
    key: DigestKey,
    workloads: Mutex<HashMap<String, (Workload, Observed)>>,
}

impl Direct {
    /// Of these.
    pub fn new(api: Api<DynamicObject>) -> Self {
        Self {
            api,
            key: DigestKey::new(&[7; DigestKey::LENGTH]).expect("it is as long"),
            workloads: Mutex::default(),
        }
    }

    /// Writes down what a Deployment was started with.
    pub async fn adopt(&self, name: &str, secret: &str) {
        let object = self.api.get(name).await.expect("it is there");
        let workload = Workload::read(&KINDS[0], &object);
        let seen = Entry::Seen {
            // As long as any.
            uid: workload.uid.clone(),
            resource_version: workload.resource_version,
            states: KeyStates::from_iter([("*".to_owned(), KeyState::Seen(Digest::CHANGED))]),
            immutable: false,
        };
        let observed = Observed {
            format: FORMAT,
            key_id: self.key.id().to_owned(),
            workload_uid: workload.uid.clone(),
            created_at: None,
            sequence: 1,
            restarted_for: String::new(),
            entries: Entries::from_iter([(SourceName::secret(secret), seen)]),
            fold: None,
            formers: Formers::none(),
            lists: KeyLists::default(),
        };
        let patch = patch::record(&KINDS[0], &workload, &observed.print(&self.key));
        self.write(name, patch, observed).await;
    }

    /// Restarts a Deployment that was adopted.
    pub async fn restart(&self, name: &str) {
        let known = self.workloads.lock().expect("nobody panics").remove(name);
        let (workload, before) = known.expect("it was adopted");
        let observed = Observed {
            sequence: before.sequence + 1,
            restarted_for: format!("{:016x}", fastrand::u64(..)),
            ..before
        };
        #[expect(clippy::disallowed_methods, reason = "as reroll says when")]
        let now = Timestamp::now();
        let patch = patch::restart(
            &KINDS[0],
            &workload,
            &observed.print(&self.key),
            &observed.restarted_for,
            &patch::Told {
                last_restart: format!("{now:.0}: Secret {name} changed"),
                ..patch::Told::default()
            },
            now,
        );
        self.write(name, patch, observed).await;
    }

    /// Restarts the users of each Secret that changes, for ever. Each of `users` is a Deployment's name and its
    /// Secret's.
    pub async fn follow(
        self: Arc<Self>,
        secrets: Api<DynamicObject>,
        users: Vec<(String, String)>,
        listed: oneshot::Sender<()>,
    ) {
        let mut of = HashMap::<String, Vec<String>>::new();
        for (name, secret) in users {
            of.entry(secret).or_default().push(name);
        }
        let mut listed = Some(listed);
        let mut events = watcher(secrets, watcher::Config::default()).boxed();
        let mut restarts = JoinSet::new();
        let at_once = Arc::new(Semaphore::new(AT_ONCE));
        while let Some(event) = events.next().await {
            match event.expect("a watch does not fail here") {
                watcher::Event::InitDone => drop(listed.take().map(|listed| listed.send(()))),
                watcher::Event::Apply(secret) => {
                    for name in of.get(&secret.name_any()).into_iter().flatten() {
                        let (direct, name) = (Arc::clone(&self), name.clone());
                        let at_once = Arc::clone(&at_once);
                        restarts.spawn(async move {
                            let _turn = at_once.acquire().await;
                            direct.restart(&name).await;
                        });
                    }
                }
                _ => {}
            }
        }
    }

    async fn write(&self, name: &str, patch: patch::Patch, observed: Observed) {
        let params = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let patch = Patch::<()>::Json(patch);
        let object = self.api.patch(name, &params, &patch).await;
        let workload = Workload::read(&KINDS[0], &object.expect("nobody else writes these"));
        let mut workloads = self.workloads.lock().expect("nobody panics");
        workloads.insert(name.to_owned(), (workload, observed));
    }
}
