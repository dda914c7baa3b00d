//! Settings and policies as people write them: the examples hold, and every bad
//! one in `tests/settings/` is told what is wrong, all of it, with its line.
//!
//! `NAME.expected` beside `NAME.toml` holds the complaints. To take down what is
//! said now, for review: `SCHOOLGATE_BLESS=1 cargo test settings`.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use schoolgate::document::{Complaint, Document};
use schoolgate::policy::compile::{File, Live, compile};
use schoolgate::settings::Settings;

use crate::demo_lists;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Compares what `complain` says of each TOML file in `folder` to what is
/// expected.
fn check(folder: &Path, complain: impl Fn(&str) -> Vec<Complaint>) -> usize {
    let mut wrong = Vec::new();
    let files = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path());
    let files: Vec<_> = files
        .filter(|f| f.extension().is_some_and(|e| e == "toml"))
        .collect();
    for file in &files {
        let text = std::fs::read_to_string(file).unwrap();
        let said: Vec<_> = complain(&text).iter().map(ToString::to_string).collect();
        let said = format!("{}\n", said.join("\n"));
        let expected = file.with_extension("expected");
        if std::env::var_os("SCHOOLGATE_BLESS").is_some() {
            std::fs::write(&expected, &said).unwrap();
        }
        let expected = std::fs::read_to_string(&expected).unwrap_or_default();
        if said.trim().is_empty() || said != expected {
            wrong.push(format!("{}\n{said}expected:\n{expected}", file.display()));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    files.len()
}

#[test]
fn bad_settings_are_told_what_is_wrong() {
    let complain = |text: &str| Settings::read("schoolgate.toml", text).1;
    let cases = check(&root().join("tests/settings/bad"), complain);
    assert!(cases >= 25, "only {cases} cases were read");
}

#[test]
fn bad_policies_are_told_what_is_wrong() {
    let lists = demo_lists::load(&root().join("tests/decisions/demo.lists"));
    let devices = "id,name,mac,ip,group,owner,kind
ipad-7,,,,,,
ipad-8,,,,,,
";
    let complain = |text: &str| {
        let live = Live {
            number: 1,
            not_before: Timestamp::UNIX_EPOCH,
            lists: lists.clone(),
            standing: false,
        };
        let file = |name, text| File { name, text };
        compile(
            file("policy.toml", text),
            file("devices.csv", devices),
            live,
        )
        .err()
        .unwrap_or_default()
    };
    let cases = check(&root().join("tests/settings/bad_policy"), complain);
    assert!(cases >= 25, "only {cases} cases were read");
}

/// Every setting stands in the example, at its default.
#[test]
fn the_example_is_the_defaults() {
    let text = std::fs::read_to_string(root().join("config/schoolgate.toml")).unwrap();
    let document = Document::parse("config/schoolgate.toml", &text);
    let settings = Settings::read_from(&document);
    assert_eq!(
        document.absent(),
        Vec::<String>::new(),
        "not in the example"
    );
    assert_eq!(document.into_complaints(), []);
    assert_eq!(settings, Settings::default());
}

/// A setting with a value is read as that value.
#[test]
fn a_full_file_is_read() {
    let text = r#"
        state_dir = "/var/lib/schoolgate"
        [listen]
        metrics = ""
        [clients]
        routers = ["10.0.0.1", "fd00::/64"]
        leases = [{ file = "dnsmasq.leases", format = "dnsmasq" }]
        [upstream]
        servers = ["tcp://9.9.9.9", "udp://[2620:fe::fe]"]
        zones = [{ name = "school.local", servers = ["udp://10.0.0.2:5300"] }]
        dnssec = "off"
        [rebinding]
        nat64 = ["64:ff9b::/96"]
        [local]
        records = [{ name = "nas.school.internal", addresses = ["10.0.0.9", "fd00::9"] }]
        zones = [{ name = "school.internal", file = "zones/internal" }]
        [refresh]
        resolvers = ["9.9.9.9", "[2620:fe::fe]:5353"]
        ca_file = "ca.pem"
    "#;
    let (settings, complaints) = Settings::read("schoolgate.toml", text);
    assert_eq!(complaints, []);
    let settings = settings.relative_to(Path::new("/etc/schoolgate"));
    assert_eq!(settings.state_dir, Path::new("/var/lib/schoolgate"));
    assert_eq!(settings.listen.metrics, None);
    assert_eq!(settings.clients.routers[0].to_string(), "10.0.0.1/32");
    assert_eq!(
        settings.clients.leases[0].path,
        Path::new("/etc/schoolgate/dnsmasq.leases")
    );
    let servers: Vec<_> = settings
        .upstream
        .servers
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(servers, ["tcp://9.9.9.9:53", "udp://[2620:fe::fe]:53"]);
    assert_eq!(settings.upstream.zones[0].servers[0].addr.port(), 5300);
    assert_eq!(settings.local.records[0].addresses.len(), 2);
    assert_eq!(settings.local.records[0].ttl, 300);
    assert_eq!(
        settings.local.zones[0].file,
        Path::new("/etc/schoolgate/zones/internal")
    );
    let resolvers: Vec<_> = settings
        .refresh
        .resolvers
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(resolvers, ["9.9.9.9:53", "[2620:fe::fe]:5353"]);
    assert_eq!(
        settings.refresh.ca_file.as_deref(),
        Some(Path::new("/etc/schoolgate/ca.pem"))
    );
}
