//! Signals that stop the server, as messages for [`crate::server::Server::run`].

use std::io;

use rustix::process::Signal;
use tokio::{
    runtime::Builder,
    signal::unix::{self, SignalKind, signal},
    sync::mpsc::UnboundedSender,
};

use super::{failure::Failure, service_manager};

/// Sends a message to `stop` for each SIGTERM and SIGINT. They no longer end the process.
pub(super) fn forward_stop_signals(stop: &UnboundedSender<()>) -> Result<(), Failure> {
    forward_signal(SignalKind::terminate(), stop)?;
    forward_signal(SignalKind::interrupt(), stop)
}

/// Sends a message to `stop` for each signal of this kind.
pub(super) fn forward_signal(kind: SignalKind, stop: &UnboundedSender<()>) -> Result<(), Failure> {
    let signals = signal(kind).map_err(cannot_handle)?;
    tokio::spawn(forward(signals, stop.clone()));
    Ok(())
}

/// The SIGHUPs that arrive from now on. They no longer end the process.
pub(super) fn hangups() -> Result<unix::Signal, Failure> {
    signal(SignalKind::hangup()).map_err(cannot_handle)
}

/// Ignores SIGXFSZ, which would end the process when a file reaches the limit of `ulimit -f`. The write then fails, as on a
/// full disk.
pub(super) fn ignore_file_size_signal() -> Result<(), Failure> {
    // The handler stays when this runtime is gone.
    let runtime = Builder::new_current_thread().enable_io().build().map_err(cannot_handle)?;
    let _entered = runtime.enter();
    signal(SignalKind::from_raw(Signal::XFSZ.as_raw())).map(drop).map_err(cannot_handle)
}

fn cannot_handle(error: io::Error) -> Failure {
    Failure::Defect(format!("signals cannot be handled: {error}"))
}

async fn forward(mut signals: unix::Signal, stop: UnboundedSender<()>) {
    while signals.recv().await.is_some() {
        service_manager::stopping();
        if stop.send(()).is_err() {
            return;
        }
    }
}
