//! Runs servers and the election on threads of their own, so that they do not wait for the controller.
//!
//! The controller has one thread. Two threads that share its work would wake each other for nearly every event of a
//! watch, which costs a fifth of the processor time of a start. So other threads answer reviews, for which a user's
//! write waits, and probes, by which a kubelet judges. Another holds the Lease, which must not lapse because one namespace
//! has much to be decided. Each has a runtime and connections of its own.

use std::{net::SocketAddr, thread};

use anyhow::Context as _;
use tokio::{net::TcpListener, runtime::Builder, sync::oneshot};
use tokio_util::sync::CancellationToken;

/// Runs `serve` on a thread of this name until it ends. Dropping the future ends it too, at its next await.
///
/// # Errors
/// When the thread cannot be started, or `serve` fails or panics.
pub(super) async fn on_own_thread<S, F>(
    name: &'static str,
    listener: TcpListener,
    serve: S,
) -> anyhow::Result<()>
where
    S: FnOnce(TcpListener) -> F + Send + 'static,
    F: Future<Output = anyhow::Result<()>>,
{
    let listener = listener.into_std()?;
    // A listener must be made inside the runtime that wakes it.
    let serve = move || async move { serve(TcpListener::from_std(listener)?).await };
    run_on_own_thread(name, serve).await
}

/// Runs `work` on a thread of this name until it ends. Dropping the future ends it too, at its next await.
///
/// # Errors
/// When the thread cannot be started, or `work` fails or panics.
pub(super) async fn run_on_own_thread<W, F>(name: &'static str, work: W) -> anyhow::Result<()>
where
    W: FnOnce() -> F + Send + 'static,
    F: Future<Output = anyhow::Result<()>>,
{
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot wait for input and output")?;
    let dropped = CancellationToken::new();
    let _drop = dropped.clone().drop_guard();
    let (ended, end) = oneshot::channel();
    let work = move || {
        let working = async { work().await };
        let result = runtime.block_on(dropped.run_until_cancelled(working));
        // If the future was dropped, no task receives this.
        let _ = ended.send(result.unwrap_or(Ok(())));
    };
    let thread = thread::Builder::new().name(name.to_owned());
    thread.spawn(work).context("cannot start a thread")?;
    end.await.context("a thread broke down")?
}

/// Listens on an address. The error names the flag that sets another address.
pub(super) async fn bind(address: SocketAddr, flag: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address} ({flag})"))
}

#[cfg(test)]
mod tests {
    use std::{
        sync::mpsc::{self, RecvTimeoutError},
        time::Duration,
    };

    use anyhow::bail;

    use super::*;

    const PATIENCE: Duration = Duration::from_mins(5);

    async fn listener() -> TcpListener {
        TcpListener::bind("127.0.0.1:0").await.unwrap()
    }

    #[tokio::test]
    async fn it_accepts_though_nobody_else_does_anything() {
        let listener = listener().await;
        let address = listener.local_addr().unwrap();
        let serve = async |listener: TcpListener| {
            let accepted = tokio::spawn(async move { listener.accept().await.map(drop) });
            accepted.await??;
            bail!("accepted by {:?}", thread::current().name())
        };
        let mut served = Box::pin(on_own_thread("server", listener, serve));
        assert!(futures::poll!(&mut served).is_pending());
        // This thread, with its runtime, is busy until the other thread has closed the connection.
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        std::io::Read::read(&mut stream, &mut [0]).unwrap();
        let served = served.await.unwrap_err();
        assert_eq!(served.to_string(), "accepted by Some(\"server\")");
    }

    #[tokio::test]
    async fn a_panic_is_told() {
        let broke = on_own_thread("server", listener().await, async |_| panic!("as it must"));
        assert_eq!(broke.await.unwrap_err().to_string(), "a thread broke down");
    }

    #[tokio::test]
    async fn it_ends_with_who_waits_for_it() {
        let (held, released) = mpsc::channel::<()>();
        let serve = async move |_| {
            let _held = held;
            std::future::pending().await
        };
        let mut served = Box::pin(on_own_thread("server", listener().await, serve));
        assert!(futures::poll!(&mut served).is_pending());
        drop(served);
        // The thread drops what it held.
        let released = released.recv_timeout(PATIENCE);
        assert_eq!(released, Err(RecvTimeoutError::Disconnected));
    }
}
