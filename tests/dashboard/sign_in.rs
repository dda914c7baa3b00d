//! Signing in: passwords, codes, guesses, sessions, forms.

use std::time::Duration;

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

#[test]
fn a_thousand_wrong_passwords_let_nobody_in_and_lock_nobody_out() {
    let (folder, pages) = school();
    let mut account = Account::make(&folder, "governor");
    let mut guesser = Client::new(&pages);
    let mut statuses = [0; 2];
    for guess in 0..1000 {
        let answer = guesser.give_password(&account.name, &format!("wrong password {guess}"));
        match answer.status {
            401 => statuses[0] += 1,
            429 => statuses[1] += 1,
            other => panic!("{other}"),
        }
        assert!(answer.header("set-cookie").is_none());
    }
    // Five, and those that fell after a wait.
    assert!((5..12).contains(&statuses[0]), "{statuses:?}");
    let wait = guesser.give_password(&account.name, PASSWORD);
    assert_eq!(wait.status, 429);
    let seconds: u32 = wait.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=900).contains(&seconds), "{seconds}");
    // The person sits at another desk.
    let mut desk = Client::new(&pages);
    desk.headers = vec![("x-forwarded-for".to_owned(), "10.0.0.9".to_owned())];
    assert_eq!(desk.give_password(&account.name, PASSWORD).status, 429);
    let mut person = Client::from("127.0.0.9", &pages);
    let answer = person.give_password(&account.name, PASSWORD);
    assert_eq!((answer.status, answer.location()), (303, "/"));
    account.password.clear();
    let whats = whats(&folder);
    let count = |what: &str| whats.iter().filter(|one| *one == what).count();
    assert_eq!(count("sign_in_failed"), statuses[0]);
    assert!(count("locked_out") >= 1);
}

#[test]
fn what_is_typed_where_the_account_goes_is_not_written_down() {
    let (folder, pages) = school();
    let mut client = Client::new(&pages);
    for account in [
        "my-Secret-Password",
        "",
        "nobody ",
        "<script>",
        "' OR 1=1 --",
        "\u{0}\r\n",
    ] {
        let answer = client.give_password(account, "wrong password");
        assert!(matches!(answer.status, 401 | 429), "{answer:?}");
        assert!(!answer.body.contains("<script>"));
    }
    let long = "x".repeat(60_000);
    assert_eq!(client.give_password(&long, "y").status, 401);
    assert_eq!(client.give_password("nobody", &long).status, 401);
    let record = std::fs::read_to_string(folder.state().join("record/access.jsonl")).unwrap();
    assert!(record.contains("\"who\":\"unknown\""));
    for typed in ["Secret", "script", "OR 1=1", "wrong"] {
        assert!(!record.contains(typed), "{typed}");
        assert!(!pages.stderr().contains(typed), "{typed}");
    }
}

#[test]
fn a_code_holds_once_and_no_code_no_entry() {
    let (folder, pages) = school();
    let mut account = Account::make(&folder, "dsl");
    Client::as_account(&pages, &mut account);
    let secret = account.secret.clone().unwrap();
    let mut client = Client::new(&pages);
    client.give_password(&account.name, PASSWORD);
    // The password alone opens nothing, least of all another second factor.
    for path in [
        "/",
        "/account",
        "/account/second-factor",
        "/account/password",
        "/record",
    ] {
        assert!(
            client.get(path).location().starts_with("/sign-in/code"),
            "{path}"
        );
    }
    client.get("/sign-in/code");
    for path in [
        "/account/second-factor",
        "/account/recovery-codes",
        "/account/password",
    ] {
        let fields = [
            ("code", "000000"),
            ("password", PASSWORD),
            ("old", PASSWORD),
            ("again", ""),
        ];
        assert_eq!(
            client.post(path, &fields).location(),
            "/sign-in/code",
            "{path}"
        );
    }
    // The one it was set up with.
    let used = code_at(&secret, account.last_step);
    assert_eq!(client.post("/sign-in/code", &[("code", &used)]).status, 401);
    let code = account.code();
    assert_eq!(client.post("/sign-in/code", &[("code", &code)]).status, 303);
    assert_eq!(client.get("/").status, 200);
    // Somebody who has seen it typed.
    let mut other = Client::new(&pages);
    other.give_password(&account.name, PASSWORD);
    other.get("/sign-in/code");
    assert_eq!(other.post("/sign-in/code", &[("code", &code)]).status, 401);
    assert!(other.get("/").location().starts_with("/sign-in/code"));
}

