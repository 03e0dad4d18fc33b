//! Reads the optional keys of a policy, which stand beside its name and its rules.

use toml::de::{DeTable, DeValue};

use crate::config::reader::{Item, Reader};
use crate::domain::{
    path::{EmptySegments, EncodedSlash, PathReading, Semicolon},
    policy_options::{Challenges, CredentialPlace, IdentityHeader, PolicyOptions},
};

/// The keys, in alphabetical order.
pub(super) const KEYS: [&str; 4] = ["challenges", "credential_from", "identity_headers", "path_reading"];

impl Reader<'_> {
    /// The options of a policy. If one is wrong, an error is added and its default is used, so that reading continues.
    pub(super) fn options(&mut self, path: &str, fields: &DeTable<'_>) -> PolicyOptions {
        let mut options = PolicyOptions::default();
        if let Some(value) = fields.get("path_reading") {
            options.path_reading = self.path_reading(&format!("{path}.path_reading"), value).unwrap_or_default();
        }
        let wanted = r#""bearer" or "basic""#;
        if let Some(value) = fields.get("challenges") {
            let names = self.list(path, fields, "challenges", wanted, scheme).unwrap_or_default();
            options.challenges = Challenges { bearer: names.contains(&BEARER), basic: names.contains(&BASIC) };
            if value.get_ref().as_array().is_some_and(|items| items.is_empty()) {
                self.refuse(&format!("{path}.challenges"), value, r#"at least one of "bearer" and "basic""#);
            }
        }
        let wanted = r#""header:NAME" or "cookie:NAME", such as "header:X-API-Key"; not Authorization, which is always read, and not a header that proxies set"#;
        let places = self.list(path, fields, "credential_from", wanted, |text| CredentialPlace::parse(text).ok());
        for place in places.unwrap_or_default() {
            if !options.credential_from.contains(&place) {
                options.credential_from.push(place);
            }
        }
        let known: Vec<&str> = IdentityHeader::ALL.into_iter().map(IdentityHeader::as_str).collect();
        let wanted = format!("one of {}", known.join(", "));
        if let Some(headers) = self.list(path, fields, "identity_headers", &wanted, IdentityHeader::parse) {
            options.identity_headers = headers.into_iter().collect();
        }
        options
    }

    fn path_reading(&mut self, path: &str, value: Item<'_, '_>) -> Option<PathReading> {
        let fields = self.fields(path, value, &["empty_segments", "encoded_slash", "semicolon"])?;
        let encoded_slash = [
            ("refuse", EncodedSlash::Refuse),
            ("within_segment", EncodedSlash::WithinSegment),
            ("separator", EncodedSlash::Separator),
        ];
        let semicolon =
            [("refuse", Semicolon::Refuse), ("literal", Semicolon::Literal), ("parameter", Semicolon::Parameter)];
        let empty_segments =
            [("refuse", EmptySegments::Refuse), ("keep", EmptySegments::Keep), ("merge", EmptySegments::Merge)];
        Some(PathReading {
            encoded_slash: self.choice(path, fields, "encoded_slash", encoded_slash),
            semicolon: self.choice(path, fields, "semicolon", semicolon),
            empty_segments: self.choice(path, fields, "empty_segments", empty_segments),
        })
    }

    /// One of three words, or the default if the key is missing.
    fn choice<T: Copy + Default>(&mut self, path: &str, fields: &DeTable<'_>, key: &str, choices: [(&str, T); 3]) -> T {
        let Some(value) = fields.get(key) else { return T::default() };
        let [first, second, third] = choices.map(|(word, _)| word);
        let wanted = format!("\"{first}\", \"{second}\" or \"{third}\"");
        let word = self.checked(&format!("{path}.{key}"), value, &wanted, |value: &DeValue<'_>| {
            let text = value.as_str()?;
            choices.into_iter().find(|(word, _)| *word == text)
        });
        word.map_or_else(T::default, |(_, choice)| choice)
    }
}

const BEARER: &str = "bearer";
const BASIC: &str = "basic";

