//! A browser whose secure DNS is ours, on a wire with nobody else.
//!
//! Browser and school are in namespaces of their own, so whatever the browser
//! does by itself stays there. Every name that is not blocked leads to one page
//! server: that a page is missing is the filter's doing.

use std::io::{BufRead, BufReader, Write};
use std::mem::ManuallyDrop;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use super::namespaces::Namespaces;
use super::school::{Plan, School};
use super::secured::{LAPTOP, NAME, SECRET, authority};
use super::upstream::{Upstream, plain, say};
use super::wire;

/// The school on the wire, for everything but pages.
const SCHOOL: &str = "10.80.1.1";
/// The page server; every name of the world has this address.
const WORLD: &str = "198.51.100.7";

/// By its address the browser is a guest, by its id a teacher.
const POLICY: &str = r#"
school = "Test"
timezone = "Europe/London"
unknown = "guest"
[groups.staff]
block = ["social_media"]
log = "full"
[groups.guest]
block = ["gambling"]
log = "full"
"#;

/// The text that a script puts in is what shows that a page was loaded and run.
const PAGE: &str = "<!doctype html><title>A page</title><p id=p></p>\
    <script>document.getElementById('p').textContent = 'This is ' + location.host</script>";

fn build() -> Option<Namespaces> {
    let what = "Chromium over our DNS over HTTPS";
    let programs = &["chromium", "certutil", "timeout"];
    let all = Namespaces::new(what, "c", &["pupil", "school"], programs)?;
    all.wire([
        ("pupil", "wire", &["10.80.1.2/24"]),
        ("school", "wire", &[&format!("{SCHOOL}/24")]),
    ]);
    all.ip("school", &format!("addr add {WORLD}/32 dev lo"));
    all.ip("pupil", &format!("route add default via {SCHOOL}"));
    Some(all)
}

fn start(all: &Namespaces) -> School {
    let upstream = all.inside("school", || {
        let local = SocketAddr::from(([127, 0, 0, 1], 53));
        let address = |seen: &_| say(only_addresses(seen));
        // It cannot be woken from outside its namespace, so it is never dropped.
        ManuallyDrop::new(Upstream::at(local, address))
    });
    let mut plan = Plan::new(&[upstream.address]);
    plan.listen = format!("{SCHOOL}:53\"]\nhttps = [\"{SCHOOL}:443");
    plan.tables = format!(
        "[tls]\nprivate_ca = true\nname = \"{NAME}\"\n[local]\nrecords = \
         [{{ name = \"lessons.school.internal\", addresses = [\"{SCHOOL}\"], ttl = 60 }}]\n"
    );
    POLICY.clone_into(&mut plan.policy);
    LAPTOP.clone_into(&mut plan.devices);
    let folder = plan.write();
    folder.refresh();
    let mut command = all.command("school", super::school::PROGRAM);
    command
        .args(["serve", "--config"])
        .arg(folder.path())
        .stdin(Stdio::null());
    School::start_as(folder, command)
}

/// An address if one is asked for, else that there is nothing of that type.
fn only_addresses(seen: &super::upstream::Seen) -> Vec<u8> {
    match wire::asked_type(&seen.packet) {
        wire::A => plain(seen),
        _ => wire::reply(&seen.packet, 0, 0, &[], &[]),
    }
}

/// Serves the page at every address; gives the hosts that were asked for.
fn serve_pages() -> Arc<Mutex<Vec<String>>> {
    let hosts = Arc::<Mutex<Vec<String>>>::default();
    for address in [SCHOOL, WORLD] {
        let listener = TcpListener::bind((address, 80)).unwrap();
        let hosts = Arc::clone(&hosts);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let hosts = Arc::clone(&hosts);
                // A browser opens connections that it may never use.
                std::thread::spawn(move || serve_page(stream, &hosts));
            }
        });
    }
    hosts
}

fn serve_page(mut stream: TcpStream, hosts: &Mutex<Vec<String>>) {
    let Ok(reader) = stream.try_clone() else {
        return;
    };
    for line in BufReader::new(reader).lines().map_while(Result::ok) {
        if let Some(host) = line.strip_prefix("Host: ") {
            hosts.lock().unwrap().push(host.to_owned());
        }
        if line.is_empty() {
            break;
        }
    }
    let _ = write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{PAGE}",
        PAGE.len()
    );
}

