//! TCP and TLS: messages with their length in front, many under way at once, in
//! whatever order the server answers (RFC 7766 section 6.2.1.1, RFC 7858).

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::sleep_until;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::errand::Errand;
use super::line::{IDLE, STALLED, Wire};
use super::trust::Trust;
use crate::dns::upstream::servers::Server;

/// What is read at once.
const ROOM: usize = 16 * 1024;

/// A connection, with or without TLS.
pub(super) type Stream = Box<dyn Duplex>;

/// Bytes both ways.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Duplex for S {}

/// A TCP connection to the server.
pub(super) async fn dial(server: &Server) -> io::Result<Stream> {
    Ok(Box::new(connect(server).await?))
}

/// A TLS connection to the server, whose certificate is in order.
pub(super) async fn dial_tls(server: &Server, trust: &Trust) -> io::Result<Stream> {
    // No ALPN: some servers of old refuse any, and there is nothing to choose.
    Ok(Box::new(shake_hands(server, trust, &[]).await?))
}

async fn connect(server: &Server) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(server.address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// TLS over TCP, for an application that calls itself `alpn`.
pub(super) async fn shake_hands(
    server: &Server,
    trust: &Trust,
    alpn: &[u8],
) -> io::Result<TlsStream<TcpStream>> {
    let connector = TlsConnector::from(Arc::new(trust.client(alpn)));
    let stream = connect(server).await?;
    connector.connect(server.certificate.clone(), stream).await
}

/// What is under way on one connection.
struct Talk {
    wire: Arc<Wire>,
    /// By the id under which they were sent.
    under_way: HashMap<u16, (Errand, Instant)>,
    /// What is to be written.
    out: Vec<u8>,
    /// What was read and is no whole message yet.
    read: Vec<u8>,
    /// When something last happened.
    last: Instant,
    has_stalled: bool,
}

/// Asks over the connection what comes in, until either side has had enough.
pub(super) async fn talk(stream: Stream, mut errands: mpsc::Receiver<Errand>, wire: Arc<Wire>) {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut talk = Talk {
        wire,
        under_way: HashMap::new(),
        out: Vec::new(),
        read: Vec::new(),
        last: Instant::now(),
        has_stalled: false,
    };
    let (mut room, mut is_flushed, mut is_open) = (vec![0; ROOM], true, true);
    while is_open || !talk.under_way.is_empty() {
        let next_look = talk.next_look();
        tokio::select! {
            errand = errands.recv(), if is_open => match errand {
                Some(errand) => {
                    talk.send(errand);
                    is_flushed = false;
                }
                // The line has dropped this connection.
                None => is_open = false,
            },
            read = reader.read(&mut room) => match read {
                Ok(length @ 1..) => {
                    if talk.take(room.get(..length).unwrap_or_default()).is_err() {
                        break;
                    }
                }
                _ => break,
            },
            pushed = push(&mut writer, &mut talk.out), if !is_flushed => match pushed {
                Ok(()) => is_flushed = true,
                Err(_) => break,
            },
            () = sleep_until(next_look.into()) => {
                if talk.look() {
                    break;
                }
            }
        }
    }
    talk.wire.over();
    // What came in meanwhile goes over the next connection, as does the rest.
    errands.close();
    while let Some(errand) = errands.recv().await {
        talk.wire.give_back(errand);
    }
    for (_, (errand, _)) in talk.under_way {
        talk.wire.give_back(errand);
    }
}

/// Writes all of `out`. Whoever stops polling it loses nothing: what was
/// written is gone from `out`.
async fn push(writer: &mut (impl AsyncWrite + Unpin), out: &mut Vec<u8>) -> io::Result<()> {
    while !out.is_empty() {
        let length = writer.write(out).await?;
        if length == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        out.drain(..length);
    }
    writer.flush().await
}

impl Talk {
    fn send(&mut self, errand: Errand) {
        let id = std::iter::repeat_with(rand::random::<u16>)
            .find(|id| !self.under_way.contains_key(id))
            .unwrap_or_default();
        let packet = errand.packet_as(id);
        let Ok(length) = u16::try_from(packet.len()) else {
            return self.wire.done();
        };
        self.out.extend_from_slice(&length.to_be_bytes());
        self.out.extend_from_slice(&packet);
        self.wire.asked();
        self.last = Instant::now();
        self.under_way.insert(id, (errand, self.last));
    }

    /// Takes what was read; an error if it cannot be DNS.
    fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.read.extend_from_slice(bytes);
        let mut rest = &self.read[..];
        while let Some((length, behind)) = rest.split_first_chunk::<2>() {
            let length = usize::from(u16::from_be_bytes(*length));
            let Some((message, behind)) = behind.split_at_checked(length) else {
                break;
            };
            let Some(id) = message.first_chunk::<2>() else {
                return Err(io::ErrorKind::InvalidData.into());
            };
            // An answer to nothing is one that came too late.
            if let Some((errand, _)) = self.under_way.remove(&u16::from_be_bytes(*id)) {
                self.wire.heard();
                self.wire.done();
                errand.answer(message.to_vec());
            }
            rest = behind;
        }
        let left = rest.len();
        self.read.drain(..self.read.len() - left);
        self.last = Instant::now();
        Ok(())
    }

    /// When to look whether anybody still waits, or this connection is dead.
    fn next_look(&self) -> Instant {
        let oldest = self.under_way.values().map(|(_, sent)| *sent).min();
        match oldest {
            Some(sent) if !self.has_stalled => sent + STALLED,
            Some(_) => Instant::now() + STALLED,
            None => self.last + IDLE,
        }
    }

    /// Forgets whom nobody waits for any more; says whether to end.
    fn look(&mut self) -> bool {
        let now = Instant::now();
        if self.under_way.is_empty() {
            return now >= self.last + IDLE;
        }
        let silent =
            |wire: &Wire, sent: Instant| now >= sent + STALLED && wire.is_silent_since(sent);
        let stalled = self
            .under_way
            .values()
            .any(|(_, sent)| silent(&self.wire, *sent));
        if stalled && !self.has_stalled {
            // Nothing new is asked here; what still comes is welcome.
            self.has_stalled = true;
            self.wire.over();
        }
        let wire = &self.wire;
        self.under_way.retain(|_, (errand, sent)| {
            let stays = now < errand.deadline && now < *sent + 2 * STALLED;
            if !stays {
                wire.done();
            }
            stays
        });
        false
    }
}
