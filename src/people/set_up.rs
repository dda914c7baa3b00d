//! The first account.
//!
//! Until there is one, nothing else is served. It is made at the machine,
//! or by whoever has the code that the machine shows on its console and keeps
//! where only root can read it: otherwise the first pupil who finds the address
//! would own the appliance.

use std::net::IpAddr;
use std::path::PathBuf;

use jiff::Timestamp;

use super::account;
use super::change::Invitation;
use super::lock_out::Attempt;
use super::sign_in::Entry;
use super::{Actor, People, PeopleError, change, session, token};
use crate::lists::durable;

/// Bytes of the code: 80 bits.
const BYTES: usize = 10;

impl People {
    /// What must be known to make the first account from elsewhere; nothing once
    /// there is one.
    pub fn set_up_code(&self) -> Result<Option<String>, PeopleError> {
        let path = self.set_up_file();
        if self.is_set_up()? {
            durable::remove_if_any(&path)?;
            return Ok(None);
        }
        if let Some(known) = durable::read_if_any(&path)? {
            let known = String::from_utf8_lossy(&known).trim().to_owned();
            if !known.is_empty() {
                return Ok(Some(known));
            }
        }
        let code = token(BYTES);
        durable::write(&path, format!("{code}\n").as_bytes())?;
        Ok(Some(code))
    }

    /// Where the code is kept.
    #[must_use]
    pub fn set_up_file(&self) -> PathBuf {
        self.folder.join("set-up-code")
    }

    /// Makes the first account. `code` is asked for unless somebody is at the
    /// machine itself.
    pub fn first_account(
        &self,
        first: &Invitation,
        password: &str,
        code: Option<&str>,
        from: IpAddr,
        now: Timestamp,
    ) -> Result<Entry, PeopleError> {
        let Some(wanted) = self.set_up_code()? else {
            return Err(PeopleError::refused("There is an account already."));
        };
        if let Some(code) = code {
            let attempt = Attempt {
                account: "set-up",
                from,
            };
            let same = |text: &str| blake3::hash(text.trim().to_ascii_uppercase().as_bytes());
            if let Some(entry) = self.guess(attempt, "set_up_failed", now, || {
                Ok(same(code) == same(&wanted))
            })? {
                return Ok(entry);
            }
        }
        let hash = self.hash_for(first, password)?;
        let mut store = self.store();
        let store = store.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        if !account::all(&store)?.is_empty() {
            return Err(PeopleError::refused("There is an account already."));
        }
        let name = change::free_name(&store, first)?;
        let actor = Actor::new(&name, from);
        change::insert(&store, &actor, first, &name, &hash, false, now)?;
        let secret = session::begin(&store, &name, from, false, now)?;
        store.commit()?;
        durable::remove_if_any(&self.set_up_file())?;
        let deed = actor.deed("first_account_made");
        self.note(deed.about("role", first.role.id()), now)?;
        Ok(Entry::Welcome(secret))
    }
}
