//! Changes on the pages, as technician, safeguarding lead and head make them,
//! with a real resolver behind: what a page says is in force is asked for over
//! DNS.

use std::thread;
use std::time::{Duration, Instant};

use super::client::{Account, Answer, Client, PASSWORD, Pages};
use crate::serve::eventually;
use crate::serve::school::{Folder, POLICY, Plan, School};
use crate::serve::upstream::{ADDRESS, Upstream};

/// A school whose resolver and pages run, and its people.
struct Office {
    pages: Pages,
    technician: Client,
    dsl: Client,
    head: Client,
    school: School,
    _upstream: Upstream,
}

impl Office {
    fn open() -> Self {
        Self::with(|_| {})
    }

    fn with(more: impl FnOnce(&mut Plan)) -> Self {
        let upstream = Upstream::plain();
        let mut plan = Plan::new(&[upstream.address]);
        more(&mut plan);
        let school = plan.start();
        let [technician, dsl, head] = ["technician", "dsl", "head"].map(|role| {
            account(
                &school.folder,
                role,
                role,
                &format!("{role}@school.example"),
            )
        });
        let pages = Pages::start(&school.folder);
        let sign_in = |mut account| {
            let mut client = Client::as_account(&pages, &mut account);
            client.get("/account");
            client
        };
        let (technician, dsl, head) = (sign_in(technician), sign_in(dsl), sign_in(head));
        let mut office = Self {
            technician,
            dsl,
            head,
            pages,
            school,
            _upstream: upstream,
        };
        // The policy in force is read in the background.
        eventually("the policy", || {
            let page = office.technician.get("/request");
            page.body.contains("For which group?").then_some(())
        });
        office
    }

    /// Both signatures: the first is in force at once, the second is confirmed.
    fn signed() -> Self {
        let mut office = Self::open();
        office.sign();
        office
    }

    fn sign(&mut self) {
        assert!(set_up_signature(&mut self.head).contains("Your signature is in force"));
        assert!(set_up_signature(&mut self.dsl).contains("Your signature waits"));
        let confirmed = self.head.post(
            "/changes/signatories/dsl/confirm",
            &[("password", PASSWORD)],
        );
        assert_eq!(confirmed.status, 303, "{confirmed:?}");
        let page = self.dsl.get("/account/signature");
        assert!(page.page().contains("Your signature is in force"));
    }

    /// Somebody asks for a site; gives the request's number.
    fn request(&mut self, site: &str, wish: &str) {
        let sent = [
            ("site", site),
            ("wish", wish),
            ("group", "pupil"),
            ("why", "Maths in Year 5"),
        ];
        let answer = self.dsl.post("/request", &sent);
        assert!(answer.page().contains("has been received"), "{answer:?}");
    }

    /// The technician proposes to open what request 1 asks for.
    fn grant(&mut self) -> u64 {
        let sent = [
            ("groups", "pupil"),
            ("reason", "Maths in Year 5"),
            ("expires", "2027-07-20"),
        ];
        proposed(&self.technician.post("/requests/1/grant", &sent))
    }

    fn approve(&mut self, number: u64) -> Answer {
        approve(&mut self.head, number, PASSWORD)
    }

    fn is_blocked(&self, name: &str) -> bool {
        self.school.ask(name).errors == [15]
    }
}

fn account(folder: &Folder, name: &str, role: &str, email: &str) -> Account {
    Account::with_email(folder, name, role, email)
}

fn set_up_signature(client: &mut Client) -> String {
    client.get("/account/signature");
    let answer = client.post("/account/signature", &[("password", PASSWORD)]);
    assert_eq!(answer.status, 303, "{answer:?}");
    client.get("/account/signature").page().to_owned()
}

/// The number of the change that a form was answered with.
#[track_caller]
fn proposed(answer: &Answer) -> u64 {
    assert_eq!(answer.status, 303, "{answer:?}");
    let number = answer.location().strip_prefix("/changes/").unwrap();
    number.parse().unwrap()
}

fn approve(client: &mut Client, number: u64, password: &str) -> Answer {
    let path = format!("/changes/{number}");
    let digest = client.get(&path).field("digest").unwrap_or_default();
    let sent = [("digest", &*digest), ("password", password)];
    client.post(&format!("{path}/approve"), &sent)
}

