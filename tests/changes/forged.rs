//! A record or a state folder that somebody has been at.

use std::fs;

use schoolgate::changes::change::Verdict;
use schoolgate::changes::control::{Control, Unfit};
use schoolgate::changes::ledger::Ledger;
use schoolgate::changes::proposal::Author;
use schoolgate::people::role::Role;
use schoolgate::record::{Broken, Deed, Record};

use super::{Person, School, adding, exception, started};

/// A school with a record of several kinds of entries.
fn lived_in() -> School {
    let mut school = School::new();
    let head = Person::new("a.head", "head@school.example", Role::Head);
    school.enrol(&head);
    let author = Author::new("t.tech", "tech@school.example");
    let allow = exception("play.example", Verdict::Allow, &["pupil"]);
    school.propose(&author, adding(allow)).unwrap();
    school.approve(&head, 1).unwrap();
    let deny = exception("news.example", Verdict::Deny, &["pupil"]);
    school.propose(&author, adding(deny)).unwrap();
    school
}

fn refused(school: &School) -> String {
    match Control::open(school.path(), school.path(), school.now) {
        Err(Unfit::Record { why, .. }) => why,
        Err(other) => other.to_string(),
        Ok(_) => panic!("it was believed"),
    }
}

#[test]
fn each_flipped_byte_of_the_record_is_found_and_its_entry_named() {
    let school = lived_in();
    let path = school.path().join("changes/record.jsonl");
    let whole = fs::read(&path).unwrap();
    let mut line = 1;
    for at in 0..whole.len() {
        let mut bent = whole.clone();
        bent[at] ^= 1;
        fs::write(&path, &bent).unwrap();
        match Ledger::read(school.path()) {
            Err(Broken::Entry { number, .. }) => {
                assert!(number == line || number + 1 == line, "byte {at}: {number}");
            }
            Err(other) => panic!("byte {at}: {other}"),
            Ok(_) => panic!("byte {at} of line {line}"),
        }
        line += u64::from(whole[at] == b'\n');
    }
    fs::write(&path, &whole).unwrap();
    Ledger::read(school.path()).unwrap();
}

#[test]
fn missing_swapped_and_truncated_entries_are_found() {
    let school = lived_in();
    let path = school.path().join("changes/record.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let last = lines.len();
    let mut swapped = lines.clone();
    swapped.swap(2, 3);
    let mut gone = lines.clone();
    gone.remove(3);
    for (kept, first_bad) in [
        (swapped, 3),
        (gone, 4),
        (lines[..last - 1].to_vec(), last),
        (lines[..1].to_vec(), 2),
        (Vec::new(), 1),
    ] {
        let ends = if kept.is_empty() { "" } else { "\n" };
        fs::write(&path, kept.join("\n") + ends).unwrap();
        match Ledger::read(school.path()) {
            Err(Broken::Entry { number, .. }) => assert_eq!(number, first_bad as u64),
            other => panic!("{other:?}"),
        }
        refused(&school);
    }
    // Its last line without its end looks as if the power had gone, but it was
    // acknowledged.
    fs::write(&path, &text[..text.len() - 20]).unwrap();
    assert!(refused(&school).contains("is missing"));
    fs::remove_file(&path).unwrap();
    assert!(refused(&school).contains("is missing"));
    fs::write(&path, &text).unwrap();
    Control::open(school.path(), school.path(), school.now).unwrap();
}

#[test]
fn a_record_that_was_emptied_is_not_begun_anew_by_itself() {
    let school = lived_in();
    let changes = school.path().join("changes");
    for file in ["record.jsonl", "head.json"] {
        fs::remove_file(changes.join(file)).unwrap();
    }
    assert!(refused(&school).contains("gone"));
    fs::remove_dir_all(&changes).unwrap();
    assert!(refused(&school).contains("gone"));
}

#[test]
fn an_entry_that_is_too_much_is_refused_and_the_next_one_is_taken() {
    let school = lived_in();
    let record = Record::of_changes(school.path());
    let before = fs::read(school.path().join("changes/record.jsonl")).unwrap();
    let deed = Deed::new("t.tech", "noted").about("text", "x".repeat(3 << 20));
    let why = record.add(deed, school.now).unwrap_err().to_string();
    assert!(why.contains("too much for one entry"), "{why}");
    let after = fs::read(school.path().join("changes/record.jsonl")).unwrap();
    assert!(before == after, "nothing of it was written");
    let long = Deed::new("t.tech", "noted").about("text", "x".repeat(1 << 20));
    record.add(long, school.now).unwrap();
    record
        .add(Deed::new("t.tech", "noted"), school.now)
        .unwrap();
    Control::open(school.path(), school.path(), school.now).unwrap();
}

#[test]
fn what_was_written_and_not_followed_is_known_before_anything_is_added() {
    let mut school = lived_in();
    // As after a write that went through and of which nobody was told.
    let mut other = started(school.path(), school.now);
    let author = Author::new("t.tech", "tech@school.example");
    let deny = |name| adding(exception(name, Verdict::Deny, &["staff"]));
    std::mem::swap(&mut school.control, &mut other);
    school.propose(&author, deny("one.example")).unwrap();
    std::mem::swap(&mut school.control, &mut other);
    school.propose(&author, deny("two.example")).unwrap();
    assert!(!school.is_open("staff", "two.example"));
    school.restart();
    for name in ["one.example", "two.example"] {
        assert!(!school.is_open("staff", name), "{name}");
    }
}

#[test]
fn a_text_edited_in_the_state_folder_is_found_at_the_start() {
    let school = lived_in();
    let hash = school.ledger().in_force.unwrap().policy;
    let path = school.path().join("changes/texts").join(hash);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("\"games\"", "")).unwrap();
    let why = refused(&school);
    assert!(why.contains("has been altered"), "{why}");
    fs::remove_file(&path).unwrap();
    assert!(refused(&school).contains("gone"));
}
