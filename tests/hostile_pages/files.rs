//! The files of the pages: all of them theirs to write, and nothing in them that
//! the resolver goes by.

use std::path::Path;
use std::process::Command;

use schoolgate::changes::change::Verdict;

use super::{Taken, adding, claims, propose, site};
use crate::dashboard::client::Account;
use crate::serve::has;

#[test]
fn accounts_and_records_rewritten_open_nothing() {
    let taken = Taken::new();
    for (account, role) in [
        ("t.tech", "technician"),
        ("a.head", "head"),
        ("d.lead", "dsl"),
    ] {
        Account::named(&taken.school.folder, account, role);
    }
    let state = taken.school.folder.state();
    let people = rusqlite::Connection::open(state.join("people.db")).unwrap();
    let changed = people
        .execute("UPDATE account SET role = 'head', email = '', state = 'active', password = (SELECT password FROM account WHERE account = 't.tech')", [])
        .unwrap();
    assert_eq!(changed, 3);
    people.execute("DELETE FROM former_password", []).unwrap();
    drop(people);
    let forge = |file: &str| {
        let path = state.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(
            path,
            "{\"number\":1,\"who\":\"a.head\",\"what\":\"approved\"}\n",
        )
        .unwrap();
    };
    for file in [
        "record/access.jsonl",
        "requests.db",
        "alerts.db",
        "activations.jsonl",
        "querylog/record.jsonl",
        "policy.toml",
    ] {
        forge(file);
    }
    let open = site("bets.example", Verdict::Allow, &["pupil"]);
    for by in claims() {
        let _ = taken.asks(&by, propose(adding(open.clone())));
    }
    taken.holds("its files rewritten");
    let hangup = nix::sys::signal::Signal::SIGHUP;
    let number = taken.ledger().in_force.unwrap().number;
    taken.school.server.signal(hangup);
    taken.holds("a signal");
    let taken = taken.restart();
    taken.holds("its files rewritten and a restart");
    assert_eq!(taken.ledger().in_force.unwrap().number, number);
}

/// Both run under one account, so the kernel would let one look into the other,
/// and through /proc into what its unit hides.
#[test]
fn another_process_of_the_same_account_cannot_reach_into_the_resolver() {
    if !has("setpriv", "one account's processes") || !nix::unistd::geteuid().is_root() {
        eprintln!("SKIPPED: another process of the same account: not root");
        return;
    }
    let taken = Taken::new();
    let folder = taken.school.stop();
    chown(folder.path());
    let as_nobody = |program: &Path| {
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"])
            .arg(program);
        command
    };
    // The build's folder may be out of their reach.
    let program = folder.path().join("schoolgate");
    std::fs::copy(crate::serve::school::PROGRAM, &program).unwrap();
    let mut command = as_nobody(&program);
    command.args(["serve", "--config"]).arg(folder.path());
    let school = crate::serve::school::School::start_as(folder, command);
    let own = format!("/proc/{}/root/etc", school.server.0.id());
    let looked = as_nobody(Path::new("ls")).arg(&own).output().unwrap();
    assert!(!looked.status.success(), "{looked:?}");
    let itself = as_nobody(Path::new("ls"))
        .arg("/proc/self/root/etc")
        .output();
    assert!(
        itself.unwrap().status.success(),
        "the test itself sees nothing"
    );
}

fn chown(path: &Path) {
    let nobody = nix::unistd::Uid::from_raw(65534);
    nix::unistd::chown(path, Some(nobody), None).unwrap();
    if path.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            chown(&entry.unwrap().path());
        }
    }
}
