//! `patd serve`: the server, from its settings to its last request.

use std::{io, net::SocketAddr};

use clap::Args;
use rustix::process::Signal;
use tokio::{
    signal::unix::{self, SignalKind, signal},
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
};

use super::{Failure, Shared, USING_FOUND_FILE, context, open_server_store, resources};
use crate::{
    config::Config,
    domain::text::shell_word,
    logging,
    ops::{Context, accounts},
    server::{self, Server},
};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Where to listen; wins over server.bind
    #[arg(long, value_name = "ADDR")]
    bind: Option<String>,
    /// Believe the system clock, whatever times the database holds
    ///
    /// A server distrusts a system clock that is behind the latest time in the database by more than a minute, or ahead of
    /// it by more than a year: it issues nothing then. If the system clock is right all the same, because the database holds
    /// a wrong time or the server was off for over a year, start once with this flag.
    #[arg(long)]
    trust_clock: bool,
}

pub(super) fn run(shared: &Shared, arguments: Arguments) -> Result<(), Failure> {
    let mut sources = shared.silent_sources()?;
    sources.flags.extend(arguments.bind.map(|bind| ("server.bind", bind)));
    let first_user = first_user_command(shared, &sources.environment);
    let mut config = Config::load(sources)?;
    logging::start(&config.log);
    if shared.found_file().is_some() {
        log::info!("{USING_FOUND_FILE}");
    }
    resources::fit(&mut config)?;
    server::block_on(serve(&config, arguments.trust_clock, &first_user))
}

async fn serve(config: &Config, trust_clock: bool, first_user: &str) -> Result<(), Failure> {
    let stop = stop_signals()?;
    let ctx = context(config, open_server_store(config)?)?;
    if trust_clock {
        ctx.trust_system_clock().await?;
    }
    ctx.start().await?;
    let empty = has_no_user(&ctx).await?;
    let bind = config.server.bind;
    let mut server = Server::start(config, ctx).map_err(|error| cannot_listen(bind, &error))?;
    server.ready().await.map_err(ended)?;
    let address = server.address;
    log::info!(address:%; "listening on http://{address}");
    if !address.ip().to_canonical().is_loopback() {
        log::warn!("server.bind is open to other machines, in plain HTTP: let a reverse proxy end TLS in front of it");
    }
    if empty {
        log::info!("there is no user yet; make the first with: {first_user}");
    }
    server.run(stop).await.map_err(ended)
}

async fn has_no_user(ctx: &Context) -> Result<bool, Failure> {
    Ok(accounts::list(ctx, None, 1).await?.is_empty())
}

/// The command that makes a user in the database of this run, whatever named it.
fn first_user_command(shared: &Shared, environment: &[(String, String)]) -> String {
    let mut command = "patd user create --email you@example.com --name \"Your Name\"".to_owned();
    let in_environment = environment.iter().find(|(name, _)| name == "PATD__DATABASE__PATH").map(|(_, path)| path);
    if let Some(file) = &shared.config {
        command += &format!(" --config {}", shell_word(&file.to_string_lossy()));
    }
    if let Some(path) = shared.database.as_ref().or(in_environment) {
        command += &format!(" --database {}", shell_word(path));
    }
    command
}

pub(super) fn cannot_listen(address: SocketAddr, error: &io::Error) -> Failure {
    let why = match error.kind() {
        io::ErrorKind::AddrInUse => "something listens there already".to_owned(),
        _ => error.to_string(),
    };
    Failure::Unavailable(format!(
        "cannot listen on {address} (server.bind): {why}; name another address, of which port 0 takes any free one"
    ))
}

pub(super) fn ended(error: io::Error) -> Failure {
    Failure::Defect(format!("the server ended: {error}"))
}

/// SIGTERM and SIGINT from now on, as [`Server::run`] takes them: they end the process no more.
fn stop_signals() -> Result<UnboundedReceiver<()>, Failure> {
    let (stop, stopped) = unbounded_channel();
    send_signals(&stop)?;
    outlive_file_size_limit()?;
    Ok(stopped)
}

/// A file that reaches the limit of the process (`ulimit -f`) refuses the write, as a full disk does. Without this, the
/// signal would end the process.
fn outlive_file_size_limit() -> Result<(), Failure> {
    signal(SignalKind::from_raw(Signal::XFSZ.as_raw())).map(drop).map_err(no_signals)
}

/// Sends each SIGTERM and SIGINT from now on to `stop`.
pub(super) fn send_signals(stop: &UnboundedSender<()>) -> Result<(), Failure> {
    send_signal(SignalKind::terminate(), stop)?;
    send_signal(SignalKind::interrupt(), stop)
}

/// Sends each signal of this kind from now on to `stop`.
pub(super) fn send_signal(kind: SignalKind, stop: &UnboundedSender<()>) -> Result<(), Failure> {
    let signals = signal(kind).map_err(no_signals)?;
    tokio::spawn(forward(signals, stop.clone()));
    Ok(())
}

fn no_signals(error: io::Error) -> Failure {
    Failure::Defect(format!("signals cannot be awaited: {error}"))
}

async fn forward(mut signals: unix::Signal, sender: UnboundedSender<()>) {
    while signals.recv().await.is_some() && sender.send(()).is_ok() {}
}
