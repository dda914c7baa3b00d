//! Promise 6: names and client addresses appear in the query log and nowhere
//! else; what a mandatory list holds appears not even in what is read of that.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;

use crate::serve::reload::files;
use crate::serve::school::{Client, Folder, POLICY, Plan, School};
use crate::serve::streams;
use crate::serve::upstream::{Say, Upstream, plain, say};
use crate::serve::{eventually, has, wire};

/// What was asked for; none is in a list as it stands.
const ASKED: [&str; 7] = [
    "quietly.bets.example",
    "private-matter.example",
    "never-answered.example",
    "brokenly-answered.example",
    "truncated-thing.example",
    "over-tcp-alone.example",
    "hostile-packet.example",
];
/// On the mandatory list of the test's school.
const VILE: &str = "vile-things.example";
/// Who asked.
const CLIENTS: [&str; 3] = ["127.0.77.1", "127.0.77.2", "127.0.77.3"];
/// An address that was claimed, and a MAC.
const CLAIMED: [u8; 4] = [10, 98, 76, 54];
const MAC: [u8; 6] = [0x5e, 0xc2, 0xe7, 0x11, 0x22, 0x33];

fn upstream() -> Upstream {
    Upstream::new(|seen| match seen.name.split('.').next().unwrap() {
        "never-answered" => Say::Nothing,
        "brokenly-answered" => {
            let mut packet = plain(seen);
            packet.truncate(packet.len() - 3);
            say(packet)
        }
        "truncated-thing" if !seen.tcp => say(wire::reply(&seen.packet, 2, 0, &[], &[])),
        _ => say(plain(seen)),
    })
}

fn varied_traffic(school: &School) {
    for from in CLIENTS {
        let client = Client::new(from);
        for (id, name) in ASKED
            .into_iter()
            .chain([VILE, "deep.below.vile-things.example"])
            .enumerate()
        {
            let claims: [(u16, &[u8]); 2] = [(65001, &MAC), (8, &[0, 1, 32, 0, 10, 98, 76, 54])];
            let packet = wire::question_with(id as u16, name, wire::A, &claims);
            assert!(client.exchange(school.dns, &packet).is_some(), "{name}");
            // The same, cut and bent in every place.
            for at in 0..packet.len() {
                let mut bent = packet.clone();
                bent[at] ^= 0x55;
                client
                    .0
                    .send_to(&bent[..packet.len() - at % 3], school.dns)
                    .unwrap();
            }
        }
    }
    let over_tcp = [
        wire::question(1, ASKED[5], wire::A),
        wire::question(2, VILE, wire::A),
    ];
    assert_eq!(streams::ask(school.dns, &over_tcp).len(), 2);
    let mut half = streams::connect(school.dns);
    half.write_all(&streams::framed(&over_tcp[0])[..20])
        .unwrap();
    drop(half);
    school
        .folder
        .put("policy.toml", &POLICY.replace("\"games\"", "\"gaems\""));
    school.server.signal(Signal::SIGHUP);
    eventually("the word that it is not in force", || {
        school.stderr().contains("schoolgate propose").then_some(())
    });
    assert!(school.folder.propose().is_err());
    let stricter = POLICY.replace("\"games\"", "\"games\", \"adverts\"");
    school.folder.put("policy.toml", &stricter);
    school.folder.put_in_force();
    school.folder.put("policy.toml", POLICY);
    school.folder.put_in_force();
    school
        .folder
        .put("gambling.txt", "bets.example\nother.example\n");
    school.folder.refresh();
    eventually("the new lists", || {
        (school.ask("other.example").errors == [15]).then_some(())
    });
}

/// How a name, an address or a MAC could be written down.
fn spellings(mandatory_only: bool) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut add = |text: &str| {
        all.insert(text.to_owned(), text.as_bytes().to_vec());
        let mut labels: Vec<&str> = text.split('.').collect();
        labels.reverse();
        let reversed = labels.join(".");
        all.insert(format!("{text}, reversed"), reversed.into_bytes());
        all.insert(format!("{text}, as in a packet"), wire::name(text));
    };
    add(VILE);
    // What is a bent packet's own name is not the mandatory list's.
    if mandatory_only {
        return all;
    }
    all.insert("its first label".to_owned(), b"vile-things".to_vec());
    let mut add = |text: &str| {
        all.insert(text.to_owned(), text.as_bytes().to_vec());
        let label = text.split('.').next().unwrap();
        all.insert(format!("{label}, alone"), label.as_bytes().to_vec());
    };
    ASKED.into_iter().for_each(&mut add);
    for client in CLIENTS {
        all.insert(client.to_owned(), client.as_bytes().to_vec());
        let octets = client.parse::<std::net::Ipv4Addr>().unwrap().octets();
        all.insert(format!("{client}, in octets"), octets.to_vec());
    }
    all.insert("the claimed address".to_owned(), b"10.98.76.54".to_vec());
    all.insert(
        "the claimed address, in octets".to_owned(),
        CLAIMED.to_vec(),
    );
    all.insert("the MAC".to_owned(), b"5e:c2:e7".to_vec());
    all.insert("the MAC, in octets".to_owned(), MAC.to_vec());
    all
}

