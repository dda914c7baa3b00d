//! Changes to accounts, and the second person whom some of them need.
//!
//! Nobody gives rights to themselves, and whoever makes an account that sees
//! pupils' rows, edits the filter or approves changes needs another person to
//! agree: a head or a safeguarding lead, as soon as the school has had one
//! (`second_person`; ). The same holds for a new password, which would
//! otherwise be a way into anybody's account. Accounts with one e-mail address
//! are one person's, however many there are.
//!
//! Root at the machine is not asked for a second person: it holds the files.
//! It is recorded as `console`.

use jiff::Timestamp;
use rusqlite::{Connection, TransactionBehavior, params};

use super::account::{self, Account, State, What};
use super::role::Role;
use super::second_person::{has_own_email, is_weighty, must_wait, stays_one};
use super::{Actor, People, PeopleError, lock_out, password, session};
use crate::record::Deed;

/// Longest name and e-mail.
const LONGEST: usize = 100;
/// Accounts of one school.
const MOST: usize = 500;

/// Somebody who is to have an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// What it is to be called; none: after the person.
    pub account: Option<String>,
    /// What the person is called.
    pub name: String,
    /// Where they are written to.
    pub email: String,
    /// What they are.
    pub role: Role,
    /// Until when, if not for good.
    pub ends: Option<Timestamp>,
}

/// What came of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is in force.
    Done {
        /// The account.
        account: String,
        /// A password to hand over, shown this once; none if it has another.
        password: Option<String>,
    },
    /// It waits for another person.
    Waits {
        /// The account.
        account: String,
    },
}

impl Invitation {
    /// Reads what somebody typed.
    pub fn new(
        account: &str,
        name: &str,
        email: &str,
        role: Role,
        ends: Option<Timestamp>,
    ) -> Result<Self, PeopleError> {
        let name = line(name, "A name")?;
        let email = line(email, "An e-mail address")?.to_lowercase();
        if name.is_empty() {
            return Err(PeopleError::refused("An account needs its person's name."));
        }
        let looks_right = email.split_once('@').is_some_and(|(who, host)| {
            !who.is_empty() && !host.is_empty() && !email.contains([' ', ',', ';', '<', '>'])
        });
        if !email.is_empty() && !looks_right {
            return Err(PeopleError::refused("That is not an e-mail address."));
        }
        let account = match account.trim() {
            "" => None,
            text => Some(account::account_name(text)?),
        };
        Ok(Self {
            account,
            name,
            email,
            role,
            ends,
        })
    }
}

fn line(text: &str, what: &str) -> Result<String, PeopleError> {
    let text = text.trim();
    if text.len() > LONGEST || text.chars().any(char::is_control) {
        let why = format!("{what} is one line of at most {LONGEST} characters.");
        return Err(PeopleError::Refused(why));
    }
    Ok(text.to_owned())
}

impl People {
    /// Makes an account; with a password that is known to its owner, or one to
    /// be changed at the first sign-in.
    pub fn invite(
        &self,
        by: &Actor,
        whom: &Invitation,
        known: Option<&str>,
        now: Timestamp,
    ) -> Result<Outcome, PeopleError> {
        let temporary = password::temporary();
        let hash = self.hash_for(whom, known.unwrap_or(&temporary))?;
        let mut store = self.store();
        let store = store.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let name = free_name(&store, whom)?;
        let author = author(&store, by, now)?;
        let own = |author: &Account| !whom.email.is_empty() && author.email == whom.email;
        if author.as_ref().is_some_and(own) {
            return Err(PeopleError::refused(
                "Nobody gives rights to themselves. Another person must make this account.",
            ));
        }
        if author.is_some() {
            has_own_email(&store, &name, &whom.email, whom.role)?;
        }
        insert(&store, by, whom, &name, &hash, known.is_none(), now)?;
        let made = account::named(&store, &name)?;
        let waits =
            is_weighty(whom.role) && must_wait(&store, author.as_ref(), &made, What::New, now)?;
        if waits {
            ask(&store, by, &made, What::New, whom.role, now)?;
            set_state(&store, &name, State::Waiting)?;
        }
        store.commit()?;
        let deed = by.deed("account_made").about("account", name.as_str());
        let deed = deed.about("role", whom.role.id()).about("waits", waits);
        self.note(deed, now)?;
        Ok(if waits {
            Outcome::Waits { account: name }
        } else {
            Outcome::Done {
                account: name,
                password: known.is_none().then_some(temporary),
            }
        })
    }

