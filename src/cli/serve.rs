//! `patd serve`: runs the server until a signal stops it.

use std::{
    io,
    net::{SocketAddr, TcpListener},
};

use clap::Args;
use tokio::sync::mpsc::unbounded_channel;

use super::{
    failure::Failure,
    global::{GlobalOptions, USING_DEFAULT_FILE},
    reload::{self, Configuration},
    resources, service_manager, signals,
};
use crate::{
    compose::{self, SystemClock},
    config::Config,
    domain::text::shell_word,
    logging,
    ops::{Context, accounts, clock::Clock},
    server,
    store::Access,
};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The address to listen on, such as 127.0.0.1:8080; overrides server.bind
    #[arg(long, value_name = "ADDR")]
    bind: Option<String>,
    /// Trust the system clock, even if it contradicts the times in the database
    ///
    /// The server issues nothing while the system clock is more than a minute behind the latest time in the database, or
    /// more than a year ahead of it. If the system clock is right, because the database holds a wrong time or the server
    /// was off for more than a year, start once with this flag.
    #[arg(long)]
    trust_clock: bool,
}

pub(super) fn run(options: &GlobalOptions, arguments: Arguments) -> Result<(), Failure> {
    let mut sources = options.server_sources()?;
    sources.flags.extend(arguments.bind.map(|bind| ("server.bind", bind)));
    let first_user = first_user_command(options, &sources.environment);
    let mut config = Config::load(sources.clone())?;
    logging::start(&config.log);
    let listener = service_manager::passed_listener()?;
    if options.default_file().is_some() {
        log::info!("{USING_DEFAULT_FILE}");
    }
    let configuration = Configuration { sources, running: config.clone() };
    resources::fit(&mut config)?;
    server::block_on(serve(&config, configuration, listener, arguments.trust_clock, &first_user))
}

async fn serve(
    config: &Config,
    configuration: Configuration,
    passed: Option<TcpListener>,
    trust_clock: bool,
    first_user: &str,
) -> Result<(), Failure> {
    let (stop, stopped) = unbounded_channel();
    signals::forward_stop_signals(&stop)?;
    let hangups = signals::hangups()?;
    let backend = compose::with_cache(config, compose::open_store(config, Access::Server)?);
    let system_clock = if trust_clock { SystemClock::Trusted } else { SystemClock::Checked };
    let context = compose::start_context(config, backend, Clock::system(), system_clock).await?;
    let has_no_user = has_no_user(&context).await?;
    let bind = config.server.bind;
    let is_passed = passed.is_some();
    let listener = match passed {
        Some(listener) => listener,
        None => compose::listen(bind).map_err(|error| cannot_listen(bind, &error))?,
    };
    let mut server = compose::start_server(config, listener, context).await.map_err(cannot_start)?;
    if is_passed {
        server.hand_over_socket();
        log::info!("the socket comes from the service manager; server.bind is not used");
    }
    let address = server.address;
    log::info!(address:%; "listening on http://{address}");
    if !address.ip().to_canonical().is_loopback() {
        log::warn!(
            "server.bind accepts connections from other machines over plain HTTP; use a reverse proxy that terminates TLS"
        );
    }
    if let Some(metrics) = server.metrics_address() {
        log::info!(address:% = metrics; "metrics are at http://{metrics}/metrics");
        if !metrics.ip().to_canonical().is_loopback() {
            log::warn!(
                "metrics.bind accepts connections from other machines, and asks for no credential; let only your monitoring reach it"
            );
        }
    }
    if has_no_user {
        log::info!("there is no user yet; create the first, an administrator, with: {first_user}");
    }
    let status = format!("listening on http://{address}");
    service_manager::ready(&status);
    let reloading = tokio::spawn(reload::on_hangup(hangups, configuration, server.reloader(), status));
    let ended = server.run(stopped).await.map_err(self::ended);
    reloading.abort();
    ended
}

async fn has_no_user(context: &Context) -> Result<bool, Failure> {
    Ok(!accounts::exist(context).await?)
}

/// The command that creates an administrator in the database of this server.
fn first_user_command(options: &GlobalOptions, environment: &[(String, String)]) -> String {
    let mut command = "patd user create --admin --email you@example.com --name \"Your Name\"".to_owned();
    let in_environment = environment.iter().find(|(name, _)| name == "PATD__DATABASE__PATH").map(|(_, path)| path);
    if let Some(file) = &options.config {
        command += &format!(" --config {}", shell_word(&file.to_string_lossy()));
    }
    if let Some(path) = options.database.as_ref().or(in_environment) {
        command += &format!(" --database {}", shell_word(path));
    }
    command
}

fn cannot_listen(address: SocketAddr, error: &io::Error) -> Failure {
    let reason = match error.kind() {
        io::ErrorKind::AddrInUse => "another program already listens there".to_owned(),
        _ => error.to_string(),
    };
    Failure::Unavailable(format!(
        "cannot listen on {address} (server.bind): {reason}; choose another address, or port 0 for any free port"
    ))
}

pub(super) fn cannot_start(error: io::Error) -> Failure {
    Failure::Unavailable(format!("the server cannot start: {error}"))
}

pub(super) fn ended(error: io::Error) -> Failure {
    Failure::Defect(format!("the server stopped unexpectedly: {error}"))
}
