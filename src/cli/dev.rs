//! `patd dev`: a throwaway server with credentials that work, which leaves nothing behind.

use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use clap::Args;
use log::LevelFilter;
use serde::Serialize;
use tempfile::TempDir;

use super::{Failure, Shared, context, open_server_store, output, serve};
use crate::{
    config::{Config, Sources},
    domain::{
        ability::Abilities,
        account::{Email, Password},
        audit::Origin,
        limits::Limits,
        text::Name,
    },
    logging,
    ops::{
        Context, accounts,
        tokens::{self, Expiry, TokenRequest},
    },
    server::{self, Server},
    store::Store,
};

const EMAIL: &str = "demo@example.com";
/// The port that is tried first where none is asked for.
const USUAL_PORT: u16 = 8080;
/// The least length of the demo user's password: 24 hexadecimal digits are 96 bits.
const PASSWORD_CHARS: usize = 24;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Where to listen; 0 takes any free port [default: 8080, or any free one if it is in use]
    #[arg(long, value_name = "N")]
    port: Option<u16>,
    /// Print one line of JSON instead of text
    #[arg(long)]
    json: bool,
}

/// What whoever started it needs to know, in the order of the JSON line.
#[derive(Serialize)]
struct Demo {
    url: String,
    email: &'static str,
    password: String,
    session_token: String,
    token: String,
    token_id: String,
    user_id: String,
    database: String,
}

pub(super) fn run(shared: &Shared, arguments: &Arguments) -> Result<(), Failure> {
    if shared.database.is_some() {
        let sentence = "patd dev has a temporary database of its own; --database belongs to patd serve";
        return Err(Failure::Usage(sentence.into()));
    }
    let sources = Sources::from_process(shared.config.clone())?;
    let says_level = says_log_level(&sources);
    let mut config = Config::load(sources)?;
    config.accounts.registration = true;
    if !says_level {
        config.log.level = LevelFilter::Warn;
    }
    logging::start(&config.log);
    server::block_on(dev(config, arguments))
}

/// Whether the settings name `log.level`, whatever its value.
fn says_log_level(sources: &Sources) -> bool {
    let named = |(name, _): &(String, String)| name.starts_with("PATD__LOG__LEVEL");
    let file = sources.file.as_ref();
    let text = file.and_then(|file| fs::read_to_string(file).ok());
    let table = text.and_then(|text| text.parse::<toml::Table>().ok());
    let in_file = table.is_some_and(|table| {
        let section = table.get("log");
        section.is_some_and(|section| section.get("level").is_some())
    });
    in_file || sources.environment.iter().any(named)
}

/// The signals are caught before the directory is made, and the directory is removed on every way out.
async fn dev(mut config: Config, arguments: &Arguments) -> Result<(), Failure> {
    let stop = serve::stop_signals()?;
    let directory =
        tempfile::Builder::new().prefix("patd-dev-").tempdir().map_err(|error| temporary("made", &error))?;
    config.database.path = directory.path().join("patd.db");
    let store = open_server_store(&config)?;
    let ctx = context(&config, Arc::clone(&store))?;
    let mut demo = demo(&config, &ctx).await?;
    let server = listen(&config, arguments.port, ctx, store)?;
    // It listens, so a request that comes before `run` waits for its answer.
    demo.url = format!("http://{}", server.address);
    match arguments.json {
        true => output::print_json(&demo)?,
        false => output::print(&demo.text())?,
    }
    let ended = server.run(stop).await.map_err(serve::ended);
    remove(directory).and(ended)
}

/// A worker that was cut off still has the database and would complain of what is meant here.
fn remove(directory: TempDir) -> Result<(), Failure> {
    log::set_max_level(LevelFilter::Off);
    directory.close().map_err(|error| temporary("removed", &error))
}

fn temporary(what: &str, error: &io::Error) -> Failure {
    Failure::Unavailable(format!("the temporary directory cannot be {what}: {error}"))
}

fn listen(config: &Config, port: Option<u16>, ctx: Context, store: Arc<dyn Store>) -> Result<Server, Failure> {
    let start = |port, ctx| {
        let mut config = config.clone();
        config.server.bind = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Server::start(&config, ctx)
    };
    let wanted = port.unwrap_or(USUAL_PORT);
    let started = match start(wanted, ctx) {
        Err(error) if port.is_none() && error.kind() == io::ErrorKind::AddrInUse => start(0, context(config, store)?),
        started => started,
    };
    started.map_err(|error| {
        Failure::Unavailable(format!("cannot listen on 127.0.0.1:{wanted} ({error}); --port 0 takes any free port"))
    })
}

/// Makes the demo user, signs them in, and gives them a token that may do everything.
async fn demo(config: &Config, ctx: &Context) -> Result<Demo, Failure> {
    let name = Name::parse("Demo").map_err(defect)?;
    let email = Email::parse(EMAIL).map_err(defect)?;
    let text = random_password(config.passwords.min_length)?;
    let account = accounts::NewAccount {
        name: name.clone(),
        email: email.clone(),
        password: Password::parse(&text).map_err(defect)?,
    };
    let user = accounts::create(ctx, account, Origin::COMMAND_LINE).await?;
    let attempt = accounts::SignInAttempt {
        client: Ipv4Addr::LOCALHOST.into(),
        email,
        password: Password::parse(&text).map_err(defect)?,
        device_name: Some(name.clone()),
    };
    let session = accounts::sign_in(ctx, attempt, Origin::COMMAND_LINE).await?;
    let request = TokenRequest {
        owner: user.id,
        name,
        abilities: Some(Abilities::full()),
        expiry: Expiry::Default,
        limits: Limits::default(),
    };
    let issued = tokens::create(ctx, request, Origin::COMMAND_LINE).await?;
    Ok(Demo {
        url: String::new(),
        email: EMAIL,
        password: text,
        session_token: session.plaintext.expose().to_owned(),
        token: issued.plaintext.expose_unnumbered().to_owned(),
        token_id: issued.token.id.to_string(),
        user_id: user.id.to_string(),
        database: config.database.path.display().to_string(),
    })
}

/// Random, so that nobody else on the machine signs in by knowing this program.
fn random_password(min_length: usize) -> Result<String, Failure> {
    let mut random = [0_u8; 64];
    getrandom::fill(&mut random).map_err(defect)?;
    let mut digits: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.truncate(min_length.max(PASSWORD_CHARS));
    Ok(digits)
}

fn defect(error: impl std::fmt::Display) -> Failure {
    Failure::Defect(format!("the demo user cannot be made: {error}"))
}

impl Demo {
    fn text(&self) -> String {
        let Self { url, email, password, session_token, token, token_id, .. } = self;
        let database = output::escaped(&self.database);
        let tokens = format!("{url}/api/v1/user/api-tokens");
        let session = format!("-H 'Authorization: Bearer {session_token}'");
        let curl = "curl -sS";
        format!(
            "\
# patd listens on {url}; it ends with Ctrl-C, and its database {database} with it.
# Sign in as {email} with the password {password}

export PATD_URL='{url}'
export PATD_SESSION='{session_token}'
export PATD_TOKEN='{token}'

# Make a token:
{curl} {tokens} {session} -H 'Content-Type: application/json' -d '{{\"name\":\"CI Pipeline\",\"abilities\":[\"*\"]}}'

# Whose is PATD_TOKEN?
{curl} {url}/api/user -H 'Authorization: Bearer {token}'

# List the tokens:
{curl} {tokens} {session}

# Revoke PATD_TOKEN:
{curl} -X DELETE {tokens}/{token_id} {session}"
        )
    }
}
