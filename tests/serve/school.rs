//! A school with its own folder, and the server that runs for it: the real
//! program as a process of its own.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::wire::{self, Reply};

/// The program.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_schoolgate");
/// After this a test has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// The policy unless a test has another: 127.0.0.1 is a pupil, 127.0.0.3 staff.
pub(crate) const POLICY: &str = r#"
school = "Test"
timezone = "Europe/London"
unknown = "guest"
[groups.pupil]
networks = ["127.0.0.1/32"]
block = ["gambling", "games"]
log = "full"
[groups.staff]
networks = ["127.0.0.3/32"]
block = ["malware_hacking"]
log = "full"
[groups.guest]
block = ["gambling", "games", "social_media"]
log = "full"
"#;

/// What a school's folder holds.
pub(crate) struct Plan {
    pub(crate) upstreams: Vec<SocketAddr>,
    /// Upstreams that are asked in another way, as they stand in the settings.
    pub(crate) ways: Vec<String>,
    /// Lines of `[upstream]`, such as `zones`.
    pub(crate) upstream: String,
    /// More tables of `schoolgate.toml`.
    pub(crate) tables: String,
    pub(crate) policy: String,
    pub(crate) devices: String,
    pub(crate) gambling: String,
    pub(crate) listen: String,
    /// More files, by name.
    pub(crate) files: Vec<(String, String)>,
    /// What stands in `[tls]`; with it, TLS and HTTPS are listened for.
    pub(crate) tls: Option<String>,
}

impl Plan {
    /// A school that asks these upstreams.
    pub(crate) fn new(upstreams: &[SocketAddr]) -> Self {
        Self {
            upstreams: upstreams.to_vec(),
            ways: Vec::new(),
            upstream: String::new(),
            tables: String::new(),
            policy: POLICY.to_owned(),
            devices: "id,name,mac,ip,group,owner,kind\n".to_owned(),
            gambling: "bets.example\ncasino.example\n".to_owned(),
            listen: "127.0.0.1:0".to_owned(),
            files: Vec::new(),
            tls: None,
        }
    }

    /// The same with encrypted listeners, by a private authority, for
    /// dns.school.example.
    pub(crate) fn encrypted(upstreams: &[SocketAddr]) -> Self {
        let tls = "private_ca = true\nname = \"dns.school.example\"\n".to_owned();
        Self {
            tls: Some(tls),
            ..Self::new(upstreams)
        }
    }

    /// Writes the folder; the lists are not compiled yet.
    pub(crate) fn write(&self) -> Folder {
        let folder = Folder(tempfile::tempdir().unwrap());
        let servers: Vec<String> = self
            .upstreams
            .iter()
            .map(|a| format!("\"udp://{a}\""))
            .chain(self.ways.iter().map(|way| format!("\"{way}\"")))
            .collect();
        let (servers, upstream, listen) = (servers.join(", "), &self.upstream, &self.listen);
        let encrypted = self.tls.as_ref().map_or(String::new(), |tls| {
            let at = "[\"127.0.0.1:0\"]";
            format!("tls = {at}\nhttps = {at}\nquic = {at}\nhttps3 = {at}\n[tls]\n{tls}\n")
        });
        let mut settings = format!(
            "state_dir = \"state\"\n[listen]\ndns = [\"{listen}\"]\nmetrics = \"127.0.0.1:0\"\ndashboard = \"127.0.0.1:0\"\nthreads = 2\n{encrypted}\
             [upstream]\nservers = [{servers}]\n{upstream}\n"
        );
        let _ = writeln!(settings, "{}", self.tables);
        folder.put("schoolgate.toml", &settings);
        folder.put("policy.toml", &self.policy);
        folder.put("devices.csv", &self.devices);
        folder.put("gambling.txt", &self.gambling);
        folder.put("social.txt", "chat.example\n");
        folder.put("illegal.txt", "http://vile-things.example/\n");
        folder.put("sources.toml", &sources());
        for (file, text) in &self.files {
            folder.put(file, text);
        }
        folder
    }

    /// Writes the folder, compiles the lists and starts the server.
    pub(crate) fn start(&self) -> School {
        let folder = self.write();
        folder.refresh();
        School::start(folder)
    }
}

fn sources() -> String {
    let source = |id: &str, rest: &str, file: &str| {
        format!(
            "[[source]]\nid = \"{id}\"\nmatch = \"subtree\"\nfile = \"{file}\"\nlicence = \"CC0-1.0\"\n{rest}\n"
        )
    };
    [
        source(
            "bets",
            "category = \"gambling\"\nformat = \"domains\"\nmax_shrink = 1.0",
            "gambling.txt",
        ),
        source(
            "chats",
            "category = \"social_media\"\nformat = \"domains\"",
            "social.txt",
        ),
        source(
            "vile",
            "category = \"illegal\"\nclass = \"mandatory\"\nformat = \"urls\"",
            "illegal.txt",
        ),
    ]
    .concat()
}

