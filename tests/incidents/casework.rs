//! What people note stays, and two of them do not undo each other's work.

use std::os::unix::fs::PermissionsExt;

use schoolgate::incidents::casework::{Casework, CaseworkError, LONGEST, Word};
use schoolgate::incidents::wanted::Wanted;

use super::{book, listed};
use crate::querylog::{Bench, blocked, later};

#[test]
fn a_case_is_what_was_said_in_order() {
    let mut bench = Bench::new();
    let mut second = blocked("www.help.example");
    second.at = later(3600);
    bench.write(&[blocked("www.bets.example"), second]);
    let book = book(&bench);
    let all = listed(&book, &Wanted::default(), 10);
    let casework = book.casework();
    assert_eq!(casework.cases(&all).unwrap()[0].entries, []);
    let script = "<script>alert(1)</script>'; DROP TABLE entries; --\r\nÄ";
    let words = [
        Word::Note(script.to_owned()),
        Word::Assigned(Some("h.tutor".to_owned())),
        Word::Reviewed,
    ];
    for (at, word) in (1..).zip(&words) {
        casework.add(&all[0], "d.lead", word, later(at)).unwrap();
    }
    let cases = casework.cases(&all).unwrap();
    assert_eq!(cases[0].entries.len(), 3);
    assert_eq!(
        cases[0].entries[0].word,
        Word::Note(script.replace("\r\n", "\n"))
    );
    assert_eq!(cases[0].reviewed(), Some(("d.lead", later(3))));
    assert_eq!(cases[0].assigned(), Some("h.tutor"));
    assert_eq!(cases[1].entries, [], "another incident");
    let only = |reviewed| Wanted {
        reviewed: Some(reviewed),
        ..Wanted::default()
    };
    assert_eq!(listed(&book, &only(true), 1), all[..1]);
    assert_eq!(listed(&book, &only(false), 1), all[1..]);
    let again = Casework::of(bench.state.path());
    assert_eq!(again.case(&all[0]).unwrap(), cases[0]);
    let mode = bench.state.path().join("casework.db").metadata().unwrap();
    assert_eq!(mode.permissions().mode() & 0o777, 0o600);
}

#[test]
fn who_reviews_second_is_told_who_was_first() {
    let mut bench = Bench::new();
    bench.write(&[blocked("www.bets.example")]);
    let incident = listed(&book(&bench), &Wanted::default(), 1).remove(0);
    let two = [
        Casework::of(bench.state.path()),
        Casework::of(bench.state.path()),
    ];
    two[0]
        .add(&incident, "d.lead", &Word::Reviewed, later(1))
        .unwrap();
    match two[1].add(&incident, "deputy", &Word::Reviewed, later(2)) {
        Err(CaseworkError::AlreadyReviewed { who, when }) => {
            assert_eq!((&*who, when), ("d.lead", later(1)));
        }
        other => panic!("{other:?}"),
    }
    two[1]
        .add(&incident, "deputy", &Word::Reopened, later(3))
        .unwrap();
    two[1]
        .add(&incident, "deputy", &Word::Reviewed, later(4))
        .unwrap();
    assert_eq!(
        two[0].case(&incident).unwrap().reviewed(),
        Some(("deputy", later(4)))
    );
}

#[test]
fn a_note_has_something_in_it_and_an_end() {
    let mut bench = Bench::new();
    bench.write(&[blocked("www.bets.example")]);
    let incident = listed(&book(&bench), &Wanted::default(), 1).remove(0);
    let casework = Casework::of(bench.state.path());
    let note = |text: &str| {
        let word = Word::Note(text.to_owned());
        casework.add(&incident, "d.lead", &word, later(1))
    };
    assert!(matches!(note(" \n"), Err(CaseworkError::Empty)));
    assert!(matches!(
        note(&"x".repeat(LONGEST + 1)),
        Err(CaseworkError::TooLong(_))
    ));
    note(&"x".repeat(LONGEST)).unwrap();
}

/// A row that comes late makes the incident begin earlier; what was noted of it
/// stays with it.
#[test]
fn a_note_stays_with_an_incident_that_turns_out_to_be_longer() {
    let mut bench = Bench::new();
    let mut asked = blocked("www.bets.example");
    asked.at = later(100);
    bench.write(&[asked]);
    let book = book(&bench);
    let before = listed(&book, &Wanted::default(), 1).remove(0);
    book.casework()
        .add(&before, "d.lead", &Word::Reviewed, later(200))
        .unwrap();
    bench.write(&[blocked("cdn.bets.example")]);
    let after = listed(&book, &Wanted::default(), 1).remove(0);
    assert!(after.first < before.first);
    assert!(book.casework().case(&after).unwrap().reviewed().is_some());
}
