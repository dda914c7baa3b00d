//! The verbs of change control, as a technician and a head type them: propose,
//! approve, acknowledge, history, and a record that somebody has been at.

use std::fs;
use std::io::Write;
use std::process::{Output, Stdio};

use schoolgate::changes::ask::{Outcome, Wish};
use schoolgate::changes::ledger::Ledger;
use schoolgate::changes::proposal::Author;
use schoolgate::changes::signatory::Signatory;
use schoolgate::people::role::Role;

use crate::serve::agreed::{self, PASSWORD};
use crate::serve::school::{Folder, POLICY, Plan, School};
use crate::serve::upstream::{ADDRESS, Upstream};

/// Runs a verb for somebody who types these lines; what was printed, and how it
/// ended.
fn typed(folder: &Folder, verb: &[&str], lines: &str) -> (String, Option<i32>) {
    let mut command = folder.command(verb);
    command.stdin(Stdio::piped());
    let piped = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    // A verb that asks nothing may have ended.
    let _ = child.stdin.take().unwrap().write_all(lines.as_bytes());
    let Output {
        status,
        stdout,
        stderr,
    } = child.wait_with_output().unwrap();
    let text = String::from_utf8(stdout).unwrap() + &String::from_utf8(stderr).unwrap();
    (text, status.code())
}

fn password() -> String {
    format!("{PASSWORD}\n")
}

/// Makes the head's account and their signature, at the machine.
fn set_up_head(folder: &Folder) {
    let add = [
        "user",
        "add",
        "A. Head",
        "--role",
        "head",
        "--password-stdin",
    ];
    let (said, code) = typed(folder, &add, &password());
    assert_eq!(code, Some(0), "{said}");
    let signature = ["user", "signature", "a.head"];
    let (said, code) = typed(folder, &signature, "another password\n");
    assert_eq!(code, Some(1), "{said}");
    let (said, code) = typed(folder, &signature, &password());
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("can approve changes from now on"), "{said}");
}

/// The policy without gambling among what pupils may not see.
fn opened() -> String {
    POLICY.replacen("\"gambling\", ", "", 1)
}

#[test]
fn what_is_proposed_and_approved_is_answered_by_and_can_be_read_later() {
    let upstream = Upstream::plain();
    let school = Plan::new(&[upstream.address]).start();
    let folder = &school.folder;
    let (said, code) = typed(folder, &["propose", "-m", "nothing"], "");
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("Nothing differs from policy 1"), "{said}");
    folder.put("policy.toml", &opened());
    let propose = ["propose", "-m", "Maths week, probability"];
    let (said, code) = typed(folder, &propose, "");
    assert_eq!(code, Some(0), "{said}");
    for words in ["loosens", "gambling", "Proposal 1 waits", "approve 1"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert_eq!(school.ask("bets.example").errors, [15]);
    let (said, code) = typed(folder, &["check"], "");
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("proposal 1 waits for another person"),
        "{said}"
    );
    set_up_head(folder);
    let approve = ["approve", "1", "--as", "a.head"];
    let (said, code) = typed(folder, &approve, "four plain words there\n");
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("Maths week") && said.contains("loosens"),
        "{said}"
    );
    assert_eq!(school.ask("bets.example").errors, [15]);
    let (said, code) = typed(folder, &approve, &password());
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("In force as policy 2"), "{said}");
    assert_eq!(school.ask("bets.example").addresses(), [ADDRESS]);
    let (said, code) = typed(folder, &approve, &password());
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("is in force already, as policy 2"), "{said}");
    // And back: that tightens, acts at once, and is to be taken note of.
    let (said, code) = typed(folder, &["propose", "--back", "1", "-m", "over"], "");
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("In force as policy 3"), "{said}");
    assert_eq!(school.ask("bets.example").errors, [15]);
    let note = ["acknowledge", "2", "--as", "a.head"];
    let (said, code) = typed(folder, &note, &password());
    assert_eq!(code, Some(0), "{said}");
    let (said, code) = typed(folder, &note, &password());
    assert_eq!(code, Some(1), "{said}");
    let (said, _) = typed(folder, &["history"], "");
    for words in [
        "policy 1 was found in the folder",
        "proposal 1: Maths week, probability",
        "account made",
        "a.head (A. Head",
        "proposal 1 came into force as policy 2: approved by a.head",
        "proposal 2 came into force as policy 3: it loosens nothing",
        "has taken note of proposal 2",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
}

#[test]
fn a_mistake_a_decline_and_a_resolver_that_does_not_run_are_told() {
    let upstream = Upstream::plain();
    let school = Plan::new(&[upstream.address]).start();
    let folder = &school.folder;
    folder.put("policy.toml", &POLICY.replace("\"games\"", "\"gaems\""));
    let (said, code) = typed(folder, &["propose", "-m", "x"], "");
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("policy.toml:7"), "{said}");
    folder.put("policy.toml", &opened());
    assert_eq!(typed(folder, &["propose", "-m", "x"], "").1, Some(0));
    let (said, code) = typed(folder, &["decline", "1", "-m", "no lesson needs it"], "");
    assert_eq!(code, Some(0), "{said}");
    let (said, code) = typed(folder, &["approve", "1", "--as", "a.head"], &password());
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("was turned down by console"), "{said}");
    let (said, code) = typed(folder, &["approve", "7"], "");
    assert_eq!((said.trim(), code), ("There is no proposal 7.", Some(1)));
    let folder = school.stop();
    let (said, code) = typed(&folder, &["propose", "-m", "x"], "");
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("the resolver does not run"), "{said}");
}

