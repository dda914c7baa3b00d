//! Entries that somebody wrote who can write: each follows the one before, digest
//! and all, and says what may not stand there. Whoever reads the record judges it,
//! and `serve` does at its start.

use schoolgate::changes::activation::{Activated, Cause};
use schoolgate::changes::ask::{Outcome, Wanted, Wish};
use schoolgate::changes::change::Verdict;
use schoolgate::changes::ledger::{Ledger, kind, with};
use schoolgate::changes::proposal::{Author, Leave, Proposal};
use schoolgate::changes::signatory::{self, Signatory};
use schoolgate::people::role::Role;
use schoolgate::policy::document::ChangeRule;
use schoolgate::record::{Broken, Deed, Record};

use super::{Person, School, adding, exception};

/// A school in whose record an approved change and one that waits stand.
struct Attacked {
    school: School,
    head: Person,
    dsl: Person,
}

impl Attacked {
    fn new() -> Self {
        let mut school = School::new();
        let head = Person::new("a.head", "head@school.example", Role::Head);
        let dsl = Person::new("d.lead", "lead@school.example", Role::Dsl);
        school.enrol(&head);
        school.enrol(&dsl);
        let technician = Author::new("t.tech", "tech@school.example");
        for name in ["play.example", "chess.example"] {
            let allow = exception(name, Verdict::Allow, &["pupil"]);
            school.propose(&technician, adding(allow)).unwrap();
        }
        school.approve(&head, 1).unwrap();
        Self { school, head, dsl }
    }

    fn waiting(&self) -> Proposal {
        self.school.ledger().waiting[&2].clone()
    }

    fn in_force(&self) -> Activated {
        self.school.ledger().in_force.unwrap()
    }

    /// The next activation, with the exceptions that were `added`.
    fn next(&self, added: &str) -> Activated {
        let last = self.in_force();
        Activated {
            number: last.number + 1,
            added: added.to_owned(),
            ..last
        }
    }

    fn approval(&self, by: &Person) -> Leave {
        let signed = signatory::approval(&self.waiting().digest);
        Leave::Approved {
            by: by.signatory.account.clone(),
            signature: by.hand.sign(&signed),
        }
    }

    /// Adds it as `serve` does, and says what is found wrong with it.
    fn refused(&self, deed: Deed) -> Option<String> {
        let record = Record::of_changes(self.school.path());
        let folder = self.school.path().join("changes");
        let files = ["record.jsonl", "head.json"].map(|file| folder.join(file));
        let before = files.clone().map(|file| std::fs::read(file).unwrap());
        record.add(deed, self.school.now).unwrap();
        let judged = Ledger::read(self.school.path());
        for (file, bytes) in files.iter().zip(before) {
            std::fs::write(file, bytes).unwrap();
        }
        match judged {
            Ok(_) => None,
            Err(Broken::Entry { why, .. }) => Some(why.to_owned()),
            Err(other) => panic!("{other}"),
        }
    }

    #[track_caller]
    fn is_found(&self, deed: Deed, words: &str) {
        let why = self
            .refused(deed)
            .unwrap_or_else(|| panic!("believed: {words}"));
        assert!(why.contains(words), "{why:?} instead of {words:?}");
    }
}

fn activated(activation: &Activated, proposal: u64, leave: &Leave) -> Deed {
    let deed = with(
        Deed::new("t.tech", kind::ACTIVATED),
        "activation",
        activation,
    );
    with(deed.about("proposal", proposal), "leave", leave)
}

/// The hash of what would be in force.
const OTHER: &str = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";

#[test]
fn an_activation_needs_its_own_proposals_approval() {
    let it = Attacked::new();
    let next = it.next(OTHER);
    let change = |leave: &Leave| {
        let next = Activated {
            cause: Cause::Change,
            ..next.clone()
        };
        activated(&next, 2, leave)
    };
    // It is a whole one that is refused below for one thing each.
    assert_eq!(it.refused(change(&it.approval(&it.head))), None);
    let without = "without the signature of another person";
    for leave in [Leave::Tightens, Leave::Notify, Leave::Override] {
        it.is_found(change(&leave), without);
    }
    let stranger = Person::new("x.tra", "", Role::Head);
    it.is_found(change(&it.approval(&stranger)), without);
    let Leave::Approved { signature, .. } = it.approval(&it.head) else {
        unreachable!()
    };
    for by in [
        "d.lead",
        "A.Head",
        "a.head ",
        "\u{430}.head",
        "console",
        "t.tech",
        "",
    ] {
        let (by, signature) = (by.to_owned(), signature.clone());
        it.is_found(change(&Leave::Approved { by, signature }), without);
    }
    // Of the proposal that was approved before, for this one.
    let entries = Record::of_changes(it.school.path()).entries().unwrap();
    let leave = entries
        .iter()
        .find_map(|entry| entry.deed.about.get("leave"));
    let old: Leave = serde_json::from_value(leave.unwrap().clone()).unwrap();
    it.is_found(change(&old), without);
    let twice = activated(
        &Activated {
            cause: Cause::Change,
            ..next.clone()
        },
        1,
        &old,
    );
    it.is_found(twice, "a proposal that does not wait");
    // Rightly approved, and another thing put in force.
    let other = Activated {
        policy: OTHER.to_owned(),
        cause: Cause::Change,
        ..next.clone()
    };
    it.is_found(activated(&other, 2, &it.approval(&it.head)), "other texts");
    let rule = Activated {
        rule: Some(ChangeRule::Notify),
        cause: Cause::Change,
        ..next
    };
    it.is_found(activated(&rule, 2, &it.approval(&it.head)), "other texts");
}

