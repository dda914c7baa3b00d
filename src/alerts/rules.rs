//! Row of the log → what is told of it.
//!
//! A row is looked at once, whenever it comes: that it was, what it adds to the
//! count of attempts, and the alert with its messages are one transaction. An
//! attempt is one domain in one minute: a page asks for a name a dozen times
//! over, and a child tries a page once. What one device does of one theme within
//! some minutes is one alert, whose numbers grow and which is told once.

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use rusqlite::{OptionalExtension, Transaction, params};

use super::alert::{Alert, Kind};
use super::desk::Desk;
use crate::lists::category::{Category, CategorySet, Theme};
use crate::policy::alerts::{AlertRules, Rule, Tell, has_floor};
use crate::policy::decision::{Layer, Verdict};
use crate::querylog::row::{Row, VARIOUS};
use crate::querylog::visits::registrable;

const MINUTE: i64 = 60_000_000;

/// The categories of which anything is told. What a mandatory list covers is
/// told of in any case.
#[must_use]
pub(super) fn told(rules: &AlertRules) -> CategorySet {
    let is_told = |category: &Category| {
        let theme = category.facts().map(|facts| facts.theme);
        let rule = theme.and_then(|theme| rules.rule(theme));
        rule.is_some_and(|rule| rule.tell != Tell::Off)
    };
    Category::all().filter(is_told).collect()
}

/// Looks at one row of the file of `day`, and says whether it was new.
pub(super) fn look_at(
    tx: &Transaction<'_>,
    desk: &Desk<'_>,
    day: Date,
    row: &Row,
    now: Timestamp,
) -> rusqlite::Result<bool> {
    let time = row.time.as_microsecond();
    let new = tx
        .prepare_cached("INSERT INTO seen VALUES (?, ?) ON CONFLICT DO NOTHING")?
        .execute(params![day.to_string(), time])?;
    if new == 0 {
        return Ok(false);
    }
    let Some((rule, category)) = rule_of(desk.rules, row) else {
        return Ok(true);
    };
    let hit = Hit::of(row, rule, category);
    hit.count(tx)?;
    let kind = match rule.tell {
        Tell::Off | Tell::Digest => return Ok(true),
        Tell::AtOnce => Kind::Hit,
        Tell::Threshold { .. } => Kind::Threshold,
    };
    if hit.grows(tx, desk.rules.again_minutes)? {
        return Ok(true);
    }
    let mut says = String::new();
    if let Tell::Threshold { times, minutes } = rule.tell {
        let attempts = hit.attempts(tx, minutes)?;
        if attempts < u64::from(times) {
            return Ok(true);
        }
        says = format!("{attempts} attempts within {minutes} minutes.");
    }
    let uid = format!("{} {day} {time}", kind.id());
    desk.raise(tx, &hit.alert(kind, uid, says, now), &rule.to)?;
    Ok(true)
}

/// The rule that speaks loudest of what the row is listed for, the gravest where
/// several do, and the category it speaks for.
fn rule_of<'r>(rules: &'r AlertRules, row: &Row) -> Option<(&'r Rule, Option<Category>)> {
    // A canary is asked for by the device, never by who sits before it.
    if row.layer == Layer::Canary {
        return None;
    }
    let ids = row.category.iter().chain(&row.categories);
    let mut categories: Vec<Category> = ids.filter_map(|id| Category::named(id)).collect();
    categories.sort_unstable();
    if row.is_mandatory() {
        let illegal = categories.iter().find(|category| category.is_illegal());
        return Some((rules.rule(Theme::Illegal)?, illegal.copied()));
    }
    let counts = |rule: &&Rule| {
        let happened = rule.allowed || row.action == Verdict::Block;
        rule.tell != Tell::Off && rule.is_for(&row.group) && happened
    };
    let mut loudest: Option<(&Rule, Category)> = None;
    for category in categories {
        let theme = category.facts().map(|facts| facts.theme);
        let rule = theme.and_then(|theme| rules.rule(theme)).filter(counts);
        if let Some(rule) = rule
            && loudest.is_none_or(|(other, _)| loudness(rule.tell) > loudness(other.tell))
        {
            loudest = Some((rule, category));
        }
    }
    loudest.map(|(rule, category)| (rule, Some(category)))
}

