//! Finds a raw `#` in a request target. The framework's parser cuts it off with all that follows, but a proxy may pass
//! it on to its application, which may read `/public/a#/../settings` as `/settings`.
//!
//! The search looks only for bytes that can mean nothing else: `#`, no space, then the end of a request line. A JSON
//! body cannot contain them, since JSON strings have no raw line ends.

/// Searches the bytes of a connection, in whatever pieces they arrive.
#[derive(Debug, Default)]
pub(super) struct FragmentSearch(State);

/// What the last bytes may be part of.
#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Nothing,
    /// A `#`, with no space after it.
    Fragment,
    /// A `#` and then this many bytes of [`END`].
    End(usize),
}

/// What follows the target in a request line. The last byte can be any digit.
const END: &[u8] = b" HTTP/1.1";

impl FragmentSearch {
    /// Whether `bytes` complete a request line with a fragment.
    pub(super) fn finds(&mut self, bytes: &[u8]) -> bool {
        // Nearly always there is no `#`, and `memchr` checks many bytes at a time.
        let mut unread = match self.0 {
            State::Nothing => match memchr::memchr(b'#', bytes) {
                Some(at) => &bytes[at..],
                None => return false,
            },
            _ => bytes,
        };
        while let Some((&byte, behind)) = unread.split_first() {
            unread = behind;
            self.0 = match (self.0, byte) {
                (State::End(length), b'\r' | b'\n') if length == END.len() => {
                    self.0 = State::Nothing;
                    return true;
                }
                (State::End(length), b'0'..=b'9') if length + 1 == END.len() => State::End(END.len()),
                (State::End(length), byte) if END[..END.len() - 1].get(length) == Some(&byte) => State::End(length + 1),
                (State::Fragment, b' ') => State::End(1),
                (State::Fragment, b'!'..) | (_, b'#') => State::Fragment,
                _ => State::Nothing,
            };
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the search finds a fragment. Asserts that it does so for all pieces in which the bytes can arrive.
    fn is_found(text: &str) -> bool {
        let whole = FragmentSearch::default().finds(text.as_bytes());
        for at in 0..text.len() {
            let (mut search, (first, second)) = (FragmentSearch::default(), text.as_bytes().split_at(at));
            assert_eq!(search.finds(first) | search.finds(second), whole, "{text:?} at {at}");
        }
        let mut search = FragmentSearch::default();
        let one_by_one = text.bytes().fold(false, |found, byte| found | search.finds(&[byte]));
        assert_eq!(one_by_one, whole, "{text:?}");
        whole
    }

    #[test]
    fn a_fragment_is_found_wherever_its_request_stands() {
        for text in [
            "GET /a# HTTP/1.1\r\n",
            "GET /a#/../b HTTP/1.0\r\nHost: x\r\n\r\n",
            "GET /# HTTP/1.1\n",
            "GET # HTTP/1.1\r\n",
            "GET /a##b#c HTTP/1.1\r\n",
            "GET /a?b#c HTTP/1.1\r\n",
            "GET http://host/a#b HTTP/1.1\r\n",
            "GET /é#é HTTP/1.1\r\n",
            "GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /a#b HTTP/1.1\r\n\r\n",
            "POST /a HTTP/1.1\r\nContent-Length: 7\r\n\r\n{\"a\":1}GET /a#b HTTP/1.1\r\n",
            "X-Note: #1\r\n\r\nGET /a#b HTTP/1.1\r\n",
            "GET /a# HTTP/1.#b HTTP/1.1\r\n",
        ] {
            assert!(is_found(text), "{text:?}");
        }
    }

    #[test]
    fn any_other_hash_is_not_a_fragment() {
        for text in [
            "GET /a HTTP/1.1\r\nX-Note: #1\r\n\r\n",
            "GET /a%23b HTTP/1.1\r\n",
            "GET /a HTTP/1.1\r\nReferer: http://host/#a\r\nVia: HTTP/1.1\r\n",
            "{\"name\":\"#3 HTTP/1.1\"}",
            "{\"name\":\"# HTTP/1.1\\r\\n\"}",
            "#a b HTTP/1.1\r\n",
            "#a HTTP/2.0\r\n",
            "#a  HTTP/1.1\r\n",
            "# HTTP/1.1 \r\n",
        ] {
            assert!(!is_found(text), "{text:?}");
        }
    }
}
