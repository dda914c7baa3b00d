//! What all pages share.

use std::sync::Arc;

use super::in_force::{InForce, LastRead};
use super::page::Problem;
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
    /// The school's people.
    pub people: People,
    /// Who did what.
    pub record: Record,
    /// The log as people read it.
    pub book: Arc<Book>,
    /// The policy that decides now, as it was last read.
    pub in_force: LastRead,
}

impl App {
    /// Opens what the pages are made of.
    pub fn new(configuration: Configuration) -> anyhow::Result<Self> {
        let state_dir = &configuration.settings.state_dir;
        Ok(Self {
            people: People::open(state_dir)?,
            record: Record::of_access(state_dir),
            book: Arc::new(Book::open(
                state_dir,
                SchoolHours::of(&configuration.document),
            )),
            in_force: LastRead::default(),
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
