//! The pages of whoever looks after the machine: health, lists, devices, groups.

use std::process::Stdio;

use super::client::{Client, Pages};
use crate::serve::eventually;
use crate::serve::school::{Client as Device, Plan, School};
use crate::serve::upstream::Upstream;
use crate::serve::wire;

/// All of them.
const PAGES: [&str; 8] = [
    "/",
    "/health",
    "/lists",
    "/lists/bets",
    "/lists/vile",
    "/lists/over-block",
    "/devices",
    "/groups",
];

/// A school with a listed device and an exception that ends soon.
fn plan(upstream: &Upstream) -> Plan {
    let mut plan = Plan::new(&[upstream.address]);
    "id,name,mac,ip,group,owner,kind\n\
     printer,<b>Printer</b>,00:11:22:33:44:55,10.0.0.9,staff,Office,printer\n\
     teacher,Laptop 4,,127.0.0.3,staff,Ms Gray,laptop\n"
        .clone_into(&mut plan.devices);
    plan.policy += "[[exceptions]]\nname = \"casino.example\"\nverdict = \"allow\"\n\
                    groups = [\"pupil\"]\nreason = \"Maths: odds\"\nexpires = \"2026-01-31\"\n";
    plan
}

fn seen(school: &School, name: &str) {
    school.ask(name);
    eventually("the row", || {
        let rows = school.folder.log();
        rows.iter().any(|row| row["name"] == name).then_some(())
    });
}

#[test]
fn the_technician_sees_no_name_that_was_asked_for() {
    let upstream = Upstream::plain();
    let school = plan(&upstream).start();
    for name in ["bets.example", "private-matter.example"] {
        seen(&school, name);
    }
    school.ask("vile-things.example");
    let pages = Pages::start(&school.folder);
    let mut technician = Client::signed_in(&pages, &school.folder, "technician");
    for path in PAGES {
        let answer = technician.get(path);
        let page = answer.page();
        for name in ["bets.example", "private-matter", "vile-things"] {
            assert!(!page.contains(name), "{path} has {name}");
        }
        assert!(!page.contains("<b>Printer"), "{path}");
        // Reading a device's day is for others.
        assert!(!page.contains("href=\"/devices/"), "{path}");
    }
    let devices = technician.get("/devices");
    let (at, page) = (
        |word: &str| devices.body.find(word).unwrap(),
        devices.page(),
    );
    // The unknown pupil's address comes before the school's own devices.
    assert!(
        at("its address and network only") < at("Laptop 4"),
        "{page}"
    );
    assert!(page.contains("&lt;b&gt;Printer") && page.contains("the school's list"));
    let found = technician.get("/devices?q=ms+gray&show=all");
    assert!(found.page().contains("Laptop 4") && !found.page().contains("Printer"));
    let groups = technician.get("/groups");
    assert!(groups.page().contains("Exceptions to review"));
    assert!(groups.page().contains("Ended") && groups.page().contains("Maths: odds"));
}

#[test]
fn each_role_reaches_what_is_its_own() {
    let school = plan(&Upstream::plain()).start();
    let pages = Pages::start(&school.folder);
    for (role, lists, devices) in [
        ("dsl", 403, 200),
        ("governor", 403, 403),
        ("auditor", 403, 403),
    ] {
        let mut client = Client::signed_in(&pages, &school.folder, role);
        for (path, status) in [
            ("/lists", lists),
            ("/lists/bets", lists),
            ("/lists/over-block", lists),
            ("/devices", devices),
            ("/groups", devices),
            ("/health", devices),
        ] {
            assert_eq!(client.get(path).status, status, "{role} {path}");
        }
        assert_eq!(client.get("/").status, 200, "{role}");
    }
}

#[test]
fn a_resolver_that_is_killed_is_told_at_once_and_so_is_one_that_is_back() {
    let school = plan(&Upstream::plain()).start();
    let pages = Pages::start(&school.folder);
    let mut technician = Client::signed_in(&pages, &school.folder, "technician");
    let said = technician.get("/health");
    assert!(said.page().contains("The filter is working."), "{said:?}");
    assert!(said.page().contains("number 1"), "{said:?}");
    assert!(
        technician
            .get("/")
            .page()
            .contains("The system is in order.")
    );
    let folder = school.kill();
    for path in ["/", "/health"] {
        let said = technician.get(path);
        assert!(said.page().contains("The filter is not running."), "{path}");
    }
    // What needs no resolver is still there.
    for path in ["/lists", "/devices", "/groups", "/lists/over-block"] {
        technician.get(path).page();
    }
    let _school = School::start(folder);
    assert!(
        technician
            .get("/")
            .page()
            .contains("The system is in order.")
    );
}

