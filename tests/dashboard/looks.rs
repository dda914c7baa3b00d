//! Every page in a real browser: whether somebody who hears it, or has a small
//! screen, or a dark room, can use it. Its pictures are for people to look at.

use std::collections::BTreeMap;

use jiff::{Timestamp, ToSpan};

use super::browser::Browser;
use super::client::{Client, Pages};
use super::seed;
use crate::serve::school::School;

const ROLES: [&str; 5] = ["dsl", "head", "technician", "governor", "auditor"];
/// A name, the width of the window, whether it is dark.
const SCREENS: [(&str, u32, bool); 3] = [
    ("desktop", 1280, false),
    ("phone", 390, false),
    ("dark", 1280, true),
];

/// Pages that are reached from others, by what they are called in pictures.
fn further(role: &str) -> Vec<(String, String)> {
    let page = |name: &str, path: &str| (name.to_owned(), path.to_owned());
    if !["dsl", "head"].contains(&role) {
        return Vec::new();
    }
    vec![
        page(
            "incidents-all",
            "/incidents?range=month&theme=all&background=show",
        ),
        page(
            "incidents-none",
            "/incidents?group=nobody&category=games&hours=out",
        ),
        page("search-found", "/search?q=vpn"),
        page("search-nothing", "/search?q=no-such-thing"),
        page("device", &format!("/devices/{}", seed::TRIED)),
    ]
}

#[test]
fn every_page_can_be_used_by_everybody() {
    let what = "the pages in Chromium";
    let Some(browser) = Browser::start(what) else {
        return;
    };
    let school = School::start(seed::fortnight(&seed::plan(), Timestamp::now()));
    let folder = &school.folder;
    let pages = Pages::start(folder);
    let at = |path: &str| format!("http://{}{path}", pages.address);
    let mut wrong = Vec::new();
    let mut look = |role: &str, name: &str, path: &str| {
        browser.open(&at(path));
        for (screen, width, dark) in SCREENS {
            browser.be(width, dark);
            browser.picture(&format!("{role}-{name}-{screen}"));
            let barriers = browser.barriers().into_iter();
            wrong.extend(barriers.map(|b| format!("{role} {path} {screen}: {b}")));
            if browser.is_wider_than(width) {
                wrong.push(format!("{role} {path} {screen}: wider than the screen"));
            }
        }
        browser.be(1280, false);
    };
    let mut clients: BTreeMap<&str, Client> = BTreeMap::new();
    for role in ROLES {
        clients.insert(role, Client::signed_in(&pages, folder, role));
    }
    look("nobody", "sign-in", "/sign-in");
    for role in ROLES {
        let client = clients.get_mut(role).unwrap();
        browser.become_(&at("/style.css"), client);
        let mut all = navigation(client);
        all.extend(further(role));
        if ["dsl", "head"].contains(&role) {
            for (name, theme) in [("incident", "suicide_self_harm"), ("mandatory", "illegal")] {
                let list = client.get(&format!("/incidents?theme={theme}"));
                let (_, rest) = list.page().split_once("href=\"/incidents/").unwrap();
                let at = rest.split('"').next().unwrap();
                all.push((name.to_owned(), format!("/incidents/{at}")));
            }
        }
        for (name, path) in all {
            look(role, &name, &path);
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// What is in a role's navigation.
fn navigation(client: &mut Client) -> Vec<(String, String)> {
    let home = client.get("/");
    let (_, rest) = home.page().split_once("<nav").unwrap();
    let (nav, _) = rest.split_once("</nav>").unwrap();
    let links = nav.split("href=\"").skip(1);
    let paths = links.map(|rest| rest.split('"').next().unwrap().to_owned());
    let name = |path: &String| match path.trim_matches('/') {
        "" => "overview".to_owned(),
        other => other.replace('/', "-"),
    };
    paths.map(|path| (name(&path), path)).collect()
}

/// Governors and heads are given reports on paper.
#[test]
fn reports_can_be_printed() {
    let Some(browser) = Browser::start("printing in Chromium") else {
        return;
    };
    let now = Timestamp::now();
    let folder = seed::fortnight(&seed::plan(), now);
    let pages = Pages::start(&folder);
    let dsl = Client::signed_in(&pages, &folder, "dsl");
    let at = |path: &str| format!("http://{}{path}", pages.address);
    browser.become_(&at("/style.css"), &dsl);
    let today = now.in_tz("Europe/London").unwrap().date();
    let first = today.saturating_sub(13.days());
    let term = format!("/reports/governors?from={first}&to={today}");
    for (name, path, title) in [
        ("weekly", "/reports/weekly", "Safeguarding digest, week"),
        ("governors", &term, "Governors' report on web filtering"),
    ] {
        browser.open(&at(path));
        browser.wait_for(title);
        let bytes = browser.paper(&format!("dsl-{name}-paper"));
        assert!(bytes.starts_with(b"%PDF-"), "{name}");
        assert!(bytes.len() > 8 << 10, "{name}: {} bytes", bytes.len());
    }
}

#[test]
fn whatever_devices_say_is_no_part_of_the_page() {
    let Some(browser) = Browser::start("hostile texts in Chromium") else {
        return;
    };
    let now = Timestamp::now();
    let folder = seed::fortnight(&seed::plan(), now);
    let zone = jiff::tz::TimeZone::get("Europe/London").unwrap();
    let mut log = seed::Log::new(&folder, &zone);
    let evil = "</bdi></a><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">\u{202e}";
    log.device("<i>evil", &format!("{evil}{}", "long".repeat(200)));
    let soon = now - jiff::SignedDuration::from_secs(40);
    log.visit(soon, "<i>evil", "self_harm", "hurt-diary.example", 3);
    log.write(now);
    let pages = Pages::start(&folder);
    let mut dsl = Client::signed_in(&pages, &folder, "dsl");
    let list = dsl.get("/incidents?range=today&theme=suicide_self_harm");
    let (_, rest) = list.page().split_once("href=\"/incidents/").unwrap();
    let incident = format!("/incidents/{}", rest.split('"').next().unwrap());
    dsl.get(&incident);
    dsl.post(&format!("{incident}/note"), &[("text", evil)]);
    let at = |path: &str| format!("http://{}{path}", pages.address);
    browser.become_(&at("/style.css"), &dsl);
    browser.be(390, false);
    for path in [
        "/",
        "/incidents?range=today&device=%3Ci%3Eevil%22%3E%3Cimg%20src%3Dx%3E",
        &incident,
        "/devices/%3Ci%3Eevil",
        "/search?q=%22%3E%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E",
        "/search?q=%3Ci%3Eevil",
    ] {
        browser.open(&at(path));
        for element in ["script", "img", "i", "[onerror]", "[style]"] {
            assert!(
                !browser.has(element),
                "{path}: {element}\n{}",
                browser.text()
            );
        }
        assert_ne!(browser.run("return document.title"), "owned", "{path}");
        assert!(!browser.is_wider_than(390), "{path}");
    }
}
