//! What is told of not at once: the digest, and the word to the fallback that
//! nobody has looked.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp, ToSpan, Zoned};
use rusqlite::{Transaction, params};

use super::alert::time;
use super::desk::Desk;
use super::message::Message;
use super::store::{self, StoreError};
use crate::lists::category::Theme;
use crate::policy::alerts::{Audience, DigestTime, Recipient};
use crate::querylog::hold::Holds;
use crate::record::Record;
use crate::reports::changed::{changed, head};

/// Up to when the last digest told.
const TOLD: &str = "digest";
/// How long attempts are kept, for a digest that comes late.
const ATTEMPTS: SignedDuration = SignedDuration::from_hours(40 * 24);
/// How long messages are kept that have left or were given up.
const MESSAGES: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Sends the digest when its hour has come. After weeks without power there is
/// one digest, of all of them.
pub(super) fn send_if_due(
    tx: &Transaction<'_>,
    desk: &Desk<'_>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let Some(due) = last_due(desk.rules.digest, &now.to_zoned(desk.zone.clone())) else {
        return Ok(());
    };
    let told = store::note(tx, TOLD)?;
    let told = told.and_then(|told| told.parse::<Timestamp>().ok());
    if told.is_some_and(|told| told >= due && told <= now) {
        return Ok(());
    }
    store::set_note(tx, TOLD, &due.to_string())?;
    // The first one comes when there is something to tell of; so does the one
    // after a clock that ran ahead.
    let Some(since) = told.filter(|told| *told < due) else {
        return Ok(());
    };
    let body = body(tx, desk, since, due)?;
    let day = |at: Timestamp| {
        at.to_zoned(desk.zone.clone())
            .strftime("%-d %B %Y")
            .to_string()
    };
    let subject = format!("digest, {} to {}", day(since), day(due));
    let message = Message::plain("digest", &subject, &body, now, desk.letterhead());
    let to = [Recipient::Role(Audience::Dsl)];
    desk.tell(tx, (&format!("digest {due}"), None), &message, &to, now)?;
    Ok(())
}

/// The last moment up to `now` at which a digest was due.
fn last_due(digest: DigestTime, now: &Zoned) -> Option<Timestamp> {
    let mut date = now.date();
    for _ in 0..8 {
        let right_day = digest.day.is_none_or(|day| day == date.weekday());
        let due = DateTime::from_parts(date, digest.at).to_zoned(now.time_zone().clone());
        match due {
            Ok(due) if right_day && due <= *now => return Some(due.timestamp()),
            _ => date = date.yesterday().ok()?,
        }
    }
    None
}

fn body(
    tx: &Transaction<'_>,
    desk: &Desk<'_>,
    since: Timestamp,
    until: Timestamp,
) -> Result<String, StoreError> {
    let mut text = String::new();
    let day = |at: Timestamp| {
        let at = at.to_zoned(desk.zone.clone());
        at.strftime("%A %-d %B %Y, %H:%M").to_string()
    };
    // Writing to a string cannot fail.
    let _ = writeln!(text, "From {} to {}.\n", day(since), day(until));
    let themes = attempts(tx, since, until)?;
    if themes.is_empty() {
        text.push_str("No device tried anything that the school wants to be told of.\n");
    }
    for theme in Theme::ALL {
        let Some(groups) = themes.get(theme.id()) else {
            continue;
        };
        let _ = writeln!(text, "{}", theme.name());
        for (group, attempts, devices) in groups {
            let attempts = counted(*attempts, "attempt");
            let devices = counted(*devices, "device");
            let _ = writeln!(text, "    group {group}: {attempts} by {devices}");
        }
    }
    let between = params![since.as_microsecond(), until.as_microsecond()];
    let (raised, open): (i64, i64) = tx.query_row(
        "SELECT count(*) FILTER (WHERE raised >= ?1 AND raised < ?2),
             count(*) FILTER (WHERE acknowledged_at IS NULL)
         FROM alerts",
        between,
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let _ = writeln!(
        text,
        "\nAlerts in this time: {raised}. Not yet acknowledged: {open}.\n"
    );
    text.push_str("Changes of the filter\n");
    let state_dir = &desk.settings.state_dir;
    for says in changed(state_dir, (since, until), desk.zone, until) {
        let _ = writeln!(text, "    {says}");
    }
    let _ = writeln!(text, "\n{}", head(state_dir));
    text.push_str(&record(desk));
    Ok(text)
}

/// What anybody may hold against the record years later: who keeps this e-mail
/// can tell whether what was before it has been altered.
fn record(desk: &Desk<'_>) -> String {
    match Record::of_access(&desk.settings.state_dir).verify() {
        Ok(None) => "The record of who read what is empty.\n".to_owned(),
        Ok(Some(head)) => format!(
            "The record of who read what is whole. Keep this line:\n\
             record head {} {}\n",
            head.number, head.digest
        ),
        Err(broken) => format!("THE RECORD OF WHO READ WHAT HAS BEEN ALTERED: {broken}.\n"),
    }
}

type Groups = Vec<(String, i64, i64)>;

/// For each theme its groups, with attempts and devices.
fn attempts(
    tx: &Transaction<'_>,
    since: Timestamp,
    until: Timestamp,
) -> rusqlite::Result<BTreeMap<String, Groups>> {
    let minute = |at: Timestamp| at.as_second().div_euclid(60);
    let mut select = tx.prepare_cached(
        "SELECT theme, grp, count(*), count(DISTINCT device) FROM attempts
         WHERE minute >= ? AND minute < ? GROUP BY theme, grp ORDER BY theme, grp",
    )?;
    let mut rows = select.query([minute(since), minute(until)])?;
    let mut themes: BTreeMap<String, Groups> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let group = (row.get(1)?, row.get(2)?, row.get(3)?);
        themes.entry(row.get(0)?).or_default().push(group);
    }
    Ok(themes)
}

