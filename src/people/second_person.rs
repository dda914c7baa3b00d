//! When a change of rights needs a second person, and what keeps there being one.
//!
//! A rule that asks another person is worth what it takes to be left without one.
//! So a change that nobody could agree to acts at once only while a school is
//! being founded: while there has never been a head or a safeguarding lead
//! besides whoever acts. Later it is for root at the machine, as is putting the
//! last of them out of the way. Two accounts with one e-mail address
//! are one person, which on the pages would be a way to take somebody out of the
//! count; they are made at the machine alone.

use jiff::Timestamp;
use rusqlite::Connection;

use super::PeopleError;
use super::account::{self, Account, State, What};
use super::role::Role;

/// Whether a role is one that nobody is given by one person alone.
pub(super) fn is_weighty(role: Role) -> bool {
    matches!(role, Role::Technician | Role::Dsl | Role::Head)
}

/// Whether a weighty change by `author` waits for another person; refused if it
/// should and there is none. The console (no author) is never asked.
pub(super) fn must_wait(
    store: &Connection,
    author: Option<&Account>,
    subject: &Account,
    what: What,
    now: Timestamp,
) -> Result<bool, PeopleError> {
    let Some(author) = author else {
        return Ok(false);
    };
    let all = account::all(store)?;
    let is_second = |one: &Account| {
        one.can_confirm(now) && !one.is_same_person(author) && !one.is_same_person(subject)
    };
    if all.iter().any(is_second) {
        return Ok(true);
    }
    // In any state: whoever was closed or whose time has ended counts as well.
    let has_been = |one: &Account| {
        let is_new = what == What::New && one.person.account == subject.person.account;
        let agrees = matches!(one.person.role, Role::Head | Role::Dsl);
        let is_author = one.person.account == author.person.account;
        agrees && one.state != State::Waiting && !is_author && !is_new
    };
    if what != What::Reset && !all.iter().any(has_been) {
        return Ok(false);
    }
    let verb = match what {
        What::New | What::Role => "add".to_owned(),
        What::Reset => format!("reset {}", subject.person.account),
    };
    Err(PeopleError::refused(format!(
        "Nobody else could confirm this. At the machine: schoolgate user {verb}"
    )))
}

/// Refuses, on the pages, that `subject` ceases to be somebody who can be asked
/// when nobody else can be.
pub(super) fn stays_one(
    store: &Connection,
    subject: &Account,
    now: Timestamp,
) -> Result<(), PeopleError> {
    let name = &subject.person.account;
    let is_other = |one: &Account| one.can_confirm(now) && one.person.account != *name;
    if !subject.can_confirm(now) || account::all(store)?.iter().any(is_other) {
        return Ok(());
    }
    Err(PeopleError::refused(format!(
        "This is the last account that can confirm changes. At the machine: schoolgate user \
         disable {name}"
    )))
}

/// Refuses, on the pages, that one e-mail address has two accounts of which one
/// is weighty. `account` has or gets the address and the role.
pub(super) fn has_own_email(
    store: &Connection,
    account: &str,
    email: &str,
    role: Role,
) -> Result<(), PeopleError> {
    let shares = |one: &Account| {
        let same = !email.is_empty() && one.email == email && one.person.account != account;
        same && (is_weighty(role) || is_weighty(one.person.role))
    };
    if account::all(store)?.iter().any(shares) {
        return Err(PeopleError::refused(
            "Another account has that e-mail address. If one person is to have both: at the \
             machine, schoolgate user add",
        ));
    }
    Ok(())
}