#[track_caller]
fn says(answer: &Answer, words: &str) {
    assert!(answer.body.contains(words), "{words}: {answer:?}");
}

#[test]
fn a_request_becomes_an_exception_that_the_pupil_has_within_a_second() {
    let mut office = Office::signed();
    // Staff get it, so it is in the cache.
    let staff = office.school.ask_from("127.0.0.3", "bets.example");
    assert_eq!(staff.addresses(), [ADDRESS]);
    assert!(office.is_blocked("bets.example"));
    office.request("bets.example", "unblock");
    // An opening has an end, and somebody it is for.
    for missing in ["groups", "expires"] {
        let sent = [
            ("groups", "pupil"),
            ("reason", "Maths"),
            ("expires", "2027-07-20"),
        ];
        let sent: Vec<_> = sent
            .into_iter()
            .filter(|(key, _)| *key != missing)
            .collect();
        let answer = office.technician.post("/requests/1/grant", &sent);
        assert_eq!(answer.status, 400, "{missing}");
    }
    let number = office.grant();
    assert!(office.is_blocked("bets.example"), "nobody has agreed yet");
    let page = office.technician.get("/requests/1");
    says(&page, &format!("Change {number}"));
    says(&page, "answered by itself");
    let page = office.technician.get(&format!("/changes/{number}"));
    says(&page, "It waits.");
    says(&page, "bets.example");
    assert!(!page.body.contains("Approve it"));
    // Neither the one who proposed it nor somebody without the password.
    assert_eq!(
        office
            .technician
            .post(&format!("/changes/{number}/approve"), &[])
            .status,
        403
    );
    let wrong = approve(&mut office.head, number, "not this one");
    assert_eq!(wrong.status, 422, "{wrong:?}");
    says(&wrong, "That is not your password.");
    assert!(office.is_blocked("bets.example"));

    let list = office.head.get("/changes");
    says(&list, "To approve or turn down");
    let agreed = office.approve(number);
    assert_eq!(agreed.status, 303, "{agreed:?}");
    let began = Instant::now();
    while office.is_blocked("bets.example") {
        assert!(
            began.elapsed() < Duration::from_secs(1),
            "more than a second"
        );
    }
    assert_eq!(office.school.ask("bets.example").addresses(), [ADDRESS]);
    let page = office.technician.get(&format!("/changes/{number}"));
    says(&page, "In force");
    says(&page, "Approved by");
    let request = office.dsl.get("/requests/1");
    says(&request, "granted");
    says(&request, "2027-07-20");
    says(&office.technician.get("/exceptions"), "bets.example");
    // Twice is not once more.
    let late = approve(&mut office.dsl, number, PASSWORD);
    assert_eq!(late.status, 422, "{late:?}");
    says(&late, "in force already");
}

#[test]
fn what_is_turned_down_goes_back_to_the_queue_with_the_reason() {
    let mut office = Office::signed();
    office.request("bets.example", "unblock");
    let number = office.grant();
    let path = format!("/changes/{number}/decline");
    let empty = office.head.post(&path, &[("why", " ")]);
    assert_eq!(empty.status, 422);
    let declined = office.head.post(&path, &[("why", "not for Year 5")]);
    assert_eq!(declined.status, 303, "{declined:?}");
    assert!(office.is_blocked("bets.example"));
    let request = office.technician.get("/requests/1");
    says(&request, "being considered");
    says(&request, "not for Year 5");
    says(&office.technician.get("/requests/1"), "Propose to open it");
    let words = request.body.matches("was turned down").count();
    let again = office.technician.get("/requests/1").body;
    assert_eq!(
        again.matches("was turned down").count(),
        words,
        "said twice"
    );
    says(
        &approve(&mut office.head, number, PASSWORD),
        "was turned down",
    );
}

