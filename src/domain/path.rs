//! Request paths as a policy sees them: read in one way, or not at all.
//!
//! A proxy, this program and the application behind may each parse a path in their own way. A path on which two of them
//! could disagree about where it leads is refused here, so that no rule is ever matched against another path than the
//! one that is served. Where an application is known to read such a path in one certain way, its policy says so with a
//! [`PathReading`], and the path is read here as that application reads it.

use std::borrow::Cow;

/// A path in segments, each decoded once, as the application sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestPath<'t>(Vec<Cow<'t, str>>);

/// How an application reads what other programs read differently. The default refuses all of it.
///
/// No reading accepts a dot segment (also behind an encoded slash or before a `;`), a backslash, a control character, a
/// raw `#` or a double encoding: no application needs them, and each of them leads somewhere else in some program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathReading {
    /// `%2F`.
    pub encoded_slash: EncodedSlash,
    /// `;`.
    pub semicolon: Semicolon,
    /// `//`.
    pub empty_segments: EmptySegments,
}

/// What `%2F` is to an application.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EncodedSlash {
    /// Unknown: the path is refused.
    #[default]
    Refuse,
    /// A character within a segment: `/a%2Fb` has one segment.
    WithinSegment,
    /// A slash like any other: `/a%2Fb` is `/a/b`.
    Separator,
}

/// What a `;` is to an application.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Semicolon {
    /// Unknown: the path is refused.
    #[default]
    Refuse,
    /// A character like any other.
    Literal,
    /// The beginning of parameters, which are not part of the path: `/a;v=2/b` is `/a/b`.
    Parameter,
}

/// What `//` is to an application.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EmptySegments {
    /// Unknown: the path is refused.
    #[default]
    Refuse,
    /// Two slashes, with an empty segment between them.
    Keep,
    /// The same as one slash.
    Merge,
}

impl PathReading {
    /// Refuses whatever two programs could read differently.
    pub const STRICT: Self = Self {
        encoded_slash: EncodedSlash::Refuse,
        semicolon: Semicolon::Refuse,
        empty_segments: EmptySegments::Refuse,
    };

    /// How patterns are read: a spelling that no path has once it was read cannot match, so it is a mistake.
    pub(super) fn of_patterns(self) -> Self {
        Self {
            encoded_slash: match self.encoded_slash {
                EncodedSlash::WithinSegment => EncodedSlash::WithinSegment,
                EncodedSlash::Refuse | EncodedSlash::Separator => EncodedSlash::Refuse,
            },
            semicolon: match self.semicolon {
                Semicolon::Literal => Semicolon::Literal,
                Semicolon::Refuse | Semicolon::Parameter => Semicolon::Refuse,
            },
            empty_segments: match self.empty_segments {
                EmptySegments::Keep => EmptySegments::Keep,
                EmptySegments::Refuse | EmptySegments::Merge => EmptySegments::Refuse,
            },
        }
    }
}

/// Two parsers could read the path in two ways, so nobody gets anywhere by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmbiguousPath {
    /// It does not begin with a slash (`*`, a whole URL, nothing).
    #[error("does not begin with a slash")]
    NotAbsolute,
    /// A raw `#`, which begins a fragment. A request target has none, and some parsers cut it off with all that follows.
    #[error("has a # that is not encoded as %23")]
    Fragment,
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
    /// NUL or another control character.
    #[error("has a control character")]
    Control,
    /// A `%` without two hex digits, or one that would be read as an encoding if it were decoded twice.
    #[error("is encoded badly or twice")]
    Encoding,
}

impl AmbiguousPath {
    /// The setting of a policy that allows such a path, if there is one.
    pub const fn setting(self) -> Option<&'static str> {
        match self {
            Self::EncodedSlash => Some("path_reading.encoded_slash"),
            Self::Parameter => Some("path_reading.semicolon"),
            Self::EmptySegment => Some("path_reading.empty_segments"),
            _ => None,
        }
    }
}

impl<'t> RequestPath<'t> {
    /// Reads a path as it stood in the request line, with its query if it has one, and strictly.
    pub fn parse(target: &'t str) -> Result<Self, AmbiguousPath> {
        Self::parse_as(target, PathReading::STRICT)
    }

