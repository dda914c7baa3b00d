//! Upstreams that are dead, slow, broken or back again.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::eventually;
use super::school::{Client, Plan, School};
use super::upstream::{ADDRESS, Gate, Say, Upstream, plain, say};
use super::wire::{self, Reply, Rr};

/// A loopback port on which nobody listens.
fn closed_port() -> SocketAddr {
    UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

fn timed(school: &School, name: &str) -> (Reply, Duration) {
    let began = Instant::now();
    (school.ask(name), began.elapsed())
}

#[test]
fn a_dead_first_server_is_hardly_noticed() {
    let dead = Upstream::new(|_| Say::Nothing);
    let live = Upstream::plain();
    let school = Plan::new(&[dead.address, closed_port(), live.address]).start();
    let mut all = Vec::new();
    for number in 0..30 {
        let (reply, took) = timed(&school, &format!("n{number}.example"));
        assert_eq!(reply.addresses(), [ADDRESS]);
        assert!(took < Duration::from_millis(1500), "{took:?}");
        all.push(took);
    }
    all.sort_unstable();
    assert!(all[15] < Duration::from_millis(150), "median {:?}", all[15]);
}

#[test]
fn a_first_server_that_dies_is_soon_asked_last() {
    let silent = Arc::new(AtomicBool::new(false));
    let hush = Arc::clone(&silent);
    let first = Upstream::new(move |seen| {
        if hush.load(Ordering::SeqCst) {
            return Say::Nothing;
        }
        say(plain(seen))
    });
    let second = Upstream::plain();
    let school = Plan::new(&[first.address, second.address]).start();
    let client = Client::new("127.0.0.1");
    let ask = |name: String| {
        let packet = wire::question(1, &name, wire::A);
        let reply = Reply::read(&client.exchange(school.dns, &packet).expect("a reply"));
        assert_eq!(reply.addresses(), [ADDRESS]);
    };
    (0..10).for_each(|n| ask(format!("before-{n}.example")));
    silent.store(true, Ordering::SeqCst);
    (0..10).for_each(|n| ask(format!("meanwhile-{n}.example")));
    let asked = first.seen().len();
    (0..10).for_each(|n| ask(format!("after-{n}.example")));
    let more = first.seen().len() - asked;
    assert!(
        more <= 2,
        "a dead server was asked first for {more} of 10 names"
    );
}

#[test]
fn silence_is_told_within_two_seconds_and_blocked_answers_do_not_wait() {
    let dead = Upstream::new(|_| Say::Nothing);
    let school = Plan::new(&[dead.address]).start();
    let client = Client::new("127.0.0.1");
    let began = Instant::now();
    for id in 0..50 {
        let packet = wire::question(id, &format!("n{id}.example"), wire::A);
        client.0.send_to(&packet, school.dns).unwrap();
    }
    let mut slowest = Duration::ZERO;
    for _ in 0..50 {
        let (reply, took) = timed(&school, "bets.example");
        assert_eq!(reply.errors, [15]);
        slowest = slowest.max(took);
    }
    assert!(slowest < Duration::from_millis(500), "{slowest:?}");
    for _ in 0..50 {
        let reply = Reply::read(&client.receive().expect("a reply, though a bad one"));
        assert_eq!((reply.rcode, reply.errors), (2, vec![22]));
    }
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
    // Remembered: the next who asks is told at once, and nobody is bothered.
    let asked = dead.count("n7.example");
    let packet = wire::question(99, "n7.example", wire::A);
    let began = Instant::now();
    let reply = Reply::read(&client.exchange(school.dns, &packet).unwrap());
    assert_eq!((reply.rcode, reply.errors), (2, vec![13]));
    assert!(began.elapsed() < Duration::from_millis(500));
    assert_eq!(dead.count("n7.example"), asked);
}

#[test]
fn a_closed_port_is_told_at_once_and_a_server_that_comes_back_is_used() {
    let address = closed_port();
    let school = Plan::new(&[address]).start();
    let client = Client::new("127.0.0.1");
    let began = Instant::now();
    // Many at once share sockets, and one's bad news is another's.
    for id in 0..60 {
        let packet = wire::question(id, &format!("n{id}.example"), wire::A);
        client.0.send_to(&packet, school.dns).unwrap();
    }
    for _ in 0..60 {
        let reply = Reply::read(&client.receive().unwrap());
        assert_eq!((reply.rcode, reply.errors), (2, vec![23]));
    }
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
    let upstream = Upstream::at(address, |seen| say(plain(seen)));
    let reply = school.ask("fresh.example");
    assert_eq!((reply.rcode, reply.addresses()), (0, vec![ADDRESS]));
    // What had failed is asked again when the failure is forgotten.
    let look = || (school.ask("n1.example").addresses() == [ADDRESS]).then_some(());
    eventually("the failure to be forgotten", look);
    drop(upstream);
}

#[test]
fn a_server_that_only_says_servfail_or_refused_is_not_the_last_word() {
    let bad = Upstream::new(|seen| {
        let rcode = if seen.name.starts_with("refused") {
            5
        } else {
            2
        };
        say(wire::reply(&seen.packet, 0, rcode, &[], &[]))
    });
    let good = Upstream::plain();
    let school = Plan::new(&[bad.address, good.address]).start();
    for name in ["refused.example", "broken.example", "another.example"] {
        assert_eq!(school.ask(name).addresses(), [ADDRESS], "{name}");
    }
    drop(good);
    let reply = school.ask("alone.example");
    assert_eq!(reply.rcode, 2);
    assert_eq!(reply.errors.len(), 1, "{reply:?}");
}

#[test]
fn yesterdays_answer_serves_under_todays_policy() {
    let silent = Arc::new(AtomicBool::new(false));
    let hush = Arc::clone(&silent);
    let upstream = Upstream::new(move |seen| {
        if hush.load(Ordering::SeqCst) {
            return Say::Nothing;
        }
        let record = Rr::a(&wire::asked_name(&seen.packet), 1, ADDRESS);
        say(wire::reply(&seen.packet, 0, 0, &[record], &[]))
    });
    let school = Plan::new(&[upstream.address]).start();
    let client = Client::new("127.0.0.1");
    let ask = |name: &str| {
        let packet = wire::question(11, name, wire::A);
        Reply::read(&client.exchange(school.dns, &packet).expect("a reply"))
    };
    for name in ["news.example", "soon.example"] {
        assert_eq!(ask(name).addresses(), [ADDRESS]);
    }
    silent.store(true, Ordering::SeqCst);
    let stale = eventually("the answer to run out", || {
        let reply = ask("news.example");
        (!reply.errors.is_empty()).then_some(reply)
    });
    assert_eq!(
        (stale.rcode, stale.errors.clone(), stale.addresses()),
        (0, vec![3], vec![ADDRESS])
    );
    assert!(stale.answer[0].1 <= 30);
    // And the next at once.
    let began = Instant::now();
    assert_eq!(ask("news.example").errors, [3]);
    assert!(began.elapsed() < Duration::from_millis(500));
    school.folder.put(
        "gambling.txt",
        "bets.example\ncasino.example\nsoon.example\n",
    );
    school.folder.refresh();
    let reply = eventually("the new list", || {
        let reply = ask("soon.example");
        (reply.errors == [15]).then_some(reply)
    });
    assert!(reply.addresses().is_empty());
    assert_eq!(ask("news.example").errors, [3]);
}

#[test]
fn no_more_wait_than_may() {
    let gate = Arc::new(Gate::default());
    let held = Arc::clone(&gate);
    let upstream = Upstream::new(move |seen| Say::When(Arc::clone(&held), plain(seen)));
    let mut plan = Plan::new(&[upstream.address]);
    plan.upstream = "max_outstanding = 100".to_owned();
    let school = plan.start();
    // One client has one worker, and each of the two has half.
    let client = Client::new("127.0.0.1");
    for id in 0..80 {
        let packet = wire::question(id, &format!("n{id}.example"), wire::A);
        client.0.send_to(&packet, school.dns).unwrap();
    }
    for _ in 0..30 {
        let reply = Reply::read(&client.receive().expect("those over the limit are told"));
        assert_eq!((reply.rcode, reply.errors), (2, vec![0]));
    }
    assert_eq!(school.ask("bets.example").errors, [15]);
    gate.open();
    for _ in 0..50 {
        let reply = Reply::read(&client.receive().expect("those within it are answered"));
        assert_eq!(reply.addresses(), [ADDRESS]);
    }
    // The failure was of the moment: it is not held against the name.
    let reply = school.ask("n79.example");
    assert_eq!(reply.addresses(), [ADDRESS]);
}

#[test]
fn a_server_over_tcp_is_no_slower_to_be_given_up() {
    let live = Upstream::plain();
    let silent = Upstream::new(|_| Say::Nothing);
    let mut plan = Plan::new(&[closed_port()]);
    let zone = |name: &str, server: SocketAddr| {
        format!("{{ name = \"{name}.example\", servers = [\"tcp://{server}\"] }}")
    };
    let zones = [
        zone("live", live.address),
        zone("silent", silent.address),
        zone("closed", closed_port()),
    ];
    plan.upstream = format!("zones = [{}]", zones.join(", "));
    let school = plan.start();
    assert_eq!(school.ask("www.live.example").addresses(), [ADDRESS]);
    assert!(live.seen().iter().all(|seen| seen.tcp));
    let (reply, took) = timed(&school, "www.closed.example");
    assert_eq!((reply.rcode, reply.errors), (2, vec![23]));
    assert!(took < Duration::from_millis(900), "{took:?}");
    let (reply, took) = timed(&school, "www.silent.example");
    assert_eq!((reply.rcode, reply.errors), (2, vec![22]));
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[test]
fn many_truncated_answers_at_once_are_all_fetched() {
    let upstream = Upstream::new(|seen| {
        if seen.tcp {
            return say(plain(seen));
        }
        say(wire::reply(&seen.packet, 2, 0, &[], &[]))
    });
    let school = Plan::new(&[upstream.address]).start();
    let client = Client::new("127.0.0.1");
    for id in 0..300 {
        let packet = wire::question(id, &format!("n{id}.example"), wire::A);
        client.0.send_to(&packet, school.dns).unwrap();
    }
    let mut answered = 0;
    for _ in 0..300 {
        let reply = Reply::read(&client.receive().expect("a reply"));
        answered += usize::from(reply.addresses() == [ADDRESS]);
    }
    assert_eq!(answered, 300);
}
