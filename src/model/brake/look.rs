//! What the pods of a restart show.
//!
//! A new pod is one that carries the restart's mark, whatever its kind; where the restart is one by time, one that is younger.
//! Pods that are made after the restart's deadline tell nothing about it: they started for another reason.
//!
//! People are told the kubelet's and the API server's words. A container's termination message is none of them: the program in
//! it writes that, and it may hold data.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{
    api::core::v1::{
        ContainerState, ContainerStateTerminated, ContainerStatus, Pod, PodCondition, PodStatus,
    },
    apimachinery::pkg::apis::meta::v1::Time,
};

use crate::model::{
    text::{printable, shortened},
    workload::NewPods,
};

/// An image that cannot be had for so long is a failure.
const IMAGE: SignedDuration = SignedDuration::from_mins(1);
/// A container that has run for so long is well: twice the longest pause of the kubelet, which forgets its pauses then
/// (`hasExpired` in `client-go/util/flowcontrol/backoff.go`).
const SETTLED: SignedDuration = SignedDuration::from_mins(10);
/// More restarts of a container are not counted: they take days.
const COUNTED: i32 = 1_000;
/// The most characters of what a kubelet or the API server says.
const WORDS: usize = 256;

/// What somebody said of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The pod.
    pub pod: String,
    /// What is wrong with it, in words.
    pub words: String,
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pod {}: {}", self.pod, self.words)
    }
}

/// Why a new pod does not work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// In a word, for metrics and Events.
    pub reason: Reason,
    /// Which pod, and what is said of it.
    pub said: Said,
}

/// In a word, why a new pod does not work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The kubelet cannot make the container's configuration: a key is missing, or the like.
    Config,
    /// A container ended again and again.
    Restarts,
    /// The image cannot be had.
    Image,
}

/// What the pods of a restart showed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// How many new pods there are.
    pub new: usize,
    /// Since when one of them has been ready with all containers running.
    pub runs_since: Option<Timestamp>,
    /// When the last of those that are ready became so.
    pub progressed: Option<Timestamp>,
    /// Why one of them does not work.
    pub trouble: Option<Trouble>,
    /// When an image that cannot be had becomes a failure.
    pub next: Option<Timestamp>,
    /// What the new pods wait for.
    pub waits: Option<Said>,
}

/// What a restart was, as far as its pods are judged by it.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// How its pods are known.
    pub new: &'a NewPods,
    /// For how long one has to run to be good.
    pub soak: SignedDuration,
    /// When its deadline is.
    pub deadline: Timestamp,
    /// Now.
    pub now: Timestamp,
}

fn is_new(new: &NewPods, pod: &Pod) -> bool {
    match new {
        NewPods::Marked { key, value } => {
            let annotations = pod.metadata.annotations.as_ref();
            annotations.and_then(|all| all.get(*key)) == Some(value)
        }
        NewPods::MadeSince(since) => made(pod).is_some_and(|made| made >= *since),
    }
}

impl Look {
    /// Looks at pods. Those that are being deleted do not count.
    pub fn at(pods: &[Pod], asked: &Asked<'_>) -> Self {
        let counts = |pod: &&Pod| {
            let in_time = made(pod).is_none_or(|made| made < asked.deadline);
            is_new(asked.new, pod) && in_time && pod.metadata.deletion_timestamp.is_none()
        };
        let pods: Vec<_> = pods.iter().filter(counts).collect();
        let running = || pods.iter().filter_map(|pod| runs_since(pod, asked.now));
        let good_at = running()
            .min()
            .and_then(|since| since.checked_add(asked.soak).ok());
        let mut look = Self {
            new: pods.len(),
            runs_since: running().min(),
            progressed: pods.iter().filter_map(|pod| ready_since(pod)).max(),
            ..Self::default()
        };
        for pod in pods {
            for status in statuses(pod) {
                look.take(pod, status, asked, good_at);
            }
            if look.waits.is_none() && runs_since(pod, asked.now).is_none() {
                look.waits = Some(waits(pod));
            }
        }
        look
    }

