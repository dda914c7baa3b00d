//! The threads that empty the outbox: one for each way, so that a server that
//! hangs holds up nobody else's messages.

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::Connection;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::outbox::{self, Channel, Failure, Waiting};
use super::store::StoreError;
use super::watch::School;
use super::{mail, syslog, webhook};

/// How often the outbox is looked into.
const EVERY: Duration = Duration::from_millis(250);
/// After the outbox itself could not be read.
const AFTER_TROUBLE: Duration = Duration::from_secs(5);

/// Says when to stop.
#[derive(Debug, Default)]
pub(super) struct Stop {
    asked: Mutex<bool>,
    told: Condvar,
}

impl Stop {
    /// Asks everybody to stop.
    pub(super) fn ask(&self) {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.told.notify_all();
    }

    /// Waits, and says whether to go on.
    #[must_use]
    pub(super) fn wait(&self, pause: Duration) -> bool {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.told.wait_timeout_while(asked, pause, |asked| !*asked);
        let (asked, _) = waited.unwrap_or_else(PoisonError::into_inner);
        !*asked
    }
}

/// Empties the outbox of one way until told to stop.
pub(super) fn run(channel: Channel, school: &School, db: &mut Connection, stop: &Arc<Stop>) {
    let mut works = true;
    let mut pause = Duration::ZERO;
    while stop.wait(pause) {
        pause = match step(channel, school, db, &mut works) {
            Ok(true) => Duration::ZERO,
            Ok(false) => EVERY,
            Err(error) => {
                tracing::error!(%error, channel = channel.id(), "the outbox of alerts cannot be used");
                AFTER_TROUBLE
            }
        };
    }
}

/// Sends what is due next; says whether there was anything.
fn step(
    channel: Channel,
    school: &School,
    db: &mut Connection,
    works: &mut bool,
) -> Result<bool, StoreError> {
    let Some(waiting) = outbox::next(db, channel, Timestamp::now())? else {
        return Ok(false);
    };
    let result = send(channel, school, &waiting);
    let now = Timestamp::now();
    match &result {
        Ok(()) => outbox::sent(db, channel, &waiting, now)?,
        Err(failure) => {
            let fallback = school.rules().fallback.clone();
            let fallback = fallback.filter(|_| channel == Channel::Mail);
            outbox::failed(db, channel, &waiting, failure, fallback.as_deref(), now)?;
        }
    }
    // Why is on the page of the channels: servers repeat addresses in what they
    // say, and those have no place in the machine's log.
    let now_works = !matches!(result, Err(Failure::Channel(_)));
    if *works && !now_works {
        tracing::warn!(channel = channel.id(), "alerts do not leave; they wait");
    } else if !*works && now_works {
        tracing::info!(channel = channel.id(), "alerts leave again");
    }
    *works = now_works;
    Ok(true)
}

fn send(channel: Channel, school: &School, waiting: &Waiting) -> Result<(), Failure> {
    let settings = school.settings();
    let gone = || Failure::Channel("it is not set up any more".to_owned());
    match channel {
        Channel::Mail => mail::send(settings.mail.as_ref().ok_or_else(gone)?, waiting),
        Channel::Webhook => {
            let hook = settings.webhook.as_ref().ok_or_else(gone)?;
            webhook::send(hook, waiting, Timestamp::now())
        }
        Channel::Syslog => syslog::send(settings.syslog.as_ref().ok_or_else(gone)?, waiting),
    }
}

/// The first line of a file; read each time, so that a new secret needs no
/// restart.
pub(super) fn secret(file: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(file);
    let text = text.map_err(|error| format!("{}: {error}", file.display()))?;
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() {
        return Err(format!("{}: it is empty", file.display()));
    }
    Ok(line.to_owned())
}

/// The certificates of a PEM file.
pub(super) fn chain_of(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let all = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
    let all = all.map_err(|error| format!("{}: {error}", file.display()))?;
    if all.is_empty() {
        return Err(format!("{}: there is no certificate in it", file.display()));
    }
    Ok(all)
}

/// The same, for whoever wants them as `ureq` has them.
pub(super) fn authorities(file: &Path) -> Result<Vec<ureq::tls::Certificate<'static>>, String> {
    let all = chain_of(file)?;
    Ok(all
        .iter()
        .map(|der| ureq::tls::Certificate::from_der(der).to_owned())
        .collect())
}
