//! Every page in a real browser: whether somebody who hears it, or has a small
//! screen, or a dark room, can use it. Its pictures are for people to look at.
//!
//! No page is forgotten: what was looked at is held against the program's own
//! table. A layout is looked at on a phone and in the dark when it is first met,
//! not again for each role that has the same before it; how wide a page is, is
//! asked everywhere.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::thread;

use jiff::{Timestamp, ToSpan};
use schoolgate::dashboard::routes::{Access, routes};
use schoolgate::people::role::Role;

use super::block_page;
use super::browser::Browser;
use super::client::{Client, PASSWORD, Pages};
use super::running;
use super::seed;
use super::tour;
use crate::serve::school::{Plan, School};

/// What somebody is called who has not signed in.
const NOBODY: &str = "nobody";

/// What is read by programs, not looked at.
const NO_PAGES: [&str; 5] = [
    "/changes/record.csv",
    "/record.csv",
    "/reports/governors.csv",
    "/reports/weekly.csv",
    "/style.css",
];
/// What is the same for every role: one of them is enough.
const ALIKE: [&str; 3] = [
    "/account/password",
    "/account/second-factor",
    "/sign-in/code",
];

/// What there is on a page to be laid out: each kind of element in each other.
const SHAPES: &str = "const kind = e => e.tagName + [...e.classList].sort().join('.');
    return [...new Set([...document.querySelectorAll('main *:not(svg *)')]
        .map(e => kind(e.parentElement) + '>' + kind(e)))];";

/// What each page has shown already, whoever looked.
type Shapes = Mutex<BTreeMap<String, BTreeSet<String>>>;

/// Somebody who looks at one page after another.
struct Looks<'a> {
    browser: &'a Browser,
    base: String,
    shapes: &'a Shapes,
    /// Who was on which page.
    seen: BTreeSet<(String, String)>,
    wrong: Vec<String>,
}

impl<'a> Looks<'a> {
    fn new(browser: &'a Browser, pages: &Pages, shapes: &'a Shapes) -> Self {
        Self {
            browser,
            base: format!("http://{}", pages.address),
            shapes,
            seen: BTreeSet::new(),
            wrong: Vec::new(),
        }
    }

    /// Opens a page and looks at it.
    fn at(&mut self, role: &str, name: &str, path: &str) {
        let url = format!("{}{path}", self.base);
        self.browser.open(&url);
        let came = self.browser.address();
        if came == url {
            let page = pattern(path).unwrap_or(path);
            self.seen.insert((role.to_owned(), page.to_owned()));
        } else {
            self.wrong.push(format!("{role} {path}: sent to {came}"));
        }
        self.here(role, name);
    }

    /// Looks at the page that is open.
    fn here(&mut self, role: &str, name: &str) {
        let browser = self.browser;
        let address = browser.address();
        let path = address.strip_prefix(&self.base).unwrap_or(&address);
        let (page, _) = path.split_once('?').unwrap_or((path, ""));
        let page = pattern(page).unwrap_or(name).to_owned();
        browser.be(1280, false);
        let mut found = browser.barriers();
        browser.picture(&format!("{role}-{name}-desktop"));
        found.extend(wider(browser, 1280));
        let shapes = browser.run(SHAPES);
        let shapes = shapes.as_array().unwrap().iter();
        let shapes: Vec<_> = shapes.map(ToString::to_string).collect();
        let is_new = {
            let mut all = self.shapes.lock().unwrap();
            let known = all.entry(page).or_default();
            let before = known.len();
            known.extend(shapes);
            known.len() > before
        };
        if is_new {
            browser.be(1280, true);
            found.extend(browser.faint());
            browser.picture(&format!("{role}-{name}-dark"));
        }
        browser.be(390, false);
        found.extend(wider(browser, 390));
        if is_new {
            found.extend(browser.barriers());
            browser.picture(&format!("{role}-{name}-phone"));
        }
        let wrong = found.into_iter().map(|f| format!("{role} {path}: {f}"));
        self.wrong.extend(wrong);
    }
}

fn wider(browser: &Browser, width: u32) -> Option<String> {
    let is = browser.is_wider_than(width);
    is.then(|| format!("wider than a screen of {width}"))
}

/// The row of the table that a path belongs to.
fn pattern(path: &str) -> Option<&'static str> {
    let (path, _) = path.split_once('?').unwrap_or((path, ""));
    let parts = |path: &str| path.split('/').map(str::to_owned).collect::<Vec<_>>();
    let fits = |row: &str| {
        let (row, path) = (parts(row), parts(path));
        let mut pairs = row.iter().zip(&path);
        row.len() == path.len() && pairs.all(|(row, part)| row == part || row.starts_with('{'))
    };
    let rows = routes().into_iter().map(|route| route.path);
    // A page of its own goes before one about something of that name.
    rows.filter(|row| fits(row))
        .min_by_key(|row| row.matches('{').count())
}

