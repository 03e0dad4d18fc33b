//! Reads the file of `patd dev --seed`: users, service accounts, environments, tokens and policies.
//!
//! This checks what the file alone shows. What depends on the settings or on the database, such as the strength of a
//! password, is checked when the items are created. For those errors, each item has its [`Place`].

mod token;

use std::{collections::BTreeSet, fmt, fs, path::Path, time::Duration};

use toml::de::{DeTable, DeValue};

use super::{
    error::{ConfigError, SettingSource},
    file::File,
    policies,
    reader::{Item, Reader},
};
use crate::domain::{
    ability::Abilities,
    account::{Email, Password, Role},
    annotations::{Annotations, Description},
    policy::Policy,
    text::Name,
    time::Timestamp,
    usage_limits::UsageLimits,
};

/// What the file asks for. Names are unique within each list, and those of users and service accounts within both.
#[derive(Debug, Default)]
pub struct Seed {
    /// The users.
    pub users: Vec<SeedUser>,
    /// The service accounts.
    pub service_accounts: Vec<SeedServiceAccount>,
    /// The environments.
    pub environments: Vec<SeedEnvironment>,
    /// The tokens.
    pub tokens: Vec<SeedToken>,
    /// The policies, besides those of the configuration.
    pub policies: Vec<Policy>,
}

/// Where an item is in the file, for messages: `tokens[2] (seed.toml, line 9)`.
#[derive(Clone, Debug)]
pub struct Place {
    path: String,
    source: SettingSource,
}

impl Place {
    /// The place of a field of this item, for messages.
    pub fn field(&self, name: &str) -> String {
        format!("{}.{name} ({})", self.path, self.source)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.path, self.source)
    }
}

/// A user.
#[derive(Debug)]
pub struct SeedUser {
    /// Where it is in the file.
    pub place: Place,
    /// The name.
    pub name: Name,
    /// The e-mail address.
    pub email: Email,
    /// The password. `None` for a random one.
    pub password: Option<Password>,
    /// The role.
    pub role: Role,
}

/// A service account.
#[derive(Debug)]
pub struct SeedServiceAccount {
    /// Where it is in the file.
    pub place: Place,
    /// The name.
    pub name: Name,
    /// What it is for.
    pub description: Option<Description>,
    /// The names of the users who manage it.
    pub managers: Vec<String>,
}

/// An environment.
#[derive(Debug)]
pub struct SeedEnvironment {
    /// Where it is in the file.
    pub place: Place,
    /// The name.
    pub name: Name,
    /// The name of its owner.
    pub owner: String,
}

/// A token.
#[derive(Debug)]
pub struct SeedToken {
    /// Where it is in the file.
    pub place: Place,
    /// The name.
    pub name: Name,
    /// To whom it belongs.
    pub owner: TokenOwner,
    /// The abilities. `None` if the file names none.
    pub abilities: Option<Abilities>,
    /// The expiry.
    pub expiry: SeedExpiry,
    /// The usage limits.
    pub limits: UsageLimits,
    /// The description and the metadata.
    pub annotations: Annotations,
    /// Whether it is a canary token.
    pub is_canary: bool,
}

/// To whom a token belongs.
#[derive(Debug)]
pub enum TokenOwner {
    /// The user or service account with this name.
    Owner(String),
    /// The environment with this name.
    Environment(String),
}

/// The expiry of a token.
#[derive(Clone, Copy, Debug)]
pub enum SeedExpiry {
    /// That of the settings.
    Default,
    /// No expiry.
    Never,
    /// At this time.
    At(Timestamp),
    /// This long after the start.
    After(Duration),
}

const KEYS: [&str; 5] = ["environments", "policies", "service_accounts", "tokens", "users"];

impl Seed {
    /// Reads a file. The second value is everything that is wrong with it; items with errors may be missing from the first.
    pub fn read(path: &Path) -> Result<(Self, Vec<ConfigError>), ConfigError> {
        let text = fs::read_to_string(path)
            .map_err(|problem| ConfigError::UnreadableFile { path: path.to_owned(), problem })?;
        Self::parse(path, &text)
    }

    fn parse(path: &Path, text: &str) -> Result<(Self, Vec<ConfigError>), ConfigError> {
        let file = File { path, text };
        let parsed =
            DeTable::parse(text).map_err(|error| file.not_toml(&error, error.span().map_or(0, |span| span.start)))?;
        let (fields, mut errors) = (parsed.get_ref(), Vec::new());
        let policies = fields.get(policies::KEY).map(|list| policies::read(list, &file, &mut errors));
        let mut reader = Reader { file: &file, errors: &mut errors };
        reader.expect_known("", fields, &KEYS);
        let known = Known { users: names(fields, "users"), service_accounts: names(fields, "service_accounts") };
        let environments = names(fields, "environments");
        let mut taken = BTreeSet::new();
        let users = reader.each(fields, "users", &mut taken, Reader::seed_user);
        let service_accounts = reader.each(fields, "service_accounts", &mut taken, |reader, item| {
            reader.seed_service_account(item, &known.users)
        });
        let seed = Self {
            users,
            service_accounts,
            environments: reader.each(fields, "environments", &mut BTreeSet::new(), |reader, item| {
                reader.seed_environment(item, &known)
            }),
            tokens: reader.each(fields, "tokens", &mut BTreeSet::new(), |reader, item| {
                reader.seed_token(item, &known, &environments)
            }),
            policies: policies.unwrap_or_default(),
        };
        Ok((seed, errors))
    }
}

