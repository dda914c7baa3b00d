//! What all pages share.

use std::sync::Arc;

use jiff::Timestamp;

use super::page::Problem;
use crate::configuration::Configuration;
use crate::incidents::book::Book;
use crate::incidents::hours::SchoolHours;
use crate::people::People;
use crate::record::{Deed, Record};
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
            configuration,
        })
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

    /// Does what waits for a disk where nobody else waits for it.
    pub async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let app = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || work(&app)).await;
        done.map_err(|error| Problem::failed("a page", &error))
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
