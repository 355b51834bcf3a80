//! Reading the body of a request in bounded memory and time.
//!
//! An `AdmissionReview` of an UPDATE carries an object twice, and a ConfigMap of 1 MiB can be 6 MiB of escaped JSON. So some
//! bodies must be large. Only few of those are read at once. They have a lane of their own, so that small bodies do not wait
//! behind them.
//!
//! A body takes memory as it comes: what it declares costs its sender nothing, and so gets it nothing. Where memory is short,
//! the slowest gives way ([`super::places`]).

use std::{
    ops::{Deref, Range},
    sync::Arc,
    time::Duration,
};

use axum::body::{Body, BodyDataStream, Bytes, HttpBody};
use futures::StreamExt;
use tokio::time::{Instant, timeout_at};

use super::{
    places::{Bounds, Place, Places, Standing},
    requests::Caller,
};

/// How much of a body that is too large is kept, to answer its sender.
const START: usize = 4096;
/// How much memory a body takes first. It doubles what it has when that is full.
const FIRST: usize = 4096;

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
    /// How long it may take to send 64 KiB, or a sixteenth of what came before, while others wait for memory.
    pub fresh: Duration,
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
            fresh: Duration::from_millis(100),
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
    /// Others waited for memory, and this one got on least.
    #[error("the request's body came too slowly, and others waited")]
    Slow,
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
    small: Arc<Places>,
    large: Arc<Places>,
}

impl BodyReader {
    /// Returns a reader with all of its memory free.
    pub fn new(limits: BodyLimits) -> Self {
        let lane = |all: usize, share: usize, claim: usize| {
            let fresh = limits.fresh;
            Arc::new(Places::new(Bounds {
                all,
                share,
                claim,
                fresh,
            }))
        };
        let (small, large) = (limits.memory_small, limits.memory_large);
        // What one connection leaves is enough for the largest body of another.
        let largest = limits.largest.min(large);
        Self {
            limits,
            small: lane(
                small,
                (small / 2).max(limits.small.min(small)),
                limits.small,
            ),
            large: lane(large, (large - largest).max(largest), largest),
        }
    }

    /// Reads a body. It takes memory as it comes, of the share of the connection it comes on, and the memory is free again
    /// when the answer is dropped.
    ///
    /// A body that is too large is read on for a while and thrown away, so that the answer arrives. Otherwise hyper would
    /// close an HTTP/1 connection on a client that is still sending, whose system then discards the answer with the reset.
    /// Such a client gets its answer when it has sent everything, and keeps its connection.
    ///
    /// # Errors
    /// When the body is too large, comes too slowly or breaks off, or there is no memory for it in time.
    pub async fn read(&self, caller: Option<Caller>, body: Body) -> Result<HeldBody, BodyError> {
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
        let most = declared.unwrap_or(limit);
        let connection = caller.map(|caller| caller.connection);
        let mut memory = self.small.enter(connection, most.min(self.limits.small));
        let mut bytes = Vec::new();
        while let Some(chunk) = chunks.next_unless_cut(&memory).await? {
            let length = bytes.len() + chunk.len();
            if length > limit {
                bytes.extend_from_slice(&chunk[..chunk.len().min(START)]);
                bytes.truncate(START);
                bytes.shrink_to_fit();
                drop(memory);
                let start = chunks.discard(limit, bytes).await;
                return Err(BodyError::TooLarge { limit, start });
            }
            memory.came(chunk.len());
            if length > bytes.capacity() {
                let to = (2 * bytes.capacity()).max(FIRST).min(most).max(length);
                let grown = self.grow(memory, bytes.capacity()..to, most, connection);
                memory = match timeout_at(deadline, grown).await {
                    Ok(grown) => grown?,
                    Err(_) => return Err(BodyError::Busy),
                };
                bytes.reserve_exact(to - bytes.len());
            }
            bytes.extend_from_slice(&chunk);
        }
        memory.gets_on(Standing::Owed);
        Ok(HeldBody {
            bytes: Bytes::from(bytes),
            _memory: memory,
        })
    }

    /// Returns the memory for a body that grows so, to `claim` at most, in the lane for its size.
    async fn grow(
        &self,
        memory: Place,
        has: Range<usize>,
        claim: usize,
        connection: Option<u64>,
    ) -> Result<Place, BodyError> {
        let small = self.limits.small;
        let moves = has.start <= small && has.end > small;
        let (place, more) = if moves {
            (self.large.enter(connection, claim), has.end)
        } else {
            (memory, has.len())
        };
        match place.take(more).await {
            Ok(()) => Ok(place),
            Err(_) if place.was_cut() => Err(BodyError::Slow),
            Err(_) => Err(BodyError::Busy),
        }
    }
}

/// A body that was read, with its share of the memory.
#[derive(Debug)]
pub struct HeldBody {
    bytes: Bytes,
    _memory: Place,
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
    async fn next_unless_cut(&mut self, memory: &Place) -> Result<Option<Bytes>, BodyError> {
        tokio::select! {
            biased;
            () = memory.is_cut() => Err(BodyError::Slow),
            next = self.next() => next,
        }
    }

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
    use std::{
        convert::Infallible,
        pin::Pin,
        task::{Context, Poll},
    };

