//! Reading the body of a request in bounded memory and time.
//!
//! An `AdmissionReview` of an UPDATE carries an object twice, and a ConfigMap of 1 MiB can be 6 MiB of escaped JSON. So some
//! bodies must be large. Only few of those are read at once. They have a lane of their own, so that small bodies do not wait
//! behind them.

use std::{ops::Deref, sync::Arc, time::Duration};

use axum::body::{Body, BodyDataStream, Bytes, HttpBody};
use futures::StreamExt;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

/// How much of a body that is too large is kept, to answer its sender.
const START: usize = 4096;

/// What bodies may take.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimits {
    /// The largest body that is read, in bytes.
    pub largest: usize,
    /// The largest body that is small, in bytes.
    pub small: usize,
    /// How many bytes of small bodies there may be at once.
    pub memory_small: usize,
    /// How many bytes of other bodies there may be at once.
    pub memory_large: usize,
    /// How long a body may take, waiting for memory included.
    pub total: Duration,
    /// How long a body may pause.
    pub stall: Duration,
}

impl Default for BodyLimits {
    fn default() -> Self {
        Self {
            largest: 17 << 20,
            small: 256 << 10,
            memory_small: 64 << 20,
            memory_large: 64 << 20,
            total: Duration::from_secs(10),
            stall: Duration::from_secs(2),
        }
    }
}

/// Why there is no body.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The body is larger than [`BodyLimits::largest`].
    #[error("the request is larger than {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
        /// The first few thousand bytes of it; the rest was thrown away.
        start: Vec<u8>,
    },
    /// Other bodies took the memory, and kept it.
    #[error("too many large requests at once: no memory for this one within the time it has")]
    Busy,
    /// The body came too slowly.
    #[error("the request's body came too slowly")]
    Timeout,
    /// The client went away, or broke the protocol.
    #[error("the request's body broke off: {0}")]
    Disconnected(#[source] axum::Error),
}

/// Reads bodies. All handlers share one.
#[derive(Clone, Debug)]
pub struct BodyReader {
    limits: BodyLimits,
    small: Arc<Semaphore>,
    large: Arc<Semaphore>,
}

