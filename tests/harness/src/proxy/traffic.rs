//! The rules, the requests in flight and the log of all requests, under one lock.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use axum::http::{StatusCode, request::Parts};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    flow::Flow,
    rule::{Fault, Rule, RuleId},
};

/// How many requests are remembered; older ones are forgotten.
const REMEMBERED: usize = 100_000;

/// One request that reached the proxy.
#[derive(Clone, Debug)]
pub struct RequestLine {
    /// In capitals.
    pub method: String,
    /// Without the query.
    pub path: String,
    /// Without the question mark, as it was sent (still percent-encoded); empty if there was none.
    pub query: String,
    /// When it arrived.
    pub at: Instant,
    /// The status that the API server answered, or the proxy in its place. `None`: not answered yet, cut, or upstream
    /// failed. An answer that was lost on purpose has one.
    pub status: Option<u16>,
    /// How many bytes of the answer's body came from upstream so far.
    pub received: u64,
    /// Why upstream could not be asked. No fault of a rule: such a request is cut.
    pub error: Option<String>,
}

impl RequestLine {
    pub(super) fn of(request: &Parts) -> Self {
        Self {
            method: request.method.to_string(),
            path: request.uri.path().to_owned(),
            query: request.uri.query().unwrap_or_default().to_owned(),
            at: Instant::now(),
            status: None,
            received: 0,
            error: None,
        }
    }

    /// Whether it asked for a watch.
    pub fn is_watch(&self) -> bool {
        self.query
            .split('&')
            .any(|pair| matches!(pair, "watch=true" | "watch=1"))
    }
}

/// The state of a proxy.
#[derive(Default)]
pub(super) struct Traffic {
    state: Mutex<State>,
    changes: watch::Sender<()>,
}

#[derive(Default)]
struct State {
    rules_added: u64,
    rules: BTreeMap<RuleId, Rule>,
    /// The number of requests that the log has forgotten, and so the number of its first line.
    forgotten: u64,
    log: VecDeque<RequestLine>,
    in_flight: BTreeMap<u64, InFlight>,
}

struct InFlight {
    request: RequestLine,
    connection: CancellationToken,
    struck: Vec<(RuleId, Fault)>,
    flow: watch::Sender<Flow>,
}

impl InFlight {
    fn strike(&mut self, id: RuleId, fault: &Fault) {
        self.struck.push((id, fault.clone()));
        self.update_flow();
        if matches!(fault, Fault::Cut) {
            self.connection.cancel();
        }
    }

    fn absolve(&mut self, removed: impl Fn(RuleId) -> bool) {
        self.struck.retain(|(id, _)| !removed(*id));
        self.update_flow();
    }

    fn update_flow(&self) {
        let flow = Flow::of(
            self.request.is_watch(),
            self.struck.iter().map(|(_, fault)| fault),
        );
        self.flow
            .send_if_modified(|current| std::mem::replace(current, flow) != flow);
    }
}

impl Traffic {
    /// Writes a request down and decides what happens to it. `connection` cuts the connection it came by.
    pub(super) fn begin(
        self: &Arc<Self>,
        request: RequestLine,
        connection: CancellationToken,
    ) -> Exchange {
        let mut state = self.lock();
        let number = state.forgotten + state.log.len() as u64;
        let struck: Vec<(RuleId, Fault)> = state
            .rules
            .iter_mut()
            .filter_map(|(id, rule)| rule.strikes(&request).then(|| (*id, rule.fault.clone())))
            .collect();
        let faults: Vec<Fault> = struck.iter().map(|(_, fault)| fault.clone()).collect();
        let (sender, flow) = watch::channel(Flow::of(request.is_watch(), &faults));
        state.log.push_back(request.clone());
        if state.log.len() > REMEMBERED {
            state.log.pop_front();
            state.forgotten += 1;
        }
        state.in_flight.insert(
            number,
            InFlight {
                request,
                connection,
                struck,
                flow: sender,
            },
        );
        drop(state);
        self.changes.send_replace(());
        Exchange {
            number,
            traffic: Arc::clone(self),
            faults,
            flow,
        }
    }

    pub(super) fn add(&self, mut rule: Rule) -> RuleId {
        let mut state = self.lock();
        let id = RuleId(state.rules_added);
        state.rules_added += 1;
        if rule.fault.reaches_in_flight() {
            for exchange in state.in_flight.values_mut() {
                if rule.strikes(&exchange.request) {
                    exchange.strike(id, &rule.fault);
                }
            }
        }
        state.rules.insert(id, rule);
        id
    }

    pub(super) fn remove(&self, id: RuleId) {
        let mut state = self.lock();
        state.rules.remove(&id);
        for exchange in state.in_flight.values_mut() {
            exchange.absolve(|struck| struck == id);
        }
    }

    pub(super) fn clear(&self) {
        let mut state = self.lock();
        state.rules.clear();
        for exchange in state.in_flight.values_mut() {
            exchange.absolve(|_| true);
        }
    }

    pub(super) fn requests(&self) -> Vec<RequestLine> {
        self.lock().log.iter().cloned().collect()
    }

    pub(super) fn count(&self, condition: impl Fn(&RequestLine) -> bool) -> usize {
        self.lock()
            .log
            .iter()
            .filter(|request| condition(request))
            .count()
    }

    pub(super) fn in_flight(&self) -> Vec<RequestLine> {
        self.lock()
            .in_flight
            .values()
            .map(|exchange| exchange.request.clone())
            .collect()
    }

    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    fn update(&self, number: u64, update: impl Fn(&mut RequestLine)) {
        self.update_quietly(number, update);
        self.changes.send_replace(());
    }

    fn update_quietly(&self, number: u64, update: impl Fn(&mut RequestLine)) {
        let mut state = self.lock();
        if let Some(exchange) = state.in_flight.get_mut(&number) {
            update(&mut exchange.request);
        }
        let remembered = number
            .checked_sub(state.forgotten)
            .and_then(|index| usize::try_from(index).ok());
        if let Some(request) = remembered.and_then(|index| state.log.get_mut(index)) {
            update(request);
        }
    }

    fn end(&self, number: u64) {
        self.lock().in_flight.remove(&number);
        self.changes.send_replace(());
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A matcher of the test may have panicked; the state is whole, for matchers are asked before it is changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request in flight. Dropping it ends it.
pub(super) struct Exchange {
    number: u64,
    traffic: Arc<Traffic>,
    /// What was decided at its arrival, in the order of the rules.
    pub(super) faults: Vec<Fault>,
    /// How its answer's body flows, now and later.
    pub(super) flow: watch::Receiver<Flow>,
}

impl Exchange {
    pub(super) fn answered(&self, status: StatusCode) {
        self.traffic.update(self.number, |request| {
            request.status = Some(status.as_u16());
        });
    }

    /// Notes bytes of the answer's body. Nobody is told: there are too many.
    pub(super) fn received(&self, bytes: usize) {
        self.traffic.update_quietly(self.number, |request| {
            request.received += bytes as u64;
        });
    }

    pub(super) fn failed(&self, error: &str) {
        self.traffic.update(self.number, |request| {
            request.error = Some(error.to_owned());
        });
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.traffic.end(self.number);
    }
}
