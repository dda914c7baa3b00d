//! A question by DNS over TLS or HTTPS, to where discovery leads.
//!
//! The certificate is checked as a device would check it: for the name, by the
//! authorities the world believes, and on the resolver's own machine by its
//! private one too. It is a client for one question, not a library.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, ClientConfig, ClientConnection, Error, RootCertStore, StreamOwned};

/// The longest message (RFC 1035 section 4.2.2), and a head before it.
const MOST: u64 = 65_535 + 8192;

/// Where and how an encrypted question is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// Where.
    pub address: SocketAddr,
    /// What must stand in its certificate.
    pub name: String,
    /// The path of DNS over HTTPS; none: it is DNS over TLS.
    pub path: Option<String>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The certificate is by an authority that is not known here.
    Authority,
    /// It is for another name, or not valid now.
    Certificate(CertificateError),
    /// Anything else.
    Broken(io::Error),
}

/// Whom to believe: the public authorities, and one more.
pub(super) fn authorities(private: Option<&Path>) -> RootCertStore {
    let mut roots = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    let private = private.and_then(|file| CertificateDer::from_pem_file(file).ok());
    if let Some(certificate) = private {
        // One that cannot be read is one that is not believed.
        let _ = roots.add(certificate);
    }
    roots
}

impl Endpoint {
    /// Sends `question` on a connection, and gives the answer's bytes.
    pub(super) fn exchange(
        &self,
        connection: TcpStream,
        authorities: &RootCertStore,
        question: &[u8],
    ) -> Result<Vec<u8>, Trouble> {
        let mut stream = self.secured(connection, authorities)?;
        let answer = match &self.path {
            None => over_tls(&mut stream, question),
            Some(path) => self.over_https(&mut stream, path, question),
        };
        answer.map_err(Trouble::of)
    }

    fn secured(
        &self,
        connection: TcpStream,
        authorities: &RootCertStore,
    ) -> Result<StreamOwned<ClientConnection, TcpStream>, Trouble> {
        let other = |error: Error| Trouble::Broken(io::Error::other(error));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(other)?
            .with_root_certificates(authorities.clone())
            .with_no_client_auth();
        let alpn = if self.path.is_some() {
            "http/1.1"
        } else {
            "dot"
        };
        config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
        let name = ServerName::try_from(self.name.clone());
        let name = name.map_err(|error| Trouble::Broken(io::Error::other(error)))?;
        let client = ClientConnection::new(Arc::new(config), name).map_err(other)?;
        Ok(StreamOwned::new(client, connection))
    }

    /// RFC 8484, by HTTP/1.1.
    fn over_https(
        &self,
        stream: &mut (impl Read + Write),
        path: &str,
        question: &[u8],
    ) -> io::Result<Vec<u8>> {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {}:{}\r\nContent-Type: application/dns-message\r\n\
             Accept: application/dns-message\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            self.name,
            self.address.port(),
            question.len()
        );
        stream.write_all(&[head.as_bytes(), question].concat())?;
        let mut all = Vec::new();
        match stream.take(MOST).read_to_end(&mut all) {
            // Many a server closes without a word.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
            other => drop(other?),
        }
        let end = all.windows(4).position(|four| four == b"\r\n\r\n");
        let (head, body) = end
            .and_then(|end| all.split_at_checked(end + 4))
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        if !head.starts_with(b"HTTP/1.1 200") {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(body.to_vec())
    }
}

/// RFC 7858: framed as over TCP.
fn over_tls(stream: &mut (impl Read + Write), question: &[u8]) -> io::Result<Vec<u8>> {
    let length = u16::try_from(question.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), question].concat())?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}

impl Trouble {
    fn of(error: io::Error) -> Self {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
        match inner {
            Some(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => Self::Authority,
            Some(Error::InvalidCertificate(why)) => Self::Certificate(why.clone()),
            _ => Self::Broken(error),
        }
    }
}
