//! `portico serve`.

use std::{process::ExitCode, sync::Arc};

use anyhow::Context as _;
use tokio::runtime::Runtime;

use super::{ConfigFile, complain, place::Told};
use crate::{
    compose::{Options, compose},
    config,
    supervise::asked_by_signal,
    system_clock::SystemClock,
    telemetry::log,
};

pub(super) fn serve(file: &ConfigFile) -> anyhow::Result<ExitCode> {
    let told = Told::by(file);
    let loaded = match config::load(told.file.as_deref(), told.variables) {
        Ok(loaded) => loaded,
        Err(mistakes) => {
            complain(&format!("{mistakes}\n"));
            return Ok(ExitCode::FAILURE);
        }
    };
    let log = log::start(loaded.config.log.level, loaded.config.log.format).context("starting the log")?;
    log::log_panics();
    for notice in &loaded.notices {
        tracing::warn!(place = %notice.place, "{}", notice.what);
    }
    let options = Options {
        clock: Arc::new(SystemClock),
        exempt: Vec::new(),
        log: Some(log.lines()),
    };
    runtime()?.block_on(async {
        let gateway = compose(loaded.config, options).await?;
        let (http, console, operations) = (&gateway.http, &gateway.console, &gateway.operations);
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            ?http,
            ?console,
            ?operations,
            "the gateway has its addresses"
        );
        gateway.run(asked_by_signal()?).await
    })?;
    Ok(ExitCode::SUCCESS)
}

/// The control plane's runtime; data threads have their own.
pub(super) fn runtime() -> anyhow::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("control")
        .enable_all()
        .build()
        .context("starting the runtime")
}