#[test]
fn a_site_is_closed_at_once_and_opened_again_by_two() {
    let mut office = Office::signed();
    assert_eq!(office.school.ask("news.example").addresses(), [ADDRESS]);
    let number = proposed(
        &office
            .dsl
            .post("/deny", &[("site", "https://news.example/page")]),
    );
    assert!(office.is_blocked("news.example"), "cached or not");
    let page = office.dsl.get(&format!("/changes/{number}"));
    says(&page, "In force");
    says(&page, "takes a second person");
    says(&page, "Emergency: closed by");
    // Of the illegal list nobody learns more than of what is blocked for all.
    let blocked_for_all = office.dsl.post("/deny", &[("site", "vile-things.example")]);
    assert_eq!(blocked_for_all.status, 400);
    assert!(
        !blocked_for_all.body.contains("vile"),
        "{blocked_for_all:?}"
    );

    // Another person takes note, by their own password.
    let noted = format!("/changes/{number}/acknowledge");
    let own = office.dsl.post(&noted, &[("password", PASSWORD)]);
    assert_eq!(own.status, 422);
    says(&own, "cannot be the one");
    says(&office.head.get("/changes"), "To take note of");
    assert_eq!(
        office.head.post(&noted, &[("password", PASSWORD)]).status,
        303
    );
    says(
        &office.dsl.get(&format!("/changes/{number}")),
        "has taken note of it",
    );

    // Taking it back waits, and a second wish for the same has nothing to take.
    let page = office.technician.get("/exceptions");
    let which = page.field("which").unwrap();
    let sent = [("which", &*which), ("why", "it was a mistake")];
    let back = proposed(&office.technician.post("/exceptions/take-back", &sent));
    let twice = proposed(&office.dsl.post("/exceptions/take-back", &sent));
    assert!(office.is_blocked("news.example"));
    assert_eq!(office.approve(back).status, 303);
    assert_eq!(office.school.ask("news.example").addresses(), [ADDRESS]);
    let stale = office.head.get(&format!("/changes/{twice}"));
    says(&stale, "must be proposed again");
    assert!(stale.field("digest").is_none(), "nothing to approve");
    assert_eq!(office.approve(twice).status, 422);
}

#[test]
fn an_incident_has_a_button_that_closes_its_site() {
    let mut office = Office::open();
    assert!(office.is_blocked("bets.example"));
    office.school.ask("vile-things.example");
    let staff = office.school.ask_from("127.0.0.3", "bets.example");
    assert_eq!(staff.addresses(), [ADDRESS]);
    let mut page_of = |theme: &str| {
        eventually("the incident", || {
            let list = office.dsl.get(&format!("/incidents?theme={theme}"));
            let (_, rest) = list.body.split_once("href=\"/incidents/")?;
            let at = rest.split('"').next()?.to_owned();
            Some(office.dsl.get(&format!("/incidents/{at}")))
        })
    };
    let button = "Close this site for everybody now";
    assert!(!page_of("illegal").page().contains(button));
    let page = page_of("gambling");
    says(&page, button);
    assert_eq!(page.field("site").as_deref(), Some("bets.example"));
    proposed(&office.dsl.post("/deny", &[("site", "bets.example")]));
    let staff = office.school.ask_from("127.0.0.3", "bets.example");
    assert_eq!(staff.errors, [15]);
}

#[test]
fn one_person_under_two_accounts_is_one_person() {
    let upstream = Upstream::plain();
    let school = Plan::new(&[upstream.address]).start();
    let mut technician = account(&school.folder, "t.jones", "technician", "Jo@school.example");
    let mut head = account(&school.folder, "h.jones", "head", "jo@school.example");
    let pages = Pages::start(&school.folder);
    let mut technician = Client::as_account(&pages, &mut technician);
    let mut head = Client::as_account(&pages, &mut head);
    set_up_signature(&mut head);
    let opened = POLICY.replacen("\"gambling\", \"games\"", "\"games\"", 1);
    school.folder.put("policy.toml", &opened);
    let seen = technician.get("/changes/propose").field("seen").unwrap();
    let sent = [("seen", &*seen), ("why", "they asked")];
    let number = proposed(&technician.post("/changes/propose", &sent));
    let page = head.get(&format!("/changes/{number}"));
    says(&page, "You have made this change yourself");
    let digest = schoolgate::changes::ledger::Ledger::read(&school.folder.state()).unwrap();
    let digest = digest.waiting[&number].digest.clone();
    let sent = [("digest", &*digest), ("password", PASSWORD)];
    let refused = head.post(&format!("/changes/{number}/approve"), &sent);
    assert_eq!(refused.status, 422, "{refused:?}");
    says(&refused, "cannot approve it");
    assert_eq!(school.ask("bets.example").errors, [15]);
}

