//! `patd dev`: a throwaway server with credentials that work, which leaves nothing behind.

mod directory;
mod lifeline;

use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroU32,
};

use clap::Args;
use log::LevelFilter;
use serde::Serialize;
use tokio::{signal::unix::SignalKind, sync::mpsc::unbounded_channel};

use self::{directory::Directory, lifeline::Parent};
use super::{Failure, Shared, context, open_server_store, output, resources, serve};
use crate::{
    config::{Config, Sources, Throttle},
    domain::{
        ability::{Abilities, Ability, ServerAbility},
        account::{Email, Password, User},
        audit::RequestSource,
        text::Name,
        token::IssuedToken,
        usage_limits::UsageLimits,
    },
    logging,
    ops::{
        Context, accounts,
        tokens::{self, Expiry, TokenRequest},
    },
    server::{self, Server},
    store::Backend,
};

const EMAIL: &str = "demo@example.com";
/// Who owns the token for introspection: so that the demo user's own tokens are one, and revoking all of them leaves it.
const RESOURCE_SERVER: &str = "resource-server@example.com";
/// The port that is tried first where none is asked for.
const USUAL_PORT: u16 = 8080;
/// The least length of the demo user's password: 24 hexadecimal digits are 96 bits.
const PASSWORD_CHARS: usize = 24;
/// The largest burst that a limiter takes.
const MOST_AT_ONCE: NonZeroU32 = NonZeroU32::new(1_000_000).expect("not zero");

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
    introspect_token: String,
    user_id: String,
    database: String,
}

pub(super) fn run(shared: &Shared, arguments: &Arguments) -> Result<(), Failure> {
    if shared.database.is_some() {
        let sentence = "patd dev has a temporary database of its own; --database belongs to patd serve";
        return Err(Failure::Usage(sentence.into()));
    }
    let parent = Parent::at_start();
    let sources = Sources::from_process(shared.config.clone())?;
    let (says_level, says_throttle) = (names(&sources, "log", Some("level")), names(&sources, "throttle", None));
    let mut config = Config::load(sources)?;
    config.accounts.registration = true;
    if !says_level {
        config.log.level = LevelFilter::Warn;
    }
    if !says_throttle {
        config.throttle = no_throttle();
    }
    logging::start(&config.log);
    resources::fit(&mut config)?;
    server::block_on(dev(config, arguments, parent))
}

/// Whether the settings name the section, or the key in it, whatever its value.
fn names(sources: &Sources, section: &str, key: Option<&str>) -> bool {
    let upper = |text: &str| format!("__{}", text.to_uppercase());
    let variable = format!("PATD{}{}", upper(section), key.map_or_else(|| "__".to_owned(), upper));
    let file = sources.file.as_ref();
    let text = file.and_then(|file| fs::read_to_string(file).ok());
    let table = text.and_then(|text| text.parse::<toml::Table>().ok());
    let in_file = table.is_some_and(|table| {
        let section = table.get(section);
        section.is_some_and(|section| key.is_none_or(|key| section.get(key).is_some()))
    });
    in_file || sources.environment.iter().any(|(name, _)| name.starts_with(&variable))
}

/// The most that the limiters can count: a million at once, again after 14 ms.
fn no_throttle() -> Throttle {
    let (burst, per_minute) = (MOST_AT_ONCE, NonZeroU32::MAX);
    Throttle {
        per_email_burst: burst,
        per_email_per_minute: per_minute,
        per_account_burst: burst,
        per_account_per_minute: per_minute,
        successes_per_account_burst: burst,
        successes_per_account_per_minute: per_minute,
        per_address_burst: burst,
        per_address_per_minute: per_minute,
        reports_per_address_burst: burst,
        reports_per_address_per_minute: per_minute,
        reports_burst: burst,
        reports_per_minute: per_minute,
        rotations_per_family_burst: burst,
        rotations_per_family_per_minute: per_minute,
    }
}

/// The signals are caught before the directory is made, and the directory is removed on every way out.
async fn dev(mut config: Config, arguments: &Arguments, parent: Parent) -> Result<(), Failure> {
    let (stop, stopped) = unbounded_channel();
    serve::send_signals(&stop)?;
    serve::send_signal(SignalKind::hangup(), &stop)?;
    lifeline::watch(parent, &stop)
        .map_err(|error| Failure::Defect(format!("the parent cannot be watched: {error}")))?;
    let directory = Directory::create().map_err(|error| temporary("made", &error))?;
    directory.remove_abandoned();
    config.database.path = directory.path().join("patd.db");
    let backend = open_server_store(&config)?;
    let ctx = context(&config, backend.clone())?;
    ctx.start().await?;
    let mut demo = demo(&config, &ctx).await?;
    let server = listen(&config, arguments.port, ctx, backend)?;
    // It listens, so a request that comes before `run` waits for its answer.
    demo.url = format!("http://{}", server.address);
    let printed = match arguments.json {
        true => output::print_json(&demo),
        false => output::print(&demo.text()),
    };
    if printed.is_err() {
        // Nobody can use a server whose credentials were not read. It closes its database before the directory goes.
        let _ = stop.send(());
    }
    let ended = server.run(stopped).await.map_err(serve::ended);
    remove(directory).and(ended).and(printed)
}

