//! Policies: which credentials and abilities a request to an application needs, by method and path.
//!
//! The first rule that matches decides. Without a match the request is refused. Policies come from the configuration; no
//! request changes them.

use super::{
    ability::Ability,
    path::{AmbiguousPath, EmptySegments, PathReading, RequestPath},
    policy_options::PolicyOptions,
    secret::CredentialKind,
};

/// A named list of rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    name: String,
    /// Its place among all policies.
    number: usize,
    rules: Vec<Rule>,
    options: PolicyOptions,
}

/// One rule of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The methods that it matches, in upper case. An empty list matches every method.
    pub methods: Vec<String>,
    /// The paths that it matches.
    pub paths: Vec<PathPattern>,
    /// Which requests it allows.
    pub access: Access,
}

/// Which requests a rule allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// All. Credentials are not read.
    Public,
    /// Those with a valid credential of one of these kinds that holds all of these abilities.
    Credential {
        /// The accepted kinds.
        kinds: Vec<CredentialKind>,
        /// The required abilities. If there are none, any accepted credential is enough.
        abilities: Vec<Ability>,
    },
}

/// The text is not a name of a policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 64 letters, digits, - or _")]
pub struct ParsePolicyNameError;

impl Policy {
    /// A policy with default options. The name becomes a part of the endpoints' paths.
    pub fn new(name: &str, rules: Vec<Rule>) -> Result<Self, ParsePolicyNameError> {
        let sound = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if !(1..=64).contains(&name.len()) || !name.bytes().all(sound) {
            return Err(ParsePolicyNameError);
        }
        Ok(Self { name: name.to_owned(), number: 0, rules, options: PolicyOptions::default() })
    }

    /// The same policy with these options.
    #[must_use]
    pub fn with_options(self, options: PolicyOptions) -> Self {
        Self { options, ..self }
    }

    /// The same policy in this place among all policies.
    #[must_use]
    pub fn numbered(self, number: usize) -> Self {
        Self { number, ..self }
    }

    /// Its place among all policies.
    pub const fn number(&self) -> usize {
        self.number
    }

    /// The rules.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The options.
    pub fn options(&self) -> &PolicyOptions {
        &self.options
    }

    /// Reads the path of a request target as the application reads it.
    pub fn read<'t>(&self, target: &'t str) -> Result<RequestPath<'t>, AmbiguousPath> {
        RequestPath::parse_as(target, self.options.path_reading)
    }

    /// The first rule that matches, with its index. `None` means that the request is refused.
    pub fn rule_for(&self, method: &str, path: &RequestPath<'_>) -> Option<(usize, &Rule)> {
        self.rules.iter().enumerate().find(|(_, rule)| rule.matches(method, path))
    }
}

impl Rule {
    fn matches(&self, method: &str, path: &RequestPath<'_>) -> bool {
        let method_fits = self.methods.is_empty() || self.methods.iter().any(|named| named == method);
        method_fits && self.paths.iter().any(|pattern| pattern.matches(path))
    }
}

/// A pattern of paths. `/calls` matches that path, `/calls/*/notes` any one segment in the middle, and `/calls/**` `/calls`
/// and everything below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPattern {
    segments: Vec<Segment>,
    and_below: bool,
    written: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Exactly(String),
    AnyOne,
}

/// The text is not a pattern of paths. The message reads on from the name of the setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be a path like /calls, /calls/*/notes or /calls/**, without . or .. segments, queries, and //, ; or encoded \
     slashes that the policy does not keep"
)]
pub struct ParsePatternError;

impl PathPattern {
    /// Parses a pattern for the strict reading of paths.
    pub fn parse(text: &str) -> Result<Self, ParsePatternError> {
        Self::parse_as(text, PathReading::STRICT)
    }

