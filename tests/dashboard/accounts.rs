//! Accounts made, changed and closed, and the second person.

use super::client::{Account, Client, PASSWORD, Pages};
use crate::serve::school::{Folder, Plan};

struct School {
    folder: Folder,
    pages: Pages,
}

impl School {
    fn new() -> Self {
        let folder = Plan::new(&["127.0.0.1:1".parse().unwrap()]).write();
        Account::named(&folder, "nobody", "auditor");
        let pages = Pages::start(&folder);
        Self { folder, pages }
    }

    fn signed_in(&self, role: &str) -> Client {
        let mut client = Client::signed_in(&self.pages, &self.folder, role);
        client.get("/accounts");
        client
    }

    fn sign_in(&self, account: &str, password: &str) -> u16 {
        Client::new(&self.pages)
            .give_password(account, password)
            .status
    }

    /// What `user list` says of an account.
    fn listed(&self, account: &str) -> serde_json::Value {
        let output = self.folder.run(&["user", "list", "--json"]);
        let all: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
        let found = all.into_iter().find(|one| one["account"] == account);
        found.unwrap_or_else(|| panic!("no account {account}"))
    }

    fn whats(&self) -> String {
        std::fs::read_to_string(self.folder.state().join("record/access.jsonl")).unwrap()
    }
}

fn invite(client: &mut Client, name: &str, email: &str, role: &str) -> super::client::Answer {
    client.post(
        "/accounts",
        &[("name", name), ("email", email), ("role", role)],
    )
}

/// The password on a page that shows one.
fn shown(answer: &super::client::Answer) -> Option<String> {
    let (_, rest) = answer.page().split_once("<code class=\"password\">")?;
    Some(rest.split('<').next()?.to_owned())
}

#[test]
fn an_invited_person_chooses_a_password_before_anything_else() {
    let school = School::new();
    let mut technician = school.signed_in("technician");
    let made = invite(
        &mut technician,
        "Gwen Ernor",
        "g@school.example",
        "governor",
    );
    let password = shown(&made).expect("a password to hand over");
    assert_eq!(school.listed("g.ernor")["state"], "invited");
    assert!(!technician.get("/accounts").page().contains(&password));
    let mut governor = Client::new(&school.pages);
    assert_eq!(governor.give_password("g.ernor", &password).status, 303);
    assert_eq!(governor.get("/").location(), "/account/password");
    assert_eq!(
        governor.get("/account").location(),
        "/account/password?next=%2Faccount"
    );
    governor.get("/account/password");
    let own = "quiet rivers run at noon";
    let change = |old: &str, new: &str| {
        [
            ("old", old.to_owned()),
            ("password", new.to_owned()),
            ("again", new.to_owned()),
        ]
    };
    let send = |client: &mut Client, fields: [(&str, String); 3]| {
        let fields: Vec<_> = fields.iter().map(|(k, v)| (*k, v.as_str())).collect();
        client.post("/account/password", &fields)
    };
    assert_eq!(
        send(&mut governor, change(&password, &password)).status,
        422
    );
    assert_eq!(send(&mut governor, change(&password, own)).status, 303);
    assert_eq!(governor.get("/").status, 200);
    assert_eq!(school.sign_in("g.ernor", &password), 401);
    assert_eq!(school.sign_in("g.ernor", own), 303);
}

#[test]
fn a_weighty_role_waits_for_another_person() {
    let school = School::new();
    let mut technician = school.signed_in("technician");
    // Nobody could agree yet: the school begins somewhere.
    let first = invite(&mut technician, "Hal Head", "h@school.example", "head");
    assert!(shown(&first).is_some());
    let mut head = school.signed_in("head");
    let waits = invite(&mut technician, "Dora Lead", "d@school.example", "dsl");
    assert!(shown(&waits).is_none());
    assert!(waits.page().contains("must confirm"));
    assert_eq!(school.listed("d.lead")["state"], "waiting");
    // Whoever asked is no second person, nor is another technician.
    let confirm = |client: &mut Client| client.post("/accounts/d.lead/confirm", &[]);
    assert_eq!(confirm(&mut technician).status, 403);
    let password = shown(&confirm(&mut head)).expect("a password to hand over");
    assert_eq!(school.listed("d.lead")["state"], "invited");
    assert_eq!(school.sign_in("d.lead", &password), 303);
    assert_eq!(confirm(&mut head).status, 422);
    // Nor does a head agree to what the head has asked for.
    let waits = invite(&mut head, "Tom Tech", "tom@school.example", "technician");
    assert!(shown(&waits).is_none());
    assert_eq!(head.post("/accounts/t.tech/confirm", &[]).status, 422);
    let mut lead = school.signed_in("dsl");
    lead.get("/accounts");
    assert_eq!(lead.post("/accounts/t.tech/decline", &[]).status, 200);
    assert_eq!(school.listed("t.tech")["state"], "disabled");
    let record = school.whats();
    for what in ["account_made", "account_confirmed", "account_declined"] {
        assert!(record.contains(&format!("\"what\":\"{what}\"")), "{what}");
    }
}

