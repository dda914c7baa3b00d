//! Many datagrams by one system call.
//!
//! The kernel's share of an answer is most of it, and entering the kernel once
//! for thirty packets instead of once for each is what a program can save of
//! it. Both roads use this: listeners know many senders, sockets to upstreams
//! are connected and know none (`S = ()`). Buffers are made once.
//!
//! It must never wait, and never let one packet hold up those behind it.

use std::io::{IoSlice, IoSliceMut};
use std::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::RawFd;

use nix::cmsg_space;
use nix::errno::Errno;
use nix::libc::in6_pktinfo;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrIn, SockaddrIn6, SockaddrLike, recvmmsg,
    sendmmsg,
};

/// Packets in one batch.
pub const BATCH: usize = 32;
/// Bytes of one packet that are read.
const PACKET: usize = 4096;

/// A sender as the kernel writes it.
pub trait Peer: SockaddrLike + Copy {
    /// The address, if the socket has senders at all.
    fn address(self) -> Option<SocketAddr>;
    /// The kernel's form of `address`, if it is of this family.
    fn of(address: SocketAddr) -> Option<Self>;
}

impl Peer for () {
    fn address(self) -> Option<SocketAddr> {
        None
    }

    fn of(_: SocketAddr) -> Option<Self> {
        None
    }
}

impl Peer for SockaddrIn {
    fn address(self) -> Option<SocketAddr> {
        Some(SocketAddr::V4(SocketAddrV4::from(self)))
    }

    fn of(address: SocketAddr) -> Option<Self> {
        match address {
            SocketAddr::V4(v4) => Some(v4.into()),
            SocketAddr::V6(_) => None,
        }
    }
}

impl Peer for SockaddrIn6 {
    fn address(self) -> Option<SocketAddr> {
        Some(SocketAddr::V6(SocketAddrV6::from(self)))
    }

    fn of(address: SocketAddr) -> Option<Self> {
        match address {
            SocketAddr::V6(v6) => Some(v6.into()),
            SocketAddr::V4(_) => None,
        }
    }
}

/// What was read, until the next batch.
pub struct Inbox<S> {
    headers: MultiHeaders<S>,
    bytes: Box<[u8]>,
    received: Vec<Received<S>>,
    tells_local: bool,
}

/// One packet's circumstances.
#[derive(Debug, Clone, Copy)]
pub struct Received<S> {
    length: usize,
    /// Whether it was longer than what is read of one.
    pub is_cut: bool,
    /// Who sent it.
    pub from: Option<S>,
    /// Which of our addresses it was sent to, on a socket that tells.
    pub local: Option<IpAddr>,
}

impl<S: Peer> Inbox<S> {
    /// Room for one batch. `tells_local` is for sockets that were asked to tell
    /// to which address a packet came (`IP_PKTINFO`).
    #[must_use]
    pub fn new(tells_local: bool) -> Self {
        let control = tells_local.then(|| cmsg_space!(in6_pktinfo));
        Self {
            headers: MultiHeaders::preallocate(BATCH, control),
            bytes: vec![0; BATCH * PACKET].into_boxed_slice(),
            received: Vec::with_capacity(BATCH),
            tells_local,
        }
    }

    /// Reads what waits in the socket, as much as fits, over what was read
    /// before. `EAGAIN` if nothing does.
    pub fn read(&mut self, socket: RawFd) -> nix::Result<()> {
        self.received.clear();
        let mut chunks = self.bytes.chunks_exact_mut(PACKET);
        let mut slices: [[IoSliceMut<'_>; 1]; BATCH] =
            std::array::from_fn(|_| [IoSliceMut::new(chunks.next().unwrap_or_default())]);
        let flags = MsgFlags::MSG_DONTWAIT;
        let results = recvmmsg(socket, &mut self.headers, slices.iter_mut(), flags, None)?;
        for message in results {
            let local = if self.tells_local {
                let told = message.cmsgs().ok();
                told.and_then(|mut all| all.find_map(local_address))
            } else {
                None
            };
            self.received.push(Received {
                length: message.bytes.min(PACKET),
                is_cut: message.flags.contains(MsgFlags::MSG_TRUNC),
                from: message.address,
                local,
            });
        }
        Ok(())
    }

    /// Forgets what was read.
    pub fn clear(&mut self) {
        self.received.clear();
    }

    /// Whether as many came as fit: there may be more.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.received.len() == BATCH
    }

    /// The packets.
    pub fn packets(&self) -> impl Iterator<Item = (&Received<S>, &[u8])> {
        let all = self.received.iter().zip(self.bytes.chunks_exact(PACKET));
        all.map(|(received, chunk)| (received, chunk.get(..received.length).unwrap_or_default()))
    }
}

/// Sends `packets`, in order, each to the address in its place (none on a
/// connected socket). `lost` hears the place of each that the kernel would not
/// take even at the last of `attempts`.
pub fn send<S: Peer>(
    socket: RawFd,
    headers: &mut MultiHeaders<S>,
    packets: &[&[u8]],
    to: &[Option<S>],
    attempts: u32,
    mut lost: impl FnMut(usize),
) {
    let count = packets.len().min(to.len()).min(BATCH);
    let (mut done, mut failures) = (0, 0);
    while done < count {
        let mut rest = packets.iter().skip(done);
        let slices: [[IoSlice<'_>; 1]; BATCH] =
            std::array::from_fn(|_| [IoSlice::new(rest.next().copied().unwrap_or_default())]);
        let to = to.get(done..count).unwrap_or_default();
        let flags = MsgFlags::MSG_DONTWAIT;
        let sent = sendmmsg(socket, headers, slices.iter(), to, [], flags);
        match sent.map(Iterator::count) {
            Ok(sent) if sent > 0 => (done, failures) = (done + sent, 0),
            Err(Errno::EINTR) => {}
            Ok(_) | Err(_) if failures + 1 < attempts => failures += 1,
            Ok(_) | Err(_) => {
                lost(done);
                (done, failures) = (done + 1, 0);
            }
        }
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
