//! Everything there is to look at: each page of the table for each role that may
//! see it, with something on it, and what some forms answer.

use jiff::{Timestamp, ToSpan};

use super::client::{Client, PASSWORD, Pages};
use super::seed;
use crate::serve::eventually;
use crate::serve::school::School;

/// One page to be looked at.
pub(super) struct Stop {
    /// What it is called in pictures.
    pub(super) name: String,
    pub(super) path: String,
}

fn stop(name: &str, path: &str) -> Stop {
    let (name, path) = (name.to_owned(), path.to_owned());
    Stop { name, path }
}

/// What is there to be read about, by its number or moment.
pub(super) struct Things {
    /// Self-harm, with a note and given to somebody; by its moment.
    incident: String,
    /// Reviewed already.
    reviewed: String,
    /// A mandatory hit.
    mandatory: String,
    /// An alert of a device, and one of illegal content.
    alerts: Vec<String>,
}

/// Makes something happen that each page has something to say about. The clients
/// are those of the roles, by name.
pub(super) fn liven(
    school: &School,
    pages: &Pages,
    mut client: impl FnMut(&str) -> Client,
) -> Things {
    let mut dsl = client("dsl");
    let mut technician = client("technician");
    let first_of = |dsl: &mut Client, query: &str| {
        let list = dsl.get(&format!("/incidents?{query}"));
        let (_, rest) = list.page().split_once("href=\"/incidents/").unwrap();
        rest.split('"').next().unwrap().to_owned()
    };
    // Before the server meets anything of today's.
    let incident = first_of(&mut dsl, "theme=suicide_self_harm");
    let mandatory = first_of(&mut dsl, "theme=illegal");
    let reviewed = first_of(&mut dsl, "theme=extremism");
    let post = |client: &mut Client, path: &str, fields: &[(&str, &str)]| {
        let answer = client.post(path, fields);
        let done = matches!(answer.status, 200 | 303);
        assert!(done, "{path}: {answer:?}");
    };
    let of = |at: &str, verb: &str| format!("/incidents/{at}/{verb}");
    let note = "Spoke to the pupil's tutor; a meeting is on Monday.";
    dsl.get(&format!("/incidents/{incident}"));
    post(&mut dsl, &of(&incident, "note"), &[("text", note)]);
    post(&mut dsl, &of(&incident, "assign"), &[("to", "head")]);
    post(&mut dsl, &of(&reviewed, "review"), &[]);

    let today = Timestamp::now().in_tz("Europe/London").unwrap().date();
    let held = [
        ("first", today.saturating_sub(3.days()).to_string()),
        ("last", today.to_string()),
        ("why", "Asked for by the police, ref. 77/26".to_owned()),
    ];
    let held = held.each_ref().map(|(name, value)| (*name, &**value));
    post(&mut dsl, "/holds", &held);

    technician.get("/accounts");
    for (name, email, role) in [
        ("Dora Lead", "d.lead@school.example", "dsl"),
        ("Gwen Ernor", "g.ernor@school.example", "governor"),
    ] {
        let invited = [("name", name), ("email", email), ("role", role)];
        post(&mut technician, "/accounts", &invited);
    }
    requests(pages, &mut technician);
    changes(school, &mut technician, &mut dsl, &mut client("head"));

    for name in ["www.hurt-diary.example", seed::MANDATORY] {
        school.ask(name);
    }
    let alerts = eventually("both alerts", || {
        let page = dsl.get("/alerts?show=all").body;
        let links = page.split("href=\"/alerts/").skip(1);
        let numbers = links.map(|rest| rest.split('"').next().unwrap().to_owned());
        let numbers: Vec<_> = numbers
            .filter(|number| number.parse::<u32>().is_ok())
            .collect();
        Some(numbers).filter(|numbers| numbers.len() > 1)
    });
    Things {
        incident,
        reviewed,
        mandatory,
        alerts,
    }
}

/// One that waits, one that somebody has in hand, and one that is answered.
fn requests(pages: &Pages, technician: &mut Client) {
    let mut teacher = Client::new(pages);
    for (site, wish, why) in [
        (
            "www.blockworld.example",
            "unblock",
            "Computing club, Year 7",
        ),
        ("snapshare.example", "unblock", "For the art project"),
        ("mean-gossip.example", "block", "Pupils are named on it"),
    ] {
        let asked = [
            ("site", site),
            ("wish", wish),
            ("group", "year-7"),
            ("who", "Ms Lee"),
            ("for_whom", "7B"),
            ("why", why),
        ];
        // What is in force is read in the background.
        eventually("a request that is taken", || {
            (teacher.post("/request", &asked).status == 200).then_some(())
        });
    }
    technician.get("/requests/2");
    let looking = [("note", "Asked the head of art")];
    let answer = technician.post("/requests/2/consider", &looking);
    assert_eq!(answer.status, 303, "{answer:?}");
    let refused = [
        ("outcome", "refused"),
        ("reason", "It has a chat that nobody watches"),
    ];
    let answer = technician.post("/requests/3/answer", &refused);
    assert_eq!(answer.status, 303, "{answer:?}");
}