#[test]
fn two_accounts_of_one_person_are_one_person() {
    let school = School::new();
    let two = |account: &str, role: &str| {
        let verb = [
            "user",
            "add",
            "Pat Both",
            "--account",
            account,
            "--role",
            role,
        ];
        let mut command = school.folder.command(&verb);
        command.args(["--email", "Pat@School.example"]);
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.trim().rsplit(' ').next().unwrap().to_owned()
    };
    let (tech, head) = (two("pat", "technician"), two("pat.head", "head"));
    let enter = |account: &str, password: &str, own: &str| {
        let mut client = Client::new(&school.pages);
        client.give_password(account, password);
        client.get("/account/password");
        let fields = [("old", password), ("password", own), ("again", own)];
        assert_eq!(client.post("/account/password", &fields).status, 303);
        if client
            .get("/")
            .location()
            .starts_with("/account/second-factor")
        {
            client.enrol(&mut Account::known(account));
        }
        client.get("/accounts");
        client
    };
    let mut technician = enter("pat", &tech, "quiet rivers run at noon");
    let mut head = enter("pat.head", &head, "loud rivers run at night");
    // Another head, so that there is somebody to ask.
    Account::named(&school.folder, "other", "head");
    let waits = invite(&mut technician, "Dora Lead", "d@school.example", "dsl");
    assert!(waits.page().contains("must confirm"));
    assert_eq!(head.post("/accounts/d.lead/confirm", &[]).status, 422);
    // Nor is a third account a way round, nor one's own rights.
    let third = invite(&mut technician, "Pat Third", "PAT@school.example", "dsl");
    assert_eq!(third.status, 422);
    let grants = head.post("/accounts/pat/role", &[("role", "dsl")]);
    assert_eq!(grants.status, 422);
    for verb in ["role", "reset", "disable"] {
        let own = technician.post(&format!("/accounts/pat/{verb}"), &[("role", "head")]);
        assert_eq!(own.status, 422, "{verb}");
    }
}

#[test]
fn nobody_becomes_a_lead_by_standing_in_the_heads_place() {
    let school = School::new();
    let mut technician = school.signed_in("technician");
    let first = invite(&mut technician, "Hal Head", "h@school.example", "head");
    assert!(shown(&first).is_some());
    let refused = |answer: &super::client::Answer, says: &str| {
        assert_eq!(answer.status, 422, "{}", answer.body);
        assert!(!answer.body.contains("class=\"password\""));
        assert!(answer.body.contains(says), "{}", answer.body);
    };
    // With the head's address the account would be the head's own, and nobody
    // would be left to ask.
    for role in ["dsl", "technician", "governor"] {
        let answer = invite(&mut technician, "Mallory", "H@School.example", role);
        refused(&answer, "e-mail address");
    }
    // Nor is the head put out of the way first.
    let closed = technician.post("/accounts/h.head/disable", &[]);
    refused(&closed, "schoolgate user disable h.head");
    let changed = technician.post("/accounts/h.head/role", &[("role", "governor")]);
    refused(&changed, "schoolgate user");
    assert_eq!(school.listed("h.head")["role"], "head");
    assert_eq!(school.listed("h.head")["state"], "invited");
    assert!(!school.whats().contains("\"what\":\"account_disabled\""));
    // Another lead may be closed at once, while one stays who can be asked.
    Account::named(&school.folder, "lead", "dsl");
    assert_eq!(technician.post("/accounts/lead/disable", &[]).status, 200);
    assert_eq!(school.listed("lead")["state"], "disabled");
    refused(&technician.post("/accounts/h.head/disable", &[]), "user");
}

#[test]
fn a_school_is_founded_only_once() {
    let school = School::new();
    let mut technician = school.signed_in("technician");
    Account::named(&school.folder, "gone", "head");
    let governor = invite(&mut technician, "Gwen", "g@school.example", "governor");
    assert!(shown(&governor).is_some());
    assert!(
        school
            .folder
            .run(&["user", "disable", "gone"])
            .status
            .success()
    );
    // Nobody can be asked, but somebody once could.
    for role in ["dsl", "head", "technician"] {
        let made = invite(&mut technician, "Mallory", "m@school.example", role);
        assert_eq!(made.status, 422, "{role}");
        assert!(!made.body.contains("class=\"password\""));
        assert!(made.body.contains("schoolgate user add"), "{}", made.body);
        let given = technician.post("/accounts/gwen/role", &[("role", role)]);
        assert_eq!(given.status, 422, "{role}");
    }
    // Nor is the one who left made to have never been there.
    let changed = technician.post("/accounts/gone/role", &[("role", "governor")]);
    assert_eq!(changed.status, 422);
    let list = school.folder.run(&["user", "list", "--json"]);
    assert!(!String::from_utf8_lossy(&list.stdout).contains("mallory"));
    // Who sees no pupil's rows is invited as ever.
    let auditor = invite(&mut technician, "Al", "al@school.example", "auditor");
    assert!(shown(&auditor).is_some());
}

