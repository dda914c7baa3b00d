//! The record, as those see it who may.

use super::client::{Account, Client, Pages};
use crate::serve::school::Plan;

#[test]
fn the_record_is_shown_filtered_and_exported_and_says_when_it_was_altered() {
    let folder = Plan::new(&["127.0.0.1:1".parse().unwrap()]).write();
    Account::named(&folder, "nobody", "governor");
    let pages = Pages::start(&folder);
    let mut auditor = Client::signed_in(&pages, &folder, "auditor");
    let mut guesser = Client::new(&pages);
    guesser.give_password("nobody", "a wrong password");
    let page = auditor.get("/record");
    assert!(
        page.page().contains("The record is whole: 4 entries"),
        "{}",
        page.body
    );
    assert!(page.body.contains("sign in failed"));
    let only = auditor.get("/record?what=signed_in&who=auditor");
    assert!(
        !only
            .page()
            .contains("<td data-label=\"What\">sign in failed")
    );
    assert!(only.body.contains("<td data-label=\"What\">signed in"));
    let none = auditor.get("/record?from=2020-01-01&to=2020-12-31&who=%3Cscript%3E");
    assert!(!none.page().contains("<td") && !none.body.contains("<script>"));
    let csv = auditor.get("/record.csv?what=sign_in_failed");
    assert_eq!(csv.page().lines().count(), 2, "{}", csv.body);
    assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
    // Somebody with an editor.
    let file = folder.state().join("record/access.jsonl");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("sign_in_failed", "sign_in_famous")).unwrap();
    let page = auditor.get("/record");
    assert!(
        page.page()
            .contains("does not hang together: entry 4 (line 4): has been altered")
    );
    assert_eq!(
        Client::new(&pages).get("/record.csv").location(),
        "/sign-in?next=%2Frecord.csv"
    );
}
