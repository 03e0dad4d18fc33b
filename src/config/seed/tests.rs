//! Tests of reading the file.

use std::path::Path;

use super::*;
use crate::config::error::ConfigErrors;

fn read(text: &str) -> Result<Seed, String> {
    let (seed, errors) = Seed::parse(Path::new("seed.toml"), text).unwrap();
    if errors.is_empty() { Ok(seed) } else { Err(ConfigErrors(errors).to_string()) }
}

#[test]
fn every_key_is_read() {
    let seed = read(
        r#"
        [[users]]
        name = "Ada"
        email = "ada@example.com"
        password = "1000 wheels for ada"
        role = "admin"

        [[service_accounts]]
        name = "Nightly build"
        description = "Builds the app"
        managers = ["Ada"]

        [[environments]]
        name = "Staging"
        owner = "Nightly build"

        [[tokens]]
        name = "CI"
        owner = "Ada"
        abilities = ["calls:read", "calls:write"]
        expires_in = "30d"
        ip_allowlist = ["192.0.2.0/24"]
        requests_per_minute = 1_000
        quota = 0x10
        description = "The pipeline"
        metadata = { team = "platform" }
        canary = true

        [[tokens]]
        name = "Deployment"
        environment = "Staging"
        expires_at = 2090-01-31T12:00:00Z

        [[policies]]
        name = "app"
        rules = [{ paths = ["/**"] }]
        "#,
    )
    .unwrap();
    let (user, account) = (&seed.users[0], &seed.service_accounts[0]);
    assert_eq!((user.name.as_str(), user.email.as_str(), user.role), ("Ada", "ada@example.com", Role::Admin));
    assert_eq!(user.password.as_ref().unwrap().expose(), "1000 wheels for ada");
    assert_eq!((account.name.as_str(), &account.managers), ("Nightly build", &vec!["Ada".to_owned()]));
    assert_eq!(account.description.as_ref().unwrap().as_str(), "Builds the app");
    assert_eq!((seed.environments[0].name.as_str(), &*seed.environments[0].owner), ("Staging", "Nightly build"));
    let [ci, deployment] = &seed.tokens[..] else { panic!("{:?}", seed.tokens) };
    assert!(matches!(&ci.owner, TokenOwner::Owner(name) if name == "Ada"));
    let abilities: Vec<_> = ci.abilities.iter().flat_map(Abilities::iter).map(ToString::to_string).collect();
    assert_eq!(abilities, ["calls:read", "calls:write"]);
    assert!(matches!(ci.expiry, SeedExpiry::After(lifetime) if lifetime == Duration::from_hours(30 * 24)));
    assert_eq!((ci.limits.requests_per_minute, ci.limits.quota), (Some(1000), Some(16)));
    assert_eq!(ci.limits.allowlist.networks().len(), 1);
    assert_eq!(ci.annotations.description.as_ref().unwrap().as_str(), "The pipeline");
    assert_eq!((ci.annotations.metadata.get("team"), ci.is_canary), (Some("platform"), true));
    assert!(matches!(&deployment.owner, TokenOwner::Environment(name) if name == "Staging"));
    assert!(matches!(deployment.expiry, SeedExpiry::At(time) if time.to_string() == "2090-01-31T12:00:00Z"));
    assert!(deployment.abilities.is_none() && !deployment.is_canary);
    assert_eq!(seed.policies[0].name(), "app");
}

