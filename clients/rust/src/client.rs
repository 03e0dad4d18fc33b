//! The client.

use std::{
    fmt,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use http::{
    HeaderValue, Method, Request, Uri,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE},
};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper_util::{
    client::legacy::{Client as HttpClient, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use serde::Serialize;

use crate::{
    cache::{self, Cache},
    verdict::{self, Introspection, Refused, Undecided, Verdict},
};

#[cfg(feature = "tls")]
type Connector = hyper_rustls::HttpsConnector<HttpConnector>;
#[cfg(not(feature = "tls"))]
type Connector = HttpConnector;

/// The largest answer that is read, in bytes. A verdict has at most some tens of kilobytes.
const MAX_ANSWER: usize = 1024 * 1024;

/// The server closes idle connections after 75 seconds (`server.keep_alive`). The client must be first, so that it never
/// sends a check on a connection that is being closed.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// Checks tokens. Clones share connections, which are kept open.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    http: HttpClient<Connector, Full<Bytes>>,
    verify: Uri,
    introspect: Uri,
    authorization: HeaderValue,
    timeout: Duration,
    cache: Option<Cache>,
}

/// Makes a [`Client`].
#[must_use]
pub struct Builder {
    url: String,
    token: String,
    connect_timeout: Duration,
    timeout: Duration,
    cache: Option<Cache>,
}

/// What a client was to be made of is wrong. The text does not contain the token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidOptions(&'static str);

impl fmt::Display for InvalidOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for InvalidOptions {}

impl Builder {
    /// How long a connection may take to be made: one second by default.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long a check may take in all: two seconds by default.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Remembers accepted tokens. It is off by default; [`Cache`] says what it costs.
    pub fn cache(mut self, cache: Cache) -> Self {
        self.cache = Some(cache);
        self
    }

    /// The client.
    ///
    /// # Errors
    ///
    /// If the URL is none, or the token has characters that no token has.
    pub fn build(self) -> Result<Client, InvalidOptions> {
        let bad_url = InvalidOptions("the URL must be like https://patd.example.com, without user, query and fragment");
        let url: Uri = self.url.parse().map_err(|_| bad_url.clone())?;
        let is_https = url.scheme_str() == Some("https");
        let has_user = url.authority().is_none_or(|authority| authority.as_str().contains('@'));
        if !matches!(url.scheme_str(), Some("http" | "https")) || has_user || self.url.contains(['?', '#']) {
            return Err(bad_url);
        }
        if is_https && !cfg!(feature = "tls") {
            return Err(InvalidOptions("https needs the feature tls of patd-client"));
        }
        let endpoint =
            |path: &str| format!("{}{path}", self.url.trim_end_matches('/')).parse().map_err(|_| bad_url.clone());
        let bad_token = InvalidOptions("the token of this client is empty or has characters that no token has");
        if self.token.is_empty() || !self.token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(bad_token);
        }
        let mut authorization = HeaderValue::try_from(format!("Bearer {}", self.token)).map_err(|_| bad_token)?;
        authorization.set_sensitive(true);
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(self.connect_timeout));
        connector.set_nodelay(true);
        let http = HttpClient::builder(TokioExecutor::new())
            .pool_idle_timeout(KEEP_ALIVE)
            .pool_timer(TokioTimer::new())
            .build(with_tls(connector)?);
        Ok(Client(Arc::new(Inner {
            http,
            verify: endpoint("/api/v1/tokens/verify")?,
            introspect: endpoint("/api/v1/introspect")?,
            authorization,
            timeout: self.timeout,
            cache: self.cache,
        })))
    }
}

#[cfg(feature = "tls")]
fn with_tls(mut connector: HttpConnector) -> Result<Connector, InvalidOptions> {
    connector.enforce_http(false);
    let builder = hyper_rustls::HttpsConnectorBuilder::new()
        .with_provider_and_native_roots(rustls::crypto::ring::default_provider())
        .map_err(|_| InvalidOptions("the certificates that the system trusts cannot be read"))?;
    Ok(builder.https_or_http().enable_http1().wrap_connector(connector))
}

