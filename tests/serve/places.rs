//! Where the server listens, and what it needs of its machine.

use std::io::Write;
use std::process::{Command, Stdio};

use super::school::{Client, PROGRAM, Plan, School};
use super::streams::{self, connect, framed, next};
use super::upstream::{ADDRESS, Upstream};
use super::wire::{self, Reply};

#[test]
fn it_answers_on_every_address_and_from_the_one_that_was_asked() {
    let upstream = Upstream::plain();
    let mut plan = Plan::new(&[upstream.address]);
    plan.listen = "0.0.0.0:0\", \"[::1]:0".to_owned();
    let school = plan.start();
    let port = school.dns.port();
    for to in ["127.0.0.1", "127.0.0.2", "127.9.8.7"] {
        let to = (to.parse::<std::net::IpAddr>().unwrap(), port).into();
        let client = Client::new("127.0.0.1");
        for name in ["bets.example", "www.example", "www.example"] {
            // Connected: the kernel lets nothing in from another address.
            client.0.connect(to).unwrap();
            client.0.send(&wire::question(1, name, wire::A)).unwrap();
            assert!(client.receive().is_some(), "{name} at {to}");
        }
        let replies = streams::ask(to, &[wire::question(2, "www.example", wire::A)]);
        assert_eq!(replies[0].addresses(), [ADDRESS]);
    }
    let v6 = school.others[0];
    let reply = Client::new("::1").exchange(v6, &wire::question(3, "www.example", wire::A));
    assert_eq!(Reply::read(&reply.unwrap()).addresses(), [ADDRESS]);
    let replies = streams::ask(v6, &[wire::question(4, "chat.example", wire::A)]);
    assert_eq!(replies[0].errors, [15], "an unknown device is a guest");
}

#[test]
fn a_second_server_on_the_same_port_does_not_start() {
    let upstream = Upstream::plain();
    let school = Plan::new(&[upstream.address]).start();
    let mut plan = Plan::new(&[upstream.address]);
    plan.listen = school.dns.to_string();
    let folder = plan.write();
    folder.refresh();
    let output = folder.run(&["serve"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("cannot listen on") && said.contains("another program has this port"),
        "{said}"
    );
    for _ in 0..20 {
        assert_eq!(school.ask("bets.example").errors, [15]);
    }
}

#[test]
fn a_shells_few_descriptors_do_not_let_connections_crowd_out_the_upstream() {
    let upstream = Upstream::plain();
    let folder = Plan::new(&[upstream.address]).write();
    folder.refresh();
    let mut command = Command::new("sh");
    command
        .args([
            "-c",
            "ulimit -S -n 64 && exec \"$0\" serve --config \"$1\"",
            PROGRAM,
        ])
        .arg(folder.path())
        .stdin(Stdio::null());
    let school = School::start_as(folder, command);
    let held: Vec<_> = (0..45).map(|_| connect(school.dns)).collect();
    for number in 0..40 {
        let reply = school.ask(&format!("n{number}.example"));
        assert_eq!(reply.addresses(), [ADDRESS]);
    }
    for mut stream in held {
        stream
            .write_all(&framed(&wire::question(1, "bets.example", wire::A)))
            .unwrap();
        assert!(next(&mut stream).is_some());
    }
}
