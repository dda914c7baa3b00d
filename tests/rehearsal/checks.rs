//! What no policy may break, and what no exception may open.

use schoolgate::changes::rehearsal::check::{Musts, check, check_change};
use schoolgate::policy::Policy;

use super::edits::Edit;
use super::now;
use crate::demo_lists;

fn musts(own: &[(&str, &str)]) -> Musts {
    let folder = tempfile::tempdir().unwrap();
    for (file, text) in own {
        std::fs::write(folder.path().join(file), text).unwrap();
    }
    Musts::of_school(folder.path()).unwrap()
}

fn said(edit: &Edit) -> Vec<String> {
    let block = "bets.example gambling\nadult.example pornography\nfree.example gambling\n";
    let musts = musts(&[
        ("must-block.txt", block),
        ("must-resolve.txt", "social.example\n"),
    ]);
    check(&edit.policy(), &musts, now())
}

fn base() -> Edit {
    Edit::plain()
        .blocking("pupils", &["gambling", "pornography", "social_media"])
        .blocking("guest", &["gambling"])
        .device("ipad-7", "pupils")
        .device("pc-1", "")
        .device("laptop-3", "staff")
}

fn check_one(edit: &Edit, expected: &[&str]) {
    let found = said(edit);
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.contains(expected), "{found} has no {expected}");
    }
}

#[test]
fn what_must_resolve_is_not_denied() {
    check_one(&base(), &[]);
    let deny = |name, whom| base().exception(name, false, whom, None);
    check_one(
        &deny("www.childline.org.uk", "staff"),
        &["denies www.childline.org.uk for staff: www.childline.org.uk must resolve"],
    );
    // A device of theirs that is spoken of elsewhere is one of them.
    let of_device = base().exception("free.example", false, "laptop-3", None);
    check_one(
        &of_device.exception("childline.org.uk", false, "staff", None),
        &["denies childline.org.uk for staff: childline.org.uk"],
    );
    // An ancestor, by which somebody meant less.
    check_one(
        &deny("org.uk", "pupils"),
        &["denies org.uk for pupils: alcohol"],
    );
    assert!(said(&deny("org.uk", "pupils"))[0].ends_with("more must resolve"));
    // One child, one device.
    check_one(
        &deny("childline.org.uk", "ipad-7"),
        &["for device ipad-7: childline.org.uk, www.childline"],
    );
    // What stands below one does not stand for it.
    check_one(&deny("ads.childline.org.uk", "pupils"), &[]);
    let own = base().exception("org.uk", false, "pupils", Some("2026-11-20"));
    check_one(&own, &[]);
    // Open until summer is not open.
    let later = deny("brook.org.uk", "pupils").exception("www.brook.org.uk", true, "pupils", None);
    check_one(&later, &["for pupils: brook.org.uk must resolve"]);
    let later = deny("brook.org.uk", "pupils").exception(
        "www.brook.org.uk",
        true,
        "pupils",
        Some("2026-12-20"),
    );
    check_one(
        &later,
        &["for pupils: brook.org.uk, www.brook.org.uk must resolve"],
    );
}

/// A list that came before the school's own word on a name is the next
/// refresh's to mend; but nobody newly blocks the category meanwhile.
#[test]
fn what_an_old_list_covers_is_only_told_of_a_change() {
    check_one(&base(), &[]);
    let musts = musts(&[("must-resolve.txt", "social.example\n")]);
    let with = base().policy();
    let without = base().blocking("pupils", &["gambling"]).policy();
    assert_eq!(check_change(&with, &without, &musts, now()), [""; 0]);
    let found = check_change(&without, &with, &musts, now());
    assert_eq!(
        found,
        [
            "demo-social still has a name that must resolve, so refresh the lists first for pupils: \
          social.example must resolve"
        ]
    );
}

#[test]
fn what_must_stay_blocked_is_not_opened() {
    let allow = |name, whom| base().exception(name, true, whom, None);
    check_one(
        &allow("bets.example", "pupils"),
        &["allows bets.example for pupils: bets.example must stay blocked"],
    );
    check_one(
        &allow("www.bets.example", "pupils"),
        &["bets.example must stay blocked"],
    );
    // Staff are not kept from it by this school.
    check_one(&allow("bets.example", "staff"), &[]);
    check_one(&allow("bets.example", "laptop-3"), &[]);
    check_one(
        &allow("bets.example", "ipad-7"),
        &["for device ipad-7: bets.example"],
    );
    // It may be a guest today and a pupil tomorrow.
    check_one(
        &allow("bets.example", "pc-1"),
        &["for device pc-1: bets.example"],
    );
    // No list has it, so there is nothing to open.
    check_one(&allow("free.example", "pupils"), &[]);
    check_one(&allow("social.example", "pupils"), &[]);
    let ended = base().exception("bets.example", true, "pupils", Some("2026-11-20"));
    check_one(&ended, &[]);
}

#[test]
fn what_stands_already_is_no_change() {
    let deny = || base().exception("childline.org.uk", false, "pupils", None);
    let more = deny().exception("bets.example", true, "pupils", None);
    let musts = musts(&[("must-block.txt", "bets.example gambling")]);
    let (before, after) = (deny().policy(), more.policy());
    assert_eq!(check_change(&before, &before, &musts, now()), [""; 0]);
    let found = check_change(&before, &after, &musts, now());
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("bets.example must stay blocked"));
}

/// A site that was opened while no list had it is no reason to keep new lists
/// out; to open more of it is.
#[test]
fn new_lists_are_not_kept_out_by_what_stood_before_them() {
    let musts = musts(&[(
        "must-block.txt",
        "bets.example gambling\nfree.example gambling\n",
    )]);
    let with = |name| base().exception(name, true, "pupils", None);
    let old = || demo_lists::parse("source g gambling category\n\nelse.example subtree g\n");
    let of = |edit: &Edit, lists| Policy {
        lists,
        ..edit.policy()
    };
    let new = || demo_lists::parse("source g gambling category\n\nbets.example subtree g\n");
    let before = of(&with("www.bets.example"), old());
    let after = of(&with("www.bets.example"), new());
    assert_eq!(check(&after, &musts, now()).len(), 1);
    assert_eq!(check_change(&before, &after, &musts, now()), [""; 0]);
    let wider = of(&with("bets.example"), new());
    assert_eq!(check_change(&before, &wider, &musts, now()).len(), 1);
}

#[test]
fn a_bad_line_is_told_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let text = "# ours\nbets.example gambling\nbets.example gamblin\nno category here\n-.x games\n";
    std::fs::write(folder.path().join("must-block.txt"), text).unwrap();
    let wrong = Musts::of_school(folder.path()).unwrap_err();
    let wrong: Vec<String> = wrong.iter().map(ToString::to_string).collect();
    assert_eq!(wrong.len(), 3, "{wrong:?}");
    assert!(wrong[0].starts_with("must-block.txt:3: there is no category \"gamblin\""));
    assert!(wrong[1].starts_with("must-block.txt:4: "));
    assert!(wrong[2].starts_with("must-block.txt:5: "));
}

/// The shipped names and the shipped categories fit each other.
#[test]
fn the_shipped_names_can_be_read() {
    let musts = musts(&[]);
    assert!(musts.block.len() > 20 && musts.resolve.names().len() > 100);
    let must = musts.resolve.names();
    assert!(musts.block.iter().all(|(name, _)| !must.contains(name)));
}
