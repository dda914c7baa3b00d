//! Before there is an account, and making the first.

use super::client::{Account, Client, PASSWORD, Pages};
use crate::serve::school::{Folder, Plan};

fn untouched() -> (Folder, Pages) {
    let folder = Plan::new(&["127.0.0.1:1".parse().unwrap()]).write();
    let pages = Pages::start(&folder);
    (folder, pages)
}

const FIRST: [(&str, &str); 4] = [
    ("name", "Tess Tech"),
    ("email", "t.tech@school.example"),
    ("password", PASSWORD),
    ("again", PASSWORD),
];

#[test]
fn nothing_is_served_before_the_first_account() {
    let (folder, pages) = untouched();
    let mut client = Client::new(&pages);
    for path in [
        "/",
        "/sign-in",
        "/accounts",
        "/record",
        "/account",
        "/sign-in/code",
    ] {
        assert_eq!(client.get(path).location(), "/set-up", "{path}");
    }
    for path in ["/sign-in", "/accounts", "/sign-out", "/account/password"] {
        assert_eq!(client.post(path, &FIRST).location(), "/set-up", "{path}");
    }
    assert_eq!(client.get("/style.css").status, 200);
    let page = client.get("/set-up");
    assert!(!page.page().contains("name=\"code\""));
    // At the machine itself there is no code to ask for.
    let made = client.post("/set-up", &FIRST);
    assert_eq!((made.status, made.location()), (303, "/"), "{made:?}");
    assert!(
        client
            .get("/")
            .location()
            .starts_with("/account/second-factor")
    );
    client.enrol(&mut Account::known("t.tech"));
    assert_eq!(client.get("/").status, 200);
    // Once, and never again.
    let mut late = Client::new(&pages);
    assert_eq!(late.get("/set-up").location(), "/");
    assert_eq!(late.post("/set-up", &FIRST).status, 422);
    assert!(!folder.state().join("set-up-code").exists());
}

#[test]
fn from_elsewhere_the_first_account_needs_the_code_of_the_console() {
    let (folder, pages) = untouched();
    let code = std::fs::read_to_string(folder.state().join("set-up-code")).unwrap();
    let code = code.trim();
    crate::serve::eventually("the code on the console", || {
        pages.stdout().contains(code).then_some(())
    });
    // Somebody forwards, or a browser here was sent by another site's page.
    for (header, value) in [
        ("x-forwarded-for", "127.0.0.1"),
        ("forwarded", "for=127.0.0.1"),
        ("via", "1.1 proxy"),
        ("host", "evil.example"),
    ] {
        let mut client = Client::new(&pages);
        client.headers = vec![(header.to_owned(), value.to_owned())];
        assert!(
            client.get("/set-up").page().contains("name=\"code\""),
            "{header}"
        );
        assert_eq!(client.post("/set-up", &FIRST).status, 401, "{header}");
    }
    let mut client = Client::new(&pages);
    client.headers = vec![("via".to_owned(), "1.1 proxy".to_owned())];
    let mut guesses = 0;
    for guess in 0..100 {
        let wrong = format!("AAAABBBBCCCC{guess:04}");
        let fields: Vec<_> = FIRST
            .into_iter()
            .chain([("code", wrong.as_str())])
            .collect();
        guesses += usize::from(client.post("/set-up", &fields).status == 401);
    }
    assert!(guesses < 5, "{guesses}");
    let mut client = Client::from("127.0.0.9", &pages);
    client.headers = vec![("via".to_owned(), "1.1 proxy".to_owned())];
    let typed = code.to_lowercase();
    let fields: Vec<_> = FIRST
        .into_iter()
        .chain([("code", typed.as_str())])
        .collect();
    assert_eq!(client.post("/set-up", &fields).location(), "/");
}

#[test]
fn the_first_password_must_be_a_good_one() {
    let (_folder, pages) = untouched();
    let mut client = Client::new(&pages);
    for (password, again) in [
        ("password1234", "password1234"),
        ("short", "short"),
        (PASSWORD, "another one altogether"),
        ("Tess is the tech", "Tess is the tech"),
    ] {
        let fields = [
            ("name", "Tess Tech"),
            ("email", "t@school.example"),
            ("password", password),
            ("again", again),
        ];
        let answer = client.post("/set-up", &fields);
        assert_eq!(answer.status, 422, "{password}");
        assert!(answer.body.contains("role=\"alert\""));
    }
    let fields = [
        ("name", ""),
        ("email", "x"),
        ("password", PASSWORD),
        ("again", PASSWORD),
    ];
    assert_eq!(client.post("/set-up", &fields).status, 422);
}

#[test]
fn an_account_from_the_console_ends_set_up() {
    let (folder, pages) = untouched();
    assert_eq!(Client::new(&pages).get("/").location(), "/set-up");
    Account::make(&folder, "auditor");
    let mut client = Client::new(&pages);
    assert_eq!(client.get("/").location(), "/sign-in");
    assert_eq!(client.post("/set-up", &FIRST).status, 422);
}
