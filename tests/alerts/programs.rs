//! Alerts to programs: webhooks and syslog.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::{PYTHON, both, number, school};
use crate::serve::peer::Authority;
use crate::serve::school::Running;
use crate::serve::{has, within};

const LONG: Duration = Duration::from_secs(90);

/// Signed as Python's own `hmac` has it, and told again after a 503, under the
/// same key.
#[test]
fn a_webhook_is_signed_and_told_again() {
    if !has("python3", "webhooks") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("told");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/alerts/hook.py");
    let mut server = Command::new(PYTHON)
        .arg(script)
        .arg(&file)
        .arg("between us")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut port = String::new();
    let mut out = BufReader::new(server.stdout.take().unwrap());
    out.read_line(&mut port).unwrap();
    let _server = Running(server);
    let settings = format!(
        "[webhook]\nurl = \"http://127.0.0.1:{}/alerts\"\nsecret_file = \"secret\"\n",
        port.trim()
    );
    let place = school(&settings, "");
    place.put("secret", "between us\n");
    let (school, _alerts) = both(place);
    school.ask_from("127.0.0.7", "www.vile-things.example");
    let text = within(LONG, "the message", || {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        text.ends_with('\n').then_some(text)
    });
    let told: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(told["key"], told["refused"]);
    assert_eq!(told["id"], told["key"]);
    assert_eq!(told["kind"], "hit");
    assert_eq!(told["theme"], "illegal");
    assert_eq!(told["device"], "ipad-7");
    assert_eq!(told["group"], "pupil");
    assert_eq!(told["mandatory"], true);
    assert_eq!(told["test"], false);
    assert_eq!(told["link"], "https://filter.school.example/alerts/1");
    assert!(!text.contains("vile"));
}

struct Rsyslog {
    _server: Running,
    port: u16,
    folder: tempfile::TempDir,
}

impl Rsyslog {
    /// Starts one; with keys of this authority it speaks TLS alone.
    fn start(authority: Option<&Authority>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().display();
        let (mut global, mut driver) = (String::new(), String::new());
        if let Some(authority) = authority {
            authority.sign().write(folder.path());
            std::fs::write(folder.path().join("authority.pem"), &authority.pem).unwrap();
            global = format!(
                "global(DefaultNetstreamDriver=\"gtls\" \
                 DefaultNetstreamDriverCAFile=\"{at}/authority.pem\" \
                 DefaultNetstreamDriverCertFile=\"{at}/server.pem\" \
                 DefaultNetstreamDriverKeyFile=\"{at}/server.key\")\n"
            );
            " StreamDriver.Name=\"gtls\" StreamDriver.Mode=\"1\" \
             StreamDriver.AuthMode=\"anon\""
                .clone_into(&mut driver);
        }
        let configuration = format!(
            "{global}module(load=\"imtcp\"{driver})\n\
             input(type=\"imtcp\" address=\"127.0.0.1\" port=\"0\" \
                 listenPortFileName=\"{at}/port\")\n\
             template(name=\"told\" type=\"string\" \
                 string=\"%pri%|%app-name%|%msgid%|%structured-data%|%msg%\\n\")\n\
             action(type=\"omfile\" file=\"{at}/told\" template=\"told\")\n"
        );
        std::fs::write(folder.path().join("conf"), configuration).unwrap();
        let server = Command::new("rsyslogd")
            .args(["-n", "-f"])
            .arg(folder.path().join("conf"))
            .arg("-i")
            .arg(folder.path().join("pid"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Running(server);
        let port = within(LONG, "rsyslog to listen", || {
            let text = std::fs::read_to_string(folder.path().join("port")).ok()?;
            text.trim().parse().ok()
        });
        Self {
            _server: server,
            port,
            folder,
        }
    }

    fn told(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("told")).unwrap_or_default()
    }
}

fn rsyslog_is_told(transport: &str, authority: Option<&Authority>) {
    let rsyslog = Rsyslog::start(authority);
    let settings = format!(
        "[syslog]\nserver = \"127.0.0.1\"\nport = {}\ntransport = \"{transport}\"\n{}",
        rsyslog.port,
        authority.map_or("", |_| "ca_file = \"authority.pem\"\n")
    );
    let place = school(&settings, "");
    if let Some(authority) = authority {
        place.put("authority.pem", &authority.pem);
    }
    let odd = "id,name,mac,ip,group,owner,kind\nipad-7,\"a\"\"b]c\\d\",,127.0.0.7,pupil,,\n";
    place.put("devices.csv", odd);
    let (school, _alerts) = both(place);
    school.ask_from("127.0.0.7", "hurt.example");
    let told = within(LONG, "the message", || {
        Some(rsyslog.told()).filter(|told| told.ends_with('\n'))
    });
    assert_eq!(told.lines().count(), 1, "{told}");
    // Log audit, alert: 13 × 8 + 1.
    assert!(
        told.starts_with("105|schoolgate|hit|[schoolgate@32473 id=\""),
        "{told}"
    );
    assert!(told.contains("theme=\"suicide_self_harm\""), "{told}");
    assert!(told.contains(r#"device_name="a\"b\]c\\d""#), "{told}");
    assert!(
        told.contains("|Schoolgate alert: Suicide and self-harm"),
        "{told}"
    );
    assert!(!told.contains("hurt.example"));
    let sent = "SELECT count(*) FROM outbox WHERE state = 'sent'";
    super::eventually("the word that it was sent", || {
        (number(&school.folder, sent) == 1).then_some(())
    });
}

#[test]
fn rsyslog_is_told_over_tcp() {
    if has("rsyslogd", "syslog over TCP") {
        rsyslog_is_told("tcp", None);
    }
}

#[test]
fn rsyslog_is_told_over_tls() {
    let driver = "/usr/lib/x86_64-linux-gnu/rsyslog/lmnsd_gtls.so";
    if !has("rsyslogd", "syslog over TLS") || !Path::new(driver).exists() {
        eprintln!("SKIPPED: syslog over TLS: rsyslog-gnutls is not installed");
        return;
    }
    rsyslog_is_told("tls", Some(&Authority::new()));
}
