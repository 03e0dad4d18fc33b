//! The `[[policies]]` of the configuration file: from what is written to [`Policy`] values, or a sentence that names the
//! entry. They come from the file alone: a list of rules has no place in a variable or a flag.

mod options;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    error::ConfigError,
    layers::{File, hint, nearest},
};
use crate::domain::{
    ability::Ability,
    path::PathReading,
    policy::{Access, PathPattern, Policy, Rule},
    secret::CredentialKind,
};

/// The key of the list, at the top of the file.
pub(super) const KEY: &str = "policies";

/// A value with its place in the text.
type Item<'v, 'i> = &'v Spanned<DeValue<'i>>;

/// A session token may change credentials, and a proxy hands it on to the application: rules must ask for it by name.
const USUAL_KINDS: [CredentialKind; 2] = [CredentialKind::PersonalAccessToken, CredentialKind::EnvironmentToken];

/// Reads the list, and adds what is wrong with it to `mistakes`; then what is answered is not the whole.
pub(super) fn read(list: Item<'_, '_>, file: &File<'_>, mistakes: &mut Vec<ConfigError>) -> Vec<Policy> {
    let mut reader = Reader { file, mistakes };
    let mut policies = Vec::new();
    for (place, item) in reader.items(KEY, list, "policies, each below [[policies]]") {
        let policy = reader.policy(&place, item, &policies);
        policies.extend(policy);
    }
    policies
}

/// Reads on after each mistake, and tells the line in which it stands.
struct Reader<'f> {
    file: &'f File<'f>,
    mistakes: &'f mut Vec<ConfigError>,
}

