//! Listening and accepting over QUIC, and DNS over QUIC itself (RFC 9250): a
//! stream for each question.
//!
//! All connections share one socket and one thread, and a handshake is begun
//! for whoever sends a datagram, from whatever address stands on it. So where
//! it grows crowded an address must be proved first, nobody begins more
//! handshakes than over TLS, and questions never come before the handshake's
//! end (no 0-RTT), for those could be replayed.
//!
//! A connection stays with the address that shook hands: who asks, and what he
//! may hold, hangs on it.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::{HandshakeData, QuicServerConfig};
use quinn::{
    Connection, Endpoint, EndpointConfig, Incoming, RecvStream, SendStream, ServerConfig,
    TokioRuntime, TransportConfig, VarInt,
};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::activity::Activity;
use super::certificate::Certificates;
use super::doorkeeper::{Admission, Doorkeeper};
use super::tls::origin;
use super::{LAST_ANSWERS, SHORT};
use crate::devices::client_id::ClientId;
use crate::dns::mailbox::{Mail, Mailbox};
use crate::dns::pipeline::From;
use crate::dns::question::HEADER;
use crate::dns::way_back::{Parcel, Waiting, way_back};
use crate::metrics::Transport;

/// What the protocol is called in a handshake (RFC 9250 section 4.1.1).
pub const ALPN: &[&[u8]] = &[b"doq"];

/// Octets a connection's client may have sent that nobody has read yet.
const WINDOW: u32 = 256 << 10;
/// The same for one stream: a question of the longest kind.
const STREAM_WINDOW: u32 = 2 + 65_535;
/// Octets that the kernel may hold for the socket, each way; it may give less.
const SOCKET_BUFFER: usize = 2 << 20;
/// Handshakes whose first packet has come, and octets of what follows it, that
/// wait until they are looked at.
const WAITING: usize = 1024;
const WAITING_OCTETS: u64 = 16 << 10;

/// RFC 9250 section 4.3.
const NO_ERROR: VarInt = VarInt::from_u32(0);
const INTERNAL_ERROR: VarInt = VarInt::from_u32(1);
const PROTOCOL_ERROR: VarInt = VarInt::from_u32(2);
const REQUEST_CANCELLED: VarInt = VarInt::from_u32(3);
const EXCESSIVE_LOAD: VarInt = VarInt::from_u32(4);

/// A connection that was let in.
pub(super) struct Guest {
    pub(super) connection: Connection,
    pub(super) address: SocketAddr,
    /// The id in its server name.
    pub(super) client_id: Option<ClientId>,
    pub(super) leave: Admission,
}

/// Binds a socket; nobody shares it, for a connection's packets must all come
/// here.
pub fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    // What the kernel does not give is no reason not to serve.
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER);
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// Speaks QUIC on a socket, under this TLS. `one_way` streams a client may open
/// besides those of its questions.
pub fn endpoint(
    socket: UdpSocket,
    tls: Arc<rustls::ServerConfig>,
    doorkeeper: &Doorkeeper,
    one_way: u32,
) -> io::Result<Endpoint> {
    let limits = &doorkeeper.limits;
    let crypto = QuicServerConfig::try_from(tls).map_err(io::Error::other)?;
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(limits.pipeline as u32))
        .max_concurrent_uni_streams(VarInt::from_u32(one_way))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .receive_window(VarInt::from_u32(WINDOW))
        .send_window(u64::from(WINDOW))
        .datagram_receive_buffer_size(None)
        // A client that is gone is found out by these; one that is there but
        // asks nothing, by its connection's activity.
        .max_idle_timeout(Some(limits.idle.try_into().map_err(io::Error::other)?))
        .keep_alive_interval(Some(limits.idle / 3));
    let mut server = ServerConfig::with_crypto(Arc::new(crypto));
    server
        .transport_config(Arc::new(transport))
        .migration(false)
        .max_incoming(WAITING)
        .incoming_buffer_size(WAITING_OCTETS)
        .incoming_buffer_size_total(WAITING_OCTETS * WAITING as u64);
    let config = EndpointConfig::default();
    Endpoint::new(config, Some(server), socket, Arc::new(TokioRuntime))
}

/// Answers DNS over QUIC for ever.
pub async fn accept(
    endpoint: Endpoint,
    doorkeeper: Arc<Doorkeeper>,
    certificates: Arc<Certificates>,
) {
    accept_each(endpoint, doorkeeper, certificates, Transport::Quic, serve).await;
}

/// Accepts for ever, each connection on a task of its own.
pub(super) async fn accept_each<F>(
    endpoint: Endpoint,
    doorkeeper: Arc<Doorkeeper>,
    certificates: Arc<Certificates>,
    transport: Transport,
    serve_guest: impl Fn(Guest) -> F + Clone + Send + 'static,
) where
    F: Future<Output = ()> + Send + 'static,
{
    while let Some(incoming) = endpoint.accept().await {
        let client = incoming.remote_address().ip();
        if doorkeeper.is_crowded(client) && incoming.may_retry() {
            // It costs one round trip, and us nothing to remember.
            let _ = incoming.retry();
            continue;
        }
        let Some(leave) = doorkeeper.admit(client, transport) else {
            incoming.refuse();
            continue;
        };
        if !doorkeeper.may_shake_hands(client) {
            // It asks again by itself, later.
            incoming.ignore();
            continue;
        }
        let (serve_guest, certificates) = (serve_guest.clone(), Arc::clone(&certificates));
        tokio::spawn(async move {
            if let Some(guest) = Guest::let_in(incoming, leave, &certificates).await {
                serve_guest(guest).await;
            }
        });
    }
}

