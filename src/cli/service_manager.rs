//! What patd tells the service manager that started it, such as systemd, and the socket that it takes over from it.
//!
//! Without a service manager, these functions do nothing.

use std::net::TcpListener;

use listenfd::ListenFd;
use sd_notify::NotifyState;

use super::failure::Failure;

/// The server accepts connections. `status` is one line for people.
pub(super) fn ready(status: &str) {
    notify(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// The configuration is being read again. [`ready`] must follow.
pub(super) fn reloading() {
    // systemd 253 and newer compare this time with that of their request.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(error) => log::debug!(error:%; "the monotonic clock cannot be read"),
    }
}

/// The shutdown begins.
pub(super) fn stopping() {
    notify(&[NotifyState::Stopping, NotifyState::Status("waiting for requests in progress")]);
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        log::warn!(error:%; "the service manager cannot be reached");
    }
}

/// The listener that the service manager keeps open over restarts (socket activation), if it does. Call it before the first
/// thread starts: it removes variables of the environment.
pub(super) fn passed_listener() -> Result<Option<TcpListener>, Failure> {
    let mut passed = ListenFd::from_env();
    let cannot_use = |reason: String| {
        Failure::Unavailable(format!(
            "the socket of the service manager cannot be used: {reason}; give the socket unit one ListenStream with an address \
             and a port"
        ))
    };
    match passed.len() {
        0 => Ok(None),
        1 => passed.take_tcp_listener(0).map_err(|error| cannot_use(error.to_string())),
        several => Err(cannot_use(format!("it passes {several} sockets"))),
    }
}
