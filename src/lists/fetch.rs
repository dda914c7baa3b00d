//! Brings a list: from a file of this machine, or over https.
//!
//! The other end is not trusted with anything but the bytes. It may be slow,
//! endless, a captive portal, or redirect to plain http: there is one total
//! time-out, a cap on the bytes of the wire, and https at every hop. A list
//! that is as it was is not sent again (ETag, If-Modified-Since).
//!
//! Nothing is unpacked or judged here, and nothing is written to disk: a
//! mandatory list must never lie there in the clear, and `/tmp` is a disk too.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use flate2::read::MultiGzDecoder;
use serde::{Deserialize, Serialize};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::DefaultConnector;
use ureq::{Agent, Body, http};

use super::outside::OutsideResolver;
use super::source::{Origin, SourceSpec};

const MOST_REDIRECTS: u32 = 5;
const LONGEST_SIGNATURE: u64 = 16 * 1024;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// How the network is used.
#[derive(Debug, Clone)]
pub struct FetchOptions {
    /// The certification authorities to trust instead of the public ones, as
    /// a PEM file: for a school whose proxy opens TLS, and for tests.
    pub extra_ca: Option<PathBuf>,
    /// Whom to ask for the address of a list's host: the upstream servers, for
    /// the filter must not be able to keep its own lists away. Empty: the
    /// system's resolver.
    pub resolvers: Vec<SocketAddr>,
    /// How long one list may take, from the first look-up to the last byte
    /// (R12).
    pub total_timeout: Duration,
}

impl Default for FetchOptions {
    fn default() -> Self {
        Self {
            extra_ca: None,
            resolvers: Vec::new(),
            total_timeout: Duration::from_secs(5 * 60),
        }
    }
}

/// By what a server knows which version of a list we have.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validators {
    /// Its `ETag`.
    pub etag: Option<String>,
    /// Its `Last-Modified`.
    pub last_modified: Option<String>,
}

/// What came.
#[derive(Debug)]
pub enum Fetched {
    /// The version we have is the newest.
    NotModified,
    /// A list.
    List(Box<Fresh>),
}

/// The bytes of a list as published, perhaps gzip.
#[derive(Debug)]
pub struct Fresh {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// The `.minisig` that stands beside it, if the source asks for one.
    pub signature: Option<String>,
    /// By what to ask for the next version.
    pub validators: Validators,
}

/// Why nothing came.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The server said no.
    #[error("the server answered {0}")]
    Status(u16),
    /// A redirect left https.
    #[error("it redirects away from https")]
    NotHttps,
    /// The total time is over.
    #[error("it took longer than {} s", .0.as_secs())]
    TooSlow(Duration),
    /// Over `max_bytes` on the wire already.
    #[error("it has over {0} bytes")]
    TooBig(u64),
    /// The host has no address.
    #[error("its host was not found")]
    NotFound,
    /// The file, the certificate file, or the connection.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Anything else that can go wrong on the way.
    #[error("{0}")]
    Http(Box<ureq::Error>),
}

/// Fetches lists, one after another.
pub struct Downloader {
    agent: Agent,
    total_timeout: Duration,
}

impl Downloader {
    /// Reads the certificate file, if one is named.
    pub fn new(options: &FetchOptions) -> Result<Self, FetchError> {
        let roots = match &options.extra_ca {
            Some(path) => RootCerts::Specific(Arc::new(certificates(path)?)),
            None => RootCerts::WebPki,
        };
        let config = Agent::config_builder()
            .https_only(true)
            .max_redirects(MOST_REDIRECTS)
            .timeout_global(Some(options.total_timeout))
            .user_agent(concat!("schoolgate/", env!("CARGO_PKG_VERSION")))
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            .build();
        let connector = DefaultConnector::default();
        let agent = if options.resolvers.is_empty() {
            Agent::with_parts(config, connector, DefaultResolver::default())
        } else {
            Agent::with_parts(
                config,
                connector,
                OutsideResolver::new(options.resolvers.clone()),
            )
        };
        Ok(Self {
            agent,
            total_timeout: options.total_timeout,
        })
    }

    /// Fetches one list. Without `have` the whole of it comes.
    pub fn fetch(
        &self,
        spec: &SourceSpec,
        have: Option<&Validators>,
    ) -> Result<Fetched, FetchError> {
        match &spec.origin {
            Origin::File(path) => read_file(path, spec),
            Origin::Url(url) => self.download(url, spec, have),
            Origin::Shipped { text, .. } => Ok(Fetched::List(Box::new(Fresh {
                bytes: text.as_bytes().to_vec(),
                signature: None,
                validators: Validators::default(),
            }))),
        }
    }