#[test]
fn an_altered_record_is_named_refused_and_begun_anew_for_all_to_see() {
    let upstream = Upstream::plain();
    let school = Plan::new(&[upstream.address]).start();
    set_up_head(&school.folder);
    school.folder.put("policy.toml", &opened());
    school.folder.propose().unwrap();
    agreed::approve(&school.folder.state(), 1);
    let anew = ["history", "--begin-anew", "-m", "the disk failed"];
    let (said, code) = typed(&school.folder, &anew, "");
    assert_eq!(code, Some(2), "beside a resolver: {said}");
    let folder = school.stop();
    let (said, code) = typed(&folder, &anew, "");
    assert_eq!(code, Some(1), "nothing is wrong: {said}");
    let (said, code) = typed(&folder, &["history", "--verify", "--json"], "");
    assert_eq!(code, Some(0), "{said}");
    let found: serde_json::Value = serde_json::from_str(&said).unwrap();
    let head = found["records"][0]["head"].as_str().unwrap().to_owned();
    assert_eq!(typed(&folder, &["history", "--head", &head], "").1, Some(0));
    let other = "0123456789abcdef";
    assert_eq!(typed(&folder, &["history", "--head", other], "").1, Some(1));
    let export = folder.path().join("out.jsonl");
    let words = ["history", "--export", export.to_str().unwrap()];
    assert_eq!(typed(&folder, &words, "").1, Some(0));
    checks_out(&fs::read_to_string(&export).unwrap(), &head);

    let path = folder.state().join("changes/record.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen("a test", "a toast", 1)).unwrap();
    let altered = text.lines().position(|line| line.contains("a test"));
    let (said, code) = typed(&folder, &["history", "--verify"], "");
    assert_eq!(code, Some(1), "{said}");
    let named = format!("changes/record.jsonl: entry {} ", altered.unwrap() + 1);
    assert!(
        said.contains(&named) && said.contains("has been altered"),
        "{said}"
    );
    let (said, code) = typed(&folder, &["serve"], "");
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("--begin-anew"), "{said}");
    let (said, code) = typed(&folder, &anew, "");
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("policy 3") && said.contains("a.head"),
        "{said}"
    );
    let (said, code) = typed(&folder, &["history", "--verify", "--head", &head], "");
    assert_eq!(code, Some(0), "the old record is kept: {said}");
    assert!(said.contains("which was put aside"), "{said}");

    let school = School::start(folder);
    let state = school.folder.state();
    let ledger = Ledger::read(&state).unwrap();
    assert!(ledger.signatories.is_empty() && ledger.wanting.contains_key("a.head"));
    // Whoever holds the pages is not the first of a new school.
    let author = Author::new("d.lead", "");
    let signatory = Signatory::new(&author, "D. Lead", Role::Dsl, PASSWORD).unwrap();
    let wish = Wish::Enrol {
        signatory,
        confirmation: None,
        console: None,
    };
    let outcome = agreed::ask(&state, author, wish).unwrap();
    assert!(matches!(outcome, Outcome::Waits { .. }), "{outcome:?}");
    let (said, code) = typed(
        &school.folder,
        &["user", "signature", "a.head"],
        &password(),
    );
    assert_eq!(code, Some(0), "{said}");
    let note = ["acknowledge", "2", "--as", "a.head"];
    let (said, code) = typed(&school.folder, &note, &password());
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("begun anew") && said.contains("the disk failed"),
        "{said}"
    );
    assert!(Ledger::read(&state).unwrap().unacknowledged.is_empty());
    let (said, code) = typed(&school.folder, &["user", "disable", "a.head"], "");
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("can no longer approve"), "{said}");
}

/// As the text beside the export says.
fn checks_out(text: &str, head: &str) {
    let mut before = String::new();
    for line in text.lines() {
        let at = line.rfind("\"digest\":\"").unwrap();
        let unsigned = format!("{}\"digest\":\"\"}}", &line[..at]);
        let digest = blake3::hash(unsigned.as_bytes()).to_hex().to_string();
        assert!(line[at..].contains(&digest), "{line}");
        assert!(line.contains(&format!("\"before\":\"{before}\"")), "{line}");
        before = digest;
    }
    assert_eq!(before, head);
}

#[test]
fn refresh_fetches_the_lists_that_were_agreed() {
    let upstream = Upstream::plain();
    let school = Plan::new(&[upstream.address]).start();
    let path = school.folder.path().join("sources.toml");
    let text = fs::read_to_string(&path).unwrap();
    // Without its first list, gambling.
    let fewer = &text[text.rfind("[[source]]\nid = \"chats\"").unwrap()..];
    school.folder.put("sources.toml", fewer);
    let (said, code) = typed(&school.folder, &["refresh"], "");
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("sources.toml: edited, and not in force"),
        "{said}"
    );
    assert!(said.contains("bets"), "{said}");
    school.folder.put_in_force();
    let (said, code) = typed(&school.folder, &["refresh"], "");
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains("edited") && !said.contains("bets"), "{said}");
}
