//! Creates what the file of `patd dev --seed` asks for.
//!
//! Ids follow from the names in the file, so they are the same in each run. The secrets of tokens are random in each run. If
//! a file could name them, copies of the file would be copies of the secrets: they would get into repositories, and a
//! server that was once seeded with the file by mistake would accept them.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt::Write,
};

use serde::Serialize;
use uuid::Uuid;

use super::password::random_password;
use crate::{
    cli::{failure::Failure, terminal::escaped},
    config::{
        ConfigError, ConfigErrors, Place, Seed, SeedEnvironment, SeedExpiry, SeedServiceAccount, SeedToken, SeedUser,
        TokenOwner,
    },
    domain::{
        account::Password,
        audit::RequestSource,
        authority::Administrator,
        id::{EnvironmentId, TokenId, UserId},
        token::IssuedToken,
    },
    ops::{
        self, Context,
        accounts::{self, NewAccount},
        environment_tokens::{self, EnvironmentTokenRequest},
        environments, owners,
        service_accounts::{self, ServiceAccountRequest},
        tokens::{self, Expiry, TokenRequest},
    },
};

/// Separates these ids from all other uses of BLAKE3.
const ID_CONTEXT: &str = "patd dev --seed 2026-11-28: ids from names";
/// The time in all these ids, in milliseconds: 2020-01-01. It must not depend on the run.
const ID_TIME: u64 = 1_577_836_800_000;

/// What was created, by name. The fields are in the order of the JSON.
#[derive(Default, Serialize)]
pub(super) struct Seeded {
    users: BTreeMap<String, SeededUser>,
    service_accounts: BTreeMap<String, SeededItem>,
    environments: BTreeMap<String, SeededItem>,
    tokens: BTreeMap<String, SeededSecret>,
}

#[derive(Serialize)]
struct SeededUser {
    id: String,
    email: String,
    password: String,
    default_environment_id: String,
}

#[derive(Serialize)]
struct SeededItem {
    id: String,
}

#[derive(Serialize)]
struct SeededSecret {
    id: String,
    token: String,
}

impl Seeded {
    /// A comment line for each, for the output that can be pasted into a shell.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for (name, user) in &self.users {
            let _ = writeln!(
                text,
                "# User {}: {} with the password {}",
                escaped(name),
                user.email,
                escaped(&user.password)
            );
        }
        for (name, token) in &self.tokens {
            let _ = writeln!(text, "# Token {}: {}", escaped(name), token.token);
        }
        text
    }
}

/// Creates everything in the file. Fails with all errors together: those of reading it, in `errors`, and those that show now.
pub(super) async fn create(
    ctx: &Context,
    administrator: Administrator,
    // Creates tokens in environments of service accounts.
    admin: UserId,
    min_password_length: usize,
    (seed, errors): (Seed, Vec<ConfigError>),
) -> Result<Seeded, Failure> {
    let mut seeding = Seeding {
        ctx,
        administrator,
        admin,
        min_password_length,
        owners: HashMap::new(),
        service_accounts: BTreeSet::new(),
        environments: HashMap::new(),
        seeded: Seeded::default(),
        errors,
    };
    for user in seed.users {
        let place = user.place.clone();
        let created = seeding.user(user).await?;
        seeding.note(&place, created);
    }
    for account in seed.service_accounts {
        let place = account.place.clone();
        let created = seeding.service_account(account).await;
        seeding.note(&place, created);
    }
    for environment in seed.environments {
        let place = environment.place.clone();
        let created = seeding.environment(environment).await;
        seeding.note(&place, created);
    }
    for token in seed.tokens {
        let place = token.place.clone();
        let created = seeding.token(token).await;
        seeding.note(&place, created);
    }
    match seeding.errors.is_empty() {
        true => Ok(seeding.seeded),
        false => Err(Failure::Configuration(ConfigErrors(seeding.errors))),
    }
}

struct Seeding<'c> {
    ctx: &'c Context,
    administrator: Administrator,
    admin: UserId,
    min_password_length: usize,
    /// Users and service accounts by name.
    owners: HashMap<String, UserId>,
    service_accounts: BTreeSet<UserId>,
    /// Environments by name, with the user who creates their tokens.
    environments: HashMap<String, (EnvironmentId, UserId)>,
    seeded: Seeded,
    errors: Vec<ConfigError>,
}