    fn download(
        &self,
        url: &str,
        spec: &SourceSpec,
        have: Option<&Validators>,
    ) -> Result<Fetched, FetchError> {
        let mut request = self.agent.get(url);
        // A hash or signature is of the file, not of how it travelled.
        let sealed = spec.sha256.is_some() || spec.minisign_key.is_some();
        let encoding = if sealed { "identity" } else { "gzip" };
        request = request.header(http::header::ACCEPT_ENCODING, encoding);
        let have = have.cloned().unwrap_or_default();
        if let Some(etag) = &have.etag {
            request = request.header(http::header::IF_NONE_MATCH, etag);
        }
        if let Some(date) = &have.last_modified {
            request = request.header(http::header::IF_MODIFIED_SINCE, date);
        }
        let response = request.call().map_err(|e| self.why(e))?;
        if response.status() == http::StatusCode::NOT_MODIFIED && have != Validators::default() {
            return Ok(Fetched::NotModified);
        }
        if response.status() != http::StatusCode::OK {
            return Err(FetchError::Status(response.status().as_u16()));
        }
        let validators = Validators {
            etag: header(&response, &http::header::ETAG),
            last_modified: header(&response, &http::header::LAST_MODIFIED),
        };
        let bytes = self.body(response, spec.max_bytes)?;
        let signature = match spec.minisign_key {
            Some(_) => Some(self.signature(url)?),
            None => None,
        };
        Ok(Fetched::List(Box::new(Fresh {
            bytes,
            signature,
            validators,
        })))
    }

    fn signature(&self, url: &str) -> Result<String, FetchError> {
        let response = self
            .agent
            .get(format!("{url}.minisig"))
            .call()
            .map_err(|e| self.why(e))?;
        let bytes = self.body(response, LONGEST_SIGNATURE)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn body(&self, response: http::Response<Body>, most: u64) -> Result<Vec<u8>, FetchError> {
        let declared = response.body().content_length();
        if declared.is_some_and(|length| length > most) {
            return Err(FetchError::TooBig(most));
        }
        let reader = response
            .into_body()
            .into_with_config()
            .limit(most + 1)
            .reader();
        let bytes = read_up_to(reader, most).map_err(|error| match error {
            FetchError::Io(io) => self.why(ureq::Error::from(io)),
            other => other,
        })?;
        // A connection that closes early must not pass for a short list.
        if declared.is_some_and(|length| length != bytes.len() as u64) {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        Ok(bytes)
    }

    fn why(&self, error: ureq::Error) -> FetchError {
        match error {
            ureq::Error::StatusCode(code) => FetchError::Status(code),
            ureq::Error::RequireHttpsOnly(_) => FetchError::NotHttps,
            ureq::Error::Timeout(_) => FetchError::TooSlow(self.total_timeout),
            ureq::Error::HostNotFound => FetchError::NotFound,
            other => FetchError::Http(Box::new(other)),
        }
    }
}

/// The text of a list, unpacked if it begins as gzip does.
#[must_use]
pub fn text(bytes: &[u8]) -> Box<dyn BufRead + '_> {
    if is_gzip(bytes) {
        Box::new(BufReader::with_capacity(
            64 * 1024,
            MultiGzDecoder::new(bytes),
        ))
    } else {
        Box::new(bytes)
    }
}

/// Whether the bytes begin as gzip does (RFC 1952 section 2.3.1).
#[must_use]
pub fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&GZIP_MAGIC)
}

fn read_file(path: &Path, spec: &SourceSpec) -> Result<Fetched, FetchError> {
    let named = |error: io::Error| {
        let text = format!("{}: {error}", path.display());
        FetchError::Io(io::Error::new(error.kind(), text))
    };
    let file = File::open(path).map_err(named)?;
    let bytes = read_up_to(file, spec.max_bytes)?;
    let signature = match spec.minisign_key {
        Some(_) => {
            let mut name = path.as_os_str().to_owned();
            name.push(".minisig");
            Some(std::fs::read_to_string(name).map_err(named)?)
        }
        None => None,
    };
    Ok(Fetched::List(Box::new(Fresh {
        bytes,
        signature,
        validators: Validators::default(),
    })))
}

fn read_up_to(reader: impl Read, most: u64) -> Result<Vec<u8>, FetchError> {
    let mut bytes = Vec::new();
    reader.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(FetchError::TooBig(most));
    }
    Ok(bytes)
}

fn header(response: &http::Response<Body>, name: &http::HeaderName) -> Option<String> {
    let value = response.headers().get(name)?;
    value.to_str().ok().map(str::to_owned)
}

fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>, FetchError> {
    let pem = std::fs::read(path)
        .map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))?;
    let mut all = Vec::new();
    for item in parse_pem(&pem) {
        if let PemItem::Certificate(certificate) =
            item.map_err(|e| FetchError::Http(Box::new(e)))?
        {
            all.push(certificate);
        }
    }
    Ok(all)
}
