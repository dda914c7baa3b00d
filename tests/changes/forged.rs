//! A record or a state folder that somebody has been at.

use std::fs;

use schoolgate::changes::change::Verdict;
use schoolgate::changes::control::{Control, Unfit};
use schoolgate::changes::ledger::Ledger;
use schoolgate::changes::proposal::Author;
use schoolgate::people::role::Role;
use schoolgate::record::Broken;

use super::{Person, School, adding, exception};

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