/// A worker that was cut off still has the database and would complain of what is meant here.
fn remove(directory: Directory) -> Result<(), Failure> {
    log::set_max_level(LevelFilter::Off);
    directory.remove().map_err(|error| temporary("removed", &error))
}

fn temporary(what: &str, error: &io::Error) -> Failure {
    Failure::Unavailable(format!("the temporary directory cannot be {what}: {error}"))
}

fn listen(config: &Config, port: Option<u16>, ctx: Context, backend: Backend) -> Result<Server, Failure> {
    let start = |port, ctx| {
        let mut config = config.clone();
        config.server.bind = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Server::start(&config, ctx)
    };
    let wanted = port.unwrap_or(USUAL_PORT);
    let started = match start(wanted, ctx) {
        Err(error) if port.is_none() && error.kind() == io::ErrorKind::AddrInUse => start(0, context(config, backend)?),
        started => started,
    };
    started.map_err(|error| {
        Failure::Unavailable(format!("cannot listen on 127.0.0.1:{wanted} ({error}); --port 0 takes any free port"))
    })
}

/// Makes the demo user, signs them in, and gives them a token that may do everything; and a token for introspection.
async fn demo(config: &Config, ctx: &Context) -> Result<Demo, Failure> {
    let (user, password) = add_user(config, ctx, "Demo", EMAIL).await?;
    let attempt = accounts::SignInAttempt {
        client: Ipv4Addr::LOCALHOST.into(),
        email: user.email.clone(),
        password: Password::parse(&password).map_err(defect)?,
        device_name: Some(user.name.clone()),
    };
    let session = accounts::sign_in(ctx, attempt, RequestSource::COMMAND_LINE).await?;
    let issued = issue(ctx, &user, Abilities::full()).await?;
    let (resource_server, _) = add_user(config, ctx, "Resource server", RESOURCE_SERVER).await?;
    let introspect = Ability::parse(ServerAbility::TokensIntrospect.as_str()).map_err(defect)?;
    let introspecting = issue(ctx, &resource_server, Abilities::new(vec![introspect]).map_err(defect)?).await?;
    Ok(Demo {
        url: String::new(),
        email: EMAIL,
        password,
        session_token: session.plaintext.expose().to_owned(),
        token: issued.plaintext.expose_unnumbered().to_owned(),
        token_id: issued.token.id.to_string(),
        introspect_token: introspecting.plaintext.expose_unnumbered().to_owned(),
        user_id: user.id.to_string(),
        database: config.database.path.display().to_string(),
    })
}

async fn add_user(config: &Config, ctx: &Context, name: &str, email: &str) -> Result<(User, String), Failure> {
    let password = random_password(config.passwords.min_length)?;
    let account = accounts::NewAccount {
        name: Name::parse(name).map_err(defect)?,
        email: Email::parse(email).map_err(defect)?,
        password: Password::parse(&password).map_err(defect)?,
    };
    Ok((accounts::create(ctx, account, RequestSource::COMMAND_LINE).await?, password))
}

/// A token that is called like its owner.
async fn issue(ctx: &Context, owner: &User, abilities: Abilities) -> Result<IssuedToken, Failure> {
    let (name, expiry, limits) = (owner.name.clone(), Expiry::Default, UsageLimits::default());
    let request = TokenRequest { owner: owner.id, name, abilities: Some(abilities), expiry, limits };
    Ok(tokens::create(ctx, request, RequestSource::COMMAND_LINE).await?)
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
        let Self { url, email, password, session_token, token, token_id, introspect_token, .. } = self;
        let database = output::escaped(&self.database);
        let tokens = format!("{url}/api/v1/user/api-tokens");
        let session = format!("-H 'Authorization: Bearer {session_token}'");
        let curl = "curl -sS";
        format!(
            "\
# patd listens on {url}; it ends with Ctrl-C or this shell, and its database {database} with it.
# Sign in as {email} with the password {password}

export PATD_URL='{url}'
export PATD_SESSION='{session_token}'
export PATD_TOKEN='{token}'
export PATD_INTROSPECT_TOKEN='{introspect_token}'

# Make a token:
{curl} {tokens} {session} -H 'Content-Type: application/json' -d '{{\"name\":\"CI Pipeline\",\"abilities\":[\"*\"]}}'

# Whose is PATD_TOKEN?
{curl} {url}/api/user -H 'Authorization: Bearer {token}'

# What may PATD_TOKEN do? For software that protects something:
{curl} {url}/api/v1/introspect -H 'Authorization: Bearer {introspect_token}' -d 'token={token}'

# List the tokens:
{curl} {tokens} {session}

# Revoke PATD_TOKEN:
{curl} -X DELETE {tokens}/{token_id} {session}"
        )
    }
}
