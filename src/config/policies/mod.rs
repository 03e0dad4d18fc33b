//! Reads `[[policies]]`. Policies can be set in the configuration file only, not by variables or flags.

mod options;

use toml::de::DeValue;

use super::{
    error::ConfigError,
    file::File,
    reader::{Item, Reader},
};
use crate::domain::{
    ability::Ability,
    path::PathReading,
    policy::{Access, PathPattern, Policy, Rule},
    secret::CredentialKind,
};

/// The key of the list at the top level of the file.
pub(super) const KEY: &str = "policies";

/// The kinds that a rule accepts if it does not say. Sessions are not among them, because a session token may change
/// credentials and the proxy passes it on to the application.
const DEFAULT_KINDS: [CredentialKind; 2] = [CredentialKind::PersonalAccessToken, CredentialKind::EnvironmentToken];

/// Reads the list. Adds all that is wrong to `errors`; policies with errors may be missing from the result.
pub(super) fn read(list: Item<'_, '_>, file: &File<'_>, errors: &mut Vec<ConfigError>) -> Vec<Policy> {
    let mut reader = Reader { file, errors };
    let mut policies = Vec::new();
    for (path, item) in reader.items(KEY, list, "policies, each below [[policies]]") {
        let policy = reader.policy(&path, item, &policies);
        policies.extend(policy);
    }
    policies
}

impl Reader<'_> {
    fn policy(&mut self, path: &str, value: Item<'_, '_>, others: &[Policy]) -> Option<Policy> {
        let fields = self.fields(path, value, &[&["name", "rules"], &options::KEYS[..]].concat())?;
        let options = self.options(path, fields);
        let name = self.required(path, value, fields, "name", "1 to 64 letters, digits, - or _");
        let list = self.required(path, value, fields, "rules", "a list of rules; the first rule that matches decides");
        let mut rules = Vec::new();
        for (path, item) in list.map_or_else(Vec::new, |list| self.items(&format!("{path}.rules"), list, "rules")) {
            rules.extend(self.rule(&path, item, options.path_reading));
        }
        let (path, name) = (format!("{path}.name"), name?);
        let text = self.checked(&path, name, "a string", DeValue::as_str)?;
        let policy = Policy::new(text, rules).map(|policy| policy.with_options(options)).map_err(|error| {
            self.refuse(&path, name, error.to_string().trim_start_matches("must be "));
        });
        if others.iter().any(|other| other.name() == text) {
            self.refuse(&path, name, "different from every other policy's");
        }
        policy.ok()
    }

    fn rule(&mut self, path: &str, value: Item<'_, '_>, reading: PathReading) -> Option<Rule> {
        let fields = self.fields(path, value, &["abilities", "credentials", "methods", "paths", "public"])?;
        let wanted = r#"a method in upper case, such as "GET""#;
        let methods = self.list(path, fields, "methods", wanted, method).unwrap_or_default();
        let wanted = "a path such as /calls, /calls/*/notes or /calls/**, without percent-encoding (except where path_reading allows it)";
        let paths = self.list(path, fields, "paths", wanted, |text| PathPattern::parse_as(text, reading).ok());
        if let Some(list) = self.required(path, value, fields, "paths", AT_LEAST_ONE_PATH)
            && list.get_ref().as_array().is_some_and(|items| items.is_empty())
        {
            self.refuse(&format!("{path}.paths"), list, AT_LEAST_ONE_PATH);
        }
        let abilities =
            self.list(path, fields, "abilities", "an ability, such as calls:read, without *", required_ability);
        let wanted = "personal_access_token, environment_token or session";
        let kinds = self.list(path, fields, "credentials", wanted, kind);
        let (path, public) = (format!("{path}.public"), fields.get("public"));
        let is_public = public.and_then(|value| self.checked(&path, value, "true or false", DeValue::as_bool));
        if let Some((true, value)) = is_public.zip(public)
            && (abilities.is_some() || kinds.is_some())
        {
            self.refuse(&path, value, "without abilities and credentials in the same rule");
        }
        let access = match is_public {
            Some(true) => Access::Public,
            _ => Access::Credential {
                kinds: kinds.unwrap_or(DEFAULT_KINDS.into()),
                abilities: abilities.unwrap_or_default(),
            },
        };
        Some(Rule { methods, paths: paths.unwrap_or_default(), access })
    }
}