impl Seeding<'_> {
    /// An item that refers to another one which failed is left out without an error of its own.
    fn note(&mut self, place: &Place, created: Result<(), ops::Error>) {
        let messages = match created {
            Ok(()) => return,
            Err(ops::Error::Invalid(errors)) => errors
                .into_iter()
                .map(|error| match error.message.strip_prefix(&format!("The {} field ", error.field)) {
                    Some(predicate) => format!("{} {predicate}", place.field(file_key(&error.field))),
                    None => format!("{}: {}", place.field(file_key(&error.field)), error.message),
                })
                .collect(),
            Err(other) => vec![format!("{place} was not created: {other}")],
        };
        self.errors.extend(messages.into_iter().map(ConfigError::Unusable));
    }

    async fn user(&mut self, user: SeedUser) -> Result<Result<(), ops::Error>, Failure> {
        let SeedUser { place: _, name, email, password, role } = user;
        let plain = match password {
            Some(password) => password.expose().to_owned(),
            None => random_password(self.min_password_length)?,
        };
        let password = Password::parse(&plain).map_err(|error| Failure::Defect(error.to_string()))?;
        let id = UserId::new(id_of("user", name.as_str()));
        let environment = EnvironmentId::new(id_of("default_environment", name.as_str()));
        let key = name.to_string();
        let seeded = SeededUser {
            id: id.to_string(),
            email: email.to_string(),
            password: plain,
            default_environment_id: environment.to_string(),
        };
        let account = NewAccount { ids: Some((id, environment)), name, email, password };
        let created = accounts::create(self.ctx, self.administrator, account, role, RequestSource::COMMAND_LINE).await;
        Ok(created.map(|_| {
            self.owners.insert(key.clone(), id);
            self.seeded.users.insert(key, seeded);
        }))
    }

    async fn service_account(&mut self, account: SeedServiceAccount) -> Result<(), ops::Error> {
        let SeedServiceAccount { place: _, name, description, managers } = account;
        let managers: Option<Vec<UserId>> = managers.iter().map(|manager| self.owners.get(manager).copied()).collect();
        let Some(managers) = managers else { return Ok(()) };
        let (key, id) = (name.to_string(), UserId::new(id_of("service_account", name.as_str())));
        let request = ServiceAccountRequest { id: Some(id), name, description, managers };
        service_accounts::create(self.ctx, self.administrator, request, RequestSource::COMMAND_LINE).await?;
        self.owners.insert(key.clone(), id);
        self.service_accounts.insert(id);
        self.seeded.service_accounts.insert(key, SeededItem { id: id.to_string() });
        Ok(())
    }

    async fn environment(&mut self, environment: SeedEnvironment) -> Result<(), ops::Error> {
        let SeedEnvironment { place: _, name, owner } = environment;
        let Some(owner) = self.owners.get(&owner).copied() else { return Ok(()) };
        let (key, id) = (name.to_string(), EnvironmentId::new(id_of("environment", name.as_str())));
        environments::create_with_id(self.ctx, owner, (id, name), RequestSource::COMMAND_LINE).await?;
        let creator = if self.service_accounts.contains(&owner) { self.admin } else { owner };
        self.environments.insert(key.clone(), (id, creator));
        self.seeded.environments.insert(key, SeededItem { id: id.to_string() });
        Ok(())
    }

    async fn token(&mut self, token: SeedToken) -> Result<(), ops::Error> {
        let key = token.name.to_string();
        let id = TokenId::new(id_of("token", &key));
        let issued = match &token.owner {
            TokenOwner::Owner(name) => match self.owners.get(name).copied() {
                Some(owner) => self.personal_token(id, owner, token).await?,
                None => return Ok(()),
            },
            TokenOwner::Environment(name) => match self.environments.get(name).copied() {
                Some(environment) => self.environment_token(id, environment, token).await?,
                None => return Ok(()),
            },
        };
        let secret = issued.plaintext.expose_unnumbered().to_owned();
        self.seeded.tokens.insert(key, SeededSecret { id: id.to_string(), token: secret });
        Ok(())
    }

    async fn personal_token(&self, id: TokenId, owner: UserId, token: SeedToken) -> Result<IssuedToken, ops::Error> {
        let SeedToken { place: _, name, owner: _, abilities, expiry, limits, annotations, is_canary } = token;
        owners::expect_useful(self.ctx, owner, abilities.as_ref()).await?;
        let expiry = expiry_of(expiry);
        let request = TokenRequest { id: Some(id), owner, name, abilities, expiry, limits, annotations, is_canary };
        tokens::create(self.ctx, self.administrator.into(), request, RequestSource::COMMAND_LINE).await
    }

    async fn environment_token(
        &self,
        id: TokenId,
        (environment, creator): (EnvironmentId, UserId),
        token: SeedToken,
    ) -> Result<IssuedToken, ops::Error> {
        let SeedToken { place: _, name, owner: _, abilities, expiry, limits, annotations, is_canary } = token;
        let expiry = expiry_of(expiry);
        let request = EnvironmentTokenRequest { id: Some(id), name, abilities, expiry, limits, annotations, is_canary };
        environment_tokens::create(self.ctx, creator, environment, request, RequestSource::COMMAND_LINE).await
    }
}

fn expiry_of(expiry: SeedExpiry) -> Expiry {
    match expiry {
        SeedExpiry::Default => Expiry::Default,
        SeedExpiry::Never => Expiry::Never,
        SeedExpiry::At(time) => Expiry::At(time),
        SeedExpiry::After(lifetime) => Expiry::After(lifetime),
    }
}

/// The key of the file for a field of the API.
fn file_key(field: &str) -> &str {
    match field {
        "expires_in_days" => "expires_in",
        field => field,
    }
}

/// A UUID of version 7, as all ids are. All but its time is a hash of the kind and the name.
fn id_of(kind: &str, name: &str) -> Uuid {
    let hash = blake3::derive_key(ID_CONTEXT, format!("{kind} {name}").as_bytes());
    let random = hash.first_chunk().expect("a hash has 32 bytes");
    uuid::Builder::from_unix_timestamp_millis(ID_TIME, random).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_follow_from_kind_and_name_alone() {
        assert_eq!(id_of("user", "Ada").to_string(), "016f5e66-e800-792e-b973-18606409d106");
        assert_eq!(id_of("user", "Ada").get_version_num(), 7);
        let ids: BTreeSet<Uuid> =
            [("user", "Ada"), ("user", "ada"), ("token", "Ada")].map(|(kind, name)| id_of(kind, name)).into();
        assert_eq!(ids.len(), 3);
    }
}
