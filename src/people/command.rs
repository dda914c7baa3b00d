//! `schoolgate user`: accounts from the console.
//!
//! Whoever is root at the machine holds its files anyway, so no second person is
//! asked for here; it is recorded as `console`. This is also how a school comes
//! back in when nobody can sign in any more.

use std::io::{BufRead, Write};

use clap::{Args, Subcommand};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::account::Account;
use super::change::{Invitation, Outcome};
use super::role::Role;
use super::{Actor, People, PeopleError};

/// `schoolgate user …`
#[derive(Debug, Args)]
pub struct UserArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Make an account; prints a password to begin with
    Add {
        /// What the person is called
        name: String,
        /// technician, dsl, head, governor or auditor
        #[arg(long)]
        role: Role,
        /// Where they are written to
        #[arg(long, default_value = "")]
        email: String,
        /// What the account is called; else after the person
        #[arg(long, default_value = "")]
        account: String,
        /// The last day on which it can be used, such as 2027-07-20
        #[arg(long, value_name = "DATE")]
        until: Option<Date>,
        /// Take the person's own password from standard input instead
        #[arg(long)]
        password_stdin: bool,
    },
    /// List the accounts
    List {
        /// One JSON document
        #[arg(long)]
        json: bool,
    },
    /// Close an account
    Disable {
        /// Which
        account: String,
    },
    /// Give an account a new password to begin with and no second factor
    Reset {
        /// Which
        account: String,
    },
    /// Set up the signature with which a head or a safeguarding lead approves
    /// changes; its person types their password
    Signature {
        /// Which
        account: String,
    },
}

/// What is to become of an account's signature, which is not kept here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Afterwards {
    /// It stays as it is.
    Nothing,
    /// It is to be set up.
    Signs(String),
    /// It counts no more.
    SignsNoMore(String),
}

/// Runs `schoolgate user`; says what is to become of the account's signature.
pub fn user(
    args: &UserArgs,
    people: &People,
    zone: &TimeZone,
    now: Timestamp,
    input: &mut impl BufRead,
    out: &mut impl Write,
) -> Result<Afterwards, PeopleError> {
    let console = Actor::console();
    match &args.what {
        What::Add {
            name,
            role,
            email,
            account,
            until,
            password_stdin,
        } => {
            let ends = until.map(|day| end_of(day, zone)).transpose()?;
            let whom = Invitation::new(account, name, email, *role, ends)?;
            let mut password = None;
            if *password_stdin {
                let mut line = String::new();
                input.read_line(&mut line)?;
                password = Some(line.trim_end_matches(['\r', '\n']).to_owned());
            }
            let outcome = people.invite(&console, &whom, password.as_deref(), now)?;
            say(&outcome, "made", out)?;
        }
        What::List { json } => list(&people.accounts()?, *json, now, out)?,
        What::Disable { account } => {
            people.disable(&console, account, now)?;
            writeln!(out, "{account}: closed")?;
            return Ok(Afterwards::SignsNoMore(account.clone()));
        }
        What::Reset { account } => {
            say(&people.reset(&console, account, now)?, "reset", out)?;
            return Ok(Afterwards::SignsNoMore(account.clone()));
        }
        What::Signature { account } => return Ok(Afterwards::Signs(account.clone())),
    }
    Ok(Afterwards::Nothing)
}

/// The moment at which a day has ended at the school.
pub fn end_of(day: Date, zone: &TimeZone) -> Result<Timestamp, PeopleError> {
    let next = day.tomorrow().and_then(|next| next.to_zoned(zone.clone()));
    next.map(|next| next.timestamp())
        .map_err(|_| PeopleError::refused("There is no such day."))
}

fn say(outcome: &Outcome, done: &str, out: &mut impl Write) -> Result<(), PeopleError> {
    let (Outcome::Done { account, .. } | Outcome::Waits { account }) = outcome;
    writeln!(out, "{account}: {done}")?;
    if let Outcome::Done {
        password: Some(password),
        ..
    } = outcome
    {
        writeln!(out, "password to begin with: {password}")?;
    }
    Ok(())
}

#[derive(Serialize)]
struct Line<'a> {
    account: &'a str,
    name: &'a str,
    email: &'a str,
    role: Role,
    state: &'static str,
    second_factor: bool,
    ends: Option<Timestamp>,
    last_sign_in: Option<Timestamp>,
}

fn list(
    all: &[Account],
    json: bool,
    now: Timestamp,
    out: &mut impl Write,
) -> Result<(), PeopleError> {
    let lines: Vec<Line<'_>> = all
        .iter()
        .map(|account| Line {
            account: &account.person.account,
            name: &account.person.name,
            email: &account.email,
            role: account.person.role,
            state: account.state_at(now),
            second_factor: account.second_factor,
            ends: account.ends,
            last_sign_in: account.last_sign_in,
        })
        .collect();
    if json {
        serde_json::to_writer(&mut *out, &lines).map_err(std::io::Error::other)?;
        writeln!(out)?;
        return Ok(());
    }
    for line in lines {
        let factor = if line.second_factor {
            "two factors"
        } else {
            "password"
        };
        writeln!(
            out,
            "{:<20} {:<12} {:<9} {:<12} {}",
            line.account,
            line.role.id(),
            line.state,
            factor,
            line.name
        )?;
    }
    Ok(())
}
