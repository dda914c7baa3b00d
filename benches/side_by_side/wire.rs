//! Just enough DNS to ask and to tell what was answered.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// No such name.
pub(crate) const NXDOMAIN: u8 = 3;

/// What a reply says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) rcode: u8,
    pub(crate) answers: u16,
}

impl Said {
    pub(crate) fn is_blocked(self) -> bool {
        self.rcode == NXDOMAIN
    }

    pub(crate) fn is_resolved(self) -> bool {
        self.rcode == 0 && self.answers > 0
    }
}

/// A question for an address, with EDNS as dnsperf's `-e` and every client of
/// today has it. `option` is put in the OPT record.
pub(crate) fn question(name: &str, option: Option<(u16, &[u8])>, packet: &mut Vec<u8>) {
    packet.clear();
    // Id, recursion desired, one question, one additional record.
    packet.extend([0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1]);
    for label in name.split('.').filter(|label| !label.is_empty()) {
        packet.push(label.len() as u8);
        packet.extend(label.bytes());
    }
    packet.extend([0, 0, 1, 0, 1]);
    packet.extend([0, 0, 41, 4, 208, 0, 0, 0, 0]);
    match option {
        Some((code, data)) => {
            packet.extend((data.len() as u16 + 4).to_be_bytes());
            packet.extend(code.to_be_bytes());
            packet.extend((data.len() as u16).to_be_bytes());
            packet.extend(data);
        }
        None => packet.extend([0, 0]),
    }
}

/// Reads the head of a reply.
pub(crate) fn read(reply: &[u8]) -> Option<Said> {
    let [_, _, flags, more, _, _, high, low, ..] = reply else {
        return None;
    };
    (flags & 0x80 != 0).then_some(Said {
        rcode: more & 15,
        answers: u16::from_be_bytes([*high, *low]),
    })
}

/// Asks until somebody answers as `right` wants or `patience` ends; gives how
/// long it took and what was said last.
pub(crate) fn ask_until(
    server: SocketAddr,
    name: &str,
    pause: Duration,
    patience: Duration,
    mut right: impl FnMut(Said) -> bool,
    mut going_on: impl FnMut() -> bool,
) -> io::Result<(Duration, Option<Said>)> {
    let began = Instant::now();
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(server)?;
    // A timeout of the socket would be rounded up to the kernel's tick.
    socket.set_nonblocking(true)?;
    let (mut packet, mut buffer, mut said, mut id) = (Vec::new(), [0; 4096], None, 0_u16);
    question(name, None, &mut packet);
    while began.elapsed() < patience && going_on() {
        id = id.wrapping_add(1);
        packet[..2].copy_from_slice(&id.to_be_bytes());
        let asked = Instant::now();
        // As long as nobody listens, the kernel says so here or below.
        let _ = socket.send(&packet);
        while asked.elapsed() < pause {
            if let Ok(length) = socket.recv(&mut buffer)
                && let Some(reply) = read(&buffer[..length])
            {
                said = Some(reply);
                if right(reply) {
                    return Ok((began.elapsed(), said));
                }
            }
            std::thread::sleep(Duration::from_micros(100));
        }
    }
    Ok((began.elapsed(), said))
}

/// Asks a few times; gives the first reply, or the last if none is `right`.
pub(crate) fn ask(server: SocketAddr, name: &str, right: fn(Said) -> bool) -> Option<Said> {
    let second = Duration::from_secs(1);
    let answer = ask_until(server, name, second, second * 3, right, || true);
    answer.ok().and_then(|(_, said)| said)
}
