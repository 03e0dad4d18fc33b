//! Reads the tokens of the file.

use std::{collections::BTreeSet, time::Duration};

use toml::de::{DeTable, DeValue};

use super::{Entry, Known, OWNER, SeedExpiry, SeedToken, TokenOwner, optional};
use crate::{
    config::{reader::Reader, values::parse_duration},
    domain::{
        ability::{Abilities, Ability},
        annotations::{Annotations, Description, Metadata},
        time::Timestamp,
        usage_limits::{Allowlist, MAX_PER_MINUTE, UsageLimits},
    },
};

impl Reader<'_> {
    pub(super) fn seed_token(
        &mut self,
        entry: &Entry<'_, '_>,
        known: &Known,
        environments: &BTreeSet<String>,
    ) -> Option<SeedToken> {
        const KEYS: [&str; 12] = [
            "abilities",
            "canary",
            "description",
            "environment",
            "expires_at",
            "expires_in",
            "ip_allowlist",
            "metadata",
            "name",
            "owner",
            "quota",
            "requests_per_minute",
        ];
        let fields = self.fields(&entry.path, entry.value, &KEYS)?;
        let owner = self.token_owner(entry, fields, known, environments);
        let abilities = self.abilities(entry, fields);
        let expiry = self.expiry(entry, fields);
        let limits = self.limits(entry, fields);
        let annotations = self.annotations(entry, fields);
        let canary = fields
            .get("canary")
            .map(|value| self.checked(&entry.key("canary"), value, "true or false", DeValue::as_bool));
        Some(SeedToken {
            place: entry.place.clone(),
            name: entry.name.clone(),
            owner: owner?,
            abilities: abilities?,
            expiry: expiry?,
            limits: limits?,
            annotations: annotations?,
            is_canary: optional(canary)?.unwrap_or(false),
        })
    }

    fn token_owner(
        &mut self,
        entry: &Entry<'_, '_>,
        fields: &DeTable<'_>,
        known: &Known,
        environments: &BTreeSet<String>,
    ) -> Option<TokenOwner> {
        match (fields.get("owner"), fields.get("environment")) {
            (Some(owner), None) => {
                self.reference(&entry.key("owner"), owner, OWNER, |name| known.has_owner(name)).map(TokenOwner::Owner)
            }
            (None, Some(environment)) => self
                .reference(&entry.key("environment"), environment, "the name of an environment of this file", |name| {
                    environments.contains(name)
                })
                .map(TokenOwner::Environment),
            (Some(_), Some(environment)) => {
                self.refuse(
                    &entry.key("environment"),
                    environment,
                    "left out beside owner: a token has one of the two",
                );
                None
            }
            (None, None) => {
                self.required(&entry.path, entry.value, fields, "owner", OWNER);
                None
            }
        }
    }

    /// The outer `None` is an error, the inner one a token for which the file names no abilities.
    fn abilities(&mut self, entry: &Entry<'_, '_>, fields: &DeTable<'_>) -> Option<Option<Abilities>> {
        let Some(value) = fields.get("abilities") else { return Some(None) };
        let wanted =
            "an ability: * or words of letters, digits, _ . - joined by : (calls:read), of which the last may be *";
        let abilities =
            self.list(&entry.path, fields, "abilities", wanted, |text| Ability::parse(text).ok()).unwrap_or_default();
        match Abilities::new(abilities) {
            Ok(abilities) => Some(Some(abilities)),
            Err(_) => {
                self.refuse(&entry.key("abilities"), value, &format!("at most {} abilities", Abilities::MAX));
                None
            }
        }
    }

    fn expiry(&mut self, entry: &Entry<'_, '_>, fields: &DeTable<'_>) -> Option<SeedExpiry> {
        match (fields.get("expires_in"), fields.get("expires_at")) {
            (None, None) => Some(SeedExpiry::Default),
            (Some(value), None) => {
                let wanted = r#""never", or a duration in whole seconds such as "10s", "12h" or "90d""#;
                self.checked(&entry.key("expires_in"), value, wanted, |value: &DeValue<'_>| match value.as_str()? {
                    "never" => Some(SeedExpiry::Never),
                    text => {
                        let whole = |duration: &Duration| !duration.is_zero() && duration.subsec_nanos() == 0;
                        parse_duration(text).filter(whole).map(SeedExpiry::After)
                    }
                })
            }
            (None, Some(value)) => {
                let wanted = "a date and time like 2030-01-31T12:00:00Z";
                self.checked(&entry.key("expires_at"), value, wanted, |value: &DeValue<'_>| {
                    let text = match value {
                        DeValue::Datetime(time) => time.to_string(),
                        other => other.as_str()?.to_owned(),
                    };
                    Timestamp::parse(&text).ok().map(SeedExpiry::At)
                })
            }
            (Some(_), Some(value)) => {
                self.refuse(&entry.key("expires_at"), value, "left out beside expires_in: a token has one expiry");
                None
            }
        }
    }

    fn limits(&mut self, entry: &Entry<'_, '_>, fields: &DeTable<'_>) -> Option<UsageLimits> {
        let wanted = "an IP address or a network like 192.0.2.0/24 or 2001:db8::/32";
        let networks =
            self.list(&entry.path, fields, "ip_allowlist", wanted, |text| Allowlist::parse_network(text).ok());
        let allowlist = Allowlist::new(networks.unwrap_or_default()).ok();
        if allowlist.is_none()
            && let Some(value) = fields.get("ip_allowlist")
        {
            self.refuse(&entry.key("ip_allowlist"), value, &format!("at most {} networks", Allowlist::MAX));
        }
        let requests_per_minute = self.number(entry, fields, "requests_per_minute", MAX_PER_MINUTE);
        let quota = self.number(entry, fields, "quota", u32::MAX);
        Some(UsageLimits { allowlist: allowlist?, requests_per_minute: requests_per_minute?, quota: quota? })
    }

    /// The outer `None` is an error, the inner one a missing key.
    fn number(&mut self, entry: &Entry<'_, '_>, fields: &DeTable<'_>, key: &str, most: u32) -> Option<Option<u32>> {
        let Some(value) = fields.get(key) else { return Some(None) };
        let wanted = format!("an integer from 1 to {most}");
        let number = self.checked(&entry.key(key), value, &wanted, |value: &DeValue<'_>| {
            let number = value.as_integer()?;
            u32::from_str_radix(&number.as_str().replace('_', ""), number.radix())
                .ok()
                .filter(|number| (1..=most).contains(number))
        });
        number.map(Some)
    }

    fn annotations(&mut self, entry: &Entry<'_, '_>, fields: &DeTable<'_>) -> Option<Annotations> {
        let description =
            fields.get("description").map(|value| self.parsed(&entry.key("description"), value, Description::parse));
        let (mut metadata, mut is_valid) = (Metadata::default(), true);
        let path = entry.key("metadata");
        let pairs =
            fields.get("metadata").map(|value| self.checked(&path, value, "a table of strings", DeValue::as_table));
        for (key, value) in optional(pairs)?.into_iter().flatten() {
            let key = key.get_ref();
            let added = self.parsed(&format!("{path}.{key}"), value, |text| {
                Metadata::check(key, text).map_err(|error| error.to_string())?;
                metadata.insert(key, text).map_err(|error| error.to_string())
            });
            is_valid &= added.is_some();
        }
        let description = optional(description)?;
        is_valid.then_some(Annotations { description, metadata })
    }
}
