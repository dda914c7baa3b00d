//! Messages that wait to leave, each for one recipient on one way.
//!
//! A message is written down in the same transaction as the alert, under a key
//! that is made of what it is about and of who gets it: there cannot be two of
//! it. It stays until a server has taken it, over restarts and for a fortnight.
//! A way that fails is tried again after 5 seconds, 10, 20, … and at most a
//! quarter of an hour; what a server refuses for good goes to the fallback.
//!
//! A server that took a message, and a process that died before it could write
//! that down, is the one case in which it is sent again: then with the same
//! Message-ID, by which mail programs show it once. SMTP knows no better.

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::alert::time;
use super::message::Message;

/// A way on which messages leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// E-mail.
    Mail,
    /// JSON over HTTPS.
    Webhook,
    /// RFC 5424.
    Syslog,
}

impl Channel {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Mail, Self::Webhook, Self::Syslog];

    /// The word in files and forms.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::Mail => "mail",
            Self::Webhook => "webhook",
            Self::Syslog => "syslog",
        }
    }

    /// What people call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Mail => "E-mail",
            Self::Webhook => "Webhook",
            Self::Syslog => "Syslog",
        }
    }
}

/// After this a message is given up, if it has just failed once more.
const PATIENCE: SignedDuration = SignedDuration::from_hours(14 * 24);
/// A due time farther ahead than any of ours was set by a wrong clock.
const FARTHEST: SignedDuration = SignedDuration::from_hours(25);
const FIRST_PAUSE: SignedDuration = SignedDuration::from_secs(5);
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_mins(15);

/// A message that is due.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// Its place in the outbox.
    pub id: i64,
    /// By which it is known wherever it arrives.
    pub key: String,
    /// The alert it is about.
    pub alert: Option<i64>,
    /// An address; empty where the way has one end only.
    pub recipient: String,
    /// What is told.
    pub message: Message,
    tries: u32,
    created: Timestamp,
}

/// Why a message has not left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// Nothing can leave on this way now.
    Channel(String),
    /// This one could not; perhaps later.
    Message(String),
    /// This one will never be taken.
    Refused(String),
}

/// Puts a message into the outbox, once for all time.
pub fn put(
    tx: &Transaction<'_>,
    (channel, recipient): (Channel, &str),
    (about, alert): (&str, Option<i64>),
    message: &Message,
    due: Timestamp,
) -> rusqlite::Result<()> {
    let words = format!("{about}\n{}\n{recipient}", channel.id());
    let digest = blake3::hash(words.as_bytes()).to_hex();
    let key = digest.get(..32).unwrap_or_default();
    // Words and numbers only: it cannot fail.
    let text = serde_json::to_string(message).unwrap_or_default();
    tx.prepare_cached(
        "INSERT INTO outbox (key, alert, channel, recipient, message, created, due)
         VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
    )?
    .execute(params![
        key,
        alert,
        channel.id(),
        recipient,
        text,
        message.made.as_microsecond(),
        due.as_microsecond(),
    ])
    .map(drop)
}

/// The next message that is due on `channel`, unless that rests.
pub fn next(
    db: &Connection,
    channel: Channel,
    now: Timestamp,
) -> rusqlite::Result<Option<Waiting>> {
    let (now_us, farthest) = (now.as_microsecond(), later(now, FARTHEST).as_microsecond());
    let rests = "SELECT 1 FROM channels WHERE channel = ?1 AND due > ?2 AND due < ?3";
    if db
        .prepare_cached(rests)?
        .exists(params![channel.id(), now_us, farthest])?
    {
        return Ok(None);
    }
    let due = "SELECT id, key, alert, recipient, message, tries, created FROM outbox
         WHERE channel = ?1 AND state = 'waiting' AND (due <= ?2 OR due > ?3)
         ORDER BY due, id";
    let mut select = db.prepare_cached(due)?;
    let mut rows = select.query(params![channel.id(), now_us, farthest])?;
    while let Some(row) = rows.next()? {
        let (id, text): (i64, String) = (row.get(0)?, row.get(4)?);
        let message = match serde_json::from_str(&text) {
            Ok(message) => message,
            // Another version's, or damaged: it must not hold up the others.
            Err(error) => {
                let why = format!("the message cannot be read: {error}");
                give_up(db, id, &why, now)?;
                continue;
            }
        };
        return Ok(Some(Waiting {
            id,
            key: row.get(1)?,
            alert: row.get(2)?,
            recipient: row.get(3)?,
            message,
            tries: row.get(5)?,
            created: time(row.get(6)?),
        }));
    }
    Ok(None)
}

/// Writes down that a server has taken it.
pub fn sent(
    db: &mut Connection,
    channel: Channel,
    waiting: &Waiting,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    tx.prepare_cached("UPDATE outbox SET state = 'sent', done = ?, error = '' WHERE id = ?")?
        .execute(params![now.as_microsecond(), waiting.id])?;
    tx.prepare_cached(
        "INSERT INTO channels (channel, tries, due, error, succeeded) VALUES (?1, 0, 0, '', ?2)
         ON CONFLICT DO UPDATE SET tries = 0, due = 0, error = '', succeeded = ?2",
    )?
    .execute(params![channel.id(), now.as_microsecond()])?;
    tx.commit()
}

