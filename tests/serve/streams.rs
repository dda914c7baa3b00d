//! Questions over TCP.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::eventually;
use super::school::Plan;
use super::upstream::{ADDRESS, Gate, Say, Upstream, plain, say};
use super::wire::{self, Reply, Rr};

/// A connection to `server`.
pub(crate) fn connect(server: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(server).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(8)))
        .unwrap();
    stream
}

/// A message with its length before it.
pub(crate) fn framed(packet: &[u8]) -> Vec<u8> {
    let length = u16::try_from(packet.len()).unwrap().to_be_bytes();
    [&length[..], packet].concat()
}

/// The next reply, if one comes.
pub(crate) fn next(stream: &mut TcpStream) -> Option<Reply> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    let mut packet = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut packet).ok()?;
    Some(Reply::read(&packet))
}

/// Asks everything on one connection.
pub(crate) fn ask(server: SocketAddr, packets: &[Vec<u8>]) -> Vec<Reply> {
    let mut stream = connect(server);
    for packet in packets {
        stream.write_all(&framed(packet)).unwrap();
    }
    packets
        .iter()
        .map(|_| next(&mut stream).expect("a reply"))
        .collect()
}

/// Whether the other side has closed, waiting for it.
fn is_closed(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0; 64]) {
        Ok(length) => length == 0,
        Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
    }
}

#[test]
fn a_fast_answer_does_not_wait_behind_a_slow_one() {
    let gate = Arc::new(Gate::default());
    let held = Arc::clone(&gate);
    let upstream = Upstream::new(move |seen| match seen.name.as_str() {
        "slow.example" => Say::When(Arc::clone(&held), plain(seen)),
        _ => say(plain(seen)),
    });
    let school = Plan::new(&[upstream.address]).start();
    let mut stream = connect(school.dns);
    let names = ["slow.example", "fast.example", "bets.example"];
    let packets = names.iter().zip(1..);
    let packets = packets.flat_map(|(name, id)| framed(&wire::question(id, name, wire::A)));
    stream.write_all(&packets.collect::<Vec<u8>>()).unwrap();
    let mut early = [next(&mut stream).unwrap().id, next(&mut stream).unwrap().id];
    early.sort_unstable();
    assert_eq!(early, [2, 3]);
    gate.open();
    assert_eq!(next(&mut stream).unwrap().id, 1);
}

#[test]
fn a_thousand_questions_go_down_one_connection_byte_by_byte_or_at_once() {
    let upstream = Upstream::plain();
    let school = Plan::new(&[upstream.address]).start();
    let name = |id: u16| format!("n{}.example", id % 50);
    let packets: Vec<_> = (0..1000)
        .map(|id| wire::question(id, &name(id), wire::A))
        .collect();
    let mut stream = connect(school.dns);
    let mut writer = stream.try_clone().unwrap();
    let all: Vec<u8> = packets.iter().flat_map(|packet| framed(packet)).collect();
    let writing = std::thread::spawn(move || writer.write_all(&all).unwrap());
    let mut ids: Vec<u16> = (0..1000).map(|_| next(&mut stream).unwrap().id).collect();
    writing.join().unwrap();
    ids.sort_unstable();
    assert!(ids.into_iter().eq(0..1000));
    stream.set_nodelay(true).unwrap();
    for byte in framed(&wire::question(5, "bets.example", wire::A)) {
        stream.write_all(&[byte]).unwrap();
    }
    assert_eq!(next(&mut stream).unwrap().errors, [15]);
}

#[test]
fn a_long_answer_comes_whole() {
    let upstream = Upstream::new(|seen| {
        if !seen.tcp {
            return say(wire::reply(&seen.packet, 2, 0, &[], &[]));
        }
        let owner = wire::asked_name(&seen.packet);
        let text = |n: u8| [&[250][..], &[n; 250]].concat();
        let record = |n| Rr {
            owner: owner.clone(),
            rtype: wire::TXT,
            ttl: 60,
            data: text(n),
        };
        let records: Vec<_> = (0..220).map(record).collect();
        say(wire::reply(&seen.packet, 0, 0, &records, &[]))
    });
    let school = Plan::new(&[upstream.address]).start();
    for _ in 0..2 {
        let replies = ask(school.dns, &[wire::question(1, "long.example", wire::TXT)]);
        assert_eq!(replies[0].answer.len(), 220);
    }
}

