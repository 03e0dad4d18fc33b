//! The `[[policies]]` of the configuration file: from what is written to [`Policy`] values, or a sentence that names the
//! entry. They come from the file alone: a list of rules has no place in a variable or a flag.

use serde::{Deserialize, de::IntoDeserializer};
use toml::Value;

use super::error::{ConfigError, Origin};
use crate::domain::{
    ability::Ability,
    policy::{Access, PathPattern, Policy, Rule},
    secret::CredentialKind,
};

/// The key of the list, at the top of the file.
pub(super) const KEY: &str = "policies";

/// A session token may change credentials, and a proxy hands it on to the application: rules must ask for it by name.
const USUAL_KINDS: [CredentialKind; 2] = [CredentialKind::PersonalAccessToken, CredentialKind::EnvironmentToken];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPolicy {
    name: String,
    rules: Vec<RawRule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    #[serde(default)]
    methods: Vec<String>,
    paths: Vec<String>,
    abilities: Option<Vec<String>>,
    credentials: Option<Vec<String>>,
    #[serde(default)]
    public: bool,
}

/// Reads the list; `origin` is where it begins.
pub(super) fn read(value: Value, origin: &Origin) -> Result<Vec<Policy>, ConfigError> {
    let raw: Vec<RawPolicy> = serde_path_to_error::deserialize(value.into_deserializer()).map_err(|error| {
        let path = error.path().to_string();
        let place = if path.starts_with('[') { format!("{KEY}{path}") } else { KEY.to_owned() };
        refused(place, origin, "not as it should be", error.inner().message())
    })?;
    let mut policies: Vec<Policy> = Vec::with_capacity(raw.len());
    for (at, raw) in raw.into_iter().enumerate() {
        let place = format!("{KEY}[{at}]");
        let rules = raw.rules.into_iter().enumerate();
        let rules = rules.map(|(at, rule)| read_rule(rule, &format!("{place}.rules[{at}]"), origin));
        let policy = Policy::new(&raw.name, rules.collect::<Result<_, _>>()?)
            .map_err(|error| refused(format!("{place}.name"), origin, &quoted(&raw.name), &strip_must(&error)))?;
        if policies.iter().any(|other| other.name() == policy.name()) {
            return Err(refused(
                format!("{place}.name"),
                origin,
                &quoted(&raw.name),
                "different from every other policy's",
            ));
        }
        policies.push(policy);
    }
    Ok(policies)
}

