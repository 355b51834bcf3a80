//! Threads of their own, for what must not wait for the controller.
//!
//! The controller has one thread: two that share its work wake each other for nearly every event of a watch, which is
//! a fifth of the processor time of a start. So reviews, which somebody's write waits for, and probes, by which a
//! kubelet judges, are answered on others, each with a runtime and connections of its own.

use std::{net::SocketAddr, thread};

use anyhow::Context as _;
use tokio::{net::TcpListener, runtime::Builder, sync::oneshot};
use tokio_util::sync::CancellationToken;

/// Serves as `serve` does, on a thread of that name, until it ends. Dropping the future ends it as well, at its next
/// await.
///
/// # Errors
/// When there can be no thread, or serving fails or panics.
pub(super) async fn on_own_thread<S, F>(
    name: &'static str,
    listener: TcpListener,
    serve: S,
) -> anyhow::Result<()>
where
    S: FnOnce(TcpListener) -> F + Send + 'static,
    F: Future<Output = anyhow::Result<()>>,
{
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot wait for input and output")?;
    let listener = listener.into_std()?;
    let dropped = CancellationToken::new();
    let _drop = dropped.clone().drop_guard();
    let (ended, end) = oneshot::channel();
    let work = move || {
        // What waits for input is woken by the runtime that it begins in.
        let serving = async { serve(TcpListener::from_std(listener)?).await };
        let result = runtime.block_on(dropped.run_until_cancelled(serving));
        // Nobody listens who dropped it.
        let _ = ended.send(result.unwrap_or(Ok(())));
    };
    let thread = thread::Builder::new().name(name.to_owned());
    thread.spawn(work).context("cannot start a thread")?;
    end.await.context("a thread broke down")?
}

/// Listens, or says by which flag another address is given.
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
        // This thread, and its runtime with it, is busy until the other has closed the connection.
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
        // What it held is let go of.
        let released = released.recv_timeout(PATIENCE);
        assert_eq!(released, Err(RecvTimeoutError::Disconnected));
    }
}