fn assert_free(place: &str, bytes: &[u8], spellings: &BTreeMap<String, Vec<u8>>) {
    let bytes = bytes.to_ascii_lowercase();
    for (what, spelling) in spellings {
        let found = bytes
            .windows(spelling.len())
            .any(|window| window == spelling);
        assert!(!found, "{place} holds {what}");
    }
}

fn state_files(folder: &Folder) -> Vec<(PathBuf, bool)> {
    let log = folder.state().join("querylog");
    let all = files(folder.state()).into_iter();
    all.map(|path| (path.clone(), path.starts_with(&log)))
        .collect()
}

#[test]
fn names_and_addresses_are_in_the_query_log_and_nowhere_else() {
    let upstream = upstream();
    let school = Plan::new(&[upstream.address]).start();
    varied_traffic(&school);
    let everything = spellings(false);
    assert_free("/metrics", school.page().as_bytes(), &everything);
    let said = school.stderr();
    assert!(
        said.contains("policy.toml:"),
        "the machine's log was looked at: {said}"
    );
    eventually("blocked and allowed rows to be written", || {
        let rows = school.folder.log();
        let has = |key: &str, value: &str| rows.iter().any(|row| row[key] == value);
        (has("layer", "mandatory") && has("name", ASKED[0]) && has("name", ASKED[1])).then_some(())
    });
    // Killed, not stopped: nothing has been tidied up.
    let folder = school.kill();
    assert_free("stderr", said.as_bytes(), &everything);
    let files = state_files(&folder);
    assert!(files.iter().any(|(_, log)| *log) && files.iter().any(|(_, log)| !log));
    // The socket that a killed server leaves behind holds nothing.
    let plain = |path: &PathBuf| path.is_file();
    for (path, _) in files.iter().filter(|(path, log)| !log && plain(path)) {
        assert_free(
            &path.display().to_string(),
            &std::fs::read(path).unwrap(),
            &everything,
        );
        assert_free(
            "a file's name",
            path.to_string_lossy().as_bytes(),
            &everything,
        );
    }
    // What the query log is for is in there, and what is read of it withholds
    // what only one role may see.
    let rows = folder.log();
    let names: Vec<&str> = rows
        .iter()
        .map(|row| row["name"].as_str().unwrap())
        .collect();
    assert!(
        names.contains(&ASKED[0]) && names.contains(&ASKED[1]),
        "{names:?}"
    );
    assert!(rows.iter().any(|row| row["layer"] == "mandatory"));
    for verb in [
        &["log"][..],
        &["log", "--json"],
        &["lists"],
        &["lists", "--json"],
        &["check"],
    ] {
        let output = folder.run(verb);
        assert_free(&verb.join(" "), &output.stdout, &spellings(true));
        assert_free(&verb.join(" "), &output.stderr, &spellings(true));
    }
}

#[test]
fn only_its_owner_can_read_the_state_folder() {
    let upstream = Upstream::plain();
    let school = Plan::new(&[upstream.address]).start();
    school.ask("bets.example");
    let folder = school.stop();
    let open = |path: &PathBuf| {
        let mode = std::fs::metadata(path).unwrap().permissions().mode();
        (mode & 0o077 != 0).then(|| format!("{} is {:o}", path.display(), mode & 0o777))
    };
    let wide: Vec<String> = state_files(&folder)
        .iter()
        .filter_map(|(path, _)| open(path))
        .collect();
    assert!(wide.is_empty(), "{wide:#?}");
    assert_eq!(open(&folder.state()), None);
}

#[test]
fn prometheus_accepts_the_page_of_numbers() {
    if !has("promtool", "the page of numbers as Prometheus reads it") {
        return;
    }
    let upstream = Upstream::plain();
    let school = Plan::new(&[upstream.address]).start();
    for name in ["bets.example", "www.example", "www.example", VILE] {
        school.ask(name);
    }
    let promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut promtool = promtool.unwrap();
    let page = school.page();
    promtool
        .stdin
        .take()
        .unwrap()
        .write_all(page.as_bytes())
        .unwrap();
    let mut said = String::new();
    promtool
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    promtool
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert!(
        promtool.wait().unwrap().success() && said.trim().is_empty(),
        "{said}"
    );
    assert!(page.contains("schoolgate_blocked_total{"), "{page}");
}
