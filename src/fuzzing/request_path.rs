//! The path of a request, and the rule of a policy that decides about it.

use super::lines::line;
use crate::domain::{
    path::{EmptySegments, EncodedSlash, PathReading, RequestPath, Semicolon},
    policy::{Access, PathPattern, Policy, Rule},
    policy_options::PolicyOptions,
};

/// The first line has three digits for the reading of paths, the second one has the rules (`GET,POST=/pattern`, separated by
/// spaces), the third one the method, and the fourth one the target of the request.
pub fn request_path(data: &[u8]) {
    let Ok(mut text) = std::str::from_utf8(data) else { return };
    let reading = reading(line(&mut text).as_bytes());
    let rules: Vec<_> = line(&mut text).split(' ').filter_map(|rule| rule_of(rule, reading)).collect();
    let (method, target) = (line(&mut text), line(&mut text));
    let read = RequestPath::parse_as(target, reading);
    let expected = model(target, reading);
    match (&read, &expected) {
        (Ok(path), Some(segments)) => assert_eq!(path.segments(), segments, "{target:?} {reading:?}"),
        (Err(_), None) => {}
        _ => panic!("{target:?} {reading:?}: {read:?}, but the model says {expected:?}"),
    }
    let Ok(path) = read else { return };
    if let Ok(strictly) = RequestPath::parse(target) {
        assert_eq!(strictly, path, "what everybody reads in the same way, every reading reads so: {target:?}");
    }
    let options = PolicyOptions { path_reading: reading, ..PolicyOptions::default() };
    let policy = Policy::new("app", rules).expect("a sound name").with_options(options);
    let found = policy.rule_for(method, &path).map(|(number, _)| number);
    let matches = |rule: &Rule| {
        let is_method = rule.methods.is_empty() || rule.methods.iter().any(|named| named == method);
        is_method && rule.paths.iter().any(|pattern| matches_naively(pattern.as_str(), path.segments(), reading))
    };
    assert_eq!(found, policy.rules().iter().position(matches), "{target:?} {:?}", policy.rules());
}

fn reading(digits: &[u8]) -> PathReading {
    let digit = |at: usize| digits.get(at).map_or(0, |digit| digit % 3);
    PathReading {
        encoded_slash: [EncodedSlash::Refuse, EncodedSlash::WithinSegment, EncodedSlash::Separator]
            [usize::from(digit(0))],
        semicolon: [Semicolon::Refuse, Semicolon::Literal, Semicolon::Parameter][usize::from(digit(1))],
        empty_segments: [EmptySegments::Refuse, EmptySegments::Keep, EmptySegments::Merge][usize::from(digit(2))],
    }
}

fn rule_of(text: &str, reading: PathReading) -> Option<Rule> {
    let (methods, pattern) = text.split_once('=').unwrap_or(("", text));
    let pattern = PathPattern::parse_as(pattern, reading).ok()?;
    let methods = methods.split(',').filter(|method| !method.is_empty()).map(str::to_owned).collect();
    Some(Rule { methods, paths: vec![pattern], access: Access::Public })
}

/// Decodes the whole path first and takes it apart afterwards. It marks what was encoded with characters that no path may
/// have, because a decoded slash or semicolon is not the same as a written one.
fn model(target: &str, reading: PathReading) -> Option<Vec<String>> {
    const SLASH: char = '\u{1}';
    const SEMICOLON: char = '\u{2}';
    if target.contains('#') {
        return None;
    }
    let path = target.split('?').next().unwrap_or_default();
    if path.contains(|c: char| c.is_control()) {
        return None;
    }
    let mut decoded = Vec::new();
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || bytes.next().and_then(|digit| char::from(digit).to_digit(16));
        match u8::try_from(digit()? * 16 + digit()?).ok()? {
            b'/' => decoded.push(1),
            b';' => decoded.push(2),
            0..=31 | 127 => return None,
            byte => decoded.push(byte),
        }
    }
    let decoded = String::from_utf8(decoded).ok()?;
    let shown: String = decoded.replace(SLASH, "/").replace(SEMICOLON, ";");
    let is_refused = |c: char| c.is_control() || c == '\\';
    let decodes_again = (0..shown.len()).any(|at| {
        shown.as_bytes()[at] == b'%'
            && shown.as_bytes().get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    let has_dots = shown.split(['/', ';']).any(|piece| piece == "." || piece == "..");
    if shown.chars().any(is_refused) || decodes_again || has_dots {
        return None;
    }
    let has_slash = decoded.contains(SLASH);
    let has_semicolon = decoded.contains([';', SEMICOLON]);
    if has_slash && reading.encoded_slash == EncodedSlash::Refuse
        || has_semicolon && reading.semicolon == Semicolon::Refuse
    {
        return None;
    }
    let mut segments = Vec::new();
    for written in decoded.strip_prefix('/')?.split('/') {
        let mut name = written;
        if reading.semicolon == Semicolon::Parameter {
            let parameters = written.find(';').map_or("", |at| &written[at..]);
            if written.contains(SEMICOLON) || parameters.contains(SLASH) {
                return None;
            }
            name = &written[..written.len() - parameters.len()];
        }
        let name = name.replace(SEMICOLON, ";");
        match reading.encoded_slash {
            EncodedSlash::Separator => segments.extend(name.split(SLASH).map(str::to_owned)),
            _ => {
                let has_empty = name.contains(SLASH) && name.split(SLASH).any(str::is_empty);
                if has_empty && reading.empty_segments == EmptySegments::Refuse {
                    return None;
                }
                segments.push(name.replace(SLASH, "/"));
            }
        }
    }
    let last = segments.pop()?;
    match reading.empty_segments {
        EmptySegments::Refuse if segments.iter().any(String::is_empty) => return None,
        EmptySegments::Keep if segments.first().is_some_and(String::is_empty) => return None,
        EmptySegments::Merge => segments.retain(|segment| !segment.is_empty()),
        _ => {}
    }
    segments.push(last);
    Some(segments)
}

/// By recursion over the segments of the pattern as it is written.
fn matches_naively(pattern: &str, path: &[impl AsRef<str>], reading: PathReading) -> bool {
    fn matches(pattern: &[String], path: &[&str]) -> bool {
        match (pattern, path) {
            ([rest], _) if rest == "**" => true,
            ([], []) => true,
            ([first, pattern @ ..], [segment, path @ ..]) => {
                let fits = if first == "*" { !segment.is_empty() } else { first == segment };
                fits && matches(pattern, path)
            }
            _ => false,
        }
    }
    let strict_parts = PathReading {
        encoded_slash: match reading.encoded_slash {
            EncodedSlash::WithinSegment => EncodedSlash::WithinSegment,
            _ => EncodedSlash::Refuse,
        },
        ..reading
    };
    let pattern = model(pattern, strict_parts).expect("an accepted pattern is a path");
    let path: Vec<&str> = path.iter().map(AsRef::as_ref).collect();
    matches(&pattern, &path)
}
