//! Reading what pupils looked up: who sees what, and what is written down of it.

use std::fs;
use std::time::Duration;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use schoolgate::changes::ask::{Ask, Outcome, Proposed, Wanted, Wish};
use schoolgate::changes::proposal::Author;
use schoolgate::configuration::Configuration;

use super::client::{Account, Client, Pages};
use super::seed::{self, Log, MANDATORY, TRIED, TRIED_NAME, TRIED_SITE};
use crate::serve::school::Folder;
use crate::serve::within;

/// A school with a fortnight behind it, and its pages.
struct Meadowbrook {
    folder: Folder,
    pages: Pages,
}

impl Meadowbrook {
    fn open() -> Self {
        let folder = seed::fortnight(&seed::plan(), Timestamp::now());
        let pages = Pages::start(&folder);
        Self { folder, pages }
    }

    fn signed_in(&self, role: &str) -> Client {
        Client::signed_in(&self.pages, &self.folder, role)
    }

    fn record(&self) -> String {
        fs::read_to_string(self.folder.state().join("record/access.jsonl")).unwrap()
    }
}

/// The school's day on which something happened, at whatever hour this runs.
fn yesterday() -> Date {
    let zone = jiff::tz::TimeZone::get("Europe/London").unwrap();
    let now = Timestamp::now().to_zoned(zone);
    now.yesterday().unwrap().date()
}

/// The first incident's page in a list.
fn first_incident(list: &str) -> String {
    let (_, rest) = list.split_once("href=\"/incidents/").expect("an incident");
    format!("/incidents/{}", rest.split('"').next().unwrap())
}

#[test]
fn the_lead_finds_who_tried_self_harm_sites_and_it_is_written_down() {
    let school = Meadowbrook::open();
    let mut dsl = school.signed_in("dsl");
    let home = dsl.get("/");
    assert!(home.page().contains(TRIED_NAME), "{}", home.body);
    // Who and what kind is on the first page, but no site.
    assert!(!home.body.contains(TRIED_SITE), "{}", home.body);
    let list = dsl.get("/incidents?range=yesterday&theme=suicide_self_harm");
    assert_eq!(list.page().matches("class=\"incident\"").count(), 3);
    assert!(list.body.contains(TRIED_SITE));
    let incident = dsl.get(&first_incident(&list.body));
    // Its raw look-ups, the policy that decided, and what each layer said.
    for words in [
        TRIED_NAME,
        "forum.hurt-diary.example",
        "Rules number 1",
        "list <code>test-self_harm</code>",
        "What each layer said",
        "belongs to",
        "other incidents that day",
    ] {
        assert!(
            incident.page().contains(words),
            "{words}: {}",
            incident.body
        );
    }
    assert!(
        !incident.body.contains("no longer kept"),
        "{}",
        incident.body
    );
    let day = dsl.get(&format!("/devices/{TRIED}?date={}", yesterday()));
    assert!(day.page().contains(TRIED_NAME), "{}", day.body);
    let quiet = dsl.get(&format!("/devices/{TRIED}?date=2020-01-01"));
    assert!(quiet.page().contains(TRIED_NAME), "{}", quiet.body);
    let found = dsl.get("/search?q=hurt-diary");
    assert!(found.page().contains("www.hurt-diary.example"));
    let of_person = dsl.get("/search?q=c.+price");
    assert!(
        of_person.page().contains("Year 9 iPad"),
        "{}",
        of_person.body
    );

    let record = school.record();
    for what in ["read_incidents", "read_rows", "searched"] {
        assert!(
            record.contains(&format!("\"what\":\"{what}\"")),
            "{what}: {record}"
        );
    }
    assert!(record.contains(TRIED));
    // It says whose rows were read, not what stood in them.
    for name in ["hurt-diary", "quiet-exit", "price"] {
        assert!(!record.contains(name), "{name}: {record}");
    }
}

