//! The pages of alerts: who sees them, who has seen to them, and the trial.

use super::{Post, eventually, number, school};
use crate::dashboard::client::{Client, Pages};
use crate::serve::school::School;

#[test]
fn an_alert_is_read_acknowledged_and_tried_out() {
    let Some(post) = Post::start(&[], "the pages of alerts") else {
        return;
    };
    let people = "[alerts.people]\ndsl = [\"dsl@school.example\"]\n";
    let school = School::start(school(&post.plain(), people));
    // So that what comes now is new.
    drop(super::alerts(&school.folder));
    let devices = "id,name,mac,ip,group,owner,kind\n\
                   ipad-7,<script>alert(1)</script>,,127.0.0.7,pupil,,\n";
    school.folder.put("devices.csv", devices);
    school.folder.put_in_force();
    let renamed = || {
        school.ask_from("127.0.0.7", "vile-things.example");
        let log = school.folder.log();
        let named = |row: &serde_json::Value| {
            let name = row["name_of_device"].as_str();
            name.is_some_and(|name| name.contains("script"))
        };
        log.iter().any(named).then_some(())
    };
    eventually("the new inventory", renamed);
    let mut account = crate::dashboard::client::Account::make(&school.folder, "dsl");
    let pages = Pages::start(&school.folder);
    let mut dsl = Client::as_account(&pages, &mut account);
    eventually("the alert on its page", || {
        let page = dsl.get("/alerts");
        page.page().contains("Illegal content").then_some(())
    });
    let page = dsl.get("/alerts/1").body;
    assert!(page.contains("Do not visit the site"), "{page}");
    assert!(!page.contains("<script>"), "{page}");
    for client in [&mut dsl] {
        for path in [
            "/alerts",
            "/alerts?show=all",
            "/alerts/1",
            "/alerts/channels",
        ] {
            assert!(!client.get(path).page().contains("vile"), "{path}");
        }
    }
    let odd = [
        "/alerts/0",
        "/alerts/x",
        "/alerts/99999999999999999999",
        "/alerts/-1",
    ];
    for path in odd {
        assert_eq!(dsl.get(path).status, 404, "{path}");
    }
    assert_eq!(dsl.get("/alerts?before='--&show=%00").status, 200);
    // A link from the alert to what stands in the log.
    let answer = dsl.post("/alerts/1/acknowledge", &[]);
    assert_eq!(answer.location(), "/alerts/1");
    assert_eq!(dsl.post("/alerts/7/acknowledge", &[]).status, 404);
    let mut head = Client::signed_in(&pages, &school.folder, "head");
    head.get("/alerts/1");
    head.post("/alerts/1/acknowledge", &[]);
    let page = head.get("/alerts/1").body;
    assert!(page.contains("dsl</bdi>, "), "{page}");
    assert!(!page.contains("head</bdi>, "));
    let mut technician = Client::signed_in(&pages, &school.folder, "technician");
    assert_eq!(technician.get("/alerts").status, 403);
    assert_eq!(technician.get("/alerts/1").status, 403);
    assert!(!technician.get("/alerts/channels").page().contains("ipad"));
    let answer = technician.post("/alerts/channels", &[("channel", "mail")]);
    assert!(
        answer.page().contains("2 messages marked TEST"),
        "{answer:?}"
    );
    let answer = technician.post("/alerts/channels", &[("channel", "mail")]);
    assert!(answer.page().contains("within the last minute"));
    let answer = technician.post("/alerts/channels", &[("channel", "syslog")]);
    assert!(answer.page().contains("nobody would be told"));
    assert_eq!(
        technician
            .post("/alerts/channels", &[("channel", "pigeon")])
            .status,
        404
    );
    let tests = eventually("the trials", || {
        let letters = post.letters().into_iter();
        let tests = letters.filter(|letter| letter.of("subject").contains("TEST"));
        Some(tests.count()).filter(|tests| *tests == 2)
    });
    assert_eq!(tests, 2);
    let record = school.folder.state().join("record/access.jsonl");
    let record = std::fs::read_to_string(record).unwrap();
    for what in ["read_alert", "tried_alerts"] {
        assert!(record.contains(what), "{what}");
    }
    assert_eq!(number(&school.folder, "SELECT count(*) FROM alerts"), 1);
}