/// A browser's home: the school's authority is believed, and secure DNS is the
/// school's and nobody else's.
fn furnish(home: &Path, authority: &Path) {
    let (store, profile) = (home.join(".pki/nssdb"), home.join("profile"));
    std::fs::create_dir_all(&store).unwrap();
    std::fs::create_dir_all(&profile).unwrap();
    let store = format!("sql:{}", store.display());
    let certutil = |words: &[&str]| {
        let mut certutil = Command::new("certutil");
        let output = certutil.args(["-d", &store]).args(words).output().unwrap();
        assert!(output.status.success(), "{words:?}: {output:?}");
    };
    certutil(&["-N", "--empty-password"]);
    let authority = authority.to_str().unwrap();
    certutil(&["-A", "-t", "C,,", "-n", "school", "-i", authority]);
    let state = serde_json::json!({"dns_over_https": {
        "mode": "secure",
        "templates": format!("https://{NAME}/dns-query/{SECRET}"),
    }});
    std::fs::write(profile.join("Local State"), state.to_string()).unwrap();
}

/// What the browser shows of a site, and what it complains of.
fn visit(all: &Namespaces, authority: &Path, site: &str) -> (String, String) {
    let home = tempfile::tempdir().unwrap();
    furnish(home.path(), authority);
    let profile = home.path().join("profile");
    let output = all
        .command("pupil", "timeout")
        .args(["--kill-after=5", "60", "chromium", "--headless"])
        // As root it has no sandbox.
        .args(["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
        .args(["--no-first-run", "--disable-sync", "--disable-extensions"])
        .args(["--disable-background-networking"])
        .arg("--disable-component-update")
        // Where the school's own resolver is, as DHCP's resolver would say.
        .arg(format!("--host-resolver-rules=MAP {NAME} {SCHOOL}"))
        .arg(format!("--user-data-dir={}", profile.display()))
        .args(["--dump-dom", &format!("http://{site}/")])
        .env("HOME", home.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{site}: {output:?}");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_browser_with_our_secure_dns_gets_what_its_device_may() {
    let Some(all) = build() else {
        return;
    };
    let school = start(&all);
    let hosts = all.inside("school", serve_pages);
    let authority = authority(&school.folder.state());
    // A name that only the school knows; one of the world; and one that is
    // blocked for the guest at this address, but not for this device.
    for site in ["lessons.school.internal", "www.example", "bets.example"] {
        let (page, said) = visit(&all, &authority, site);
        assert!(page.contains(&format!("This is {site}")), "{page}\n{said}");
    }
    let (page, said) = visit(&all, &authority, "chat.example");
    assert!(
        said.contains("net::ERR_NAME_NOT_RESOLVED"),
        "{page}\n{said}"
    );
    assert!(!page.contains("This is"), "{page}");
    let hosts = hosts.lock().unwrap().clone();
    assert!(hosts.iter().any(|host| host == "bets.example"), "{hosts:?}");
    assert!(
        !hosts.iter().any(|host| host == "chat.example"),
        "{hosts:?}"
    );

    let numbers = all.inside("school", || {
        ["https", "udp", "tcp"]
            .map(|by| school.metric(&format!("schoolgate_queries_total{{transport=\"{by}\"}}")))
    });
    assert!(numbers[0] > 3.5, "{numbers:?}");
    assert!(numbers[1] + numbers[2] < 0.5, "it also asks in the open");
    let rows = school.stop().log();
    let row = |name: &str| {
        let row = rows.iter().find(|row| row["name"] == name);
        row.unwrap_or_else(|| panic!("{name} is not in {rows:?}"))
    };
    assert_eq!(row("chat.example")["action"], "block");
    assert_eq!(row("chat.example")["category"], "social_media");
    assert_eq!(row("lessons.school.internal")["action"], "allow");
    // Whatever it asked, and a browser asks much, was the laptop's.
    for row in &rows {
        assert_eq!(row["device"], "laptop", "{row}");
        assert_eq!(row["group"], "staff", "{row}");
    }
}
