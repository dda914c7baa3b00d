//! The configuration folder and the verb `check`.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use schoolgate::configuration::{Configuration, check};
use schoolgate::name::Name;
use schoolgate::policy::Asker;
use schoolgate::policy::compile::Live;
use schoolgate::policy::decision::Verdict;
use tempfile::TempDir;

use crate::demo_lists;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A folder with these files; what is not named is the example's.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let example = |name: &str| std::fs::read_to_string(root().join("config").join(name)).unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("schoolgate.toml", &example("schoolgate.toml"));
    write("policy.toml", &example("policy-secondary.toml"));
    write("devices.csv", &example("devices.csv"));
    for (name, text) in files {
        write(name, text);
    }
    folder
}

/// What `check` prints, and its exit code.
fn said(folder: &Path) -> (String, u8) {
    let mut out = Vec::new();
    let lists = demo_lists::load(&root().join("tests/decisions/demo.lists"));
    let code = check(folder, |_| Some(lists), |_| Vec::new(), &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    (text.replace(&folder.display().to_string(), "DIR"), code)
}

#[test]
fn the_examples_are_fine() {
    for policy in ["policy-primary.toml", "policy-secondary.toml"] {
        let text = std::fs::read_to_string(root().join("config").join(policy)).unwrap();
        let folder = folder(&[("policy.toml", &text)]);
        let (said, code) = said(folder.path());
        assert_eq!(code, 0, "{said}");
        assert!(said.starts_with("DIR is fine: "), "{policy}: {said}");
    }
    assert_eq!(
        said(&root().join("config/demo")),
        (
            "DIR is fine: 3 groups, 1 timetable, 1 exception, 1 device\n".to_owned(),
            0
        )
    );
}

#[test]
fn all_files_are_complained_of_at_once() {
    let folder = folder(&[
        ("schoolgate.toml", "[cache]\nentries = \"many\"\n"),
        (
            "policy.toml",
            "school = \"S\"\ntimezone = \"UTC\"\nunknown = \"g\"\n",
        ),
    ]);
    std::fs::write(folder.path().join("devices.csv"), "id,nam\na,b\n").unwrap();
    std::fs::write(
        folder.path().join("sources.toml"),
        "[[source]]\nid = \"x\"\n",
    )
    .unwrap();
    let expected = "\
devices.csv:1: unknown column \"nam\"; did you mean \"name\"?
policy.toml: there is no group; write at least [groups.pupil] and [groups.staff]
policy.toml:3: there is no group \"g\"; there is nothing to choose from
schoolgate.toml:2: `entries` must be a whole number from 0 to 10000000
sources.toml:1: [source] needs `category`
sources.toml:1: [source] needs `format`
sources.toml:1: [source] needs `url`, `file` or `shipped`
DIR: 7 mistakes
";
    assert_eq!(said(folder.path()), (expected.to_owned(), 1));
}

#[test]
fn a_missing_policy_says_what_to_copy() {
    let folder = folder(&[]);
    std::fs::remove_file(folder.path().join("policy.toml")).unwrap();
    let expected = "\
policy.toml: not found in DIR; copy policy-primary.toml or policy-secondary.toml to policy.toml
DIR: 1 mistake
";
    assert_eq!(said(folder.path()), (expected.to_owned(), 1));
}

#[test]
fn encrypted_listeners_that_cannot_be_found_are_a_warning() {
    let check = |tls: &str, expected: &str| {
        let settings = format!("[listen]\ntls = [\"0.0.0.0:853\"]\n[tls]\n{tls}");
        let said = said(folder(&[("schoolgate.toml", &settings)]).path()).0;
        assert_eq!(said.contains("devices are"), !expected.is_empty(), "{said}");
        assert!(said.contains(expected), "{said}");
    };
    let files = "certificate = \"chain.pem\"\nkey = \"key.pem\"\n";
    check(files, "[tls] needs `name`");
    check("private_ca = true\n", "");
    let named = format!("{files}name = \"dns.school.example\"\n");
    check(&named, "write those of this machine");
    check(&format!("{named}addresses = [\"10.0.0.2\"]\n"), "");
}

/// Over an encrypted listener anybody can write the id of another's device.
#[test]
fn devices_that_others_can_pose_as_are_a_warning() {
    let check = |listen: &str, devices: &str, expected: Option<&str>| {
        let settings = format!("[listen]\n{listen}[tls]\nprivate_ca = true\n");
        let folder = folder(&[("schoolgate.toml", &settings)]);
        let text = format!("id,group,client_id\n{devices}");
        std::fs::write(folder.path().join("devices.csv"), text).unwrap();
        let said = said(folder.path()).0;
        assert_eq!(said.contains("client_id"), expected.is_some(), "{said}");
        assert!(said.contains(expected.unwrap_or_default()), "{said}");
    };
    let three = "a,staff,\nb,staff,k3v9x2qm7w4t\nc,,\nipad-01,pupil,\n";
    for listen in ["tls", "https", "quic", "https3"] {
        let listen = format!("{listen} = [\"0.0.0.0:8853\"]\n");
        check(&listen, three, Some("devices.csv: 2 devices have groups"));
    }
    let tls = "tls = [\"0.0.0.0:8853\"]\n";
    let one = "ipad-01,pupil,k3v9x2qm7w4t\na,staff,\n";
    check(tls, one, Some("devices.csv: 1 device has a group"));
    check(tls, "ipad-01,pupil,k3v9x2qm7w4t\n", None);
    check("", three, None);
    check("tls = [\"127.0.0.1:8853\", \"[::1]:8853\"]\n", three, None);
}

#[test]
fn what_is_odd_is_a_warning() {
    let policy = "\u{feff}school = \"S\"\ntimezone = \"UTC\"\nunknown = \"all\"\n\
        [timetables.lunch]\n[timetables.lessons]\n[groups.all]\n\
        block_during = { lessons = [\"games\"] }\n\
        allow_during = { lunch = [\"games\", \"video\"] }\n";
    let settings = "[clients]\nleases = [{ file = \"none.leases\", format = \"kea\" }]\n";
    let folder = folder(&[("policy.toml", policy), ("schoolgate.toml", settings)]);
    std::fs::remove_file(folder.path().join("devices.csv")).unwrap();
    let expected = "\
warning: devices.csv: not found, so no device is known by name; begin it with the line \"id,name,mac,ip,group,owner,kind\"
warning: schoolgate.toml: there is no lease file DIR/none.leases yet
warning: policy.toml: one group for everybody; the DfE standard asks for at least a pupil and a staff profile
warning: policy.toml:8: group \"all\" allows \"games\" during lunch and blocks it during lessons; where they overlap, blocking wins
warning: policy.toml:8: group \"all\" allows \"video\" during lunch, but never blocks it
DIR is fine: 1 group, 2 timetables, 0 exceptions, 0 devices
";
    assert_eq!(said(folder.path()), (expected.to_owned(), 0));
}

#[test]
fn what_two_files_must_agree_on_is_checked() {
    let policy = "school = \"S\"\ntimezone = \"UTC\"\nunknown = \"all\"\n\
        [groups.all]\nanswer = \"page\"\n[groups.staff]\n[groups.pupil]\n\
        [[exceptions]]\nname = \"a.example\"\nverdict = \"deny\"\nreason = \"r\"\n\
        devices = [\"ipad-03\"]\n";
    let settings = "[local]\nzones = [{ name = \"lan\", file = \"lan.zone\" }]\n\
        [mail]\nserver = \"mail.school.example\"\nfrom = \"f@school.example\"\n";
    let folder = folder(&[("policy.toml", policy), ("schoolgate.toml", settings)]);
    let expected = "\
policy.toml: alerts leave this machine, and [alerts] needs `fallback`: the address of who is told where nobody else can be
policy.toml:5: group \"all\" answers with a page, but `answers.page_addresses` in schoolgate.toml is empty
policy.toml:12: there is no device \"ipad-03\"; did you mean \"ipad-01\"?
schoolgate.toml: there is no file DIR/lan.zone
DIR: 4 mistakes
";
    assert_eq!(said(folder.path()), (expected.to_owned(), 1));
}

/// `check` knows the mandatory lists too.
#[test]
fn an_exception_for_a_mandatory_name_fails() {
    let policy = std::fs::read_to_string(root().join("config/policy-primary.toml")).unwrap();
    let policy = policy.replace("scratch.mit.edu", "www.csam.example");
    let folder = folder(&[("policy.toml", &policy)]);
    let (said, code) = said(folder.path());
    assert_eq!(code, 1);
    assert!(
        said.contains("www.csam.example is illegal content; nobody can allow it"),
        "{said}"
    );
}

/// What `up` prints for a newcomer to try.
#[test]
fn the_demo_blocks_for_a_pupil_and_not_for_staff() {
    let configuration = Configuration::load(&root().join("config/demo")).unwrap();
    let lists = demo_lists::load(&root().join("tests/decisions/demo.lists"));
    let policy = configuration
        .texts
        .compile(Live {
            number: 1,
            not_before: Timestamp::UNIX_EPOCH,
            lists,
            standing: false,
        })
        .unwrap();
    let moment = policy.at("2026-09-13T12:00:00Z".parse().unwrap());
    let verdict = |ip: &str, name: &str| {
        let group = policy.networks.group_of(ip.parse().unwrap());
        let asker = Asker {
            group: group.unwrap_or(policy.unknown),
            device: None,
        };
        let name = Name::parse(name).unwrap();
        let covering = policy.lists.covering(name.as_ref());
        policy
            .decide(asker, name.as_ref(), &covering, &moment, &mut ())
            .verdict
    };
    assert_eq!(verdict("127.0.0.1", "bets.example"), Verdict::Block);
    assert_eq!(verdict("127.0.0.1", "odds.lottery.example"), Verdict::Allow);
    assert_eq!(verdict("127.0.0.1", "games.example"), Verdict::Allow);
    assert_eq!(verdict("127.0.0.2", "games.example"), Verdict::Block);
    assert_eq!(verdict("127.0.0.3", "bets.example"), Verdict::Allow);
}

/// A school without DNS could not even propose what would put it right.
#[test]
fn what_is_in_force_and_no_longer_fits_the_settings_is_a_warning() {
    let demo = root().join("config/demo");
    let mut texts = Configuration::load(&demo).unwrap().texts;
    texts.policy = texts
        .policy
        .replacen("[groups.pupil]", "[groups.pupil]\nanswer = \"page\"", 1);
    let configuration = Configuration::with(&demo, texts).unwrap();
    let warned = configuration.warnings.iter().map(ToString::to_string);
    let warned: Vec<String> = warned.collect();
    let says = |warning: &String| warning.contains("answers with a page");
    assert!(warned.iter().any(says), "{warned:?}");
}
