//! How an answer's body flows to the client: delayed, stalled, its events doubled.

use std::{collections::VecDeque, time::Duration};

use axum::body::{Body, Bytes};
use futures::{Stream, StreamExt as _, stream};
use tokio::time::{Instant, sleep_until};

use super::{rule::Fault, traffic::Exchange};

/// How many chunks wait at most in the delay line; then upstream is not read any further.
const WAITING: usize = 65_536;

/// How a body is to flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flow {
    delay: Duration,
    stalled: bool,
    doubled: bool,
}

impl Flow {
    pub(super) fn of<'a>(watch: bool, faults: impl IntoIterator<Item = &'a Fault>) -> Self {
        let mut flow = Self::default();
        for fault in faults {
            match fault {
                Fault::DelayBody(delay) => flow.delay += *delay,
                Fault::Stall => flow.stalled = true,
                Fault::DuplicateEvents => flow.doubled = watch,
                Fault::DelayRequest(_) | Fault::Cut | Fault::Answer(_) | Fault::LoseAnswer => {}
            }
        }
        flow
    }
}

type Chunk = Result<Bytes, axum::Error>;

/// `body` as it flows to the client. The exchange ends with it.
pub(super) fn through(body: Body, exchange: Exchange) -> Body {
    let line = DelayLine {
        upstream: body.into_data_stream(),
        ended: false,
        waiting: VecDeque::new(),
        last_due: Instant::now(),
        doubler: Doubler::default(),
        exchange,
    };
    Body::from_stream(stream::unfold(line, async |mut line| {
        let chunk = line.next().await?;
        Some((chunk, line))
    }))
}

struct DelayLine<S> {
    upstream: S,
    ended: bool,
    /// Chunks and when they are due; `None` is the end of the body, which is delayed and stalled like any chunk.
    waiting: VecDeque<(Instant, Option<Chunk>)>,
    last_due: Instant,
    doubler: Doubler,
    exchange: Exchange,
}

impl<S: Stream<Item = Chunk> + Unpin> DelayLine<S> {
    async fn next(&mut self) -> Option<Chunk> {
        loop {
            let stalled = self.exchange.flow.borrow_and_update().stalled;
            let due = self
                .waiting
                .front()
                .map(|(due, _)| *due)
                .filter(|_| !stalled);
            if due.is_some_and(|due| due <= Instant::now()) {
                return self.waiting.pop_front().and_then(|(_, chunk)| chunk);
            }
            tokio::select! {
                chunk = self.upstream.next(), if !self.ended && self.waiting.len() < WAITING => self.push(chunk),
                () = sleep_until(due.unwrap_or(self.last_due)), if due.is_some() => {}
                // Never Err: the sender lives until the exchange is dropped.
                _ = self.exchange.flow.changed() => {}
            }
        }
    }

    fn push(&mut self, chunk: Option<Chunk>) {
        let flow = *self.exchange.flow.borrow();
        // A delay that has become shorter does not let a chunk overtake.
        let due = self.last_due.max(Instant::now() + flow.delay);
        self.last_due = due;
        match chunk {
            Some(Ok(bytes)) => {
                self.exchange.received(bytes.len());
                let bytes = self.doubler.push(&bytes, flow.doubled);
                if !bytes.is_empty() {
                    self.waiting.push_back((due, Some(Ok(bytes))));
                }
            }
            Some(Err(error)) => {
                self.ended = true;
                self.waiting.push_back((due, Some(Err(error))));
            }
            None => {
                self.ended = true;
                let rest = self.doubler.push(&Bytes::new(), false);
                if !rest.is_empty() {
                    self.waiting.push_back((due, Some(Ok(rest))));
                }
                self.waiting.push_back((due, None));
            }
        }
    }
}

/// Sends every line twice while it is told to. Lines may begin and end anywhere in a chunk.
#[derive(Default)]
struct Doubler {
    /// The beginning of a line to be doubled.
    begun: Vec<u8>,
    /// Whether the beginning of a line was passed on singly: its end is too.
    passing: bool,
}

impl Doubler {
    fn push(&mut self, chunk: &Bytes, doubled: bool) -> Bytes {
        if !doubled && self.begun.is_empty() {
            if let Some(last) = chunk.last() {
                self.passing = *last != b'\n';
            }
            return chunk.clone();
        }
        let mut out = Vec::new();
        for part in chunk.split_inclusive(|byte| *byte == b'\n') {
            self.push_part(part, doubled, &mut out);
        }
        if !doubled && !self.begun.is_empty() {
            out.append(&mut self.begun);
            self.passing = true;
        }
        out.into()
    }

    /// `part` is a line, or the beginning or the end of one.
    fn push_part(&mut self, part: &[u8], doubled: bool, out: &mut Vec<u8>) {
        let ends = part.ends_with(b"\n");
        if self.passing || (!doubled && self.begun.is_empty()) {
            out.extend_from_slice(part);
            self.passing = !ends;
            return;
        }
        self.begun.extend_from_slice(part);
        if ends {
            out.extend_from_slice(&self.begun);
            out.append(&mut self.begun);
        }
    }
}
