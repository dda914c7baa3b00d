//! The short road: datagrams in, datagrams out, many at a time.
//!
//! A listener is one socket of one worker (`SO_REUSEPORT`: the kernel deals
//! questions out to the workers). Packets are read and replies sent in batches
//! by `recvmmsg` and `sendmmsg` into buffers that are used again: a blocked or
//! cached answer allocates nothing, locks nothing and waits for nothing.
//!
//! A socket bound to the wildcard address must answer from the address that was
//! asked; its replies carry that address and go out one by one.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::AsRawFd;

use nix::cmsg_space;
use nix::errno::Errno;
use nix::libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg,
    sendmmsg, sendmsg, setsockopt, sockopt,
};
use socket2::{Domain, Protocol, Socket, Type};

/// Packets in one batch.
pub const BATCH: usize = 32;
/// Bytes of one packet that are read; more is cut off and so malformed.
const PACKET: usize = 4096;
/// What the kernel may queue for a socket while a worker is busy.
const KERNEL_BUFFER: usize = 4 << 20;

/// A listening socket on its way to its worker's thread, which the buffers for
/// the kernel cannot leave.
pub struct Bound {
    socket: mio::net::UdpSocket,
    wildcard: bool,
}

/// One listening socket with its buffers.
pub struct Listener {
    socket: mio::net::UdpSocket,
    wildcard: bool,
    receive: MultiHeaders<SockaddrStorage>,
    send: MultiHeaders<SockaddrStorage>,
    packets: Box<[u8]>,
    received: Vec<Meta>,
    replies: Vec<Vec<u8>>,
    /// Which of `received` each of `replies` answers.
    targets: Vec<usize>,
    addresses: Vec<Option<SockaddrStorage>>,
}

#[derive(Clone, Copy)]
struct Meta {
    length: usize,
    from: Option<SockaddrStorage>,
    local: Option<IpAddr>,
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
    /// Packets that were read.
    pub received: usize,
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
        let wildcard = address.ip().is_unspecified();
        if wildcard && address.is_ipv4() {
            setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
        } else if wildcard {
            setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
        }
        socket.bind(&address.into())?;
        Ok(Self {
            socket: mio::net::UdpSocket::from_std(socket.into()),
            wildcard,
        })
    }

    /// Where it is bound.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// The listener, on the thread where it stays.
    #[must_use]
    pub fn listener(self) -> Listener {
        let control = self.wildcard.then(|| cmsg_space!(in6_pktinfo));
        Listener {
            socket: self.socket,
            wildcard: self.wildcard,
            receive: MultiHeaders::preallocate(BATCH, control),
            send: MultiHeaders::preallocate(BATCH, None),
            packets: vec![0; BATCH * PACKET].into_boxed_slice(),
            received: Vec::with_capacity(BATCH),
            replies: (0..BATCH).map(|_| Vec::with_capacity(PACKET)).collect(),
            targets: Vec::with_capacity(BATCH),
            addresses: Vec::with_capacity(BATCH),
        }
    }
}

impl Listener {
    /// The socket, to be registered.
    pub fn source(&mut self) -> &mut mio::net::UdpSocket {
        &mut self.socket
    }

    /// Reads one batch, has `answer` write a reply for each packet, and sends
    /// those it wants sent.
    pub fn serve(&mut self, mut answer: impl FnMut(&[u8], Sender, &mut Vec<u8>) -> Then) -> Went {
        let mut went = Went::default();
        if let Err(error) = self.read() {
            went.failed = !matches!(error, Errno::EAGAIN | Errno::EINTR);
            return went;
        }
        went.received = self.received.len();
        self.targets.clear();
        let packets = self.packets.chunks_exact(PACKET);
        for (index, (meta, packet)) in self.received.iter().zip(packets).enumerate() {
            let Some(reply) = self.replies.get_mut(self.targets.len()) else {
                break;
            };
            let (Some(address), Some(packet)) = (
                meta.from.as_ref().and_then(std_address),
                packet.get(..meta.length),
            ) else {
                continue;
            };
            // RFC 1035 has no port 0; a reply to it goes nowhere.
            if address.port() == 0 {
                continue;
            }
            let sender = Sender {
                address,
                local: meta.local,
            };
            if answer(packet, sender, reply) == Then::Send {
                self.targets.push(index);
            }
        }
        went.unsent = self.write();
        went
    }

    /// Sends one reply.
    pub fn send_to(&self, reply: &[u8], to: Sender) -> io::Result<()> {
        match to.local {
            Some(local) => self.send_from(reply, &SockaddrStorage::from(to.address), local)?,
            None => {
                self.socket.send_to(reply, to.address)?;
            }
        }
        Ok(())
    }

