//! Request paths as a policy sees them: read in one way, or not at all.
//!
//! A proxy, this program and the application behind may each parse a path in their own way. A path on which two of them
//! could disagree about where it leads is refused here, so that no rule is ever matched against another path than the
//! one that is served.

use std::borrow::Cow;

/// A path that every parser reads alike: decoded once, in segments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestPath<'t>(Vec<Cow<'t, str>>);

/// Two parsers could read the path in two ways, so nobody gets anywhere by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmbiguousPath {
    /// It does not begin with a slash (`*`, a whole URL, nothing).
    #[error("does not begin with a slash")]
    NotAbsolute,
    /// An empty segment: `//`.
    #[error("has an empty segment (//)")]
    EmptySegment,
    /// A segment `.` or `..`.
    #[error("has a segment . or ..")]
    DotSegment,
    /// A `;`, behind which some servers see parameters that are none of the path: they serve `/admin` for `/admin;x`.
    #[error("has a ;")]
    Parameter,
    /// A backslash, which some parsers take for a slash.
    #[error("has a backslash")]
    Backslash,
    /// A slash within a segment, encoded.
    #[error("has an encoded slash")]
    EncodedSlash,
    /// NUL or another control character, or a bare `#`.
    #[error("has a control character or a #")]
    Control,
    /// A `%` without two hex digits, or one that would be read as an encoding if it were decoded twice.
    #[error("is encoded badly or twice")]
    Encoding,
}

impl<'t> RequestPath<'t> {
    /// Reads a path as it stood in the request line, with its query if it has one.
    pub fn parse(target: &'t str) -> Result<Self, AmbiguousPath> {
        let path = before(target, b'?').map_or(target, |(path, _)| path);
        let mut rest = path.strip_prefix('/').ok_or(AmbiguousPath::NotAbsolute)?;
        let mut segments = Vec::with_capacity(8);
        while let Some((raw, behind)) = before(rest, b'/') {
            segments.push(segment(raw, false)?);
            rest = behind;
        }
        segments.push(segment(rest, true)?);
        Ok(Self(segments))
    }

    /// The decoded segments; a trailing slash is an empty last one.
    pub fn segments(&self) -> &[Cow<'t, str>] {
        &self.0
    }
}

/// What stands before the first `mark`, and behind it. In texts as short as these, to look is quicker than to search.
fn before(text: &str, mark: u8) -> Option<(&str, &str)> {
    let at = text.bytes().position(|byte| byte == mark)?;
    Some((&text[..at], &text[at + 1..]))
}

/// Only the last segment may be empty: that is a trailing slash, which leads elsewhere than without.
fn segment(raw: &str, is_last: bool) -> Result<Cow<'_, str>, AmbiguousPath> {
    if raw.is_empty() && !is_last {
        return Err(AmbiguousPath::EmptySegment);
    }
    // Nearly every segment, for every request: nothing in it to decode or to doubt.
    if !raw.starts_with('.') && raw.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte)) {
        return Ok(Cow::Borrowed(raw));
    }
    let decoded = decode(raw)?;
    if decoded.contains('/') {
        return Err(AmbiguousPath::EncodedSlash);
    }
    if decoded.contains('\\') {
        return Err(AmbiguousPath::Backslash);
    }
    if raw.contains('#') || decoded.chars().any(char::is_control) {
        return Err(AmbiguousPath::Control);
    }
    if decoded.contains(';') {
        return Err(AmbiguousPath::Parameter);
    }
    if matches!(&*decoded, "." | "..") {
        return Err(AmbiguousPath::DotSegment);
    }
    // A lone % is a character like any other; one that would decode again is read further by some, and not by others.
    let twice = decoded.match_indices('%').any(|(at, _)| decoded.get(at + 1..at + 3).is_some_and(is_hex));
    if twice { Err(AmbiguousPath::Encoding) } else { Ok(decoded) }
}

