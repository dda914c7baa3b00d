//! Bundles: what is in them, who can open them, and whether a change shows.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use jiff::Timestamp;
use schoolgate::configuration::Configuration;
use schoolgate::incidents::book::Book;
use schoolgate::incidents::casework::Word;
use schoolgate::incidents::hours::SchoolHours;
use schoolgate::reports::key::{Key, PublicKey};
use schoolgate::reports::pack::{Export, Packed};
use schoolgate::reports::rows::{MandatoryHosts, Span};
use schoolgate::reports::subject::{Subject, Whose};
use schoolgate::reports::verify::{Expected, verify};
use schoolgate::reports::{Actor, evidence};
use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

use super::{deeds, few_rows, fine, hours_ago, refused};
use crate::dashboard::seed;
use crate::serve::school::{Folder, PROGRAM};

/// The name of a file in a bundle and what stands in it.
type Member<'a> = (&'a str, &'a [u8]);
/// All of them.
type Members = BTreeMap<String, Vec<u8>>;

const WHY: &str = "Safeguarding meeting of 21 November";

/// Evidence about the device that tried, taken out over the command line.
fn taken_out(folder: &Folder, more: &[&str]) -> PathBuf {
    let file = folder.path().join("evidence.zip");
    let out = file.to_str().unwrap();
    let mut verb = vec!["report", "evidence", "--why", WHY, "--out", out];
    verb.extend(["--device", seed::TRIED].iter().chain(more));
    fine(&folder.run(&verb));
    file
}

pub(super) fn members(bytes: &[u8]) -> Members {
    let mut zip = ZipArchive::new(Cursor::new(bytes)).unwrap();
    let names: Vec<String> = (0..zip.len())
        .map(|at| zip.by_index(at).unwrap().name().unwrap().into_owned())
        .collect();
    let read = names.into_iter().map(|name| {
        let mut bytes = Vec::new();
        zip.by_name(&name).unwrap().read_to_end(&mut bytes).unwrap();
        (name, bytes)
    });
    read.collect()
}

/// The same files in another ZIP file.
fn packed(members: &[Member<'_>]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn faults(bytes: &[u8]) -> Vec<String> {
    verify(bytes, &Expected::Any).faults
}

/// Verifies elsewhere: in an empty folder, without a configuration.
fn verified(file: &Path, more: &[&str]) -> (i32, String) {
    let elsewhere = tempfile::tempdir().unwrap();
    let output = Command::new(PROGRAM)
        .args(["report", "verify"])
        .arg(file)
        .args(more)
        .current_dir(elsewhere.path())
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.code().unwrap(),
        String::from_utf8(said).unwrap(),
    )
}

#[test]
fn evidence_has_the_rows_the_rules_and_the_reason() {
    let folder = seed::plan().start().stop();
    let mut log = seed::Log::new(&folder, &super::london());
    log.visit(hours_ago(3), seed::TRIED, "self_harm", seed::TRIED_SITE, 3);
    log.visit(hours_ago(2), "ipad-7a-01", "games", "blockworld.example", 2);
    log.mandatory(hours_ago(1), seed::TRIED, seed::MANDATORY);
    log.write(Timestamp::now());
    let file = taken_out(&folder, &[]);
    let all = members(&fs::read(&file).unwrap());
    let names: Vec<String> = all.keys().map(|name| without_hash(name)).collect();
    assert_eq!(
        names,
        [
            "README.txt",
            "devices-#.csv",
            "incidents.json",
            "lists.json",
            "manifest.json",
            "notes.json",
            "policies.json",
            "policy-#.toml",
            "public-key.pem",
            "rows.csv",
            "rows.json",
            "signature.ed25519",
        ]
    );
    let text = |name: &str| {
        let found = all.iter().find(|(own, _)| without_hash(own) == name);
        String::from_utf8(found.unwrap().1.clone()).unwrap()
    };
    let rows: serde_json::Value = serde_json::from_str(&text("rows.json")).unwrap();
    let asked: Vec<&str> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        asked,
        [
            "www.hurt-diary.example",
            "cdn.hurt-diary.example",
            "img.hurt-diary.example",
            "(withheld)"
        ]
    );
    assert_eq!(text("rows.csv").lines().count(), 5);
    // not even which list the withheld host is on.
    let sources: Vec<_> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["source"].as_str())
        .collect();
    let harm = Some("test-self_harm");
    assert_eq!(sources, [harm, harm, harm, None]);
    assert!(text("rows.csv").contains("test-self_harm"));
    assert!(!text("rows.csv").contains("test-illegal"));
    assert!(text("policy-#.toml").contains("Meadowbrook"));
    // The device's own line, and no other child's.
    assert_eq!(text("devices-#.csv").lines().count(), 2);
    for (name, bytes) in &all {
        let text = String::from_utf8_lossy(bytes);
        assert!(!text.contains(seed::MANDATORY), "{name}");
        assert!(!text.contains("ipad-7a-01"), "{name}");
    }
    let manifest: serde_json::Value = serde_json::from_str(&text("manifest.json")).unwrap();
    assert_eq!(manifest["why"], WHY);
    assert_eq!(manifest["exported_by"], "console");
    let done = deeds(&folder, "exported_evidence");
    assert_eq!(done.len(), 1);
    assert_eq!(done[0]["about"]["rows"], 4);
    assert_eq!(done[0]["about"]["mandatory_hosts"], false);
}

