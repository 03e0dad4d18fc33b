//! The options of every command, and what follows from them: the sources of the settings and access to the database.

use std::path::{Path, PathBuf};

use clap::Args;
use log::LevelFilter;

use super::{failure::Failure, terminal};
use crate::{
    compose,
    config::{Config, ConfigError, Sources},
    control::{Items, Request, client},
    logging, server,
    store::Access,
};

/// The configuration file that is read if no other is named.
const DEFAULT_FILE: &str = "config.toml";
pub(super) const USING_DEFAULT_FILE: &str = "using ./config.toml";

#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(super) struct GlobalOptions {
    /// The configuration file [default: ./config.toml if it exists, except for patd dev]
    #[arg(long, global = true, value_name = "FILE", env = "PATD_CONFIG", hide_env_values = true)]
    pub(super) config: Option<PathBuf>,
    /// The SQLite file; overrides database.path
    #[arg(long, global = true, value_name = "PATH")]
    pub(super) database: Option<String>,
}

impl GlobalOptions {
    /// The default file, if it exists and no other is named.
    pub(super) fn default_file(&self) -> Option<&'static Path> {
        let file = Path::new(DEFAULT_FILE);
        (self.config.is_none() && file.exists()).then_some(file)
    }

    /// The sources of the settings for a command. Says on stderr if it uses the default file.
    pub(super) fn sources(&self) -> Result<Sources, ConfigError> {
        if self.default_file().is_some() {
            terminal::print_message(USING_DEFAULT_FILE);
        }
        self.server_sources()
    }

    /// The sources of the settings for the server, whose stderr is for log lines only.
    pub(super) fn server_sources(&self) -> Result<Sources, ConfigError> {
        let file = self.config.clone().or_else(|| self.default_file().map(Path::to_owned));
        let mut sources = Sources::from_process(file)?;
        let database = self.database.clone();
        sources.flags.extend(database.map(|path| ("database.path", path)));
        Ok(sources)
    }

    /// The database, for a command other than the server.
    pub(super) fn database(&self) -> Result<Database, Failure> {
        Ok(Database { config: self.settings()? })
    }

    /// The settings, for a command other than the server. Starts the log.
    pub(super) fn settings(&self) -> Result<Config, Failure> {
        let mut config = Config::load(self.sources()?)?;
        // Information for the log of a server would disturb the output of a command.
        config.log.level = config.log.level.min(LevelFilter::Warn);
        logging::start(&config.log);
        Ok(config)
    }

    /// Executes one request on the database.
    pub(super) fn execute(&self, request: Request, access: Access) -> Result<Items, Failure> {
        self.database()?.execute(request, access)
    }
}

pub(super) struct Database {
    config: Config,
}

impl Database {
    /// Sends the request to the server of the database, or executes it in this process if there is no server.
    pub(super) fn execute(&self, request: Request, access: Access) -> Result<Items, Failure> {
        server::block_on(self.request(request, access))
    }

    /// The same for a command that goes on. Works only within [`server::block_on`].
    pub(super) async fn request(&self, request: Request, access: Access) -> Result<Items, Failure> {
        let config = &self.config;
        if config.database.url.is_none()
            && let Some(server) = client::find(&config.database.path).await?
        {
            return Ok(server.send(&request).await?);
        }
        let context = compose::command_context(config, compose::open_store(config, access)?).await?;
        Ok(client::carry_out(&context, request).await?)
    }
}
