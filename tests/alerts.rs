//! Alerts from the outside: a pupil asks the real server, and a real mail server,
//! a receiver of webhooks and rsyslog are told.
//!
//! `tests/alerts/smtp.py` is the mail server (Debian's python3-aiosmtpd). A test
//! that lacks its program says so.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::serve::school::{Folder, Plan, Running, School};

mod killed;
mod mail;
mod pages;
mod programs;

/// Debian's, which has aiosmtpd.
const PYTHON: &str = "/usr/bin/python3";

/// How long an alert may take from the look-up to the mail server.
const FIVE_SECONDS: Duration = Duration::from_secs(5);

/// Two lists more than usual: self-harm, and one that gets around filters.
const SOURCES: &str = r#"
[[source]]
id = "harm"
category = "self_harm"
format = "domains"
match = "subtree"
file = "harm.txt"
licence = "CC0-1.0"
[[source]]
id = "around"
category = "bypass"
format = "domains"
match = "subtree"
file = "around.txt"
licence = "CC0-1.0"
[[source]]
id = "vile"
category = "illegal"
class = "mandatory"
format = "urls"
match = "subtree"
file = "illegal.txt"
licence = "CC0-1.0"
"#;

const POLICY: &str = r#"
school = "Test School"
timezone = "Europe/London"
unknown = "guest"
[groups.pupil]
networks = ["127.0.0.0/24"]
block = ["self_harm", "bypass"]
log = "full"
[groups.guest]
block = ["self_harm", "bypass"]
log = "full"
[alerts]
fallback = "office@school.example"
"#;

/// As long as a busy machine needs; only the five seconds are a promise.
fn eventually<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    crate::serve::within(Duration::from_secs(60), what, look)
}

/// A school with three lists, these settings and this end of its policy.
fn school(settings: &str, policy: &str) -> Folder {
    // Nobody is asked: all that is looked up is blocked.
    let mut plan = Plan::new(&["127.0.0.1:1".parse().unwrap()]);
    plan.tables = format!("[dashboard]\nurl = \"https://filter.school.example\"\n{settings}");
    plan.policy = format!("{POLICY}{policy}");
    "id,name,mac,ip,group,owner,kind\n\
     ipad-7,iPad 7,,127.0.0.7,pupil,,\n"
        .clone_into(&mut plan.devices);
    let folder = plan.write();
    folder.put("sources.toml", SOURCES);
    folder.put("harm.txt", "hurt.example\n");
    folder.put("around.txt", "tunnel.example\nproxy.example\n");
    // Port 0: nobody looks at the pages here.
    let settings = std::fs::read_to_string(folder.path().join("schoolgate.toml")).unwrap();
    if !settings.contains("dashboard = ") {
        let settings = settings.replace("[listen]\n", "[listen]\ndashboard = \"127.0.0.1:0\"\n");
        folder.put("schoolgate.toml", &settings);
    }
    folder.refresh();
    folder
}

/// The resolver and the process that sends alerts, both running. The alerts
/// have looked at the log before this returns, so that what follows is new.
fn both(folder: Folder) -> (School, Running) {
    let school = School::start(folder);
    let alerts = alerts(&school.folder);
    (school, alerts)
}

/// The process that sends alerts.
fn alerts(folder: &Folder) -> Running {
    let running = Running(start(folder));
    eventually("the alerts to begin", || {
        let db = open(folder)?;
        let begun = "SELECT 1 FROM notes WHERE key = 'begun'";
        db.prepare(begun).ok()?.exists([]).ok()?.then_some(())
    });
    running
}

/// The same, begun and not waited for.
fn start(folder: &Folder) -> Child {
    folder
        .command(&["dashboard"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// What the alerts remember, to look into.
fn open(folder: &Folder) -> Option<rusqlite::Connection> {
    let path = folder.state().join("alerts.db");
    let db = rusqlite::Connection::open_with_flags(
        path,
        rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY | rusqlite::OpenFlags::SQLITE_OPEN_NO_MUTEX,
    );
    let db = db.ok()?;
    db.busy_timeout(Duration::from_secs(5)).unwrap();
    Some(db)
}

/// One number out of what the alerts remember.
fn number(folder: &Folder, sql: &str) -> i64 {
    let db = open(folder).unwrap();
    db.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// A mail server.
struct Post {
    server: Running,
    port: u16,
    folder: tempfile::TempDir,
    how: Vec<String>,
}

/// A message that arrived.
#[derive(Debug, Clone)]
struct Letter(serde_json::Value);

impl Letter {
    fn of(&self, key: &str) -> &str {
        self.0[key].as_str().unwrap_or_default()
    }

    fn to(&self) -> &str {
        self.0["to"][0].as_str().unwrap()
    }
}

impl Post {
    /// Starts one; `None`, and a word on it, where there is no aiosmtpd.
    fn start(how: &[&str], what: &str) -> Option<Self> {
        let there = Command::new(PYTHON)
            .args(["-c", "import aiosmtpd"])
            .stderr(Stdio::null())
            .status();
        if !there.is_ok_and(|status| status.success()) {
            eprintln!("SKIPPED: {what}: python3-aiosmtpd is not installed");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let how: Vec<String> = how.iter().map(|word| (*word).to_owned()).collect();
        let (server, port) = Self::listen(0, folder.path(), &how);
        Some(Self {
            server,
            port,
            folder,
            how,
        })
    }

    fn listen(port: u16, folder: &Path, how: &[String]) -> (Running, u16) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/alerts/smtp.py");
        let mut server = Command::new(PYTHON)
            .arg(script)
            .arg(port.to_string())
            .arg(folder.join("letters"))
            .args(how)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(server.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        let port = line.trim().parse().unwrap();
        (Running(server), port)
    }

    /// Ends it; what comes finds nobody there.
    fn goes_down(&mut self) {
        self.server.0.kill().unwrap();
        self.server.0.wait().unwrap();
    }

    /// Starts it again where it was.
    fn comes_back(&mut self) {
        let (server, port) = Self::listen(self.port, self.folder.path(), &self.how);
        assert_eq!(port, self.port);
        self.server = server;
    }

    /// All that has arrived.
    fn letters(&self) -> Vec<Letter> {
        let file: PathBuf = self.folder.path().join("letters");
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let whole = text.lines().filter(|line| line.ends_with('}'));
        whole
            .map(|line| Letter(serde_json::from_str(line).unwrap()))
            .collect()
    }

    /// The settings of a school that uses it without encryption.
    fn plain(&self) -> String {
        format!(
            "[mail]\nserver = \"127.0.0.1\"\nport = {}\nsecurity = \"none\"\n\
             from = \"Schoolgate <filter@school.example>\"\n",
            self.port
        )
    }
}
