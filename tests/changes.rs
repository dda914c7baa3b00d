//! Change control from within: proposals, approvals, crashes, and a record that
//! somebody has been at. What people see of it is tested with the pages and the
//! command line.

mod attacks;
mod forged;
mod life;
mod sequences;

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use schoolgate::changes::activation::Cause;
use schoolgate::changes::ask::{Ask, Outcome, Proposed, Wanted, Wish};
use schoolgate::changes::change::{Addition, Exceptions, Verdict};
use schoolgate::changes::console::Console;
use schoolgate::changes::control::{Control, NotNow};
use schoolgate::changes::ledger::Ledger;
use schoolgate::changes::proposal::Author;
use schoolgate::changes::signatory::{self, Hand, Signatory};
use schoolgate::configuration::PolicyTexts;
use schoolgate::lists::sample;
use schoolgate::name::Name;
use schoolgate::people::role::Role;
use schoolgate::policy::decision::Verdict as Decided;
use schoolgate::policy::{Asker, GroupIndex, Policy};

/// A school's policy: what pupils may not see, and the rule.
pub(super) const POLICY: &str = "\
school = \"Sequence Primary\"
timezone = \"Europe/London\"
unknown = \"pupil\"
[changes]
rule = \"two-person\"
[groups.pupil]
networks = [\"10.1.0.0/16\"]
block = [\"gambling\", \"games\"]
[groups.staff]
networks = [\"10.2.0.0/16\"]
block = [\"gambling\"]
override_minutes = 30
";
const DEVICES: &str =
    "id,name,mac,ip,group,owner,kind\nlaptop-1,Ms Jones,,10.2.0.7,staff,,laptop\n";

pub(super) const PASSWORD: &str = "four plain words here";

/// Somebody who can sign.
pub(crate) struct Person {
    pub(super) signatory: Signatory,
    pub(super) hand: Hand,
}

impl Person {
    pub(super) fn new(account: &str, email: &str, role: Role) -> Self {
        let author = Author::new(account, email);
        let signatory = Signatory::new(&author, account, role, PASSWORD).unwrap();
        let hand = signatory.hand(PASSWORD).unwrap();
        Self { signatory, hand }
    }

    pub(super) fn author(&self) -> Author {
        Author::new(&self.signatory.account, &self.signatory.email)
    }
}

/// A school with compiled lists and a policy in force.
pub(super) struct School {
    pub(super) folder: tempfile::TempDir,
    pub(super) now: Timestamp,
    pub(super) control: Control,
}

impl School {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let lists: &[(&str, &[&str])] = &[
            ("gambling", &["bets.example", "poker.example"]),
            ("games", &["play.example", "chess.example"]),
        ];
        sample::of_names(folder.path(), lists).unwrap();
        std::fs::write(folder.path().join("policy.toml"), POLICY).unwrap();
        std::fs::write(folder.path().join("devices.csv"), DEVICES).unwrap();
        let now = "2026-11-16T09:00:00Z".parse().unwrap();
        let control = started(folder.path(), now);
        Self {
            folder,
            now,
            control,
        }
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn restart(&mut self) {
        self.control = started(self.folder.path(), self.now);
    }

    /// Enrols somebody from the machine.
    pub(super) fn enrol(&mut self, person: &Person) {
        let console = Console::read(self.path()).unwrap();
        let wish = Wish::Enrol {
            signatory: person.signatory.clone(),
            confirmation: None,
            console,
        };
        assert_eq!(
            self.ask(&Author::console(), wish).unwrap(),
            Outcome::Done,
            "{}",
            person.signatory.account
        );
    }

    pub(super) fn ask(&mut self, by: &Author, wish: Wish) -> Result<Outcome, NotNow> {
        self.now += SignedDuration::from_secs(7);
        let ask = Ask {
            by: by.clone(),
            from: None,
            wish,
        };
        self.control.hear(&ask, self.now)
    }

    pub(super) fn propose(&mut self, by: &Author, change: Wanted) -> Result<Outcome, NotNow> {
        let proposed = Proposed {
            why: "because".to_owned(),
            change,
            rehearsal: None,
            requests: Vec::new(),
        };
        self.ask(by, Wish::Propose(proposed))
    }

    pub(super) fn approve(&mut self, by: &Person, proposal: u64) -> Result<Outcome, NotNow> {
        let digest = self.control.ledger().waiting.get(&proposal);
        let digest = digest.map_or("", |waiting| &waiting.digest);
        let signature = by.hand.sign(&signatory::approval(digest));
        let wish = Wish::Approve {
            proposal,
            signature,
        };
        self.ask(&by.author(), wish)
    }

    /// The files of the folder with another `policy.toml`.
    pub(super) fn files(&self, policy: &str) -> Wanted {
        let texts = PolicyTexts::read(self.path()).unwrap();
        Wanted::Files(Box::new(PolicyTexts {
            policy: policy.to_owned(),
            ..texts
        }))
    }

    pub(super) fn ledger(&self) -> Ledger {
        Ledger::read(self.path()).unwrap()
    }

    /// Whether a pupil may see the site.
    pub(super) fn is_open(&self, group: &str, name: &str) -> bool {
        is_open(&self.control.policy().unwrap(), group, name, self.now)
    }
}

pub(super) fn started(folder: &Path, now: Timestamp) -> Control {
    let mut control = Control::open(folder, folder, now).unwrap();
    control.renew(Cause::Start, now).unwrap();
    control.resume(now);
    control
}

pub(super) fn is_open(policy: &Policy, group: &str, name: &str, now: Timestamp) -> bool {
    let index = policy.groups.iter().position(|g| &*g.id == group).unwrap();
    let asker = Asker {
        group: GroupIndex(u16::try_from(index).unwrap()),
        device: None,
    };
    let name = Name::parse(name).unwrap();
    let covering = policy.lists.covering(name.as_ref());
    let moment = policy.at(now);
    let decision = policy.decide(asker, name.as_ref(), &covering, &moment, &mut ());
    decision.verdict != Decided::Block
}

pub(super) fn exception(name: &str, verdict: Verdict, groups: &[&str]) -> Addition {
    Addition {
        name: name.to_owned(),
        verdict,
        reach: None,
        groups: groups.iter().map(|&group| group.to_owned()).collect(),
        devices: Vec::new(),
        reason: "a reason".to_owned(),
        requested_by: None,
        expires: None,
    }
}

pub(super) fn adding(addition: Addition) -> Wanted {
    Wanted::Exceptions(Exceptions {
        add: vec![addition],
        remove: Vec::new(),
    })
}

pub(super) fn taking_back(addition: Addition) -> Wanted {
    Wanted::Exceptions(Exceptions {
        add: Vec::new(),
        remove: vec![addition],
    })
}
