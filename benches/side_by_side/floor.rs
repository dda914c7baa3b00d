//! The floor: what the kernel takes for one question and one reply.
//!
//! A loop that reads questions by `recvmmsg`, sets the bit that makes each a
//! reply and sends it back by `sendmmsg`, without looking. No server that uses
//! sockets can be cheaper.

use std::io::{IoSlice, IoSliceMut};
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

use nix::sys::socket::sockopt::{RcvBuf, RcvBufForce};
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmmsg, setsockopt};

const BATCH: usize = 32;
const PACKET: usize = 512;
/// The bit of the third byte that says "this is a reply" (RFC 1035, 4.1.1).
const REPLY: u8 = 0x80;

/// Answers for ever.
pub(crate) fn answer(port: u16) -> anyhow::Result<()> {
    let socket = UdpSocket::bind(("127.0.0.1", port))?;
    enlarge(&socket);
    let mut receive = MultiHeaders::<SockaddrIn>::preallocate(BATCH, None);
    let mut send = MultiHeaders::<SockaddrIn>::preallocate(BATCH, None);
    let mut packets = vec![0; BATCH * PACKET];
    let mut got: Vec<(usize, Option<SockaddrIn>)> = Vec::with_capacity(BATCH);
    loop {
        got.clear();
        let mut chunks = packets.chunks_exact_mut(PACKET);
        let mut slices: [[IoSliceMut<'_>; 1]; BATCH] =
            std::array::from_fn(|_| [IoSliceMut::new(chunks.next().unwrap_or_default())]);
        // Waits for the first and takes what else is there.
        let flags = MsgFlags::MSG_WAITFORONE;
        let results = recvmmsg(
            socket.as_raw_fd(),
            &mut receive,
            slices.iter_mut(),
            flags,
            None,
        )?;
        got.extend(results.map(|message| (message.bytes.min(PACKET), message.address)));
        for packet in packets.chunks_exact_mut(PACKET).take(got.len()) {
            packet[2] |= REPLY;
        }
        let slices: [[IoSlice<'_>; 1]; BATCH] = std::array::from_fn(|at| {
            let length = got.get(at).map_or(0, |got| got.0);
            [IoSlice::new(&packets[at * PACKET..at * PACKET + length])]
        });
        let mut addresses = [None; BATCH];
        for (to, (_, from)) in addresses.iter_mut().zip(&got) {
            *to = *from;
        }
        let _ = sendmmsg(
            socket.as_raw_fd(),
            &mut send,
            slices[..got.len()].iter(),
            &addresses[..got.len()],
            [],
            MsgFlags::empty(),
        );
    }
}

/// Lets the kernel queue more for a socket: beyond its limit if we may.
pub(crate) fn enlarge(socket: &UdpSocket) {
    let bytes = 4 << 20;
    if setsockopt(socket, RcvBufForce, &bytes).is_err() {
        let _ = setsockopt(socket, RcvBuf, &bytes);
    }
}