/// A change that waits, one that acted at once, one that was turned down, a
/// signature to be confirmed, and a file that nobody has proposed.
fn changes(school: &School, technician: &mut Client, dsl: &mut Client, head: &mut Client) {
    let done = |client: &mut Client, page: &str, path: &str, fields: &[(&str, &str)]| {
        client.get(page);
        let answer = client.post(path, fields);
        assert_eq!(answer.status, 303, "{path}: {answer:?}");
    };
    let password = [("password", PASSWORD)];
    for client in [&mut *head, &mut *dsl] {
        done(
            client,
            "/account/signature",
            "/account/signature",
            &password,
        );
    }
    for id in [1, 2] {
        let granted = [
            ("groups", "year-7"),
            ("reason", "Computing club, Year 7, until the summer"),
            ("expires", "2027-07-20"),
        ];
        let page = format!("/requests/{id}");
        done(technician, &page, &format!("{page}/grant"), &granted);
    }
    let turned_down = [("why", "The club has another site for it by now")];
    done(head, "/changes/2", "/changes/2/decline", &turned_down);
    let closed = [("site", "rumours.example")];
    done(dsl, "/deny", "/deny", &closed);
    let policy = school.folder.path().join("policy.toml");
    let policy = std::fs::read_to_string(policy).unwrap();
    let edited = policy.replacen("\"gambling\", \"bypass\"]", "\"bypass\"]", 1);
    assert_ne!(edited, policy);
    school.folder.put("policy.toml", &edited);
}

/// What is said of changes to those who may read it.
fn of_changes(role: &str) -> Vec<Stop> {
    let mut all = Vec::new();
    if role != "governor" {
        for (number, state) in [(1, "waits"), (2, "turned-down"), (3, "at-once")] {
            let path = format!("/changes/{number}");
            all.push(stop(&format!("change-{state}"), &path));
        }
        all.push(stop("changes-record", "/changes/record"));
        all.push(stop("exceptions", "/exceptions"));
    }
    if matches!(role, "technician" | "dsl" | "head") {
        all.push(stop("deny", "/deny"));
    }
    if matches!(role, "dsl" | "head") {
        all.push(stop("signature", "/account/signature"));
    }
    if role == "technician" {
        all.push(stop("propose", "/changes/propose"));
        all.push(stop("propose-tried", "/changes/propose?rehearse=yes"));
        all.push(stop("propose-back", "/changes/propose?back=1"));
    }
    all
}

/// What somebody of `role` can be shown.
pub(super) fn stops(role: &str, client: &mut Client, things: &Things) -> Vec<Stop> {
    let mut all = navigation(client);
    all.push(stop("account", "/account"));
    all.extend(of_changes(role));
    if role == "dsl" || role == "head" {
        all.extend(readers(things));
    }
    if role == "dsl" {
        let today = Timestamp::now().in_tz("Europe/London").unwrap().date();
        let first = today.saturating_sub(13.days());
        let span = format!("/reports/governors?from={first}&to={today}");
        all.push(stop("report-governors-span", &span));
        let about = &things.incident;
        all.push(stop("evidence", &format!("/evidence/new?incident={about}")));
        all.push(stop("evidence-any", "/evidence/new"));
        all.push(stop("change-password", "/account/password"));
        all.push(stop("second-factor", "/account/second-factor"));
        all.push(stop("ask", "/request"));
        all.push(stop("not-for-you", "/lists"));
    }
    if role == "technician" {
        all.push(stop("list", "/lists/test-self_harm"));
        all.push(stop("over-block", "/lists/over-block"));
    }
    if matches!(role, "technician" | "dsl" | "head") {
        all.push(stop("one-account", "/accounts/g.ernor"));
        all.push(stop("one-account-waits", "/accounts/d.lead"));
        for (number, state) in [(1, "waits"), (2, "considered"), (3, "answered")] {
            let path = format!("/requests/{number}");
            all.push(stop(&format!("request-{state}"), &path));
        }
    }
    for report in ["weekly", "governors", "deployment", "dpia"] {
        let path = format!("/reports/{report}");
        if client.get(&path).status == 200 {
            all.push(stop(&format!("report-{report}"), &path));
        }
    }
    all
}

/// What those may see who read what pupils looked up.
fn readers(things: &Things) -> Vec<Stop> {
    let mut all = vec![
        stop(
            "incidents-all",
            "/incidents?range=month&theme=all&background=show",
        ),
        stop(
            "incidents-none",
            "/incidents?group=nobody&category=games&hours=out",
        ),
        stop("search-found", "/search?q=vpn"),
        stop("search-nothing", "/search?q=no-such-thing"),
        stop("device", &format!("/devices/{}", seed::TRIED)),
        stop("device-unknown", "/devices/nothing-of-that-name"),
        stop("alerts-all", "/alerts?show=all"),
        stop("holds", "/holds"),
    ];
    for (name, at) in [
        ("incident", &things.incident),
        ("reviewed", &things.reviewed),
        ("mandatory", &things.mandatory),
    ] {
        all.push(stop(name, &format!("/incidents/{at}")));
    }
    for number in &things.alerts {
        let path = format!("/alerts/{number}");
        all.push(stop(&format!("alert-{number}"), &path));
    }
    all
}

/// What is in a role's navigation.
fn navigation(client: &mut Client) -> Vec<Stop> {
    let home = client.get("/");
    let (_, rest) = home.page().split_once("<nav").unwrap();
    let (nav, _) = rest.split_once("</nav>").unwrap();
    let links = nav.split("href=\"").skip(1);
    let paths = links.map(|rest| rest.split('"').next().unwrap());
    let name = |path: &str| match path.trim_matches('/') {
        "" => "overview".to_owned(),
        other => other.replace('/', "-"),
    };
    paths.map(|path| stop(&name(path), path)).collect()
}