#[test]
fn a_reset_is_no_way_into_anothers_account() {
    let school = School::new();
    let mut technician = school.signed_in("technician");
    let mut lead = Account::make(&school.folder, "dsl");
    let mut signed_in = Client::as_account(&school.pages, &mut lead);
    // Nobody could agree: only root at the machine may.
    let refused = technician.post("/accounts/dsl/reset", &[]);
    assert_eq!(refused.status, 422);
    assert!(refused.body.contains("schoolgate user reset dsl"));
    let mut head = school.signed_in("head");
    assert!(shown(&technician.post("/accounts/dsl/reset", &[])).is_none());
    assert_eq!(signed_in.get("/").status, 200);
    let password = shown(&head.post("/accounts/dsl/confirm", &[])).expect("a password");
    assert_eq!(signed_in.get("/").location(), "/sign-in");
    assert_eq!(school.sign_in("dsl", PASSWORD), 401);
    assert_eq!(school.sign_in("dsl", &password), 303);
    assert_eq!(school.listed("dsl")["second_factor"], false);
    // At the machine, at once.
    let output = school.folder.run(&["user", "reset", "dsl"]);
    assert!(output.status.success());
    assert_eq!(school.sign_in("dsl", &password), 401);
    assert!(
        school
            .whats()
            .contains("\"who\":\"console\",\"what\":\"account_reset\"")
    );
}

#[test]
fn a_closed_changed_or_ended_account_is_out_at_once() {
    let school = School::new();
    let mut technician = school.signed_in("technician");
    let mut governor = school.signed_in("governor");
    let mut auditor = school.signed_in("auditor");
    assert_eq!(auditor.get("/record").status, 200);
    technician.post("/accounts/governor/disable", &[]);
    assert_eq!(governor.get("/").location(), "/sign-in");
    assert_eq!(school.sign_in("governor", PASSWORD), 403);
    technician.post("/accounts/auditor/role", &[("role", "governor")]);
    assert_eq!(auditor.get("/record").location(), "/sign-in?next=%2Frecord");
    let verb = [
        "user",
        "add",
        "Sam Supply",
        "--role",
        "auditor",
        "--until",
        "2020-07-20",
    ];
    let output = school.folder.run(&verb);
    let text = String::from_utf8(output.stdout).unwrap();
    let password = text.trim().rsplit(' ').next().unwrap();
    assert_eq!(school.sign_in("s.supply", password), 403);
    assert_eq!(school.listed("s.supply")["state"], "ended");
}

#[test]
fn names_are_text_wherever_they_are_shown() {
    let school = School::new();
    let mut technician = school.signed_in("technician");
    let hostile = "<script>alert(1)</script>\"'><img src=x>";
    invite(&mut technician, hostile, "g@school.example", "governor");
    let page = technician.get("/accounts");
    assert!(page.page().contains("&lt;script&gt;"));
    assert!(!page.body.contains("<script>") && !page.body.contains("<img"));
    for (name, email, role) in [
        ("", "x@school.example", "governor"),
        ("A\nB", "x@school.example", "governor"),
        ("A", "no address", "governor"),
        ("A", "", "governor"),
        ("A", "x@school.example", "root"),
        (&"A".repeat(101), "x@school.example", "governor"),
    ] {
        let answer = invite(&mut technician, name, email, role);
        assert_eq!(answer.status, 422, "{name:?} {email} {role}");
    }
    assert_eq!(technician.get("/accounts/..%2f..%2fx").status, 404);
    assert_eq!(technician.get("/accounts/nowhere").status, 404);
}

#[test]
fn the_console_refuses_what_is_wrong_and_says_why() {
    let school = School::new();
    for (verb, says) in [
        (
            &["user", "add", "X", "--role", "root"][..],
            "\"root\" is no role",
        ),
        (
            &["user", "add", "X", "--role", "dsl", "--account", "Not One"],
            "small letters",
        ),
        (
            &["user", "add", "X", "--role", "dsl", "--email", "nowhere"],
            "no",
        ),
        (&["user", "disable", "nowhere"], "no such account"),
        (&["user", "reset", "nowhere"], "no such account"),
    ] {
        let output = school.folder.run(verb);
        assert_eq!(output.status.code(), Some(2), "{verb:?}");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(text.contains(says), "{verb:?}: {text}");
    }
}
