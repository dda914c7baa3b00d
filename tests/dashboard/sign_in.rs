//! Signing in: passwords, codes, guesses, sessions, forms.

use std::time::Duration;

use jiff::Timestamp;

use super::client::{Account, Client, PASSWORD, Pages, code_at};
use crate::serve::eventually;
use crate::serve::school::{Folder, Plan};

/// A school without lists or log, whose pages are served.
fn school() -> (Folder, Pages) {
    let closed = "127.0.0.1:1".parse().unwrap();
    let folder = Plan::new(&[closed]).write();
    // Something else than the page for the first account.
    Account::named(&folder, "nobody", "auditor");
    let pages = Pages::start(&folder);
    (folder, pages)
}

/// What the record says was done, in order.
fn deeds(folder: &Folder) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(folder.state().join("record/access.jsonl")).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn whats(folder: &Folder) -> Vec<String> {
    let word = |deed: serde_json::Value| deed["what"].as_str().unwrap().to_owned();
    deeds(folder).into_iter().map(word).collect()
}

#[test]
fn every_role_signs_in_and_out() {
    let (folder, pages) = school();
    for role in ["technician", "dsl", "head", "governor", "auditor"] {
        let mut client = Client::signed_in(&pages, &folder, role);
        let page = client.get("/");
        assert!(page.page().contains("Sign out"), "{role}");
        let old = client.clone();
        assert_eq!(client.post("/sign-out", &[]).location(), "/sign-in");
        assert!(client.cookies.is_empty());
        assert_eq!(old.clone().get("/").location(), "/sign-in");
    }
    let whats = whats(&folder);
    let count = |what: &str| whats.iter().filter(|one| *one == what).count();
    assert_eq!((count("signed_in"), count("signed_out")), (5, 5));
    assert_eq!(count("second_factor_set_up"), 2);
}