    /// Parses a pattern. The text between the wildcards is read like the path of a request.
    pub fn parse_as(text: &str, reading: PathReading) -> Result<Self, ParsePatternError> {
        let (stem, and_below) = match text.strip_suffix("/**") {
            Some("") => ("", true),
            Some(stem) => (stem, true),
            None => (text, false),
        };
        let keeps_empty = reading.empty_segments == EmptySegments::Keep;
        // No path begins with an empty segment, whatever the reading is.
        if text.contains('?') || (and_below && (stem == "/" || stem.ends_with('/') && !keeps_empty)) {
            return Err(ParsePatternError);
        }
        let segments = match (stem, and_below) {
            ("", true) => Vec::new(),
            _ => RequestPath::parse_as(stem, reading.of_patterns()).map_err(|_| ParsePatternError)?.segments().to_vec(),
        };
        let segments = segments.into_iter().map(|segment| match &*segment {
            "*" => Ok(Segment::AnyOne),
            text if text.contains('*') => Err(ParsePatternError),
            _ => Ok(Segment::Exactly(segment.into_owned())),
        });
        Ok(Self { segments: segments.collect::<Result<_, _>>()?, and_below, written: text.to_owned() })
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.written
    }

    fn matches(&self, path: &RequestPath<'_>) -> bool {
        let path = path.segments();
        let long_enough = match self.and_below {
            true => path.len() >= self.segments.len(),
            false => path.len() == self.segments.len(),
        };
        long_enough
            && self.segments.iter().zip(path).all(|(segment, present)| match segment {
                Segment::Exactly(text) => text == present,
                Segment::AnyOne => !present.is_empty(),
            })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        super::path::{EncodedSlash, Semicolon},
        *,
    };

    fn matches(pattern: &str, path: &str) -> bool {
        PathPattern::parse(pattern).unwrap().matches(&RequestPath::parse(path).unwrap())
    }

    #[test]
    fn patterns_match_exactly_except_for_wildcards() {
        for (pattern, path) in [
            ("/", "/"),
            ("/calls", "/calls?x=1"),
            ("/calls", "/c%61lls"),
            ("/calls/", "/calls/"),
            ("/calls/*", "/calls/1"),
            ("/calls/*/notes", "/calls/1/notes"),
            ("/calls/**", "/calls"),
            ("/calls/**", "/calls/"),
            ("/calls/**", "/calls/1/notes"),
            ("/*/**", "/calls/1"),
            ("/**", "/"),
            ("/**", "/a/b/"),
        ] {
            assert!(matches(pattern, path), "{pattern} {path}");
        }
        for (pattern, path) in [
            ("/", "/calls"),
            ("/calls", "/calls/"),
            ("/calls", "/Calls"),
            ("/calls", "/calls/1"),
            ("/calls/*", "/calls"),
            ("/calls/*", "/calls/"),
            ("/calls/*", "/calls/1/notes"),
            ("/calls/*/notes", "/calls/x/x/notes"),
            ("/calls/**", "/callsign"),
            ("/calls/**", "/other/calls"),
            ("/*/**", "/"),
        ] {
            assert!(!matches(pattern, path), "{pattern} {path}");
        }
    }

    #[test]
    fn a_malformed_pattern_is_refused() {
        for bad in [
            "", "calls", "*", "/a**", "/a*", "/**/a", "/a/**/b", "//", "/a/../b", "/a?b", "/a%2fb", "/a/**/", "/a//**",
            "/a;b", "/a#b",
        ] {
            assert_eq!(PathPattern::parse(bad), Err(ParsePatternError), "{bad:?}");
        }
    }

    const AS_CHARACTERS: PathReading = PathReading {
        encoded_slash: EncodedSlash::WithinSegment,
        semicolon: Semicolon::Literal,
        empty_segments: EmptySegments::Keep,
    };
    const AS_SEPARATORS: PathReading = PathReading {
        encoded_slash: EncodedSlash::Separator,
        semicolon: Semicolon::Parameter,
        empty_segments: EmptySegments::Merge,
    };

    #[test]
    fn an_encoded_slash_within_a_segment_does_not_split_it() {
        let matches = |pattern: &str, path: &str| {
            let pattern = PathPattern::parse_as(pattern, AS_CHARACTERS).unwrap();
            pattern.matches(&RequestPath::parse_as(path, AS_CHARACTERS).unwrap())
        };
        for (pattern, path) in [
            ("/projects/*", "/projects/group%2Fproject"),
            ("/projects/*/issues", "/projects/group%2Fproject/issues"),
            ("/projects/**", "/projects/group%2Fproject"),
            ("/projects/group%2Fproject", "/projects/group%2fproj%65ct"),
            ("/calls;v=2", "/calls%3Bv=2"),
            ("/a//b", "/a//b"),
            ("/a//**", "/a//b"),
        ] {
            assert!(matches(pattern, path), "{pattern} {path}");
        }
        for (pattern, path) in [
            ("/projects/*/*", "/projects/group%2Fproject"),
            ("/projects/group/project", "/projects/group%2Fproject"),
            ("/projects/**", "/projects%2Fgroup"),
            ("/calls", "/calls;v=2"),
            ("/a/*/b", "/a//b"),
            ("/a/b", "/a//b"),
        ] {
            assert!(!matches(pattern, path), "{pattern} {path}");
        }
    }

