//! RFC 5424 over UDP, TCP or TLS.
//!
//! Syslog has no word for "I have it". Over TCP and TLS a message is sent by a
//! connection of its own, which is then closed towards the server and read to
//! its end: a server that closes as well has read what was sent, and one that
//! died on the way has not, and is told again. Octets are counted (RFC 6587
//! section 3.4.1, RFC 5425 section 4.3), so a line break ends nothing.

use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::message::one_line;
use super::outbox::{Failure, Waiting};
use crate::settings::{Syslog, SyslogTransport};

const TIMEOUT: Duration = Duration::from_secs(10);
/// Log audit (RFC 5424 section 6.2.1).
const FACILITY: u8 = 13;
/// The number that RFC 5612 keeps for examples; we have none of our own.
const ENTERPRISE: u32 = 32473;
/// RFC 5426 section 3.2: what every server takes.
const MOST_OF_A_DATAGRAM: usize = 2048;

/// Sends one message.
pub(super) fn send(syslog: &Syslog, waiting: &Waiting) -> Result<(), Failure> {
    let mut line = line(waiting, &host(), std::process::id());
    let sent = match syslog.transport {
        SyslogTransport::Udp => {
            // What is cut is the end of the words, which the data say as well.
            while line.len() > MOST_OF_A_DATAGRAM {
                line.pop();
            }
            by_datagram(syslog, line.as_bytes())
        }
        SyslogTransport::Tcp => connect(syslog).and_then(|mut stream| {
            stream.write_all(&counted(&line))?;
            stream.shutdown(Shutdown::Write)?;
            to_its_end(&mut stream)
        }),
        SyslogTransport::Tls => by_tls(syslog, &counted(&line)),
    };
    sent.map_err(|error| Failure::Channel(error.to_string()))
}

fn counted(line: &str) -> Vec<u8> {
    format!("{} {line}", line.len()).into_bytes()
}

fn by_datagram(syslog: &Syslog, line: &[u8]) -> io::Result<()> {
    let to = addresses(syslog)?.next().ok_or_else(nowhere)?;
    let from = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(from)?;
    socket.connect(to)?;
    socket.send(line).map(drop)
}

fn by_tls(syslog: &Syslog, bytes: &[u8]) -> io::Result<()> {
    let mut roots = RootCertStore::empty();
    match &syslog.ca_file {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(file) => {
            let found = super::post::chain_of(file).map_err(io::Error::other)?;
            roots.add_parsable_certificates(found);
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(syslog.server.clone()).map_err(io::Error::other)?;
    let connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(connection, connect(syslog)?);
    stream.write_all(bytes)?;
    stream.conn.send_close_notify();
    stream.flush()?;
    stream.sock.shutdown(Shutdown::Write)?;
    to_its_end(&mut stream)
}

/// Reads until the server has closed too.
fn to_its_end(stream: &mut impl Read) -> io::Result<()> {
    let mut sink = [0; 512];
    loop {
        match stream.read(&mut sink) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            // Many servers end a TLS connection without a word; they have read.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

fn connect(syslog: &Syslog) -> io::Result<TcpStream> {
    let mut last = nowhere();
    for address in addresses(syslog)? {
        match TcpStream::connect_timeout(&address, TIMEOUT) {
            Ok(stream) => {
                stream.set_read_timeout(Some(TIMEOUT))?;
                stream.set_write_timeout(Some(TIMEOUT))?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn addresses(syslog: &Syslog) -> io::Result<impl Iterator<Item = std::net::SocketAddr>> {
    (syslog.server.as_str(), syslog.port).to_socket_addrs()
}

fn nowhere() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "the server has no address")
}

/// The whole message, without its count of octets.
fn line(waiting: &Waiting, host: &str, process: u32) -> String {
    let message = &waiting.message;
    let priority = FACILITY * 8 + message.severity as u8;
    let mut data = format!("[schoolgate@{ENTERPRISE} id=\"{}\"", waiting.key);
    for (name, value) in &message.fields {
        let value = match value {
            serde_json::Value::Null => continue,
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        // Writing to a string cannot fail.
        let _ = write!(data, " {name}=\"{}\"", escaped(&value));
    }
    data.push(']');
    format!(
        "<{priority}>1 {} {host} schoolgate {process} {} {data} {}",
        message.made,
        message.kind,
        one_line(&message.subject)
    )
}

/// RFC 5424 section 6.3.3.
fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for c in one_line(value).chars() {
        if matches!(c, '"' | '\\' | ']') {
            text.push('\\');
        }
        text.push(c);
    }
    text
}

/// This machine's name; `-` where it has none that may stand there.
fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    let fits = !name.is_empty() && name.len() <= 255 && name.bytes().all(|b| b.is_ascii_graphic());
    if fits {
        name.to_owned()
    } else {
        "-".to_owned()
    }
}
