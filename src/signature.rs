//! `schoolgate user signature`, and what else of an account's signature is seen
//! to at the machine.
//!
//! A signature is made of the account's own password, so its person types it
//! here: whoever is root cannot make one for somebody else without it. Closing or
//! resetting an account at the machine takes its signature away. It must never
//! keep the password.

use std::io::{BufRead, Write};
use std::path::Path;

use anyhow::bail;

use crate::changes::ask::{Ask, NotDone, Outcome, Wish};
use crate::changes::console::Console;
use crate::changes::ledger::Ledger;
use crate::changes::proposal::Author;
use crate::changes::signatory::Signatory;
use crate::people::People;
use crate::people::command::Afterwards;
use crate::terminal::{self, Terminal};

/// Sees to the signature of an account after `schoolgate user`; the exit status.
pub fn see_to(
    afterwards: &Afterwards,
    people: &People,
    state_dir: &Path,
    terminal: &mut Terminal<impl BufRead, impl Write>,
    out: &mut impl Write,
) -> anyhow::Result<u8> {
    match afterwards {
        Afterwards::Nothing => Ok(0),
        Afterwards::SignsNoMore(account) => remove(account, state_dir, out),
        Afterwards::Signs(account) => set_up(account, people, state_dir, terminal, out),
    }
}

fn set_up(
    account: &str,
    people: &People,
    state_dir: &Path,
    terminal: &mut Terminal<impl BufRead, impl Write>,
    out: &mut impl Write,
) -> anyhow::Result<u8> {
    let Some(found) = people.account(account)? else {
        bail!("there is no account \"{account}\"; `schoolgate user list` has them all");
    };
    let person = &found.person;
    if found.temporary {
        writeln!(
            out,
            "{account} still has the password it was given to begin with. {} signs in on the \
             pages first and chooses their own.",
            person.name
        )?;
        return Ok(1);
    }
    let author = Author::new(account, &found.email);
    let password = terminal.password(&format!("Password of {}", person.name))?;
    if !people.is_password(account, &password)? {
        writeln!(out, "That is not the password of {account}.")?;
        return Ok(1);
    }
    let Some(signatory) = Signatory::new(&author, &person.name, person.role, &password) else {
        bail!("no key could be made of that password");
    };
    let wish = Wish::Enrol {
        signatory,
        confirmation: None,
        console: Console::read(state_dir)?,
    };
    match put(wish, state_dir) {
        Ok(_) => {
            let (name, role) = (&person.name, person.role.name());
            writeln!(out, "{name} ({role}) can approve changes from now on.")?;
            Ok(0)
        }
        Err(NotDone::Refused(why)) => {
            writeln!(out, "{why}")?;
            Ok(1)
        }
        Err(error) => Err(error.into()),
    }
}

/// The account is closed or reset already: what cannot be done is told.
fn remove(account: &str, state_dir: &Path, out: &mut impl Write) -> anyhow::Result<u8> {
    let could = Ledger::read(state_dir).is_ok_and(|ledger| {
        ledger.signatories.contains_key(account) || ledger.wanting.contains_key(account)
    });
    if !could {
        return Ok(0);
    }
    let wish = Wish::Remove {
        account: account.to_owned(),
        console: Console::read(state_dir)?,
    };
    match put(wish, state_dir) {
        Ok(_) => writeln!(out, "{account}: can no longer approve changes")?,
        Err(why) => {
            writeln!(
                out,
                "{account}: the signature could not be taken away: {why}. Whoever knows the old \
                 password can still approve with it; repeat this while the resolver runs."
            )?;
            return Ok(1);
        }
    }
    Ok(0)
}

fn put(wish: Wish, state_dir: &Path) -> Result<Outcome, NotDone> {
    let ask = Ask {
        by: Author::console(),
        from: Some(terminal::who()),
        wish,
    };
    ask.put_to(state_dir)
}