#[test]
fn every_mistake_is_reported_with_its_place_and_what_is_allowed() {
    let errors = read(
        r#"
[[users]]
name = "Ada"
email = "ada"
password = ""
role = "owner"
mail = "x"
[[users]]
email = "bob@example.com"
[[service_accounts]]
name = "Ada"
managers = ["Eve"]
description = " "
[[environments]]
name = "Staging"
owner = "Eve"
[[tokens]]
name = "CI"
owner = "Ada"
environment = "Staging"
abilities = ["calls read"]
expires_in = "soon"
ip_allowlist = ["here"]
requests_per_minute = 1_000_001
quota = 0
description = 1
metadata = { "" = "x", team = 1 }
canary = "yes"
[[tokens]]
name = "CI"
expires_in = "1d"
expires_at = "2090-01-31T12:00:00Z"
[[tokens]]
name = "Last"
environment = "Production"
expires_at = "tomorrow"
expires_in = "1500ms"
[[policies]]
name = "a b"
rules = []
[token]
"#,
    )
    .unwrap_err();
    let lines: Vec<&str> = errors.lines().collect();
    for (place, wanted) in [
        ("users[0].email (seed.toml, line 4)", "must be a valid email address."),
        ("users[0].password (seed.toml, line 5)", "is required."),
        ("users[0].role (seed.toml, line 6)", "must be member or admin."),
        ("users[0].mail (seed.toml, line 7)", "perhaps email is meant"),
        ("users[1].name (seed.toml, line 8)", "a name that no other item has"),
        ("service_accounts[0].name (seed.toml, line 11)", "different from every other name"),
        ("service_accounts[0].managers[0] (seed.toml, line 12)", "the name of a user of this file"),
        ("service_accounts[0].description (seed.toml, line 13)", "is required."),
        ("environments[0].owner (seed.toml, line 16)", "the name of a user or service account of this file"),
        ("tokens[0].environment (seed.toml, line 20)", "left out beside owner"),
        ("tokens[0].abilities[0] (seed.toml, line 21)", "calls:read"),
        ("tokens[0].expires_in (seed.toml, line 22)", "\"90d\""),
        ("tokens[0].ip_allowlist[0] (seed.toml, line 23)", "192.0.2.0/24"),
        ("tokens[0].requests_per_minute (seed.toml, line 24)", "an integer from 1 to 1000000"),
        ("tokens[0].quota (seed.toml, line 25)", "an integer from 1 to 4294967295"),
        ("tokens[0].description (seed.toml, line 26)", "a string"),
        ("tokens[0].metadata. (seed.toml, line 27)", "must have a key that is not empty."),
        ("tokens[0].metadata.team (seed.toml, line 27)", "a string"),
        ("tokens[0].canary (seed.toml, line 28)", "true or false"),
        ("tokens[1].name (seed.toml, line 30)", "different from every other name"),
        ("tokens[1].owner (seed.toml, line 29)", "the name of a user or service account of this file"),
        ("tokens[1].expires_at (seed.toml, line 32)", "left out beside expires_in"),
        ("tokens[2].environment (seed.toml, line 35)", "the name of an environment of this file"),
        ("tokens[2].expires_at (seed.toml, line 36)", "left out beside expires_in"),
        ("policies[0].name (seed.toml, line 39)", "1 to 64 letters"),
        ("token (seed.toml, line 41)", "perhaps tokens is meant"),
    ] {
        let found = lines.iter().filter(|line| line.starts_with(&format!("{place} ")) && line.contains(wanted));
        assert_eq!(found.count(), 1, "{place} {wanted}\n{errors}");
    }
    assert_eq!(lines.len(), 26, "{errors}");
}

#[test]
fn an_unreadable_file_and_a_list_of_another_type_are_errors() {
    let missing = Seed::read(Path::new("/no/such/seed.toml")).unwrap_err().to_string();
    assert!(missing.contains("/no/such/seed.toml cannot be read"), "{missing}");
    let broken = Seed::parse(Path::new("seed.toml"), "[[users]]\nname =").unwrap_err().to_string();
    assert!(broken.starts_with("seed.toml, line 2 is not valid TOML"), "{broken}");
    let table = read("[users]\nname = \"Ada\"").unwrap_err();
    assert!(table.starts_with("users (seed.toml, line 1)") && table.contains("each below [[users]]"), "{table}");
    let number = read("tokens = [1]").unwrap_err();
    assert!(number.starts_with("tokens[0] (seed.toml, line 1)"), "{number}");
}
