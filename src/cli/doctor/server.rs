//! Examines the running server, and whether proxies can reach it.

use std::{
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    time::Duration,
};

use crate::{
    cli::{failure::Failure, resources::files_wanted},
    config::Config,
    control::{Request, ServerView, client},
    domain::finding::Finding,
};

const SERVER: &str = "server";
const RELEASE: &str = "release";
const FILES: &str = "open files";
const PROXIES: &str = "trusted proxies";

/// How long the server may take to answer a probe.
const TIMEOUT: Duration = Duration::from_secs(3);
/// More of an answer is not read.
const LONGEST_ANSWER: u64 = 4096;

/// Examines the server, if one runs.
pub(super) async fn examine(config: &Config) -> Result<Vec<Finding>, Failure> {
    let mut findings = vec![probe(config.server.bind)];
    let server = match config.database.url {
        // Servers that share a database have no socket.
        Some(_) => None,
        None => client::find(&config.database.path).await?,
    };
    let limit = match server {
        None => rlimit::Resource::NOFILE.get_hard().ok(),
        Some(server) => match server.send(&Request::ShowServer).await {
            Ok(mut items) => {
                let mut view = None;
                items.each(|server: ServerView| {
                    view = Some(server);
                    io::Result::Ok(())
                })?;
                let view = view.ok_or_else(|| Failure::Defect("the server said nothing".to_owned()))?;
                findings.push(release(&view.release));
                view.open_files
            }
            Err(error) => {
                let failure = Failure::from(error);
                findings.push(Finding::warning(RELEASE, failure.to_string(), "restart the server with this release"));
                None
            }
        },
    };
    findings.extend(limit.map(|limit| open_files(limit, files_wanted(config), config.server.max_connections)));
    Ok(findings)
}

fn release(running: &str) -> Finding {
    let own = env!("CARGO_PKG_VERSION");
    match running == own {
        true => Finding::good(RELEASE, format!("the server is patd {running}, like this command")),
        false => {
            let text = format!("the server is patd {running}, and this command is patd {own}");
            Finding::warning(RELEASE, text, "restart the server with this release")
        }
    }
}

fn open_files(limit: u64, wanted: u64, connections: usize) -> Finding {
    let text = format!("{limit} are allowed, and {connections} connections (server.max_connections) need {wanted}");
    match limit < wanted {
        true => {
            let remedy = "raise the limit (LimitNOFILE= in a systemd unit, ulimit -n), or lower server.max_connections: the \
                          server accepts as many connections as it has files for";
            Finding::warning(FILES, text, remedy)
        }
        false => Finding::good(FILES, text),
    }
}

/// Asks the server on this machine whether it is ready.
pub(in crate::cli) fn probe(bind: SocketAddr) -> Finding {
    let address = match bind.ip() {
        ip if !ip.is_unspecified() => bind,
        IpAddr::V4(_) => (Ipv4Addr::LOCALHOST, bind.port()).into(),
        IpAddr::V6(_) => (Ipv6Addr::LOCALHOST, bind.port()).into(),
    };
    let url = format!("http://{address}/readyz");
    match ask(address) {
        Ok(answer) => judge(&url, &answer),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            Finding::warning(SERVER, format!("none answers at {url}"), "start it: patd serve")
        }
        Err(error) => Finding::bad(SERVER, format!("{url}: {error}"), "look at its log, and restart it"),
    }
}

fn judge(url: &str, answer: &str) -> Finding {
    let status = answer.split_whitespace().nth(1).unwrap_or_default();
    match status {
        "200" => Finding::good(SERVER, format!("{url} answers that it is ready")),
        "503" => {
            let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body.trim());
            Finding::bad(SERVER, format!("{url} answers 503: {body}"), "look at the log of the server")
        }
        _ => Finding::bad(
            SERVER,
            format!("another program answers at {url}"),
            "stop that one, or set server.bind to another address",
        ),
    }
}

fn ask(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    write!(stream, "GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(LONGEST_ANSWER).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Examines who may ask about other clients' requests.
pub(super) fn proxies(config: &Config) -> Finding {
    let (trusted, bind) = (&config.server.trusted_proxies, config.server.bind.ip());
    let listed = trusted.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if trusted.is_empty() {
        return match config.policies.is_empty() {
            true => Finding::good(PROXIES, "none, and there is no policy that one would ask about"),
            false => Finding::warning(
                PROXIES,
                "none, so nobody may ask what the policies decide",
                "name the addresses of your proxies in server.trusted_proxies",
            ),
        };
    }
    if let Some(wide) = trusted.iter().find(|network| network.prefix_len() < network.max_prefix_len() / 4) {
        let text = format!("{wide} has so many addresses that a stranger may have one of them");
        return Finding::warning(PROXIES, text, "name the addresses of your proxies, and nothing else");
    }
    let is_local = bind.to_canonical().is_loopback();
    if is_local && !trusted.iter().any(|network| network.contains(&bind)) {
        let text = format!("{listed}, but the server listens on {bind}, which only this machine can reach");
        return Finding::warning(
            PROXIES,
            text,
            "set server.bind to an address that the proxies reach, or trust that of this machine",
        );
    }
    Finding::good(PROXIES, listed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::Sources,
        domain::finding::Verdict::{self, Bad, Good, Warning},
    };

    #[test]
    fn the_answer_of_a_probe_is_judged() {
        let verdict = |answer: &str| judge("http://127.0.0.1/readyz", answer).verdict;
        assert_eq!(verdict("HTTP/1.1 200 OK\r\n\r\n{}"), Good);
        for bad in ["HTTP/1.1 503 Service Unavailable\r\n\r\n{}", "HTTP/1.1 404 Not Found\r\n\r\n", "SSH-2.0", ""] {
            assert_eq!(verdict(bad), Bad, "{bad}");
        }
        assert!(judge("u", "HTTP/1.1 503 X\r\n\r\n{\"code\":\"draining\"}").text.contains("draining"));
    }

    #[test]
    fn a_limit_of_open_files_must_suffice() {
        assert_eq!((open_files(99, 100, 10).verdict, open_files(100, 100, 10).verdict), (Warning, Good));
    }

    fn verdict_on_proxies(bind: &str, trusted: &str) -> Verdict {
        let flags = [("server.bind", bind), ("server.trusted_proxies", trusted)];
        let flags = flags.into_iter().filter(|(_, value)| !value.is_empty());
        let flags = flags.map(|(key, value)| (key, value.to_owned())).collect();
        proxies(&Config::load(Sources { flags, ..Sources::default() }).unwrap()).verdict
    }

    #[test]
    fn trusted_proxies_are_few_and_reach_the_server() {
        assert_eq!(verdict_on_proxies("127.0.0.1:8080", ""), Good);
        assert_eq!(verdict_on_proxies("127.0.0.1:8080", "127.0.0.1"), Good);
        assert_eq!(verdict_on_proxies("127.0.0.1:8080", "10.1.2.3"), Warning);
        assert_eq!(verdict_on_proxies("0.0.0.0:8080", "10.1.2.3"), Good);
        assert_eq!(verdict_on_proxies("0.0.0.0:8080", "10.0.0.0/8"), Good);
        assert_eq!(verdict_on_proxies("0.0.0.0:8080", "64.0.0.0/2"), Warning);
    }
}
