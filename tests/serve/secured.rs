//! Clients of the encrypted listeners: rustls by hand, kdig and curl as they
//! are installed.

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::school::School;

/// What the school of these tests is called.
pub(crate) const NAME: &str = "dns.school.example";

/// What a device of [`LAPTOP`] calls itself where nobody on the way can read it.
pub(crate) const SECRET: &str = "k3v9x2qm7w4t";

/// An inventory with one device, which is known by its [`SECRET`].
pub(crate) const LAPTOP: &str = "id,name,mac,ip,group,owner,kind,client_id\n\
                                 laptop,Laptop,,,staff,Ms Gray,laptop,k3v9x2qm7w4t\n";

pub(crate) type Stream = StreamOwned<ClientConnection, TcpStream>;

/// The authority that made the school's certificate.
pub(crate) fn authority(state: &Path) -> PathBuf {
    state.join("private-ca").join(NAME).join("ca.pem")
}

pub(crate) fn config(authority: &Path, alpn: &[&str]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(authority).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|p| p.as_bytes().to_vec()).collect();
    Arc::new(config)
}

/// A stream to `server` under TLS; hands are shaken with its first octet.
pub(crate) fn connect_as(config: &Arc<ClientConfig>, server: SocketAddr, name: &str) -> Stream {
    secure(config, TcpStream::connect(server).unwrap(), name)
}

/// Speaks TLS on a connection that is there.
pub(crate) fn secure(config: &Arc<ClientConfig>, stream: TcpStream, name: &str) -> Stream {
    stream
        .set_read_timeout(Some(Duration::from_secs(8)))
        .unwrap();
    let name = name.to_owned().try_into().unwrap();
    let connection = ClientConnection::new(Arc::clone(config), name).unwrap();
    StreamOwned::new(connection, stream)
}

impl School {
    /// A DoT client of this school.
    pub(crate) fn secured(&self) -> Stream {
        let config = config(&authority(&self.folder.state()), &["dot"]);
        connect_as(&config, self.tls.unwrap(), NAME)
    }

    /// The address of the DoH service, by the school's name.
    pub(crate) fn url(&self) -> String {
        format!("https://{NAME}:{}/dns-query", self.https.unwrap().port())
    }

    /// curl, told where the school is and to believe it.
    pub(crate) fn curl(&self, words: &[&str]) -> Output {
        let port = self.https.unwrap().port();
        Command::new("curl")
            .args(["-sS", "--max-time", "10", "--noproxy", "*", "--cacert"])
            .arg(authority(&self.folder.state()))
            .args(["--resolve", &format!("*:{port}:127.0.0.1")])
            .args(words)
            .output()
            .unwrap()
    }

    /// kdig over TLS or HTTPS; `words` say which.
    pub(crate) fn kdig(&self, port: u16, words: &[&str]) -> String {
        let mut kdig = Command::new("kdig");
        kdig.args(["@127.0.0.1", "-p", &port.to_string()])
            .args(["+timeout=5", "+retry=0"]);
        // Without TLS it does not survive an authority.
        if words.iter().any(|word| word.starts_with("+tls")) {
            let authority = authority(&self.folder.state());
            kdig.arg(format!("+tls-ca={}", authority.display()));
        }
        let output = kdig.args(words).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        format!("{said}{}", String::from_utf8_lossy(&output.stderr))
    }
}

/// The records in what kdig printed.
pub(crate) fn records(said: &str) -> Vec<String> {
    let lines = said.lines().filter(|line| !line.starts_with(';'));
    lines.map(str::to_lowercase).collect()
}