#[cfg(not(feature = "tls"))]
#[allow(clippy::unnecessary_wraps, reason = "with TLS, it may fail")]
fn with_tls(connector: HttpConnector) -> Result<Connector, InvalidOptions> {
    Ok(connector)
}

#[derive(Serialize)]
struct Question<'a> {
    token: &'a str,
    abilities: &'a [&'a str],
    #[serde(skip_serializing_if = "Option::is_none")]
    ip: Option<IpAddr>,
}

impl Client {
    /// A client of the server at `url`. `token` is its own credential, which needs the ability `tokens:introspect`.
    pub fn builder(url: impl Into<String>, token: impl Into<String>) -> Builder {
        Builder {
            url: url.into(),
            token: token.into(),
            connect_timeout: Duration::from_secs(1),
            timeout: Duration::from_secs(2),
            cache: None,
        }
    }

    /// Asks whether `token` is valid and has all `abilities`.
    ///
    /// `ip` is the address from which the token was sent. Without it, tokens with an `ip_allowlist` are refused.
    ///
    /// # Errors
    ///
    /// [`Undecided`] if that cannot be known.
    pub async fn verify(&self, token: &str, abilities: &[&str], ip: Option<IpAddr>) -> Result<Verdict, Undecided> {
        if token.is_empty() {
            let code = "malformed".to_owned();
            return Ok(Verdict::Refused(Refused { code, required: Vec::new(), missing: Vec::new() }));
        }
        let asked_at = Instant::now();
        let cache = self.0.cache.as_ref().map(|cache| (cache, cache::key(token, abilities, ip)));
        if let Some(accepted) = cache.and_then(|(cache, key)| cache.get(&key)) {
            return Ok(Verdict::Accepted(accepted));
        }
        let body = serde_json::to_vec(&Question { token, abilities, ip })
            .map_err(|_| Undecided("the question cannot be written".to_owned()))?;
        let (status, answer) = self.ask(&self.0.verify, "application/json", body).await?;
        let verdict = verdict::read_verdict(status, &answer)?;
        if let (Some((cache, key)), Verdict::Accepted(accepted)) = (cache, &verdict) {
            cache.put(key, accepted, asked_at);
        }
        Ok(verdict)
    }

    /// Asks what `token` is (RFC 7662); `None` if it is not valid. It is never cached. It has no address, so a token with an
    /// `ip_allowlist` is not valid here.
    ///
    /// # Errors
    ///
    /// [`Undecided`] if that cannot be known.
    pub async fn introspect(&self, token: &str) -> Result<Option<Introspection>, Undecided> {
        if token.is_empty() {
            return Ok(None);
        }
        let mut form = "token=".to_owned();
        for byte in token.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' => form.push(char::from(byte)),
                _ => form.push_str(&format!("%{byte:02X}")),
            }
        }
        let form_type = "application/x-www-form-urlencoded";
        let (status, answer) = self.ask(&self.0.introspect, form_type, form.into_bytes()).await?;
        verdict::read_introspection(status, &answer)
    }

    async fn ask(&self, uri: &Uri, content_type: &'static str, body: Vec<u8>) -> Result<(u16, Bytes), Undecided> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(uri)
            .header(AUTHORIZATION, &self.0.authorization)
            .header(CONTENT_TYPE, content_type)
            .header(ACCEPT, "application/json")
            .body(Full::from(body))
            .map_err(|_| Undecided("the question cannot be written".to_owned()))?;
        let answer = async {
            let response = self.0.http.request(request).await.map_err(|error| no_answer(&error))?;
            let status = response.status().as_u16();
            let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
            let body = body.map_err(|error| no_answer(error.as_ref()))?;
            Ok((status, body.to_bytes()))
        };
        let in_time = tokio::time::timeout(self.0.timeout, answer).await;
        in_time.unwrap_or_else(|_| Err(Undecided("no answer from patd: timed out".to_owned())))
    }
}

/// The error with its causes.
fn no_answer(error: &(dyn std::error::Error + 'static)) -> Undecided {
    let causes: Vec<String> =
        std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect();
    Undecided(format!("no answer from patd: {}", causes.join(": ")))
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("verify", &self.0.verify).finish_non_exhaustive()
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("connect_timeout", &self.connect_timeout)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
