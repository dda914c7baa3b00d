//! How `serve` tells another process that it fares, and what is told when it
//! does not.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use schoolgate::status::{Resolver, Status, Suspicion, socket};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::serve::eventually;
use crate::serve::school::{Client, Plan, School};
use crate::serve::upstream::{Say, Upstream};
use crate::serve::wire;

impl School {
    pub(crate) fn status(&self) -> Status {
        match Status::read(&self.folder.state()) {
            Resolver::Answers(status) => *status,
            other => panic!("{other:?}; {}", self.stderr()),
        }
    }
}

/// A school whose upstream is a port where nobody listens.
fn alone() -> Plan {
    Plan::new(&[([127, 0, 0, 1], 9).into()])
}

#[test]
fn it_tells_what_is_in_force_and_what_it_did() {
    let upstream = Upstream::plain();
    let before = Timestamp::now();
    let school = Plan::new(&[upstream.address]).start();
    school.ask("bets.example");
    school.ask("www.example");
    school.ask("www.example");
    let status = eventually("the counters and the log", || {
        let status = school.status();
        (status.totals.queries == 3 && status.log.written >= 1).then_some(status)
    });
    assert!(before - Duration::from_secs(1) <= status.started && status.started <= status.time);
    assert_eq!(status.version, env!("CARGO_PKG_VERSION"));
    assert!(status.clock_is_trusted);
    let policy = status.policy.unwrap();
    assert_eq!((policy.number, policy.names), (1, 3));
    assert!(policy.activated.is_some() && policy.lists.starts_with("lists-"));
    assert_eq!(status.totals.blocked, 1);
    // Two workers, a cache each.
    assert_eq!(status.cache.hits + status.cache.misses, 2);
    assert_eq!(status.upstreams.len(), 1);
    let first = &status.upstreams[0];
    assert!(first.up && first.answers >= 1 && first.last_answer.is_some());
    assert_eq!(first.server, format!("udp://{}", upstream.address));
    assert!(status.disk.unwrap().free > 0);
    assert_eq!(status.retention.keep_days, 183);
    assert!(status.rates.queries > 0.0, "{:?}", status.rates);
    assert_eq!(status.activations.trouble, None);
}

#[test]
fn the_socket_is_the_accounts_own() {
    let school = alone().start();
    let socket = socket(&school.folder.state());
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&socket), 0o600);
    assert_eq!(mode(socket.parent().unwrap()), 0o700);
}

#[test]
fn nobody_there_is_an_answer_too() {
    let school = alone().start();
    let killed = school.kill();
    let state = killed.state();
    assert!(socket(&state).exists(), "a killed process leaves it behind");
    assert_eq!(Status::read(&state), Resolver::NotRunning);
    // The next one takes its place, and clears up when it is told to stop.
    let school = School::start(killed);
    school.status();
    let stopped = school.stop();
    assert!(!socket(&state).exists());
    assert_eq!(Status::read(&state), Resolver::NotRunning);
    drop(stopped);
}