/// Who must have looked at which page and did not.
fn missed(seen: &BTreeSet<(String, String)>) -> Vec<String> {
    let all = routes().into_iter().filter(|route| route.method == "GET");
    let pages = all.filter(|route| !NO_PAGES.contains(&route.path));
    let mut missed = Vec::new();
    for page in pages {
        let was = |role: &str| seen.contains(&(role.to_owned(), page.path.to_owned()));
        let roles = match page.access {
            Access::Public | Access::Everybody => vec![NOBODY],
            Access::SignedIn | Access::Only(_) => {
                let may = Role::ALL.into_iter().filter(|role| page.access.lets(*role));
                may.map(Role::id).collect()
            }
        };
        if ALIKE.contains(&page.path) && roles.iter().any(|role| was(role)) {
            continue;
        }
        let not = roles.into_iter().filter(|role| !was(role));
        missed.extend(not.map(|role| format!("{} as {role}", page.path)));
    }
    missed
}

#[test]
fn a_page_that_nobody_looks_at_is_missed() {
    let missed_by_all = missed(&BTreeSet::new());
    for row in [
        "/holds as dsl",
        "/sign-in as nobody",
        "/account/password as head",
    ] {
        assert!(missed_by_all.iter().any(|missed| missed == row), "{row}");
    }
    assert!(missed_by_all.iter().all(|row| !row.contains(".csv")));
    for path in NO_PAGES.into_iter().chain(ALIKE) {
        assert_eq!(pattern(path), Some(path), "no such page any more");
    }
    assert_eq!(pattern("/lists/over-block?q=x"), Some("/lists/over-block"));
    assert_eq!(pattern("/lists/test-games"), Some("/lists/{id}"));
}

#[test]
fn every_page_can_be_used_by_everybody() {
    let what = "the pages in Chromium";
    // Two, so that it takes half the time.
    let (Some(one), Some(other)) = (Browser::start(what), Browser::start(what)) else {
        return;
    };
    let school = School::start(seed::fortnight(&seed::plan(), Timestamp::now()));
    let pages = Pages::start(&school.folder);
    let mut clients: BTreeMap<&str, Client> = BTreeMap::new();
    for role in Role::ALL {
        let client = Client::signed_in(&pages, &school.folder, role.id());
        clients.insert(role.id(), client);
    }
    let things = tour::liven(&school, &pages, |role| clients[role].clone());
    let shapes = Shapes::default();
    let look = |looks: &mut Looks<'_>, role: &str, mut client: Client| {
        let browser = looks.browser;
        browser.become_(&format!("{}/style.css", looks.base), &client);
        for stop in tour::stops(role, &mut client, &things) {
            looks.at(role, &stop.name, &stop.path);
        }
        answers(looks, role);
    };
    let dsl = clients.remove("dsl").unwrap();
    let [mut first, mut second] = [&one, &other].map(|b| Looks::new(b, &pages, &shapes));
    thread::scope(|scope| {
        scope.spawn(|| {
            before_signing_in(&mut first);
            look(&mut first, "dsl", dsl);
        });
        scope.spawn(|| {
            for (role, client) in clients {
                look(&mut second, role, client);
            }
            a_new_school(&mut second);
        });
    });
    first.seen.append(&mut second.seen);
    first.wrong.append(&mut second.wrong);
    let missed = missed(&first.seen);
    assert!(missed.is_empty(), "nobody has looked at {missed:#?}");
    assert!(first.wrong.is_empty(), "\n{}", first.wrong.join("\n"));
}

/// The door, from outside and half-way through.
fn before_signing_in(looks: &mut Looks<'_>) {
    let browser = looks.browser;
    looks.at(NOBODY, "sign-in", "/sign-in");
    browser.fill("#account", "dsl");
    browser.fill("#password", "not this one");
    browser.press("Sign in");
    looks.here(NOBODY, "sign-in-wrong");
    looks.at(NOBODY, "ask", "/request?site=chatter.example");
    browser.fill("#why", "For a lesson on the news");
    browser.press("Send");
    looks.here(NOBODY, "asked");
    looks.at(NOBODY, "not-there", "/nothing-there");
    looks.at(NOBODY, "sign-in", "/sign-in");
    browser.fill("#account", "dsl");
    browser.fill("#password", PASSWORD);
    browser.press("Sign in");
    looks.at("dsl", "code", "/sign-in/code");
}

