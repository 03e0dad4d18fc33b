//! Which paths are refused, and how each reading reads the others.

use proptest::prelude::*;

use super::*;

#[test]
fn a_path_that_two_parsers_could_read_differently_is_refused() {
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
        ("/calls#/admin", Fragment),
        ("/calls#", Fragment),
        ("/calls?x#/../admin", Fragment),
        ("/#", Fragment),
        ("#", NotAbsolute),
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
fn a_path_is_decoded_once_and_without_its_query() {
    let read = |target| RequestPath::parse(target).unwrap().0;
    assert_eq!(read("/"), [""]);
    assert_eq!(read("/calls/1?next=/../admin//"), ["calls", "1"]);
    assert_eq!(read("/calls/"), ["calls", ""]);
    assert_eq!(read("/c%61lls/%C3%A9%20x"), ["calls", "é x"]);
    assert_eq!(read("/.../..x/100%25"), ["...", "..x", "100%"]);
    assert_eq!(read("/a%3Fb"), ["a?b"], "an encoded question mark does not begin a query");
}

proptest! {
    /// An accepted path stays the same when a parser resolves dot segments, merges slashes or decodes once more.
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

/// A parser that resolves and merges as much as it can.
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

/// How each reading reads ambiguous paths. The columns are: strict; an encoded slash within a segment, as a separator; `;`
/// as a character, as the beginning of parameters; `//` kept, merged.
#[test]
fn each_reading_allows_what_it_names_and_nothing_else() {
    let readings = [
        PathReading::STRICT,
        PathReading { encoded_slash: EncodedSlash::WithinSegment, ..PathReading::STRICT },
        PathReading { encoded_slash: EncodedSlash::Separator, ..PathReading::STRICT },
        PathReading { semicolon: Semicolon::Literal, ..PathReading::STRICT },
        PathReading { semicolon: Semicolon::Parameter, ..PathReading::STRICT },
        PathReading { empty_segments: EmptySegments::Keep, ..PathReading::STRICT },
        PathReading { empty_segments: EmptySegments::Merge, ..PathReading::STRICT },
    ];
    let (slash, semicolon, empty) =
        (Err(AmbiguousPath::EncodedSlash), Err(AmbiguousPath::Parameter), Err(AmbiguousPath::EmptySegment));
    // Paths that npm, clients of GitLab, servlets and clients that join two slashes send.
    for (target, expected) in [
        ("/@angular%2fcommon", [slash, Ok("@angular/common"), Ok("@angular|common"), slash, slash, slash, slash]),
        ("/projects/a%2Fb/x", [slash, Ok("projects|a/b|x"), Ok("projects|a|b|x"), slash, slash, slash, slash]),
        ("/a%2f%2fb", [slash, empty, empty, slash, slash, slash, slash]),
        ("/%2fa", [slash, empty, empty, slash, slash, slash, slash]),
        ("/a%2f", [slash, empty, Ok("a|"), slash, slash, slash, slash]),
        ("/a;v=2/b", [semicolon, semicolon, semicolon, Ok("a;v=2|b"), Ok("a|b"), semicolon, semicolon]),
        ("/a%3bv=2/b", [semicolon, semicolon, semicolon, Ok("a;v=2|b"), semicolon, semicolon, semicolon]),
        ("/a;jsessionid=1F", [semicolon, semicolon, semicolon, Ok("a;jsessionid=1F"), Ok("a"), semicolon, semicolon]),
        ("/a;x/", [semicolon, semicolon, semicolon, Ok("a;x|"), Ok("a|"), semicolon, semicolon]),
        ("/;x/a", [semicolon, semicolon, semicolon, Ok(";x|a"), empty, semicolon, semicolon]),
        ("/a;x=%2fb", [slash, semicolon, semicolon, slash, slash, slash, slash]),
        ("/a//b", [empty, empty, empty, empty, empty, Ok("a||b"), Ok("a|b")]),
        ("/a//", [empty, empty, empty, empty, empty, Ok("a||"), Ok("a|")]),
        ("//a", [empty, empty, empty, empty, empty, empty, Ok("a")]),
        ("//", [empty, empty, empty, empty, empty, empty, Ok("")]),
        ("/a/b", [Ok("a|b"); 7]),
        ("/", [Ok(""); 7]),
    ] {
        for (reading, expected) in readings.into_iter().zip(expected) {
            let read = RequestPath::parse_as(target, reading).map(|path| path.0.join("|"));
            assert_eq!(read.as_deref().map_err(|error| *error), expected, "{target} {reading:?}");
        }
    }
}

/// A path that leaves its directory in any program is refused by every reading.
#[test]
fn no_reading_lets_a_path_climb_or_hide_its_end() {
    for target in [
        "/a/../b",
        "/a/%2e%2e/b",
        "/a%2f..%2fb",
        "/a%2f%2e%2e%2Fb",
        "/a%2f..",
        "/..%2fa",
        "/a%2f.%2fb",
        "/a/..;/b",
        "/a/..;x=1/b",
        "/a/..%3b/b",
        "/a/.;x/b",
        "/a;../b",
        "/a;/../b",
        "/a%2f..;x%2fb",
        "/a;%2f../b",
        "/a//../b",
        "/a//..//b",
        "/a\\b",
        "/a%5cb",
        "/a%2f..%5cb",
        "/a;%5c..%5cb",
        "/a%00",
        "/a;%00",
        "/a%2f%00",
        "/a#/../b",
        "/a?#",
        "/a;#",
        "/a%252fb",
        "/a%252e%252e%252fb",
        "/a;%252e",
        "/a%c0%afb",
        "/a%u002fb",
        "a",
        "*",
        "http://host/a",
    ] {
        for reading in every_reading() {
            if let Ok(path) = RequestPath::parse_as(target, reading) {
                panic!("{target} is {path:?} in {reading:?}");
            }
        }
    }
}

#[test]
fn an_encoded_slash_within_parameters_is_refused() {
    for encoded_slash in [EncodedSlash::WithinSegment, EncodedSlash::Separator] {
        let reading = PathReading { encoded_slash, semicolon: Semicolon::Parameter, ..PathReading::STRICT };
        let refused = RequestPath::parse_as("/a;x=%2fb", reading);
        assert_eq!(refused, Err(AmbiguousPath::EncodedSlash), "{encoded_slash:?}");
        assert!(RequestPath::parse_as("/a%2fb;x=1", reading).is_ok(), "{encoded_slash:?}");
    }
}

fn every_reading() -> Vec<PathReading> {
    let mut readings = Vec::new();
    for encoded_slash in [EncodedSlash::Refuse, EncodedSlash::WithinSegment, EncodedSlash::Separator] {
        for semicolon in [Semicolon::Refuse, Semicolon::Literal, Semicolon::Parameter] {
            for empty_segments in [EmptySegments::Refuse, EmptySegments::Keep, EmptySegments::Merge] {
                readings.push(PathReading { encoded_slash, semicolon, empty_segments });
            }
        }
    }
    readings
}

proptest! {
    /// The segments that a policy matches are those that the application sees, if it reads paths as the policy says.
    #[test]
    fn an_accepted_path_is_what_the_application_sees(
        target in "/([a-c./;?]|%2[ef5F]|%3[bB]|%61|%5c){0,14}",
        at in 0..27_usize,
    ) {
        let reading = every_reading()[at];
        if let Ok(path) = RequestPath::parse_as(&target, reading) {
            prop_assert_eq!(path.0, application(&target, reading), "{}", target);
        }
    }

    /// An accepted path leads nowhere else in a program behind the application that decodes, cuts and merges all it can.
    #[test]
    fn an_accepted_path_never_climbs(target in "/([a-c./;?\\\\]|%2[ef5F]|%3b|%5c|%25){0,14}", at in 0..27_usize) {
        if RequestPath::parse_as(&target, every_reading()[at]).is_ok() {
            let path = target.split('?').next().unwrap().to_lowercase();
            let read = path.replace("%2e", ".").replace("%2f", "/").replace("%5c", "/").replace("%3b", ";");
            let again = read.replace("%25", "%").replace("%2e", ".").replace("%2f", "/").replace('\\', "/");
            let climbs = |text: &str| text.split(['/', ';']).any(|piece| piece == "." || piece == "..");
            prop_assert!(!climbs(&read) && !climbs(&again), "{}", target);
        }
    }
}

/// An application that follows its reading step by step and accepts every path.
fn application(target: &str, reading: PathReading) -> Vec<String> {
    let path = target.split('?').next().unwrap();
    let decode = |text: &str| {
        let decoded = text.replace("%61", "a").replace("%2e", ".").replace("%2f", "/").replace("%2F", "/");
        decoded.replace("%3b", ";").replace("%3B", ";").replace("%5c", "\\").replace("%25", "%")
    };
    let mut segments: Vec<String> = Vec::new();
    for segment in path.split('/').skip(1) {
        let name = match reading.semicolon {
            Semicolon::Parameter => segment.split(';').next().unwrap(),
            _ => segment,
        };
        match reading.encoded_slash {
            EncodedSlash::Separator => segments.extend(decode(name).split('/').map(str::to_owned)),
            _ => segments.push(decode(name)),
        }
    }
    if reading.empty_segments == EmptySegments::Merge {
        let last = segments.pop().unwrap();
        segments.retain(|segment| !segment.is_empty());
        segments.push(last);
    }
    segments
}
