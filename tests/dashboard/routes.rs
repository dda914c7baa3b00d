//! Who may see what: each row of `routes.txt`, tried by everybody.
//!
//! The file is the table as a governor would read it; the program's own must be
//! the same, so a page that nobody has thought about fails here.

use std::collections::BTreeMap;

use schoolgate::dashboard::routes::{Access, routes};
use schoolgate::people::role::Role;

use super::client::{Account, Client, Pages};
use crate::serve::school::Plan;

const TABLE: &str = include_str!("routes.txt");

/// What stands for each part of a path that is somebody's or something's.
const PART: &str = "nothing-of-that-name";

fn rows() -> Vec<(String, String, Vec<String>)> {
    let rows = TABLE.lines().map(str::trim);
    let rows = rows.filter(|line| !line.is_empty() && !line.starts_with('#'));
    rows.map(|line| {
        let mut words = line.split_whitespace().map(str::to_owned);
        let (method, path) = (words.next().unwrap(), words.next().unwrap());
        (method, path, words.collect())
    })
    .collect()
}

fn said(access: Access) -> String {
    match access {
        Access::Public => "public".to_owned(),
        Access::Everybody => "everybody".to_owned(),
        Access::SignedIn => "signed-in".to_owned(),
        Access::Only(_) => {
            let may = Role::ALL.into_iter().filter(|role| access.lets(*role));
            may.map(Role::id).collect::<Vec<_>>().join(" ")
        }
    }
}

#[test]
fn the_table_is_the_programs_own() {
    let mut own: Vec<String> = routes()
        .iter()
        .map(|route| format!("{:<4} {} {}", route.method, route.path, said(route.access)))
        .collect();
    let mut file: Vec<String> = rows()
        .iter()
        .map(|(method, path, who)| format!("{method:<4} {path} {}", who.join(" ")))
        .collect();
    own.sort();
    file.sort();
    let missing: Vec<_> = own.iter().filter(|row| !file.contains(row)).collect();
    let gone: Vec<_> = file.iter().filter(|row| !own.contains(row)).collect();
    assert!(
        missing.is_empty() && gone.is_empty(),
        "routes.txt lacks {missing:#?}\nand has {gone:#?}, which is not so"
    );
}

/// Whether a page let somebody in, whatever it then said.
fn is_in(status: u16, location: &str) -> bool {
    status != 403 && !(status == 303 && location.starts_with("/sign-in"))
}

#[test]
fn each_role_sees_its_pages_and_no_others() {
    let folder = Plan::new(&["127.0.0.1:1".parse().unwrap()]).write();
    let mut clients = BTreeMap::new();
    let mut accounts: Vec<Account> = Role::ALL
        .map(|role| Account::make(&folder, role.id()))
        .into();
    let pages = Pages::start(&folder);
    for (role, account) in Role::ALL.into_iter().zip(&mut accounts) {
        let mut client = Client::as_account(&pages, account);
        client.get("/account");
        clients.insert(role.id().to_owned(), client);
    }
    let stranger = Client::new(&pages);
    let mut wrong = Vec::new();
    for (method, path, who) in rows() {
        // They would end what the others are tried with.
        if path == "/sign-out" || path == "/account/sessions/end" {
            continue;
        }
        let open = matches!(who[0].as_str(), "public" | "everybody");
        let mut real = path.clone();
        while let Some((before, rest)) = real.split_once('{') {
            let after = rest.split_once('}').unwrap().1;
            real = format!("{before}{PART}{after}");
        }
        let mut try_as = |name: &str, client: &Client, may: bool| {
            let mut client = client.clone();
            let answer = match method.as_str() {
                "GET" => client.get(&real),
                _ => client.post(&real, &[]),
            };
            // Nothing of what is asked about is there; that must not make it fail.
            if answer.status == 500 || is_in(answer.status, answer.location()) != may {
                wrong.push(format!("{method} {path} as {name}: {}", answer.status));
            }
        };
        for (role, client) in &clients {
            try_as(
                role,
                client,
                open || who[0] == "signed-in" || who.contains(role),
            );
        }
        let sign_in = path == "/sign-in" || path == "/set-up";
        if !sign_in {
            try_as("a stranger", &stranger, open);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn nobody_comes_from_another_network() {
    let mut plan = Plan::new(&["127.0.0.1:1".parse().unwrap()]);
    plan.tables = "[dashboard]\nallow = [\"127.0.0.9/32\"]\n".to_owned();
    let folder = plan.write();
    Account::make(&folder, "head");
    let pages = Pages::start(&folder);
    for path in ["/", "/sign-in", "/set-up", "/record"] {
        assert_eq!(Client::new(&pages).get(path).status, 403, "{path}");
    }
    let mut forged = Client::new(&pages);
    forged.headers = vec![("x-forwarded-for".to_owned(), "127.0.0.9".to_owned())];
    assert_eq!(
        forged.give_password("head", super::client::PASSWORD).status,
        403
    );
    assert_eq!(
        Client::from("127.0.0.9", &pages).get("/sign-in").status,
        200
    );
}
