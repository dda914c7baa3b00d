//! What all pages share.

use std::sync::Arc;

use super::in_force::{InForce, LastRead};
use super::page::Problem;
use crate::alerts::Alerts;
use crate::alerts::watch::School;
use crate::configuration::Configuration;
use crate::incidents::book::Book;
use crate::incidents::hours::SchoolHours;
use crate::people::People;
use crate::record::Record;
use crate::settings::Settings;

/// What all pages share; made once.
pub struct App {
    /// The folder as it was when the process started.
    pub configuration: Configuration,
    /// The log as people read it.
    pub book: Book,
    /// The policy that decides now, as it was last read.
    pub in_force: LastRead,
    /// The school's people.
    pub people: People,
    /// Who did what.
    pub record: Record,
    /// What somebody at the school should know of.
    pub alerts: Alerts,
}

impl App {
    /// Opens what the pages are made of.
    pub fn new(configuration: Configuration) -> anyhow::Result<Self> {
        let state_dir = &configuration.settings.state_dir;
        Ok(Self {
            book: Book::open(state_dir, SchoolHours::of(&configuration.document)),
            in_force: LastRead::default(),
            people: People::open(state_dir)?,
            record: Record::of_access(state_dir),
            alerts: Alerts::open(School::new(
                &configuration.folder,
                configuration.settings.clone(),
                configuration.document.clone(),
            ))?,
            configuration,
        })
    }

    /// Does what reads files or databases, where it holds up no other page.
    pub async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let app = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || work(&app)).await;
        done.map_err(|error| Problem::failed("a page was not finished", &error))
    }

    /// The policy that decides now. Reads files.
    pub fn policy_in_force(&self) -> anyhow::Result<Arc<InForce>> {
        self.in_force.policy(&self.configuration)
    }

    /// The machine's settings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.configuration.settings
    }

    /// The school's name.
    #[must_use]
    pub fn school(&self) -> &str {
        &self.configuration.document.school
    }
}
