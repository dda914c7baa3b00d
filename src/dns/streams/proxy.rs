//! The PROXY protocol, version 2: how a load balancer says whom it speaks for.
//!
//! Believed from listed routers only; to all others it is never looked for, and
//! so is garbage to whatever reads the stream. Its signature is no beginning of
//! a DNS message (the question count in it is 2,641) nor of a TLS handshake.
//! Specification: haproxy's `proxy-protocol.txt`, section 2.2.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// What a header begins with.
pub const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family and protocol, length.
pub const HEAD: usize = 16;
/// Most octets behind the head: addresses, and whatever else a proxy adds.
const MOST: usize = 2048;
/// How often a signature of which only the beginning is there is looked at
/// again. Proxies send it in one piece.
const AGAIN: Duration = Duration::from_millis(5);

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header {
    /// The proxy asks for itself, as to see whether we are there.
    Local,
    /// It speaks for this address.
    For(IpAddr),
    /// It speaks for somebody and does not tell whom.
    ForSomebody,
}

/// It begins like a header and is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a PROXY header of version 2")]
pub struct Garbage;

/// How many octets follow the head.
pub fn length(head: &[u8; HEAD]) -> Result<usize, Garbage> {
    let [.., version, _, l1, l2] = *head;
    let length = usize::from(u16::from_be_bytes([l1, l2]));
    let is_known = matches!(version, 0x20 | 0x21) && head.starts_with(&SIGNATURE);
    (is_known && length <= MOST)
        .then_some(length)
        .ok_or(Garbage)
}

/// What a head and what follows it say.
pub fn read(head: &[u8; HEAD], rest: &[u8]) -> Result<Header, Garbage> {
    if length(head)? != rest.len() {
        return Err(Garbage);
    }
    let [.., command, family, _, _] = *head;
    if command == 0x20 {
        return Ok(Header::Local);
    }
    // Source first, then where it asked, then ports and more.
    match family >> 4 {
        1 => {
            let (source, _) = rest.split_first_chunk::<4>().ok_or(Garbage)?;
            if rest.len() < 12 {
                return Err(Garbage);
            }
            Ok(Header::For(Ipv4Addr::from(*source).into()))
        }
        2 => {
            let (source, _) = rest.split_first_chunk::<16>().ok_or(Garbage)?;
            if rest.len() < 36 {
                return Err(Garbage);
            }
            Ok(Header::For(
                IpAddr::from(Ipv6Addr::from(*source)).to_canonical(),
            ))
        }
        // Unspecified, and a proxy's own Unix sockets.
        0 | 3 => Ok(Header::ForSomebody),
        _ => Err(Garbage),
    }
}

/// Takes the header off a stream, if it begins with one.
pub async fn take(stream: &mut TcpStream) -> io::Result<Option<Header>> {
    let mut start = [0; SIGNATURE.len()];
    loop {
        let there = stream.peek(&mut start).await?;
        let begun = start.get(..there).unwrap_or_default();
        if there == 0 || !SIGNATURE.starts_with(begun) {
            return Ok(None);
        }
        if there == SIGNATURE.len() {
            break;
        }
        tokio::time::sleep(AGAIN).await;
    }
    let garbage = |garbage| io::Error::new(io::ErrorKind::InvalidData, garbage);
    let mut head = [0; HEAD];
    stream.read_exact(&mut head).await?;
    let mut rest = vec![0; length(&head).map_err(garbage)?];
    stream.read_exact(&mut rest).await?;
    read(&head, &rest).map(Some).map_err(garbage)
}
