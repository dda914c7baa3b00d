//! `schoolgate up`, as a newcomer runs it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;

use super::eventually;
use super::school::{Client, PROGRAM, Running};
use super::wire::{self, Reply};

/// The demonstration's folder as in the repository, on ports of its own.
fn demo() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for part in ["config/demo", "blocklists/demo"] {
        let to = folder.path().join(part);
        std::fs::create_dir_all(&to).unwrap();
        for entry in std::fs::read_dir(root.join(part)).unwrap() {
            let path = entry.unwrap().path();
            std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
        }
    }
    let settings = folder.path().join("config/demo/schoolgate.toml");
    let text = std::fs::read_to_string(&settings).unwrap();
    let text = text
        .replace("127.0.0.1:5353", "127.0.0.1:0")
        .replace("127.0.0.1:9153", "127.0.0.1:0")
        .replace("127.0.0.1:8853", "127.0.0.1:0")
        .replace("127.0.0.1:8443", "127.0.0.1:0")
        .replace("127.0.0.1:8080", "127.0.0.1:0");
    // A closed port of this machine stands for a line that is down.
    std::fs::write(
        &settings,
        text + "[upstream]\nservers = [\"udp://127.0.0.1:1\"]\n",
    )
    .unwrap();
    folder
}

fn ends_with_its_parent(signal: Signal) {
    let folder = demo();
    let mut up = Running(
        Command::new(PROGRAM)
            .args(["up", "--config"])
            .arg(folder.path().join("config/demo"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    let lines = BufReader::new(up.0.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    let mut printed = Vec::new();
    for line in lines {
        printed.push(line);
        if printed
            .last()
            .is_some_and(|line| line.starts_with("Ctrl-C"))
        {
            break;
        }
    }
    let line = printed
        .iter()
        .find_map(|line| line.strip_prefix("Now answering DNS on "));
    let dns = line
        .unwrap_or_else(|| panic!("{printed:?}"))
        .split(';')
        .next()
        .unwrap();
    let dns = dns.parse().unwrap();
    let pages = printed
        .iter()
        .find_map(|line| line.strip_prefix("Now serving pages on http://"));
    let pages: std::net::SocketAddr = pages.unwrap().parse().unwrap();
    let set_up = format!("http://{pages}/set-up");
    assert!(
        printed.iter().any(|line| line.ends_with(&set_up)),
        "{printed:?}"
    );
    assert!(std::net::TcpStream::connect(pages).is_ok());
    let client = Client::new("127.0.0.1");
    let ask = |name: &str| client.exchange(dns, &wire::question(1, name, wire::A));
    let blocked = Reply::read(&ask("bets.example").unwrap());
    assert_eq!((blocked.rcode, blocked.errors), (3, vec![15]));
    let forwarded = Reply::read(&ask("www.school.example").unwrap());
    assert_eq!((forwarded.rcode, forwarded.errors), (2, vec![23]));
    // Whatever it wrote is in its state folder.
    let mut entries: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    entries.sort();
    assert_eq!(entries, ["blocklists", "config", "state"]);
    up.signal(signal);
    up.0.wait().unwrap();
    let free = || std::net::UdpSocket::bind(dns).ok().map(drop);
    eventually("the server to end with the one who started it", free);
    let free = || std::net::TcpListener::bind(pages).ok().map(drop);
    eventually("the pages to end with the one who started them", free);
}

#[test]
fn up_answers_and_ends_its_server_when_told_to_stop() {
    ends_with_its_parent(Signal::SIGTERM);
}

#[test]
fn up_killed_leaves_no_server_behind() {
    ends_with_its_parent(Signal::SIGKILL);
}
