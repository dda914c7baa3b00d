//! The thread that watches the log, and all that it starts.
//!
//! It wakes twice a second: a blocked look-up is on disk within a second, and
//! its alert leaves within another two. What changes slowly (the appliance's own
//! state, drops, the digest) is looked at once a minute. One process watches a
//! state folder; a second one finds the lock taken and leaves it to the first.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use jiff::{SignedDuration, Timestamp};
use nix::fcntl::{Flock, FlockArg};
use rusqlite::{Connection, TransactionBehavior};

use super::desk::Desk;
use super::follow::Follower;
use super::outbox::Channel;
use super::post::{self, Stop};
use super::store::{self, StoreError};
use super::{appliance, changes, digest, drop, rules};
use crate::changes::kept;
use crate::lists::category::{Category, CategorySet};
use crate::lists::durable;
use crate::policy::alerts::AlertRules;
use crate::policy::document::PolicyDocument;
use crate::settings::Settings;

/// How often the log is looked at.
const EVERY: Duration = Duration::from_millis(500);
/// How often all else is.
const SLOWLY: SignedDuration = SignedDuration::from_mins(1);
/// How long a message that is being sent may hold up the end.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// What was told of, as the ids of categories.
const TOLD: &str = "told";

/// The school whose alerts these are: its settings as they were at the start,
/// its policy as it is in force. What somebody has typed and nobody activated
/// hushes nothing.
pub struct School {
    settings: Settings,
    document: ArcSwap<PolicyDocument>,
}

impl School {
    /// A school; `document` holds until the resolver has activated one.
    #[must_use]
    pub fn new(settings: Settings, document: PolicyDocument) -> Self {
        Self {
            settings,
            document: ArcSwap::from_pointee(document),
        }
    }

    /// The machine's settings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The school's policy.
    #[must_use]
    pub fn document(&self) -> Arc<PolicyDocument> {
        self.document.load_full()
    }

    /// What the school wants told.
    #[must_use]
    pub fn rules(&self) -> AlertRules {
        self.document.load().alerts.value.clone()
    }

    /// Whether a way is set up.
    #[must_use]
    pub fn has(&self, channel: Channel) -> bool {
        desk(self, &self.document.load()).has(channel)
    }

    /// Reads the policy in force unless it is the one `known` by its hash; one
    /// that cannot be read leaves the old one.
    fn read_again(&self, known: &mut String) {
        let state_dir = &self.settings.state_dir;
        let Ok(Some(record)) = kept::last(state_dir) else {
            return;
        };
        if record.policy == *known {
            return;
        }
        let Ok(Some(texts)) = kept::texts(state_dir, &record) else {
            return;
        };
        let (document, complaints) = PolicyDocument::read("policy.toml", &texts.policy);
        if complaints.is_empty() {
            self.document.store(Arc::new(document));
            known.clone_from(&record.policy);
        }
    }
}

/// What watches and sends, until it is dropped or stopped.
pub struct Watch {
    stop: Arc<Stop>,
    threads: Vec<JoinHandle<()>>,
    _lock: Flock<File>,
}

/// Why nothing is watched.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// Another process does already.
    #[error("another process sends the alerts of this state folder")]
    Taken,
    /// The alerts' file.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file or a thread.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl Watch {
    /// Begins to watch.
    pub fn start(school: &Arc<School>) -> Result<Self, WatchError> {
        let state_dir = school.settings.state_dir.clone();
        durable::create_folder(&state_dir)?;
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(state_dir.join("alerts.lock"))?;
        let lock = Flock::lock(lock, FlockArg::LockExclusiveNonblock);
        let lock = lock.map_err(|_| WatchError::Taken)?;
        let stop = Arc::new(Stop::default());
        let mut watch = Self {
            stop: Arc::clone(&stop),
            threads: Vec::new(),
            _lock: lock,
        };
        let mut db = store::open(&state_dir)?;
        let (told_by, stop_by) = (Arc::clone(school), Arc::clone(&stop));
        watch.spawn("alerts", move || run(&told_by, &mut db, &stop_by))?;
        for channel in Channel::ALL {
            let mut db = store::open(&state_dir)?;
            let (school, stop) = (Arc::clone(school), Arc::clone(&stop));
            if school.has(channel) {
                watch.spawn(channel.id(), move || {
                    post::run(channel, &school, &mut db, &stop);
                })?;
            }
        }
        Ok(watch)
    }

    fn spawn(&mut self, name: &str, work: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
        let thread = std::thread::Builder::new().name(name.to_owned());
        self.threads.push(thread.spawn(work)?);
        Ok(())
    }
}