#[test]
fn of_two_who_approve_at_once_one_is_told_that_it_is_in_force() {
    let mut office = Office::signed();
    office.request("bets.example", "unblock");
    let number = office.grant();
    let (mut head, mut dsl) = (office.head.clone(), office.dsl.clone());
    let answers = thread::scope(|scope| {
        let one = scope.spawn(|| approve(&mut head, number, PASSWORD));
        let other = scope.spawn(|| approve(&mut dsl, number, PASSWORD));
        [one.join().unwrap(), other.join().unwrap()]
    });
    let mut all = answers.iter().map(|a| a.status).collect::<Vec<_>>();
    all.sort_unstable();
    assert_eq!(all, [303, 422], "{answers:?}");
    let late = answers.iter().find(|answer| answer.status == 422).unwrap();
    says(late, "in force already");
    assert!(!office.is_blocked("bets.example"));
}

#[test]
fn what_is_edited_in_the_folder_is_told_and_proposed_as_it_was_shown() {
    let mut office = Office::signed();
    let put = |text: &str| office.school.folder.put("policy.toml", text);
    let propose = |client: &mut Client, seen: &str| {
        let sent = [("seen", seen), ("why", "the new timetable")];
        client.post("/changes/propose", &sent)
    };
    says(
        &office.technician.get("/changes/propose"),
        "are what is in force",
    );
    // Mistakes are told by file and line, and cannot be proposed.
    put(&POLICY.replacen("\"gambling\"", "\"gamblin\"", 1));
    says(&office.technician.get("/changes/propose"), "policy.toml:7");
    says(&office.head.get("/changes"), "edited, not proposed");
    // What somebody types meanwhile is not what was seen.
    put(&POLICY.replacen("\"gambling\", ", "", 1));
    let page = office.technician.get("/changes/propose");
    says(&page, "What would change");
    let seen = page.field("seen").unwrap();
    put(&POLICY.replacen("\"gambling\", \"games\"", "", 1));
    let changed = propose(&mut office.technician, &seen);
    assert_eq!(changed.status, 422);
    says(&changed, "have been changed since");
    put(&POLICY.replacen("\"gambling\", ", "", 1));
    let number = proposed(&propose(&mut office.technician, &seen));
    assert!(office.is_blocked("bets.example"));
    assert_eq!(office.approve(number).status, 303);
    assert!(!office.is_blocked("bets.example"));
    assert!(
        !office
            .head
            .get("/changes")
            .body
            .contains("edited, not proposed")
    );

    // Back to what was: it closes again, so it acts at once.
    let page = office.technician.get("/changes/propose?back=1");
    let seen = page.field("seen").unwrap();
    let sent = [("seen", &*seen), ("why", "it was better"), ("back", "1")];
    proposed(&office.technician.post("/changes/propose", &sent));
    assert!(office.is_blocked("bets.example"));
    assert_eq!(
        office.technician.get("/changes/propose?back=99").status,
        404
    );
    let record = office.technician.get("/changes/record");
    says(&record, "The record is whole");
    says(&record, "approved by head");
    assert!(
        office
            .head
            .get("/changes/record.csv")
            .page()
            .contains("signature")
    );
}

#[test]
fn a_new_password_signs_at_once_and_is_not_kept_from_anybody() {
    let mut office = Office::signed();
    let new = "a window over the harbour";
    let change = |client: &mut Client, old: &str, new: &str| {
        client.get("/account/password");
        let sent = [("old", old), ("password", new), ("again", new)];
        client.post("/account/password", &sent)
    };
    let changed = change(&mut office.head, PASSWORD, new);
    assert_eq!(
        (changed.status, changed.location()),
        (303, "/"),
        "{changed:?}"
    );
    office.request("bets.example", "unblock");
    let number = office.grant();
    assert_eq!(approve(&mut office.head, number, PASSWORD).status, 422);
    assert_eq!(approve(&mut office.head, number, new).status, 303);
    assert!(!office.is_blocked("bets.example"));

    // Without the resolver the password changes all the same, and nothing is
    // said to be done that is not.
    let Office {
        mut dsl,
        school,
        pages,
        ..
    } = office;
    let folder = school.stop();
    let denied = dsl.post("/deny", &[("site", "news.example")]);
    assert_eq!(denied.status, 400);
    says(&denied, "does not run");
    let changed = change(&mut dsl, PASSWORD, new);
    assert_eq!(changed.location(), "/account/signature", "{changed:?}");
    says(&dsl.get("/account/signature"), "a former password");
    says(&dsl.get("/changes"), "Set it up anew");
    let school = School::start(folder);
    dsl.get("/account/signature");
    let sent = [("password", new), ("former", PASSWORD)];
    assert_eq!(dsl.post("/account/signature", &sent).status, 303);
    says(&dsl.get("/account/signature"), "Your signature is in force");
    drop((school, pages));
}

