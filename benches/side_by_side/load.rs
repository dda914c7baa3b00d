//! Questions at a fixed pace, and how long each answer took.
//!
//! dnsperf asks when it is answered, so a server that stalls is asked less and
//! its stall hardly shows. Here the next question goes out when it is due,
//! whatever became of those before (an open loop). Delays are taken from when a
//! question was sent to when its reply was read.

use std::io::{IoSlice, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmmsg};

use crate::floor::enlarge;
use crate::questions::Packets;

/// Many, so that the kernel spreads them over the server's workers and an id
/// comes again only after seconds.
const SOCKETS: usize = 16;
const BATCH: usize = 32;
const PACKET: usize = 2048;
/// How long late replies are waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// What came of a load.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) sent: u64,
    /// Nanoseconds to each reply, in rising order.
    pub(crate) delays: Vec<u32>,
}

/// One socket and when its questions went out, by id.
struct Lane {
    socket: UdpSocket,
    next: u16,
    /// Nanoseconds since the beginning; 0 for none.
    sent: Vec<u64>,
}

/// Asks `rate` questions a second for `time`.
pub(crate) fn paced(
    server: SocketAddr,
    packets: &mut Packets,
    rate: u32,
    time: Duration,
) -> anyhow::Result<Outcome> {
    // A sleep ends when it should, not up to 50 µs later.
    let _ = nix::sys::prctl::set_timerslack(1);
    let mut generator = Generator::new(server)?;
    let (began, mut lane) = (Instant::now(), 0);
    let all = (time.as_secs_f64() * f64::from(rate)) as u64;
    while generator.outcome.sent < all {
        let due = (began.elapsed().as_secs_f64() * f64::from(rate)) as u64;
        let due = due.min(all).saturating_sub(generator.outcome.sent);
        if due > 0 {
            lane = (lane + 1) % SOCKETS;
            generator.send(lane, packets, (due as usize).min(BATCH), began);
        }
        let next = Duration::from_secs_f64((generator.outcome.sent + 1) as f64 / f64::from(rate));
        generator.receive(began, next.saturating_sub(began.elapsed()))?;
    }
    let deadline = Instant::now() + PATIENCE;
    while generator.outcome.lost() > 0 && Instant::now() < deadline {
        generator.receive(began, Duration::from_millis(10))?;
    }
    generator.outcome.delays.sort_unstable();
    Ok(generator.outcome)
}

struct Generator {
    lanes: Vec<Lane>,
    headers: MultiHeaders<SockaddrIn>,
    buffers: Vec<u8>,
    outgoing: Vec<Vec<u8>>,
    outcome: Outcome,
}

impl Generator {
    fn new(server: SocketAddr) -> anyhow::Result<Self> {
        let mut lanes = Vec::new();
        for _ in 0..SOCKETS {
            let socket = UdpSocket::bind("127.0.0.1:0")?;
            socket.connect(server)?;
            socket.set_nonblocking(true)?;
            enlarge(&socket);
            lanes.push(Lane {
                socket,
                next: 0,
                sent: vec![0; 1 << 16],
            });
        }
        Ok(Self {
            lanes,
            headers: MultiHeaders::preallocate(BATCH, None),
            buffers: vec![0; BATCH * PACKET],
            outgoing: vec![Vec::new(); BATCH],
            outcome: Outcome::default(),
        })
    }

    fn send(&mut self, lane: usize, packets: &mut Packets, count: usize, began: Instant) {
        let lane = &mut self.lanes[lane];
        let now = began.elapsed().as_nanos() as u64;
        for packet in self.outgoing.iter_mut().take(count) {
            packet.clear();
            packet.extend(packets.next());
            packet[..2].copy_from_slice(&lane.next.to_be_bytes());
            lane.sent[usize::from(lane.next)] = now.max(1);
            lane.next = lane.next.wrapping_add(1);
        }
        let slices: Vec<[IoSlice<'_>; 1]> = self.outgoing[..count]
            .iter()
            .map(|packet| [IoSlice::new(packet)])
            .collect();
        // What the kernel does not take is lost, as it would be on a wire.
        let _ = sendmmsg(
            lane.socket.as_raw_fd(),
            &mut self.headers,
            slices.iter(),
            &[None; BATCH][..count],
            [],
            MsgFlags::MSG_DONTWAIT,
        );
        self.outcome.sent += count as u64;
    }

    /// Waits up to `time` for replies and takes what is there.
    fn receive(&mut self, began: Instant, time: Duration) -> anyhow::Result<()> {
        let ready: Vec<bool> = {
            let mut polled: Vec<PollFd<'_>> = self
                .lanes
                .iter()
                .map(|lane| PollFd::new(lane.socket.as_fd(), PollFlags::POLLIN))
                .collect();
            ppoll(&mut polled, Some(time.into()), None)?;
            polled.iter().map(|fd| fd.any().unwrap_or(false)).collect()
        };
        for (lane, _) in self.lanes.iter_mut().zip(ready).filter(|(_, ready)| *ready) {
            let mut chunks = self.buffers.chunks_exact_mut(PACKET);
            let mut slices: [[IoSliceMut<'_>; 1]; BATCH] =
                std::array::from_fn(|_| [IoSliceMut::new(chunks.next().unwrap_or_default())]);
            let Ok(results) = recvmmsg(
                lane.socket.as_raw_fd(),
                &mut self.headers,
                slices.iter_mut(),
                MsgFlags::MSG_DONTWAIT,
                None,
            ) else {
                continue;
            };
            let got = results.count();
            let now = began.elapsed().as_nanos() as u64;
            for packet in self.buffers.chunks_exact(PACKET).take(got) {
                let id = usize::from(u16::from_be_bytes([packet[0], packet[1]]));
                let sent = std::mem::take(&mut lane.sent[id]);
                if sent > 0 {
                    let delay = now.saturating_sub(sent);
                    self.outcome
                        .delays
                        .push(u32::try_from(delay).unwrap_or(u32::MAX));
                }
            }
        }
        Ok(())
    }
}

impl Outcome {
    pub(crate) fn lost(&self) -> u64 {
        self.sent - self.delays.len() as u64
    }

    /// The delay that this share of the replies did not exceed, in µs.
    pub(crate) fn percentile(&self, share: f64) -> f64 {
        let last = self.delays.len().saturating_sub(1);
        let at = (last as f64 * share).round() as usize;
        self.delays
            .get(at)
            .map_or(f64::NAN, |delay| f64::from(*delay) / 1000.0)
    }
}