impl Reader<'_> {
    fn policy(&mut self, place: &str, value: Item<'_, '_>, others: &[Policy]) -> Option<Policy> {
        let fields = self.fields(place, value, &[&["name", "rules"], &options::KEYS[..]].concat())?;
        let options = self.options(place, fields);
        let name = self.required(place, value, fields, "name", "1 to 64 letters, digits, - or _");
        let list =
            self.required(place, value, fields, "rules", "a list of rules, of which the first that matches decides");
        let mut rules = Vec::new();
        for (place, item) in list.map_or_else(Vec::new, |list| self.items(&format!("{place}.rules"), list, "rules")) {
            rules.extend(self.rule(&place, item, options.path_reading));
        }
        let (place, name) = (format!("{place}.name"), name?);
        let text = self.checked(&place, name, "a string", DeValue::as_str)?;
        let policy = Policy::new(text, rules).map(|policy| policy.with_options(options)).map_err(|error| {
            self.refuse(&place, name, error.to_string().trim_start_matches("must be "));
        });
        if others.iter().any(|other| other.name() == text) {
            self.refuse(&place, name, "different from every other policy's");
        }
        policy.ok()
    }

    fn rule(&mut self, place: &str, value: Item<'_, '_>, reading: PathReading) -> Option<Rule> {
        let fields = self.fields(place, value, &["abilities", "credentials", "methods", "paths", "public"])?;
        let wanted = r#"a method in upper case, such as "GET""#;
        let methods = self.list(place, fields, "methods", wanted, method).unwrap_or_default();
        let wanted = "a path like /calls, /calls/*/notes or /calls/**, written plainly (with what path_reading takes for characters)";
        let paths = self.list(place, fields, "paths", wanted, |text| PathPattern::parse_as(text, reading).ok());
        if let Some(list) = self.required(place, value, fields, "paths", AT_LEAST_ONE_PATH)
            && list.get_ref().as_array().is_some_and(|items| items.is_empty())
        {
            self.refuse(&format!("{place}.paths"), list, AT_LEAST_ONE_PATH);
        }
        let abilities = self.list(place, fields, "abilities", "one ability, such as calls:read, without *", needed);
        let wanted = "personal_access_token, environment_token or session";
        let kinds = self.list(place, fields, "credentials", wanted, kind);
        let (place, public) = (format!("{place}.public"), fields.get("public"));
        let is_public = public.and_then(|value| self.checked(&place, value, "true or false", DeValue::as_bool));
        if let Some((true, value)) = is_public.zip(public)
            && (abilities.is_some() || kinds.is_some())
        {
            self.refuse(&place, value, "without abilities and credentials beside it");
        }
        let access = match is_public {
            Some(true) => Access::Public,
            _ => Access::Credential {
                kinds: kinds.unwrap_or(USUAL_KINDS.into()),
                abilities: abilities.unwrap_or_default(),
            },
        };
        Some(Rule { methods, paths: paths.unwrap_or_default(), access })
    }

    /// The fields of a table, of which `known` may be there.
    fn fields<'v, 'i>(&mut self, place: &str, value: Item<'v, 'i>, known: &[&str]) -> Option<&'v DeTable<'i>> {
        let all = known.join(", ");
        let fields = self.checked(place, value, &format!("a table of {all}"), DeValue::as_table)?;
        for key in fields.keys().filter(|key| !known.contains(&&**key.get_ref())) {
            let origin = self.file.origin(key.span().start);
            let nearest = nearest(key.get_ref(), known.iter().copied());
            self.mistakes.push(ConfigError::Unknown {
                written: format!("{place}.{} ({origin})", key.get_ref()),
                hint: hint(nearest),
                known: format!("the keys here are {all}"),
            });
        }
        Some(fields)
    }

    fn required<'v, 'i>(
        &mut self,
        place: &str,
        table: Item<'_, '_>,
        fields: &'v DeTable<'i>,
        key: &str,
        wanted: &str,
    ) -> Option<Item<'v, 'i>> {
        let value = fields.get(key);
        if value.is_none() {
            self.note(format!("{place}.{key}"), table, "missing".to_owned(), wanted);
        }
        value
    }

    /// The items of an array, each with its place.
    fn items<'v, 'i>(&mut self, place: &str, value: Item<'v, 'i>, wanted: &str) -> Vec<(String, Item<'v, 'i>)> {
        let items = self.checked(place, value, &format!("an array of {wanted}"), DeValue::as_array);
        items.into_iter().flatten().enumerate().map(|(at, item)| (format!("{place}[{at}]"), item)).collect()
    }

    /// A list of texts that may be missing, without those that `parse` does not take.
    fn list<T>(
        &mut self,
        place: &str,
        fields: &DeTable<'_>,
        key: &str,
        wanted: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<Vec<T>> {
        let items = self.items(&format!("{place}.{key}"), fields.get(key)?, "strings");
        let read = |(place, item): (String, Item<'_, '_>)| {
            self.checked(&place, item, wanted, |value| value.as_str().and_then(&parse))
        };
        Some(items.into_iter().filter_map(read).collect())
    }

    fn checked<'v, 'i, T>(
        &mut self,
        place: &str,
        value: Item<'v, 'i>,
        wanted: &str,
        read: impl FnOnce(&'v DeValue<'i>) -> Option<T>,
    ) -> Option<T> {
        let read = read(value.get_ref());
        if read.is_none() {
            self.refuse(place, value, wanted);
        }
        read
    }

    fn refuse(&mut self, place: &str, value: Item<'_, '_>, wanted: &str) {
        let found = match value.get_ref() {
            DeValue::String(text) => format!("the string {text:?}"),
            DeValue::Boolean(switch) => switch.to_string(),
            DeValue::Array(items) if items.is_empty() => "empty".to_owned(),
            other => format!("of type {}", other.type_str()),
        };
        self.note(place.to_owned(), value, found, wanted);
    }

    fn note(&mut self, key: String, at: Item<'_, '_>, found: String, wanted: &str) {
        let origin = self.file.origin(at.span().start);
        self.mistakes.push(ConfigError::Refused { key, origin, found, wanted: wanted.to_owned() });
    }
}

const AT_LEAST_ONE_PATH: &str = r#"at least one path, such as "/calls/**""#;

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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{super::error::Mistakes, *};

    pub(super) fn read_text(text: &str) -> Result<Vec<Policy>, String> {
        let (table, mut mistakes) = (DeTable::parse(text).unwrap(), Vec::new());
        let file = File { path: Path::new("patd.toml"), text };
        let policies = read(&table.get_ref()[KEY], &file, &mut mistakes);
        if mistakes.is_empty() { Ok(policies) } else { Err(Mistakes(mistakes).to_string()) }
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
            ("policies = 7".to_owned(), "policies (", "an array of policies"),
            ("[[policies]]\nname = \"app\"".to_owned(), "policies[0].rules (", "missing"),
            ("[[policies]]\nname = \"a b\"\nrules = []".to_owned(), "policies[0].name", "1 to 64 letters"),
            (format!("{0}\n{0}", policy("")), "policies[1].name", "different"),
            (policy(r#"{ path = ["/"] }"#), "policies[0].rules[0].path (", "perhaps paths is meant"),
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

    #[test]
    fn every_mistake_is_told_with_its_own_line() {
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
        let said = read_text(text).unwrap_err();
        let places: Vec<&str> = said.lines().filter_map(|line| line.split_once(") ").map(|(place, _)| place)).collect();
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
        assert_eq!(places, expected, "{said}");
    }
}