/// What is shown once, after a form.
fn answers(looks: &mut Looks<'_>, role: &str) {
    let browser = looks.browser;
    match role {
        "dsl" => {
            browser.open(&format!("{}/account", looks.base));
            browser.fill("#password", PASSWORD);
            browser.press("Make new codes");
            looks.here(role, "codes");
        }
        "technician" => {
            browser.open(&format!("{}/accounts", looks.base));
            browser.fill("#name", "Al Auditor");
            browser.fill("#email", "al@school.example");
            browser.run("document.querySelector('#role').value = 'auditor'");
            browser.press("Invite");
            looks.here(role, "invited");
        }
        _ => {}
    }
}

/// Before there is an account, and the first step after.
fn a_new_school(looks: &mut Looks<'_>) {
    let folder = Plan::new(&["127.0.0.1:1".parse().unwrap()]).write();
    let pages = Pages::start(&folder);
    looks.base = format!("http://{}", pages.address);
    looks.at(NOBODY, "set-up", "/set-up");
    let browser = looks.browser;
    browser.fill("#name", "Tess Tech");
    browser.fill("#email", "t.tech@school.example");
    browser.fill("#password", PASSWORD);
    browser.fill("#again", PASSWORD);
    browser.click("main button");
    browser.wait_for("second factor");
    looks.here(NOBODY, "set-up-next");
}

/// A pupil has no account and comes upon it unasked.
#[test]
fn the_block_page_can_be_used_by_everybody() {
    let Some(browser) = Browser::start("the block page in Chromium") else {
        return;
    };
    let mut plan = block_page::plan();
    // As if it were a teacher's device.
    let answer = "answer = \"page\"\n";
    let allowed = format!("{answer}override_minutes = 30\n");
    plan.policy = plan.policy.replacen(answer, &allowed, 1);
    plan.devices += "desk-1,Desk 1,,127.0.0.1,pupil,Ms Jones,laptop\n";
    let pages = running::Pages::start(&plan);
    let port = pages.block_page.port();
    let mut wrong = Vec::new();
    for (name, host, path) in [
        ("blocked", "www.bets.example", "/"),
        ("blocked-by-school", "quarrel.example", "/"),
        ("blocked-mandatory", "vile-things.example", "/"),
        ("about", "127.0.0.1", "/"),
        ("ask", "127.0.0.1", "/request?site=www.bets.example"),
        ("open", "127.0.0.1", "/open?site=www.bets.example"),
    ] {
        browser.open(&format!("http://{host}:{port}{path}"));
        for (screen, width, dark) in [
            ("desktop", 1280, false),
            ("phone", 390, false),
            ("dark", 1280, true),
        ] {
            browser.be(width, dark);
            browser.picture(&format!("block-page-{name}-{screen}"));
            let mut found = browser.barriers();
            found.extend(wider(&browser, width));
            wrong.extend(found.into_iter().map(|f| format!("{name} {screen}: {f}")));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Otherwise a page without faults would say nothing.
#[test]
fn a_planted_fault_is_found() {
    let Some(browser) = Browser::start("planted faults in Chromium") else {
        return;
    };
    let folder = Plan::new(&["127.0.0.1:1".parse().unwrap()]).write();
    let pages = Pages::start(&folder);
    browser.be(1280, false);
    for (rule, plant) in [
        (
            "label",
            "document.querySelector('label[for=email]').remove()",
        ),
        (
            "color-contrast",
            "for (const e of document.querySelectorAll('main p')) e.style.color = '#b0b6bc'",
        ),
        (
            "button-name",
            "document.querySelector('main button').textContent = ''",
        ),
        ("html-has-lang", "document.documentElement.lang = ''"),
        (
            "image-alt",
            "document.querySelector('main').append(document.createElement('img'))",
        ),
    ] {
        browser.open(&format!("http://{}/set-up", pages.address));
        assert_eq!(browser.barriers(), [""; 0], "before {rule}");
        browser.run(plant);
        let found = browser.barriers();
        let is_found = found.iter().any(|f| f.contains(&format!("\"{rule}\"")));
        assert!(is_found || !browser.has_axe(), "{rule}: {found:#?}");
    }
    assert!(!browser.is_wider_than(1280));
    browser.run("document.querySelector('h1').style.width = '2000px'");
    assert!(browser.is_wider_than(1280));
    // A word that is faint in the dark alone.
    browser.open(&format!("http://{}/set-up", pages.address));
    browser.run("document.querySelector('h1').style.color = '#222222'");
    assert_eq!(browser.faint(), [""; 0]);
    browser.be(1280, true);
    assert!(!browser.faint().is_empty() || !browser.has_axe());
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
