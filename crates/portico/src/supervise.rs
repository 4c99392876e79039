//! Everything that runs, in one place: who is started, who ended, and in which order all stop.

use std::{panic::AssertUnwindSafe, time::Duration};

use anyhow::{Context as _, anyhow};
use futures_util::FutureExt as _;
use tokio::{signal::unix::SignalKind, task::JoinSet};
use tokio_util::sync::CancellationToken;

/// How long the control plane may take to end after the data plane has.
const CONTROL_GRACE: Duration = Duration::from_secs(5);

/// Runs named tasks until it is told to stop or one of them ends by itself, which is a crash.
///
/// There are two tokens: `drain` asks the data plane to finish what it has; `stop` ends the control plane, which keeps answering
/// the data plane's questions until then.
#[derive(Debug, Default)]
pub struct Supervisor {
    control: JoinSet<(&'static str, anyhow::Result<()>)>,
    data: JoinSet<(&'static str, anyhow::Result<()>)>,
    drain: CancellationToken,
    stop: CancellationToken,
}

impl Supervisor {
    /// The token that asks the data plane to finish.
    pub fn drain(&self) -> CancellationToken {
        self.drain.clone()
    }

    /// The token that ends the control plane.
    pub fn stop(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Starts a part of the control plane. It ends when [`Supervisor::stop`] is cancelled, and not before.
    pub fn control(&mut self, name: &'static str, work: impl Future<Output = anyhow::Result<()>> + Send + 'static) {
        self.control.spawn(named(name, work));
    }

    /// Starts a part of the data plane. It ends some time after [`Supervisor::drain`] is cancelled, and not before.
    pub fn data(&mut self, name: &'static str, work: impl Future<Output = anyhow::Result<()>> + Send + 'static) {
        self.data.spawn(named(name, work));
    }

    /// Runs until `asked_to_stop` resolves or a part ends by itself; then drains, stops, and returns.
    ///
    /// # Errors
    /// The part that ended by itself, and why.
    pub async fn run(mut self, asked_to_stop: impl Future<Output = ()>) -> anyhow::Result<()> {
        let verdict = tokio::select! {
            () = asked_to_stop => Ok(()),
            Some(ended) = self.control.join_next() => Err(crash(ended)),
            Some(ended) = self.data.join_next() => Err(crash(ended)),
        };
        match &verdict {
            Ok(()) => tracing::info!("stopping: finishing what is open"),
            Err(error) => tracing::error!("stopping: {error:#}"),
        }
        self.drain.cancel();
        let drained = join_all(&mut self.data).await;
        self.stop.cancel();
        let stopped = tokio::time::timeout(CONTROL_GRACE, join_all(&mut self.control))
            .await
            .unwrap_or_else(|_| {
                tracing::warn!("parts of the control plane did not end within {CONTROL_GRACE:?} and are dropped");
                Ok(())
            });
        verdict.and(drained).and(stopped)
    }
}

/// Resolves at the first SIGTERM or SIGINT. At the second, the process ends at once.
///
/// # Errors
/// The signals cannot be listened to.
pub fn asked_by_signal() -> anyhow::Result<impl Future<Output = ()>> {
    let listen = |kind| tokio::signal::unix::signal(kind).context("listening to signals");
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "waits for the impatient operator; ends with the process"
        )]
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            tracing::warn!("asked twice: ending at once");
            std::process::exit(130);
        });
    })
}

async fn named(
    name: &'static str,
    work: impl Future<Output = anyhow::Result<()>> + Send,
) -> (&'static str, anyhow::Result<()>) {
    let result = AssertUnwindSafe(work).catch_unwind().await;
    (
        name,
        result.unwrap_or_else(|_| Err(anyhow!("it panicked; the log above says where"))),
    )
}

fn crash(ended: Result<(&'static str, anyhow::Result<()>), tokio::task::JoinError>) -> anyhow::Error {
    match ended {
        Ok((name, Ok(()))) => anyhow!("{name} ended although nobody asked it to"),
        Ok((name, Err(error))) => error.context(format!("{name} failed")),
        Err(error) => anyhow!(error),
    }
}

async fn join_all(parts: &mut JoinSet<(&'static str, anyhow::Result<()>)>) -> anyhow::Result<()> {
    let mut verdict = Ok(());
    while let Some(ended) = parts.join_next().await {
        if !matches!(ended, Ok((_, Ok(())))) && verdict.is_ok() {
            verdict = Err(crash(ended));
        }
    }
    verdict
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[tokio::test]
    async fn the_control_plane_outlives_the_data_plane() {
        let order: Arc<Mutex<Vec<&str>>> = Arc::default();
        let mut supervisor = Supervisor::default();
        let (drain, stop) = (supervisor.drain(), supervisor.stop());
        let (one, two) = (order.clone(), order.clone());
        supervisor.control("control", async move {
            stop.cancelled().await;
            one.lock().expect("not poisoned").push("control");
            Ok(())
        });
        supervisor.data("data", async move {
            drain.cancelled().await;
            tokio::task::yield_now().await;
            two.lock().expect("not poisoned").push("data");
            Ok(())
        });
        supervisor.run(async {}).await.expect("a clean end");
        assert_eq!(*order.lock().expect("not poisoned"), ["data", "control"]);
    }

    #[tokio::test]
    async fn a_part_that_ends_by_itself_takes_the_process_down_by_name() {
        for (work, said) in [
            (Ok(()), "source ended although nobody asked it to"),
            (Err(anyhow!("no memory")), "source failed: no memory"),
        ] {
            let mut supervisor = Supervisor::default();
            supervisor.control("source", async move { work });
            let error = supervisor.run(std::future::pending()).await.expect_err("a crash");
            assert_eq!(format!("{error:#}"), said);
        }
    }

    #[tokio::test]
    async fn a_panic_is_a_crash_with_a_name() {
        let mut supervisor = Supervisor::default();
        supervisor.data("proxy", async { panic!("on purpose") });
        let error = supervisor.run(std::future::pending()).await.expect_err("a crash");
        assert!(
            format!("{error:#}").starts_with("proxy failed: it panicked"),
            "{error:#}"
        );
    }
}