    /// The same as an application reads it.
    pub fn parse_as(target: &'t str, reading: PathReading) -> Result<Self, AmbiguousPath> {
        let path = match before(target, b'?') {
            Some((_, query)) if query.contains('#') => return Err(AmbiguousPath::Fragment),
            Some((path, _)) => path,
            None => target,
        };
        let mut rest = path.strip_prefix('/').ok_or(AmbiguousPath::NotAbsolute)?;
        let mut segments = Segments { read: Vec::with_capacity(8), reading };
        while let Some((raw, behind)) = before(rest, b'/') {
            segments.take(raw, false)?;
            rest = behind;
        }
        segments.take(rest, true)?;
        Ok(Self(segments.read))
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

/// The segments of a path that is being read.
struct Segments<'t> {
    read: Vec<Cow<'t, str>>,
    reading: PathReading,
}

impl<'t> Segments<'t> {
    /// Takes what stands between two slashes.
    fn take(&mut self, raw: &'t str, is_last: bool) -> Result<(), AmbiguousPath> {
        // Nearly every segment, for every request: nothing in it to decode or to doubt.
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
        if !raw.is_empty() && !raw.starts_with('.') && raw.bytes().all(is_plain) {
            self.read.push(Cow::Borrowed(raw));
            return Ok(());
        }
        self.take_unusual(raw, is_last)
    }

    fn take_unusual(&mut self, raw: &'t str, is_last: bool) -> Result<(), AmbiguousPath> {
        let decoded = decode(raw)?;
        let PathReading { encoded_slash, semicolon, empty_segments } = self.reading;
        if encoded_slash == EncodedSlash::Refuse && decoded.contains('/') {
            return Err(AmbiguousPath::EncodedSlash);
        }
        if decoded.contains('\\') {
            return Err(AmbiguousPath::Backslash);
        }
        if raw.contains('#') {
            return Err(AmbiguousPath::Fragment);
        }
        if decoded.chars().any(char::is_control) {
            return Err(AmbiguousPath::Control);
        }
        if semicolon == Semicolon::Refuse && decoded.contains(';') {
            return Err(AmbiguousPath::Parameter);
        }
        // Whatever the application makes of these, what it hands the path on to may split it there.
        if decoded.split(['/', ';']).any(|piece| matches!(piece, "." | "..")) {
            return Err(AmbiguousPath::DotSegment);
        }
        // A lone % is a character like any other; one that would decode again is read further by some, and not by others.
        if decoded.match_indices('%').any(|(at, _)| decoded.get(at + 1..at + 3).is_some_and(is_hex)) {
            return Err(AmbiguousPath::Encoding);
        }
        let name = match semicolon {
            Semicolon::Parameter => without_parameters(raw, decoded)?,
            Semicolon::Refuse | Semicolon::Literal => decoded,
        };
        match encoded_slash {
            EncodedSlash::Separator if name.contains('/') => {
                let mut pieces = name.split('/').peekable();
                while let Some(piece) = pieces.next() {
                    self.push(Cow::Owned(piece.to_owned()), is_last && pieces.peek().is_none())?;
                }
                Ok(())
            }
            // An application that joins the segment to a directory would go to the root for one that begins with a slash.
            EncodedSlash::WithinSegment
                if empty_segments == EmptySegments::Refuse
                    && name.contains('/')
                    && name.split('/').any(str::is_empty) =>
            {
                Err(AmbiguousPath::EmptySegment)
            }
            _ => self.push(name, is_last),
        }
    }

    /// Only the last segment may always be empty: that is a trailing slash, which leads elsewhere than without.
    fn push(&mut self, segment: Cow<'t, str>, is_last: bool) -> Result<(), AmbiguousPath> {
        if segment.is_empty() && !is_last {
            match self.reading.empty_segments {
                EmptySegments::Merge => return Ok(()),
                // What resolves `//host/path` like a link sees a host there, and `/path` behind it.
                EmptySegments::Keep if !self.read.is_empty() => {}
                EmptySegments::Keep | EmptySegments::Refuse => return Err(AmbiguousPath::EmptySegment),
            }
        }
        self.read.push(segment);
        Ok(())
    }
}

/// What stands before the first `;`. One that is encoded begins parameters for some servers and not for others, and a
/// slash within parameters ends the segment for those that decode first.
fn without_parameters<'t>(raw: &'t str, decoded: Cow<'t, str>) -> Result<Cow<'t, str>, AmbiguousPath> {
    if decoded.matches(';').count() != raw.matches(';').count() {
        return Err(AmbiguousPath::Parameter);
    }
    match decoded.find(';') {
        None => Ok(decoded),
        Some(end) if decoded[end..].contains('/') => Err(AmbiguousPath::EncodedSlash),
        Some(end) => Ok(match decoded {
            Cow::Borrowed(text) => Cow::Borrowed(&text[..end]),
            Cow::Owned(mut text) => {
                text.truncate(end);
                Cow::Owned(text)
            }
        }),
    }
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
mod tests;
