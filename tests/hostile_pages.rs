//! The pages, taken over: whoever holds the process that serves them has its
//! files and the resolver's socket, and nobody's password. What is blocked stays
//! blocked, and the record stays whole, whatever is asked for and written.
//!
//! A real resolver is asked over its real socket. `state/changes` and
//! `state/console` are out of reach, as the unit of the pages has it.

mod files;
mod signing;
mod wishes;

use jiff::Timestamp;
use schoolgate::changes::ask::{Ask, Confirmation, Outcome, Proposed, Wanted, Wish};
use schoolgate::changes::change::{Addition, Exceptions, Verdict};
use schoolgate::changes::ledger::Ledger;
use schoolgate::changes::proposal::Author;
use schoolgate::changes::signatory::{self, Hand};
use schoolgate::configuration::PolicyTexts;
use schoolgate::people::role::Role;
use schoolgate::status;

use crate::changes::Person;
use crate::serve::school::{PATIENCE, Plan, School};
use crate::serve::upstream::Upstream;

/// 127.0.0.1 is a pupil, 127.0.0.3 staff, everybody else a guest.
const POLICY: &str = r#"
school = "Test"
timezone = "Europe/London"
unknown = "guest"
[changes]
rule = "two-person"
[groups.pupil]
networks = ["127.0.0.1/32"]
block = ["gambling", "games"]
log = "full"
[groups.staff]
networks = ["127.0.0.3/32"]
block = ["gambling"]
override_minutes = 30
log = "full"
[groups.guest]
block = ["gambling", "games", "social_media"]
log = "full"
[alerts]
fallback = "office@school.example"
"#;

const DEVICES: &str = "\
id,name,mac,ip,group,owner,kind
ipad-1,iPad 1,,127.0.0.1,pupil,,
laptop-1,Laptop 1,,127.0.0.3,staff,,
";

/// Who asks, what for, and whether that is blocked for good.
const SHUT: [(&str, &str); 7] = [
    ("127.0.0.1", "bets.example"),
    ("127.0.0.1", "www.casino.example"),
    ("127.0.0.1", "closed.example"),
    ("127.0.0.1", "vile-things.example"),
    ("127.0.0.3", "casino.example"),
    ("127.0.0.3", "closed.example"),
    ("127.0.0.9", "chat.example"),
];

/// A school with two people who can approve, and a past: an approval, an
/// acknowledgement and a confirmation that are there to be played again.
struct Taken {
    school: School,
    _upstream: Upstream,
    head: Person,
    /// The safeguarding lead, and what they signed with before they changed
    /// their password.
    dsl: Person,
    former: Person,
    /// Every signature that stands in the record.
    signatures: Vec<String>,
    /// Whoever has taken the pages over, with a key of their own.
    own: Person,
}

impl Taken {
    fn new() -> Self {
        let upstream = Upstream::plain();
        let mut plan = Plan::new(&[upstream.address]);
        POLICY.clone_into(&mut plan.policy);
        DEVICES.clone_into(&mut plan.devices);
        let mut taken = Self {
            school: plan.start(),
            _upstream: upstream,
            head: Person::new("a.head", "head@school.example", Role::Head),
            dsl: Person::new("d.lead", "lead@school.example", Role::Dsl),
            former: Person::new("d.lead", "lead@school.example", Role::Dsl),
            signatures: Vec::new(),
            own: Person::new("m.allory", "", Role::Head),
        };
        taken.live_a_little();
        taken
    }

    /// What happens at a school in its first week.
    fn live_a_little(&mut self) {
        let (head, lead) = (self.head.author(), self.dsl.author());
        self.must(&head, enrol(&self.head, None));
        self.must(&lead, enrol(&self.former, None));
        let confirms =
            |by: &Hand, of: &Person| by.sign(&signatory::confirmation(&of.signatory.digest()));
        let wish = Wish::Confirm {
            account: "d.lead".to_owned(),
            signature: confirms(&self.head.hand, &self.former),
        };
        self.must(&head, wish);
        let confirmation = Confirmation {
            by: "d.lead".to_owned(),
            signature: confirms(&self.former.hand, &self.dsl),
        };
        self.must(&lead, enrol(&self.dsl, Some(confirmation)));
        let closed = site(
            "closed.example",
            Verdict::Deny,
            &["pupil", "staff", "guest"],
        );
        self.must(&lead, propose(adding(closed)));
        let at_once = self.ledger().unacknowledged[&1].digest.clone();
        let wish = Wish::Acknowledge {
            proposal: 1,
            signature: (self.head.hand).sign(&signatory::acknowledgement(&at_once)),
        };
        self.must(&head, wish);
        let open = site("club.example", Verdict::Allow, &["pupil"]);
        self.must(&technician(), propose(adding(open)));
        let approved = self.approved_by(&self.head, 2);
        self.must(&head, approved);
        self.signatures = self.signatures_in_the_record();
        assert_eq!(self.signatures.len(), 4, "{:?}", self.signatures);
        self.holds("before");
    }

