//! Random lives of a school: proposals, approvals, answers, crashes at every
//! point of writing, restarts. Whatever happens, the live policy is the last one
//! the record activated, and nothing that one person did opens a site.

use std::fs;

use jiff::Timestamp;
use proptest::prelude::*;
use schoolgate::changes::ask::{Wanted, Wish};
use schoolgate::changes::change::Verdict;
use schoolgate::changes::control::Control;
use schoolgate::changes::kept;
use schoolgate::changes::proposal::Author;
use schoolgate::changes::signatory;
use schoolgate::lists::load;
use schoolgate::people::role::Role;
use schoolgate::policy::Policy;
use schoolgate::policy::compile::Live;
use schoolgate::record::{Entry, Record};

use super::{POLICY, Person, School, adding, exception, is_open, started, taking_back};

const NAMES: [&str; 5] = [
    "bets.example",
    "play.example",
    "chess.example",
    "news.example",
    "www.news.example",
];
const GROUPS: [&str; 2] = ["pupil", "staff"];

#[derive(Debug, Clone)]
enum Step {
    /// Somebody edits the file and proposes it: what pupils and staff may not
    /// see, and the rule.
    Files(usize, u8, bool),
    /// Somebody opens or closes a site.
    Site(usize, usize, usize, bool),
    /// Somebody takes such an exception back.
    TakeBack(usize, usize, usize, bool),
    /// Somebody wants an older policy.
    Back(usize, u64),
    /// Somebody approves something, rightly signed or by another's signature.
    Approve(usize, u64, bool),
    /// Somebody turns something down.
    Decline(usize, u64),
    /// Somebody takes note of something.
    Acknowledge(usize, u64),
    /// The process ends and starts.
    Restart,
    /// The power goes while something is being written: so much of it is there,
    /// and the head of it or not.
    Crash(Box<Step>, u16, bool),
}

fn step() -> impl Strategy<Value = Step> {
    let who = 0..5_usize;
    let site = (who.clone(), 0..NAMES.len(), 0..3_usize, any::<bool>());
    let plain = prop_oneof![
        (who.clone(), 0..16_u8, prop::bool::weighted(0.1))
            .prop_map(|(who, blocks, notify)| Step::Files(who, blocks, notify)),
        site.clone().prop_map(|(w, n, g, a)| Step::Site(w, n, g, a)),
        site.prop_map(|(w, n, g, a)| Step::TakeBack(w, n, g, a)),
        (who.clone(), 1..9_u64).prop_map(|(who, number)| Step::Back(who, number)),
        (who.clone(), 0..9_u64, prop::bool::weighted(0.8))
            .prop_map(|(who, which, right)| Step::Approve(who, which, right)),
        (who.clone(), 0..9_u64).prop_map(|(who, which)| Step::Decline(who, which)),
        (who, 0..9_u64).prop_map(|(who, which)| Step::Acknowledge(who, which)),
        Just(Step::Restart),
    ];
    let crash = (plain.clone(), any::<u16>(), any::<bool>())
        .prop_map(|(step, part, head)| Step::Crash(Box::new(step), part, head));
    prop_oneof![4 => plain, 1 => crash]
}

/// Those who take part: the last is the technician's other account.
struct Cast(Vec<Person>);

impl Cast {
    fn new() -> Self {
        Self(vec![
            Person::new("t.tech", "tech@school.example", Role::Technician),
            Person::new("a.head", "head@school.example", Role::Head),
            Person::new("d.lead", "lead@school.example", Role::Dsl),
            Person::new("g.governor", "", Role::Governor),
            Person::new("t.tech.too", "tech@school.example", Role::Head),
        ])
    }

    fn author(&self, who: usize) -> Author {
        self.0[who].author()
    }
}

fn policy(blocks: u8, notify: bool) -> String {
    let mut all = Vec::new();
    for (bit, category) in ["gambling", "games"].iter().enumerate() {
        if blocks >> bit & 1 == 1 {
            all.push(format!("\"{category}\""));
        }
    }
    let staff = if blocks & 4 == 4 { "\"gambling\"" } else { "" };
    let rule = if notify { "notify" } else { "two-person" };
    POLICY
        .replace("\"gambling\", \"games\"", &all.join(", "))
        .replace("block = [\"gambling\"]", &format!("block = [{staff}]"))
        .replace("two-person", rule)
}

fn groups(which: usize) -> &'static [&'static str] {
    match which {
        0 => &GROUPS[..1],
        1 => &GROUPS[1..],
        _ => &GROUPS,
    }
}