fn without_hash(name: &str) -> String {
    match (name.split_once('-'), name.rsplit_once('.')) {
        (Some((first, rest)), Some((_, ending))) if rest.len() == 12 + 1 + ending.len() => {
            format!("{first}-#.{ending}")
        }
        _ => name.to_owned(),
    }
}

/// Who gets it need not have our program.
#[test]
fn others_can_open_and_check_it() {
    let folder = few_rows();
    let file = taken_out(&folder, &[]);
    let unpacked = folder.path().join("unpacked");
    let python = format!(
        "import zipfile; z = zipfile.ZipFile({file:?}); assert z.testzip() is None; z.extractall({unpacked:?})"
    );
    let output = Command::new("python3")
        .args(["-c", &python])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    match Command::new("unzip").arg("-tqq").arg(&file).output() {
        Ok(output) => assert!(output.status.success(), "{output:?}"),
        Err(error) => println!("SKIPPED: unzip -t: {error}"),
    }
    let check = Command::new("openssl")
        .args(["pkeyutl", "-verify", "-pubin", "-inkey", "public-key.pem"])
        .args([
            "-rawin",
            "-in",
            "manifest.json",
            "-sigfile",
            "signature.ed25519",
        ])
        .current_dir(&unpacked)
        .output()
        .unwrap();
    assert!(check.status.success(), "{check:?}");
    let manifest = fs::read(unpacked.join("manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    for file in manifest["files"].as_array().unwrap() {
        let name = file["name"].as_str().unwrap();
        let output = Command::new("sha256sum")
            .arg(name)
            .current_dir(&unpacked)
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(said.starts_with(file["sha256"].as_str().unwrap()), "{name}");
    }
}

#[test]
fn verifying_needs_nothing_but_the_file_and_says_whose_key_to_compare() {
    let folder = few_rows();
    let file = taken_out(&folder, &[]);
    let printed = fine(&folder.run(&["report", "key"]));
    let fingerprint = printed
        .lines()
        .next()
        .unwrap()
        .strip_prefix("fingerprint ")
        .unwrap();
    let (status, said) = verified(&file, &[]);
    assert_eq!(status, 0, "{said}");
    for word in [WHY, fingerprint, "Meadowbrook School", "compare", "5 rows"] {
        assert!(said.contains(word), "{word}: {said}");
    }
    let key_file = folder.path().join("school.key");
    fs::write(&key_file, &printed).unwrap();
    let key_file = key_file.to_str().unwrap();
    for key in [
        fingerprint,
        &fingerprint.replace(' ', "").to_uppercase(),
        key_file,
    ] {
        let (status, said) = verified(&file, &["--key", key]);
        assert_eq!(status, 0, "{said}");
        assert!(said.contains("That is the key you named"), "{said}");
    }
    let other = tempfile::tempdir().unwrap();
    let other = Key::open(other.path()).unwrap().public();
    fs::write(key_file, other.pem()).unwrap();
    for key in [&*other.fingerprint(), key_file] {
        let (status, said) = verified(&file, &["--key", key]);
        assert_eq!(status, 1, "{said}");
        assert!(said.contains("another key"), "{said}");
    }
    let (status, said) = verified(&file, &["--key", "no such file"]);
    assert_eq!(status, 2, "{said}");
    let (status, said) = verified(&folder.path().join("none.zip"), &[]);
    assert_eq!(status, 2, "{said}");
    let (status, said) = verified(&folder.path().join("policy.toml"), &[]);
    assert_eq!(
        (status, said.contains("no whole ZIP file")),
        (1, true),
        "{said}"
    );
}

/// Makes a small bundle without the command line.
fn small(folder: &Folder, hosts: MandatoryHosts) -> Packed {
    let configuration = Configuration::load(folder.path()).map_err(|_| ()).unwrap();
    let state_dir = configuration.settings.state_dir.clone();
    let book = Book::open(&state_dir, SchoolHours::of(&configuration.document));
    let whose = Whose::Device(seed::TRIED.to_owned());
    let subject = Subject::find(whose, &configuration.devices).unwrap();
    let now = Timestamp::now();
    let export = Export {
        configuration: &configuration,
        book: &book,
        actor: &Actor {
            who: "d.lead".to_owned(),
            from: Some([10, 0, 0, 9].into()),
        },
        why: WHY,
        now,
    };
    let span = Span {
        since: None,
        until: now,
    };
    evidence::of_subject(export, &subject, span, hosts).unwrap()
}

#[test]
fn every_flipped_byte_shows() {
    let packed = small(&few_rows(), MandatoryHosts::Withheld);
    assert_eq!(faults(&packed.bytes), [""; 0]);
    assert!(packed.bytes.len() < 20_000, "{}", packed.bytes.len());
    let mut bent = packed.bytes.clone();
    for at in 0..bent.len() {
        bent[at] ^= 1 << (at % 8);
        let faults = faults(&bent);
        assert!(!faults.is_empty(), "byte {at}");
        assert!(faults.iter().all(|fault| fault.len() > 15), "{faults:?}");
        bent[at] = packed.bytes[at];
    }
    for length in (0..bent.len()).step_by(97) {
        assert!(!faults(&bent[..length]).is_empty(), "{length} bytes");
    }
    let longer = [&packed.bytes[..], b"x"].concat();
    assert!(!faults(&longer).is_empty());
    assert!(!faults(&[b"x", &packed.bytes[..]].concat()).is_empty());
}

#[test]
fn what_is_taken_out_put_in_or_packed_anew_is_named() {
    let packed_by_us = small(&few_rows(), MandatoryHosts::Withheld);
    let all = members(&packed_by_us.bytes);
    let of = |change: &dyn Fn(&mut Members)| {
        let mut changed = all.clone();
        change(&mut changed);
        let list: Vec<Member<'_>> = changed.iter().map(|(n, b)| (&**n, &**b)).collect();
        faults(&packed(&list)).join("\n")
    };
    let said = of(&|_| ());
    assert!(
        said.contains("every file in it is as it was signed"),
        "{said}"
    );
    let said = of(&|all| drop(all.remove("rows.csv")));
    assert!(said.contains("rows.csv is missing"), "{said}");
    let said = of(&|all| drop(all.insert("more.txt".to_owned(), b"x".to_vec())));
    assert!(said.contains("more.txt was not in it"), "{said}");
    let said = of(&|all| all.get_mut("rows.csv").unwrap().push(b'x'));
    assert!(said.contains("rows.csv has been changed"), "{said}");
    let said = of(&|all| all.get_mut("manifest.json").unwrap().push(b' '));
    assert!(said.contains("nothing it says counts"), "{said}");
    let said = of(&|all| drop(all.remove("signature.ed25519")));
    assert!(said.contains("signature.ed25519 is missing"), "{said}");
}

/// Somebody who signs it again with a key of their own is found by comparing.
#[test]
fn another_appliances_signature_is_another_key() {
    let one = small(&few_rows(), MandatoryHosts::Withheld);
    let other = small(&few_rows(), MandatoryHosts::Withheld);
    assert_ne!(one.fingerprint, other.fingerprint);
    let expected = Expected::Fingerprint(one.fingerprint);
    assert!(verify(&one.bytes, &expected).is_sound());
    let verdict = verify(&other.bytes, &expected);
    assert!(
        verdict.faults[0].contains("another key"),
        "{:?}",
        verdict.faults
    );
}

#[test]
fn hostile_files_are_refused_with_words() {
    let long = vec![0; 64 << 20];
    let cases: [(&[Member<'_>], &str); 6] = [
        (&[("../../etc/passwd", b"x")], "no bundle has"),
        (&[("/etc/passwd", b"x")], "no bundle has"),
        (&[("a\\b", b"x")], "no bundle has"),
        (&[(".ssh", b"x")], "no bundle has"),
        (&[("manifest.json", &long)], "longer than it may be"),
        (&[("a", b"x")], "manifest.json is missing"),
    ];
    for (members, says) in cases {
        let said = faults(&packed(members)).join("\n");
        assert!(said.contains(says), "{says}: {said}");
    }
    let many: Vec<String> = (0..300).map(|n| format!("f{n}")).collect();
    let many: Vec<Member<'_>> = many.iter().map(|name| (&**name, &b"x"[..])).collect();
    let said = faults(&packed(&many)).join("\n");
    assert!(said.contains("300 files"), "{said}");
    // A manifest of somebody's own that promises more than a disk holds.
    let packed_by_us = small(&few_rows(), MandatoryHosts::Withheld);
    let mut all = members(&packed_by_us.bytes);
    let mut manifest: serde_json::Value = serde_json::from_slice(&all["manifest.json"]).unwrap();
    manifest["files"][0]["bytes"] = u64::MAX.into();
    all.insert(
        "manifest.json".to_owned(),
        manifest.to_string().into_bytes(),
    );
    let list: Vec<Member<'_>> = all.iter().map(|(n, b)| (&**n, &**b)).collect();
    let said = faults(&packed(&list)).join("\n");
    assert!(said.contains("longer than any bundle"), "{said}");
    for junk in [&b""[..], b"PK\x05\x06", &[0; 22], &[0xff; 1000]] {
        assert!(!faults(junk).is_empty());
    }
}

#[test]
fn mandatory_hosts_are_told_to_who_may_ask_and_it_is_recorded() {
    let folder = few_rows();
    let told = small(&folder, MandatoryHosts::Told);
    let all = members(&told.bytes);
    let rows = String::from_utf8_lossy(&all["rows.csv"]).into_owned();
    assert!(rows.contains(seed::MANDATORY), "{rows}");
    assert!(rows.contains("test-illegal"), "{rows}");
    let done = deeds(&folder, "exported_evidence");
    assert_eq!(done[0]["about"]["mandatory_hosts"], true);
    assert_eq!(done[0]["who"], "d.lead");
    assert_eq!(done[0]["from"], "10.0.0.9");
    // There is no such thing on a command line, which does not know who types.
    let help = fine(&folder.run(&["report", "evidence", "--help"]));
    assert!(!help.contains("mandatory"), "{help}");
}

#[test]
fn evidence_is_not_written_over_and_not_made_without_a_reason() {
    let folder = few_rows();
    let file = taken_out(&folder, &[]);
    let out = file.to_str().unwrap();
    let verb = [
        "report",
        "evidence",
        "--device",
        seed::TRIED,
        "--out",
        out,
        "--why",
    ];
    let run = |why: &str| refused(&folder.run(&[&verb[..], &[why]].concat()));
    assert!(run(WHY).contains("exists"));
    fs::remove_file(&file).unwrap();
    for why in ["", "  ", "..."] {
        assert!(run(why).contains("say why"));
        assert!(!file.exists());
    }
    assert_eq!(deeds(&folder, "exported_evidence").len(), 1);
    let nobody = [
        "report", "evidence", "--person", "Nobody", "--out", out, "--why", WHY,
    ];
    assert!(refused(&folder.run(&nobody)).contains("whose owner"));
    let whose = ["report", "evidence", "--out", out, "--why", WHY];
    assert!(refused(&folder.run(&whose)).contains("--device or --person"));
    let mut verb = vec![
        "report",
        "evidence",
        "--why",
        WHY,
        "--out",
        out,
        "--device",
        seed::TRIED,
    ];
    verb.extend(["--since", "2h", "--until", "3h"]);
    assert!(refused(&folder.run(&verb)).contains("ends before it begins"));
}

#[test]
fn an_incident_is_taken_out_by_its_number() {
    let folder = few_rows();
    let id = folder.log()[0]["time"]
        .as_str()
        .unwrap()
        .parse::<Timestamp>()
        .unwrap();
    let rows = read_first(&folder);
    assert_eq!(id.as_second(), rows.as_second());
    let file = folder.path().join("incident.zip");
    let number = rows.as_microsecond().to_string();
    let verb = [
        "report",
        "evidence",
        "--incident",
        &number,
        "--why",
        WHY,
        "--out",
    ];
    fine(&folder.run(&[&verb[..], &[file.to_str().unwrap()]].concat()));
    let all = members(&fs::read(&file).unwrap());
    let rows: serde_json::Value = serde_json::from_slice(&all["rows.json"]).unwrap();
    assert_eq!(rows.as_array().unwrap().len(), 3);
    let incidents: serde_json::Value = serde_json::from_slice(&all["incidents.json"]).unwrap();
    assert_eq!(incidents[0]["domain"], seed::TRIED_SITE);
    assert_eq!(incidents[0]["count"], 3);
    let nothing = folder.path().join("nothing.zip");
    let verb = [
        "report",
        "evidence",
        "--incident",
        "1",
        "--why",
        WHY,
        "--out",
    ];
    let said = refused(&folder.run(&[&verb[..], &[nothing.to_str().unwrap()]].concat()));
    assert!(said.contains("no incident 1"), "{said}");
    assert!(!nothing.exists());
}

/// The moment of the first row, to the microsecond.
fn read_first(folder: &Folder) -> Timestamp {
    let rows = schoolgate::querylog::read::rows(
        &folder.state().join("querylog"),
        &super::london(),
        schoolgate::querylog::filter::Filter::default(),
    );
    rows.unwrap().next().unwrap().unwrap().time
}

/// everything about them, nothing about others, and no mandatory host.
#[test]
fn subject_access_is_complete() {
    let folder = few_rows();
    let configuration = Configuration::load(folder.path()).map_err(|_| ()).unwrap();
    let book = Book::open(&folder.state(), SchoolHours::of(&configuration.document));
    let opened = book.incident(read_first(&folder)).unwrap().unwrap();
    let note = Word::Note("Spoke with the parents.".to_owned());
    book.casework()
        .add(&opened.incident, "d.lead", &note, Timestamp::now())
        .unwrap();
    taken_out(&folder, &[]);
    let file = folder.path().join("subject.zip");
    let verb = [
        "report",
        "subject",
        "--device",
        seed::TRIED,
        "--why",
        "asked by parent",
        "--out",
    ];
    let said = fine(&folder.run(&[&verb[..], &[file.to_str().unwrap()]].concat()));
    assert!(said.contains("notes.json"), "{said}");
    let all = members(&fs::read(&file).unwrap());
    let text = |name: &str| String::from_utf8_lossy(&all[name]).into_owned();
    let asked = folder.log();
    let theirs = asked
        .iter()
        .filter(|row| row["device"] == seed::TRIED)
        .count();
    assert_eq!(text("rows.csv").lines().count(), theirs + 1);
    assert!(text("notes.json").contains("Spoke with the parents."));
    assert!(text("devices.csv").contains(seed::TRIED_NAME));
    let record: serde_json::Value = serde_json::from_slice(&all["record.json"]).unwrap();
    assert_eq!(record[0]["what"], "exported_evidence");
    for (name, bytes) in &all {
        let text = String::from_utf8_lossy(bytes);
        assert!(!text.contains(seed::MANDATORY), "{name}");
        assert!(!text.contains("ipad-7a-01"), "{name}");
    }
    assert_eq!(verified(&file, &[]).0, 0);
    assert_eq!(deeds(&folder, "exported_subject_access").len(), 1);
    // By the person: each of their devices.
    let person = folder.path().join("person.zip");
    let owner = owner_of(&folder, seed::TRIED);
    let verb = [
        "report",
        "subject",
        "--person",
        &owner,
        "--why",
        "asked by parent",
        "--out",
    ];
    fine(&folder.run(&[&verb[..], &[person.to_str().unwrap()]].concat()));
    let all = members(&fs::read(&person).unwrap());
    assert!(String::from_utf8_lossy(&all["rows.csv"]).contains(seed::TRIED_SITE));
}

fn owner_of(folder: &Folder, device: &str) -> String {
    let text = fs::read_to_string(folder.path().join("devices.csv")).unwrap();
    let line = text.lines().find(|line| line.starts_with(device)).unwrap();
    line.split(',').nth(5).unwrap().to_owned()
}

/// The key is what `report key` shows, and stays on the machine.
#[test]
fn the_key_is_one_and_its_public_half_is_in_the_bundle() {
    let folder = few_rows();
    let printed = fine(&folder.run(&["report", "key"]));
    let public = PublicKey::from_pem(printed.split_once('\n').unwrap().1).unwrap();
    let all = members(&small(&folder, MandatoryHosts::Withheld).bytes);
    let pem = String::from_utf8(all["public-key.pem"].clone()).unwrap();
    assert_eq!(PublicKey::from_pem(&pem), Some(public));
    let private = fs::read(folder.state().join("evidence/key")).unwrap();
    for bytes in all.values() {
        assert!(memchr::memmem::find(bytes, &private[16..48]).is_none());
    }
}
