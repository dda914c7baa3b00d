//! Signatures: made up, of others, and played again.

use schoolgate::changes::ask::{Confirmation, Outcome, Wish};
use schoolgate::changes::change::Verdict;
use schoolgate::changes::console::Console;
use schoolgate::changes::proposal::Author;
use schoolgate::changes::signatory::{self, Signatory};

use super::{Taken, adding, claims, enrol, propose, site, technician};

/// A signature is 64 bytes; these are none of anybody's.
fn forged(taken: &Taken) -> Vec<String> {
    let mut all: Vec<String> = taken.signatures.clone();
    all.extend(taken.signatures.iter().map(|s| s.to_uppercase()));
    all.extend([
        String::new(),
        "zz".to_owned(),
        "00".repeat(64),
        "ff".repeat(64),
        "00".repeat(63),
        "00".repeat(10_000),
        format!("01{}", "00".repeat(63)),
    ]);
    all
}

fn waiting(taken: &Taken) -> (u64, String) {
    let open = site("bets.example", Verdict::Allow, &["pupil"]);
    let Outcome::Waits { proposal, .. } = taken.must(&technician(), propose(adding(open))) else {
        panic!("it acted");
    };
    let digest = taken.ledger().waiting[&proposal].digest.clone();
    (proposal, digest)
}

#[test]
fn no_signature_but_a_persons_own_approves() {
    let taken = Taken::new();
    let (proposal, digest) = waiting(&taken);
    let mut signatures = forged(&taken);
    signatures.push(taken.own.hand.sign(&signatory::approval(&digest)));
    // What a lead signed with before they changed their password, which somebody
    // may have seen.
    signatures.push(taken.former.hand.sign(&signatory::approval(&digest)));
    // Signed by the right hand, and something else.
    for message in [
        signatory::acknowledgement(&digest),
        signatory::confirmation(&digest),
        digest.clone(),
        signatory::approval(&format!("{digest} ")),
        signatory::approval(""),
    ] {
        signatures.push(taken.head.hand.sign(&message));
    }
    for by in claims() {
        for signature in &signatures {
            let signature = signature.clone();
            let wish = Wish::Approve {
                proposal,
                signature,
            };
            taken.asks(&by, wish).unwrap_err();
        }
    }
    taken.holds("forged approvals");
    // The same proposal, said to be by whoever is to approve it.
    let wish = taken.approved_by(&taken.head, proposal);
    for account in ["d.lead", "A.HEAD", "a.head ", "\u{430}.head"] {
        let asked = taken.asks(&Author::new(account, ""), wish.clone());
        assert!(asked.is_err(), "{account}");
    }
    taken.holds("an approval under another name");
    taken.must(&taken.head.author(), wish);
    assert_eq!(taken.school.ask("bets.example").errors, [0_u16; 0]);
}

