//! Changes on the pages, as technician, safeguarding lead and head make them,
//! with a real resolver behind: what a page says is in force is asked for over
//! DNS.

use std::thread;
use std::time::{Duration, Instant};

use jiff::{Timestamp, ToSpan};

use super::client::{Account, Answer, Client, PASSWORD, Pages};
use crate::serve::eventually;
use crate::serve::school::{Folder, POLICY, Plan, School};
use crate::serve::upstream::{ADDRESS, Upstream};

/// A school whose resolver and pages run, and its people.
pub(super) struct Office {
    pub(super) pages: Pages,
    pub(super) technician: Client,
    pub(super) dsl: Client,
    pub(super) head: Client,
    pub(super) school: School,
    _upstream: Upstream,
}

impl Office {
    pub(super) fn open() -> Self {
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
    pub(super) fn signed() -> Self {
        let mut office = Self::open();
        office.sign();
        office
    }

    fn sign(&mut self) {
        assert!(set_up_signature(&mut self.head).contains("Your signature is in force"));
        assert!(set_up_signature(&mut self.dsl).contains("Your signature is waiting"));
        let confirmed = self.head.post(
            "/changes/signatories/dsl/confirm",
            &[("password", PASSWORD)],
        );
        assert_eq!(confirmed.status, 303, "{confirmed:?}");
        let page = self.dsl.get("/account/signature");
        assert!(page.page().contains("Your signature is in force"));
    }

    /// Somebody asks for a site; gives the request's number.
    pub(super) fn request(&mut self, site: &str, wish: &str) {
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
    pub(super) fn grant(&mut self) -> u64 {
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

    pub(super) fn is_blocked(&self, name: &str) -> bool {
        self.school.ask(name).errors == [15]
    }
}

pub(super) fn account(folder: &Folder, name: &str, role: &str, email: &str) -> Account {
    Account::with_email(folder, name, role, email)
}

pub(super) fn set_up_signature(client: &mut Client) -> String {
    client.get("/account/signature");
    let answer = client.post("/account/signature", &[("password", PASSWORD)]);
    assert_eq!(answer.status, 303, "{answer:?}");
    client.get("/account/signature").page().to_owned()
}

/// The number of the change that a form was answered with.
#[track_caller]
pub(super) fn proposed(answer: &Answer) -> u64 {
    assert_eq!(answer.status, 303, "{answer:?}");
    let number = answer.location().strip_prefix("/changes/").unwrap();
    number.parse().unwrap()
}

pub(super) fn approve(client: &mut Client, number: u64, password: &str) -> Answer {
    let path = format!("/changes/{number}");
    let digest = client.get(&path).field("digest").unwrap_or_default();
    let sent = [("digest", &*digest), ("password", password)];
    client.post(&format!("{path}/approve"), &sent)
}

#[track_caller]
pub(super) fn says(answer: &Answer, words: &str) {
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
    says(&page, "answered automatically");
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
fn an_exception_that_ends_soon_is_renewed_by_two() {
    let mut office = Office::signed();
    office.request("bets.example", "unblock");
    let today = Timestamp::now().in_tz("Europe/London").unwrap().date();
    let soon = today.saturating_add(7.days()).to_string();
    let sent = [("groups", "pupil"), ("reason", "x"), ("expires", &*soon)];
    let number = proposed(&office.technician.post("/requests/1/grant", &sent));
    assert_eq!(office.approve(number).status, 303);
    let page = office.technician.get("/exceptions");
    let (_, rest) = page.page().split_once("Ending within 30 days").unwrap();
    assert!(rest.contains("Propose to renew it"), "{rest}");
    let which = page.field("which").unwrap();
    let later = today.saturating_add(200.days());
    let until = later.to_string();
    let sent = [("which", &*which), ("why", "still"), ("expires", &*until)];
    let number = proposed(&office.technician.post("/exceptions/renew", &sent));
    says(&office.technician.get("/exceptions"), "Propose to renew it");
    assert_eq!(office.approve(number).status, 303);
    let page = office.technician.get("/exceptions");
    says(&page, &later.strftime("%-d %B %Y").to_string());
    assert!(!page.body.contains("Propose to renew it"));
    assert!(!office.is_blocked("bets.example"));
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