const AT_LEAST_ONE_PATH: &str = r#"at least one path, such as "/calls/**""#;

fn method(text: &str) -> Option<String> {
    let is_method = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
    is_method.then(|| text.to_owned())
}

/// A rule names single abilities. Only tokens may hold wildcards.
fn required_ability(text: &str) -> Option<Ability> {
    Ability::parse(text).ok().filter(|ability| !ability.as_str().contains('*'))
}

fn kind(text: &str) -> Option<CredentialKind> {
    let all = [CredentialKind::Session, CredentialKind::PersonalAccessToken, CredentialKind::EnvironmentToken];
    all.into_iter().find(|kind| kind.as_str() == text)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use toml::de::DeTable;

    use super::*;
    use crate::config::error::ConfigErrors;

    pub(super) fn read_text(text: &str) -> Result<Vec<Policy>, String> {
        let (table, mut errors) = (DeTable::parse(text).unwrap(), Vec::new());
        let file = File { path: Path::new("patd.toml"), text };
        let policies = read(&table.get_ref()[KEY], &file, &mut errors);
        if errors.is_empty() { Ok(policies) } else { Err(ConfigErrors(errors).to_string()) }
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
        let needs_read =
            Access::Credential { kinds: DEFAULT_KINDS.into(), abilities: vec![Ability::parse("calls:read").unwrap()] };
        assert_eq!(access("GET", "/calls/1"), Some(needs_read));
        assert!(
            matches!(access("PUT", "/calls/1"), Some(Access::Credential { kinds, .. }) if kinds == [CredentialKind::Session])
        );
    }

    #[test]
    fn an_error_names_its_path_and_what_is_allowed() {
        let policy = |rule: &str| format!("[[policies]]\nname = \"app\"\nrules = [{rule}]");
        for (text, place, wanted) in [
            ("policies = 7".to_owned(), "policies (", "an array of policies"),
            ("[[policies]]\nname = \"app\"".to_owned(), "policies[0].rules (", "missing"),
            ("[[policies]]\nname = \"a b\"\nrules = []".to_owned(), "policies[0].name", "1 to 64 letters"),
            (format!("{0}\n{0}", policy("")), "policies[1].name", "different"),
            (policy(r#"{ path = ["/"] }"#), "policies[0].rules[0].path (", "perhaps paths is meant"),
            (policy("{ paths = [] }"), "policies[0].rules[0].paths", "at least one"),
            (policy(r#"{ paths = ["/", "x"] }"#), "policies[0].rules[0].paths[1]", "a path such as"),
            (policy(r#"{ paths = ["/"], methods = ["get"] }"#), "policies[0].rules[0].methods[0]", "upper case"),
            (policy(r#"{ paths = ["/"], abilities = ["calls:*"] }"#), "policies[0].rules[0].abilities[0]", "without *"),
            (policy(r#"{ paths = ["/"], credentials = ["pat"] }"#), "policies[0].rules[0].credentials[0]", "session"),
            (policy(r#"{ paths = ["/"], public = true, abilities = [] }"#), "policies[0].rules[0].public", "without"),
        ] {
            let error = read_text(&text).unwrap_err();
            assert!(error.contains(place) && error.contains(wanted), "{text}: {error}");
        }
    }

    #[test]
    fn every_error_is_reported_with_its_own_line() {
        let text = r#"
[[policies]]
name = "app"
rules = [
    { paths = ["/health"], public = "yes" },
    { method = ["GET"], paths = [
        "/calls/**",
        "calls",
    ] },
    7,
]

[[policies]]
name = "app"
colour = "red"
rules = []

[[policies]]
rules = [{}]
"#;
        let errors = read_text(text).unwrap_err();
        let places: Vec<&str> =
            errors.lines().filter_map(|line| line.split_once(") ").map(|(place, _)| place)).collect();
        let expected = [
            "policies[0].rules[0].public (patd.toml, line 5",
            "policies[0].rules[1].method (patd.toml, line 6",
            "policies[0].rules[1].paths[1] (patd.toml, line 8",
            "policies[0].rules[2] (patd.toml, line 10",
            "policies[1].colour (patd.toml, line 15",
            "policies[1].name (patd.toml, line 14",
            "policies[2].name (patd.toml, line 18",
            "policies[2].rules[0].paths (patd.toml, line 19",
        ];
        assert_eq!(places, expected, "{errors}");
    }
}