#[test]
fn codes_cannot_be_guessed_by_signing_in_again_and_again() {
    let (folder, pages) = school();
    let mut account = Account::make(&folder, "dsl");
    Client::as_account(&pages, &mut account);
    let mut wrong = 0;
    for _ in 0..30 {
        let mut thief = Client::new(&pages);
        if thief.give_password(&account.name, PASSWORD).status != 303 {
            break;
        }
        thief.get("/sign-in/code");
        let answer = thief.post("/sign-in/code", &[("code", "123456")]);
        wrong += usize::from(answer.status == 401);
    }
    assert!(wrong < 6, "{wrong}");
}

#[test]
fn a_printed_code_lets_in_once_and_is_told_of() {
    let (folder, pages) = school();
    let mut account = Account::make(&folder, "technician");
    Client::as_account(&pages, &mut account);
    let printed = account.recovery_codes[3].to_lowercase().replace('-', " ");
    for expected in [303, 401] {
        let mut client = Client::new(&pages);
        client.give_password(&account.name, PASSWORD);
        client.get("/sign-in/code");
        assert_eq!(
            client.post("/sign-in/code", &[("code", &printed)]).status,
            expected
        );
    }
    let used = deeds(&folder)
        .into_iter()
        .find(|d| d["what"] == "recovery_code_used");
    assert_eq!(used.unwrap()["about"]["left"], 9);
}

#[test]
fn a_form_needs_the_token_of_its_own_session() {
    let (folder, pages) = school();
    let mut client = Client::signed_in(&pages, &folder, "governor");
    let mut other = Client::signed_in(&pages, &folder, "auditor");
    client.get("/account");
    let foreign = other.get("/account").field("csrf").unwrap();
    for fields in [&[][..], &[("csrf", "")], &[("csrf", foreign.as_str())]] {
        assert_eq!(client.send("/sign-out", fields).status, 400, "{fields:?}");
        assert_eq!(client.get("/").status, 200);
    }
    // Sent by a page of another site, whatever it knows.
    for (header, value) in [
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ] {
        let mut forged = client.clone();
        forged.headers = vec![(header.to_owned(), value.to_owned())];
        assert_eq!(
            forged.post("/sign-out", &[]).status,
            400,
            "{header}: {value}"
        );
        forged.cookies.clear();
        assert_eq!(forged.give_password("nobody", PASSWORD).status, 400);
    }
    assert_eq!(client.get("/").status, 200);
    let mut own = client.clone();
    own.headers = vec![("origin".to_owned(), format!("http://{}", pages.address))];
    assert_eq!(own.post("/sign-out", &[]).status, 303);
}

#[test]
fn nobody_is_taken_for_somebody_by_what_a_request_says() {
    let (folder, pages) = school();
    let signed_in = Client::signed_in(&pages, &folder, "head");
    let (name, secret) = signed_in.cookies.iter().next().unwrap();
    let mut shorter = secret.clone();
    shorter.pop();
    for cookie in [
        "",
        "x",
        "head",
        &shorter,
        &secret.to_lowercase(),
        "' OR ''='",
    ] {
        let mut client = Client::new(&pages);
        client.cookies.insert(name.clone(), cookie.to_owned());
        assert_eq!(
            client.get("/accounts").location(),
            "/sign-in?next=%2Faccounts",
            "{cookie}"
        );
    }
    for header in [
        "authorization",
        "x-remote-user",
        "x-forwarded-user",
        "remote-user",
    ] {
        let mut client = Client::new(&pages);
        client.headers = vec![(header.to_owned(), "head".to_owned())];
        assert_eq!(client.get("/").location(), "/sign-in", "{header}");
    }
    // Two cookies of the name: another site on this machine's name set one.
    let mut client = signed_in.clone();
    client.cookies.insert("another".to_owned(), "x".to_owned());
    assert_eq!(client.get("/").status, 200);
}