fn read_rule(raw: RawRule, place: &str, origin: &Origin) -> Result<Rule, ConfigError> {
    if raw.paths.is_empty() {
        return Err(refused(format!("{place}.paths"), origin, "empty", r#"at least one path, such as "/calls/**""#));
    }
    if raw.public && (raw.abilities.is_some() || raw.credentials.is_some()) {
        return Err(refused(format!("{place}.public"), origin, "true", "without abilities and credentials beside it"));
    }
    let list = List { place, origin };
    let abilities = raw.abilities.unwrap_or_default();
    let abilities = list.read("abilities", &abilities, "one ability, such as calls:read, without *", needed)?;
    let wanted = "personal_access_token, environment_token or session";
    let kinds = raw.credentials.map(|kinds| list.read("credentials", &kinds, wanted, kind)).transpose()?;
    let wanted = "a path like /calls, /calls/*/notes or /calls/**, written plainly";
    Ok(Rule {
        methods: list.read("methods", &raw.methods, r#"a method in upper case, such as "GET""#, method)?,
        paths: list.read("paths", &raw.paths, wanted, |text| PathPattern::parse(text).ok())?,
        access: match raw.public {
            true => Access::Public,
            false => Access::Credential { kinds: kinds.unwrap_or(USUAL_KINDS.into()), abilities },
        },
    })
}

/// A list of texts of one rule.
struct List<'r> {
    place: &'r str,
    origin: &'r Origin,
}

impl List<'_> {
    fn read<T>(
        &self,
        key: &str,
        texts: &[String],
        wanted: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Vec<T>, ConfigError> {
        let item = |(at, text): (usize, &String)| {
            let place = format!("{}.{key}[{at}]", self.place);
            parse(text).ok_or_else(|| refused(place, self.origin, &quoted(text), wanted))
        };
        texts.iter().enumerate().map(item).collect()
    }
}

fn method(text: &str) -> Option<String> {
    let sound = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
    sound.then(|| text.to_owned())
}

/// What a rule needs is one thing; only what a token holds may be a wildcard.
fn needed(text: &str) -> Option<Ability> {
    Ability::parse(text).ok().filter(|ability| !ability.as_str().contains('*'))
}

fn kind(text: &str) -> Option<CredentialKind> {
    let all = [CredentialKind::Session, CredentialKind::PersonalAccessToken, CredentialKind::EnvironmentToken];
    all.into_iter().find(|kind| kind.as_str() == text)
}

fn quoted(text: &str) -> String {
    format!("the string {text:?}")
}

fn strip_must(error: &impl ToString) -> String {
    error.to_string().trim_start_matches("must be ").to_owned()
}

fn refused(key: String, origin: &Origin, found: &str, wanted: &str) -> ConfigError {
    ConfigError::Refused { key, origin: origin.clone(), found: found.to_owned(), wanted: wanted.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Vec<Policy>, String> {
        let table: toml::Table = text.parse().unwrap();
        read(table[KEY].clone(), &Origin::Flag).map_err(|error| error.to_string())
    }

    #[test]
    fn a_policy_is_read_with_its_rules_in_order() {
        let policies = read_text(
            r#"
            [[policies]]
            name = "app"
            rules = [
                { paths = ["/health"], public = true },
                { methods = ["GET"], paths = ["/calls/**"], abilities = ["calls:read"] },
                { paths = ["/**"], abilities = ["calls:write"], credentials = ["session"] },
            ]
            "#,
        )
        .unwrap();
        let path = |text| crate::domain::path::RequestPath::parse(text).unwrap();
        let access = |method, target| policies[0].rule_for(method, &path(target)).map(|(_, rule)| rule.access.clone());
        assert_eq!(access("GET", "/health"), Some(Access::Public));
        let read =
            Access::Credential { kinds: USUAL_KINDS.into(), abilities: vec![Ability::parse("calls:read").unwrap()] };
        assert_eq!(access("GET", "/calls/1"), Some(read));
        assert!(
            matches!(access("PUT", "/calls/1"), Some(Access::Credential { kinds, .. }) if kinds == [CredentialKind::Session])
        );
    }

    #[test]
    fn a_mistake_names_its_place_and_the_way_out() {
        let policy = |rule: &str| format!("[[policies]]\nname = \"app\"\nrules = [{rule}]");
        for (text, place, wanted) in [
            ("policies = 7".to_owned(), "policies", "sequence"),
            ("[[policies]]\nname = \"app\"".to_owned(), "policies", "rules"),
            ("[[policies]]\nname = \"a b\"\nrules = []".to_owned(), "policies[0].name", "1 to 64 letters"),
            (format!("{0}\n{0}", policy("")), "policies[1].name", "different"),
            (policy(r#"{ path = ["/"] }"#), "policies", "unknown field `path`"),
            (policy("{ paths = [] }"), "policies[0].rules[0].paths", "at least one"),
            (policy(r#"{ paths = ["/", "x"] }"#), "policies[0].rules[0].paths[1]", "a path like"),
            (policy(r#"{ paths = ["/"], methods = ["get"] }"#), "policies[0].rules[0].methods[0]", "upper case"),
            (policy(r#"{ paths = ["/"], abilities = ["calls:*"] }"#), "policies[0].rules[0].abilities[0]", "without *"),
            (policy(r#"{ paths = ["/"], credentials = ["pat"] }"#), "policies[0].rules[0].credentials[0]", "session"),
            (policy(r#"{ paths = ["/"], public = true, abilities = [] }"#), "policies[0].rules[0].public", "without"),
        ] {
            let error = read_text(&text).unwrap_err();
            assert!(error.contains(place) && error.contains(wanted), "{text}: {error}");
        }
    }
}