/// A message that has just been taken is still written down as sent.
impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.ask();
        let began = Instant::now();
        while began.elapsed() < LAST_WORDS && !self.threads.iter().all(JoinHandle::is_finished) {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn desk<'a>(school: &'a School, document: &'a PolicyDocument) -> Desk<'a> {
    Desk {
        rules: &document.alerts.value,
        settings: &school.settings,
        school: &document.school,
        zone: &document.zone,
    }
}

fn run(school: &School, db: &mut Connection, stop: &Stop) {
    let mut watcher = None;
    let mut pause = Duration::ZERO;
    while stop.wait(pause) {
        let now = Timestamp::now();
        let done = Watcher::begun(&mut watcher, school, db, now)
            .and_then(|watcher| watcher.step(school, db, now));
        pause = match done {
            Ok(true) => Duration::ZERO,
            Ok(false) => EVERY,
            Err(error) => {
                tracing::error!(%error, "the alerts cannot look at the log; they try again");
                EVERY * 10
            }
        };
    }
}

/// What the watching thread keeps in mind.
pub(super) struct Watcher {
    follower: Follower,
    told: CategorySet,
    /// The hash of the policy.
    policy: String,
    slowly: Option<Timestamp>,
    appliance: appliance::Watcher,
    changes: changes::Watcher,
}

impl Watcher {
    fn begun<'w>(
        watcher: &'w mut Option<Self>,
        school: &School,
        db: &mut Connection,
        now: Timestamp,
    ) -> Result<&'w mut Self, StoreError> {
        let started = match watcher.take() {
            Some(watcher) => watcher,
            None => Self::begin(school, db, now)?,
        };
        Ok(watcher.insert(started))
    }

    pub(super) fn begin(
        school: &School,
        db: &mut Connection,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let folder = school.settings.state_dir.join("querylog");
        let (follower, first) = Follower::begin(&folder, db, now)?;
        if let Some(since) = first {
            tracing::info!(%since, "alerts begin now; what is in the log already raises none");
        }
        let told = rules::told(&school.rules());
        let before = store::note(db, TOLD)?;
        if before.is_none() {
            store::set_note(db, TOLD, &ids(told))?;
        }
        let appliance = appliance::Watcher::begin(&school.settings.state_dir, db)?;
        let changes = changes::Watcher::begin(&school.settings.state_dir, db)?;
        Ok(Self {
            follower,
            told: before.map_or(told, |before| {
                before.split(' ').filter_map(Category::named).collect()
            }),
            policy: String::new(),
            slowly: None,
            appliance,
            changes,
        })
    }

    /// Looks once; says whether there is more to look at.
    pub(super) fn step(
        &mut self,
        school: &School,
        db: &mut Connection,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let rested = |last: Timestamp| now < last || now.duration_since(last) >= SLOWLY;
        let slowly = self.slowly.is_none_or(rested);
        if slowly {
            school.read_again(&mut self.policy);
        }
        let document = school.document();
        let desk = desk(school, &document);
        let fresh = self.follower.fresh(db, self.told, now)?;
        if !fresh.rows.is_empty() {
            let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            for (day, row) in &fresh.rows {
                rules::look_at(&tx, &desk, *day, row, now)?;
            }
            tx.commit()?;
        }
        if fresh.more {
            return Ok(true);
        }
        let told = rules::told(desk.rules);
        if told != self.told {
            let today = now.to_zoned(document.zone.clone()).date();
            self.follower.widen(db, (self.told, told), today)?;
            store::set_note(db, TOLD, &ids(told))?;
            self.told = told;
        }
        self.appliance.look_at_the_record(db, &desk, now)?;
        self.changes.look(db, &desk, now)?;
        if slowly {
            self.slowly = Some(now);
            self.slow_step(db, &desk, &document, now)?;
        }
        Ok(false)
    }

    fn slow_step(
        &mut self,
        db: &mut Connection,
        desk: &Desk<'_>,
        document: &PolicyDocument,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let today = now.to_zoned(document.zone.clone()).date();
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let trusted = self
            .appliance
            .look(&tx, desk, self.follower.damaged(), now)?;
        let groups = document.groups.iter().filter(|group| group.enabled);
        let groups: Vec<&str> = groups.map(|group| &*group.id.value).collect();
        drop::look(&tx, desk, &groups, &document.year, now)?;
        digest::remind(&tx, desk, now)?;
        changes::Watcher::remind(&tx, desk, document.acknowledge_days, now)?;
        digest::send_if_due(&tx, desk, now)?;
        if trusted {
            Follower::tidy(&tx, today, now)?;
            digest::forget_the_old(&tx, desk, now)?;
        }
        Ok(tx.commit()?)
    }
}

fn ids(told: CategorySet) -> String {
    let ids: Vec<&str> = told.iter().map(Category::id).collect();
    ids.join(" ")
}
