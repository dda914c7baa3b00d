//! An encrypted upstream on loopback, with a certificate of any kind and with
//! bad manners if a test wants them. Over QUIC or TLS; it has an address for
//! every name.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::upstream::ADDRESS;
use super::wire::{self, Rr};

/// Who signs certificates.
pub(crate) struct Authority {
    pub(crate) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its key.
pub(crate) struct Certificate {
    der: CertificateDer<'static>,
    key: Vec<u8>,
    pem: String,
    key_pem: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "The authority of a test");
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            pem,
            issuer: Issuer::new(params, key),
        }
    }

    /// A certificate for `dns.test` and 127.0.0.1.
    pub(crate) fn sign(&self) -> Certificate {
        self.sign_until(2096)
    }

    /// One that runs out with that year's beginning.
    pub(crate) fn sign_until(&self, year: i32) -> Certificate {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["dns.test".to_owned()]).unwrap();
        let address = SanType::IpAddress(Ipv4Addr::LOCALHOST.into());
        params.subject_alt_names.push(address);
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(year, 1, 1);
        params
            .distinguished_name
            .push(DnType::CommonName, "dns.test");
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Certificate {
            der: certificate.der().clone(),
            key: key.serialize_der(),
            pem: certificate.pem(),
            key_pem: key.serialize_pem(),
        }
    }
}

impl Certificate {
    /// Puts certificate and key where another program reads them.
    pub(crate) fn write(&self, folder: &Path) {
        std::fs::write(folder.join("server.pem"), &self.pem).unwrap();
        std::fs::write(folder.join("server.key"), &self.key_pem).unwrap();
    }

    fn server(&self, alpn: &[u8]) -> ServerConfig {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.clone()));
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![self.der.clone()], key)
            .unwrap();
        if !alpn.is_empty() {
            config.alpn_protocols = vec![alpn.to_vec()];
        }
        config
    }
}

/// What a peer does with its connections.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Manners {
    /// Answers everything.
    Good,
    /// Closes each connection after one answer.
    OneAnswer,
    /// Takes everything and says nothing.
    Stalls,
}

/// A peer; it ends when dropped.
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    seen: Arc<Seen>,
    runtime: Option<tokio::runtime::Runtime>,
}

#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    packets: Mutex<Vec<Vec<u8>>>,
}

impl Peer {
    /// One that speaks TLS.
    pub(crate) fn tls(certificate: &Certificate, manners: Manners) -> Self {
        let acceptor = TlsAcceptor::from(Arc::new(certificate.server(&[])));
        Self::start(async move |seen| {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            tokio::spawn(accept_tls(listener, acceptor, manners, seen));
            address
        })
    }

    /// One that speaks QUIC.
    pub(crate) fn quic(certificate: &Certificate) -> Self {
        let crypto = quinn::crypto::rustls::QuicServerConfig::try_from(certificate.server(b"doq"));
        let config = quinn::ServerConfig::with_crypto(Arc::new(crypto.unwrap()));
        Self::start(async move |seen| {
            let any = (Ipv4Addr::LOCALHOST, 0).into();
            let endpoint = quinn::Endpoint::server(config, any).unwrap();
            let address = endpoint.local_addr().unwrap();
            tokio::spawn(accept_quic(endpoint, seen));
            address
        })
    }

    fn start(serve: impl AsyncFnOnce(Arc<Seen>) -> SocketAddr) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let seen = Arc::<Seen>::default();
        let address = runtime.block_on(serve(Arc::clone(&seen)));
        Self {
            address,
            seen,
            runtime: Some(runtime),
        }
    }

    /// How often it was dialled.
    pub(crate) fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// Every question it was asked.
    pub(crate) fn packets(&self) -> Vec<Vec<u8>> {
        self.seen.packets.lock().unwrap().clone()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn answer(packet: &[u8], seen: &Seen) -> Vec<u8> {
    seen.packets.lock().unwrap().push(packet.to_vec());
    let records = [Rr::a(&wire::asked_name(packet), 300, ADDRESS)];
    let reply = wire::reply(packet, 0, 0, &records, &[]);
    let length = u16::try_from(reply.len()).unwrap().to_be_bytes();
    [&length[..], &reply].concat()
}

async fn accept_tls(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    manners: Manners,
    seen: Arc<Seen>,
) {
    while let Ok((stream, _)) = listener.accept().await {
        seen.connections.fetch_add(1, Ordering::SeqCst);
        let (acceptor, seen) = (acceptor.clone(), Arc::clone(&seen));
        tokio::spawn(async move {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                return;
            };
            while let Ok(length) = stream.read_u16().await {
                let mut packet = vec![0; usize::from(length)];
                if stream.read_exact(&mut packet).await.is_err() {
                    return;
                }
                if manners == Manners::Stalls {
                    continue;
                }
                if stream.write_all(&answer(&packet, &seen)).await.is_err()
                    || stream.flush().await.is_err()
                {
                    return;
                }
                if manners == Manners::OneAnswer {
                    let _ = stream.shutdown().await;
                    return;
                }
            }
        });
    }
}

async fn accept_quic(endpoint: quinn::Endpoint, seen: Arc<Seen>) {
    while let Some(incoming) = endpoint.accept().await {
        seen.connections.fetch_add(1, Ordering::SeqCst);
        let seen = Arc::clone(&seen);
        tokio::spawn(async move {
            let Ok(connection) = incoming.await else {
                return;
            };
            while let Ok((mut sender, mut receiver)) = connection.accept_bi().await {
                let seen = Arc::clone(&seen);
                tokio::spawn(async move {
                    let Ok(question) = receiver.read_to_end(4096).await else {
                        return;
                    };
                    let packet = &question[2..];
                    assert_eq!(packet[..2], [0, 0], "RFC 9250 section 4.2.1");
                    let _ = sender.write_all(&answer(packet, &seen)).await;
                    let _ = sender.finish();
                });
            }
        });
    }
}
