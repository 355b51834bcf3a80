//! What asks the process to end: SIGTERM and SIGINT, or Ctrl-C where there are no signals.

/// Returns a future that ends when the process is asked to. From now on it does not end by itself then.
#[cfg(unix)]
pub(super) fn asked() -> anyhow::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};

    let signals = [SignalKind::terminate(), SignalKind::interrupt()].map(signal);
    let [Ok(mut terminate), Ok(mut interrupt)] = signals else {
        anyhow::bail!("cannot listen for signals")
    };
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Returns a future that ends when the process is asked to. From now on it does not end by itself then.
#[cfg(windows)]
pub(super) fn asked() -> anyhow::Result<impl Future<Output = ()>> {
    let mut interrupt = tokio::signal::windows::ctrl_c()?;
    Ok(async move {
        interrupt.recv().await;
    })
}
