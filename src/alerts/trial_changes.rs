//! Changes told of: a record of the test's own is followed, and what is in the
//! outbox is looked at.

use super::*;
use crate::alerts::changes::Watcher;
use crate::changes::activation::{Activated, Cause};
use crate::changes::change::{Change, Exceptions};
use crate::changes::difference::{Effect, Part};
use crate::changes::ledger::{Ledger, kind, with};
use crate::changes::proposal::{Author, Leave, Proposal};
use crate::changes::rehearsal::Rehearsal;
use crate::changes::signatory::{self, Signatory};
use crate::people::role::Role;
use crate::policy::document::ChangeRule;

const DAY: i64 = 24 * 60;

/// The record, and who watches it.
struct Told {
    school: School,
    record: Record,
    watcher: Watcher,
    proposals: u64,
}

fn activated(number: u64, cause: Cause) -> Activated {
    Activated {
        number,
        time: at(0),
        cause,
        policy: "a".to_owned(),
        devices: "a".to_owned(),
        canaries: "a".to_owned(),
        safe_search: "a".to_owned(),
        sources: "a".to_owned(),
        added: "a".to_owned(),
        lists: "lists-1".to_owned(),
        shipped: Vec::new(),
        rule: Some(ChangeRule::TwoPerson),
    }
}

impl Told {
    fn new() -> Self {
        let school = School::new("");
        let record = Record::of_changes(school.state.path());
        let founding = Deed::new("schoolgate", kind::FOUNDED);
        let founding = with(founding, "activation", &activated(1, Cause::Start));
        record.add(founding, at(0)).unwrap();
        let watcher = Watcher::begin(school.state.path(), &school.db).unwrap();
        Self {
            school,
            record,
            watcher,
            proposals: 0,
        }
    }

    /// The process ends and starts again.
    fn restart(&mut self) {
        self.school.restart();
        self.watcher = Watcher::begin(self.school.state.path(), &self.school.db).unwrap();
    }

    fn adds(&self, deed: Deed, minutes: i64) {
        self.record.add(deed, at(minutes)).unwrap();
    }

    fn proposes(&mut self, effect: Effect, minutes: i64) -> u64 {
        self.proposals += 1;
        let words = "pupil: scratch.mit.edu, until 20 July 2027".to_owned();
        let proposal = Proposal {
            number: self.proposals,
            by: Author::new("t.tech", ""),
            why: "Computing\nYear 5".to_owned(),
            change: Change::Exceptions(Exceptions::default()),
            parts: vec![Part { effect, words }],
            rehearsal: None::<Rehearsal>,
            requests: Vec::new(),
            over: 1,
            digest: String::new(),
            time: at(minutes),
        };
        self.adds(
            with(Deed::new("t.tech", kind::PROPOSED), "proposal", &proposal),
            minutes,
        );
        self.proposals
    }

    fn activates(&self, proposal: u64, number: u64, leave: &Leave, minutes: i64) {
        let deed = Deed::new("t.tech", kind::ACTIVATED).about("proposal", proposal);
        let deed = with(deed, "leave", leave);
        self.adds(
            with(deed, "activation", &activated(number, Cause::Change)),
            minutes,
        );
    }

    fn looks(&mut self, minutes: i64) {
        let desk = Desk {
            rules: &self.school.document.alerts.value,
            settings: &self.school.settings,
            school: &self.school.document.school,
            zone: &self.school.document.zone,
        };
        let looked = self.watcher.look(&mut self.school.db, &desk, at(minutes));
        looked.unwrap();
    }

    fn reminds(&mut self, minutes: i64) {
        self.school
            .with_desk(|tx, desk| Watcher::remind(tx, desk, 7, at(minutes)).unwrap());
    }

    /// Every message in the outbox, as it is kept.
    fn messages(&self) -> Vec<String> {
        let sql = "SELECT recipient || ' ' || message FROM outbox ORDER BY id";
        let mut select = self.school.db.prepare(sql).unwrap();
        let rows = select.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    }

    #[track_caller]
    fn says(&self, count: usize, words: &[&str]) {
        let all = self.messages();
        assert_eq!(all.len(), count, "{all:#?}");
        let last = all.last().unwrap();
        for words in words {
            assert!(last.contains(words), "{words}: {last}");
        }
        assert!(last.starts_with("dsl@school.example "), "{last}");
    }
}