/// The names that others may refer to, also of items that have errors.
struct Known {
    users: BTreeSet<String>,
    service_accounts: BTreeSet<String>,
}

fn names(fields: &DeTable<'_>, list: &str) -> BTreeSet<String> {
    let items = fields.get(list).and_then(|list| list.get_ref().as_array());
    let name = |item: Item<'_, '_>| Some(item.get_ref().as_table()?.get("name")?.get_ref().as_str()?.trim().to_owned());
    items.into_iter().flatten().filter_map(name).collect()
}

/// An item of a list, with its path and its table.
struct Entry<'v, 'i> {
    path: String,
    value: Item<'v, 'i>,
    name: Name,
    place: Place,
}

impl Entry<'_, '_> {
    fn key(&self, key: &str) -> String {
        format!("{}.{key}", self.path)
    }
}

impl Reader<'_> {
    /// The items of a list. A name that is in `taken` is an error.
    fn each<T>(
        &mut self,
        fields: &DeTable<'_>,
        list: &str,
        taken: &mut BTreeSet<String>,
        mut read: impl FnMut(&mut Self, &Entry<'_, '_>) -> Option<T>,
    ) -> Vec<T> {
        let Some(value) = fields.get(list) else { return Vec::new() };
        let mut found = Vec::new();
        for (path, value) in self.items(list, value, &format!("tables, each below [[{list}]]")) {
            let Some(table) = self.checked(&path, value, "a table", DeValue::as_table) else { continue };
            let name = self.required(&path, value, table, "name", "a name that no other item has");
            let name_path = format!("{path}.name");
            let name = name.and_then(|text| Some((self.parsed(&name_path, text, Name::parse)?, text)));
            if let Some((name, text)) = &name
                && !taken.insert(name.to_string())
            {
                self.refuse(&name_path, text, "different from every other name: the file and the output refer to it");
            }
            let place = Place { path: path.clone(), source: self.file.source_at(value.span().start) };
            // The other fields of an item without a valid name are read all the same, for their errors.
            let is_valid = name.is_some();
            let name = name.map_or_else(|| Name::parse("-").expect("a valid name"), |(name, _)| name);
            let item = read(self, &Entry { path, value, name, place });
            found.extend(item.filter(|_| is_valid));
        }
        found
    }

    fn seed_user(&mut self, entry: &Entry<'_, '_>) -> Option<SeedUser> {
        let fields = self.fields(&entry.path, entry.value, &["email", "name", "password", "role"])?;
        let email = self.required(&entry.path, entry.value, fields, "email", "the e-mail address of the user");
        let email = email.and_then(|value| self.parsed(&entry.key("email"), value, Email::parse));
        let password = fields.get("password").map(|value| self.parsed(&entry.key("password"), value, Password::parse));
        let role = fields.get("role").map(|value| self.parsed(&entry.key("role"), value, Role::parse));
        let (place, name) = (entry.place.clone(), entry.name.clone());
        Some(SeedUser {
            place,
            name,
            email: email?,
            password: optional(password)?,
            role: optional(role)?.unwrap_or_default(),
        })
    }

    fn seed_service_account(&mut self, entry: &Entry<'_, '_>, users: &BTreeSet<String>) -> Option<SeedServiceAccount> {
        let fields = self.fields(&entry.path, entry.value, &["description", "managers", "name"])?;
        let description =
            fields.get("description").map(|value| self.parsed(&entry.key("description"), value, Description::parse));
        let managers = self.list(&entry.path, fields, "managers", "the name of a user of this file", |text| {
            users.contains(text).then(|| text.to_owned())
        });
        let (place, name) = (entry.place.clone(), entry.name.clone());
        Some(SeedServiceAccount {
            place,
            name,
            description: optional(description)?,
            managers: managers.unwrap_or_default(),
        })
    }

    fn seed_environment(&mut self, entry: &Entry<'_, '_>, known: &Known) -> Option<SeedEnvironment> {
        let fields = self.fields(&entry.path, entry.value, &["name", "owner"])?;
        let owner = self.required(&entry.path, entry.value, fields, "owner", OWNER)?;
        let owner = self.reference(&entry.key("owner"), owner, OWNER, |name| known.has_owner(name))?;
        Some(SeedEnvironment { place: entry.place.clone(), name: entry.name.clone(), owner })
    }

    fn reference(
        &mut self,
        path: &str,
        value: Item<'_, '_>,
        wanted: &str,
        exists: impl Fn(&str) -> bool,
    ) -> Option<String> {
        self.checked(path, value, wanted, |value: &DeValue<'_>| {
            value.as_str().filter(|name| exists(name)).map(str::to_owned)
        })
    }
}

const OWNER: &str = "the name of a user or service account of this file";

impl Known {
    fn has_owner(&self, name: &str) -> bool {
        self.users.contains(name) || self.service_accounts.contains(name)
    }
}

/// A key that may be missing: `None` if its value is an error.
fn optional<T>(read: Option<Option<T>>) -> Option<Option<T>> {
    match read {
        None => Some(None),
        Some(None) => None,
        Some(value) => Some(value),
    }
}

#[cfg(test)]
mod tests;
