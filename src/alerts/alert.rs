//! One alert: something that somebody at the school should know of.

use jiff::Timestamp;
use rusqlite::{Row, Transaction, params};

use crate::lists::category::Theme;
use crate::policy::decision::Verdict;

/// What kind of thing it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A device asked for what is told of at once.
    Hit,
    /// A device has tried again and again.
    Threshold,
    /// A group asks, or is blocked, far less than usual.
    Drop,
    /// Questions are not answered by the school's rules.
    Filter,
    /// The log is not being written, or cannot be read.
    Log,
    /// The lists are old.
    Lists,
    /// The disk is nearly full.
    Disk,
    /// Somebody has signed in with a recovery code.
    RecoveryCode,
    /// An account was locked after wrong passwords.
    LockOut,
    /// A change of the filter, or who can approve one, that somebody should look at.
    Change,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Hit,
        Self::Threshold,
        Self::Drop,
        Self::Filter,
        Self::Log,
        Self::Lists,
        Self::Disk,
        Self::RecoveryCode,
        Self::LockOut,
        Self::Change,
    ];

    /// The word in files and messages.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Threshold => "threshold",
            Self::Drop => "drop",
            Self::Filter => "filter",
            Self::Log => "log",
            Self::Lists => "lists",
            Self::Disk => "disk",
            Self::RecoveryCode => "recovery_code",
            Self::LockOut => "lock_out",
            Self::Change => "change",
        }
    }

    /// What is said of it where nothing better is.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Hit => "A device asked for what is told at once",
            Self::Threshold => "A device tries again and again",
            Self::Drop => "Far less than usual",
            Self::Filter => "The filter does not work",
            Self::Log => "Something is wrong with the log",
            Self::Lists => "The lists are out of date",
            Self::Disk => "The disk is nearly full",
            Self::RecoveryCode => "A recovery code was used",
            Self::LockOut => "Accounts are being locked",
            Self::Change => "A change of the filter",
        }
    }

    /// Whether it is about what a device did.
    #[must_use]
    pub fn is_of_a_device(self) -> bool {
        matches!(self, Self::Hit | Self::Threshold)
    }
}

/// An alert as it is raised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// What it is about, so that it is raised once.
    pub uid: String,
    /// What kind of thing.
    pub kind: Kind,
    /// When it was raised.
    pub raised: Timestamp,
    /// In a few words, without a device.
    pub title: String,
    /// More about it; may be empty.
    pub says: String,
    /// What it is about, if it is of a device.
    pub theme: Option<Theme>,
    /// The id of the category.
    pub category: Option<String>,
    /// Whether a mandatory list covered it.
    pub mandatory: bool,
    /// What happened.
    pub action: Option<Verdict>,
    /// The device's id, else its MAC, else its address.
    pub device: Option<String>,
    /// What the device was called.
    pub device_name: Option<String>,
    /// Its group.
    pub group: String,
    /// The registrable domain; never that of a mandatory hit.
    pub domain: Option<String>,
    /// The first look-up.
    pub first: Timestamp,
    /// The last one so far.
    pub last: Timestamp,
    /// How many look-ups so far.
    pub count: u64,
    /// Whether it may not wait till morning.
    pub urgent: bool,
}

impl Alert {
    /// One about the appliance itself.
    #[must_use]
    pub fn of_appliance(
        kind: Kind,
        uid: String,
        title: &str,
        says: String,
        now: Timestamp,
    ) -> Self {
        Self {
            uid,
            kind,
            raised: now,
            title: title.to_owned(),
            says,
            theme: None,
            category: None,
            mandatory: false,
            action: None,
            device: None,
            device_name: None,
            group: String::new(),
            domain: None,
            first: now,
            last: now,
            count: 1,
            urgent: true,
        }
    }

    /// Writes it down; gives its number, none if it is there already.
    pub(super) fn insert(&self, tx: &Transaction<'_>) -> rusqlite::Result<Option<i64>> {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let domain = self.domain.clone().filter(|_| !self.mandatory);
        let added = tx
            .prepare_cached(
                "INSERT INTO alerts (uid, kind, raised, title, says, theme, category, mandatory,
                     action, device, device_name, grp, domain, first, last, count, urgent)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                 ON CONFLICT DO NOTHING",
            )?
            .execute(params![
                self.uid,
                self.kind.id(),
                self.raised.as_microsecond(),
                self.title,
                self.says,
                self.theme.map_or("", Theme::id),
                text(&self.category),
                self.mandatory,
                self.action.map_or("", Verdict::id),
                text(&self.device),
                text(&self.device_name),
                self.group,
                domain.unwrap_or_default(),
                self.first.as_microsecond(),
                self.last.as_microsecond(),
                self.count.cast_signed(),
                self.urgent,
            ])?;
        Ok((added == 1).then(|| tx.last_insert_rowid()))
    }
}

/// An alert as somebody reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raised {
    /// Its number.
    pub number: i64,
    /// What was raised.
    pub alert: Alert,
    /// Who has acknowledged it, and when.
    pub acknowledged: Option<(String, Timestamp)>,
}

/// What [`raised`] reads.
pub(super) const COLUMNS: &str = "id, uid, kind, raised, title, says, theme, category, mandatory,
    action, device, device_name, grp, domain, first, last, count, urgent, acknowledged_by,
    acknowledged_at";

pub(super) fn raised(row: &Row<'_>) -> rusqlite::Result<Raised> {
    let text = |at| -> rusqlite::Result<Option<String>> {
        Ok(Some(row.get::<_, String>(at)?).filter(|text| !text.is_empty()))
    };
    let moment = |at| row.get(at).map(time);
    let kind: String = row.get(2)?;
    let (action, theme, by) = (text(9)?, text(6)?, text(18)?);
    let at: Option<i64> = row.get(19)?;
    let kind = Kind::ALL.into_iter().find(|known| known.id() == kind);
    let alert = Alert {
        uid: row.get(1)?,
        kind: kind.ok_or(rusqlite::Error::InvalidQuery)?,
        raised: moment(3)?,
        title: row.get(4)?,
        says: row.get(5)?,
        theme: theme.as_deref().and_then(Theme::named),
        category: text(7)?,
        mandatory: row.get(8)?,
        action: action.and_then(|id| Verdict::ALL.into_iter().find(|known| known.id() == id)),
        device: text(10)?,
        device_name: text(11)?,
        group: row.get(12)?,
        domain: text(13)?,
        first: moment(14)?,
        last: moment(15)?,
        count: row.get::<_, i64>(16)?.unsigned_abs(),
        urgent: row.get(17)?,
    };
    Ok(Raised {
        number: row.get(0)?,
        alert,
        acknowledged: at.map(|at| (by.unwrap_or_default(), time(at))),
    })
}

/// What was written by us is a time there is.
pub(super) fn time(microsecond: i64) -> Timestamp {
    Timestamp::from_microsecond(microsecond).unwrap_or_default()
}