/// A configuration folder.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.path().join("state")
    }

    pub(crate) fn put(&self, file: &str, text: &str) {
        std::fs::write(self.path().join(file), text).unwrap();
    }

    /// The program with this verb, to be run.
    pub(crate) fn command(&self, verb: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command
            .args(verb)
            .arg("--config")
            .arg(self.path())
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, verb: &[&str]) -> Output {
        self.command(verb).output().unwrap()
    }

    pub(crate) fn refresh(&self) {
        let output = self.run(&["refresh"]);
        assert!(output.status.success(), "{output:?}");
    }

    /// The rows of the query log.
    pub(crate) fn log(&self) -> Vec<serde_json::Value> {
        let output = self.run(&["log", "--json"]);
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

/// A process that is ended with the test.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    pub(crate) fn signal(&self, signal: nix::sys::signal::Signal) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.0.id()).unwrap());
        nix::sys::signal::kill(pid, signal).unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A school whose server runs.
pub(crate) struct School {
    pub(crate) server: Running,
    pub(crate) folder: Folder,
    pub(crate) dns: SocketAddr,
    /// Where else it answers.
    pub(crate) others: Vec<SocketAddr>,
    pub(crate) metrics: SocketAddr,
    /// DNS over TLS and over HTTPS, if it listens for them.
    pub(crate) tls: Option<SocketAddr>,
    pub(crate) https: Option<SocketAddr>,
    /// The same over QUIC.
    pub(crate) quic: Option<SocketAddr>,
    pub(crate) https3: Option<SocketAddr>,
    stderr: Arc<Mutex<String>>,
}

impl School {
    /// Starts the server and waits for its line.
    pub(crate) fn start(folder: Folder) -> Self {
        let command = folder.command(&["serve"]);
        Self::start_as(folder, command)
    }

    /// Starts `command`, which is to become the server.
    pub(crate) fn start_as(folder: Folder, mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = collect(child.stderr.take().unwrap());
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let words = || format!("{line:?}; stderr: {}", stderr.lock().unwrap());
        let rest = line
            .strip_prefix("answering DNS on ")
            .unwrap_or_else(|| panic!("{}", words()));
        let part = |start: &str| {
            let mut parts = rest.trim().split("; ");
            parts.find_map(|part| part.strip_prefix(start))
        };
        let address = |text: &str| text.split('/').next().unwrap().parse().unwrap();
        let dns = rest.trim().split("; ").next().unwrap();
        let mut addresses: Vec<_> = dns.split(", ").map(|dns| dns.parse().unwrap()).collect();
        Self {
            dns: addresses.remove(0),
            others: addresses,
            metrics: part("metrics on http://").map(address).unwrap(),
            tls: part("DNS over TLS on ").map(address),
            https: part("DNS over HTTPS on https://").map(address),
            quic: part("DNS over QUIC on ").map(address),
            https3: part("DNS over HTTP/3 on https://").map(address),
            server: Running(child),
            folder,
            stderr,
        }
    }

    /// What the server has said to its machine.
    pub(crate) fn stderr(&self) -> String {
        self.stderr.lock().unwrap().clone()
    }

    /// A pupil's question.
    pub(crate) fn ask(&self, name: &str) -> Reply {
        self.ask_from("127.0.0.1", name)
    }

    pub(crate) fn ask_from(&self, from: &str, name: &str) -> Reply {
        let packet = wire::question(0x5a5a, name, wire::A);
        let reply = Client::new(from).exchange(self.dns, &packet);
        Reply::read(&reply.unwrap_or_else(|| panic!("no reply about {name}; {}", self.stderr())))
    }

    /// The page of numbers.
    pub(crate) fn page(&self) -> String {
        let mut stream = TcpStream::connect(self.metrics).unwrap();
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        body.to_owned()
    }

    /// The sum of a metric's rows that begin with `start`.
    pub(crate) fn metric(&self, start: &str) -> f64 {
        let page = self.page();
        let rows = page.lines().filter(|line| line.starts_with(start));
        rows.map(|row| row.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap())
            .sum()
    }

    /// Stops the server as a machine does that shuts down, and waits.
    pub(crate) fn stop(mut self) -> Folder {
        self.server.signal(nix::sys::signal::Signal::SIGTERM);
        let status = self.server.0.wait().unwrap();
        assert!(status.success(), "{status}: {}", self.stderr());
        self.folder
    }

    /// Ends the server without a word.
    pub(crate) fn kill(mut self) -> Folder {
        self.server.0.kill().unwrap();
        self.server.0.wait().unwrap();
        self.folder
    }
}

fn collect(mut from: impl Read + Send + 'static) -> Arc<Mutex<String>> {
    let text = Arc::<Mutex<String>>::default();
    let to = Arc::clone(&text);
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            to.lock()
                .unwrap()
                .push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
    });
    text
}

/// Somebody who asks over UDP.
pub(crate) struct Client(pub(crate) UdpSocket);

impl Client {
    pub(crate) fn new(from: &str) -> Self {
        let socket = UdpSocket::bind((from.parse::<IpAddr>().unwrap(), 0)).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        Self(socket)
    }

    /// Sends `packet`, and gives the reply under its id.
    pub(crate) fn exchange(&self, to: SocketAddr, packet: &[u8]) -> Option<Vec<u8>> {
        self.0.send_to(packet, to).unwrap();
        loop {
            let reply = self.receive()?;
            if reply[..2] == packet[..2] {
                return Some(reply);
            }
        }
    }

    pub(crate) fn receive(&self) -> Option<Vec<u8>> {
        let mut buffer = [0; 4096];
        let (length, _) = self.0.recv_from(&mut buffer).ok()?;
        Some(buffer[..length].to_vec())
    }
}
