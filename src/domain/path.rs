//! Request paths as policies see them.
//!
//! A proxy, this program and the application may parse a path in different ways. A path that two of them could read
//! differently is refused, so that a rule never matches another path than the one that is served. If an application reads
//! such paths in a known way, its policy says so with a [`PathReading`], and the path is read in the same way here.

use std::borrow::Cow;

/// A path as the application sees it: its segments, each decoded once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestPath<'t>(Vec<Cow<'t, str>>);

/// How an application reads what programs read differently. The default refuses all of it.
///
/// No reading accepts a dot segment (not even after an encoded slash or before a `;`), a backslash, a control character, a
/// raw `#` or a double encoding. No application needs them, and each leads to another path in some program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathReading {
    /// `%2F`.
    pub encoded_slash: EncodedSlash,
    /// `;`.
    pub semicolon: Semicolon,
    /// `//`.
    pub empty_segments: EmptySegments,
}

/// How an application reads `%2F`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EncodedSlash {
    /// Unknown. The path is refused.
    #[default]
    Refuse,
    /// As a character within a segment: `/a%2Fb` has one segment.
    WithinSegment,
    /// As a slash: `/a%2Fb` is `/a/b`.
    Separator,
}

/// How an application reads `;`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Semicolon {
    /// Unknown. The path is refused.
    #[default]
    Refuse,
    /// As an ordinary character.
    Literal,
    /// As the beginning of parameters, which do not belong to the path: `/a;v=2/b` is `/a/b`.
    Parameter,
}

/// How an application reads `//`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EmptySegments {
    /// Unknown. The path is refused.
    #[default]
    Refuse,
    /// As two slashes with an empty segment between them.
    Keep,
    /// As one slash.
    Merge,
}

impl PathReading {
    /// Refuses every path that two programs could read differently.
    pub const STRICT: Self = Self {
        encoded_slash: EncodedSlash::Refuse,
        semicolon: Semicolon::Refuse,
        empty_segments: EmptySegments::Refuse,
    };

    /// How patterns are read. A pattern that no path can match under this reading is refused as a mistake.
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

/// Why a path is refused: two programs could read it differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmbiguousPath {
    /// It does not begin with a slash: `*`, a whole URL, or empty.
    #[error("does not begin with a slash")]
    NotAbsolute,
    /// A raw `#`, which begins a fragment. A request target has no fragment, and some parsers cut it off.
    #[error("has a # that is not encoded as %23")]
    Fragment,
    /// An empty segment: `//`.
    #[error("has an empty segment (//)")]
    EmptySegment,
    /// A segment `.` or `..`.
    #[error("has a segment . or ..")]
    DotSegment,
    /// A `;`. Some servers read parameters after it and serve `/admin` for `/admin;x`.
    #[error("has a ;")]
    Parameter,
    /// A backslash. Some parsers read it as a slash.
    #[error("has a backslash")]
    Backslash,
    /// An encoded slash.
    #[error("has an encoded slash")]
    EncodedSlash,
    /// NUL or another control character.
    #[error("has a control character")]
    Control,
    /// A `%` without two hex digits, or an encoding that would decode a second time.
    #[error("is encoded badly or twice")]
    Encoding,
}

impl AmbiguousPath {
    /// The setting of a policy that can allow such a path.
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
    /// Reads the path of a request target, with or without a query, by the strict reading.
    pub fn parse(target: &'t str) -> Result<Self, AmbiguousPath> {
        Self::parse_as(target, PathReading::STRICT)
    }

    /// Reads the path of a request target as an application reads it.
    pub fn parse_as(target: &'t str, reading: PathReading) -> Result<Self, AmbiguousPath> {
        let path = match before(target, b'?') {
            Some((_, query)) if query.contains('#') => return Err(AmbiguousPath::Fragment),
            Some((path, _)) => path,
            None => target,
        };
        let mut rest = path.strip_prefix('/').ok_or(AmbiguousPath::NotAbsolute)?;
        let mut segments = Segments { read: Vec::with_capacity(8), reading };
        while let Some((raw, behind)) = before(rest, b'/') {
            segments.add(raw, false)?;
            rest = behind;
        }
        segments.add(rest, true)?;
        Ok(Self(segments.read))
    }

    /// The decoded segments. A trailing slash is an empty last segment.
    pub fn segments(&self) -> &[Cow<'t, str>] {
        &self.0
    }
}

/// The text before and after the first `mark`. For short texts this loop is faster than a search function.
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
    /// Adds the text between two slashes.
    fn add(&mut self, raw: &'t str, is_last: bool) -> Result<(), AmbiguousPath> {
        // The fast path: nearly every segment has nothing to decode and nothing to check.
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
        if !raw.is_empty() && !raw.starts_with('.') && raw.bytes().all(is_plain) {
            self.read.push(Cow::Borrowed(raw));
            return Ok(());
        }
        self.add_unusual(raw, is_last)
    }

    fn add_unusual(&mut self, raw: &'t str, is_last: bool) -> Result<(), AmbiguousPath> {
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
        // Even if the application does not split the segment there, a program behind it may.
        if decoded.split(['/', ';']).any(|piece| matches!(piece, "." | "..")) {
            return Err(AmbiguousPath::DotSegment);
        }
        // A lone % is an ordinary character. If it would decode again, some programs decode it twice.
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
            // An application that joins the segment to a directory would start at the root if it begins with a slash.
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

    /// Only the last segment may always be empty: it is a trailing slash, which makes another path.
    fn push(&mut self, segment: Cow<'t, str>, is_last: bool) -> Result<(), AmbiguousPath> {
        if segment.is_empty() && !is_last {
            match self.reading.empty_segments {
                EmptySegments::Merge => return Ok(()),
                // A program that resolves `//host/path` as a link reads a host and `/path`.
                EmptySegments::Keep if !self.read.is_empty() => {}
                EmptySegments::Keep | EmptySegments::Refuse => return Err(AmbiguousPath::EmptySegment),
            }
        }
        self.read.push(segment);
        Ok(())
    }
}

/// The text before the first `;`. An encoded `;` is refused, because only some servers read parameters after it. A slash
/// within parameters is refused, because it ends the segment for servers that decode first.
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
