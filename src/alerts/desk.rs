//! Where alerts are raised: who gets the message, on which way, and when.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Transaction, params};

use super::alert::Alert;
use super::message::{Letterhead, Message};
use super::outbox::{self, Channel};
use super::store;
use crate::policy::alerts::{AlertRules, Recipient};
use crate::policy::timetable::{Timetable, Weekdays};
use crate::settings::Settings;

/// So many alerts of one group and theme have a message each.
const MANY: i64 = 20;

/// Whether many devices do the same.
enum Many {
    No,
    /// They do, and this says so.
    Now(String),
    /// They do, which has been told.
    Already,
}

/// What it takes to tell somebody.
#[derive(Debug, Clone, Copy)]
pub(super) struct Desk<'a> {
    /// The school's rules.
    pub(super) rules: &'a AlertRules,
    /// The ways that are set up.
    pub(super) settings: &'a Settings,
    /// The school's name.
    pub(super) school: &'a str,
    /// Its zone.
    pub(super) zone: &'a TimeZone,
}

impl<'a> Desk<'a> {
    /// What every message has in it.
    #[must_use]
    pub(super) fn letterhead(&self) -> Letterhead<'a> {
        Letterhead {
            school: self.school,
            zone: self.zone,
            url: &self.settings.dashboard.url,
            include_domain: self.rules.include_domain,
        }
    }

    /// Raises an alert and tells those of `to`; an alert that was raised before
    /// is not told again.
    pub(super) fn raise(
        &self,
        tx: &Transaction<'_>,
        alert: &Alert,
        to: &[Recipient],
    ) -> rusqlite::Result<bool> {
        let Some(number) = alert.insert(tx)? else {
            return Ok(false);
        };
        let message = match self.told_of_many(tx, alert)? {
            Many::No => Message::about(alert, number, self.letterhead()),
            Many::Now(says) => {
                let alert = Alert {
                    says,
                    ..alert.clone()
                };
                Message::about(&alert, number, self.letterhead())
            }
            Many::Already => return Ok(true),
        };
        let due = if alert.urgent {
            alert.raised
        } else {
            self.end_of_quiet(alert.raised)
        };
        let about = (alert.uid.as_str(), Some(number));
        self.tell(tx, about, &message, to, due)?;
        Ok(true)
    }

    /// Whether a whole class does the same, and whether that has been told: a
    /// thousand messages are read by nobody.
    fn told_of_many(&self, tx: &Transaction<'_>, alert: &Alert) -> rusqlite::Result<Many> {
        let Some(theme) = alert.theme.filter(|_| alert.kind.is_of_a_device()) else {
            return Ok(Many::No);
        };
        let minutes = self.rules.again_minutes;
        let reach = SignedDuration::from_mins(minutes.into());
        let since = alert.raised.checked_sub(reach).unwrap_or(Timestamp::MIN);
        let (group, mandatory) = (&alert.group, alert.mandatory);
        let alerts: i64 = tx
            .prepare_cached(
                "SELECT count(*) FROM (SELECT * FROM alerts ORDER BY id DESC LIMIT 1000)
                 WHERE grp = ? AND theme = ? AND mandatory = ? AND raised > ? AND raised <= ?",
            )?
            .query_row(
                params![
                    group,
                    theme.id(),
                    mandatory,
                    since.as_microsecond(),
                    alert.raised.as_microsecond(),
                ],
                |row| row.get(0),
            )?;
        if alerts <= MANY {
            return Ok(Many::No);
        }
        let key = format!("many {} {mandatory} {group}", theme.id());
        let told = store::note(tx, &key)?.and_then(|at| at.parse::<Timestamp>().ok());
        if told.is_some_and(|told| told > since && told <= alert.raised) {
            return Ok(Many::Already);
        }
        store::set_note(tx, &key, &alert.raised.to_string())?;
        Ok(Many::Now(format!(
            "This device, and further devices: more than {MANY} alerts of this group within \
             {minutes} minutes. For the next {minutes} minutes such alerts are on the page of \
             the alerts alone; see the page. {}",
            alert.says
        )))
    }

    /// Puts a message into the outbox for everybody it is for. Programs do not
    /// sleep: only e-mail waits for `due`.
    pub(super) fn tell(
        &self,
        tx: &Transaction<'_>,
        about: (&str, Option<i64>),
        message: &Message,
        to: &[Recipient],
        due: Timestamp,
    ) -> rusqlite::Result<()> {
        if self.settings.mail.is_some() {
            for address in self.rules.addresses(to) {
                outbox::put(tx, (Channel::Mail, &address), about, message, due)?;
            }
        }
        for channel in [Channel::Webhook, Channel::Syslog] {
            if self.has(channel) {
                outbox::put(tx, (channel, ""), about, message, message.made)?;
            }
        }
        Ok(())
    }

    /// Whether a way is set up.
    #[must_use]
    pub(super) fn has(&self, channel: Channel) -> bool {
        match channel {
            Channel::Mail => self.settings.mail.is_some(),
            Channel::Webhook => self.settings.webhook.is_some(),
            Channel::Syslog => self.settings.syslog.is_some(),
        }
    }

    /// When an e-mail may be sent that can wait.
    fn end_of_quiet(&self, now: Timestamp) -> Timestamp {
        let Some(hours) = self.rules.quiet else {
            return now;
        };
        let quiet = Timetable {
            id: "quiet".into(),
            days: Weekdays::ALL,
            hours,
            year: None,
        };
        if !quiet.holds_at(now, self.zone) {
            return now;
        }
        quiet.next_edge(now, self.zone).unwrap_or(now)
    }
}
