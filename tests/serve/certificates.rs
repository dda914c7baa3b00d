//! The certificate's files, changed while they are served.

use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use super::eventually;
use super::school::{Folder, Plan, School};
use super::secured::{NAME, Stream, authority, config, connect_as};
use super::streams::framed;
use super::tls::next;
use super::upstream::Upstream;
use super::wire::{self, Reply};

/// A certificate of nobody's but its own, with its key.
fn made(year: i32) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![NAME.to_owned()]).unwrap();
    params.not_after = date_time_ymd(year, 1, 1);
    let certificate = params.self_signed(&key).unwrap();
    (certificate.pem(), key.serialize_pem())
}

fn plan(upstream: &Upstream) -> Plan {
    let mut plan = Plan::encrypted(&[upstream.address]);
    plan.tls = Some(format!(
        "certificate = \"chain.pem\"\nkey = \"chain.key\"\nname = \"{NAME}\"\n"
    ));
    plan
}

fn put(folder: &Folder, (chain, key): &(String, String)) {
    folder.put("chain.pem", chain);
    folder.put("chain.key", key);
}

/// Puts a certificate down for clients to believe.
fn believed(folder: &Folder, name: &str, (chain, _): &(String, String)) -> PathBuf {
    folder.put(name, chain);
    folder.path().join(name)
}

fn asks(stream: &mut Stream) -> Option<Reply> {
    let packet = framed(&wire::question(1, "bets.example", wire::A));
    stream.write_all(&packet).ok()?;
    Some(Reply::read(&next(stream)?))
}

fn is_served(school: &School, believed: &Path) -> bool {
    let config = config(believed, &["dot"]);
    let mut stream = connect_as(&config, school.tls.unwrap(), NAME);
    asks(&mut stream).is_some()
}

#[test]
fn a_new_certificate_is_taken_and_a_bad_one_leaves_the_old_one_serving() {
    let upstream = Upstream::plain();
    let folder = plan(&upstream).write();
    folder.refresh();
    let (first, second, third) = (made(2040), made(2041), made(2042));
    put(&folder, &first);
    let believe = |name, pair| believed(&folder, name, pair);
    let [a, b, c] = [("a", &first), ("b", &second), ("c", &third)].map(|(n, p)| believe(n, p));
    let school = School::start(folder);
    assert!(is_served(&school, &a) && !is_served(&school, &b));
    let mut open = connect_as(&config(&a, &["dot"]), school.tls.unwrap(), NAME);
    assert!(asks(&mut open).is_some());

    put(&school.folder, &second);
    eventually("the new certificate", || {
        is_served(&school, &b).then_some(())
    });
    assert!(asks(&mut open).is_some(), "who was there stays");
    let ends = school.metric("schoolgate_certificate_expiry_seconds");
    assert!((ends - 2_240_611_200.0).abs() < 1.0, "{ends}");

    let mismatch = (third.0.clone(), first.1.clone());
    let expired = made(2020);
    let garbage = ("no certificate\n".to_owned(), second.1.clone());
    let cut = (third.0[..200].to_owned(), third.1.clone());
    let refused = || school.stderr().matches("certificate refused").count();
    for (n, bad) in [mismatch, garbage, cut, expired].iter().enumerate() {
        put(&school.folder, bad);
        eventually("the bad one to be told", || {
            (refused() == n + 1).then_some(())
        });
        assert!(school.metric("schoolgate_certificate_ok") < 0.5);
        assert!(is_served(&school, &b));
    }
    // Once each.
    std::thread::sleep(std::time::Duration::from_millis(2200));
    assert_eq!(refused(), 4, "{}", school.stderr());

    put(&school.folder, &third);
    school.server.signal(Signal::SIGHUP);
    eventually("the third certificate", || {
        is_served(&school, &c).then_some(())
    });
    assert!(school.metric("schoolgate_certificate_ok") > 0.5);
    for (_, key) in [first, second, third] {
        let line = key.lines().nth(1).unwrap();
        assert!(!school.stderr().contains(line), "a key in the log");
    }
}

#[test]
fn without_a_certificate_the_rest_works_until_there_is_one() {
    let upstream = Upstream::plain();
    let school = plan(&upstream).start();
    assert_eq!(school.ask("bets.example").errors, [15]);
    assert!(school.metric("schoolgate_certificate_ok") < 0.5);
    let checked = || String::from_utf8(school.folder.run(&["check"]).stdout).unwrap();
    let warning = "warning: schoolgate.toml: no encrypted DNS: ";
    assert!(checked().contains(warning), "{}", checked());
    let pair = made(2040);
    let believed = believed(&school.folder, "a", &pair);
    assert!(!is_served(&school, &believed));
    put(&school.folder, &pair);
    assert!(!checked().contains(warning), "{}", checked());
    eventually("the certificate", || {
        is_served(&school, &believed).then_some(())
    });
    assert!(school.metric("schoolgate_certificate_ok") > 0.5);
}

#[test]
fn a_private_authority_stays_and_keeps_its_keys() {
    let upstream = Upstream::plain();
    let school = Plan::encrypted(&[upstream.address]).start();
    let ca = authority(&school.folder.state());
    let before = std::fs::read(&ca).unwrap();
    assert!(is_served(&school, &ca));
    // A device's id before the name, another of our names, and a stranger's.
    let config = config(&ca, &["dot"]);
    let tls = school.tls.unwrap();
    for (name, fits) in [
        (format!("ipad-7.{NAME}"), true),
        ("localhost".to_owned(), true),
        ("127.0.0.1".to_owned(), true),
        ("www.example".to_owned(), false),
    ] {
        let served = asks(&mut connect_as(&config, tls, &name)).is_some();
        assert_eq!(served, fits, "{name}");
    }
    for entry in std::fs::read_dir(ca.parent().unwrap()).unwrap() {
        let mode = entry.unwrap().metadata().unwrap().mode();
        assert_eq!(mode & 0o077, 0);
    }
    let school = School::start(school.stop());
    assert_eq!(std::fs::read(&ca).unwrap(), before);
    assert!(is_served(&school, &ca));
}