/// Writes down that it has not left, and when it is tried again. `fallback` gets
/// what nobody else can.
pub fn failed(
    db: &mut Connection,
    channel: Channel,
    waiting: &Waiting,
    failure: &Failure,
    fallback: Option<&str>,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let over = now.duration_since(waiting.created) > PATIENCE;
    match failure {
        Failure::Channel(why) => {
            rest(&tx, channel, why, now)?;
            if over {
                give_up(&tx, waiting.id, why, now)?;
            }
        }
        Failure::Refused(why) if fallback.is_some_and(|it| it != waiting.recipient) => {
            give_up(&tx, waiting.id, why, now)?;
            let about = format!("refused {}", waiting.key);
            let to = (channel, fallback.unwrap_or_default());
            let message = refused(&waiting.message, &waiting.recipient);
            put(&tx, to, (&about, waiting.alert), &message, now)?;
        }
        Failure::Message(why) | Failure::Refused(why) if over => {
            give_up(&tx, waiting.id, why, now)?;
        }
        Failure::Message(why) | Failure::Refused(why) => {
            let due = later(now, pause(waiting.tries));
            tx.prepare_cached(
                "UPDATE outbox SET tries = tries + 1, due = ?, error = ? WHERE id = ?",
            )?
            .execute(params![due.as_microsecond(), why, waiting.id])?;
        }
    }
    tx.commit()
}

/// The whole way rests; its messages stay as they are.
fn rest(tx: &Transaction<'_>, channel: Channel, why: &str, now: Timestamp) -> rusqlite::Result<()> {
    let tries = tx
        .prepare_cached("SELECT tries FROM channels WHERE channel = ?")?
        .query_row([channel.id()], |row| row.get::<_, u32>(0))
        .optional()?;
    let due = later(now, pause(tries.unwrap_or(0)));
    tx.prepare_cached(
        "INSERT INTO channels (channel, tries, due, error, failed) VALUES (?1, 1, ?2, ?3, ?4)
         ON CONFLICT DO UPDATE SET tries = tries + 1, due = ?2, error = ?3, failed = ?4",
    )?
    .execute(params![
        channel.id(),
        due.as_microsecond(),
        why,
        now.as_microsecond(),
    ])
    .map(drop)
}

fn give_up(db: &Connection, id: i64, why: &str, now: Timestamp) -> rusqlite::Result<()> {
    db.execute(
        "UPDATE outbox SET state = 'failed', tries = tries + 1, done = ?, error = ? WHERE id = ?",
        params![now.as_microsecond(), why, id],
    )
    .map(drop)
}

/// The same message, saying for whom it was.
fn refused(message: &Message, recipient: &str) -> Message {
    let why = format!(
        "This was for {recipient}, whose mail server refuses it. You get it because you are the\n\
         fallback recipient. Please have the address put right.\n\n"
    );
    Message {
        text: why + &message.text,
        ..message.clone()
    }
}

/// 5 s, 10 s, 20 s, … 15 min.
fn pause(tries: u32) -> SignedDuration {
    let pause = FIRST_PAUSE.checked_mul(1 << tries.min(10));
    pause.unwrap_or(LONGEST_PAUSE).min(LONGEST_PAUSE)
}

fn later(now: Timestamp, by: SignedDuration) -> Timestamp {
    now.saturating_add(by).unwrap_or(Timestamp::MAX)
}

/// How a way fares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelState {
    /// Which.
    pub channel: Channel,
    /// Messages that wait.
    pub waiting: u64,
    /// Since when the oldest of them does.
    pub oldest: Option<Timestamp>,
    /// Messages that were given up.
    pub given_up: u64,
    /// When one left the last time.
    pub succeeded: Option<Timestamp>,
    /// When it failed the last time.
    pub failed: Option<Timestamp>,
    /// Why nothing leaves now, or why the oldest message does not.
    pub error: Option<String>,
    /// When it is tried again, if it rests.
    pub due: Option<Timestamp>,
}

/// How `channel` fares.
pub fn state(db: &Connection, channel: Channel) -> rusqlite::Result<ChannelState> {
    let (waiting, oldest, given_up, error): (i64, Option<i64>, i64, Option<String>) = db
        .prepare_cached(
            "SELECT count(*) FILTER (WHERE state = 'waiting'),
                 min(created) FILTER (WHERE state = 'waiting'),
                 count(*) FILTER (WHERE state = 'failed'),
                 max(error) FILTER (WHERE state = 'waiting')
             FROM outbox WHERE channel = ?",
        )?
        .query_row([channel.id()], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })?;
    let whole = db
        .prepare_cached("SELECT due, error, failed, succeeded FROM channels WHERE channel = ?")?
        .query_row([channel.id()], |row| {
            let text: String = row.get(1)?;
            Ok((row.get::<_, i64>(0)?, text, row.get(2)?, row.get(3)?))
        })
        .optional()?;
    let (due, why, failed, succeeded): (i64, String, Option<i64>, Option<i64>) =
        whole.unwrap_or_default();
    let said = Some(why).filter(|why| !why.is_empty());
    Ok(ChannelState {
        channel,
        waiting: waiting.unsigned_abs(),
        oldest: oldest.map(time),
        given_up: given_up.unsigned_abs(),
        succeeded: succeeded.map(time),
        failed: failed.map(time),
        error: said.or(error.filter(|error| !error.is_empty())),
        due: (due > 0).then(|| time(due)),
    })
}
