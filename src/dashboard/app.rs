//! What all pages share.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Semaphore;

use super::in_force::{InForce, LastRead};
use super::opening::Openings;
use super::page::Problem;
use super::standing::Standing;
use crate::alerts::Alerts;
use crate::alerts::watch::School;
use crate::configuration::Configuration;
use crate::devices::inventory::Inventory;
use crate::incidents::book::Book;
use crate::incidents::hours::SchoolHours;
use crate::people::{People, Rules};
use crate::record::{Deed, Record};
use crate::requests::Requests;
use crate::settings::Settings;

/// How long somebody waits whose password is to be looked at while others' are.
const PATIENCE: Duration = Duration::from_secs(10);

/// What all pages share; made once.
pub struct App {
    /// The folder as it was when the process started.
    pub configuration: Configuration,
    /// The school's people.
    pub people: People,
    /// Who did what.
    pub record: Record,
    /// The log as people read it.
    pub book: Arc<Book>,
    /// One password is hashed at a time: each takes a core for a while and 19 MB,
    /// and the resolver is to have the rest.
    hashing: Semaphore,
    /// The policy that decides now, as it was last read.
    pub in_force: LastRead,
    /// What somebody at the school should know of.
    pub alerts: Alerts,
    /// Sites that somebody wants opened or blocked.
    pub requests: Requests,
    /// What the filter says of a site, without a wait.
    pub standing: Standing,
    /// How often devices have opened a site for themselves.
    pub openings: Openings,
}

impl App {
    /// Opens what the pages are made of.
    pub fn new(configuration: Configuration) -> anyhow::Result<Self> {
        let settings = &configuration.settings;
        let rules = Rules::new(settings, &configuration.document.school);
        Ok(Self {
            people: People::open(&settings.state_dir, rules)?,
            record: Record::of_access(&settings.state_dir),
            book: Arc::new(Book::open(
                &settings.state_dir,
                SchoolHours::of(&configuration.document),
            )),
            hashing: Semaphore::new(1),
            in_force: LastRead::default(),
            alerts: Alerts::open(School::new(
                configuration.settings.clone(),
                configuration.document.clone(),
            ))?,
            requests: Requests::new(&settings.state_dir, rand::random()),
            standing: Standing::default(),
            openings: Openings::default(),
            configuration,
        })
    }

    /// The policy that decides now. Reads files.
    pub fn policy_in_force(&self) -> anyhow::Result<Arc<InForce>> {
        self.in_force.policy(&self.configuration)
    }

    /// What `read` makes of the devices the school has listed: those of the rules
    /// in force; until there are any, those of the start.
    pub fn with_inventory<T>(&self, read: impl FnOnce(&Inventory) -> T) -> T {
        match self.policy_in_force() {
            Ok(in_force) => read(&in_force.policy.devices),
            Err(_) => read(&self.configuration.devices),
        }
    }

    /// The machine's settings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.configuration.settings
    }

    /// Whether the pages are served over TLS.
    #[must_use]
    pub fn tls(&self) -> bool {
        let settings = self.settings();
        let address = settings.listen.dashboard.ip().to_canonical();
        settings.dashboard.tls_always || !address.is_loopback()
    }

    /// The school's name.
    #[must_use]
    pub fn school(&self) -> &str {
        &self.configuration.document.school
    }

    /// Does what waits for the disk away from the threads that serve pages.
    pub async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let app = Arc::clone(self);
        tokio::task::spawn_blocking(move || work(&app))
            .await
            .map_err(|error| Problem::failed("a page's work was dropped", &error))
    }

    /// The same for what hashes a password.
    pub async fn hashing<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let turn = tokio::time::timeout(PATIENCE, self.hashing.acquire()).await;
        let Ok(Ok(_turn)) = turn else {
            return Err(Problem::Busy);
        };
        self.blocking(work).await
    }

    /// Writes down that somebody does this. What is not written down is not
    /// done: whoever reads a pupil's rows can be asked about it.
    pub fn write_down(&self, deed: Deed, now: Timestamp) -> Result<(), Problem> {
        let written = self.record.add(deed, now);
        written
            .map(|_| ())
            .map_err(|error| Problem::failed("the record", &error))
    }
}
