//! The short road: datagrams in, datagrams out, many at a time.
//!
//! A listener is one socket of one worker (`SO_REUSEPORT`: the kernel deals
//! questions out to the workers). Packets are read and replies sent in batches
//! into buffers that are used again: a blocked or cached answer allocates
//! nothing, locks nothing and waits for nothing. Replies that had to wait for
//! an upstream leave in batches too.
//!
//! A socket bound to the wildcard address must answer from the address that was
//! asked; its replies carry that address and go out one by one.

use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use nix::errno::Errno;
use nix::libc::{self, in_addr, in_pktinfo, in6_addr, in6_pktinfo};
use nix::sys::socket::{
    ControlMessage, MsgFlags, MultiHeaders, SockaddrIn, SockaddrIn6, sendmsg, setsockopt, sockopt,
};
use socket2::{Domain, Protocol, Socket, Type};

use super::batch::{self, BATCH, Inbox, Peer};

/// Room that a reply's buffer has from the start.
const REPLY: usize = 4096;
/// What the kernel may queue for a socket while a worker is busy.
const KERNEL_BUFFER: usize = 4 << 20;

/// Replies carry DF and heed no path MTU that somebody claims (RFC 9715 R2):
/// fragments can be forged, and ours always fit. It also spares the kernel the
/// choice of an id for each.
#[derive(Debug, Clone, Copy)]
struct DontFragment;

nix::setsockopt_impl!(
    DontFragment,
    libc::IPPROTO_IP,
    libc::IP_MTU_DISCOVER,
    libc::c_int,
    sockopt::SetStruct<'_, libc::c_int>
);

/// A listening socket on its way to its worker's thread, which the buffers for
/// the kernel cannot leave.
pub struct Bound {
    socket: UdpSocket,
    wildcard: bool,
}

/// One listening socket with its buffers.
pub struct Listener {
    socket: UdpSocket,
    family: Family,
}

/// Addresses are copied for every packet, so each family has its own.
enum Family {
    V4(Lane<SockaddrIn>),
    V6(Lane<SockaddrIn6>),
}

struct Lane<S> {
    inbox: Inbox<S>,
    outbox: Outbox<S>,
}

/// Replies that leave with the next flush.
struct Outbox<S> {
    headers: MultiHeaders<S>,
    replies: Vec<Vec<u8>>,
    to: Vec<Option<S>>,
    from: Vec<Option<IpAddr>>,
}

/// What is known of one packet.
#[derive(Debug, Clone, Copy)]
pub struct Sender {
    /// Who sent it.
    pub address: SocketAddr,
    /// Which of our addresses it was sent to, on a wildcard socket.
    pub local: Option<IpAddr>,
}

/// What to do with a reply that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// Send it.
    Send,
    /// Nothing.
    Nothing,
}

/// How a batch went.
#[derive(Debug, Clone, Copy, Default)]
pub struct Went {
    /// Whether the batch was full, so that there may be more. (To read again at
    /// once after less makes batches smaller, and each packet dearer.)
    pub more: bool,
    /// Replies the kernel would not take.
    pub unsent: u64,
    /// Whether reading failed, other than for want of packets.
    pub failed: bool,
}