#[test]
fn an_idle_a_dribbling_and_a_silent_connection_are_closed() {
    let upstream = Upstream::plain();
    let mut plan = Plan::new(&[upstream.address]);
    plan.tables = "[limits]\ntcp_idle = 1\n".to_owned();
    let school = plan.start();
    let packet = framed(&wire::question(1, "bets.example", wire::A));
    let beginnings = [&[][..], &[0], &[0, 40], &packet[..20], &packet];
    let mut streams: Vec<_> = beginnings.iter().map(|_| connect(school.dns)).collect();
    for (stream, bytes) in streams.iter_mut().zip(beginnings) {
        stream.write_all(bytes).unwrap();
    }
    assert_eq!(next(&mut streams[4]).unwrap().errors, [15]);
    let began = Instant::now();
    for (index, stream) in streams.iter_mut().enumerate() {
        assert!(is_closed(stream), "connection {index} stays open");
    }
    assert!(
        began.elapsed() < Duration::from_secs(6),
        "{:?}",
        began.elapsed()
    );
}

#[test]
fn a_question_cut_by_the_idle_time_is_read_whole_while_another_is_awaited() {
    let gate = Arc::new(Gate::default());
    let held = Arc::clone(&gate);
    let upstream = Upstream::new(move |seen| Say::When(Arc::clone(&held), plain(seen)));
    let mut plan = Plan::new(&[upstream.address]);
    plan.tables = "[limits]\ntcp_idle = 1\n".to_owned();
    let school = plan.start();
    let mut stream = connect(school.dns);
    stream.set_nodelay(true).unwrap();
    let second = framed(&wire::question(2, "bets.example", wire::A));
    stream
        .write_all(&framed(&wire::question(1, "slow.example", wire::A)))
        .unwrap();
    stream.write_all(&second[..1]).unwrap();
    // Longer than the idle time and shorter than an upstream is waited for.
    std::thread::sleep(Duration::from_millis(1300));
    stream.write_all(&second[1..]).unwrap();
    let reply = next(&mut stream).expect("the second question was lost");
    assert_eq!((reply.id, reply.errors), (2, vec![15]));
    gate.open();
    assert_eq!(next(&mut stream).unwrap().id, 1);
}

#[test]
fn one_that_has_said_all_still_hears_the_answers() {
    let upstream = Upstream::new(|_| Say::Nothing);
    let mut plan = Plan::new(&[upstream.address]);
    plan.tables = "[limits]\ntcp_idle = 1\n".to_owned();
    let school = plan.start();
    let mut stream = connect(school.dns);
    for (id, name) in [(1, "slow.example"), (2, "bets.example")] {
        stream
            .write_all(&framed(&wire::question(id, name, wire::A)))
            .unwrap();
    }
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(next(&mut stream).unwrap().id, 2);
    let slow = next(&mut stream).expect("the slow one's answer, after the idle time");
    assert_eq!((slow.id, slow.errors), (1, vec![22]));
    assert!(is_closed(&mut stream));
}