    fn read(&mut self) -> nix::Result<()> {
        self.received.clear();
        let mut chunks = self.packets.chunks_exact_mut(PACKET);
        let mut slices: [[IoSliceMut<'_>; 1]; BATCH] =
            std::array::from_fn(|_| [IoSliceMut::new(chunks.next().unwrap_or_default())]);
        let results = recvmmsg(
            self.socket.as_raw_fd(),
            &mut self.receive,
            slices.iter_mut(),
            MsgFlags::MSG_DONTWAIT,
            None,
        )?;
        for message in results {
            let local = if self.wildcard {
                message
                    .cmsgs()
                    .ok()
                    .and_then(|mut all| all.find_map(local_address))
            } else {
                None
            };
            self.received.push(Meta {
                length: message.bytes.min(PACKET),
                from: message.address,
                local,
            });
        }
        Ok(())
    }

    /// Sends the written replies; says how many could not be.
    fn write(&mut self) -> u64 {
        if self.wildcard {
            return self.write_one_by_one();
        }
        let count = self.targets.len();
        self.addresses.clear();
        let from = |index: &usize| self.received.get(*index).and_then(|meta| meta.from);
        self.addresses.extend(self.targets.iter().map(from));
        let (mut done, mut unsent) = (0, 0);
        while done < count {
            let mut replies = self.replies.iter().skip(done);
            let slices: [[IoSlice<'_>; 1]; BATCH] = std::array::from_fn(|_| {
                [IoSlice::new(replies.next().map_or(&[][..], |reply| reply))]
            });
            let addresses = self.addresses.get(done..count).unwrap_or_default();
            let sent = sendmmsg(
                self.socket.as_raw_fd(),
                &mut self.send,
                slices.iter(),
                addresses,
                [],
                MsgFlags::MSG_DONTWAIT,
            );
            match sent.map(Iterator::count) {
                Ok(sent) if sent > 0 => done += sent,
                Err(Errno::EINTR) => {}
                // One that cannot be sent must not hold up those behind it.
                Ok(_) | Err(_) => {
                    done += 1;
                    unsent += 1;
                }
            }
        }
        unsent
    }

    fn write_one_by_one(&mut self) -> u64 {
        let mut unsent = 0;
        for (index, reply) in self.targets.iter().zip(&self.replies) {
            let Some(meta) = self.received.get(*index) else {
                continue;
            };
            let sent = match (meta.from, meta.local) {
                (Some(to), Some(local)) => self.send_from(reply, &to, local).is_ok(),
                _ => false,
            };
            unsent += u64::from(!sent);
        }
        unsent
    }

    fn send_from(&self, reply: &[u8], to: &SockaddrStorage, local: IpAddr) -> nix::Result<()> {
        let slices = [IoSlice::new(reply)];
        let (fd, flags) = (self.socket.as_raw_fd(), MsgFlags::MSG_DONTWAIT);
        match local {
            IpAddr::V4(v4) => {
                let info = in_pktinfo {
                    ipi_ifindex: 0,
                    ipi_spec_dst: in_addr {
                        s_addr: u32::from_ne_bytes(v4.octets()),
                    },
                    ipi_addr: in_addr { s_addr: 0 },
                };
                sendmsg(
                    fd,
                    &slices,
                    &[ControlMessage::Ipv4PacketInfo(&info)],
                    flags,
                    Some(to),
                )
            }
            IpAddr::V6(v6) => {
                let info = in6_pktinfo {
                    ipi6_addr: in6_addr {
                        s6_addr: v6.octets(),
                    },
                    ipi6_ifindex: 0,
                };
                sendmsg(
                    fd,
                    &slices,
                    &[ControlMessage::Ipv6PacketInfo(&info)],
                    flags,
                    Some(to),
                )
            }
        }
        .map(|_| ())
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "it is called with what an iterator gives"
)]
fn local_address(control: ControlMessageOwned) -> Option<IpAddr> {
    match control {
        ControlMessageOwned::Ipv4PacketInfo(info) => {
            Some(IpAddr::from(info.ipi_spec_dst.s_addr.to_ne_bytes()))
        }
        ControlMessageOwned::Ipv6PacketInfo(info) => Some(IpAddr::from(info.ipi6_addr.s6_addr)),
        _ => None,
    }
}

fn std_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = address.as_sockaddr_in() {
        return Some(SocketAddr::V4(SocketAddrV4::from(*v4)));
    }
    let v6 = address.as_sockaddr_in6()?;
    Some(SocketAddr::V6(SocketAddrV6::from(*v6)))
}
