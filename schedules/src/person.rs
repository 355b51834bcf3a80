//! Requests of people: how long each took, and whether it failed.
//!
//! No fault concerns them but those of the webhook, whose failures are ignored: what fails or takes long is reroll's doing.

use std::{sync::Arc, time::Duration};

use http::{Method, Request};
use kube::{Client, client::Body};
use reroll_simulation::api_server::{ApiServer, User};
use tokio::time::Instant;
use tower::{Service as _, service_fn};

use crate::oracle::Wrongs;

/// How long the webhooks may keep one try of a request: of each installation one, which may be asked once more, has a second.
const OF_ONE_TRY: Duration = Duration::from_secs(4);
/// How often the API server tries a patch that meets other writes, each time with all webhooks.
const TRIES: u32 = 5;

/// Returns the client of a person.
pub(crate) fn client(server: &ApiServer, wrongs: &Wrongs) -> Client {
    let (service, wrongs) = (server.service(User::new("person")), Arc::clone(wrongs));
    let noted = service_fn(move |request: Request<Body>| {
        let (mut service, wrongs) = (service.clone(), Arc::clone(&wrongs));
        async move {
            let (method, path) = (request.method().clone(), request.uri().path().to_owned());
            let began = Instant::now();
            let answer = service.call(request).await?;
            let (took, status) = (began.elapsed(), answer.status());
            if method != Method::GET && (took > OF_ONE_TRY * TRIES || status.is_server_error()) {
                let wrong = format!("a person's {method} of {path} took {took:?}: {status}");
                wrongs.lock().push(wrong);
            }
            Ok::<_, std::convert::Infallible>(answer)
        }
    });
    Client::new(noted, "default")
}