#[test]
fn each_step_of_a_change_is_told_once_over_restarts() {
    let mut told = Told::new();
    told.looks(0);
    assert_eq!(told.messages(), [""; 0], "what was there before is past");
    let loosens = told.proposes(Effect::Loosens, 1);
    told.looks(1);
    told.says(
        1,
        &[
            "waits for approval",
            "loosens    pupil: scratch.mit.edu",
            "Computing Year 5",
        ],
    );
    told.restart();
    told.looks(2);
    told.says(1, &[]);
    let approved = Leave::Approved {
        by: "a.head".to_owned(),
        signature: "00".to_owned(),
    };
    told.activates(loosens, 2, &approved, 3);
    told.looks(3);
    told.says(2, &["a.head has approved", "as policy 2"]);
    // What acts at once is told when it does, and not twice.
    let tightens = told.proposes(Effect::Tightens, 4);
    told.looks(4);
    told.says(2, &[]);
    told.activates(tightens, 3, &Leave::Tightens, 5);
    told.restart();
    told.looks(5);
    told.says(3, &["take note of it", "tightens   pupil"]);
    let declined = told.proposes(Effect::Loosens, 6);
    told.looks(6);
    let no = Deed::new("d.lead", kind::DECLINED).about("proposal", declined);
    told.adds(no.about("why", "not in lessons"), 7);
    told.looks(7);
    told.says(5, &["turned down", "d.lead", "not in lessons"]);
    assert_eq!(told.school.alerts(), []);
    let failed = told.proposes(Effect::Loosens, 8);
    let why = Deed::new("schoolgate", kind::FAILED).about("proposal", failed);
    told.adds(why.about("why", "damaged lists"), 9);
    let removed = Deed::new("t.tech", kind::SIGNATORY_GONE).about("account", "a.head");
    told.adds(removed, 9);
    told.looks(9);
    told.says(8, &["a.head can no longer approve", "t.tech"]);
    assert_eq!(told.school.alerts().len(), 2, "what is wrong is an alert");
}

/// What is asked for by the hundred is not told by the hundred; what acts is.
#[test]
fn a_flood_of_proposals_hides_no_change_that_acts() {
    let mut told = Told::new();
    for _ in 0..60 {
        told.proposes(Effect::Loosens, 1);
    }
    let tightens = told.proposes(Effect::Tightens, 2);
    told.activates(tightens, 2, &Leave::Tightens, 2);
    told.looks(3);
    told.says(32, &["take note of it"]);
    assert_eq!(told.school.alerts().len(), 1);
    told.proposes(Effect::Loosens, 70);
    told.looks(70);
    told.says(33, &["waits for approval"]);
}

/// nobody's change is forgotten.
#[test]
fn what_waits_for_too_long_is_told_every_day_until_it_does_not() {
    let mut told = Told::new();
    let author = Author::new("a.head", "");
    let head = Signatory::new(&author, "A. Head", Role::Head, "four plain words here").unwrap();
    let enrolled = Deed::new("a.head", kind::SIGNATORY);
    told.adds(with(enrolled, "signatory", &head), 0);
    let tightens = told.proposes(Effect::Tightens, 1);
    told.activates(tightens, 2, &Leave::Tightens, 1);
    told.looks(1);
    let before = told.messages().len();
    for (minutes, more) in [
        (6 * DAY, 0),
        (7 * DAY + 2, 1),
        (7 * DAY + 600, 1),
        (8 * DAY + 3, 2),
        (9 * DAY + 4, 3),
    ] {
        told.reminds(minutes);
        told.says(before + more, &[]);
    }
    told.says(before + 3, &["nobody has taken note of it within 7 days"]);
    let digest = Ledger::read(told.school.state.path())
        .unwrap()
        .unacknowledged[&1]
        .digest
        .clone();
    let hand = head.hand("four plain words here").unwrap();
    let noted = Deed::new("a.head", kind::ACKNOWLEDGED).about("proposal", 1);
    let signature = hand.sign(&signatory::acknowledgement(&digest));
    told.adds(noted.about("signature", signature), 10 * DAY);
    told.reminds(11 * DAY);
    told.says(before + 3, &[]);
    told.proposes(Effect::Loosens, 12 * DAY);
    told.reminds(20 * DAY);
    told.says(before + 4, &["Proposal 2 waits since"]);
}

#[test]
fn a_record_that_is_another_one_is_told() {
    let mut told = Told::new();
    told.proposes(Effect::Loosens, 1);
    told.looks(1);
    let folder = told.school.state.path().join("changes");
    std::fs::remove_dir_all(&folder).unwrap();
    let founding = Deed::new("schoolgate", kind::FOUNDED);
    told.adds(with(founding, "activation", &activated(1, Cause::Start)), 2);
    told.looks(2);
    told.says(2, &["not the one that was here before"]);
    // By hand, an entry that does not fit; once.
    let path = folder.join("record.jsonl");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("lists-1", "lists-2")).unwrap();
    for minutes in [3, 4, 5] {
        told.reminds(minutes);
        told.says(3, &["not what was written there: entry 1"]);
    }
    // Begun anew at the machine, it says so itself.
    std::fs::remove_dir_all(&folder).unwrap();
    let founding = Deed::new("console", kind::FOUNDED).about("why", "a torn disk");
    told.adds(with(founding, "activation", &activated(4, Cause::Start)), 6);
    told.looks(6);
    told.says(4, &["begun anew at the machine", "a torn disk"]);
}

#[test]
fn the_digest_says_what_was_changed_and_has_the_head() {
    let mut told = Told::new();
    let tightens = told.proposes(Effect::Tightens, 1);
    told.activates(tightens, 2, &Leave::Tightens, 1);
    told.proposes(Effect::Loosens, 2);
    for minutes in [0, 7 * DAY] {
        told.school
            .with_desk(|tx, desk| digest::send_if_due(tx, desk, at(minutes)).unwrap());
    }
    let head = told.record.verify().unwrap().unwrap();
    let head = format!("changes head {} {}", head.number, head.digest);
    told.says(
        1,
        &[
            "pupil: scratch.mit.edu",
            "by t.tech, at once",
            "1 change acted at once, and nobody has taken note of it yet",
            "1 change waits",
            &head,
        ],
    );
}
