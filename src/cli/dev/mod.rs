//! `patd dev`: a temporary server with demo credentials, which leaves no files behind.

mod directory;
mod lifeline;
mod password;
mod seed;

use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    num::NonZeroU32,
    path::{Path, PathBuf},
};

use clap::Args;
use log::LevelFilter;
use serde::Serialize;
use tokio::{signal::unix::SignalKind, sync::mpsc::unbounded_channel};

use self::{directory::Directory, lifeline::Parent, password::random_password, seed::Seeded};
use super::{failure::Failure, global::GlobalOptions, output, resources, serve, signals, terminal::escaped};
use crate::{
    compose::{self, SystemClock},
    config::{Config, ConfigError, Seed, Sources, Throttle},
    domain::{
        ability::{Abilities, Ability, ServerAbility},
        account::{Email, Password, Role, User},
        annotations::Annotations,
        audit::RequestSource,
        authority::Administrator,
        text::Name,
        token::IssuedToken,
        usage_limits::UsageLimits,
    },
    logging,
    ops::{
        Context, accounts,
        clock::Clock,
        tokens::{self, Expiry, TokenRequest},
    },
    server,
    store::Access,
};

const EMAIL: &str = "demo@example.com";
/// The owner of the token for introspection. It is not the demo user, so that revoking all tokens of the demo user leaves
/// it valid.
const RESOURCE_SERVER_EMAIL: &str = "resource-server@example.com";
/// The port that is tried first if --port is not given.
const DEFAULT_PORT: u16 = 8080;
/// The largest burst that the settings allow.
const MAX_BURST: NonZeroU32 = NonZeroU32::new(1_000_000).expect("not zero");

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The port to listen on; 0 takes any free port [default: 8080, or any free port if 8080 is in use]
    #[arg(long, value_name = "N")]
    port: Option<u16>,
    /// Print the credentials as one line of JSON
    #[arg(long)]
    json: bool,
    /// Create the users, service accounts, environments, tokens and policies that this TOML file names
    #[arg(long, value_name = "FILE")]
    seed: Option<PathBuf>,
}

/// What the command prints. The fields are in the order of the JSON.
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
    #[serde(skip_serializing_if = "Option::is_none")]
    seeded: Option<Seeded>,
}

pub(super) fn run(options: &GlobalOptions, arguments: &Arguments) -> Result<(), Failure> {
    if options.database.is_some() {
        let message = "patd dev uses a temporary database; to use --database, run patd serve";
        return Err(Failure::Usage(message.into()));
    }
    let parent = Parent::at_start();
    let sources = Sources::from_process(options.config.clone())?;
    let sets_level = is_set(&sources, "log", Some("level"));
    let sets_throttle = is_set(&sources, "throttle", None);
    let mut config = Config::load(sources)?;
    let seed = arguments.seed.as_deref().map(|file| read_seed(&mut config, file)).transpose()?;
    config.accounts.registration = true;
    if !sets_level {
        config.log.level = LevelFilter::Warn;
    }
    if !sets_throttle {
        config.throttle = no_throttle();
    }
    logging::start(&config.log);
    resources::fit(&mut config)?;
    server::block_on(dev(config, arguments, seed, parent))
}

/// Reads the file, and adds its policies to those of the configuration. The other errors are kept until the rest of the file
/// was tried, so that all are reported together.
fn read_seed(config: &mut Config, file: &Path) -> Result<(Seed, Vec<ConfigError>), Failure> {
    let (mut seed, mut errors) = Seed::read(file)?;
    for policy in std::mem::take(&mut seed.policies) {
        if config.policies.iter().any(|other| other.name() == policy.name()) {
            let name = policy.name();
            let file = file.display();
            errors.push(ConfigError::Unusable(format!(
                "the policy {name} is in {file} and in the configuration; rename or remove one of them"
            )));
        }
        config.policies.push(policy);
    }
    Ok((seed, errors))
}