fn decode(raw: &str) -> Result<Cow<'_, str>, AmbiguousPath> {
    if !raw.contains('%') {
        return Ok(Cow::Borrowed(raw));
    }
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let hex = behind.get(..2).and_then(|hex| std::str::from_utf8(hex).ok()).filter(|hex| is_hex(hex));
        bytes.push(hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()).ok_or(AmbiguousPath::Encoding)?);
        rest = &behind[2..];
    }
    String::from_utf8(bytes).map(Cow::Owned).map_err(|_| AmbiguousPath::Encoding)
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_path_that_two_parsers_could_read_in_two_ways_is_refused() {
        use AmbiguousPath::*;
        for (target, expected) in [
            ("", NotAbsolute),
            ("*", NotAbsolute),
            ("calls", NotAbsolute),
            ("http://host/calls", NotAbsolute),
            ("//", EmptySegment),
            ("//host/calls", EmptySegment),
            ("/calls//1", EmptySegment),
            ("/.", DotSegment),
            ("/./calls", DotSegment),
            ("/calls/..", DotSegment),
            ("/calls/../admin", DotSegment),
            ("/calls/%2e%2E/admin", DotSegment),
            ("/calls/.%2e/admin", DotSegment),
            ("/calls/..;/admin", Parameter),
            ("/admin;x=1/users", Parameter),
            ("/admin%3bx/users", Parameter),
            ("/calls/%2e%2e%3bx/admin", Parameter),
            ("/calls%2fadmin", EncodedSlash),
            ("/calls/..%2Fadmin", EncodedSlash),
            ("/calls\\admin", Backslash),
            ("/calls%5cadmin", Backslash),
            ("/calls%00", Control),
            ("/calls%0d%0aX: y", Control),
            ("/calls#/admin", Control),
            ("/calls%", Encoding),
            ("/calls%2", Encoding),
            ("/calls%zz", Encoding),
            ("/calls/%252e%252e/admin", Encoding),
            ("/calls%252fadmin", Encoding),
            ("/calls%25%32%66admin", Encoding),
            ("/calls%c0%af", Encoding),
            ("/calls%ff", Encoding),
        ] {
            assert_eq!(RequestPath::parse(target), Err(expected), "{target:?}");
        }
    }

    #[test]
    fn a_path_is_decoded_once_and_its_query_is_none_of_it() {
        let read = |target| RequestPath::parse(target).unwrap().0;
        assert_eq!(read("/"), [""]);
        assert_eq!(read("/calls/1?next=/../admin//"), ["calls", "1"]);
        assert_eq!(read("/calls/"), ["calls", ""]);
        assert_eq!(read("/c%61lls/%C3%A9%20x"), ["calls", "é x"]);
        assert_eq!(read("/.../..x/100%25"), ["...", "..x", "100%"]);
        assert_eq!(read("/a%3Fb"), ["a?b"], "an encoded question mark begins no query");
    }

    proptest! {
        /// What is accepted stays the same when a parser folds dots and slashes, or decodes it once more.
        #[test]
        fn an_accepted_path_means_the_same_to_every_parser(target in "/([a-c./;%?\\\\]|%2[ef5F]|%5c|%25|%00){0,12}") {
            if let Ok(path) = RequestPath::parse(&target) {
                let joined = format!("/{}", path.0.join("/"));
                prop_assert_eq!(folded(&joined), joined.clone());
                let again = joined.replace("%2e", ".").replace("%2f", "/").replace("%25", "%").replace("%5c", "\\");
                prop_assert_eq!(again, joined);
            }
        }
    }

    /// What a parser does that folds as much as it can.
    fn folded(path: &str) -> String {
        let mut kept: Vec<&str> = Vec::new();
        let segments: Vec<&str> = path.split(['/', '\\']).skip(1).collect();
        for (at, segment) in segments.iter().enumerate() {
            // Parameters are cut off.
            match segment.split(';').next().unwrap_or_default() {
                "" if at + 1 < segments.len() => {}
                "." => {}
                ".." => drop(kept.pop()),
                plain => kept.push(plain),
            }
        }
        format!("/{}", kept.join("/"))
    }
}
