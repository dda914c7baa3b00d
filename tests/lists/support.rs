//! A folder to refresh in, and a TLS server that misbehaves on request.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use schoolgate::lists::fetch::FetchOptions;
use schoolgate::lists::load;
use schoolgate::lists::lookup::Lists;
use schoolgate::lists::refresh::{RefreshConfig, RefreshError, RefreshReport, refresh};
use schoolgate::lists::report::{ListsReport, report};
use schoolgate::name::Name;

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

pub(crate) fn name(text: &str) -> Name {
    Name::parse_any_depth(text).unwrap()
}

/// A configuration and a state folder.
pub(crate) struct Place {
    folder: tempfile::TempDir,
    pub(crate) config: RefreshConfig,
}

impl Place {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = RefreshConfig {
            config_dir: folder.path().join("config"),
            state_dir: folder.path().join("state"),
            fetch: FetchOptions::default(),
            accept: Vec::new(),
            now: "2026-11-20T06:00:00Z".parse().unwrap(),
        };
        fs::create_dir(&config.config_dir).unwrap();
        Self { folder, config }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn state(&self) -> &Path {
        &self.config.state_dir
    }

    pub(crate) fn lists_dir(&self) -> PathBuf {
        load::lists_dir(self.state())
    }

    pub(crate) fn write(&self, file: &str, text: &str) {
        fs::write(self.config.config_dir.join(file), text).unwrap();
    }

    /// Refreshes, and gives what was printed too.
    pub(crate) fn try_refresh(&self) -> (Result<RefreshReport, RefreshError>, String) {
        let mut out = Vec::new();
        let report = refresh(&self.config, &mut out);
        (report, String::from_utf8(out).unwrap())
    }

    pub(crate) fn refresh(&self) -> String {
        let (report, said) = self.try_refresh();
        report.unwrap();
        said
    }

    pub(crate) fn lists(&self) -> Arc<Lists> {
        load::open(self.state()).unwrap()
    }

    pub(crate) fn report(&self) -> ListsReport {
        self.report_at(self.config.now)
    }

    pub(crate) fn report_at(&self, now: Timestamp) -> ListsReport {
        report(self.state(), now).unwrap()
    }

    /// Whether any category covers.
    pub(crate) fn is_listed(&self, text: &str) -> bool {
        !self.lists().covering(name(text).as_ref()).is_empty()
    }
}

/// A `[[source]]` of names.
pub(crate) fn domains(id: &str, category: &str, origin: &str) -> String {
    format!(
        "[[source]]\nid = \"{id}\"\ncategory = \"{category}\"\nformat = \"domains\"\n\
         match = \"subtree\"\n{origin}\n"
    )
}

/// What a server does once it has read a request.
pub(crate) enum Reply {
    /// Sends this and closes.
    Bytes(Vec<u8>),
    /// Sends the first part, then a byte of the second every 20 ms.
    Drip(Vec<u8>, Vec<u8>),
}

impl Reply {
    pub(crate) fn of(status: &str, headers: &str, body: &[u8]) -> Self {
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n"
        );
        Self::Bytes([head.as_bytes(), body].concat())
    }

    pub(crate) fn ok(body: &str) -> Self {
        Self::of("200 OK", "", body.as_bytes())
    }
}

/// A TLS server on loopback.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// The certificate to trust.
    pub(crate) ca: PathBuf,
    /// Every request head, in order.
    pub(crate) requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub(crate) fn start(folder: &Path, answer: impl Fn(&str) -> Reply + Send + 'static) -> Self {
        let names = ["localhost", "127.0.0.1", "lists.example"].map(str::to_owned);
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let ca = folder.join("ca.pem");
        fs::write(&ca, made.cert.pem()).unwrap();
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key.into())
            .unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
                // A client that goes away is part of the tests.
                let _ = serve(
                    StreamOwned::new(connection, stream.unwrap()),
                    &answer,
                    &seen,
                );
            }
        });
        Self {
            address,
            ca,
            requests,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://{}/{path}", self.address)
    }

    pub(crate) fn last_request(&self) -> String {
        self.requests
            .lock()
            .unwrap()
            .last()
            .cloned()
            .unwrap_or_default()
    }
}

fn serve(
    mut stream: StreamOwned<ServerConnection, TcpStream>,
    answer: &impl Fn(&str) -> Reply,
    seen: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    seen.lock().unwrap().push(head.clone());
    match answer(&head) {
        Reply::Bytes(bytes) => stream.write_all(&bytes)?,
        Reply::Drip(first, rest) => {
            stream.write_all(&first)?;
            for byte in rest {
                stream.write_all(&[byte])?;
                stream.flush()?;
                std::thread::park_timeout(Duration::from_millis(20));
            }
        }
    }
    stream.conn.send_close_notify();
    stream.flush()?;
    Ok(())
}