#[test]
fn a_mandatory_host_is_for_the_lead_alone_and_on_a_button_of_its_own() {
    let school = Meadowbrook::open();
    let mut dsl = school.signed_in("dsl");
    let list = dsl.get("/incidents?theme=illegal");
    assert!(list.page().contains("name withheld"), "{}", list.body);
    let incident = first_incident(&list.body);
    let paths = [
        "/",
        "/incidents?theme=all&background=show",
        "/incidents?theme=illegal",
        &incident,
        "/search?q=vile",
        &format!("/search?q={}", seed::MANDATORY_DEVICE),
        &format!("/devices/{}?date={}", seed::MANDATORY_DEVICE, yesterday()),
    ]
    .map(str::to_owned);
    let mut others: Vec<Client> = ["head", "technician", "governor", "auditor"]
        .map(|role| school.signed_in(role))
        .to_vec();
    for path in &paths {
        for client in others.iter_mut().chain([&mut dsl]) {
            let answer = client.get(path);
            // What was typed into the box stands in the box.
            assert!(!answer.body.contains(MANDATORY), "{path}: {}", answer.body);
        }
    }
    // What others search for by its name is not there, for the lead it is.
    let rows = |client: &mut Client| {
        let answer = client.get("/search?q=vile-things");
        answer.page().matches("/incidents/").count()
    };
    assert_eq!((rows(&mut others[0]), rows(&mut dsl)), (0, 1));

    let host = format!("{incident}/host");
    for client in &mut others {
        client.get("/");
        assert_eq!(client.post(&host, &[]).status, 403);
    }
    assert_eq!(dsl.get(&host).status, 405);
    assert!(!school.record().contains("saw_mandatory_host"));
    dsl.get(&incident);
    let page = dsl.post(&host, &[]);
    assert!(page.page().contains(MANDATORY), "{}", page.body);
    for link in ["href=\"http", "href=\"//"] {
        assert!(!page.body.contains(link));
    }
    let record = school.record();
    assert!(record.contains("saw_mandatory_host") && !record.contains("vile"));
}

/// R-10: a trace asks today's lists, and a head must not learn from it that a
/// name of then has since become mandatory.
#[test]
fn a_trace_does_not_tell_that_a_name_has_become_mandatory() {
    let folder = seed::plan().start().stop();
    let now = Timestamp::now();
    let mut log = Log::new(&folder, &jiff::tz::TimeZone::get("Europe/London").unwrap());
    let then = now - SignedDuration::from_mins(1);
    log.visit(then, TRIED, "gambling", "bets.example", 1);
    log.visit(then, "lab2-05", "gambling", "casino.example", 1);
    log.write(now);
    let mandatory = format!("http://{MANDATORY}/\nhttp://www.bets.example/\n");
    folder.put("illegal.txt", &mandatory);
    folder.refresh();
    let pages = Pages::start(&folder);
    let mut head = Client::signed_in(&pages, &folder, "head");
    let list = head.get("/incidents?from=2016-01-01&theme=all&background=show");
    let mut incidents: Vec<String> = list
        .page()
        .split("href=\"/incidents/")
        .skip(1)
        .map(|rest| head.get(&format!("/incidents/{}", rest.split('"').next().unwrap())))
        .map(|incident| incident.page().to_owned())
        .collect();
    incidents.sort_by_key(|incident| incident.contains("www.bets.example"));
    let [other, hit] = &incidents[..] else {
        panic!("{incidents:?}");
    };
    // What is no secret is explained, with the lists of today.
    for words in ["no longer kept", "What each layer said"] {
        assert!(other.contains(words), "{words}: {other}");
        assert!(!hit.contains(words), "{words}: {hit}");
    }
    assert!(hit.contains("would decide it otherwise"), "{hit}");
    assert!(hit.contains("www.bets.example"), "{hit}");
}