#[test]
fn whoever_leaves_can_no_longer_approve() {
    let mut office = Office::signed();
    let closed = office.head.post("/accounts/dsl/disable", &[]);
    assert_eq!(closed.status, 200, "{closed:?}");
    let list = office.technician.get("/changes");
    let (_, who) = list.page().split_once("Who can approve").unwrap();
    assert!(
        who.contains("Headteacher") && !who.contains("Safeguarding lead"),
        "{who}"
    );
}

#[test]
fn staff_open_a_site_for_a_while_where_the_policy_lets_them() {
    use super::running;
    let policy = POLICY.replace(
        "block = [\"malware_hacking\"]",
        "block = [\"malware_hacking\", \"gambling\"]\noverride_minutes = 30",
    );
    let upstream = Upstream::plain();
    let mut plan = Plan::new(&[upstream.address]);
    plan.policy = format!(
        "{policy}\n[[exceptions]]\nname = \"news.example\"\nverdict = \"deny\"\n\
         groups = [\"staff\"]\nreason = \"test\"\n"
    );
    plan.devices += "desk-1,Desk 1,,127.0.0.3,staff,Ms Jones,laptop\n\
                     ipad-1,iPad 1,,127.0.0.1,pupil,,tablet\n";
    let school = plan.start();
    let pages = running::Pages::beside(&school.folder);
    let link = "/open?site=bets.example";
    assert!(pages.about("127.0.0.3", "bets.example").body.contains(link));
    for (from, site) in [
        ("127.0.0.1", "bets.example"),
        ("127.0.0.3", "news.example"),
        ("127.0.0.3", "vile-things.example"),
    ] {
        assert!(
            !pages.about(from, site).body.contains("/open?"),
            "{from} {site}"
        );
        let answer = open(&pages, from, site, "marking");
        assert_eq!(answer.status, 403, "{answer:?}");
    }
    assert_eq!(school.ask_from("127.0.0.3", "bets.example").errors, [15]);
    assert_eq!(open(&pages, "127.0.0.3", "bets.example", " ").status, 422);
    let answer = open(&pages, "127.0.0.3", "bets.example", "marking");
    assert!(answer.body.contains("is open on"), "{answer:?}");
    let staff = school.ask_from("127.0.0.3", "bets.example");
    assert_eq!(staff.addresses(), [ADDRESS]);
    assert_eq!(
        school.ask("bets.example").errors,
        [15],
        "for that device alone"
    );
    let record = std::fs::read_to_string(school.folder.state().join("changes/record.jsonl"));
    let record = record.unwrap();
    assert!(
        record.contains("device desk-1") && !record.contains("127.0.0.3"),
        "{record}"
    );
    // A site that another page sends is not opened.
    let forged = pages.ask(
        "127.0.0.3",
        "POST",
        &pages.block_page.to_string(),
        "/open",
        "Origin: http://bets.example\r\n",
    );
    assert_eq!(forged.status, 400, "{forged:?}");
}

fn open(
    pages: &super::running::Pages,
    from: &str,
    site: &str,
    reason: &str,
) -> super::running::Page {
    let at = pages.block_page;
    let form = serde_urlencoded::to_string([("site", site), ("reason", reason)]).unwrap();
    let text = format!(
        "POST /open HTTP/1.1\r\nHost: {at}\r\nOrigin: http://{at}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    );
    super::running::Page::of(from, at, text.as_bytes())
}