impl BodyReader {
    /// Returns a reader with all of its memory free.
    pub fn new(limits: BodyLimits) -> Self {
        let lane = |bytes: usize| Arc::new(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS)));
        Self {
            limits,
            small: lane(limits.memory_small),
            large: lane(limits.memory_large),
        }
    }

    /// Reads a body. Its declared length is its share of the memory (the largest, when it declares none). It takes its share
    /// before anything is read, and the share is free again when the answer is dropped.
    ///
    /// A body that is too large is read on for a while and thrown away, so that the answer arrives. Otherwise hyper would
    /// close an HTTP/1 connection on a client that is still sending, whose system then discards the answer with the reset.
    /// Such a client gets its answer when it has sent everything, and keeps its connection.
    ///
    /// # Errors
    /// When the body is too large, comes too slowly or breaks off, or there is no memory for it in time.
    pub async fn read(&self, body: Body) -> Result<HeldBody, BodyError> {
        let limit = self.limits.largest;
        let deadline = Instant::now() + self.limits.total;
        let declared = body
            .size_hint()
            .exact()
            .map(|length| usize::try_from(length).unwrap_or(usize::MAX));
        let mut chunks = Chunks {
            body: body.into_data_stream(),
            stall: self.limits.stall,
            deadline,
        };
        if declared.is_some_and(|length| length > limit) {
            let start = chunks.discard(limit, Vec::new()).await;
            return Err(BodyError::TooLarge { limit, start });
        }
        let memory = self.reserve(declared.unwrap_or(limit), deadline).await?;
        let mut bytes = Vec::with_capacity(declared.unwrap_or(0));
        while let Some(chunk) = chunks.next().await? {
            if bytes.len() + chunk.len() > limit {
                bytes.extend_from_slice(&chunk[..chunk.len().min(START)]);
                bytes.truncate(START);
                bytes.shrink_to_fit();
                drop(memory);
                let start = chunks.discard(limit, bytes).await;
                return Err(BodyError::TooLarge { limit, start });
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(HeldBody {
            bytes: Bytes::from(bytes),
            _memory: memory,
        })
    }

    async fn reserve(
        &self,
        bytes: usize,
        deadline: Instant,
    ) -> Result<OwnedSemaphorePermit, BodyError> {
        let (lane, all) = if bytes <= self.limits.small {
            (&self.small, self.limits.memory_small)
        } else {
            (&self.large, self.limits.memory_large)
        };
        // A body that is larger than its lane takes all of it.
        let bytes = u32::try_from(bytes.min(all)).unwrap_or(u32::MAX);
        match timeout_at(deadline, Arc::clone(lane).acquire_many_owned(bytes)).await {
            Ok(Ok(memory)) => Ok(memory),
            Ok(Err(_)) | Err(_) => Err(BodyError::Busy),
        }
    }
}

/// A body that was read, with its share of the memory.
#[derive(Debug)]
pub struct HeldBody {
    bytes: Bytes,
    _memory: OwnedSemaphorePermit,
}

impl Deref for HeldBody {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// A body as it comes.
struct Chunks {
    body: BodyDataStream,
    stall: Duration,
    deadline: Instant,
}

impl Chunks {
    async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        let until = self.deadline.min(Instant::now() + self.stall);
        match timeout_at(until, self.body.next()).await {
            Ok(chunk) => chunk.transpose().map_err(BodyError::Disconnected),
            Err(_) => Err(BodyError::Timeout),
        }
    }

    /// Reads on, up to four times `limit`: no API server sends more. Keeps the start only.
    async fn discard(&mut self, limit: usize, mut start: Vec<u8>) -> Vec<u8> {
        let mut left = limit.saturating_mul(4);
        while let Ok(Some(chunk)) = self.next().await {
            let wanted = START.saturating_sub(start.len()).min(chunk.len());
            start.extend_from_slice(&chunk[..wanted]);
            left = left.saturating_sub(chunk.len());
            if left == 0 {
                break;
            }
        }
        start
    }
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    type Chunk = Result<Bytes, std::io::Error>;

    fn limits() -> BodyLimits {
        BodyLimits {
            largest: 100,
            small: 10,
            memory_small: 20,
            memory_large: 200,
            ..BodyLimits::default()
        }
    }

    /// A body of unknown length.
    fn chunked(chunks: Vec<Chunk>) -> Body {
        Body::from_stream(stream::iter(chunks))
    }

    fn stalled() -> Body {
        Body::from_stream(stream::pending::<Chunk>())
    }

    #[tokio::test]
    async fn a_body_up_to_the_limit_is_read() {
        let reader = BodyReader::new(limits());
        for length in [0, 10, 11, 100] {
            let body = reader.read(Body::from(vec![b'x'; length])).await.unwrap();
            assert_eq!(*body, vec![b'x'; length]);
        }
        let body = chunked(vec![Ok("ab".into()), Ok("cd".into())]);
        assert_eq!(*reader.read(body).await.unwrap(), *b"abcd");
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_thrown_away() {
        let reader = BodyReader::new(limits());
        let declared = Body::from(vec![b'x'; 101]);
        let undeclared = chunked(vec![Ok(vec![b'x'; 100].into()), Ok("x".into())]);
        for body in [declared, undeclared] {
            let read = reader.read(body).await;
            let Err(BodyError::TooLarge { limit: 100, start }) = read else {
                panic!("{read:?}")
            };
            assert_eq!(start, [b'x'; 101]);
        }
        assert_eq!(reader.large.available_permits(), 200);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_ends_is_not_thrown_away_for_ever() {
        let reader = BodyReader::new(limits());
        let endless = Body::from_stream(stream::repeat_with(|| Chunk::Ok("xxxxxxxxxx".into())));
        assert!(matches!(
            reader.read(endless).await,
            Err(BodyError::TooLarge { .. })
        ));
        let long = chunked(vec![Ok(vec![b'x'; 100_000].into()), Ok("y".into())]);
        let read = reader.read(long).await;
        assert!(matches!(read, Err(BodyError::TooLarge { start, .. }) if start == [b'x'; START]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_ends_a_body_and_a_trickle_ends_it_later() {
        let reader = BodyReader::new(limits());
        let start = Instant::now();
        assert!(matches!(
            reader.read(stalled()).await,
            Err(BodyError::Timeout)
        ));
        assert_eq!(start.elapsed(), limits().stall);

        let start = Instant::now();
        let trickle = stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Some((Chunk::Ok("x".into()), ()))
        });
        assert!(matches!(
            reader.read(Body::from_stream(trickle)).await,
            Err(BodyError::Timeout)
        ));
        assert_eq!(start.elapsed(), limits().total);
    }

    #[tokio::test]
    async fn a_broken_body_is_told_apart() {
        let reader = BodyReader::new(limits());
        let broken = chunked(vec![
            Ok("ab".into()),
            Err(std::io::ErrorKind::ConnectionReset.into()),
        ]);
        assert!(matches!(
            reader.read(broken).await,
            Err(BodyError::Disconnected(_))
        ));
    }

    #[tokio::test(start_paused = true)]
    async fn large_bodies_wait_for_memory_and_small_ones_pass_them() {
        let reader = BodyReader::new(limits());
        let large = || Body::from(vec![b'x'; 100]);
        let first = reader.read(large()).await.unwrap();
        let _second = reader.read(large()).await.unwrap();
        let mut third = Box::pin(reader.read(large()));
        assert!(futures::poll!(&mut third).is_pending());
        reader.read(Body::from("small")).await.unwrap();
        drop(first);
        let _third = third.await.unwrap();

        let start = Instant::now();
        assert!(matches!(reader.read(large()).await, Err(BodyError::Busy)));
        assert_eq!(start.elapsed(), limits().total);
    }

    #[tokio::test]
    async fn a_body_larger_than_its_lane_has_it_for_itself() {
        let reader = BodyReader::new(BodyLimits {
            memory_large: 50,
            ..limits()
        });
        let body = reader.read(Body::from(vec![b'x'; 100])).await.unwrap();
        assert_eq!((body.len(), reader.large.available_permits()), (100, 0));
    }
}