#[test]
fn nonsense_over_tcp_harms_only_its_own_connection() {
    let upstream = Upstream::plain();
    let school = Plan::new(&[upstream.address]).start();
    let mut header_only = wire::question(7, "x.example", wire::A)[..12].to_vec();
    header_only[11] = 0;
    let nonsense: [Vec<u8>; 7] = [
        vec![0, 0],
        vec![0, 0, 0, 0, 0, 0],
        vec![0, 3, 1, 2, 3],
        b"GET / HTTP/1.1\r\nHost: school.example\r\n\r\n".to_vec(),
        vec![0xff; 65_537],
        framed(&header_only),
        (0..40_000_u32)
            .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect(),
    ];
    for bytes in nonsense {
        let mut stream = connect(school.dns);
        let _ = stream.write_all(&bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        assert_eq!(school.ask("bets.example").errors, [15]);
    }
    // After an empty message the next one is still read.
    let mut stream = connect(school.dns);
    let good = framed(&wire::question(8, "bets.example", wire::A));
    stream.write_all(&[&[0, 0][..], &good].concat()).unwrap();
    assert_eq!(next(&mut stream).unwrap().id, 8);
}

/// A connection from `from` over which a question was answered.
fn open(server: SocketAddr, from: &str) -> Option<TcpStream> {
    let packet = framed(&wire::question(1, "bets.example", wire::A));
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket
        .bind(&SocketAddr::new(from.parse().unwrap(), 0).into())
        .unwrap();
    socket.connect(&server.into()).unwrap();
    let mut stream = TcpStream::from(socket);
    stream
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    let _ = stream.write_all(&packet);
    let is_answered = next(&mut stream).is_some();
    is_answered.then_some(stream)
}

/// Whoever is elsewhere may be anybody, from any number of addresses.
#[test]
fn those_who_are_elsewhere_leave_the_school_half_of_the_connections() {
    let upstream = Upstream::plain();
    let mut plan = Plan::new(&[upstream.address]);
    plan.tables =
        "[clients]\nallow = [\"127.0.0.1/32\"]\n[limits]\ntcp_connections = 10\n".to_owned();
    let school = plan.start();
    let strangers: Vec<_> = (4..12)
        .filter_map(|n| open(school.dns, &format!("127.0.0.{n}")))
        .collect();
    assert_eq!(strangers.len(), 5);
    let here: Vec<_> = (0..6)
        .filter_map(|_| open(school.dns, "127.0.0.1"))
        .collect();
    assert_eq!(here.len(), 5);
    drop((strangers, here));
    eventually("a stranger's place to be free again", || {
        open(school.dns, "127.0.0.4")
    });
}

#[test]
fn nobody_holds_more_connections_than_allowed() {
    let upstream = Upstream::plain();
    let mut plan = Plan::new(&[upstream.address]);
    plan.tables = "[limits]\ntcp_connections = 10\ntcp_connections_per_client = 4\n".to_owned();
    let school = plan.start();
    let open = |from: &str| open(school.dns, from);
    let held: Vec<_> = (0..6).filter_map(|_| open("127.0.0.1")).collect();
    assert_eq!(held.len(), 4);
    let more: Vec<_> = (4..8)
        .flat_map(|n| [n; 3])
        .filter_map(|n| open(&format!("127.0.0.{n}")))
        .collect();
    assert_eq!(more.len(), 6, "ten in all");
    assert_eq!(school.ask("bets.example").errors, [15], "UDP is as it was");
    drop(held);
    eventually("a place to be free again", || open("127.0.0.1"));
}

#[test]
fn a_client_that_never_reads_blocks_only_itself() {
    let upstream = Upstream::plain();
    let mut plan = Plan::new(&[upstream.address]);
    plan.tables = "[limits]\ntcp_idle = 1\n".to_owned();
    let school = plan.start();
    let mut deaf = connect(school.dns);
    deaf.set_write_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    let packet = framed(&wire::question(1, "allowed.example", wire::A));
    let many: Vec<u8> = packet.repeat(2000);
    // It asks until neither its own buffers nor the server's take any more.
    let mut asked = 0;
    while asked < 400 && deaf.write_all(&many).is_ok() {
        asked += 1;
    }
    assert!(
        asked < 400,
        "the server took 800,000 questions of one that does not read"
    );
    for _ in 0..20 {
        let replies = ask(school.dns, &[wire::question(2, "allowed.example", wire::A)]);
        assert_eq!(replies[0].addresses(), [ADDRESS]);
        assert_eq!(school.ask("bets.example").errors, [15]);
    }
    let mut rest = Vec::new();
    let _ = deaf.read_to_end(&mut rest);
}
