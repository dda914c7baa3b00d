//! The life of a change: who may do what, and what then is in force.

use schoolgate::changes::ask::{Confirmation, Outcome, Wanted, Wish};
use schoolgate::changes::change::Verdict;
use schoolgate::changes::proposal::Author;
use schoolgate::changes::signatory;
use schoolgate::people::role::Role;

use super::{POLICY, Person, School, adding, exception, taking_back};

fn head() -> Person {
    Person::new("a.head", "head@school.example", Role::Head)
}

fn dsl() -> Person {
    Person::new("d.lead", "lead@school.example", Role::Dsl)
}

fn technician() -> Author {
    Author::new("t.tech", "tech@school.example")
}

fn waits(outcome: &Outcome) -> u64 {
    match outcome {
        Outcome::Waits { proposal, .. } => *proposal,
        other => panic!("{other:?}"),
    }
}

fn in_force(outcome: &Outcome) -> u64 {
    match outcome {
        Outcome::InForce { policy, .. } => *policy,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_loosens_waits_for_another_person() {
    let mut school = School::new();
    let head = head();
    school.enrol(&head);
    let opened = POLICY.replace("\"gambling\", \"games\"", "\"gambling\"");
    let change = school.files(&opened);
    let number = waits(&school.propose(&technician(), change).unwrap());
    assert!(!school.is_open("pupil", "play.example"));
    school.restart();
    assert!(!school.is_open("pupil", "play.example"), "after a restart");
    assert_eq!(in_force(&school.approve(&head, number).unwrap()), 2);
    assert!(school.is_open("pupil", "play.example"));
    assert!(!school.is_open("pupil", "bets.example"));
    school.restart();
    assert!(school.is_open("pupil", "play.example"), "after a restart");
    let again = school.approve(&head, number).unwrap_err().to_string();
    assert!(again.contains("in force already, as policy 2"), "{again}");
}

#[test]
fn what_tightens_acts_at_once_and_is_to_be_acknowledged_by_another() {
    let mut school = School::new();
    let (head, dsl) = (head(), dsl());
    school.enrol(&head);
    school.enrol(&dsl);
    let deny = exception("news.example", Verdict::Deny, &["pupil", "staff"]);
    let outcome = school.propose(&dsl.author(), adding(deny.clone())).unwrap();
    assert_eq!(in_force(&outcome), 2);
    assert!(!school.is_open("staff", "news.example"));
    let digest = school.ledger().unacknowledged[&1].digest.clone();
    let note = |by: &Person| Wish::Acknowledge {
        proposal: 1,
        signature: by.hand.sign(&signatory::acknowledgement(&digest)),
    };
    assert!(school.ask(&dsl.author(), note(&dsl)).is_err(), "by herself");
    school.ask(&head.author(), note(&head)).unwrap();
    assert!(school.ledger().unacknowledged.is_empty());
    // What closed it in a moment is not opened in one.
    let back = school.propose(&dsl.author(), taking_back(deny)).unwrap();
    let number = waits(&back);
    assert!(school.approve(&dsl, number).is_err(), "by herself");
    school.approve(&head, number).unwrap();
    assert!(school.is_open("staff", "news.example"));
}

#[test]
fn one_person_with_two_accounts_is_one_person() {
    let mut school = School::new();
    let twin = Person::new("t.tech.2", "TECH@school.example", Role::Head);
    school.enrol(&twin);
    let allow = exception("play.example", Verdict::Allow, &["pupil"]);
    let outcome = school.propose(&technician(), adding(allow)).unwrap();
    let why = school.approve(&twin, waits(&outcome)).unwrap_err();
    assert!(
        why.to_string().contains("another account of theirs"),
        "{why}"
    );
    assert!(!school.is_open("pupil", "play.example"));
}

#[test]
fn an_approval_is_of_one_proposal_and_of_what_it_meant() {
    let mut school = School::new();
    let head = head();
    school.enrol(&head);
    let first = POLICY.replace(", \"games\"", "");
    let second = POLICY.replace("\"gambling\", \"games\"", "\"games\"");
    let change = school.files(&first);
    let older = waits(&school.propose(&technician(), change).unwrap());
    let seen = school.ledger().waiting[&older].digest.clone();
    let change = school.files(&second);
    let newer = waits(&school.propose(&technician(), change).unwrap());
    let why = school.approve(&head, older).unwrap_err().to_string();
    assert!(why.contains("replaced by proposal 2"), "{why}");
    // What she signed was the older one.
    let wish = Wish::Approve {
        proposal: newer,
        signature: head.hand.sign(&signatory::approval(&seen)),
    };
    assert!(school.ask(&head.author(), wish).is_err());
    assert!(!school.is_open("pupil", "bets.example"));
    assert!(!school.is_open("pupil", "play.example"));
}

#[test]
fn what_has_come_to_mean_something_else_must_be_proposed_again() {
    let mut school = School::new();
    let head = head();
    school.enrol(&head);
    let allow = exception("play.example", Verdict::Allow, &["pupil"]);
    let outcome = school
        .propose(&technician(), adding(allow.clone()))
        .unwrap();
    let back = waits(&outcome);
    school.approve(&head, back).unwrap();
    // To a policy without the exception: of which there is one, number 1.
    let tightens = school.propose(&technician(), Wanted::Back(1)).unwrap();
    assert_eq!(in_force(&tightens), 3);
    let again = school.propose(&technician(), Wanted::Back(2)).unwrap();
    let number = waits(&again);
    let other = adding(exception("chess.example", Verdict::Allow, &["pupil"]));
    let other = waits(&school.propose(&technician(), other).unwrap());
    school.approve(&head, other).unwrap();
    let why = school.approve(&head, number).unwrap_err().to_string();
    assert!(why.contains("proposed again"), "{why}");
    assert!(!school.is_open("pupil", "play.example"));
    assert!(school.is_open("pupil", "chess.example"));
}

#[test]
fn a_site_closed_meanwhile_stays_closed_when_an_older_proposal_is_approved() {
    let mut school = School::new();
    let head = head();
    school.enrol(&head);
    let opened = POLICY.replace(", \"games\"", "");
    let change = school.files(&opened);
    let number = waits(&school.propose(&technician(), change).unwrap());
    let deny = exception("news.example", Verdict::Deny, &["pupil"]);
    school.propose(&technician(), adding(deny)).unwrap();
    school.approve(&head, number).unwrap();
    assert!(school.is_open("pupil", "play.example"));
    assert!(!school.is_open("pupil", "news.example"));
}

#[test]
fn a_device_opens_a_site_for_itself_as_long_as_its_group_may() {
    let mut school = School::new();
    let mut wanted = exception("bets.example", Verdict::Allow, &[]);
    wanted.devices = vec!["laptop-1".to_owned()];
    let ends = |school: &School, minutes| {
        (school.now + jiff::SignedDuration::from_mins(minutes)).to_string()
    };
    let by = Author::new("the device laptop-1", "");
    for (minutes, groups) in [(31, vec![]), (30, vec!["staff".to_owned()])] {
        let mut too_much = wanted.clone();
        too_much.expires = Some(ends(&school, minutes));
        too_much.groups = groups;
        assert!(school.propose(&by, Wanted::Override(too_much)).is_err());
    }
    wanted.expires = None;
    assert!(
        school
            .propose(&by, Wanted::Override(wanted.clone()))
            .is_err()
    );
    wanted.expires = Some(ends(&school, 30));
    in_force(&school.propose(&by, Wanted::Override(wanted)).unwrap());
    let policy = school.control.policy().unwrap();
    assert_eq!(policy.exceptions.iter().count(), 1);
    assert!(!school.is_open("staff", "bets.example"), "for others");
    assert!(school.ledger().unacknowledged.is_empty());
}

#[test]
fn under_the_rule_of_telling_it_acts_and_is_to_be_acknowledged() {
    let mut school = School::new();
    let head = head();
    school.enrol(&head);
    let notify = POLICY.replace("two-person", "notify");
    let change = school.files(&notify);
    let number = waits(&school.propose(&technician(), change).unwrap());
    school.approve(&head, number).unwrap();
    let opened = notify.replace(", \"games\"", "");
    let change = school.files(&opened);
    in_force(&school.propose(&technician(), change).unwrap());
    assert!(school.is_open("pupil", "play.example"));
    assert_eq!(school.ledger().unacknowledged.len(), 1);
}

#[test]
fn a_policy_with_a_mistake_is_no_proposal() {
    let mut school = School::new();
    let entries = school.ledger().head.unwrap().number;
    let change = school.files(&POLICY.replace("\"games\"", "\"gams\""));
    let why = school
        .propose(&technician(), change)
        .unwrap_err()
        .to_string();
    assert!(why.contains("policy.toml:8:"), "{why}");
    let same = school.files(POLICY);
    assert_eq!(
        school.propose(&technician(), same).unwrap(),
        Outcome::Nothing
    );
    assert_eq!(school.ledger().head.unwrap().number, entries);
}

#[test]
fn by_a_wrong_clock_no_closing_falls_away() {
    let mut school = School::new();
    let by = dsl().author();
    let mut until_summer = exception("news.example", Verdict::Deny, &["pupil"]);
    until_summer.expires = Some("2027-07-20".to_owned());
    school.propose(&by, adding(until_summer)).unwrap();
    let right = school.now;
    school.now += jiff::SignedDuration::from_hours(24 * 600);
    let other = exception("rumours.example", Verdict::Deny, &["pupil"]);
    school.propose(&by, adding(other)).unwrap();
    school.now = right;
    assert!(!school.is_open("pupil", "news.example"));
    assert!(!school.is_open("pupil", "rumours.example"));
}

#[test]
fn what_must_resolve_is_closed_by_nobody() {
    let mut school = School::new();
    let entries = school.ledger().head.unwrap().number;
    for name in ["www.childline.org.uk", "childline.org.uk"] {
        let deny = exception(name, Verdict::Deny, &["pupil"]);
        let why = school.propose(&dsl().author(), adding(deny)).unwrap_err();
        assert!(why.to_string().contains("childline.org.uk"), "{why}");
    }
    assert!(school.is_open("pupil", "childline.org.uk"));
    assert_eq!(school.ledger().head.unwrap().number, entries);
}

#[test]
fn the_first_signatory_is_believed_and_each_other_is_confirmed() {
    let mut school = School::new();
    let (head, dsl) = (head(), dsl());
    let enrol = |of: &Person, confirmation: Option<Confirmation>| Wish::Enrol {
        signatory: of.signatory.clone(),
        confirmation,
        console: None,
    };
    let tech = Person::new("t.tech", "tech@school.example", Role::Technician);
    assert!(school.ask(&tech.author(), enrol(&tech, None)).is_err());
    school.ask(&head.author(), enrol(&head, None)).unwrap();
    school.ask(&dsl.author(), enrol(&dsl, None)).unwrap();
    assert!(!school.ledger().signatories.contains_key("d.lead"));
    let message = signatory::confirmation(&dsl.signatory.digest());
    for (by, signature) in [
        ("d.lead", dsl.hand.sign(&message)),
        ("a.head", dsl.hand.sign(&message)),
        ("a.head", head.hand.sign("something else")),
    ] {
        let account = "d.lead".to_owned();
        let wish = Wish::Confirm { account, signature };
        assert!(school.ask(&Author::new(by, ""), wish).is_err(), "{by}");
    }
    let wish = Wish::Confirm {
        account: "d.lead".to_owned(),
        signature: head.hand.sign(&message),
    };
    school.ask(&head.author(), wish).unwrap();
    // A new password makes a new key, which the old one signs for.
    let new = Person::new("d.lead", "lead@school.example", Role::Dsl);
    let message = signatory::confirmation(&new.signatory.digest());
    let by = |by: &str, hand: &signatory::Hand| {
        Some(Confirmation {
            by: by.to_owned(),
            signature: hand.sign(&message),
        })
    };
    let with_new = enrol(&new, by("d.lead", &new.hand));
    assert!(school.ask(&dsl.author(), with_new).is_err());
    let with_old = enrol(&new, by("d.lead", &dsl.hand));
    school.ask(&dsl.author(), with_old).unwrap();
    assert_eq!(school.ledger().signatories["d.lead"], new.signatory);
}

#[test]
fn nothing_in_the_folder_is_live_but_what_was_found_first() {
    let mut school = School::new();
    let path = school.path().join("policy.toml");
    std::fs::write(&path, POLICY.replace(", \"games\"", "")).unwrap();
    school
        .control
        .renew(schoolgate::changes::activation::Cause::Reload, school.now)
        .unwrap();
    assert!(!school.is_open("pupil", "play.example"));
    std::fs::write(&path, "nonsense").unwrap();
    school.restart();
    assert!(!school.is_open("pupil", "play.example"));
}
