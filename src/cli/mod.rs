//! The command line. Each command is in a file of its own and calls the same operations as HTTP.

mod audit;
mod backup;
mod completions;
mod config;
mod confirmation;
mod database;
mod dev;
mod doctor;
mod environment;
mod failure;
mod global;
mod health;
mod limits;
mod manual;
mod node;
mod output;
mod ownership;
mod paragraph;
mod password;
mod personal_data;
mod policy;
mod progress;
mod reload;
mod resources;
mod restore;
mod serve;
mod service_account;
mod service_manager;
mod signals;
mod table;
mod terminal;
mod time;
mod token;
mod user;

use clap::{CommandFactory, Parser, Subcommand};

pub use self::failure::Failure;
use self::global::GlobalOptions;

const EXIT_CODES: &str = "\
Data goes to stdout, messages to stderr. Exit codes:
  0  success
  1  a defect of patd, or the output could not be written
  2  wrong usage
  3  the user, token, environment or service account does not exist
  4  refused; the message names each rule that was broken
  5  unavailable: the database or the address to listen on cannot be used now
  6  the configuration has errors
  7  the audit trail does not fit its seals
patd doctor exits with 1 for a warning, and with 2 if something is bad.";

/// The personal access token daemon: users, sessions and hashed API tokens in one binary
#[derive(Debug, Parser)]
#[command(name = "patd", version, after_help = EXIT_CODES, max_term_width = 120)]
pub struct CommandLine {
    #[command(flatten)]
    options: GlobalOptions,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server
    Serve(serve::Arguments),
    /// Run a temporary server with a demo user, a session and tokens, for development and tests
    ///
    /// The demo user is an administrator, so that you can try the routes of administrators.
    ///
    /// It always listens on 127.0.0.1, allows registration, and uses a temporary database, which it deletes when it ends.
    /// It reads a configuration file only if --config or PATD_CONFIG names one. Unless the settings say otherwise, it logs
    /// only warnings and errors (log.level), and does not limit attempts (throttle.*). It prints the credentials
    /// when it is ready to answer requests.
    ///
    /// It ends on SIGINT, SIGTERM or SIGHUP, when its parent process ends, and when its standard input closes, if that is
    /// a pipe. If it is killed, the next start deletes its temporary database.
    Dev(dev::Arguments),
    /// Create, list and change users
    #[command(subcommand)]
    User(user::Command),
    /// Create, list, disable and revoke tokens
    #[command(subcommand)]
    Token(token::Command),
    /// Create, list and change service accounts, which own tokens and cannot sign in
    #[command(subcommand)]
    ServiceAccount(service_account::Command),
    /// List, transfer and delete environments
    #[command(subcommand)]
    Environment(environment::Command),
    /// List, export and follow the audit trail, and check its seals
    #[command(subcommand)]
    Audit(audit::Command),
    /// List the servers that share a database of PostgreSQL
    #[command(subcommand)]
    Node(node::Command),
    /// Show what a policy decides about a request
    #[command(subcommand)]
    Policy(policy::Command),
    /// Copy a database from SQLite to PostgreSQL, and back
    #[command(subcommand)]
    Database(database::Command),
    /// Copy the database into a file while the server runs
    ///
    /// The copy is the state of one moment. It is read in full and gets its name when it is complete, so a file with that
    /// name is a good one. For a timer, name a directory: patd backup /var/backups/patd --every 1h --keep 24
    Backup(backup::Backup),
    /// Put a backup in the place of the database, without bringing revoked tokens back
    ///
    /// For a stopped server. A backup does not know what was revoked, disabled, rotated or deleted after it was made. With
    /// --replay, that ends again: export the trail before (patd audit export -o audit.jsonl), or take the one that you
    /// keep in another place (patd audit follow --json). Without the trail, limit the damage with --end-sessions and
    /// --expire-in.
    ///
    /// The backup is changed beside the database and gets its name in one step. With --replace, the database that was there
    /// is kept under another name.
    Restore(restore::Restore),
    /// Examine the installation: each line is good, a warning or bad, with what to do
    ///
    /// It reads the whole database, and asks the running server. Nothing is changed. Exits with 1 if there is a warning, with
    /// 2 if something is bad.
    Doctor(output::Format),
    /// Ask the server on this machine whether it is ready: exit code 0 if it is, 5 if not
    Health,
    /// Check the configuration
    #[command(subcommand)]
    Config(config::Command),
    /// Print a script with which a shell completes the commands of patd
    ///
    /// For bash: patd completions bash > /etc/bash_completion.d/patd
    Completions(completions::Completions),
    /// Write the manual pages, one for each command
    Manual(manual::Manual),
}

impl CommandLine {
    /// Runs the command.
    pub fn run(self) -> Result<(), Failure> {
        let Self { options, command } = self;
        signals::ignore_file_size_signal()?;
        match command {
            Command::Serve(arguments) => serve::run(&options, arguments),
            Command::Dev(arguments) => dev::run(&options, &arguments),
            Command::User(command) => user::run(&options, command),
            Command::Token(command) => token::run(&options, command),
            Command::ServiceAccount(command) => service_account::run(&options, command),
            Command::Environment(command) => environment::run(&options, command),
            Command::Audit(command) => audit::run(&options, command),
            Command::Node(command) => node::run(&options, &command),
            Command::Policy(command) => policy::run(&options, &command),
            Command::Database(command) => database::run(&options, command),
            Command::Backup(arguments) => backup::run(&options, &arguments),
            Command::Restore(arguments) => restore::run(&options, &arguments),
            Command::Doctor(format) => doctor::run(&options, format),
            Command::Health => health::run(&options),
            Command::Config(command) => config::run(&options, &command),
            Command::Completions(arguments) => completions::run(&arguments, Self::command()),
            Command::Manual(arguments) => manual::run(&arguments, Self::command()),
        }
    }
}