fn loudness(tell: Tell) -> u8 {
    match tell {
        Tell::Off => 0,
        Tell::Digest => 1,
        Tell::Threshold { .. } => 2,
        Tell::AtOnce => 3,
    }
}

/// What a row adds.
struct Hit<'r> {
    row: &'r Row,
    theme: Theme,
    category: Option<Category>,
    device: String,
    domain: String,
    urgent: bool,
}

impl<'r> Hit<'r> {
    fn of(row: &'r Row, rule: &Rule, category: Option<Category>) -> Self {
        let device = row.device.clone().or_else(|| row.mac.clone());
        let device = device.or_else(|| row.ip.map(|ip| ip.to_string()));
        Self {
            row,
            theme: rule.theme,
            category,
            device: device.unwrap_or_default(),
            domain: if row.is_various() {
                VARIOUS.to_owned()
            } else {
                registrable(&row.name)
            },
            urgent: rule.tell == Tell::AtOnce && has_floor(rule.theme),
        }
    }

    /// Adds it to its minute. A digest of the domain is enough to tell two apart.
    fn count(&self, tx: &Transaction<'_>) -> rusqlite::Result<()> {
        let digest = blake3::hash(self.domain.as_bytes()).to_hex();
        tx.prepare_cached(
            "INSERT INTO attempts (device, grp, theme, minute, domain, count)
             VALUES (?, ?, ?, ?, ?, ?)
             ON CONFLICT DO UPDATE SET count = count + excluded.count",
        )?
        .execute(params![
            self.device,
            self.row.group,
            self.theme.id(),
            self.minute(),
            digest.get(..16),
            self.row.count.cast_signed(),
        ])
        .map(drop)
    }

    fn minute(&self) -> i64 {
        self.row.time.as_microsecond().div_euclid(MINUTE)
    }

    /// How often the device has tried in the minutes up to this one.
    fn attempts(&self, tx: &Transaction<'_>, minutes: u32) -> rusqlite::Result<u64> {
        tx.prepare_cached(
            "SELECT count(*) FROM attempts
             WHERE device = ? AND grp = ? AND theme = ? AND minute > ? AND minute <= ?",
        )?
        .query_row(
            params![
                self.device,
                self.row.group,
                self.theme.id(),
                self.minute() - i64::from(minutes),
                self.minute(),
            ],
            |row| row.get::<_, i64>(0),
        )
        .map(i64::unsigned_abs)
    }

    /// Adds it to an alert of the same, if there was one just before.
    fn grows(&self, tx: &Transaction<'_>, minutes: u32) -> rusqlite::Result<bool> {
        let time = self.row.time.as_microsecond();
        let reach = SignedDuration::from_mins(minutes.into()).as_micros() as i64;
        let same = tx
            .prepare_cached(
                "SELECT id FROM alerts
                 WHERE device = ? AND grp = ? AND theme = ? AND mandatory = ?
                     AND first > ? AND first < ?
                 ORDER BY first DESC LIMIT 1",
            )?
            .query_row(
                params![
                    self.device,
                    self.row.group,
                    self.theme.id(),
                    self.row.is_mandatory(),
                    time - reach,
                    time + reach,
                ],
                |row| row.get::<_, i64>(0),
            )
            .optional()?;
        let Some(id) = same else {
            return Ok(false);
        };
        tx.prepare_cached(
            "UPDATE alerts SET count = count + ?, first = min(first, ?), last = max(last, ?)
             WHERE id = ?",
        )?
        .execute(params![self.row.count.cast_signed(), time, time, id])?;
        Ok(true)
    }

    fn alert(&self, kind: Kind, uid: String, says: String, now: Timestamp) -> Alert {
        let mandatory = self.row.is_mandatory();
        Alert {
            uid,
            kind,
            raised: now,
            title: self.theme.name().to_owned(),
            says,
            theme: Some(self.theme),
            category: self.category.map(|category| category.id().to_owned()),
            mandatory,
            action: Some(self.row.action),
            device: Some(self.device.clone()).filter(|device| !device.is_empty()),
            device_name: self.row.device_name.clone(),
            group: self.row.group.clone(),
            domain: Some(self.domain.clone()).filter(|_| !mandatory),
            first: self.row.time,
            last: self.row.time,
            count: self.row.count,
            urgent: self.urgent,
        }
    }
}