#[test]
fn a_second_one_on_the_same_state_is_refused_plainly() {
    let school = alone().start();
    let output = school.folder.run(&["serve"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("another `schoolgate serve` already runs"),
        "{said}"
    );
    school.status();
}

#[test]
fn whoever_hangs_or_talks_nonsense_costs_half_a_second_at_most() {
    let folder = tempfile::tempdir().unwrap();
    let socket = socket(folder.path());
    std::fs::create_dir(socket.parent().unwrap()).unwrap();
    let listener = UnixListener::bind(&socket).unwrap();
    let silent = |began: Instant| {
        let Resolver::Silent(why) = Status::read(folder.path()) else {
            panic!("it answered");
        };
        assert!(began.elapsed() < Duration::from_secs(2), "{why}");
        why
    };
    // It takes connections and says nothing, until there is no room for more.
    assert!(silent(Instant::now()).contains("half a second"));
    let waiting: Vec<Socket> = std::iter::from_fn(|| {
        let waits = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        waits.set_nonblocking(true).unwrap();
        let address = SockAddr::unix(&socket).unwrap();
        waits.connect(&address).is_ok().then_some(waits)
    })
    .take(10_000)
    .collect();
    silent(Instant::now());
    drop(waiting);
    for nonsense in [
        &b""[..],
        b"HTTP/1.1 500 Broken\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\n\r\n{\"version\": 7}",
        b"\xff\xfe\r\n\r\n",
    ] {
        let listener = listener.try_clone().unwrap();
        let talk = std::thread::spawn(move || {
            let mut request = [0; 512];
            loop {
                let (mut stream, _) = listener.accept().unwrap();
                // Those that waited above have gone, without a word or with one.
                let asked = matches!(stream.read(&mut request), Ok(1..));
                if asked && stream.write_all(nonsense).is_ok() {
                    return;
                }
            }
        });
        // On a busy machine the first of them may have gone before it was heard.
        while !talk.is_finished() {
            silent(Instant::now());
        }
        talk.join().unwrap();
    }
}

#[test]
fn a_broken_upstream_shows_and_so_does_its_recovery() {
    let works = Upstream::plain();
    let address = works.address;
    let school = Plan::new(&[address]).start();
    school.ask("one.example");
    assert!(school.status().upstreams[0].up);
    drop(works);
    let silent = Upstream::at(address, |_| Say::Nothing);
    for n in 0..4 {
        school.ask(&format!("n{n}.example"));
    }
    let broken = school.status().upstreams.remove(0);
    assert!(!broken.up && broken.failures >= 3, "{broken:?}");
    assert_eq!(broken.last_error.as_deref(), Some("silent"));
    assert!(broken.last_failure > broken.last_answer);
    drop(silent);
    let _works = Upstream::at(address, |seen| {
        crate::serve::upstream::say(crate::serve::upstream::plain(seen))
    });
    eventually("its recovery", || {
        school.ask(&format!(
            "again{}.example",
            Timestamp::now().as_nanosecond()
        ));
        school.status().upstreams[0].up.then_some(())
    });
}

#[test]
fn a_refused_policy_is_told_with_its_reason() {
    let school = alone().start();
    let good = std::fs::read_to_string(school.folder.path().join("policy.toml")).unwrap();
    school
        .folder
        .put("policy.toml", &good.replace("games", "gamng"));
    let why = school.folder.propose().unwrap_err().to_string();
    assert!(why.contains("\"gamng\""), "{why}");
    // Nobody but whoever proposed it has to hear of that.
    let status = school.status();
    assert_eq!(status.activations.trouble, None);
    assert_eq!(status.policy.unwrap().number, 1);
    let pointer = school.folder.state().join("lists").join("current");
    std::fs::write(pointer, "lists-0000000000000000\n").unwrap();
    let status = eventually("lists that cannot be taken up", || {
        let status = school.status();
        (status.activations.failures > 0).then_some(status)
    });
    let trouble = status.activations.trouble.unwrap();
    assert!(trouble.contains("lists-0000000000000000"), "{trouble}");
    assert_eq!(status.policy.unwrap().number, 1);
}

#[test]
fn a_stranger_with_identity_options_and_an_unreadable_lease_file_show() {
    let mut plan = alone();
    plan.tables = "[clients]\nleases = [{ file = \"leases\", format = \"dnsmasq\" }]\n".to_owned();
    plan.files
        .push(("leases".to_owned(), "nonsense\n".to_owned()));
    let school = plan.start();
    let mac: &[u8] = &[2, 0, 0, 0, 0, 7];
    let packet = wire::question_with(7, "bets.example", wire::A, &[(65001, mac)]);
    let client = Client::new("127.0.0.1");
    let suspect = eventually("the suspicion", || {
        client.exchange(school.dns, &packet)?;
        school.status().suspects.pop()
    });
    assert_eq!(suspect.suspicion, Suspicion::ClaimsToBeSomebody);
    assert!(suspect.address.is_loopback() && suspect.count > 0);
    let leases = school.status().leases;
    assert_eq!((leases.len(), leases[0].bad), (1, 1));
    std::fs::remove_file(school.folder.path().join("leases")).unwrap();
    eventually("the trouble", || school.status().leases[0].trouble.clone());
}

#[test]
fn no_name_that_was_asked_for_is_told() {
    let upstream = Upstream::plain();
    let school = Plan::new(&[upstream.address]).start();
    for name in [
        "bets.example",
        "vile-things.example",
        "private-matter.example",
    ] {
        school.ask(name);
    }
    let status = eventually("the counters", || {
        let status = school.status();
        (status.totals.queries == 3).then_some(status)
    });
    let text = serde_json::to_string(&status).unwrap();
    for word in ["bets", "vile", "private", "127.0.0.1\""] {
        assert!(!text.contains(word), "{word}: {text}");
    }
}