    #[test]
    fn a_pattern_that_no_path_can_match_is_refused() {
        for bad in ["/a%2Fb", "/a;b", "/a//b", "/a//**"] {
            assert_eq!(PathPattern::parse_as(bad, AS_SEPARATORS), Err(ParsePatternError), "{bad}");
        }
        for bad in ["/a%2F..", "/a/..;x", "//a", "//**", "/*%2F*", "/a?b"] {
            assert_eq!(PathPattern::parse_as(bad, AS_CHARACTERS), Err(ParsePatternError), "{bad}");
        }
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let rule = |methods: &[&str], path: &str| Rule {
            methods: methods.iter().map(|&method| method.to_owned()).collect(),
            paths: vec![PathPattern::parse(path).unwrap()],
            access: Access::Public,
        };
        let rules = vec![rule(&["GET", "HEAD"], "/calls/*"), rule(&[], "/calls/1"), rule(&["GET"], "/**")];
        let policy = Policy::new("app", rules).unwrap();
        let decides =
            |method: &str, path: &str| policy.rule_for(method, &RequestPath::parse(path).unwrap()).map(|(at, _)| at);
        assert_eq!(decides("GET", "/calls/1"), Some(0));
        assert_eq!(decides("POST", "/calls/1"), Some(1));
        assert_eq!(decides("GET", "/other"), Some(2));
        assert_eq!(decides("POST", "/other"), None);
        assert_eq!(decides("get", "/calls/1"), Some(1), "methods are case-sensitive (RFC 9110, section 9.1)");
    }

    /// The path that a program serves if it splits every segment again and resolves all dot segments.
    fn served(path: &RequestPath<'_>) -> Vec<String> {
        let mut folded: Vec<String> = Vec::new();
        for piece in path.segments().iter().flat_map(|segment| segment.split(['/', ';', '\\'])) {
            match piece {
                "." => {}
                ".." => drop(folded.pop()),
                other => folded.push(other.to_owned()),
            }
        }
        folded
    }

    /// The three kinds of pattern, by recursion over the segments.
    fn naive(pattern: &[&str], path: &[&str]) -> bool {
        match (pattern, path) {
            (["**"], _) | ([], []) => true,
            (["*", pattern @ ..], [segment, path @ ..]) => !segment.is_empty() && naive(pattern, path),
            ([literal, pattern @ ..], [segment, path @ ..]) => literal == segment && naive(pattern, path),
            _ => false,
        }
    }

    proptest! {
        /// With every reading, a request that the public rule allows is served a public path.
        #[test]
        fn a_public_rule_opens_nothing_else(
            target in "/(public|a|\\.|%2e|/|%2f|;|%3b|\\\\|%5c|#|\\?){0,10}(settings)?",
            separators in any::<bool>(),
        ) {
            let reading = if separators { AS_SEPARATORS } else { AS_CHARACTERS };
            let pattern = PathPattern::parse_as("/public/**", reading).unwrap();
            if let Ok(path) = RequestPath::parse_as(&target, reading)
                && pattern.matches(&path)
            {
                prop_assert_eq!(&served(&path)[0], "public", "{}", target);
                prop_assert!(!target.contains('#') && !target.split('?').next().unwrap().contains('\\'), "{}", target);
            }
        }

        #[test]
        fn matches_like_the_naive_model(
            pattern in "(/(a|b|\\*)){1,4}(/|/\\*\\*)?",
            path in "(/(a|b|c)){1,5}/?",
        ) {
            let pattern_segments: Vec<&str> = pattern.split('/').skip(1).collect();
            let path_segments: Vec<&str> = path.split('/').skip(1).collect();
            prop_assert_eq!(matches(&pattern, &path), naive(&pattern_segments, &path_segments), "{} {}", pattern, path);
        }
    }
}