/// What somebody has activated holds for the pages too, without a restart.
#[test]
fn school_hours_are_those_of_the_policy_in_force() {
    let hours = |from: &str, to: &str| {
        let all = r#"["mon", "tue", "wed", "thu", "fri", "sat", "sun"]"#;
        let policy = seed::plan().policy;
        format!(
            "{policy}[changes]\nrule = \"notify\"\n[timetables.school_hours]\ndays = {all}\nfrom = \"{from}\"\nto = \"{to}\"\n\
             outside_terms = true\n"
        )
    };
    let mut plan = seed::plan();
    plan.policy = hours("08:00", "09:00");
    let school = plan.start();
    let zone = jiff::tz::TimeZone::get("Europe/London").unwrap();
    let mut log = Log::new(&school.folder, &zone);
    let yesterday = Timestamp::now().to_zoned(zone).yesterday().unwrap();
    let noon = yesterday.date().at(12, 0, 0, 0);
    let noon = noon.to_zoned(yesterday.time_zone().clone()).unwrap();
    log.visit(noon.timestamp(), TRIED, "self_harm", TRIED_SITE, 1);
    log.write(Timestamp::now());
    let pages = Pages::start(&school.folder);
    let mut dsl = Client::signed_in(&pages, &school.folder, "dsl");
    let list = "/incidents?from=2016-01-01&hours=";
    let count = |dsl: &mut Client, within: &str| {
        let page = dsl.get(&format!("{list}{within}"));
        page.page().matches("class=\"incident\"").count()
    };
    assert_eq!((count(&mut dsl, "in"), count(&mut dsl, "out")), (0, 1));
    // What stands in the folder is not yet in force.
    school.folder.put("policy.toml", &hours("11:00", "13:00"));
    assert_eq!((count(&mut dsl, "in"), count(&mut dsl, "out")), (0, 1));
    let texts = Configuration::load(school.folder.path())
        .map_err(|_| ())
        .unwrap()
        .texts;
    let ask = Ask {
        by: Author {
            account: "h.head".to_owned(),
            email: String::new(),
        },
        from: None,
        wish: Wish::Propose(Proposed {
            why: "The day is longer.".to_owned(),
            change: Wanted::Files(Box::new(texts)),
            rehearsal: None,
            requests: Vec::new(),
        }),
    };
    let outcome = ask.put_to(&school.folder.state()).unwrap();
    assert!(matches!(outcome, Outcome::InForce { .. }), "{outcome:?}");
    within(Duration::from_secs(60), "the pages to go by it", || {
        let counts = (count(&mut dsl, "in"), count(&mut dsl, "out"));
        (counts == (1, 0)).then_some(())
    });
    let incident = first_incident(dsl.get(&format!("{list}in")).page());
    assert!(dsl.get(&incident).page().contains(", in school hours"));
}

#[test]
fn two_people_who_review_the_same_incident_are_told_of_each_other() {
    let school = Meadowbrook::open();
    let mut one = school.signed_in("dsl");
    let mut deputy = Account::named(&school.folder, "deputy", "dsl");
    let mut other = Client::as_account(&school.pages, &mut deputy);
    let list = one.get("/incidents?range=yesterday&theme=suicide_self_harm");
    let incident = first_incident(list.page());
    // Both have it before them, and neither is done yet.
    for client in [&mut one, &mut other] {
        assert!(client.get(&incident).page().contains("Not reviewed yet"));
    }
    let first = one.post(&format!("{incident}/review"), &[]);
    assert!(first.location().contains("done=reviewed"), "{first:?}");
    let second = other.post(&format!("{incident}/review"), &[]);
    assert!(second.location().contains("done=faster"), "{second:?}");
    let page = other.get(second.location().split('#').next().unwrap());
    assert!(
        page.page()
            .contains("Somebody else had already reviewed it")
    );
    assert!(
        page.body
            .contains("</span> by <bdi class=\"name\">dsl</bdi>"),
        "{}",
        page.body
    );
    let left = one.get("/incidents?range=yesterday&theme=suicide_self_harm&reviewed=no");
    assert_eq!(left.page().matches("class=\"incident\"").count(), 2);

    let text = "Spoke to the pupil.\r\n<script>alert(1)</script> ' OR 1=1 --";
    let noted = other.post(&format!("{incident}/note"), &[("text", text)]);
    assert!(noted.location().contains("done=noted"));
    let assigned = one.post(&format!("{incident}/assign"), &[("to", "deputy")]);
    assert!(assigned.location().contains("done=assigned"));
    let page = one.get(&incident);
    assert!(
        page.page()
            .contains("&lt;script&gt;alert(1)&lt;/script&gt;")
    );
    assert!(!page.body.contains("<script"));
    assert!(page.body.contains("deputy</bdi> is dealing with it"));
    for (text, status) in [(" \r\n ", 303), (&*"x".repeat(4097), 400)] {
        let answer = one.post(&format!("{incident}/note"), &[("text", text)]);
        assert_eq!(answer.status, status, "{answer:?}");
    }
    // It cannot be done to an incident that is not there, nor without the token.
    assert_eq!(one.post("/incidents/17/review", &[]).status, 404);
    assert_eq!(one.send(&format!("{incident}/reopen"), &[]).status, 400);
}