#[test]
fn a_list_that_shrank_shows_with_what_to_do() {
    let mut plan = plan(&Upstream::plain());
    let names: Vec<String> = (0..100).map(|n| format!("chat{n}.example\n")).collect();
    let bad = "not a name at all!\n";
    plan.files
        .push(("social.txt".to_owned(), names.concat() + bad));
    let school = plan.start();
    school.folder.put("social.txt", "chat1.example\n");
    assert_eq!(school.folder.run(&["refresh"]).status.code(), Some(1));
    let pages = Pages::start(&school.folder);
    let mut technician = Client::signed_in(&pages, &school.folder, "technician");
    let lists = technician.get("/lists");
    let page = lists.page();
    assert!(page.contains("schoolgate refresh --accept chats"), "{page}");
    assert!(page.contains("it shrank from 100 to 1 entries"), "{page}");
    let one = technician.get("/lists/chats");
    assert!(one.page().contains("Line 101: "), "{one:?}");
    assert!(one.page().contains("CC0-1.0"), "{one:?}");
    let health = technician.get("/health");
    assert!(
        health.page().contains("1 of 3 lists is not up to date"),
        "{health:?}"
    );
    for path in [
        "/lists/nothing",
        "/lists/..%2f..%2fkey",
        "/lists/%00",
        "/lists/%ff",
    ] {
        let status = technician.get(path).status;
        assert!(status == 404 || status == 400, "{path}: {status}");
    }
}

#[test]
fn what_every_school_needs_is_missed_before_the_class_does() {
    let mut plan = plan(&Upstream::plain());
    plan.gambling += "poetryfoundation.org\n";
    // The whole host, which is then on the mandatory list.
    plan.files.push((
        "illegal.txt".to_owned(),
        "http://www.iwm.org.uk/\n".to_owned(),
    ));
    let school = plan.start();
    let pages = Pages::start(&school.folder);
    let mut technician = Client::signed_in(&pages, &school.folder, "technician");
    let page = technician.get("/lists/over-block");
    let page = page.page();
    assert!(page.contains("www.poetryfoundation.org"), "{page}");
    assert!(page.contains("by list <a href=\"/lists/bets\">"), "{page}");
    assert!(
        page.contains("1 of them are on a list of illegal content"),
        "{page}"
    );
    assert!(!page.contains("iwm.org.uk"), "{page}");
    let output = school
        .folder
        .command(&["check", "--over-block"])
        .stderr(Stdio::inherit())
        .output();
    let said = String::from_utf8(output.unwrap().stdout).unwrap();
    let line = "pupil does not get www.poetryfoundation.org now: gambling, by list bets";
    assert!(said.contains(line), "{said}");
    assert!(
        !said.contains("staff does not get") && !said.contains("iwm"),
        "{said}"
    );
}

#[test]
fn a_stranger_who_claims_to_be_somebody_is_on_the_page_of_devices() {
    let school = plan(&Upstream::plain()).start();
    let packet = wire::question_with(7, "bets.example", wire::A, &[(65001, &[2, 0, 0, 0, 0, 7])]);
    let device = Device::new("127.0.0.1");
    eventually("the suspicion", || {
        device.exchange(school.dns, &packet)?;
        school.status().suspects.pop()
    });
    let pages = Pages::start(&school.folder);
    let mut head = Client::signed_in(&pages, &school.folder, "head");
    let page = head.get("/devices");
    assert!(
        page.page().contains("Who claims to be another device"),
        "{page:?}"
    );
    assert!(
        head.get("/health")
            .page()
            .contains("claimed to be another device")
    );
}

#[test]
fn nothing_that_is_typed_into_the_search_breaks_it() {
    let school = plan(&Upstream::plain()).start();
    let pages = Pages::start(&school.folder);
    let mut technician = Client::signed_in(&pages, &school.folder, "technician");
    let long = "x".repeat(5000);
    for query in [
        "q=%3Cscript%3Ealert(1)%3C/script%3E",
        "q=%ff%fe%00&show=%00",
        "show=nonsense&from=99999999999999999999",
        "from=-1",
        "from=18446744073709551615",
        "q=%27%3B+DROP+TABLE+rows%3B--",
        &format!("q={long}"),
    ] {
        let answer = technician.get(&format!("/devices?{query}"));
        assert!(!answer.page().contains("<script>"), "{query}");
    }
}
