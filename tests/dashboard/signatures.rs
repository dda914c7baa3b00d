//! Who can be the second person: one who is another, with the password they have
//! now, and for as long as they are at the school.

use super::changes::{Office, account, approve, proposed, says, set_up_signature};
use super::client::{Client, PASSWORD, Pages};
use crate::serve::school::{POLICY, Plan, School};
use crate::serve::upstream::Upstream;

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
    // When a password was chosen is kept to the second.
    std::thread::sleep(std::time::Duration::from_millis(1100));
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
