//! `devices.csv`, and from a question to a device and its group.

use std::fmt::Write as _;
use std::net::IpAddr;

use jiff::Timestamp;
use schoolgate::devices::find::{GroupedBy, Who, find};
use schoolgate::devices::identify::identify;
use schoolgate::devices::inventory::Inventory;
use schoolgate::devices::leases::{self, Format, Leases};
use schoolgate::document::Complaint;

use super::{rows, wire};

const GROUPS: [&str; 3] = ["pupil", "staff", "guest"];
const GUEST: u16 = 2;

fn group_of(id: &str) -> Option<u16> {
    let at = GROUPS.iter().position(|group| *group == id)?;
    u16::try_from(at).ok()
}

fn inventory(file: &str, text: &str) -> (Inventory, Vec<Complaint>) {
    Inventory::parse(file, text, group_of, &GROUPS)
}

fn said(complaints: &[Complaint]) -> Vec<String> {
    complaints.iter().map(ToString::to_string).collect()
}

#[test]
fn every_mistake_is_told_at_once_with_its_line() {
    let (_, complaints) = inventory("bad.csv", include_str!("bad.csv"));
    let wanted: Vec<&str> = include_str!("bad.txt").lines().collect();
    assert_eq!(said(&complaints), wanted);
}

#[test]
fn a_file_without_mistakes_is_read_whole() {
    let (inventory, complaints) = inventory("good.csv", include_str!("good.csv"));
    assert_eq!(said(&complaints), [""; 0]);
    let lines: Vec<_> = inventory.devices().iter().map(|d| d.line).collect();
    assert_eq!(lines, [4, 5, 7, 8, 9, 10, 11]);
    let ann = inventory.device(0).unwrap();
    assert_eq!(ann.name, "Ann's laptop, old");
    assert_eq!((ann.macs.len(), ann.group), (2, Some(1)));
}

#[test]
fn a_client_id_is_a_secret_of_one_device() {
    let text = "id,client_id
ann,k3v9x2qm7w4t
ben,k3v9x2qm7w4t
cat,Short
dan,K3V9X2QM7W4T
dan-the-second-laptop,dan-the-second-laptop
k3v9x2qm7w4t,
eve,ann-the-laptop
ann-the-laptop,
fay,
";
    let (inventory, complaints) = inventory("f", text);
    let wanted = "12 to 63 random lower-case letters, digits and hyphens, like k3v9x2qm7w4t";
    assert_eq!(
        said(&complaints),
        [
            "f:3: its client_id already belongs to device \"ann\" on line 2".to_owned(),
            format!("f:4: client_id must be {wanted}"),
            format!("f:5: client_id must be {wanted}"),
            "f:6: client_id is a secret and cannot be the id".to_owned(),
            "f:7: its id, as a client_id, already belongs to device \"ann\" on line 2".to_owned(),
            "f:9: its id, as a client_id, already belongs to device \"eve\" on line 8".to_owned(),
        ]
    );
    let called = |id| inventory.device(inventory.by_client_id(id)?);
    let called = |id| called(id).map(|device| device.id.as_str());
    assert_eq!(called("k3v9x2qm7w4t"), Some("ann"));
    assert_eq!(called("ann"), None);
    assert_eq!(called("FAY"), Some("fay"));
    assert_eq!(inventory.by_issued_id("fay"), None);
}

#[test]
fn odd_files_have_a_complaint_and_no_panic() {
    for (text, wanted) in [
        (
            "",
            "f: no header; the first line must be id,name,mac,ip,group,owner,kind",
        ),
        (
            "# only a comment\n",
            "f: no header; the first line must be id,name,mac,ip,group,owner,kind",
        ),
        ("name,mac\nAnn,\n", "f:1: the header has no column \"id\""),
        (
            "id,group\nann,pupils\n",
            "f:2: unknown group \"pupils\"; did you mean \"pupil\"?",
        ),
        (
            "id,name\nann,\"Ann\nben,Ben\n",
            "f:2: a quote is opened and not closed here",
        ),
    ] {
        let (_, complaints) = inventory("f", text);
        assert_eq!(said(&complaints).first().map(String::as_str), Some(wanted));
    }
    let (marked, complaints) = inventory("f", "\u{feff}id,name\r\nann,Ann\r\n");
    assert_eq!((marked.devices().len(), complaints.len()), (1, 0));
}

#[test]
fn a_question_finds_the_device_and_group_that_the_table_says() {
    let (inventory, _) = inventory("good.csv", include_str!("good.csv"));
    let read = leases::read("find.leases", Format::Dnsmasq, include_str!("find.leases"));
    assert_eq!(said(&read.complaints), [""; 0]);
    let leases = Leases::new([&read]);
    let now = Timestamp::from_second(1_795_266_000).unwrap();
    let mut wrong = String::new();
    for (line, row) in rows(include_str!("find.txt")) {
        let (question, wanted) = row.split_once(" -> ").expect("an arrow");
        let (sender, options) = question.split_once('|').expect("a bar");
        let words: Vec<&str> = sender.split_whitespace().collect();
        let id = words.iter().skip_while(|word| **word != "id").nth(1);
        let options = wire(options);
        let from = words[0].parse().expect("an address");
        let identity = identify(from, words.contains(&"router"), &options, id.copied(), None);
        let who = find(&identity, &inventory, &leases, network, GUEST, now);
        let got = shown(&who, &inventory, &leases);
        if got != wanted {
            writeln!(wrong, "find.txt:{line}: wanted {wanted}, got {got}").unwrap();
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

fn network(ip: IpAddr) -> Option<u16> {
    match ip {
        IpAddr::V4(v4) if v4.octets().starts_with(&[10, 1]) => Some(0),
        IpAddr::V4(v4) if v4.octets().starts_with(&[10, 2]) => Some(1),
        _ => None,
    }
}

fn shown(who: &Who, inventory: &Inventory, leases: &Leases) -> String {
    let device = who.device.and_then(|handle| inventory.device(handle));
    let by = match who.grouped_by {
        GroupedBy::Device => "device",
        GroupedBy::Network => "network",
        GroupedBy::Unknown => "unknown",
    };
    let group = GROUPS[usize::from(who.group)];
    let mut text = format!("{} {group} {by}", device.map_or("-", |device| &device.id));
    if let Some(mac) = who.mac {
        write!(text, " {mac}").unwrap();
    }
    if let Some(host) = who.lease.and_then(|lease| leases.host(lease)) {
        write!(text, " {host}").unwrap();
    }
    if who.conflict {
        text.push_str(" conflict");
    }
    text
}