    /// Gives an account another role.
    pub fn change_role(
        &self,
        by: &Actor,
        account: &str,
        role: Role,
        now: Timestamp,
    ) -> Result<Outcome, PeopleError> {
        let mut store = self.store();
        let store = store.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let (subject, author) = concerned(&store, by, account, now)?;
        if subject.person.role == role {
            return Err(PeopleError::refused("The account has that role already."));
        }
        if author.is_some() {
            has_own_email(&store, account, &subject.email, role)?;
        }
        let weighty = is_weighty(role) || is_weighty(subject.person.role);
        let waits = weighty && must_wait(&store, author.as_ref(), &subject, What::Role, now)?;
        if waits {
            ask(&store, by, &subject, What::Role, role, now)?;
        } else {
            set_role(&store, account, role)?;
        }
        store.commit()?;
        let deed = by.deed("role_changed").about("account", account);
        let deed = deed.about("role", role.id()).about("waits", waits);
        self.note(deed, now)?;
        Ok(outcome(account, waits, None))
    }

    /// Gives an account a new temporary password and takes its second factor
    /// away; a disabled one can be used again.
    pub fn reset(&self, by: &Actor, account: &str, now: Timestamp) -> Result<Outcome, PeopleError> {
        let temporary = password::temporary();
        let hash = password::hash(&temporary).ok_or(PeopleError::Hash)?;
        let mut store = self.store();
        let store = store.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let (subject, author) = concerned(&store, by, account, now)?;
        let role = subject.person.role;
        let waits =
            is_weighty(role) && must_wait(&store, author.as_ref(), &subject, What::Reset, now)?;
        if waits {
            ask(&store, by, &subject, What::Reset, role, now)?;
        } else {
            begin_anew(&store, account, &hash, now)?;
        }
        store.commit()?;
        let deed = by.deed("account_reset").about("account", account);
        self.note(deed.about("waits", waits), now)?;
        Ok(outcome(account, waits, Some(temporary)))
    }

    /// Closes an account, at once: that takes no second person, unless it is
    /// the last who could be one.
    pub fn disable(&self, by: &Actor, account: &str, now: Timestamp) -> Result<(), PeopleError> {
        let mut store = self.store();
        let store = store.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let subject = account::named(&store, account)?;
        if subject.person.account == by.account {
            return Err(PeopleError::refused("Nobody closes their own account."));
        }
        if author(&store, by, now)?.is_some() {
            stays_one(&store, &subject, now)?;
        }
        store.execute("DELETE FROM waiting WHERE account = ?1", [account])?;
        set_state(&store, account, State::Disabled)?;
        session::end_all(&store, account)?;
        store.commit()?;
        self.note(by.deed("account_disabled").about("account", account), now)
    }

    /// Agrees to what waits, as the second person.
    pub fn confirm(
        &self,
        by: &Actor,
        account: &str,
        now: Timestamp,
    ) -> Result<Outcome, PeopleError> {
        let temporary = password::temporary();
        let hash = password::hash(&temporary).ok_or(PeopleError::Hash)?;
        let mut store = self.store();
        let store = store.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let subject = account::named(&store, account)?;
        let Some(waiting) = subject.waiting.clone() else {
            return Err(PeopleError::refused("Nothing of this account waits."));
        };
        if let Some(second) = author(&store, by, now)? {
            let asked_by = account::one(&store, &waiting.asked_by)?;
            let is_first = asked_by.is_some_and(|first| first.is_same_person(&second));
            if is_first || second.is_same_person(&subject) || !second.can_confirm(now) {
                return Err(PeopleError::refused(
                    "Another person must confirm this: a head or safeguarding lead who neither \
                     asked for it nor is whom it is about.",
                ));
            }
        }
        store.execute("DELETE FROM waiting WHERE account = ?1", [account])?;
        let password = match waiting.what {
            What::Role => {
                set_role(&store, account, waiting.role)?;
                None
            }
            What::New | What::Reset => {
                begin_anew(&store, account, &hash, now)?;
                Some(temporary)
            }
        };
        store.commit()?;
        self.note(answer(by, "account_confirmed", account, waiting.what), now)?;
        Ok(outcome(account, false, password))
    }

    /// Turns down what waits.
    pub fn decline(&self, by: &Actor, account: &str, now: Timestamp) -> Result<(), PeopleError> {
        let mut store = self.store();
        let store = store.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let subject = account::named(&store, account)?;
        author(&store, by, now)?;
        let Some(waiting) = subject.waiting else {
            return Err(PeopleError::refused("Nothing of this account waits."));
        };
        store.execute("DELETE FROM waiting WHERE account = ?1", [account])?;
        if subject.state == State::Waiting {
            set_state(&store, account, State::Disabled)?;
        }
        store.commit()?;
        self.note(answer(by, "account_declined", account, waiting.what), now)
    }

    pub(super) fn hash_for(
        &self,
        whom: &Invitation,
        password: &str,
    ) -> Result<String, PeopleError> {
        let account = whom.account.clone();
        let account = account.unwrap_or_else(|| account::name_for(&whom.name));
        self.check_password(password, &account, &whom.name)?;
        password::hash(password).ok_or(PeopleError::Hash)
    }

