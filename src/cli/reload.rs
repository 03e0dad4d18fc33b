//! Reads the configuration again on SIGHUP, while the server runs.

use tokio::signal::unix::Signal;

use super::service_manager;
use crate::{
    config::{Config, Reloaded, Sources},
    logging,
    server::Reloader,
};

/// What a running server was configured with.
pub(super) struct Configuration {
    /// Where the settings came from.
    pub(super) sources: Sources,
    /// The settings, before they were fitted to this machine.
    pub(super) running: Config,
}

/// Reads the configuration again after each signal. Requests that begin after that are judged by the new settings, all of them
/// together. If there is an error, all settings stay as they are.
pub(super) async fn on_hangup(
    mut hangups: Signal,
    mut configuration: Configuration,
    reloader: Reloader,
    status: String,
) {
    while hangups.recv().await.is_some() {
        service_manager::reloading();
        match configuration.reload(&reloader) {
            Ok(()) => service_manager::ready(&status),
            Err(failed) => service_manager::ready(&format!("{status}; {failed}")),
        }
    }
}

impl Configuration {
    /// The error is one line for people.
    fn reload(&mut self, reloader: &Reloader) -> Result<(), String> {
        let new = match Config::load(self.sources.clone()) {
            Ok(new) => new,
            Err(errors) => {
                for error in &errors.0 {
                    log::error!(error:%; "the configuration has an error, so all settings stay as they were");
                }
                return Err(failure(&errors.0));
            }
        };
        let Reloaded { config, applied, need_restart } = self.running.reloaded(new);
        reloader.reload(&config);
        // The line about it is shown if the old level or the new one shows it.
        logging::set_level(config.log.level.max(self.running.log.level));
        match applied.is_empty() {
            true => log::info!("the configuration was read again; no setting was changed that needs no restart"),
            false => log::info!(settings = applied.join(","); "the configuration was read again and applied"),
        }
        let level = config.log.level;
        self.running = config;
        if !need_restart.is_empty() {
            log::warn!(settings = need_restart.join(","); "these settings have changed and need a restart");
        }
        logging::set_level(level);
        Ok(())
    }
}

/// The first error, and how many others there are. All of them are in the log.
fn failure(errors: &[impl ToString]) -> String {
    // The service manager takes one line.
    let first = errors.first().map(|error| error.to_string().replace('\n', " ")).unwrap_or_default();
    match errors.len() {
        0 | 1 => format!("the last reload failed: {first}"),
        several => format!("the last reload failed: {first} (and {} more)", several - 1),
    }
}
