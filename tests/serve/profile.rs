//! `schoolgate profile`, and a device that does what the profile says.

use std::os::unix::fs::PermissionsExt;
use std::process::Output;

use data_encoding::BASE64URL_NOPAD;

use super::has;
use super::school::{Folder, Plan, School};
use super::upstream::{ADDRESS, Upstream};
use super::wire::{self, Reply};

const DEVICES: &str = "id,name,mac,ip,group,owner,kind,client_id
tablet,Tablet & pen,,,staff,Ms Gray,tablet,k3v9x2qm7w4tz5b6n2ch
kiosk/1,Kiosk,,,pupil,Library,kiosk,w5k2n7c4v3m6t2z7x3qa
laptop,Laptop,,,pupil,Class 3,laptop,
";

fn school(upstream: &Upstream) -> School {
    let mut plan = Plan::encrypted(&[upstream.address]);
    DEVICES.clone_into(&mut plan.devices);
    let school = plan.start();
    // The ports that the system chose stand in the settings now.
    let settings = school.folder.path().join("schoolgate.toml");
    let mut text = std::fs::read_to_string(&settings).unwrap();
    for (key, listener) in [("tls", school.tls), ("https", school.https)] {
        let chosen = format!("{key} = [\"{}\"]", listener.unwrap());
        text = text.replace(&format!("{key} = [\"127.0.0.1:0\"]"), &chosen);
    }
    std::fs::write(settings, text).unwrap();
    school
}

fn profile(folder: &Folder, words: &[&str]) -> (Output, String, String) {
    let output = folder.run(&[&["profile"], words].concat());
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (out, notes) = (text(&output.stdout), text(&output.stderr));
    (output, out, notes)
}

#[test]
fn a_device_that_does_as_its_profile_says_is_known() {
    let upstream = Upstream::plain();
    let school = school(&upstream);
    let folder = &school.folder;
    let (output, out, _) = profile(folder, &["--device", "tablet", "--format", "firefox"]);
    assert!(output.status.success());
    let first = out.split("====").nth(2).unwrap();
    let policy: serde_json::Value = serde_json::from_str(first).unwrap();
    let url = &policy["policies"]["DNSOverHTTPS"]["ProviderURL"];
    if !has("curl", "DNS over HTTPS as a profile says") {
        return;
    }
    let query = BASE64URL_NOPAD.encode(&wire::question(0, "bets.example", wire::A));
    let got = school.fetch(&[&format!("{}?dns={query}", url.as_str().unwrap())]);
    assert_eq!(got.status, 200, "{}", got.headers);
    // The same from the same address, without: a pupil of 127.0.0.1.
    assert_eq!(Reply::read(&got.body).addresses(), [ADDRESS]);
    assert_eq!(school.ask("bets.example").errors, [15]);
    let rows = school.stop().log();
    assert!(rows.iter().any(|row| row["device"] == "tablet"), "{rows:?}");
}

#[test]
fn a_device_without_a_secret_is_refused_and_told_a_fresh_one() {
    let upstream = Upstream::plain();
    let school = school(&upstream);
    let fresh = || {
        let (output, out, notes) = profile(&school.folder, &["--device", "laptop"]);
        assert_eq!((output.status.code(), &*out), (Some(1), ""));
        assert!(notes.contains("has no client_id"), "{notes}");
        notes.trim_end().rsplit(' ').next().unwrap().to_owned()
    };
    let (one, other) = (fresh(), fresh());
    assert_ne!(one, other);
    // What it says can be pasted.
    let with = DEVICES.replace("Class 3,laptop,", &format!("Class 3,laptop,{one}"));
    school.folder.put("devices.csv", &with);
    school.folder.put_in_force();
    let (output, ..) = profile(&school.folder, &["--device", "laptop"]);
    assert!(output.status.success());
    let (output, _, notes) = profile(&school.folder, &["--device", "tablte"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(notes.contains("did you mean \"tablet\"?"), "{notes}");
}

#[test]
fn files_are_for_their_owner_and_stay_in_their_folder() {
    let upstream = Upstream::plain();
    let school = school(&upstream);
    let out = school.folder.path().join("out");
    let words = ["--device", "kiosk/1", "--address", "203.0.113.2", "--out"];
    let words = [&words[..], &[out.to_str().unwrap()]].concat();
    for _ in 0..2 {
        let (output, said, notes) = profile(&school.folder, &words);
        assert!(output.status.success());
        assert!(
            notes.contains("Android: none, it needs DNS over TLS"),
            "{notes}"
        );
        let mut count = 0;
        for path in said.lines().map(std::path::Path::new) {
            assert_eq!(path.parent(), Some(&*out));
            let mode = std::fs::metadata(path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{}", path.display());
            count += 1;
        }
        assert_eq!(count, 6, "{said}");
    }
}

#[test]
fn the_options_for_dhcp_are_printed() {
    let upstream = Upstream::plain();
    let school = school(&upstream);
    let words = ["--dnr", "--address", "10.0.0.2", "--address", "fd00::2"];
    let (output, said, _) = profile(&school.folder, &words);
    assert!(output.status.success());
    for option in [
        "DHCPv4, option 162",
        "DHCPv6, option 144",
        "whole option 144",
    ] {
        assert!(said.contains(option), "{said}");
    }
    // Its own addresses are of loopback, and no device would find it there.
    let (output, _, notes) = profile(&school.folder, &["--dnr"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(notes.contains("--address"), "{notes}");
}