#[test]
fn a_session_ends_by_itself_and_with_the_password() {
    let closed = "127.0.0.1:1".parse().unwrap();
    let mut plan = Plan::new(&[closed]);
    plan.tables = "[dashboard]\nidle_minutes = 1\nsession_hours = 1\n".to_owned();
    let folder = plan.write();
    let mut account = Account::make(&folder, "governor");
    let pages = Pages::start(&folder);
    let mut client = Client::as_account(&pages, &mut account);
    let mut elsewhere = Client::as_account(&pages, &mut account);
    elsewhere.get("/account/password");
    let change = |client: &mut Client, old: &str, new: &str| {
        let fields = [("old", old), ("password", new), ("again", new)];
        client.post("/account/password", &fields)
    };
    let new = "colder leaves on Thursday";
    assert_eq!(change(&mut elsewhere, "not the old one", new).status, 401);
    assert_eq!(change(&mut elsewhere, PASSWORD, PASSWORD).status, 422);
    assert_eq!(change(&mut elsewhere, PASSWORD, "password1234").status, 422);
    assert_eq!(change(&mut elsewhere, PASSWORD, new).status, 303);
    assert_eq!(client.get("/").location(), "/sign-in");
    assert_eq!(elsewhere.get("/account/password").status, 200);
    // Neither of the last two comes back.
    assert_eq!(change(&mut elsewhere, new, PASSWORD).status, 422);
    // As if an hour had passed without a click, or the session were a day old.
    for column in ["seen", "began"] {
        let mut client = Client::new(&pages);
        assert_eq!(client.give_password(&account.name, new).status, 303);
        assert_eq!(client.get("/").status, 200);
        let store = rusqlite::Connection::open(folder.state().join("people.db")).unwrap();
        store.busy_timeout(Duration::from_secs(5)).unwrap();
        let sooner = format!("UPDATE session SET {column} = {column} - 3700");
        store.execute(&sooner, []).unwrap();
        assert_eq!(client.get("/").location(), "/sign-in", "{column}");
    }
}

#[test]
fn signing_in_leads_back_to_what_was_asked_for() {
    let (folder, pages) = school();
    Account::make(&folder, "head");
    let mut client = Client::new(&pages);
    let asked = client.get("/record?who=x&what=");
    assert_eq!(
        asked.location(),
        "/sign-in?next=%2Frecord%3Fwho%3Dx%26what%3D"
    );
    let form = client.get(asked.location());
    assert_eq!(form.field("next").unwrap(), "/record?who=x&amp;what=");
    for (next, leads) in [
        ("/record?who=x", "/record?who=x"),
        ("//evil.example/", "/"),
        ("https://evil.example/", "/"),
        ("/\r\nSet-Cookie: schoolgate=x", "/"),
    ] {
        let mut client = Client::new(&pages);
        let fields = [("account", "head"), ("password", PASSWORD), ("next", next)];
        let answer = client.post("/sign-in", &fields);
        assert_eq!((answer.status, answer.location()), (303, leads));
    }
}

#[test]
fn every_answer_carries_what_keeps_it_safe() {
    let (folder, pages) = school();
    let mut client = Client::signed_in(&pages, &folder, "governor");
    for path in [
        "/",
        "/account",
        "/nowhere",
        "/record",
        "/sign-in",
        "/account/second-factor",
    ] {
        let answer = client.get(path);
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'"), "{path}");
        assert!(!policy.contains("unsafe"), "{path}");
        assert_eq!(answer.header("x-frame-options"), Some("DENY"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        // What the policy would stop must not be there to be stopped.
        for banned in ["<script", " style=", "javascript:", "data:", " onclick"] {
            assert!(!answer.body.contains(banned), "{path}: {banned}");
        }
    }
    let cookie = Client::new(&pages).give_password("governor", PASSWORD);
    let cookie = cookie.header("set-cookie").unwrap();
    assert!(
        cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax"),
        "{cookie}"
    );
}

#[test]
fn forms_have_a_longest_length() {
    let (_folder, pages) = school();
    let mut client = Client::new(&pages);
    let long = "x".repeat(70 << 10);
    assert_eq!(client.give_password(&long, "y").status, 400);
    eventually("the pages to go on", || {
        (client.get("/sign-in").status == 200).then_some(())
    });
}
