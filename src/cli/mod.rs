//! The command line, noun then verb: one file a command, which calls the same operations as HTTP does.
//!
//! This file owns the grammar and what every command shares: where its settings come from, and its way to the database.

mod config;
mod dev;
mod failure;
mod limits;
mod output;
mod password;
mod policy;
mod resources;
mod serve;
mod table;
mod time;
mod token;
mod user;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::{Args, Parser, Subcommand};
use log::LevelFilter;

pub use self::failure::Failure;
use crate::{
    config::{Cache, Config, ConfigError, Sources},
    control::{Items, Request, client},
    logging,
    ops::{Context, clock::Clock},
    server,
    store::{
        Backend,
        cache::Capacity,
        sqlite::{Access, SqliteSettings, SqliteStore},
    },
};

const EXIT_CODES: &str = "\
Data goes to stdout, messages to stderr. Exit codes:
  0  done
  1  a defect of patd, or its output could not be written
  2  wrong usage
  3  there is no such user or token
  4  refused: a rule forbids it, and each broken rule is named
  5  unavailable: the database cannot be opened or does not answer, or the address cannot be listened on
  6  the configuration is not sound";

/// The file that is read where none is named.
const DEFAULT_FILE: &str = "config.toml";
const USING_FOUND_FILE: &str = "using ./config.toml";

/// The personal access token daemon: users, sessions and hashed API tokens in one binary.
#[derive(Debug, Parser)]
#[command(name = "patd", version, after_help = EXIT_CODES, max_term_width = 120)]
pub struct CommandLine {
    #[command(flatten)]
    shared: Shared,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server
    Serve(serve::Arguments),
    /// Run a throwaway server with a demo user, a session and a token, for development and tests
    ///
    /// Whatever the settings say, it listens on 127.0.0.1, registration is open, and its database is a temporary one,
    /// which is removed at the end. A configuration file is read only where it is named. Log lines begin at warnings
    /// unless the settings name log.level, and nothing is throttled unless they have a throttle section. It answers once
    /// it has printed what it prints.
    ///
    /// It ends on SIGINT, SIGTERM or SIGHUP, when the process that started it ends, and when its standard input closes,
    /// if that is a pipe. What an instance left that was killed is removed by the next start.
    Dev(dev::Arguments),
    /// Make, list and change users
    #[command(subcommand)]
    User(user::Command),
    /// Make, list and revoke personal access tokens
    #[command(subcommand)]
    Token(token::Command),
    /// See what a policy says before a proxy asks
    #[command(subcommand)]
    Policy(policy::Command),
    /// Look after the configuration
    #[command(subcommand)]
    Config(config::Command),
}

/// What stands before or behind any command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every command")]
struct Shared {
    /// The configuration file [default: ./config.toml, if there is one]
    #[arg(long, global = true, value_name = "FILE", env = "PATD_CONFIG", hide_env_values = true)]
    config: Option<PathBuf>,
    /// The SQLite file; wins over database.path
    #[arg(long, global = true, value_name = "PATH")]
    database: Option<String>,
}

impl CommandLine {
    /// Runs the command to its end.
    pub fn run(self) -> Result<(), Failure> {
        let Self { shared, command } = self;
        match command {
            Command::Serve(arguments) => serve::run(&shared, arguments),
            Command::Dev(arguments) => dev::run(&shared, &arguments),
            Command::User(command) => user::run(&shared, command),
            Command::Token(command) => token::run(&shared, command),
            Command::Policy(command) => policy::run(&shared, &command),
            Command::Config(command) => config::run(&shared, &command),
        }
    }
}

impl Shared {
    /// The file that is read though nobody named it, if it is there.
    fn found_file(&self) -> Option<&'static Path> {
        let lying = Path::new(DEFAULT_FILE);
        (self.config.is_none() && lying.exists()).then_some(lying)
    }

    /// All sources of settings, flags included, for a command: it says on stderr which file it found.
    fn sources(&self) -> Result<Sources, ConfigError> {
        if self.found_file().is_some() {
            output::note(USING_FOUND_FILE);
        }
        self.silent_sources()
    }

    /// The same for the server, whose stderr is for log lines alone.
    fn silent_sources(&self) -> Result<Sources, ConfigError> {
        let file = self.config.clone().or_else(|| self.found_file().map(Path::to_owned));
        let mut sources = Sources::from_process(file)?;
        let database = self.database.clone();
        sources.flags.extend(database.map(|path| ("database.path", path)));
        Ok(sources)
    }

    /// The database, for a command that is not the server.
    fn database(&self) -> Result<Database, Failure> {
        let mut config = Config::load(self.sources()?)?;
        // What a server tells its log would be noise between the lines of a command.
        config.log.level = config.log.level.min(LevelFilter::Warn);
        logging::start(&config.log);
        Ok(Database { config })
    }

    /// Has one request carried out.
    fn ask(&self, request: Request, access: Access) -> Result<Items, Failure> {
        self.database()?.ask(request, access)
    }
}

/// The database that a command is for.
struct Database {
    config: Config,
}

impl Database {
    /// Has the request carried out by the server that has the database, or here, where none has it.
    fn ask(&self, request: Request, access: Access) -> Result<Items, Failure> {
        let config = &self.config;
        server::block_on(async {
            if let Some(server) = client::find(&config.database.path).await? {
                return Ok(server.ask(&request).await?);
            }
            let ctx = context(config, Backend::new(open_store(config, access)?))?;
            ctx.start_clock().await?;
            Ok(client::carry_out(&ctx, request).await?)
        })
    }
}

/// Opens the database for a server: with a cache, unless the settings turn it off. A command looks up too little to need
/// one.
fn open_server_store(config: &Config) -> Result<Backend, Failure> {
    let store = open_store(config, Access::Server)?;
    let Cache { tokens, sessions, unknown } = config.cache;
    Ok(match tokens {
        0 => Backend::new(store),
        _ => Backend::with_cache(store, Capacity { tokens, sessions, unknown }),
    })
}

fn open_store(config: &Config, access: Access) -> Result<Arc<SqliteStore>, Failure> {
    let database = &config.database;
    let settings = SqliteSettings {
        path: database.path.clone(),
        readers: database.readers,
        pool_timeout: database.pool_timeout,
        busy_timeout: database.busy_timeout,
        write_queue: database.write_queue,
    };
    let store = SqliteStore::open(&settings, access).map_err(|error| Failure::Unavailable(error.to_string()))?;
    Ok(Arc::new(store))
}

fn context(config: &Config, backend: Backend) -> Result<Context, Failure> {
    Ok(Context::new(config, backend, Clock::system())?)
}