fn scheme(text: &str) -> Option<&'static str> {
    [BEARER, BASIC].into_iter().find(|known| *known == text)
}

#[cfg(test)]
mod tests {
    use super::{super::tests::read_text, *};
    use crate::domain::policy_options::IdentityHeaders;

    fn options(text: &str) -> PolicyOptions {
        let policies = read_text(&format!("[[policies]]\nname = \"app\"\nrules = []\n{text}")).unwrap();
        policies[0].options().clone()
    }

    #[test]
    fn a_missing_option_has_its_default() {
        assert_eq!(options(""), PolicyOptions::default());
        assert_eq!(options("path_reading = {}"), PolicyOptions::default());
        assert_eq!(PolicyOptions::default().path_reading, PathReading::STRICT);
        assert_eq!(PolicyOptions::default().identity_headers, IdentityHeaders::ALL);
    }

    #[test]
    fn every_option_is_read() {
        let all = options(
            r#"
            path_reading = { encoded_slash = "within_segment", semicolon = "parameter", empty_segments = "merge" }
            challenges = ["bearer", "basic"]
            credential_from = ["header:X-API-Key", "cookie:session", "header:x-api-key"]
            identity_headers = ["Remote-User", "x-auth-token-id"]
            "#,
        );
        let expected = PolicyOptions {
            path_reading: PathReading {
                encoded_slash: EncodedSlash::WithinSegment,
                semicolon: Semicolon::Parameter,
                empty_segments: EmptySegments::Merge,
            },
            challenges: Challenges { bearer: true, basic: true },
            credential_from: vec![
                CredentialPlace::Header("x-api-key".to_owned()),
                CredentialPlace::Cookie("session".to_owned()),
            ],
            identity_headers: [IdentityHeader::RemoteUser, IdentityHeader::TokenId].into_iter().collect(),
        };
        assert_eq!(all, expected);
        assert_eq!(options(r#"challenges = ["basic"]"#).challenges, Challenges { bearer: false, basic: true });
        let none = options("identity_headers = []").identity_headers;
        assert!(IdentityHeader::ALL.into_iter().all(|header| !none.wants(header)));
    }

    #[test]
    fn path_reading_applies_to_the_patterns_of_the_rules() {
        let policy = |reading: &str, path: &str| {
            read_text(&format!(
                "[[policies]]\nname = \"app\"\nrules = [{{ paths = [\"{path}\"] }}]\npath_reading = {{ {reading} }}"
            ))
        };
        assert!(policy("", "/a%2Fb").is_err());
        assert!(policy(r#"encoded_slash = "within_segment""#, "/a%2Fb").is_ok());
        assert!(policy(r#"encoded_slash = "separator""#, "/a%2Fb").is_err());
    }

    #[test]
    fn an_error_names_its_path_and_what_is_allowed() {
        for (text, place, wanted) in [
            ("path_reading = true", "policies[0].path_reading (", "empty_segments, encoded_slash, semicolon"),
            ("path_reading = { slash = 1 }", "policies[0].path_reading.slash (", "the keys here are"),
            (r#"path_reading = { semicolon = "keep" }"#, "policies[0].path_reading.semicolon (", "\"literal\""),
            ("challenges = []", "policies[0].challenges (", "at least one"),
            (r#"challenges = ["digest"]"#, "policies[0].challenges[0] (", "\"bearer\" or \"basic\""),
            (r#"credential_from = ["X-API-Key"]"#, "policies[0].credential_from[0] (", "header:NAME"),
            (r#"credential_from = ["header:Authorization"]"#, "policies[0].credential_from[0] (", "always read"),
            (r#"identity_headers = ["Remote"]"#, "policies[0].identity_headers[0] (", "Remote-User"),
            ("headers = []", "policies[0].headers (", "identity_headers"),
        ] {
            let error = read_text(&format!("[[policies]]\nname = \"app\"\nrules = []\n{text}")).unwrap_err();
            assert!(error.contains(place) && error.contains(wanted), "{text}: {error}");
        }
    }
}