    use futures::{channel::mpsc, stream};
    use hyper::body::{Frame, SizeHint};

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
            let body = reader
                .read(None, Body::from(vec![b'x'; length]))
                .await
                .unwrap();
            assert_eq!(*body, vec![b'x'; length]);
        }
        let body = chunked(vec![Ok("ab".into()), Ok("cd".into())]);
        assert_eq!(*reader.read(None, body).await.unwrap(), *b"abcd");
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_thrown_away() {
        let reader = BodyReader::new(limits());
        let declared = Body::from(vec![b'x'; 101]);
        let undeclared = chunked(vec![Ok(vec![b'x'; 100].into()), Ok("x".into())]);
        for body in [declared, undeclared] {
            let read = reader.read(None, body).await;
            let Err(BodyError::TooLarge { limit: 100, start }) = read else {
                panic!("{read:?}")
            };
            assert_eq!(start, [b'x'; 101]);
        }
        assert_eq!(reader.large.taken(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_ends_is_not_thrown_away_for_ever() {
        let reader = BodyReader::new(limits());
        let endless = Body::from_stream(stream::repeat_with(|| Chunk::Ok("xxxxxxxxxx".into())));
        assert!(matches!(
            reader.read(None, endless).await,
            Err(BodyError::TooLarge { .. })
        ));
        let long = chunked(vec![Ok(vec![b'x'; 100_000].into()), Ok("y".into())]);
        let read = reader.read(None, long).await;
        assert!(matches!(read, Err(BodyError::TooLarge { start, .. }) if start == [b'x'; START]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_ends_a_body_and_a_trickle_ends_it_later() {
        let reader = BodyReader::new(limits());
        let start = Instant::now();
        assert!(matches!(
            reader.read(None, stalled()).await,
            Err(BodyError::Timeout)
        ));
        assert_eq!(start.elapsed(), limits().stall);

        let start = Instant::now();
        let trickle = stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Some((Chunk::Ok("x".into()), ()))
        });
        assert!(matches!(
            reader.read(None, Body::from_stream(trickle)).await,
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
            reader.read(None, broken).await,
            Err(BodyError::Disconnected(_))
        ));
    }

    #[tokio::test(start_paused = true)]
    async fn large_bodies_wait_for_memory_and_small_ones_pass_them() {
        let reader = BodyReader::new(limits());
        let large = || Body::from(vec![b'x'; 100]);
        let first = reader.read(None, large()).await.unwrap();
        let _second = reader.read(None, large()).await.unwrap();
        let mut third = Box::pin(reader.read(None, large()));
        assert!(futures::poll!(&mut third).is_pending());
        reader.read(None, Body::from("small")).await.unwrap();
        drop(first);
        let _third = third.await.unwrap();

        let start = Instant::now();
        assert!(matches!(
            reader.read(None, large()).await,
            Err(BodyError::Busy)
        ));
        assert_eq!(start.elapsed(), limits().total);
    }

    #[tokio::test]
    async fn a_body_larger_than_its_lane_has_it_for_itself() {
        let reader = BodyReader::new(BodyLimits {
            memory_large: 50,
            ..limits()
        });
        let body = reader
            .read(None, Body::from(vec![b'x'; 100]))
            .await
            .unwrap();
        assert_eq!((body.len(), reader.large.taken()), (100, 50));
    }

    /// Declares more than has come.
    struct Declares(u64, mpsc::UnboundedReceiver<Bytes>);

    impl HttpBody for Declares {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            let chunk = self.1.poll_next_unpin(context);
            chunk.map(|chunk| chunk.map(|chunk| Ok(Frame::data(chunk))))
        }

        fn size_hint(&self) -> SizeHint {
            SizeHint::with_exact(self.0)
        }
    }

    #[tokio::test]
    async fn a_body_takes_memory_as_it_comes_whatever_it_declares() {
        let reader = BodyReader::new(BodyLimits::default());
        let (send, receive) = mpsc::unbounded();
        let declares = Body::new(Declares(1 << 20, receive));
        let mut read = Box::pin(reader.read(None, declares));
        for (comes, small, large) in [
            (0, 0, 0),
            (1, 4096, 0),
            (4095, 4096, 0),
            (1, 8192, 0),
            ((256 << 10) - 4097, 256 << 10, 0),
            (1, 0, 512 << 10),
            (300 << 10, 0, 1 << 20),
        ] {
            send.unbounded_send(vec![b'x'; comes].into()).unwrap();
            assert!(futures::poll!(&mut read).is_pending());
            assert_eq!((reader.small.taken(), reader.large.taken()), (small, large));
        }
        drop(send);
        let read = read.await.unwrap();
        assert_eq!(read.len(), (556 << 10) + 1);
        drop(read);
        assert_eq!((reader.small.taken(), reader.large.taken()), (0, 0));
    }
}
