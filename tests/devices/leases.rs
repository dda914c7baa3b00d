//! Lease files: `tests/devices/leases/FILE` gives `FILE.golden`. Their
//! beginnings were written by dnsmasq 2.90, Kea 2.2 and ISC dhcpd 4.4; what
//! those do not write on a good day was added by hand.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, SystemTime};

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use schoolgate::devices::leases::watch::{LeaseFile, Watcher};
use schoolgate::devices::leases::{self, Format, Leases, Read};

fn shown(read: &Read) -> String {
    let table = Leases::new([read]);
    let mut all: Vec<_> = table.all().iter().collect();
    all.sort_by_key(|lease| lease.ip);
    let mut text = String::new();
    for lease in all {
        let mac = lease.mac.map_or("-".to_owned(), |mac| mac.to_string());
        let host = lease.host.as_deref().unwrap_or("-");
        let end = lease
            .expires
            .map_or("open".to_owned(), |end| end.to_string());
        writeln!(text, "{} {mac} {host} {end}", lease.ip).unwrap();
    }
    for complaint in &read.complaints {
        writeln!(text, "{complaint}").unwrap();
    }
    text
}

#[test]
fn each_format_is_read_as_its_golden_file_says() {
    for (file, format) in [
        ("dnsmasq.leases", Format::Dnsmasq),
        ("kea4.csv", Format::Kea),
        ("kea6.csv", Format::Kea),
        ("isc.leases", Format::Isc),
    ] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/devices/leases");
        let text = fs::read_to_string(folder.join(file)).unwrap();
        let golden = fs::read_to_string(folder.join(format!("{file}.golden"))).unwrap_or_default();
        let got = shown(&leases::read(file, format, &text));
        assert!(
            got == golden,
            "{file} is read as:
{got}"
        );
    }
}

proptest! {
    #[test]
    fn any_text_is_read_without_panic(text in "(lease|ends|duid|address|[0-9.:/,;{}\"# \\\\\n]|\\PC){0,80}") {
        for format in Format::ALL {
            let _ = leases::read("f", format, &text);
        }
    }

    #[test]
    fn a_file_cut_anywhere_is_read_as_far_as_it_goes(cut in any::<prop::sample::Index>()) {
        let text = include_str!("leases/isc.leases");
        let cut = cut.index(text.len());
        let read = leases::read("f", Format::Isc, &text[..cut]);
        let whole = text[..cut].matches("\n}").count();
        prop_assert!(read.changes.len() + read.bad >= whole.saturating_sub(3));
    }
}

/// A watched file in a folder of its own. Time is the file system's, so that
/// nothing here depends on the clock.
struct Watch {
    folder: tempfile::TempDir,
    watcher: Watcher,
    now: Timestamp,
}

impl Watch {
    fn new(name: &str, format: Format) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        Self {
            watcher: Watcher::new(vec![LeaseFile { path, format }]),
            folder,
            now: Timestamp::from_second(1_795_266_000).unwrap(),
        }
    }

    /// Writes a file as if it happened now.
    fn write(&self, name: &str, text: &str) {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        let seconds = u64::try_from(self.now.as_second()).unwrap();
        let when = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        File::open(&path).unwrap().set_modified(when).unwrap();
    }

    fn after(&mut self, seconds: i64) -> Option<Leases> {
        self.now += SignedDuration::from_secs(seconds);
        self.watcher.poll(self.now)
    }

    fn trouble(&self) -> Option<String> {
        let (_, state) = self.watcher.states().next().unwrap();
        state.trouble.clone()
    }

    fn host(&self, leases: &Leases, ip: &str) -> Option<String> {
        let ip: IpAddr = ip.parse().unwrap();
        let lease = leases.at(ip, self.now)?;
        leases.host(lease).map(str::to_owned)
    }
}

#[test]
fn a_change_is_seen_and_a_missing_or_half_written_file_changes_nothing() {
    let mut watch = Watch::new("dnsmasq.leases", Format::Dnsmasq);
    assert!(watch.after(1).is_none());
    assert!(watch.trouble().unwrap().contains("No such file"));

    watch.write("dnsmasq.leases", "0 02:00:00:00:09:07 10.0.0.5 one *\n");
    let first = watch.after(5).unwrap();
    assert_eq!(watch.host(&first, "10.0.0.5").as_deref(), Some("one"));
    assert_eq!(watch.trouble(), None);
    assert!(watch.after(5).is_none(), "nothing changed");

    // Emptied, then a part, then the whole: what dnsmasq does.
    watch.write("dnsmasq.leases", "");
    assert!(watch.after(1).is_none());
    watch.write("dnsmasq.leases", "0 02:00:00:00:09:07 10.0.0.5 tw");
    assert!(watch.after(1).is_none());
    assert!(watch.trouble().unwrap().starts_with("half-written"));
    watch.write("dnsmasq.leases", "0 02:00:00:00:09:07 10.0.0.5 two *\n");
    let second = watch.after(1).unwrap();
    assert_eq!(watch.host(&second, "10.0.0.5").as_deref(), Some("two"));

    // A second change within the same time stamp.
    watch.write("dnsmasq.leases", "0 02:00:00:00:09:07 10.0.0.5 tri *\n");
    let third = watch.after(1).unwrap();
    assert_eq!(watch.host(&third, "10.0.0.5").as_deref(), Some("tri"));

    fs::remove_file(watch.folder.path().join("dnsmasq.leases")).unwrap();
    assert!(watch.after(5).is_none());
    assert!(watch.trouble().is_some());

    // A file that stays empty is empty: no lease is left.
    watch.write("dnsmasq.leases", "");
    assert!(watch.after(1).is_none());
    assert!(watch.after(11).unwrap().is_empty());
}

#[test]
fn what_keas_clean_up_moved_aside_still_counts() {
    let header = "address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,user_context\n";
    let row =
        |ip: &str, host: &str| format!("{ip},02:00:00:00:09:07,,3600,1795299999,1,0,0,{host},0,\n");
    let mut watch = Watch::new("k.csv", Format::Kea);
    watch.write(
        "k.csv",
        &[header, &row("10.0.0.5", "one"), &row("10.0.0.6", "old")].concat(),
    );
    assert_eq!(watch.after(5).unwrap().len(), 2);
    // The journal becomes `.1`, a new one begins ...
    watch.write(
        "k.csv.1",
        &[header, &row("10.0.0.5", "one"), &row("10.0.0.6", "old")].concat(),
    );
    watch.write("k.csv", header);
    assert_eq!(watch.after(5).unwrap().len(), 2);
    watch.write("k.csv", &[header, &row("10.0.0.6", "new")].concat());
    let during = watch.after(5).unwrap();
    assert_eq!(watch.host(&during, "10.0.0.6").as_deref(), Some("new"));
    // ... `.1` is condensed into `.completed`, which becomes `.2`.
    watch.write(
        "k.csv.completed",
        &[header, &row("10.0.0.5", "one")].concat(),
    );
    assert_eq!(watch.after(5).unwrap().len(), 2);
    let at = |name: &str| watch.folder.path().join(name);
    fs::rename(at("k.csv.completed"), at("k.csv.2")).unwrap();
    fs::remove_file(at("k.csv.1")).unwrap();
    assert!(watch.after(5).is_none(), "the same rows by another name");
    watch.write("k.csv", &[header, &row("10.0.0.6", "newer")].concat());
    let after = watch.after(5).unwrap();
    assert_eq!(watch.host(&after, "10.0.0.5").as_deref(), Some("one"));
    assert_eq!(watch.host(&after, "10.0.0.6").as_deref(), Some("newer"));
}
