//! A device that opens a site for itself for a while, from the block page.

use super::running::{Page, Pages};
use crate::serve::school::{POLICY, Plan};
use crate::serve::upstream::{ADDRESS, Upstream};

#[test]
fn staff_open_a_site_for_a_while_where_the_policy_lets_them() {
    let policy = POLICY.replace(
        "block = [\"malware_hacking\"]",
        "block = [\"malware_hacking\", \"gambling\"]\noverride_minutes = 30",
    );
    let upstream = Upstream::plain();
    let mut plan = Plan::new(&[upstream.address]);
    plan.policy = format!(
        "{policy}\n[[exceptions]]\nname = \"news.example\"\nverdict = \"deny\"\n\
         groups = [\"staff\"]\nreason = \"test\"\n"
    );
    plan.devices += "desk-1,Desk 1,,127.0.0.3,staff,Ms Jones,laptop\n\
                     ipad-1,iPad 1,,127.0.0.1,pupil,,tablet\n";
    let school = plan.start();
    let pages = Pages::beside(&school.folder);
    let link = "/open?site=bets.example";
    assert!(pages.about("127.0.0.3", "bets.example").body.contains(link));
    for (from, site) in [
        ("127.0.0.1", "bets.example"),
        ("127.0.0.3", "news.example"),
        ("127.0.0.3", "vile-things.example"),
    ] {
        assert!(
            !pages.about(from, site).body.contains("/open?"),
            "{from} {site}"
        );
        let answer = open(&pages, from, site, "marking");
        assert_eq!(answer.status, 403, "{answer:?}");
    }
    assert_eq!(school.ask_from("127.0.0.3", "bets.example").errors, [15]);
    assert_eq!(open(&pages, "127.0.0.3", "bets.example", " ").status, 422);
    let answer = open(&pages, "127.0.0.3", "bets.example", "marking");
    assert!(answer.body.contains("is open on"), "{answer:?}");
    let staff = school.ask_from("127.0.0.3", "bets.example");
    assert_eq!(staff.addresses(), [ADDRESS]);
    assert_eq!(
        school.ask("bets.example").errors,
        [15],
        "for that device alone"
    );
    let record = std::fs::read_to_string(school.folder.state().join("changes/record.jsonl"));
    let record = record.unwrap();
    assert!(
        record.contains("device desk-1") && !record.contains("127.0.0.3"),
        "{record}"
    );
    // A site that another page sends is not opened.
    let forged = pages.ask(
        "127.0.0.3",
        "POST",
        &pages.block_page.to_string(),
        "/open",
        "Origin: http://bets.example\r\n",
    );
    assert_eq!(forged.status, 400, "{forged:?}");
}

fn open(pages: &Pages, from: &str, site: &str, reason: &str) -> Page {
    let at = pages.block_page;
    let form = serde_urlencoded::to_string([("site", site), ("reason", reason)]).unwrap();
    let text = format!(
        "POST /open HTTP/1.1\r\nHost: {at}\r\nOrigin: http://{at}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    );
    Page::of(from, at, text.as_bytes())
}
