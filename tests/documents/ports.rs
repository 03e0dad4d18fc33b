//! Replaces the ports in a document by free ones, so that documents and other programs can run at the same time.

use std::{collections::BTreeMap, net::TcpListener};

/// The default port of patd.
pub const DEFAULT: u16 = 8080;

#[derive(Default)]
pub struct Ports(BTreeMap<u16, u16>);

impl Ports {
    /// Chooses free ports for the default one and for each that follows `127.0.0.1:` or `localhost:` in `texts`.
    pub fn for_all<'t>(texts: impl Iterator<Item = &'t str>) -> Self {
        let mut named: Vec<u16> = texts.flat_map(named).collect();
        named.push(DEFAULT);
        // Keeps all listeners open until the end, so that no two ports are the same.
        let held: Vec<(u16, TcpListener)> =
            named.into_iter().map(|port| (port, TcpListener::bind("127.0.0.1:0").unwrap())).collect();
        Self(held.iter().map(|(port, listener)| (*port, listener.local_addr().unwrap().port())).collect())
    }

    pub fn of(&self, port: u16) -> u16 {
        self.0[&port]
    }

    /// Replaces each named port that is a whole word by its free port.
    pub fn replace(&self, text: &str) -> String {
        self.exchange(text, |number| self.0.get(&number).copied())
    }

    /// Replaces the free ports by those of the document.
    pub fn restore(&self, text: &str) -> String {
        self.exchange(text, |number| self.0.iter().find(|(_, free)| **free == number).map(|(port, _)| *port))
    }

    fn exchange(&self, text: &str, other: impl Fn(u16) -> Option<u16>) -> String {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
        let (mut exchanged, mut rest) = (String::new(), text);
        while !rest.is_empty() {
            let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            match word.parse().ok().and_then(&other) {
                Some(port) => exchanged.push_str(&port.to_string()),
                None => exchanged.push_str(word),
            }
            let next = after.find(is_word).unwrap_or(after.len());
            exchanged.push_str(&after[..next]);
            rest = &after[next..];
        }
        exchanged
    }
}

fn named(text: &str) -> impl Iterator<Item = u16> {
    ["127.0.0.1:", "localhost:"].into_iter().flat_map(move |host| {
        text.match_indices(host).filter_map(move |(at, _)| {
            let rest = &text[at + host.len()..];
            rest[..rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())].parse().ok()
        })
    })
}

#[test]
fn named_ports_are_replaced_only_as_whole_words() {
    let text = "curl http://127.0.0.1:8000/8000.txt --bind 127.0.0.1 8000 -d 18000 # 8080";
    let ports = Ports::for_all([text].into_iter());
    let (free, usual) = (ports.of(8000), ports.of(DEFAULT));
    let replaced = ports.replace(text);
    assert_eq!(replaced, format!("curl http://127.0.0.1:{free}/8000.txt --bind 127.0.0.1 {free} -d 18000 # {usual}"));
    assert_eq!(ports.restore(&replaced), text);
}