/// Nobody but who is confirmed can approve, whoever they say they are.
#[test]
fn nobody_makes_a_signatory() {
    let mut taken = Taken::new();
    let mine = taken.own.signatory.clone();
    let as_another = |account: &str, email: &str| Signatory {
        account: account.to_owned(),
        email: email.to_owned(),
        ..mine.clone()
    };
    let faces = [
        mine.clone(),
        as_another("a.head", "head@school.example"),
        as_another("a.head", ""),
        as_another("A.Head", "head@school.example"),
        as_another("a.head ", "head@school.example"),
        as_another("\u{430}.head", "head@school.example"),
        as_another("console", ""),
        as_another("schoolgate", ""),
        as_another("", ""),
        taken.former.signatory.clone(),
    ];
    let secret = Console::read(&taken.school.folder.state())
        .unwrap()
        .unwrap();
    let wrong = [
        None,
        Some(String::new()),
        Some("0".repeat(64)),
        Some(secret[1..].to_owned()),
    ];
    for (at, face) in faces.iter().enumerate() {
        // So much is heard of one process; another has more patience.
        if at % 3 == 2 {
            taken = taken.restart();
        }
        let confirmation = signatory::confirmation(&face.digest());
        let mut signatures = taken.signatures.clone();
        signatures.extend([String::new(), "00".repeat(64)]);
        signatures.push(taken.own.hand.sign(&confirmation));
        let signatures = signatures.into_iter();
        let confirmations = signatures.flat_map(|signature| {
            ["a.head", "d.lead", face.account.as_str()].map(|by| {
                let (by, signature) = (by.to_owned(), signature.clone());
                Some(Confirmation { by, signature })
            })
        });
        for confirmation in [None].into_iter().chain(confirmations) {
            for by in [Author::new(&face.account, ""), Author::console()] {
                let wish = Wish::Enrol {
                    signatory: face.clone(),
                    confirmation: confirmation.clone(),
                    console: wrong[face.account.len() % wrong.len()].clone(),
                };
                let _ = taken.asks(&by, wish);
            }
        }
        for by in claims() {
            let account = face.account.clone();
            let signature = taken
                .own
                .hand
                .sign(&signatory::confirmation(&face.digest()));
            let confirmed = taken.asks(&by, Wish::Confirm { account, signature });
            assert!(confirmed.is_err(), "{face:?} by {by:?}");
        }
    }
    for console in wrong {
        let wish = Wish::Enrol {
            signatory: mine.clone(),
            confirmation: None,
            console,
        };
        taken.asks(&Author::console(), wish).unwrap_err();
    }
    let ledger = taken.ledger();
    let can: Vec<&Signatory> = ledger.signatories.values().collect();
    assert_eq!(can, [&taken.head.signatory, &taken.dsl.signatory]);
    taken.holds("forged signatories");
    taken.restart().holds("forged signatories and a restart");
}

/// Whoever confirmed a key meant it then. It was replaced since, or taken away:
/// the same words again do not bring it back.
#[test]
fn a_confirmation_played_again_brings_no_key_back() {
    let taken = Taken::new();
    let by_head = signatory::confirmation(&taken.former.signatory.digest());
    let confirmation = Confirmation {
        by: "a.head".to_owned(),
        signature: taken.head.hand.sign(&by_head),
    };
    // It is the very one that stands in the record.
    assert!(taken.signatures.contains(&confirmation.signature));
    let again = || enrol(&taken.former, Some(confirmation.clone()));
    let lead = taken.dsl.author();
    let restored = |taken: &Taken| {
        let ledger = taken.ledger();
        ledger.signatories.get("d.lead") == Some(&taken.former.signatory)
    };
    taken.asks(&lead, again()).unwrap_err();
    assert!(!restored(&taken), "over the newer key");
    let gone = Wish::Remove {
        account: "d.lead".to_owned(),
        console: None,
    };
    taken.must(&technician(), gone);
    taken.asks(&lead, again()).unwrap_err();
    let _ = taken.asks(&lead, enrol(&taken.former, None));
    let confirm = Wish::Confirm {
        account: "d.lead".to_owned(),
        signature: confirmation.signature.clone(),
    };
    taken.asks(&taken.head.author(), confirm).unwrap_err();
    assert!(!restored(&taken), "after it was taken away");
    let (proposal, _) = waiting(&taken);
    let wish = taken.approved_by(&taken.former, proposal);
    taken.asks(&lead, wish).unwrap_err();
    taken.holds("an old key");
}

/// Two accounts of one person are known by their address: with the old key alone
/// nobody gets rid of it.
#[test]
fn nobody_changes_the_address_they_are_known_by_alone() {
    let taken = Taken::new();
    let moved =
        crate::changes::Person::new("d.lead", "else@school.example", taken.dsl.signatory.role);
    let message = signatory::confirmation(&moved.signatory.digest());
    let by = |by: &str, signature: String| Confirmation {
        by: by.to_owned(),
        signature,
    };
    let alone = by("d.lead", taken.dsl.hand.sign(&message));
    taken
        .asks(&taken.dsl.author(), enrol(&moved, Some(alone)))
        .unwrap_err();
    let together = by("a.head", taken.head.hand.sign(&message));
    taken.must(&taken.dsl.author(), enrol(&moved, Some(together)));
}
