//! Where alerts are raised: who gets the message, on which way, and when.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rusqlite::Transaction;

use super::alert::Alert;
use super::message::{Letterhead, Message};
use super::outbox::{self, Channel};
use crate::policy::alerts::{AlertRules, Recipient};
use crate::policy::timetable::{Timetable, Weekdays};
use crate::settings::Settings;

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
        let message = Message::about(alert, number, self.letterhead());
        let due = if alert.urgent {
            alert.raised
        } else {
            self.end_of_quiet(alert.raised)
        };
        let about = (alert.uid.as_str(), Some(number));
        self.tell(tx, about, &message, to, due)?;
        Ok(true)
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