#[test]
fn who_was_taken_away_approves_nothing() {
    let mut it = Attacked::new();
    let (leave, next) = (it.approval(&it.dsl), it.next(OTHER));
    let change = Activated {
        cause: Cause::Change,
        ..next
    };
    assert_eq!(it.refused(activated(&change, 2, &leave)), None);
    let gone = Wish::Remove {
        account: "d.lead".to_owned(),
        console: None,
    };
    let head = it.head.author();
    it.school.ask(&head, gone).unwrap();
    it.is_found(activated(&change, 2, &leave), "without the signature");
}

#[test]
fn lists_and_starts_bring_no_other_texts_nor_another_rule() {
    let it = Attacked::new();
    let last = it.in_force();
    let fresh = Activated {
        number: last.number + 1,
        lists: "another generation".to_owned(),
        ..last.clone()
    };
    let deed = |activation: Activated| {
        with(
            Deed::new("schoolgate", kind::ACTIVATED),
            "activation",
            &activation,
        )
    };
    for cause in [Cause::Start, Cause::Reload, Cause::Lists] {
        let fresh = Activated {
            cause,
            ..fresh.clone()
        };
        assert_eq!(it.refused(deed(fresh.clone())), None);
        let other = || OTHER.to_owned();
        for altered in [
            Activated {
                policy: other(),
                ..fresh.clone()
            },
            Activated {
                devices: other(),
                ..fresh.clone()
            },
            Activated {
                added: other(),
                ..fresh.clone()
            },
            Activated {
                added: String::new(),
                ..fresh.clone()
            },
            Activated {
                rule: Some(ChangeRule::Notify),
                ..fresh.clone()
            },
            Activated {
                rule: None,
                ..fresh.clone()
            },
        ] {
            it.is_found(deed(altered), "without a proposal");
        }
        for number in [0, last.number, last.number + 2, u64::MAX] {
            let skipped = Activated {
                number,
                ..fresh.clone()
            };
            it.is_found(deed(skipped), "next number");
        }
    }
}

#[test]
fn a_record_begins_once_and_its_proposals_are_their_authors() {
    let it = Attacked::new();
    for who in ["schoolgate", "a.head", "Console", "console "] {
        let founding = with(Deed::new(who, kind::FOUNDED), "activation", &it.next(OTHER));
        it.is_found(founding, "begins anew");
    }
    let proposal = Proposal {
        number: 3,
        ..it.waiting()
    };
    let by = |who: &str| with(Deed::new(who, kind::PROPOSED), "proposal", &proposal);
    assert_eq!(it.refused(by("t.tech")), None);
    it.is_found(by("a.head"), "somebody else");
    let again = with(
        Deed::new("t.tech", kind::PROPOSED),
        "proposal",
        &it.waiting(),
    );
    it.is_found(again, "next number");
}

