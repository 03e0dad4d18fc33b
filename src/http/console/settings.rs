//! The settings of the console, and what follows from them for a request.

use std::{fs, io, path::Path};

use actix_web::{
    http::header::{self, HeaderMap},
    web::Bytes,
};

use crate::config::{self, Origin};

/// The largest logo, in bytes.
const MAX_LOGO: u64 = 64 * 1024;

/// A picture from the disk.
pub(crate) struct Picture {
    pub(super) media_type: &'static str,
    pub(super) content: Bytes,
}

impl Picture {
    fn new(media_type: &'static str, content: Vec<u8>) -> Self {
        Self { media_type, content: content.into() }
    }
}

/// The settings of the console.
pub(crate) struct Console {
    pub(crate) is_enabled: bool,
    pub(super) title: String,
    pub(super) logo: Option<Picture>,
    base_url: Option<Origin>,
}

impl Console {
    /// Reads the logo.
    pub(crate) fn new(settings: &config::Console) -> io::Result<Self> {
        let logo = settings.logo.as_deref().filter(|_| settings.enabled).map(read_logo).transpose()?;
        let (title, base_url) = (settings.title.trim().to_owned(), settings.base_url.clone());
        Ok(Self { is_enabled: settings.enabled, title, logo, base_url })
    }

    #[cfg(test)]
    pub(super) fn at(base_url: Option<&str>) -> Self {
        let base_url = base_url.map(|text| Origin::parse(text).unwrap());
        Self { is_enabled: true, title: "patd".to_owned(), logo: None, base_url }
    }

    /// Whether `origin` is that of this server, which was asked with `headers`.
    pub(super) fn is_own(&self, origin: &str, headers: &HeaderMap) -> bool {
        let Some(origin) = Origin::parse(origin) else { return false };
        match &self.base_url {
            Some(base_url) => origin == *base_url,
            // A proxy may speak HTTP to this server and HTTPS to the browser, so the scheme is not known.
            None => host(headers).is_some_and(|host| {
                let scheme = if origin.is_secure { "https" } else { "http" };
                Origin::parse(&format!("{scheme}://{host}")).is_some_and(|own| own == origin)
            }),
        }
    }

    /// Whether the browser reaches this server over HTTPS. Without a base URL, it is assumed for every host but this machine:
    /// a cookie for HTTP could be read on the way.
    pub(super) fn is_secure(&self, headers: &HeaderMap) -> bool {
        match &self.base_url {
            Some(base_url) => base_url.is_secure || !is_loopback(&base_url.authority),
            None => !host(headers).is_some_and(is_loopback),
        }
    }

    /// The address of this server in texts for people.
    pub(super) fn url(&self, headers: &HeaderMap) -> String {
        match &self.base_url {
            Some(base_url) => base_url.to_string(),
            None => {
                let scheme = if self.is_secure(headers) { "https" } else { "http" };
                format!("{scheme}://{}", host(headers).unwrap_or("localhost"))
            }
        }
    }
}

/// The `Host`, if it can be one.
fn host(headers: &HeaderMap) -> Option<&str> {
    let host = headers.get(header::HOST)?.to_str().ok()?;
    Origin::parse(&format!("http://{host}")).is_some().then_some(host)
}

fn is_loopback(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn read_logo(path: &Path) -> io::Result<Picture> {
    let invalid = |why: &str| {
        io::Error::new(io::ErrorKind::InvalidData, format!("console.logo ({}): the file {why}", path.display()))
    };
    let media_type = match path.extension().and_then(|end| end.to_str()) {
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("webp") => "image/webp",
        Some("ico") => "image/x-icon",
        _ => return Err(invalid("must have the end .svg, .png, .webp or .ico")),
    };
    let size = fs::metadata(path).map_err(|error| invalid(&format!("cannot be read: {error}")))?.len();
    if size > MAX_LOGO {
        return Err(invalid("must not be larger than 64KiB"));
    }
    let content = fs::read(path).map_err(|error| invalid(&format!("cannot be read: {error}")))?;
    Ok(Picture::new(media_type, content))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn asked(host: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::HOST, HeaderValue::from_static(host))])
    }

    #[test]
    fn only_this_machine_is_reached_without_https() {
        for host in ["localhost", "localhost:8080", "127.0.0.1:8080", "127.1.2.3", "[::1]:8080"] {
            assert!(!Console::at(None).is_secure(&asked(host)), "{host}");
        }
        for host in ["tokens.example", "10.0.0.7:8080", "localhost.evil.example", "127.0.0.1.evil.example", "[::2]", ""]
        {
            assert!(Console::at(None).is_secure(&asked(host)), "{host}");
        }
        assert!(Console::at(Some("https://localhost")).is_secure(&asked("localhost")));
        assert!(Console::at(Some("http://tokens.example")).is_secure(&asked("localhost")), "not over a network");
        assert!(!Console::at(Some("http://127.0.0.1:8080")).is_secure(&asked("tokens.example")));
    }

    #[test]
    fn a_logo_must_be_a_small_picture() {
        let directory = tempfile::tempdir().unwrap();
        let read = |name: &str, content: &[u8]| {
            let path = directory.path().join(name);
            fs::write(&path, content).unwrap();
            read_logo(&path).map_err(|error| error.to_string()).err().unwrap_or_default()
        };
        assert_eq!(read("logo.svg", b"<svg/>"), "");
        assert!(read("logo.html", b"<html>").contains("must have the end .svg"));
        assert!(read("logo.png", &[0; 70_000]).contains("larger than 64KiB"));
        let missing = read_logo(&directory.path().join("none.png")).err().unwrap().to_string();
        assert!(missing.starts_with("console.logo (") && missing.contains("cannot be read"), "{missing}");
    }
}