    /// Each signature that anybody can read in the record.
    fn signatures_in_the_record(&self) -> Vec<String> {
        let path = self.school.folder.state().join("changes/record.jsonl");
        let text = std::fs::read_to_string(path).unwrap();
        let signature = |rest: &str| rest.split('"').next().unwrap().to_owned();
        let parts = text.split("\"signature\":\"").skip(1);
        parts.map(signature).collect()
    }

    fn ledger(&self) -> Ledger {
        Ledger::read(&self.school.folder.state()).unwrap()
    }

    fn approved_by(&self, by: &Person, proposal: u64) -> Wish {
        let digest = self.ledger().waiting[&proposal].digest.clone();
        Wish::Approve {
            proposal,
            signature: by.hand.sign(&signatory::approval(&digest)),
        }
    }

    fn asks(&self, by: &Author, wish: Wish) -> Result<Outcome, String> {
        let ask = Ask {
            by: by.clone(),
            from: Some("10.0.0.66".to_owned()),
            wish,
        };
        let answer = ask.put_to(&self.school.folder.state());
        answer.map_err(|why| why.to_string())
    }

    fn must(&self, by: &Author, wish: Wish) -> Outcome {
        self.asks(by, wish).unwrap()
    }

    /// Bytes on the socket.
    fn sends(&self, body: &[u8]) -> Option<Vec<u8>> {
        let socket = status::socket(&self.school.folder.state());
        status::exchange(&socket, "POST", "/change", body, PATIENCE)
            .ok()
            .flatten()
    }

    /// What is blocked is still blocked, and the record hangs together.
    fn holds(&self, after: &str) {
        for (from, name) in SHUT {
            let reply = self.school.ask_from(from, name);
            assert!(
                [15, 16, 17].iter().any(|code| reply.errors == [*code]),
                "{name} for {from} after {after}: {reply:?}"
            );
        }
        let ledger = self.ledger();
        assert_eq!(ledger.in_force.unwrap().rule, Some(RULE), "{after}");
    }

    fn restart(self) -> Self {
        let school = School::start(self.school.stop());
        Self { school, ..self }
    }
}

const RULE: schoolgate::policy::document::ChangeRule =
    schoolgate::policy::document::ChangeRule::TwoPerson;

fn technician() -> Author {
    Author::new("t.tech", "tech@school.example")
}

/// Everybody whom the pages may say that they speak for.
fn claims() -> Vec<Author> {
    let mut all = vec![technician(), Author::console()];
    for account in [
        "a.head",
        "d.lead",
        "m.allory",
        " a.head",
        "A.HEAD",
        "\u{430}.head",
    ] {
        all.push(Author::new(account, ""));
        all.push(Author::new(account, "nobody@school.example"));
    }
    all
}

fn enrol(of: &Person, confirmation: Option<Confirmation>) -> Wish {
    Wish::Enrol {
        signatory: of.signatory.clone(),
        confirmation,
        console: None,
    }
}

fn propose(change: Wanted) -> Wish {
    Wish::Propose(Proposed {
        why: "because".to_owned(),
        change,
        rehearsal: None,
        requests: Vec::new(),
    })
}

fn adding(addition: Addition) -> Wanted {
    Wanted::Exceptions(Exceptions {
        add: vec![addition],
        remove: Vec::new(),
    })
}

fn site(name: &str, verdict: Verdict, groups: &[&str]) -> Addition {
    crate::changes::exception(name, verdict, groups)
}

/// A moment so many minutes from now.
fn minutes(from_now: i64) -> String {
    (Timestamp::now() + jiff::SignedDuration::from_mins(from_now)).to_string()
}

/// The school's files, with one of them otherwise.
fn files(taken: &Taken, edit: impl Fn(&mut PolicyTexts)) -> Wanted {
    let mut texts = PolicyTexts::read(taken.school.folder.path()).unwrap();
    let before = texts.clone();
    edit(&mut texts);
    assert_ne!(texts, before, "an edit that changes nothing is no attack");
    Wanted::Files(Box::new(texts))
}