impl Guest {
    /// Shakes hands.
    async fn let_in(
        incoming: Incoming,
        leave: Admission,
        certificates: &Certificates,
    ) -> Option<Self> {
        let doorkeeper = Arc::clone(&leave.doorkeeper);
        let shaking = async { incoming.accept()?.await };
        let Ok(Ok(connection)) = timeout(doorkeeper.limits.idle, shaking).await else {
            doorkeeper.handshake_failed();
            return None;
        };
        let told = connection.handshake_data()?.downcast::<HandshakeData>();
        let server_name = told.ok()?.server_name;
        Some(Self {
            address: connection.remote_address(),
            client_id: certificates.client_id(server_name.as_deref()).ok()?,
            connection,
            leave,
        })
    }
}

/// Serves one connection until it ends or is idle.
async fn serve(guest: Guest) {
    let idle = guest.leave.doorkeeper.limits.idle;
    let Some(worker) = guest.leave.doorkeeper.worker() else {
        return;
    };
    let origin = origin(guest.client_id, None);
    let asker = Arc::new(Asker {
        connection: guest.connection,
        from: From::stream(guest.address, Transport::Quic, origin),
        worker: worker.clone(),
        idle,
        activity: Activity::begin(),
        long: Semaphore::new(1),
        waiting: Waiting::default(),
    });
    let accepting = async {
        while let Ok((sender, receiver)) = asker.connection.accept_bi().await {
            let asker = Arc::clone(&asker);
            tokio::spawn(async move { asker.answer(sender, receiver).await });
        }
    };
    tokio::select! {
        () = accepting => {}
        () = asker.activity.is_over(idle) => asker.connection.close(NO_ERROR, b""),
    }
}

/// One connection, as its streams see it.
struct Asker {
    connection: Connection,
    from: From,
    worker: Mailbox,
    idle: Duration,
    activity: Activity,
    /// For reading a long question: one at a time, so that what all streams of
    /// a connection hold stays small.
    long: Semaphore,
    waiting: Waiting,
}

/// Why a question has no answer.
enum Fault {
    /// What came breaks RFC 9250: the connection ends.
    Protocol,
    /// This stream ends, with a code that says why.
    Stream(VarInt),
}

impl Asker {
    /// Answers the one question of a stream.
    async fn answer(&self, mut sender: SendStream, mut receiver: RecvStream) {
        let _act = self.activity.act();
        let stopped = sender.stopped();
        let reply = tokio::select! {
            reply = self.reply(&mut receiver) => reply,
            // Nobody waits for it any more (RFC 9250 section 4.3.1).
            _ = stopped => Err(Fault::Stream(REQUEST_CANCELLED)),
        };
        let sent = match reply {
            Ok(reply) => self.send(&mut sender, &reply).await,
            Err(fault) => Err(fault),
        };
        match sent {
            Ok(()) => {}
            Err(Fault::Protocol) => self.connection.close(PROTOCOL_ERROR, b""),
            Err(Fault::Stream(code)) => {
                // Ended already, if there is an error.
                let _ = sender.reset(code);
                let _ = receiver.stop(code);
            }
        }
    }

    async fn reply(&self, receiver: &mut RecvStream) -> Result<Parcel, Fault> {
        let packet = timeout(self.idle, self.question(receiver)).await;
        let packet = packet.map_err(|_| Fault::Stream(INTERNAL_ERROR))??;
        let (replies, mut outbox) = way_back(1, &self.waiting);
        let posted = self.worker.post(Mail::Question {
            packet,
            from: self.from.clone(),
            replies,
        });
        if !posted {
            return Err(Fault::Stream(EXCESSIVE_LOAD));
        }
        match timeout(LAST_ANSWERS, outbox.recv()).await {
            // The worker met it with silence: it is no question.
            Ok(Some(reply)) if reply.is_empty() => Err(Fault::Protocol),
            Ok(Some(reply)) => Ok(reply),
            _ => Err(Fault::Stream(INTERNAL_ERROR)),
        }
    }

    /// All that comes before the stream's end, which must be one message under
    /// its length, with the id 0 (RFC 9250 sections 4.2 and 4.2.1).
    async fn question(&self, receiver: &mut RecvStream) -> Result<Vec<u8>, Fault> {
        let (mut all, mut leave) = (Vec::new(), None);
        loop {
            // An error is a client that takes its question back, or is gone.
            let chunk = receiver.read_chunk(SHORT, true).await;
            let chunk = chunk.map_err(|_| Fault::Stream(REQUEST_CANCELLED))?;
            let Some(chunk) = chunk else {
                break;
            };
            all.extend_from_slice(&chunk.bytes);
            if all.len() > STREAM_WINDOW as usize {
                return Err(Fault::Protocol);
            }
            if all.len() > SHORT && leave.is_none() {
                leave = self.long.acquire().await.ok();
            }
        }
        match all.split_first_chunk::<2>() {
            Some((length, packet @ [0, 0, ..]))
                if packet.len() >= HEADER
                    && packet.len() == usize::from(u16::from_be_bytes(*length)) =>
            {
                Ok(packet.to_vec())
            }
            _ => Err(Fault::Protocol),
        }
    }

    async fn send(&self, sender: &mut SendStream, reply: &[u8]) -> Result<(), Fault> {
        let length = u16::try_from(reply.len());
        let length = length.map_err(|_| Fault::Stream(INTERNAL_ERROR))?;
        let framed = [&length.to_be_bytes(), reply].concat();
        let sending = timeout(self.idle, sender.write_all(&framed));
        if !matches!(sending.await, Ok(Ok(()))) || sender.finish().is_err() {
            return Err(Fault::Stream(REQUEST_CANCELLED));
        }
        Ok(())
    }
}