#[test]
fn nobody_is_made_a_signatory_by_what_was_signed_for_another() {
    let mut it = Attacked::new();
    let new = Person::new("n.ew", "new@school.example", Role::Head);
    let confirms =
        |by: &Person, of: &Signatory| by.hand.sign(&signatory::confirmation(&of.digest()));
    let enrol = |of: &Signatory, by: &str, signature: String| {
        let deed = with(Deed::new("n.ew", kind::SIGNATORY), "signatory", of);
        deed.about("confirmed_by", by).about("signature", signature)
    };
    let whole = enrol(&new.signatory, "a.head", confirms(&it.head, &new.signatory));
    assert_eq!(it.refused(whole), None);
    let nobody = "whom nobody has confirmed";
    for (by, signature) in [
        ("a.head", confirms(&new, &new.signatory)),
        ("n.ew", confirms(&new, &new.signatory)),
        ("d.lead", confirms(&it.head, &new.signatory)),
        ("a.head", confirms(&it.head, &it.dsl.signatory)),
        (
            "a.head",
            it.head
                .hand
                .sign(&signatory::approval(&new.signatory.digest())),
        ),
        ("a.head", String::new()),
    ] {
        it.is_found(enrol(&new.signatory, by, signature), nobody);
    }
    let alone = with(
        Deed::new("n.ew", kind::SIGNATORY),
        "signatory",
        &new.signatory,
    );
    it.is_found(alone, nobody);
    // A second account of the one who confirms it, however its address is written.
    for email in [
        "head@school.example",
        " HEAD@school.example ",
        "Head@School.Example",
    ] {
        let twin = Signatory {
            email: email.to_owned(),
            ..new.signatory.clone()
        };
        it.is_found(enrol(&twin, "a.head", confirms(&it.head, &twin)), nobody);
    }
    for account in [
        "A.Head",
        "\u{430}.head",
        "a.head\u{200b}",
        "console",
        "schoolgate",
        "",
    ] {
        let odd = Signatory {
            account: account.to_owned(),
            ..new.signatory.clone()
        };
        let deed = enrol(&odd, "a.head", confirms(&it.head, &odd));
        it.is_found(deed, "not called as accounts are");
    }
    let governor = Signatory {
        role: Role::Governor,
        ..new.signatory.clone()
    };
    let deed = enrol(&governor, "a.head", confirms(&it.head, &governor));
    it.is_found(deed, "whose role does not");
    // With everybody gone nobody is the first again.
    for gone in ["a.head", "d.lead"] {
        let deed = Deed::new("t.tech", kind::SIGNATORY_GONE).about("account", gone);
        Record::of_changes(it.school.path())
            .add(deed, it.school.now)
            .unwrap();
    }
    it.school.restart();
    assert!(it.school.ledger().signatories.is_empty());
    let first = with(
        Deed::new("n.ew", kind::SIGNATORY),
        "signatory",
        &new.signatory,
    );
    it.is_found(first, nobody);
    let back = with(
        Deed::new("a.head", kind::SIGNATORY),
        "signatory",
        &it.head.signatory,
    );
    it.is_found(back, "that once could");
}

/// A loosening that waits must not act at a start because telling is enough now.
#[test]
fn what_waited_does_not_spring_when_the_rule_changes() {
    let mut it = Attacked::new();
    let technician = Author::new("t.tech", "tech@school.example");
    let notify = super::POLICY.replace("two-person", "notify");
    let change = it.school.files(&notify);
    let Outcome::Waits { proposal, .. } = it.school.propose(&technician, change).unwrap() else {
        panic!("it acted");
    };
    it.school.approve(&it.head, proposal).unwrap();
    it.school.restart();
    assert!(!it.school.is_open("pupil", "chess.example"));
    assert!(it.school.ledger().waiting.contains_key(&2));
}

/// staff open for themselves what a list closes, not what somebody did.
#[test]
fn a_device_does_not_open_what_the_school_closed() {
    let mut it = Attacked::new();
    let dsl = it.dsl.author();
    let deny = exception("bets.example", Verdict::Deny, &["pupil", "staff"]);
    it.school.propose(&dsl, adding(deny)).unwrap();
    for name in ["bets.example", "www.bets.example", "BETS.example"] {
        let mut wanted = exception(name, Verdict::Allow, &[]);
        wanted.devices = vec!["laptop-1".to_owned()];
        wanted.expires = Some((it.school.now + jiff::SignedDuration::from_mins(20)).to_string());
        let by = Author::new("the device laptop-1", "");
        let said = it.school.propose(&by, Wanted::Override(wanted));
        let why = said.unwrap_err().to_string();
        assert!(why.contains("closed"), "{name}: {why}");
    }
}

/// What opened and has ended is forgotten one day, which is no change of its own.
#[test]
fn what_ended_long_ago_keeps_nothing_from_being_closed() {
    let mut it = Attacked::new();
    let (dsl, technician) = (it.dsl.author(), Author::new("t.tech", ""));
    let mut deny = exception("news.example", Verdict::Deny, &["pupil"]);
    deny.expires = Some("2026-11-20".to_owned());
    it.school.propose(&dsl, adding(deny)).unwrap();
    let mut own = exception("bets.example", Verdict::Allow, &[]);
    own.devices = vec!["laptop-1".to_owned()];
    own.expires = Some((it.school.now + jiff::SignedDuration::from_mins(20)).to_string());
    it.school
        .propose(&technician, Wanted::Override(own))
        .unwrap();
    // What was proposed before something ended means the same after it.
    it.school.now += jiff::SignedDuration::from_hours(48);
    it.school.approve(&it.head, 2).unwrap();
    it.school.now += jiff::SignedDuration::from_hours(24 * 200);
    let deny = exception("poker.example", Verdict::Deny, &["staff"]);
    let outcome = it.school.propose(&dsl, adding(deny)).unwrap();
    let Outcome::InForce { parts, .. } = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(parts.len(), 1, "{parts:?}");
    let policy = it.school.control.policy().unwrap();
    let left = policy.exceptions.iter().count();
    assert_eq!(left, 4, "what opened is gone, what closed is not");
}