#[test]
fn whatever_an_address_asks_is_answered_and_bounded() {
    let school = Meadowbrook::open();
    let mut dsl = school.signed_in("dsl");
    let long = "x".repeat(5000);
    for path in [
        "/incidents?from=2016-01-01&to=2026-12-31&theme=all&background=show",
        "/incidents?from=0001-01-01&to=9999-12-31",
        "/incidents?from=nonsense&to=%00&group=%27%20OR%201%3D1&device=%3Cscript%3E",
        "/incidents?before=99999999999999999999&theme=%F0%9F%98%80&category=%2e%2e%2f",
        "/incidents?before=-9223372036854775808",
        &format!("/incidents?device={long}"),
        "/search?q=%27%3B%20DROP%20TABLE%20lookups%3B--",
        "/search?q=%25%25%25%5F",
        "/search?q=%ff%fe",
        &format!("/search?q={long}"),
        "/search?q=%E2%80%AEx&before=abc",
        "/devices/nobody",
        "/devices/%3Cscript%3Ealert(1)%3C%2Fscript%3E",
        "/devices/..%2F..%2Fetc%2Fpasswd?date=0001-01-01",
        "/devices/a?date=9999-12-31&at=nonsense",
    ] {
        let answer = dsl.get(path);
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        assert!(!answer.body.contains("<script"), "{path}");
    }
    for path in [
        "/incidents/abc",
        "/incidents/17",
        "/incidents/-1",
        "/incidents/9223372036854775807",
        "/incidents/99999999999999999999999",
    ] {
        assert_eq!(dsl.get(path).status, 404, "{path}");
    }
    // The whole fortnight in pages, each incident once.
    let mut path = "/incidents?from=2016-01-01&theme=all&background=show".to_owned();
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..200 {
        let page = dsl.get(&path);
        for link in page.page().split("href=\"/incidents/").skip(1) {
            let at = link.split('"').next().unwrap().to_owned();
            assert!(seen.insert(at.clone()), "{at} came twice");
        }
        let next = page
            .body
            .split("href=\"")
            .find(|rest| rest.contains("before="));
        let Some(next) = next else {
            assert!(seen.len() > 500, "{}", seen.len());
            return;
        };
        path = next.split('"').next().unwrap().replace("&amp;", "&");
    }
    panic!("it does not end");
}

#[test]
fn a_day_that_is_damaged_costs_that_day() {
    let school = Meadowbrook::open();
    let mut dsl = school.signed_in("dsl");
    let log = school.folder.state().join("querylog");
    let mut days: Vec<_> = fs::read_dir(&log)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "db") && !path.ends_with("summary.db"))
        .collect();
    days.sort();
    let hurt = &days[days.len() - 4];
    let tail = hurt.with_extension("db-wal");
    let _ = fs::remove_file(tail);
    fs::write(hurt, vec![0x5a; 40_000]).unwrap();
    let name = hurt.file_name().unwrap().to_str().unwrap();
    for path in ["/", "/incidents", "/search?q=free-vpn"] {
        let page = dsl.get(path);
        assert!(page.page().contains(name), "{path}: {}", page.body);
        assert!(page.body.contains("Year 9 iPad"), "{path}: {}", page.body);
    }
}

#[test]
fn what_devices_and_names_hold_stays_text() {
    let now = Timestamp::now();
    let folder = seed::fortnight(&seed::plan(), now);
    let zone = jiff::tz::TimeZone::get("Europe/London").unwrap();
    let mut log = Log::new(&folder, &zone);
    let evil = "<script>document.title='x'</script>\u{202e}\"'><img src=x onerror=alert(1)>";
    log.device("evil", evil);
    log.visit(
        now - SignedDuration::from_secs(30),
        "evil",
        "self_harm",
        "hurt-diary.example",
        2,
    );
    log.write(now);
    let pages = Pages::start(&folder);
    let mut dsl = Client::signed_in(&pages, &folder, "dsl");
    for path in [
        "/",
        "/incidents?range=today",
        "/devices/evil",
        "/search?q=evil",
    ] {
        let page = dsl.get(path);
        assert!(
            page.page().contains("&lt;script&gt;document"),
            "{path}: {}",
            page.body
        );
        for bad in ["<script", "<img", "\u{202e}"] {
            assert!(!page.body.contains(bad), "{path}: {bad}");
        }
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
    }
}
