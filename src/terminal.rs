//! Whoever sits at the machine: who the system says they are, and what they type.
//!
//! A password is asked for without showing it. Where there is no terminal it is
//! the next line of the input, so that an approval can be tried out by a script.
//! It must never write a password anywhere.

use std::fs;
use std::io::{self, BufRead, Write};
use std::os::fd::AsFd;

use nix::unistd::{Uid, User};
use rustix::termios::{LocalModes, OptionalActions, Termios, isatty, tcgetattr, tcsetattr};

/// What is asked, and where it is answered.
pub struct Terminal<I, O> {
    /// What is typed.
    pub input: I,
    /// Where the questions stand: not among the answers of the verb.
    pub questions: O,
}

impl<I: BufRead, O: Write> Terminal<I, O> {
    /// Asks for a line.
    pub fn line(&mut self, question: &str) -> io::Result<String> {
        write!(self.questions, "{question}: ")?;
        self.questions.flush()?;
        self.read()
    }

    /// Asks for a password, which is not shown.
    pub fn password(&mut self, question: &str) -> io::Result<String> {
        write!(self.questions, "{question}: ")?;
        self.questions.flush()?;
        let silence = Silence::of(io::stdin())?;
        let password = self.read();
        if silence.is_some() {
            writeln!(self.questions)?;
        }
        password
    }

    fn read(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.input.read_line(&mut line)? == 0 {
            return Err(io::Error::other("nothing was typed"));
        }
        Ok(line.trim_end_matches(['\r', '\n']).to_owned())
    }
}

/// A terminal that does not show what is typed, until this is dropped.
struct Silence<T: AsFd> {
    terminal: T,
    before: Termios,
}

impl<T: AsFd> Silence<T> {
    fn of(terminal: T) -> io::Result<Option<Self>> {
        if !isatty(&terminal) {
            return Ok(None);
        }
        let before = tcgetattr(&terminal)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&terminal, OptionalActions::Flush, &silent)?;
        Ok(Some(Self { terminal, before }))
    }
}

impl<T: AsFd> Drop for Silence<T> {
    fn drop(&mut self) {
        // A terminal that has gone needs no echo.
        let _ = tcsetattr(&self.terminal, OptionalActions::Flush, &self.before);
    }
}

/// Who runs this, for the record: the account of the system, and if another one
/// logged in and became it, that one too. It is a hint for whoever asks later,
/// and no proof: whoever is root can be anybody.
#[must_use]
pub fn who() -> String {
    let name = |uid: Uid| match User::from_uid(uid) {
        Ok(Some(user)) => user.name,
        _ => uid.to_string(),
    };
    let own = Uid::current();
    // The kernel keeps it through sudo, su and runuser.
    let logged_in = fs::read_to_string("/proc/self/loginuid").ok();
    let logged_in = logged_in.and_then(|uid| uid.trim().parse().ok());
    let nobody = |uid: &u32| *uid == u32::MAX;
    match logged_in.filter(|uid| !nobody(uid)).map(Uid::from_raw) {
        Some(login) if login != own => format!("{} as {}", name(login), name(own)),
        _ => name(own),
    }
}