fn counted(count: i64, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        many => format!("{many} {what}s"),
    }
}

/// Tells the fallback of alerts that nobody has acknowledged in time, once.
pub(super) fn remind(
    tx: &Transaction<'_>,
    desk: &Desk<'_>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let hours = i64::from(desk.rules.remind_hours);
    if hours == 0 {
        return Ok(());
    }
    let before = now.saturating_sub(SignedDuration::from_hours(hours));
    let before = before.unwrap_or(Timestamp::MIN).as_microsecond();
    let (many, oldest, newest): (i64, Option<i64>, Option<i64>) = tx.query_row(
        "SELECT count(*), min(raised), max(id) FROM alerts
         WHERE acknowledged_at IS NULL AND reminded = 0 AND raised <= ?",
        [before],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )?;
    let (Some(oldest), Some(newest)) = (oldest, newest) else {
        return Ok(());
    };
    tx.execute(
        "UPDATE alerts SET reminded = 1
         WHERE acknowledged_at IS NULL AND reminded = 0 AND raised <= ?",
        [before],
    )?;
    let since = time(oldest).to_zoned(desk.zone.clone());
    let since = since.strftime("%A %-d %B %Y, %H:%M");
    let alerts = counted(many, "alert");
    let body = format!(
        "Nobody has acknowledged {alerts} within {hours} hours; the oldest is of {since}.\n\
         Please see to it that somebody looks at them."
    );
    let subject = format!("{alerts} not acknowledged");
    let message = Message::plain("reminder", &subject, &body, now, desk.letterhead());
    desk.tell(
        tx,
        (&format!("reminder {newest}"), None),
        &message,
        &[],
        now,
    )?;
    Ok(())
}

/// Alerts go with the rows they are about, unless a hold keeps those (R-69,
/// R-73); messages that have left go sooner.
pub(super) fn forget_the_old(
    tx: &Transaction<'_>,
    desk: &Desk<'_>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let ago = |by: SignedDuration| now.saturating_sub(by).unwrap_or(Timestamp::MIN);
    tx.execute(
        "DELETE FROM outbox WHERE state <> 'waiting' AND done < ?",
        [ago(MESSAGES).as_microsecond()],
    )?;
    tx.execute(
        "DELETE FROM attempts WHERE minute < ?",
        [ago(ATTEMPTS).as_second().div_euclid(60)],
    )?;
    // What is held cannot be told: then all of it is.
    let Ok(holds) = Holds::read(&desk.settings.state_dir.join("querylog"))? else {
        return Ok(());
    };
    let days = i64::from(desk.settings.querylog.keep_days).days();
    let oldest = now.to_zoned(desk.zone.clone()).saturating_sub(days);
    let old: Vec<(i64, i64, i64)> = tx
        .prepare_cached("SELECT id, first, last FROM alerts WHERE raised < ?")?
        .query_map([oldest.timestamp().as_microsecond()], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?
        .collect::<rusqlite::Result<_>>()?;
    let held = |at| holds.cover(time(at).to_zoned(desk.zone.clone()).date());
    for (id, first, last) in old {
        if !held(first) && !held(last) {
            tx.execute("DELETE FROM alerts WHERE id = ?", [id])?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use jiff::civil::{Time, Weekday};
    use jiff::tz::TimeZone;

    use super::*;

    #[test]
    fn a_digest_is_due_at_its_hour_on_the_wall() {
        let zone = TimeZone::get("Europe/London").unwrap();
        let check = |day, now: &str, due: &str| {
            let digest = DigestTime {
                day,
                at: Time::constant(7, 30, 0, 0),
            };
            let now = now.parse::<DateTime>().unwrap();
            let now = now.to_zoned(zone.clone()).unwrap();
            let found = last_due(digest, &now).unwrap();
            assert_eq!(found.to_string(), due, "{now}");
        };
        check(None, "2026-07-20T07:29:59", "2026-07-19T06:30:00Z");
        check(None, "2026-07-20T07:30:00", "2026-07-20T06:30:00Z");
        let monday = Some(Weekday::Monday);
        check(monday, "2026-07-20T07:30:00", "2026-07-20T06:30:00Z");
        check(monday, "2026-07-20T07:29:00", "2026-07-13T06:30:00Z");
        check(monday, "2026-10-26T08:00:00", "2026-10-26T07:30:00Z");
    }
}