    fn take(
        &mut self,
        pod: &Pod,
        status: &ContainerStatus,
        asked: &Asked<'_>,
        good_at: Option<Timestamp>,
    ) {
        if self.trouble.is_some() {
            return;
        }
        let waiting = waiting(status);
        let reason = if waiting.is_some_and(|(reason, _)| reason == CONFIG_ERROR) {
            Some(Reason::Config)
        } else if !is_settled(status, asked.now)
            && (ended_again(status, asked) || ended_after_good(status, asked, good_at))
        {
            Some(Reason::Restarts)
        } else if waiting.is_some_and(|(reason, _)| IMAGE_ERRORS.contains(&reason)) {
            let fails = made(pod).and_then(|made| made.checked_add(IMAGE).ok());
            let is_due = fails.is_none_or(|fails| fails <= asked.now);
            if !is_due {
                self.next = self.next.into_iter().chain(fails).min();
            }
            is_due.then_some(Reason::Image)
        } else {
            None
        };
        self.trouble = reason.map(|reason| Trouble {
            reason,
            said: said_of(pod, status),
        });
    }
}

const CONFIG_ERROR: &str = "CreateContainerConfigError";

/// As of `pkg/kubelet/images/types.go`.
const IMAGE_ERRORS: [&str; 7] = [
    "ErrImagePull",
    "ImagePullBackOff",
    "ErrImageNeverPull",
    "ImageInspectError",
    "InvalidImageName",
    "RegistryUnavailable",
    "SignatureValidationFailed",
];

fn made(pod: &Pod) -> Option<Timestamp> {
    time(pod.metadata.creation_timestamp.as_ref())
}

fn time(time: Option<&Time>) -> Option<Timestamp> {
    Timestamp::from_second(time?.0.as_second()).ok()
}

/// Returns the statuses of all containers, those that run before the others included.
fn statuses(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    let status = pod.status.iter();
    status.flat_map(|status| {
        let init = status.init_container_statuses.iter().flatten();
        init.chain(status.container_statuses.iter().flatten())
    })
}

/// Returns since when a pod has been ready with all containers running, none of which was restarted twice, or not for long.
fn runs_since(pod: &Pod, now: Timestamp) -> Option<Timestamp> {
    let status = pod.status.as_ref()?;
    ready(status)?;
    let wanted = pod.spec.as_ref().map_or(0, |spec| spec.containers.len());
    let containers = status.container_statuses.as_deref().unwrap_or_default();
    let sidecars = status.init_container_statuses.iter().flatten();
    let sidecars = sidecars.filter(|one| state(one, |state| state.running.is_some()));
    let started = |one: &ContainerStatus| {
        let counts = one.restart_count < 2 || is_settled(one, now);
        began(one).filter(|_| counts)
    };
    let all: Option<Vec<_>> = containers.iter().chain(sidecars).map(started).collect();
    let all = all.filter(|_| containers.len() >= wanted)?;
    let since = all.into_iter().max()?;
    // The clock of its node may be behind.
    Some(made(pod).map_or(since, |made| made.max(since)))
}

fn ready(status: &PodStatus) -> Option<&PodCondition> {
    let mut conditions = status.conditions.iter().flatten();
    conditions.find(|one| one.type_ == "Ready" && one.status == "True")
}

fn ready_since(pod: &Pod) -> Option<Timestamp> {
    time(ready(pod.status.as_ref()?)?.last_transition_time.as_ref())
}

/// Whether a container has run for so long that the kubelet forgets how often it ended.
fn is_settled(status: &ContainerStatus, now: Timestamp) -> bool {
    began(status).is_some_and(|began| now.duration_since(began) >= SETTLED)
}

/// Returns since when a container has been running.
fn began(status: &ContainerStatus) -> Option<Timestamp> {
    let running = status.state.as_ref()?.running.as_ref()?;
    time(running.started_at.as_ref())
}

/// Returns how a container ended last.
fn last_end(status: &ContainerStatus) -> Option<&ContainerStateTerminated> {
    status.last_state.as_ref()?.terminated.as_ref()
}