/// Whether the file or the environment sets the section, or the key in it.
fn is_set(sources: &Sources, section: &str, key: Option<&str>) -> bool {
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

/// The highest limits that are possible: a million attempts at once, and 70 million a minute.
fn no_throttle() -> Throttle {
    let (burst, per_minute) = (MAX_BURST, NonZeroU32::MAX);
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

/// Handles signals before it creates the directory, so that the directory is always removed.
async fn dev(
    mut config: Config,
    arguments: &Arguments,
    seed: Option<(Seed, Vec<ConfigError>)>,
    parent: Parent,
) -> Result<(), Failure> {
    let (stop, stopped) = unbounded_channel();
    signals::forward_stop_signals(&stop)?;
    signals::forward_signal(SignalKind::hangup(), &stop)?;
    lifeline::watch(parent, &stop)
        .map_err(|error| Failure::Defect(format!("the parent process cannot be watched: {error}")))?;
    let listener = listen(arguments.port)?;
    let directory = Directory::create().map_err(|error| cannot("created", &error))?;
    directory.remove_abandoned();
    config.database.path = directory.path().join("patd.db");
    config.database.url = None;
    let backend = compose::with_cache(&config, compose::open_store(&config, Access::Server)?);
    let ctx = compose::start_context(&config, backend, Clock::system(), SystemClock::Checked).await?;
    let mut demo = demo(&config, &ctx, seed).await?;
    let server = compose::start_server(&config, listener, ctx).await.map_err(serve::cannot_start)?;
    demo.url = format!("http://{}", server.address);
    let printed = match arguments.json {
        true => output::print_json(&demo),
        false => output::print(&demo.text()),
    };
    if printed.is_err() {
        // Without its credentials, nobody can use the server. Stop it in order: it must close its database before the
        // directory is removed.
        let _ = stop.send(());
    }
    let ended = server.run(stopped).await.map_err(serve::ended);
    remove(directory).and(ended).and(printed)
}

/// Turns the log off first: a worker that was cut off may still use the database and would report that it is gone.
fn remove(directory: Directory) -> Result<(), Failure> {
    log::set_max_level(LevelFilter::Off);
    directory.remove().map_err(|error| cannot("removed", &error))
}

fn cannot(what: &str, error: &io::Error) -> Failure {
    Failure::Unavailable(format!("the temporary directory cannot be {what}: {error}"))
}

/// Binds the port, or any free one if no port was given and the default is in use.
fn listen(port: Option<u16>) -> Result<TcpListener, Failure> {
    let bind = |port| compose::listen(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let first = port.unwrap_or(DEFAULT_PORT);
    let listener = match bind(first) {
        Err(error) if port.is_none() && error.kind() == io::ErrorKind::AddrInUse => bind(0),
        listener => listener,
    };
    listener.map_err(|error| {
        Failure::Unavailable(format!("cannot listen on 127.0.0.1:{first} ({error}); --port 0 takes any free port"))
    })
}

/// Creates the demo user with a session and a token with full access, and a token for introspection.
async fn demo(config: &Config, ctx: &Context, seed: Option<(Seed, Vec<ConfigError>)>) -> Result<Demo, Failure> {
    let (user, password) = add_user(config, ctx, "Demo", EMAIL, Role::Admin).await?;
    let attempt = accounts::SignInAttempt {
        client: Ipv4Addr::LOCALHOST.into(),
        email: user.email.clone(),
        password: Password::parse(&password).map_err(defect)?,
        device_name: Some(user.name.clone()),
    };
    let session = accounts::sign_in(ctx, attempt, RequestSource::COMMAND_LINE).await?;
    let issued = issue(ctx, &user, Abilities::full()).await?;
    let (resource_server, _) = add_user(config, ctx, "Resource server", RESOURCE_SERVER_EMAIL, Role::Member).await?;
    let introspect = Ability::parse(ServerAbility::TokensIntrospect.as_str()).map_err(defect)?;
    let introspecting = issue(ctx, &resource_server, Abilities::new(vec![introspect]).map_err(defect)?).await?;
    let seeded = match seed {
        None => None,
        Some(seed) => {
            let (administrator, min_length) = (Administrator::command_line(), config.passwords.min_length);
            Some(seed::create(ctx, administrator, user.id, min_length, seed).await?)
        }
    };
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
        seeded,
    })
}

async fn add_user(
    config: &Config,
    ctx: &Context,
    name: &str,
    email: &str,
    role: Role,
) -> Result<(User, String), Failure> {
    let password = random_password(config.passwords.min_length)?;
    let account = accounts::NewAccount {
        ids: None,
        name: Name::parse(name).map_err(defect)?,
        email: Email::parse(email).map_err(defect)?,
        password: Password::parse(&password).map_err(defect)?,
    };
    Ok((
        accounts::create(ctx, Administrator::command_line(), account, role, RequestSource::COMMAND_LINE).await?,
        password,
    ))
}

/// Creates a token with the name of its owner.
async fn issue(ctx: &Context, owner: &User, abilities: Abilities) -> Result<IssuedToken, Failure> {
    let (name, expiry, limits) = (owner.name.clone(), Expiry::Default, UsageLimits::default());
    let request = TokenRequest {
        id: None,
        owner: owner.id,
        name,
        abilities: Some(abilities),
        expiry,
        limits,
        annotations: Annotations::default(),
        is_canary: false,
    };
    Ok(tokens::create(ctx, Administrator::command_line().into(), request, RequestSource::COMMAND_LINE).await?)
}

fn defect(error: impl std::fmt::Display) -> Failure {
    Failure::Defect(format!("the demo user cannot be created: {error}"))
}

impl Demo {
    fn text(&self) -> String {
        let Self { url, email, password, session_token, token, token_id, introspect_token, .. } = self;
        let database = escaped(&self.database);
        let seeded = self.seeded.as_ref().map_or_else(String::new, Seeded::text);
        let tokens = format!("{url}/api/v1/user/api-tokens");
        let session = format!("-H 'Authorization: Bearer {session_token}'");
        let curl = "curl -sS";
        format!(
            "\
# patd listens on {url}. It stops on Ctrl-C or when this shell ends, and deletes its database {database}.
# Sign in as {email} with the password {password}
{seeded}
export PATD_URL='{url}'
export PATD_SESSION='{session_token}'
export PATD_TOKEN='{token}'
export PATD_INTROSPECT_TOKEN='{introspect_token}'

# Create a token:
{curl} {tokens} {session} -H 'Content-Type: application/json' -d '{{\"name\":\"CI Pipeline\",\"abilities\":[\"*\"]}}'

# To whom does PATD_TOKEN belong?
{curl} {url}/api/user -H 'Authorization: Bearer {token}'

# What may PATD_TOKEN do? An application asks this about the tokens that it receives:
{curl} {url}/api/v1/introspect -H 'Authorization: Bearer {introspect_token}' -d 'token={token}'

# List the tokens:
{curl} {tokens} {session}

# Revoke PATD_TOKEN:
{curl} -X DELETE {tokens}/{token_id} {session}"
        )
    }
}