impl Bound {
    /// Binds to `address`, sharing the port with the other workers' listeners.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(
            Domain::for_address(address),
            Type::DGRAM,
            Some(Protocol::UDP),
        )?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.set_reuse_port(true)?;
        socket.set_nonblocking(true)?;
        // A burst at 09:00 must wait in the kernel rather than be lost; the
        // kernel gives as much as it is allowed to.
        let _ = socket.set_recv_buffer_size(KERNEL_BUFFER);
        let _ = socket.set_send_buffer_size(KERNEL_BUFFER);
        if address.is_ipv4() {
            setsockopt(&socket, DontFragment, &libc::IP_PMTUDISC_PROBE)?;
        }
        let wildcard = address.ip().is_unspecified();
        if wildcard && address.is_ipv4() {
            setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
        } else if wildcard {
            setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
        }
        socket.bind(&address.into())?;
        Ok(Self {
            socket: socket.into(),
            wildcard,
        })
    }

    /// Where it is bound.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// The listener, on the thread where it stays.
    pub fn listener(self) -> io::Result<Listener> {
        let family = match self.socket.local_addr()? {
            SocketAddr::V4(_) => Family::V4(Lane::new(self.wildcard)),
            SocketAddr::V6(_) => Family::V6(Lane::new(self.wildcard)),
        };
        Ok(Listener {
            socket: self.socket,
            family,
        })
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Listener {
    /// Reads one batch, has `answer` write a reply for each packet, and sends
    /// those it wants sent.
    pub fn serve(&mut self, answer: impl FnMut(&[u8], Sender, &mut Vec<u8>) -> Then) -> Went {
        let socket = self.socket.as_raw_fd();
        match &mut self.family {
            Family::V4(lane) => lane.serve(socket, answer),
            Family::V6(lane) => lane.serve(socket, answer),
        }
    }

    /// Has `write` write a late reply, which leaves with the next flush; says
    /// how many others had to leave for it and could not.
    pub fn post(&mut self, to: Sender, write: impl FnOnce(&mut Vec<u8>)) -> u64 {
        let socket = self.socket.as_raw_fd();
        match &mut self.family {
            Family::V4(lane) => lane.outbox.post(socket, to, write),
            Family::V6(lane) => lane.outbox.post(socket, to, write),
        }
    }

    /// Sends what was posted; says how many could not be sent.
    pub fn flush(&mut self) -> u64 {
        let socket = self.socket.as_raw_fd();
        match &mut self.family {
            Family::V4(lane) => lane.outbox.flush(socket),
            Family::V6(lane) => lane.outbox.flush(socket),
        }
    }
}

impl<S: Peer> Lane<S> {
    fn new(wildcard: bool) -> Self {
        Self {
            inbox: Inbox::new(wildcard),
            outbox: Outbox {
                headers: MultiHeaders::preallocate(BATCH, None),
                replies: (0..BATCH).map(|_| Vec::with_capacity(REPLY)).collect(),
                to: Vec::with_capacity(BATCH),
                from: Vec::with_capacity(BATCH),
            },
        }
    }

    fn serve(
        &mut self,
        socket: RawFd,
        mut answer: impl FnMut(&[u8], Sender, &mut Vec<u8>) -> Then,
    ) -> Went {
        let mut went = Went::default();
        // A batch of replies must fit behind those that wait already.
        went.unsent += self.outbox.flush(socket);
        if let Err(error) = self.inbox.read(socket) {
            went.failed = !matches!(error, Errno::EAGAIN | Errno::EINTR);
            return went;
        }
        for (received, packet) in self.inbox.packets() {
            // RFC 1035 has no port 0; a reply to it goes nowhere.
            let address = received.from.and_then(S::address);
            let Some(address) = address.filter(|address| address.port() != 0) else {
                continue;
            };
            let sender = Sender {
                address,
                local: received.local,
            };
            let Some(reply) = self.outbox.next() else {
                break;
            };
            if answer(packet, sender, reply) == Then::Send {
                self.outbox.to.push(received.from);
                self.outbox.from.push(received.local);
            }
        }
        went.unsent += self.outbox.flush(socket);
        went.more = self.inbox.is_full();
        went
    }
}

impl<S: Peer> Outbox<S> {
    /// The buffer of the next reply.
    fn next(&mut self) -> Option<&mut Vec<u8>> {
        self.replies.get_mut(self.to.len())
    }

    fn post(&mut self, socket: RawFd, to: Sender, write: impl FnOnce(&mut Vec<u8>)) -> u64 {
        let unsent = if self.to.len() < BATCH {
            0
        } else {
            self.flush(socket)
        };
        if let Some(reply) = self.next() {
            write(reply);
            self.to.push(S::of(to.address));
            self.from.push(to.local);
        }
        unsent
    }

    fn flush(&mut self, socket: RawFd) -> u64 {
        let mut unsent = 0;
        if self.from.iter().any(Option::is_some) {
            let all = self.to.iter().zip(&self.from).zip(&self.replies);
            for ((to, from), reply) in all {
                let sent = match (to, from) {
                    (Some(to), Some(from)) => send_from(socket, reply, to, *from).is_ok(),
                    _ => false,
                };
                unsent += u64::from(!sent);
            }
        } else if !self.to.is_empty() {
            let mut packets: [&[u8]; BATCH] = [&[]; BATCH];
            for (packet, reply) in packets.iter_mut().zip(&self.replies) {
                *packet = reply;
            }
            // One that cannot be sent must not hold up those behind it.
            batch::send(socket, &mut self.headers, &packets, &self.to, 1, |_| {
                unsent += 1;
            });
        }
        self.to.clear();
        self.from.clear();
        unsent
    }
}

fn send_from<S: Peer>(socket: RawFd, reply: &[u8], to: &S, from: IpAddr) -> nix::Result<()> {
    let slices = [IoSlice::new(reply)];
    let flags = MsgFlags::MSG_DONTWAIT;
    match from {
        IpAddr::V4(v4) => {
            let info = in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: in_addr {
                    s_addr: u32::from_ne_bytes(v4.octets()),
                },
                ipi_addr: in_addr { s_addr: 0 },
            };
            let control = [ControlMessage::Ipv4PacketInfo(&info)];
            sendmsg(socket, &slices, &control, flags, Some(to))
        }
        IpAddr::V6(v6) => {
            let info = in6_pktinfo {
                ipi6_addr: in6_addr {
                    s6_addr: v6.octets(),
                },
                ipi6_ifindex: 0,
            };
            let control = [ControlMessage::Ipv6PacketInfo(&info)];
            sendmsg(socket, &slices, &control, flags, Some(to))
        }
    }
    .map(|_| ())
}