    pub(super) fn check_password(
        &self,
        password: &str,
        account: &str,
        name: &str,
    ) -> Result<(), PeopleError> {
        let mut words = vec![account, self.rules.school.as_str()];
        words.extend(name.split_whitespace());
        password::check(password, &words).map_err(PeopleError::refused)
    }
}

fn outcome(account: &str, waits: bool, password: Option<String>) -> Outcome {
    let account = account.to_owned();
    if waits {
        return Outcome::Waits { account };
    }
    Outcome::Done { account, password }
}

fn answer(by: &Actor, what: &str, account: &str, to: What) -> Deed {
    by.deed(what).about("account", account).about("to", to.id())
}

/// Whoever does it, unless it is the console; an account that can be used.
fn author(store: &Connection, by: &Actor, now: Timestamp) -> Result<Option<Account>, PeopleError> {
    if by.from.is_none() {
        return Ok(None);
    }
    let author = account::named(store, &by.account)?;
    if !author.is_usable(now) {
        return Err(PeopleError::refused("Your account has been closed."));
    }
    Ok(Some(author))
}

/// The account a change is about, and whoever makes it.
fn concerned(
    store: &Connection,
    by: &Actor,
    account: &str,
    now: Timestamp,
) -> Result<(Account, Option<Account>), PeopleError> {
    let subject = account::named(store, account)?;
    let author = author(store, by, now)?;
    if author.as_ref().is_some_and(|a| a.is_same_person(&subject)) {
        return Err(PeopleError::refused(
            "Nobody changes their own rights. Another person must do this.",
        ));
    }
    if subject.waiting.is_some() && author.is_some() {
        return Err(PeopleError::refused(
            "Something of this account waits already; that must be answered first.",
        ));
    }
    Ok((subject, author))
}

/// The name that an account will have.
pub(super) fn free_name(store: &Connection, whom: &Invitation) -> Result<String, PeopleError> {
    let all = account::all(store)?;
    if all.len() >= MOST {
        return Err(PeopleError::refused("There are too many accounts."));
    }
    let is_free = |name: &String| all.iter().all(|account| account.person.account != *name);
    if let Some(name) = whom.account.clone() {
        return Some(name)
            .filter(is_free)
            .ok_or_else(|| PeopleError::refused("There is an account of that name."));
    }
    let name = account::name_for(&whom.name);
    let numbered = (2..=MOST + 2).map(|number| format!("{name}{number}"));
    std::iter::once(name.clone())
        .chain(numbered)
        .filter(|name| account::account_name(name).is_ok())
        .find(is_free)
        .ok_or_else(|| PeopleError::refused("Give the account a name."))
}

pub(super) fn insert(
    store: &Connection,
    by: &Actor,
    whom: &Invitation,
    name: &str,
    hash: &str,
    temporary: bool,
    now: Timestamp,
) -> rusqlite::Result<()> {
    store.execute(
        "INSERT INTO account (account, name, email, role, state, ends, made, made_by,
                              password, password_at, temporary)
         VALUES (?1, ?2, ?3, ?4, 'active', ?5, ?6, ?7, ?8, ?6, ?9)",
        params![
            name,
            whom.name,
            whom.email,
            whom.role.id(),
            whom.ends.map(Timestamp::as_second),
            now.as_second(),
            by.account,
            hash,
            temporary
        ],
    )?;
    Ok(())
}

fn ask(
    store: &Connection,
    by: &Actor,
    subject: &Account,
    what: What,
    role: Role,
    now: Timestamp,
) -> rusqlite::Result<()> {
    store.execute(
        "INSERT OR REPLACE INTO waiting VALUES (?1, ?2, ?3, ?4, ?5)",
        params![
            subject.person.account,
            what.id(),
            role.id(),
            by.account,
            now.as_second()
        ],
    )?;
    Ok(())
}

fn set_state(store: &Connection, account: &str, state: State) -> rusqlite::Result<()> {
    store.execute(
        "UPDATE account SET state = ?2 WHERE account = ?1",
        params![account, state.id()],
    )?;
    Ok(())
}

fn set_role(store: &Connection, account: &str, role: Role) -> rusqlite::Result<()> {
    store.execute(
        "UPDATE account SET role = ?2 WHERE account = ?1",
        params![account, role.id()],
    )?;
    session::end_all(store, account)
}

/// A temporary password, no second factor, nobody signed in.
fn begin_anew(
    store: &Connection,
    account: &str,
    hash: &str,
    now: Timestamp,
) -> rusqlite::Result<()> {
    store.execute(
        "UPDATE account SET state = 'active', password = ?2, password_at = ?3, temporary = 1,
                            secret = NULL WHERE account = ?1",
        params![account, hash, now.as_second()],
    )?;
    store.execute("DELETE FROM recovery_code WHERE account = ?1", [account])?;
    store.execute("DELETE FROM waiting WHERE account = ?1", [account])?;
    lock_out::clear(store, account)?;
    session::end_all(store, account)
}