/// Whether a container was restarted twice by the deadline. Only its last end is known: one that ends again and again ended for
/// the second time so long before that as the kubelet's pauses and runs as long as the last one take. What ran well for hours, and
/// ends again and again since, did not end twice by then.
fn ended_again(status: &ContainerStatus, asked: &Asked<'_>) -> bool {
    if status.restart_count < 2 {
        return false;
    }
    let ended = last_end(status);
    let Some(finished) = ended.and_then(|ended| time(ended.finished_at.as_ref())) else {
        return true;
    };
    let began = ended.and_then(|ended| time(ended.started_at.as_ref()));
    let run = began.map_or(SignedDuration::ZERO, |began| finished.duration_since(began));
    let since_second = (2..status.restart_count.min(COUNTED)).map(|number| run + back_off(number));
    let since_second = since_second.fold(SignedDuration::ZERO, SignedDuration::saturating_add);
    let second = finished.checked_sub(since_second);
    second.is_ok_and(|second| second <= asked.deadline)
}

/// How long the kubelet waits after a container ended for the `number`th time: 10 s after the second, then twice as long each
/// time, at most 5 min (`initialCrashLoopBackOff` and `MaxCrashLoopBackOff` in `pkg/kubelet/kubelet.go`).
fn back_off(number: i32) -> SignedDuration {
    let doubled = u32::try_from(number).unwrap_or(0).saturating_sub(2).min(5);
    SignedDuration::from_secs((10 << doubled).min(300))
}

/// Whether a container ended that was good, or while another pod was, and within the deadline.
fn ended_after_good(
    status: &ContainerStatus,
    asked: &Asked<'_>,
    good_at: Option<Timestamp>,
) -> bool {
    let Some(ended) = last_end(status).filter(|_| status.restart_count == 1) else {
        return false;
    };
    let Some(finished) = time(ended.finished_at.as_ref()).filter(|at| *at <= asked.deadline) else {
        return false;
    };
    let began = time(ended.started_at.as_ref());
    let long = began.is_some_and(|began| finished.duration_since(began) >= asked.soak);
    long || good_at.is_some_and(|good| finished > good)
}

fn state(status: &ContainerStatus, is: impl Fn(&ContainerState) -> bool) -> bool {
    status.state.as_ref().is_some_and(is)
}

/// Returns why a container waits: the reason, and the kubelet's message.
fn waiting(status: &ContainerStatus) -> Option<(&str, Option<&str>)> {
    let waiting = status.state.as_ref()?.waiting.as_ref()?;
    Some((waiting.reason.as_deref()?, waiting.message.as_deref()))
}

fn said(pod: &Pod, words: &str) -> Said {
    Said {
        pod: pod.metadata.name.clone().unwrap_or_default(),
        words: shortened(&printable(words), WORDS).into_owned(),
    }
}

fn said_of(pod: &Pod, status: &ContainerStatus) -> Said {
    let name = &status.name;
    let ended = |state: Option<&ContainerState>| {
        let ended = state?.terminated.as_ref()?;
        let reason = ended.reason.as_deref().unwrap_or("Error");
        Some(format!(
            "ended with {reason}, exit code {}",
            ended.exit_code
        ))
    };
    let last = ended(status.state.as_ref()).or_else(|| ended(status.last_state.as_ref()));
    let words = match (waiting(status), last) {
        (Some((reason, _)), Some(last)) => format!("container {name} {last}: {reason}"),
        (Some((reason, Some(message))), None) => {
            format!("container {name} waits: {reason}: {message}")
        }
        (Some((reason, None)), None) => format!("container {name} waits: {reason}"),
        (None, Some(last)) => format!("container {name} {last}"),
        (None, None) => format!("container {name} is not ready"),
    };
    said(pod, &words)
}

/// Returns what a pod waits for that is not ready.
fn waits(pod: &Pod) -> Said {
    let status = pod.status.as_ref();
    let conditions = status
        .into_iter()
        .flat_map(|status| status.conditions.iter().flatten());
    let mut scheduled = conditions.filter(|one| one.type_ == "PodScheduled");
    if let Some(not) = scheduled.find(|one| one.status == "False") {
        let message = not.message.as_deref().unwrap_or("no node has room for it");
        return said(pod, &format!("it has no node: {message}"));
    }
    let unready = |status: &&ContainerStatus| !status.ready;
    match statuses(pod)
        .find(|one| waiting(one).is_some())
        .or_else(|| {
            statuses(pod)
                .filter(|one| !state(one, |state| state.terminated.is_some()))
                .find(unready)
        }) {
        Some(status) => said_of(pod, status),
        None => said(pod, "it is not ready"),
    }
}

#[cfg(test)]
mod tests;