/// Does a step; what is refused is refused.
fn take(school: &mut School, cast: &Cast, step: &Step) {
    let verdict = |opens: bool| if opens { Verdict::Allow } else { Verdict::Deny };
    match step {
        Step::Files(who, blocks, notify) => {
            let files = school.files(&policy(*blocks, *notify));
            let _ = school.propose(&cast.author(*who), files);
        }
        Step::Site(who, name, which, opens) => {
            let site = exception(NAMES[*name], verdict(*opens), groups(*which));
            let _ = school.propose(&cast.author(*who), adding(site));
        }
        Step::TakeBack(who, name, which, opens) => {
            let site = exception(NAMES[*name], verdict(*opens), groups(*which));
            let _ = school.propose(&cast.author(*who), taking_back(site));
        }
        Step::Back(who, number) => {
            let _ = school.propose(&cast.author(*who), Wanted::Back(*number));
        }
        Step::Approve(who, which, right) => {
            let waiting: Vec<u64> = school.ledger().waiting.into_keys().collect();
            let number = waiting.get(*which as usize % waiting.len().max(1));
            let number = number.copied().unwrap_or(*which);
            if *right {
                let _ = school.approve(&cast.0[*who], number);
            } else {
                let other = &cast.0[(who + 1) % cast.0.len()];
                let digest = school
                    .ledger()
                    .waiting
                    .get(&number)
                    .map(|p| p.digest.clone());
                let message = signatory::approval(&digest.unwrap_or_default());
                let signature = other.hand.sign(&message);
                let wish = Wish::Approve {
                    proposal: number,
                    signature,
                };
                let _ = school.ask(&cast.author(*who), wish);
            }
        }
        Step::Decline(who, which) => {
            let wish = Wish::Decline {
                proposal: *which,
                why: "no".to_owned(),
            };
            let _ = school.ask(&cast.author(*who), wish);
        }
        Step::Acknowledge(who, which) => {
            let ledger = school.ledger();
            let all: Vec<_> = ledger.unacknowledged.iter().collect();
            let Some((number, at_once)) = all.get(*which as usize % all.len().max(1)) else {
                return;
            };
            let message = signatory::acknowledgement(&at_once.digest);
            let wish = Wish::Acknowledge {
                proposal: **number,
                signature: cast.0[*who].hand.sign(&message),
            };
            let _ = school.ask(&cast.author(*who), wish);
        }
        Step::Restart => school.restart(),
        Step::Crash(step, part, head) => crash(school, cast, step, *part, *head),
    }
}

/// Takes a step, then leaves of what it wrote what a power cut would have left.
fn crash(school: &mut School, cast: &Cast, step: &Step, part: u16, head: bool) {
    let folder = school.path().to_owned();
    let record = folder.join("changes/record.jsonl");
    let before = fs::read(&record).unwrap();
    take(school, cast, step);
    let after = fs::read(&record).unwrap();
    if !after.starts_with(&before) {
        return;
    }
    let new = after.len() - before.len();
    let kept = before.len() + usize::from(part) % (new + 1);
    let left = &after[..kept];
    fs::write(&record, left).unwrap();
    // The head follows its entry; it may not have come to the last.
    let lines: Vec<&[u8]> = left.split_inclusive(|byte| *byte == b'\n').collect();
    let whole: Vec<&&[u8]> = lines.iter().filter(|l| l.ends_with(b"\n")).collect();
    let at_least = before.split_inclusive(|byte| *byte == b'\n').count();
    let behind = usize::from(!head && whole.len() > at_least);
    let last: Entry = serde_json::from_slice(whole[whole.len() - 1 - behind]).unwrap();
    let text = format!(
        "{{\"number\":{},\"digest\":\"{}\"}}",
        last.number, last.digest
    );
    fs::write(folder.join("changes/head.json"), text).unwrap();
    school.restart();
}

/// The live policy is that of the last activation in the record.
fn is_the_recorded_one(school: &School) {
    let live = school.control.policy().unwrap();
    let last = kept::last(school.path()).unwrap().unwrap();
    assert_eq!(live.number, last.number);
    let recorded = compiled(school, &last);
    for group in GROUPS {
        for name in NAMES {
            let as_recorded = is_open(&recorded, group, name, school.now);
            assert_eq!(school.is_open(group, name), as_recorded, "{group} {name}");
        }
    }
}

fn compiled(school: &School, of: &schoolgate::changes::activation::Activated) -> Policy {
    let texts = kept::texts(school.path(), of).unwrap().unwrap();
    let live = Live {
        number: of.number,
        not_before: Timestamp::UNIX_EPOCH,
        lists: load::open(school.path()).unwrap(),
        standing: true,
    };
    texts.compile(live).unwrap()
}

/// The dull way to say that nobody opened a site alone: each activation after
/// which a site is open that was not has two people's names on it, and they are
/// two people.
fn nothing_was_opened_by_one(school: &School) {
    let record = Record::of_changes(school.path());
    let entries = record.entries().unwrap();
    let mut before: Option<Policy> = None;
    for entry in &entries {
        let Some(number) = entry.deed.about.get("activation") else {
            continue;
        };
        let number = number["number"].as_u64().unwrap();
        let activated = kept::activation(school.path(), number).unwrap().unwrap();
        let after = compiled(school, &activated);
        if let Some(before) = &before {
            let opens = GROUPS.iter().any(|group| {
                let opened = |name: &&str| {
                    !is_open(before, group, name, school.now)
                        && is_open(&after, group, name, school.now)
                };
                NAMES.iter().any(opened)
            });
            if opens && before.rule == schoolgate::policy::document::ChangeRule::TwoPerson {
                let leave = &entry.deed.about["leave"];
                assert_eq!(leave["kind"], "approved", "{entry:?}");
                let by = leave["by"].as_str().unwrap();
                assert!(["a.head", "d.lead", "t.tech.too"].contains(&by), "{by}");
                assert_ne!(by, entry.deed.who);
                let is_tech = |who: &str| who.starts_with("t.tech");
                assert!(!(is_tech(by) && is_tech(&entry.deed.who)), "{entry:?}");
            }
        }
        before = Some(after);
    }
}

#[test]
fn the_live_policy_is_the_recorded_one_and_no_one_opens_a_site_alone() {
    let cast = Cast::new();
    let config = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(24)
    };
    proptest!(config, |(steps in prop::collection::vec(step(), 1..24))| {
        let mut school = School::new();
        for person in [1, 2, 4] {
            school.enrol(&cast.0[person]);
        }
        for step in &steps {
            take(&mut school, &cast, step);
            is_the_recorded_one(&school);
        }
        nothing_was_opened_by_one(&school);
        // It stays so for whoever starts from what is there.
        drop(Control::open(school.path(), school.path(), school.now).unwrap());
        school.control = started(school.path(), school.now);
        is_the_recorded_one(&school);
    });
}
